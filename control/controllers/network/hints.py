"""Who should use which endpoint: hints that keep traffic near where it comes from. Walk step 6. Pure.

`trafficDistribution` says it for each endpoint alone: its own zone, or its own node first. The
annotation `service.kubernetes.io/topology-mode: Auto` shares all endpoints out among the zones by the
CPUs of their nodes (concept "Topology Aware Routing"): each zone keeps its own as far as that leaves no
other with less than `OVERLOAD` allows, and where it cannot be done, or cannot be known, there are no
hints at all. Proxies heed them (`netplugin/proxy/model.py`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from api import nodes
from api.core import Node, Service
from api.discovery import EndpointHints, ForNode, ForZone
from control.controllers.network.backends import Backend

MODE = "service.kubernetes.io/topology-mode"
MODE_BEFORE = "service.kubernetes.io/topology-aware-hints"
OVERLOAD = 0.2
"""The share by which a zone's endpoints may have more to do than if all were equally busy."""

_CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")

TOO_LITTLE_KNOWN = (
    "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes"
)
ONE_ZONE = "Nodes only ready in one zone"
TOO_FEW = "Insufficient number of endpoints"
OVERLOADED = "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold"
NO_ZONE = "One or more endpoints do not have a zone specified"

Shares = Mapping[str, float]
"""Of all CPUs, those of each zone; together 1."""
Hints = Mapping[tuple[str, str, str], EndpointHints]
"""By the pod of a backend."""


@dataclass(frozen=True, slots=True)
class Hinted:
    """The hints of a Service, or why topology-aware routing has none for it."""

    hints: Hints = field(default_factory=dict)
    disabled: str = ""


def is_automatic(service: Service) -> bool:
    """Whether its endpoints are to be shared out among the zones."""
    annotations = service.metadata.annotations
    return annotations.get(MODE_BEFORE, annotations.get(MODE)) in ("Auto", "auto")


def hints_of(service: Service, members: Iterable[Backend], shares: Shares | None) -> Hinted:
    """The hints of a Service's backends. `shares`: what the nodes offer; None if that is not known."""
    ready = [one for one in members if one.ready]
    if is_automatic(service):
        return shared_out(ready, shares)
    match service.spec.traffic_distribution:
        case "PreferClose" | "PreferSameZone":
            return Hinted({one.pod: _of_zone(one.zone) for one in ready if one.zone})
        case "PreferSameNode":
            return Hinted({one.pod: _of_node(one) for one in ready if one.node})
    return Hinted()


def _of_zone(zone: str) -> EndpointHints:
    return EndpointHints(for_zones=[ForZone(name=zone)])


def _of_node(backend: Backend) -> EndpointHints:
    zones = [ForZone(name=backend.zone)] if backend.zone else []
    return EndpointHints(for_zones=zones, for_nodes=[ForNode(name=backend.node)])


def zone_shares(found: Iterable[Node]) -> Shares | None:
    """What share of the CPUs each zone has; None where a node does not say.

    Nodes of the control plane, and those that are not ready, are not counted.
    """
    cpus: Counter[str] = Counter()
    for node in found:
        labels = node.metadata.labels
        if any(role in labels for role in _CONTROL_PLANE) or not nodes.is_ready(node):
            continue
        zone, cpu = nodes.zone_of(node), nodes.allocatable(node).get("cpu", 0)
        if not zone or not cpu:
            return None
        cpus[zone] += cpu
    total = cpus.total()
    return {zone: cpu / total for zone, cpu in sorted(cpus.items())} if total else None


def shared_out(ready: list[Backend], shares: Shares | None) -> Hinted:
    """Endpoints for each zone in the proportion of its CPUs."""
    if shares is None:
        return Hinted(disabled=TOO_LITTLE_KNOWN)
    if len(shares) < 2:
        return Hinted(disabled=ONE_ZONE)
    if len(ready) < len(shares):
        return Hinted(disabled=TOO_FEW)
    if not all(one.zone for one in ready):
        return Hinted(disabled=NO_ZONE)
    wanted = {zone: share * len(ready) for zone, share in shares.items()}
    least = {zone: math.ceil(_rounded(number / (1 + OVERLOAD))) for zone, number in wanted.items()}
    if sum(least.values()) > len(ready):
        return Hinted(disabled=OVERLOADED)
    zones = _assigned(ready, wanted, least)
    return Hinted({pod: _of_zone(zone) for pod, zone in zones.items()})


def _assigned(
    ready: list[Backend], wanted: Mapping[str, float], least: Mapping[str, int]
) -> dict[tuple[str, str, str], str]:
    """The zone of each endpoint: its own, unless another one has too few without it."""
    of_zone: dict[str, list[Backend]] = {zone: [] for zone in wanted}
    for one in sorted(ready, key=lambda backend: backend.pod):
        of_zone.setdefault(one.zone, []).append(one)

    def surplus(zone: str) -> tuple[float, str]:
        return len(of_zone[zone]) - wanted.get(zone, 0.0), zone

    # First to whom it is needed, and then from zones without nodes, whose proxies ask for nothing.
    while True:
        needy = [zone for zone in wanted if len(of_zone[zone]) < least[zone]]
        empty = [zone for zone in of_zone if zone not in wanted and of_zone[zone]]
        if not needy and not empty:
            break
        able = [zone for zone in of_zone if len(of_zone[zone]) > least.get(zone, 0)]
        giver = max(empty or able, key=surplus)
        of_zone[min(needy or wanted, key=surplus)].append(of_zone[giver].pop())
    return {one.pod: zone for zone, members in of_zone.items() for one in members}


def _rounded(number: float) -> float:
    """Without the last digits, which are chance: 6 / 1.2 is not quite 5."""
    return round(number, 9)
