"""Which pod is tried next, and when a refused one is worth another try.

A refused pod is parked together with the filters that refused it. It returns only when something
changed that one of those filters reads (a node came, capacity grew, a pod left), and not before
its back-off is over: 1 s doubling to 10 s, counted from its last attempt. As a safety net a parked
pod is tried again after five minutes whatever happened. Values are those of Kubernetes' scheduler.

Of the pods that can be tried now, the one of the highest priority is; of several, the one that has
waited longest.

Single-threaded; size: one entry per pending pod.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from base.clock import Clock
from base.workqueue import WorkQueue
from control.scheduler.filters import Filter

Key = tuple[str, str]
"""(namespace, name) of a pod."""

FIRST_BACKOFF = 1.0
MAX_BACKOFF = 10.0
MAX_PARKED = 300.0


@dataclass(slots=True)
class _Attempt:
    """What is known of a pod that was tried and refused."""

    failures: int
    at: float
    rejected_by: frozenset[Filter]
    parked: bool


class SchedulingQueue:
    """Pending pods: active, waiting for their back-off, or parked until something helps."""

    def __init__(
        self,
        clock: Clock,
        priority: Callable[[Key], int],
        *,
        first_backoff: float = FIRST_BACKOFF,
        longest_backoff: float = MAX_BACKOFF,
    ) -> None:
        self._clock = clock
        self._first_backoff = first_backoff
        self._longest_backoff = longest_backoff
        self._active: WorkQueue[Key] = WorkQueue("scheduler", clock=clock, rank=priority)
        self._attempts: dict[Key, _Attempt] = {}
        self._parked: dict[Filter, dict[Key, None]] = {filter_: {} for filter_ in Filter}

    def statistics(self) -> dict[str, float]:
        """How many pods are ready to be tried, parked, and were ever refused."""
        return {
            "active": len(self._active),
            "parked": sum(attempt.parked for attempt in self._attempts.values()),
            "refused": len(self._attempts),
        }

    async def get(self) -> Key:
        """The next pod to try; call `done` after it."""
        return await self._active.get()

    def done(self, key: Key) -> None:
        """The attempt with this pod is over."""
        self._active.done(key)

    def add(self, key: Key) -> None:
        """A pod that is new, or whose own spec changed: try it now."""
        attempt = self._attempts.get(key)
        if attempt is not None:
            self._leave(key, attempt)
        self._active.add(key)

    def forget(self, key: Key) -> None:
        """The pod is placed or gone."""
        attempt = self._attempts.pop(key, None)
        if attempt is not None:
            self._leave(key, attempt)
        self._active.forget(key)

    def park(self, key: Key, rejected_by: frozenset[Filter]) -> None:
        """No node can run the pod now."""
        attempt = self._attempts.get(key)
        failures = 1 if attempt is None else attempt.failures + 1
        for filter_ in rejected_by:
            self._parked[filter_][key] = None
        self._attempts[key] = _Attempt(failures, self._clock.monotonic(), rejected_by, parked=True)

    def retry(self, key: Key) -> None:
        """The pod could be placed, but writing that down failed: try again after a back-off."""
        self._active.add_rate_limited(key)

    def activate(self, changed: Iterable[Filter]) -> None:
        """Something changed that these filters read: bring back the pods they had refused."""
        for filter_ in changed:
            for key in tuple(self._parked[filter_]):
                self._unpark(key, self._attempts[key])

    def flush(self) -> None:
        """Bring back what has been parked for too long; called now and then by the scheduler."""
        oldest = self._clock.monotonic() - MAX_PARKED
        for key, attempt in self._attempts.items():
            if attempt.parked and attempt.at <= oldest:
                self._unpark(key, attempt)

    def _leave(self, key: Key, attempt: _Attempt) -> None:
        attempt.parked = False
        for filter_ in attempt.rejected_by:
            self._parked[filter_].pop(key, None)

    def _unpark(self, key: Key, attempt: _Attempt) -> None:
        self._leave(key, attempt)
        wait = backoff(attempt.failures, self._first_backoff, self._longest_backoff)
        wait += attempt.at - self._clock.monotonic()
        if wait > 0:
            self._active.add_after(key, wait)
        else:
            self._active.add(key)


def backoff(failures: int, first: float = FIRST_BACKOFF, longest: float = MAX_BACKOFF) -> float:
    """Seconds between attempts: 1, 2, 4, 8, 10, 10, …"""
    return min(longest, first * 2.0 ** min(failures - 1, 10))
