"""For whom an endpoint is: the wish of a Service, and the shares of the zones."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.core import Node, Service
from api.nodes import ZONE
from control.controllers.network import hints
from control.controllers.network.backends import Backend
from control.controllers.network.hints import OVERLOAD, Hinted, hints_of, zone_shares
from tests.unit.controllers.making import service
from tests.unit.scheduler.making import READY, node


def backend(name: str, zone: str, *, ready: bool = True, node: str = "n1") -> Backend:
    return Backend(
        ip="10.0.0.1",
        node=node,
        zone=zone,
        hostname="",
        pod=("default", name, name),
        ready=ready,
        serving=True,
        terminating=not ready,
    )


def automatic(annotation: str = hints.MODE, value: str = "Auto") -> Service:
    made = service()
    made.metadata.annotations = {annotation: value}
    return made


def in_zones(**counts: int) -> list[Backend]:
    return [backend(f"{zone}-{n}", zone) for zone, count in counts.items() for n in range(count)]


def zones_of(found: Hinted) -> dict[str, str]:
    return {pod[1]: "+".join(z.name for z in one.for_zones) for pod, one in found.hints.items()}


@pytest.mark.parametrize("wish", ["PreferClose", "PreferSameZone"])
def test_endpoints_for_their_own_zone(wish: str) -> None:
    found = hints_of(
        service(trafficDistribution=wish),
        [backend("a", "west"), backend("b", ""), backend("c", "east", ready=False)],
        None,
    )
    assert zones_of(found) == {"a": "west"}
    assert not any(one.for_nodes for one in found.hints.values())


def test_endpoints_for_their_own_node() -> None:
    found = hints_of(
        service(trafficDistribution="PreferSameNode"),
        [backend("a", "west", node="n1"), backend("b", "", node="n2"), backend("c", "", node="")],
        None,
    )
    nodes = {pod[1]: [n.name for n in one.for_nodes] for pod, one in found.hints.items()}
    assert nodes == {"a": ["n1"], "b": ["n2"]}
    assert zones_of(found) == {"a": "west", "b": ""}


def test_without_a_wish_nothing_is_hinted() -> None:
    assert hints_of(service(), in_zones(a=3, b=3), {"a": 0.5, "b": 0.5}) == Hinted()


@pytest.mark.parametrize(
    ("made", "shared"),
    [
        (automatic(), True),
        (automatic(value="auto"), True),
        (automatic(hints.MODE_BEFORE), True),
        (automatic(value="Disabled"), False),
        (automatic(value="AUTO"), False),
    ],
)
def test_which_annotations_ask_for_it(made: Service, shared: bool) -> None:
    assert hints.is_automatic(made) is shared


EQUAL = {"a": 0.5, "b": 0.5}


@pytest.mark.parametrize(
    ("members", "shares", "counts"),
    [
        (in_zones(a=3, b=3), EQUAL, {"a": 3, "b": 3}),
        (in_zones(a=6), EQUAL, {"a": 3, "b": 3}),
        (in_zones(a=4, b=2), EQUAL, {"a": 3, "b": 3}),
        (in_zones(a=11, b=9), EQUAL, {"a": 11, "b": 9}),
        (in_zones(a=5, c=1), EQUAL, {"a": 3, "b": 3}),
        (in_zones(a=3, b=3, c=2), EQUAL, {"a": 4, "b": 4}),
        (in_zones(a=6), {"a": 2 / 3, "b": 1 / 3}, {"a": 4, "b": 2}),
    ],
)
def test_each_zone_gets_what_it_needs(
    members: list[Backend], shares: dict[str, float], counts: dict[str, int]
) -> None:
    found = hints_of(automatic(), members, shares)
    assert not found.disabled
    assert Counter(zones_of(found).values()) == counts


@pytest.mark.parametrize(
    ("members", "shares", "why"),
    [
        (in_zones(a=3, b=3), None, hints.TOO_LITTLE_KNOWN),
        (in_zones(a=3), {"a": 1.0}, hints.ONE_ZONE),
        (in_zones(a=1), EQUAL, hints.TOO_FEW),
        ([*in_zones(a=3), backend("x", "")], EQUAL, hints.NO_ZONE),
        (in_zones(a=1, b=2), EQUAL, hints.OVERLOADED),
    ],
)
def test_why_there_are_none(
    members: list[Backend], shares: dict[str, float] | None, why: str
) -> None:
    assert hints_of(automatic(), members, shares) == Hinted(disabled=why)


@given(
    counts=st.lists(st.integers(0, 12), min_size=2, max_size=4),
    cpus=st.lists(st.integers(1, 9), min_size=2, max_size=4),
)
def test_no_zone_is_overloaded_and_nobody_is_left_out(counts: list[int], cpus: list[int]) -> None:
    members = in_zones(**{"abcd"[n]: count for n, count in enumerate(counts)})
    shares = {"abcd"[n]: cpu / sum(cpus) for n, cpu in enumerate(cpus)}
    found = hints_of(automatic(), members, shares)
    if found.disabled:
        return
    zones = zones_of(found)
    assert len(zones) == len(members)
    given_to = Counter(zones.values())
    assert given_to.keys() == shares.keys()
    for zone, share in shares.items():
        assert share * len(members) <= given_to[zone] * (1 + OVERLOAD) + 1e-6
    assert zones == zones_of(hints_of(automatic(), list(reversed(members)), shares))


def in_zone(name: str, zone: str, cpu: str, **labels: str) -> Node:
    made = node(
        name, cpu=cpu, labels={ZONE: zone, **labels} if zone else labels, conditions=[READY]
    )
    return made


def test_shares_are_those_of_the_cpus() -> None:
    assert zone_shares(
        [in_zone("n1", "a", "6"), in_zone("n2", "b", "1"), in_zone("n3", "b", "1")]
    ) == {
        "a": 0.75,
        "b": 0.25,
    }
    assert zone_shares([]) is None
    assert zone_shares([in_zone("n1", "a", "6"), in_zone("n2", "", "1")]) is None


def test_who_does_not_count_for_a_zone() -> None:
    control = in_zone("n2", "b", "8", **{"node-role.kubernetes.io/control-plane": ""})
    broken = node("n3", cpu="8", labels={ZONE: "c"}, conditions=[{**READY, "status": "False"}])
    assert zone_shares([in_zone("n1", "a", "6"), control, broken]) == {"a": 1.0}
