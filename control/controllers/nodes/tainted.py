"""How long a node has had its NoExecute taints: what pods' `tolerationSeconds` are counted against.

A taint that comes while we look ages with our own monotonic clock, so that a clock that jumps evicts
nobody early. Only of a taint that was there when we started does `timeAdded` tell the age.
"""

from collections.abc import Iterable

from api import timestamps
from api.core import Node, Taint
from base.clock import Clock


class TaintAges:
    """When each NoExecute taint of each node came, on the monotonic clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: dict[str, dict[tuple[str, str | None], float]] = {}

    def saw(self, old: Node | None, new: Node) -> None:
        """A node came (`old` is None: its taints may be old) or changed."""
        name = new.metadata.name
        known = self._since.get(name, {})
        found = {}
        for taint in new.spec.taints:
            if taint.effect == "NoExecute":
                age = self._told_age(taint) if old is None else 0.0
                found[_identity(taint)] = known.get(_identity(taint), self._clock.monotonic() - age)
        if found:
            self._since[name] = found
        else:
            self._since.pop(name, None)

    def forget(self, name: str) -> None:
        """The node is gone."""
        self._since.pop(name, None)

    def seconds(self, name: str, taints: Iterable[Taint]) -> float:
        """How long the node has had the oldest of these taints."""
        now, known = self._clock.monotonic(), self._since.get(name, {})
        return max((now - known.get(_identity(taint), now) for taint in taints), default=0.0)

    def _told_age(self, taint: Taint) -> float:
        if not taint.time_added:
            return 0.0
        age = self._clock.now() - timestamps.parse(taint.time_added)
        return max(0.0, age.total_seconds())


def _identity(taint: Taint) -> tuple[str, str | None]:
    return taint.key, taint.time_added
