"""How long a node has had its NoExecute taints: what pods' `tolerationSeconds` are counted against.

A taint that comes while we look ages with our own monotonic clock, so that a clock that jumps evicts
nobody early. Only of a taint that was there when we started does `timeAdded` tell the age. A pod that
comes to a node which has its taint already is counted from its own coming.
"""

from collections.abc import Iterable

from api import pods, timestamps
from api.core import Node, Pod, Taint
from base.clock import Clock


class TaintAges:
    """When each NoExecute taint of each node came, and pods after it, on the monotonic clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = clock.monotonic()
        self._since: dict[str, dict[tuple[str, str | None], float]] = {}
        self._came: dict[str, float] = {}

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

    def came(self, pod: Pod) -> None:
        """A pod was bound to a node this very moment; taints that come later need no record of it."""
        if pod.spec.node_name in self._since:
            self._came[pod.metadata.uid] = self._clock.monotonic()

    def went(self, pod: Pod) -> None:
        """The pod is gone."""
        self._came.pop(pod.metadata.uid, None)

    def seconds(self, name: str, taints: Iterable[Taint]) -> float:
        """How long the node has had the oldest of these taints."""
        now, known = self._clock.monotonic(), self._since.get(name, {})
        return max((now - known.get(_identity(taint), now) for taint in taints), default=0.0)

    def seconds_for(self, pod: Pod, taints: Iterable[Taint]) -> float:
        """How long the pod has been on its node under the oldest of these taints."""
        tainted = self.seconds(pod.spec.node_name, taints)
        now = self._clock.monotonic()
        came = self._came.get(pod.metadata.uid)
        if came is not None:
            return min(tainted, now - came)
        return min(tainted, self._told_stay(pod)) if now - tainted < self._began else tainted

    def _told_stay(self, pod: Pod) -> float:
        """How long a pod has been where it is, as its status says; unlimited where it says nothing."""
        scheduled = pods.condition(pod, "PodScheduled")
        told = scheduled.last_transition_time if scheduled is not None else None
        return self._age(told) if told else float("inf")

    def _told_age(self, taint: Taint) -> float:
        return self._age(taint.time_added) if taint.time_added else 0.0

    def _age(self, told: str) -> float:
        return max(0.0, (self._clock.now() - timestamps.parse(told)).total_seconds())


def _identity(taint: Taint) -> tuple[str, str | None]:
    return taint.key, taint.time_added
