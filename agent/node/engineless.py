"""A node whose engine is away when its agent starts (before step 3 of the pod's walk).

What such a node has is not known, so it cannot register; but if it has done so before, it can say why it
is not ready. Else its Lease would expire, and it would look as if the agent were dead: a person would
look in the wrong place.

Concurrency: one task, from the agent's start until the engine has answered.
"""

from __future__ import annotations

import asyncio
import logging

import msgspec

from agent.containers.errors import RuntimeFailure
from agent.containers.interface import Runtime
from agent.containers.records import EngineInfo
from agent.node.engine import ANSWER_WITHIN, EngineState
from agent.node.lease import RENEW, RETRY, NodeLease
from agent.node.nodestatus import ENGINE_PATIENCE, NodeObserved, engine_conditions
from api.client import Client, PatchType
from api.core import Node
from api.errors import is_not_found
from base.clock import Clock
from base.errors import PodwrightError
from base.tasks import TaskGuard

log = logging.getLogger(__name__)


async def wait_for_engine(
    runtime: Runtime, client: Client, name: str, *, clock: Clock, guard: TaskGuard
) -> EngineInfo:
    """What the engine says of itself; waits for one that is not up yet, and says so."""
    meanwhile = Engineless(client, name, clock=clock, guard=guard)
    speaking = guard.start(meanwhile.run(), name="engine is away")
    try:
        while True:
            meanwhile.asks()
            try:
                return await runtime.info()
            except RuntimeFailure as error:
                meanwhile.failed(error.message)
                log.warning("waiting for the container engine: %s", error)
            await clock.sleep(RETRY)
    finally:
        speaking.cancel()


class Engineless:
    """Speaks for one node meanwhile."""

    def __init__(self, client: Client, name: str, *, clock: Clock, guard: TaskGuard) -> None:
        self._client = client
        self._name = name
        self._clock = clock
        self._guard = guard
        self._lease = NodeLease(client, name, clock=clock)
        self._asked = clock.monotonic()
        self._error = ""
        self._stuck = False

    def asks(self) -> None:
        """The engine is asked now."""
        self._asked = self._clock.monotonic()

    def failed(self, error: str) -> None:
        """It has not answered, at once or after a long time."""
        self._stuck, self._error = self._waits_long(), error

    def _waits_long(self) -> bool:
        return self._clock.monotonic() - self._asked >= ANSWER_WITHIN

    async def run(self) -> None:
        """Until cancelled. An engine that is up before long is nobody's business."""
        began = self._clock.monotonic()
        await self._clock.sleep(ENGINE_PATIENCE)
        renewing: asyncio.Task[None] | None = None
        try:
            while True:
                if await self._say(self._clock.monotonic() - began) and renewing is None:
                    renewing = self._guard.start(
                        self._lease.renew_forever(), name="lease until then"
                    )
                await self._clock.sleep(RENEW)
        finally:
            if renewing is not None:
                renewing.cancel()

    async def _say(self, away_for: float) -> bool:
        """Whether the node is known; then it is said."""
        stuck = self._stuck or self._waits_long()
        observed = NodeObserved(
            engine_away_for=away_for,
            engine=EngineState.STUCK if stuck else EngineState.DOWN,
            engine_error=self._error,
        )
        try:
            node = await self._client.get(Node, self._name)
            self._lease.owner = node.metadata.uid
            told = node.status.conditions
            said = engine_conditions(observed, previous=told, now=self._clock.now())
            known = {one.type: (one.status, one.message) for one in told}
            if any(known.get(one.type) != (one.status, one.message) for one in said):
                await self._client.patch(
                    Node,
                    self._name,
                    "",
                    {"status": {"conditions": msgspec.to_builtins(said)}},
                    patch_type=PatchType.STRATEGIC,
                    subresource="status",
                )
        except PodwrightError as error:
            if not is_not_found(error):
                log.warning("that the engine is away is not told: %s", error)
            return False
        return True
