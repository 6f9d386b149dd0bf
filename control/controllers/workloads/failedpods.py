"""How long to wait before a pod that ended is replaced once more. Walk steps 1 and 7.

A node may refuse a pod again and again; without a pause its controller and the agent would make and
refuse pods as fast as they can. The first replacement is immediate, then 1 s, doubling up to 15
minutes, until nothing has ended in a place for half an hour. Kept in memory only: after a restart
the pause starts over, which costs one replacement.
"""

from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FIRST = timedelta(seconds=1)
LONGEST = timedelta(minutes=15)


class FailedPods(Generic[K]):
    """When pods were last replaced, by place, and how long the pause after it is."""

    def __init__(self) -> None:
        self._replaced: dict[K, tuple[datetime, timedelta]] = {}

    def statistics(self) -> dict[str, float]:
        """In how many places pods end."""
        return {"places_where_pods_end": len(self._replaced)}

    def wait(self, place: K, now: datetime) -> float:
        """Seconds until a pod that ended there may be replaced; 0 if at once."""
        at, pause = self._replaced.get(place, (now, timedelta()))
        return max(0.0, (at + pause - now).total_seconds())

    def replaced(self, place: K, now: datetime) -> None:
        """One is replaced now: the next one there waits longer."""
        self._forget_old(now)
        _, before = self._replaced.get(place, (now, timedelta()))
        self._replaced[place] = (now, min(LONGEST, max(FIRST, before * 2)))

    def _forget_old(self, now: datetime) -> None:
        old = [place for place, (at, _) in self._replaced.items() if now - at > 2 * LONGEST]
        for place in old:
            del self._replaced[place]
