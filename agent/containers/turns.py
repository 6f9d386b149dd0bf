"""Whose call to the container engine is next (step 4 of the pod's walk).

An engine gets no faster by more calls at a time; when thirty pods start at once, the order of their
calls decides when the first of them is ready. First come, first served brings all thirty to the same
point and makes the first wait for the last. So what finishes a thing that was begun goes before what
begins another.

Concurrency: one event loop. Queue: one entry per waiting call, which its caller bounds by a timeout.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import heapq
import itertools
from collections.abc import AsyncIterator, Callable


class Rank(enum.IntEnum):
    """The lower, the sooner."""

    FINISH = 0
    """Start, look, stop, remove."""
    CONTINUE = 1
    """Create a container in a sandbox that is there."""
    BEGIN = 2
    """Create a sandbox."""


class Turns:
    """So many at a time; of those that wait the lowest rank is next, and the first within a rank."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._order = itertools.count()
        self._waiting: list[tuple[Rank, int, asyncio.Future[None]]] = []

    def __repr__(self) -> str:
        return f"Turns(free={self._free}, waiting={len(self._waiting)})"

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @contextlib.asynccontextmanager
    async def turn(self, rank: Rank) -> AsyncIterator[None]:
        """Wait for a place, and give it back at the end."""
        give_back = await self.take(rank)
        try:
            yield
        finally:
            give_back()

    async def take(self, rank: Rank) -> Callable[[], None]:
        """Wait for a place; returns what gives it back."""
        if self._free > 0:
            self._free -= 1
        else:
            await self._wait(rank)
        return self._pass_on

    async def _wait(self, rank: Rank) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (rank, next(self._order), place)
        heapq.heappush(self._waiting, entry)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._pass_on()  # it was given a place in the same moment
            elif entry in self._waiting:  # else `_pass_on` has seen that nobody waits there
                self._waiting.remove(entry)
                heapq.heapify(self._waiting)
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            place = heapq.heappop(self._waiting)[2]
            if not place.done():
                place.set_result(None)
                return
        self._free += 1
