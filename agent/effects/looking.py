"""Looking at a pod's containers again after something has happened to them (step 5 of the pod's walk).

Ids are only noted; the worker reads them anew before its next step, with the last words of what has ended.
A container for which the engine does not answer stays noted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from agent.containers.errors import NotFound, RuntimeFailure
from agent.containers.records import ContainerId, ContainerRecord
from agent.effects import loglinks
from agent.effects.autopsy import autopsy
from agent.effects.context import PodContext
from agent.effects.lastwords import termination_message
from base.errors import PodwrightError

log = logging.getLogger(__name__)


class Looking:
    """Which containers of one pod are to be read anew."""

    def __init__(self, context: PodContext, name: str) -> None:
        """`name`: of the pod, for the log."""
        self._context = context
        self._name = name
        self._stale: set[ContainerId] = set()

    def __len__(self) -> int:
        return len(self._stale)

    def note(self, ids: Iterable[ContainerId]) -> None:
        """Something has happened to these."""
        self._stale.update(ids)

    def adopt(self, records: Iterable[ContainerRecord]) -> None:
        """Containers that were there before this agent."""
        memory = self._context.memory
        for record in records:
            memory.adopted.add(record.id)
            memory.note(record)
            self._link_logs(record)
            if record.in_force is None:  # the engine would tell no more than the list of all does
                self._stale.add(record.id)

    async def look(self) -> None:
        """Read anew what was noted."""
        memory = self._context.memory
        for id in list(self._stale):
            self._stale.discard(id)
            try:
                memory.note(record := await self._context.agent.runtime.inspect(id))
                self._link_logs(record)
            except NotFound:
                await self._let_go(id)
            except RuntimeFailure as error:
                log.debug("%s: cannot look at %s: %s", self._name, id, error)
                self._stale.add(id)
                break
        await self._hear_last_words()

    def unknown_ends(self) -> set[ContainerId]:
        """Containers that have ended, says the list of all, and of which the engine has not said how."""
        records = self._context.memory.records
        return {
            id
            for id in self._stale
            if id in records
            and id in self._context.memory.ended_at
            and records[id].in_force is None
        }

    async def _hear_last_words(self) -> None:
        memory, unknown = self._context.memory, self.unknown_ends()
        ended = [
            memory.records[id]
            for id in memory.ended_at
            if id not in memory.messages and id not in unknown
        ]
        for record in ended:
            message = await termination_message(self._context, record)
            if record.id in memory.records:  # not removed by an effect meanwhile
                memory.messages[record.id] = message
                await autopsy(self._context, record)

    def _link_logs(self, record: ContainerRecord) -> None:
        """Also of what an agent before this one has started, and could not link any more."""
        loglinks.link(self._context.agent.node.log_root, self._context.pod, record)

    async def _let_go(self, id: ContainerId) -> None:
        """Somebody has removed a container. A sandbox gives its address back, and its host ports."""
        if id in self._context.memory.addresses:
            try:
                await self._context.agent.network.detach(id)
            except PodwrightError as error:  # the relist frees it
                log.warning("%s: address of a sandbox that is gone: %s", self._name, error)
        self._context.memory.forget(id)
