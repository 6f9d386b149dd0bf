"""Which pod is tried next, and when a refused one is worth another try.

A refused pod is parked together with the filters that refused it and with others like it. It returns
only when something changed that could help it (`control/scheduler/hints.py` judges each sort of pods
once), and not before its back-off is over: 1 s doubling to 10 s unless configured otherwise, counted from
its last attempt. As a safety net a parked pod is tried again after five minutes whatever happened. Values
are those of Kubernetes' scheduler.

Of the pods that can be tried now, the one of the highest priority is; of several, the one that has
waited longest.

Single-threaded; size: one entry per pending pod.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field

from base.clock import Clock
from base.workqueue import WorkQueue
from control.scheduler.request import Request, sort_of
from control.scheduler.rules import Filter

Key = tuple[str, str]
"""(namespace, name) of a pod."""

FIRST_BACKOFF = 1.0
MAX_BACKOFF = 10.0
MAX_PARKED = 300.0


@dataclass(slots=True, eq=False)
class Sort:
    """Parked pods that are alike, and were refused by the same filters."""

    request: Request
    rejected_by: frozenset[Filter]
    keys: dict[Key, None] = field(default_factory=dict)


@dataclass(slots=True)
class _Attempt:
    """What is known of a pod that was tried and refused. `sort`: with whom it is parked."""

    failures: int
    at: float
    sort: Sort | None


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
        self._sorts: dict[Hashable, Sort] = {}

    def statistics(self) -> dict[str, float]:
        """How many pods are ready to be tried, parked, and were ever refused."""
        return {
            "active": len(self._active),
            "parked": sum(len(sort.keys) for sort in self._sorts.values()),
            "sorts": len(self._sorts),
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

    def park(self, key: Key, request: Request, rejected_by: frozenset[Filter]) -> None:
        """No node can run the pod now."""
        attempt = self._attempts.get(key)
        failures = 1 if attempt is None else attempt.failures + 1
        if attempt is not None:
            self._leave(key, attempt)
        like = (sort_of(request), rejected_by)
        sort = self._sorts.setdefault(like, Sort(request, rejected_by))
        sort.keys[key] = None
        self._attempts[key] = _Attempt(failures, self._clock.monotonic(), sort)

    def retry(self, key: Key) -> None:
        """The pod could be placed, but writing that down failed: try again after a back-off."""
        self._active.add_rate_limited(key)

    def parked(self) -> list[Sort]:
        """Every sort of parked pods; those that are empty are forgotten."""
        for like in [like for like, sort in self._sorts.items() if not sort.keys]:
            del self._sorts[like]
        return list(self._sorts.values())

    def activate(self, keys: Iterable[Key]) -> int:
        """Something changed that could help these: bring back those that are parked, and count them."""
        found = 0
        for key in tuple(keys):
            attempt = self._attempts.get(key)
            if attempt is not None and attempt.sort is not None:
                self._unpark(key, attempt)
                found += 1
        return found

    def flush(self) -> None:
        """Bring back what has been parked for too long; called now and then by the scheduler."""
        oldest = self._clock.monotonic() - MAX_PARKED
        for key, attempt in self._attempts.items():
            if attempt.sort is not None and attempt.at <= oldest:
                self._unpark(key, attempt)

    def _leave(self, key: Key, attempt: _Attempt) -> None:
        if attempt.sort is not None:
            del attempt.sort.keys[key]
            attempt.sort = None

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
