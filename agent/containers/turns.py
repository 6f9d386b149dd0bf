"""Whose call to the container engine is next (step 4 of the pod's walk).

An engine gets no faster by more calls at a time; when thirty pods start at once, the order of their
calls decides when the first of them is ready. First come, first served brings all thirty to the same
point and makes the first wait for the last. So what finishes a thing that was begun goes before what
begins another, and no more are under way than keep the machine busy: each that is more makes all others
later. A call that takes very long waits for something else than the processor, a file server that is
away, perhaps: it holds up nobody.

Concurrency: one event loop. Queue: one entry per waiting call, which its caller bounds by a timeout.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import heapq
import itertools
from collections.abc import AsyncIterator, Callable

SLOW = 5.0
"""Seconds after which a call is not the engine's work any more, but something that it waits for."""


class Rank(enum.IntEnum):
    """The lower, the sooner."""

    FINISH = 0
    """Start, look, stop, remove."""
    CONTINUE = 1
    """Create a container in a sandbox that is there."""
    BEGIN = 2
    """Create a sandbox."""


class Turns:
    """`places` at a time, not counting those that have taken `SLOW` seconds; `most` with them. Of those that
    wait the lowest rank is next, and the first within a rank."""

    def __init__(self, places: int, *, most: int = 0, slow: float = SLOW) -> None:
        self._places, self._most, self._patience = places, max(places, most), slow
        self._running = 0
        self._slow = 0
        self._order = itertools.count()
        self._waiting: list[tuple[Rank, int, asyncio.Future[None]]] = []

    def __repr__(self) -> str:
        return f"Turns(running={self._running}, slow={self._slow}, waiting={len(self._waiting)})"

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
        """Wait for a place; returns what gives it back, to be called once."""
        if self._has_room():
            self._running += 1
        else:
            await self._wait(rank)
        return self._hold()

    def _has_room(self) -> bool:
        return self._running < self._most and self._running - self._slow < self._places

    def _hold(self) -> Callable[[], None]:
        slow = 0

        def be_slow() -> None:
            nonlocal slow
            slow = 1
            self._slow += 1
            self._let_in()

        timer = asyncio.get_running_loop().call_later(self._patience, be_slow)

        def give_back() -> None:
            timer.cancel()
            self._slow -= slow
            self._leave()

        return give_back

    async def _wait(self, rank: Rank) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (rank, next(self._order), place)
        heapq.heappush(self._waiting, entry)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._leave()  # it was given a place in the same moment
            elif entry in self._waiting:  # else `_let_in` has seen that nobody waits there
                self._waiting.remove(entry)
                heapq.heapify(self._waiting)
            raise

    def _leave(self) -> None:
        self._running -= 1
        self._let_in()

    def _let_in(self) -> None:
        while self._waiting and self._has_room():
            place = heapq.heappop(self._waiting)[2]
            if not place.done():
                self._running += 1
                place.set_result(None)
