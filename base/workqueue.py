"""The queue between what changed and who reconciles it: one key, one worker, nothing lost.

Semantics of client-go's work queue, which controllers everywhere rely on:
- a key that waits is there once, however often it is added;
- a key being processed is not handed to a second worker; when it is added meanwhile it is marked
  dirty and queued again as soon as `done` is called, so the last change is always seen;
- `add_rate_limited` delays by a back-off that doubles with each failure of that key, until
  `forget`; `add_after` delays by a given time, and of several delays for one key the earliest wins.
Keys of a higher rank are handed out first, those of one rank in the order of their coming.

Concurrency: one event loop, any number of workers, each looping over `get`, work, `done`.
Size: one entry per distinct key, so never larger than the set of objects it stands for.
Ends by `shut_down`: what is queued is still handed out, delayed keys are dropped, then `get`
raises `ShutDown`.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from base.clock import Clock

K = TypeVar("K", bound=Hashable)


class ShutDown(Exception):
    """The queue was shut down and is empty: the worker's loop ends here."""


class WorkQueue(Generic[K]):
    """A deduplicating, delaying, rate-limited queue of keys."""

    def __init__(
        self,
        name: str,
        *,
        clock: Clock,
        base_delay: float = 0.005,
        max_delay: float = 1000.0,
        rank: Callable[[K], int] = lambda key: 0,
    ) -> None:
        self.name = name
        self._clock = clock
        self._base_delay = base_delay
        self._max_delay = max_delay
        self._rank = rank
        self._queue: list[tuple[int, int, K]] = []  # a heap: negative rank, order of coming
        self._dirty: set[K] = set()  # waits for a worker, now or after its current one
        self._processing: set[K] = set()
        self._failures: dict[K, int] = {}
        self._due: dict[K, float] = {}  # the earliest moment each delayed key is due
        self._delayed: list[tuple[float, int, K]] = []  # a heap; entries not in _due are stale
        self._order = itertools.count()
        self._getters: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.Task[None] | None = None
        self._shut_down = False
        self._adds = 0
        self._retries = 0

    def __len__(self) -> int:
        return len(self._queue)

    def __repr__(self) -> str:
        return (
            f"WorkQueue({self.name!r}, queued={len(self._queue)}, "
            f"processing={len(self._processing)}, delayed={len(self._due)})"
        )

    def add(self, key: K) -> None:
        """Queue `key`, unless it waits already."""
        if self._shut_down or key in self._dirty:
            return
        self._adds += 1
        self._dirty.add(key)
        if key not in self._processing:
            self._enqueue(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Queue `key` after a delay."""
        if self._shut_down:
            return
        if seconds <= 0:
            self.add(key)
            return
        due = self._clock.monotonic() + seconds
        if due >= self._due.get(key, due + 1):
            return
        self._due[key] = due
        earliest = not self._delayed or due < self._delayed[0][0]
        heapq.heappush(self._delayed, (due, next(self._order), key))
        if earliest:
            self._restart_timer()

    def add_rate_limited(self, key: K) -> None:
        """Queue `key` after its back-off, which doubles each time until `forget`."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self._retries += 1
        self.add_after(key, self._backoff(failures))

    def forget(self, key: K) -> None:
        """The key was reconciled: its back-off starts from the beginning."""
        self._failures.pop(key, None)

    def retries(self, key: K) -> int:
        """How often `key` was rate-limited since it was last forgotten."""
        return self._failures.get(key, 0)

    async def get(self) -> K:
        """The next key; the caller must call `done` with it. Raises ShutDown at the end."""
        while not self._queue:
            if self._shut_down:
                raise ShutDown(self.name)
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._getters.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                # Woken and cancelled in the same turn: pass the wake-up on, or the key would lie
                # here until the next add.
                if turn.done() and not turn.cancelled() and self._queue:
                    self._wake_one()
                raise
        _, _, key = heapq.heappop(self._queue)
        self._dirty.discard(key)
        self._processing.add(key)
        return key

    def done(self, key: K) -> None:
        """The worker has finished with `key`; if it was added meanwhile, it is queued again."""
        self._processing.discard(key)
        if key in self._dirty:
            self._enqueue(key)

    def shut_down(self) -> None:
        """Hand out what is queued, drop what is delayed, then end every `get`."""
        self._shut_down = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._due.clear()
        self._delayed.clear()
        while self._getters:
            self._wake_one()

    def statistics(self) -> dict[str, float]:
        return {
            "queued": len(self._queue),
            "processing": len(self._processing),
            "delayed": len(self._due),
            "adds": self._adds,
            "retries": self._retries,
        }

    def _backoff(self, failures: int) -> float:
        # Past 2**63 the delay is beyond every limit; the cap keeps the power small.
        return float(min(self._max_delay, self._base_delay * 2 ** min(failures, 63)))

    def _enqueue(self, key: K) -> None:
        heapq.heappush(self._queue, (-self._rank(key), next(self._order), key))
        self._wake_one()

    def _wake_one(self) -> None:
        while self._getters:
            turn = self._getters.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _restart_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        # Not under a guard: it only moves keys between the fields above, and ends by itself.
        self._timer = asyncio.get_running_loop().create_task(
            self._release_due(), name=f"workqueue/{self.name}"
        )

    async def _release_due(self) -> None:
        while self._delayed:
            due, _, key = self._delayed[0]
            if self._due.get(key) != due:  # an earlier delay replaced this one
                heapq.heappop(self._delayed)
                continue
            if (wait := due - self._clock.monotonic()) > 0:
                await self._clock.sleep(wait)
                continue
            heapq.heappop(self._delayed)
            del self._due[key]
            self.add(key)
        self._timer = None
