"""How fast nodes in trouble lose their pods, zone by zone: the pure part of evicting with care.

A dead node is common, a dead network is more so. Rules from the Nodes concept page ("Rate limits on
eviction"): a zone (region and zone labels) loses its not-ready nodes one by one, one in ten seconds.
Where at least 55 % of a zone is not ready (and three nodes or more), one in a hundred seconds, or
none at all where the zone has no more than 50 nodes. A zone without any ready node goes on at the
usual pace, unless every zone is like that: then it is most likely we who are cut off, and nobody is
evicted. What is rated is the NoExecute taint; from then on each pod's own tolerations count.

A pace has no stock beyond one: after a quiet day a zone's first node goes at once, the second waits.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from api import conditions
from api.core import Node
from api.nodes import REGION, ZONE, is_ready
from base.clock import Clock
from control.controllers.context import NodeSettings
from control.controllers.nodes.health import is_in_trouble

_FEW = 2
"""So many nodes may be in trouble at once without being called a disruption."""


class Zone(NamedTuple):
    """Where a node stands; nodes without labels share one."""

    region: str
    zone: str


class ZoneState(StrEnum):
    """How much of a zone is in trouble."""

    NORMAL = "Normal"
    PARTIAL = "PartialDisruption"
    FULL = "FullDisruption"


def zone_of(node: Node) -> Zone:
    """The zone that a node's labels name."""
    labels = node.metadata.labels
    return Zone(labels.get(REGION, ""), labels.get(ZONE, ""))


def state_of(ready: int, not_ready: int, threshold: float) -> ZoneState:
    """The state of a zone with so many nodes of each sort."""
    if not_ready and not ready:
        return ZoneState.FULL
    if not_ready > _FEW and not_ready / (ready + not_ready) >= threshold:
        return ZoneState.PARTIAL
    return ZoneState.NORMAL


def nodes_per_second(state: ZoneState, size: int, settings: NodeSettings) -> float:
    """At which pace a zone of this size loses nodes, while not every zone is disrupted."""
    if state is not ZoneState.PARTIAL:
        return settings.eviction_rate
    return settings.secondary_eviction_rate if size > settings.large_zone else 0.0


@dataclass(slots=True)
class Pace:
    """A token every now and then, one in stock at most."""

    rate: float
    stock: float
    at: float

    def set_rate(self, rate: float, now: float) -> None:
        """Go on at another pace; what has been saved up stays."""
        self._fill(now)
        self.rate = rate

    def may(self, now: float) -> bool:
        """Whether there is a token."""
        self._fill(now)
        return self.rate > 0 and self.stock >= 1

    def spend(self) -> None:
        """Take the token."""
        self.stock -= 1

    def _fill(self, now: float) -> None:
        self.stock = min(1.0, self.stock + (now - self.at) * self.rate)
        self.at = now


class Zones:
    """What state each zone is in, and whether it may lose another node now."""

    def __init__(self, settings: NodeSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._states: dict[Zone, ZoneState] = {}
        self._paces: dict[Zone, Pace] = {}
        self._surveyed: Sequence[Node] = ()
        self.troubled: Sequence[Node] = ()
        """Nodes in trouble at the last survey."""

    @property
    def all_disrupted(self) -> bool:
        """Whether no node of any zone is ready."""
        return bool(self._states) and set(self._states.values()) == {ZoneState.FULL}

    def states(self) -> dict[Zone, ZoneState]:
        """What each zone is like."""
        return dict(self._states)

    def survey(self, nodes: Sequence[Node]) -> None:
        """Look at all nodes; where none has changed, all stays as it was."""
        if nodes == self._surveyed:
            return
        self._surveyed, self.troubled = nodes, [*filter(is_in_trouble, nodes)]
        counts: dict[Zone, list[int]] = defaultdict(lambda: [0, 0])
        for node in nodes:
            counts[zone_of(node)][is_ready(node)] += 1
        now, threshold = self._clock.monotonic(), self._settings.unhealthy_share
        self._states = {
            zone: state_of(ready, not_ready, threshold)
            for zone, (not_ready, ready) in counts.items()
        }
        self._paces = {zone: pace for zone, pace in self._paces.items() if zone in counts}
        for zone, state in self._states.items():
            rate = nodes_per_second(state, sum(counts[zone]), self._settings)
            pace = self._paces.setdefault(zone, Pace(rate, 1.0, now))
            pace.set_rate(0.0 if self.all_disrupted else rate, now)

    def may_lose(self, node: Node) -> bool:
        """Whether this node's zone may lose another node now."""
        pace = self._paces.get(zone_of(node))
        return pace is not None and pace.may(self._clock.monotonic())

    def lost(self, node: Node) -> None:
        """The node's pods are told to go."""
        self._paces[zone_of(node)].spend()


def in_turn(troubled: Iterable[Node]) -> Sequence[Node]:
    """Nodes in the order in which they got into trouble."""

    def since(node: Node) -> tuple[str, str]:
        ready = conditions.find(node.status.conditions, "Ready")
        return (ready.last_transition_time if ready else None) or "", node.metadata.name

    return sorted(troubled, key=since)
