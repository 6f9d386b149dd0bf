"""When an exec probe may ask (steps 4 and 5 of the pod's walk): few at a time, and every pod in turn.

An exec costs the engine some 50 ms of CPU (it starts runc and a shim's worth of processes), so a node
full of exec probes could keep a machine busy with nothing else. Only `PLACES` begin at a time; who waits
does so by pod, and the pods take turns: one that asks fifty questions delays the others by one.

What is dear is the beginning. A command that only hangs gives its place on after `HOLD` seconds, so
that pods whose probes always run into their timeouts do not keep others from asking.

Waiting does not count into a probe's timeout: it makes the question late, never wrong. How much was
asked, how long it took and how long it waited is told by `statistics`.

Concurrency: one event loop. Queue: at most one entry per exec probe that runs.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator

from base.clock import Clock
from base.tasks import TaskGuard

PLACES = 4
HOLD = 2.0


class _Place:
    """One of the places; it is given back once."""

    def __init__(self, turns: ExecTurns) -> None:
        self._turns: ExecTurns | None = turns

    def give_back(self) -> None:
        turns, self._turns = self._turns, None
        if turns is not None:
            turns._pass_on()


class ExecTurns:
    """The exec probes of one node."""

    def __init__(self, *, clock: Clock, guard: TaskGuard, places: int = PLACES) -> None:
        self._clock = clock
        self._guard = guard
        self._free = places
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._asked = 0
        self._seconds = 0.0
        self._waited = 0.0
        self._longest = 0.0

    def __repr__(self) -> str:
        return f"ExecTurns(free={self._free}, waiting={len(self)})"

    def __len__(self) -> int:
        """How many wait."""
        return sum(len(queue) for queue in self._waiting.values())

    def statistics(self) -> dict[str, float]:
        return {
            "execs": self._asked,
            "exec_seconds": self._seconds,
            "exec_waited_seconds": self._waited,
            "exec_waited_longest_seconds": self._longest,
            "execs_waiting": len(self),
        }

    @contextlib.asynccontextmanager
    async def turn(self, pod: str) -> AsyncIterator[None]:
        """Wait for a place; what is done in it counts as the cost of an exec."""
        came = self._clock.monotonic()
        await self._take(pod)
        began = self._clock.monotonic()
        self._waited += began - came
        self._longest = max(self._longest, began - came)
        self._asked += 1
        place = _Place(self)
        timer = self._guard.start(self._give_back_late(place), name="exec probe's place")
        try:
            yield
        finally:
            timer.cancel()
            place.give_back()
            self._seconds += self._clock.monotonic() - began

    async def _give_back_late(self, place: _Place) -> None:
        await self._clock.sleep(HOLD)
        place.give_back()

    async def _take(self, pod: str) -> None:
        if self._free > 0:
            self._free -= 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(pod, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._pass_on()  # it was given a place in the same moment
            raise

    def _pass_on(self) -> None:
        """To the pod that has waited longest for its turn; what more it wants comes after all others."""
        while self._waiting:
            pod = next(iter(self._waiting))
            queue = self._waiting.pop(pod)
            place = queue.popleft()
            if queue:
                self._waiting[pod] = queue
            if not place.done():
                place.set_result(None)
                return
        self._free += 1
