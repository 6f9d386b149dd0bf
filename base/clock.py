"""Time as a parameter: every rule that depends on time takes a Clock, so that tests own the time.

`SystemClock` is the machine's. `FakeClock` stands still until a test moves it: `advance` moves it in
one step, `run_for` visits every deadline on the way and lets its sleeper run before time goes on.
An hour passes in a millisecond, and the same way every time.

Concurrency: a FakeClock belongs to one event loop and is advanced from that loop only.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

# Turns of the event loop given to the woken before time goes on: a chain of awaits (a sleep inside
# wait_for inside a worker) needs several turns until it sleeps again.
_SETTLE_TURNS = 20

_DEFAULT_START = datetime(2026, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """What time it is, how much of it has passed, and a way to let some pass."""

    def now(self) -> datetime:
        """The wall clock: aware, in UTC. May jump; never measure durations with it."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment; never goes backwards."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of this clock; zero or less only yields to the event loop."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 (this is the one place that may ask the machine)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


class FakeClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, start: datetime = _DEFAULT_START) -> None:
        if start.tzinfo is None:
            raise ValueError("FakeClock needs an aware datetime")
        self._start = start
        self._elapsed = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def __repr__(self) -> str:
        return f"FakeClock({self.now().isoformat()}, sleepers={self.sleepers})"

    @property
    def sleepers(self) -> int:
        """How many are asleep now."""
        return sum(1 for _, _, wake in self._sleepers if not wake.done())

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    def jump(self, seconds: float) -> None:
        """Set the wall clock forwards or backwards without any time passing, as NTP does."""
        self._start += timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), wake))
        await wake

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass at once: everyone due is woken, and runs when the loop next turns."""
        if seconds < 0:
            raise ValueError("time does not run backwards; see jump() for the wall clock")
        self._elapsed += seconds
        while self._sleepers and self._sleepers[0][0] <= self._elapsed:
            _, _, wake = heapq.heappop(self._sleepers)
            if not wake.done():  # else its sleeper was cancelled
                wake.set_result(None)

    async def run_for(self, seconds: float) -> None:
        """Let `seconds` pass step by step: each sleeper runs at its own moment, again and again."""
        await self._settle()
        target = self._elapsed + seconds
        while self._sleepers and self._sleepers[0][0] <= target:
            self.advance(max(0.0, self._sleepers[0][0] - self._elapsed))
            await self._settle()
        self.advance(target - self._elapsed)
        await self._settle()

    async def _settle(self) -> None:
        for _ in range(_SETTLE_TURNS):
            await asyncio.sleep(0)
