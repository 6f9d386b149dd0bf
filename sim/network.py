"""What lies between a client and the API: time, and trouble. Clients of simulated parts go through it.

Every call takes a moment to arrive and a moment to be answered. With some probability the request is
lost, so that nothing happened, or the answer, so that it did; the caller gets the same error for both.
Watch events are seen later than they happened, each informer by a delay of its own, and not at all
while caches are stale: then they come at once, in order, when that is over.

A part of the control plane that was killed has a network that does nothing any more: whatever it
still tries ends like a cancellation, so that nothing is written by the dead.

Concurrency: one event loop. A watch has a task that notes when each event happened, so that a slow
line delays events but never thins them out. Queue: what the watch has that was not yet seen.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from api import errors
from api.interface import Client
from base.tasks import TaskGuard
from sim.chance import Span, within


@dataclass
class Weather:
    """How the network is at the moment. Faults change it while a simulation runs."""

    request: Span = (0.001, 0.003)
    """Seconds that a call takes in each direction."""
    watch: Span = (0.001, 0.02)
    """Seconds after which a change is seen."""
    lost_requests: float = 0.0
    lost_answers: float = 0.0
    """Probabilities, of each call that writes."""
    deadly: float = 0.0
    """The probability that a write kills the control plane, before or after it."""
    stale_until: float = 0.0
    """No watch event is seen before this moment."""
    down_until: float = 0.0
    """The API answers nobody before this moment."""


class Line:
    """One client's way to the API."""

    def __init__(
        self,
        weather: Weather,
        source: random.Random,
        guard: TaskGuard,
        *,
        dies: Callable[[], None] | None = None,
    ) -> None:
        self.weather = weather
        self.cut = False
        self.guard = guard
        self._source = source
        self._dies = dies

    def __repr__(self) -> str:
        return f"Line(cut={self.cut})"

    async def call(self, act: Callable[[], Awaitable[Any]], *, writes: bool) -> Any:
        """Carry a request there, and its answer back."""
        weather, source = self.weather, self._source
        lost, fate = (source.random(), source.random()) if writes else (1.0, 1.0)
        await self._travel()
        self._perhaps_die(fate < weather.deadly / 2)
        if asyncio.get_running_loop().time() < weather.down_until:
            raise errors.unavailable("the API server is down")
        if lost < weather.lost_requests:
            raise errors.unavailable("the request was lost")
        answer = await act()
        self._perhaps_die(fate < weather.deadly)
        await self._travel()
        if lost < weather.lost_requests + weather.lost_answers:
            raise errors.unavailable("the answer was lost")
        return answer

    def seen_at(self, now: float, before: float) -> float:
        """When an event of now is seen, by a watcher who has seen others up to `before`."""
        return max(now + within(self._source, self.weather.watch), self.weather.stale_until, before)

    def check(self) -> None:
        """Let nothing pass for a client that is dead."""
        if self.cut:
            raise asyncio.CancelledError("killed")

    async def _travel(self) -> None:
        self.check()
        await asyncio.sleep(within(self._source, self.weather.request))
        self.check()

    def _perhaps_die(self, dies: bool) -> None:
        if dies and self._dies is not None:
            self._dies()
        self.check()


class DistantClient:
    """`api.interface.Client` at the other end of a line."""

    def __init__(self, client: Client, line: Line) -> None:
        self._client = client
        self._line = line

    def __repr__(self) -> str:
        return f"DistantClient({self._client!r}, {self._line!r})"

    async def get(self, *what: Any, **more: Any) -> Any:
        return await self._line.call(lambda: self._client.get(*what, **more), writes=False)

    async def list(self, *what: Any, **more: Any) -> Any:
        return await self._line.call(lambda: self._client.list(*what, **more), writes=False)

    async def create(self, *what: Any, **more: Any) -> Any:
        return await self._line.call(lambda: self._client.create(*what, **more), writes=True)

    async def create_subresource(self, *what: Any, **more: Any) -> Any:
        return await self._line.call(
            lambda: self._client.create_subresource(*what, **more), writes=True
        )

    async def update(self, *what: Any, **more: Any) -> Any:
        return await self._line.call(lambda: self._client.update(*what, **more), writes=True)

    async def patch(self, *what: Any, **more: Any) -> Any:
        return await self._line.call(lambda: self._client.patch(*what, **more), writes=True)

    async def delete(self, *what: Any, **more: Any) -> Any:
        return await self._line.call(lambda: self._client.delete(*what, **more), writes=True)

    async def watch(self, *what: Any, **more: Any) -> AsyncIterator[Any]:
        loop = asyncio.get_running_loop()
        seen: asyncio.Queue[tuple[float, Any]] = asyncio.Queue()
        pump = self._line.guard.start(self._pump(seen, what, more), name="watch")
        try:
            while True:
                at, event = await seen.get()
                if (wait := at - loop.time()) > 0:
                    await asyncio.sleep(wait)
                self._line.check()
                if isinstance(event, Exception):
                    raise event
                if event is None:
                    return
                yield event
        finally:
            pump.cancel()

    async def _pump(self, seen: asyncio.Queue[tuple[float, Any]], what: Any, more: Any) -> None:
        """Note every event as it happens; last its end: None, or the error."""
        loop, before = asyncio.get_running_loop(), 0.0
        end: Exception | None = None
        try:
            async for event in self._client.watch(*what, **more):
                before = self._line.seen_at(loop.time(), before)
                seen.put_nowait((before, event))
        except errors.ApiError as error:
            end = error
        seen.put_nowait((max(before, loop.time()), end))
