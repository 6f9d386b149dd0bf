"""Graceful node shutdown: pods end in the order of their priority while the machine still runs.

When a machine goes down, everything on it is killed within seconds. An agent that is told in time (by
systemd-logind, see `inhibitor.py`, or by the signal that ends it) ends the pods first, those of low
priority before those of high, each group within its period; says NotReady; and turns new pods away.
Settings, order and words are those of Kubernetes ("Graceful node shutdown" in its documentation).

The order is `shutdownorder.py`'s. Concurrency: one shutdown at a time; it may be called off, and pods
that were ended until then stay ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from agent.node.shutdownorder import Group, Period, groups
from agent.pod.manager import PodManager
from agent.pod.observed import Refusal
from agent.pod.worker import PodWorker
from base.clock import Clock

log = logging.getLogger(__name__)

REASON = "Terminated"
MESSAGE = "Pod was terminated in response to imminent node shutdown."
EVENT = "Shutdown manager detected shutdown event"
LOOK_EVERY = 0.1
_REJECTED = Refusal(
    reason="NodeShutdown",
    field="",
    message="Pod was rejected as the node is shutting down.",
    rejected=True,
)
TELLING = 2.0
"""Seconds that the API may take to hear how the last pods ended."""


class NodeShutdown:
    """Ends all pods of the node."""

    def __init__(
        self,
        manager: PodManager,
        given: Sequence[Period],
        *,
        clock: Clock,
        changed: Callable[[], None],
        tell: Callable[[str, str], None],
    ) -> None:
        self._manager = manager
        self._periods = tuple(given)
        self._clock = clock
        self._changed = changed
        self._tell = tell
        self.active = False
        self.began: datetime | None = None
        """When the last one began, and when its pods had ended."""
        self.ended: datetime | None = None
        self._over = asyncio.Event()

    @property
    def enabled(self) -> bool:
        return bool(self._periods)

    @property
    def seconds(self) -> float:
        """How long it takes at most."""
        return sum(period.seconds for period in self._periods) + TELLING

    async def perform(self) -> None:
        """Say so, and end the pods, group by group. Returns when all have ended or had their time; who
        asks while that goes on waits with the first."""
        if not self.enabled:
            return
        if self.active:
            await self._over.wait()
            return
        self._over.clear()
        try:
            await self._perform()
        finally:
            self._over.set()

    async def _perform(self) -> None:
        log.warning("the machine shuts down: its pods are ended")
        self._set(True)
        self.began, self.ended = self._clock.now(), None
        self._tell("NodeShutdown", EVENT)
        pods = {uid: worker.pod.spec.priority or 0 for uid, worker in self._workers().items()}
        for group in groups(pods, self._periods):
            if not self.active:
                return
            await self._end(group)
        self.ended = self._clock.now()
        await self._until(self._told, TELLING)

    def call_off(self) -> None:
        """The machine stays up after all."""
        if self.active:
            log.warning("the shutdown was called off: the node takes pods again")
            self._set(False)

    def _set(self, active: bool) -> None:
        self.active = active
        self._manager.close(_REJECTED if active else None)
        self._changed()

    async def _end(self, group: Group) -> None:
        log.info("%d pods end within %g s", len(group.pods), group.seconds)
        for uid in group.pods:
            if (worker := self._workers().get(uid)) is not None:
                worker.terminate(REASON, MESSAGE, group.seconds)

        def ended() -> bool:
            workers = self._workers()
            return not any(_runs(workers[uid]) for uid in group.pods if uid in workers)

        if not await self._until(ended, group.seconds + LOOK_EVERY):
            log.warning("not all pods have ended within %g s", group.seconds)

    async def _until(self, done: Callable[[], bool], seconds: float) -> bool:
        deadline = self._clock.monotonic() + seconds
        while not done() and self.active:
            if self._clock.monotonic() >= deadline:
                return False
            await self._clock.sleep(LOOK_EVERY)
        return True

    def _told(self) -> bool:
        return not self._manager.agent.pusher.statistics()["status_waiting"]

    def _workers(self) -> Mapping[str, PodWorker]:
        return self._manager.workers


def _runs(worker: PodWorker) -> bool:
    memory = worker.context.memory
    sandboxes = {record.id for record in memory.sandboxes()}
    return any(record.running for id, record in memory.records.items() if id not in sandboxes)
