"""How fast zones lose nodes: states, paces, turns, and what a whole cluster in the dark means."""

from collections.abc import Iterable

import pytest

from api import timestamps
from api.core import Node, Taint
from api.nodes import REGION, ZONE
from base.clock import FakeClock
from control.controllers.context import NodeSettings
from control.controllers.nodes import health
from control.controllers.nodes.zones import (
    Pace,
    Zone,
    Zones,
    ZoneState,
    in_turn,
    nodes_per_second,
    state_of,
    zone_of,
)
from tests.unit.scheduler.making import READY, node

SETTINGS = NodeSettings()


def _node(name: str, zone: str = "a", *, ready: str = "True", since: str | None = None) -> Node:
    condition = {**READY, "status": ready, "lastTransitionTime": since}
    return node(name, labels={ZONE: zone}, conditions=[condition])


def _nodes(zone: str, *, ready: int, not_ready: int) -> list[Node]:
    return [
        _node(f"{zone}-{number}", zone, ready="True" if number < ready else "Unknown")
        for number in range(ready + not_ready)
    ]


@pytest.mark.parametrize(
    ("ready", "not_ready", "state"),
    [
        (0, 0, ZoneState.NORMAL),
        (1, 0, ZoneState.NORMAL),
        (0, 1, ZoneState.FULL),
        (0, 100, ZoneState.FULL),
        (1, 2, ZoneState.NORMAL),  # two are few, whatever their share
        (1, 3, ZoneState.PARTIAL),
        (9, 11, ZoneState.PARTIAL),  # 55 % exactly
        (46, 54, ZoneState.NORMAL),
        (45, 55, ZoneState.PARTIAL),
        (97, 3, ZoneState.NORMAL),
    ],
)
def test_what_a_zone_is_called(ready: int, not_ready: int, state: ZoneState) -> None:
    assert state_of(ready, not_ready, 0.55) is state


@pytest.mark.parametrize(
    ("state", "size", "rate"),
    [
        (ZoneState.NORMAL, 1, 0.1),
        (ZoneState.NORMAL, 5000, 0.1),
        (ZoneState.FULL, 5, 0.1),
        (ZoneState.FULL, 5000, 0.1),
        (ZoneState.PARTIAL, 50, 0.0),
        (ZoneState.PARTIAL, 51, 0.01),
    ],
)
def test_the_pace_of_a_zone(state: ZoneState, size: int, rate: float) -> None:
    assert nodes_per_second(state, size, SETTINGS) == rate


def test_a_zone_is_its_region_and_its_name() -> None:
    labels = {REGION: "west", ZONE: "a"}
    assert zone_of(node("n1", labels=labels)) == Zone("west", "a")
    assert zone_of(node("n1")) == Zone("", "")
    assert zone_of(node("n1", labels={REGION: "east", ZONE: "a"})) != Zone("west", "a")


def test_a_pace_saves_up_one_and_no_more() -> None:
    pace = Pace(rate=0.1, stock=1.0, at=0.0)
    assert pace.may(1000)
    pace.spend()
    assert not pace.may(1009.5)
    assert pace.may(1010)
    pace.spend()
    assert not pace.may(1019)


def test_another_pace_keeps_what_was_saved_up() -> None:
    pace = Pace(rate=0.1, stock=0.0, at=0.0)
    pace.set_rate(0.01, 5.0)
    assert not pace.may(54.9)
    assert pace.may(55.1)
    pace.set_rate(0.0, 56.0)
    assert not pace.may(1000.0), "a zone that loses nobody has no use for what it saved"


def _lost(clock: FakeClock, zones: Zones, nodes: list[Node], seconds: int) -> list[str]:
    """Who lost their pods within so long, looked at every five seconds, with the moment."""
    told: list[str] = []
    gone: set[str] = set()
    began = clock.monotonic()
    while clock.monotonic() - began <= seconds:
        zones.survey(nodes)
        for one in in_turn(n for n in nodes if health.is_in_trouble(n)):
            if one.metadata.name not in gone and zones.may_lose(one):
                zones.lost(one)
                gone.add(one.metadata.name)
                told.append(f"{one.metadata.name}@{clock.monotonic() - began:.0f}")
        clock.advance(5)
    return told


def test_a_node_in_ten_seconds_and_zone() -> None:
    clock = FakeClock()
    nodes = [*_nodes("a", ready=10, not_ready=3), *_nodes("b", ready=10, not_ready=1)]
    lost = _lost(clock, Zones(SETTINGS, clock), nodes, 60)
    assert sorted(lost) == ["a-10@0", "a-11@10", "a-12@20", "b-10@0"]


def test_a_large_zone_in_trouble_loses_nodes_slowly_and_a_small_one_none() -> None:
    clock = FakeClock()
    nodes = [*_nodes("big", ready=20, not_ready=40), *_nodes("few", ready=2, not_ready=8)]
    lost = _lost(clock, Zones(SETTINGS, clock), nodes, 250)
    assert [told.partition("@")[2] for told in lost] == ["0", "100", "200"]
    assert all(told.startswith("big-") for told in lost)


def test_a_dark_zone_goes_on_while_another_is_well() -> None:
    clock = FakeClock()
    zones = Zones(SETTINGS, clock)
    nodes = [*_nodes("dark", ready=0, not_ready=4), *_nodes("well", ready=1, not_ready=0)]
    assert [told.partition("@")[2] for told in _lost(clock, zones, nodes, 30)] == [
        *("0", "10", "20", "30")
    ]
    assert not zones.all_disrupted


def test_nobody_goes_while_every_zone_is_dark() -> None:
    clock = FakeClock()
    zones = Zones(SETTINGS, clock)
    dark = [*_nodes("a", ready=0, not_ready=4), *_nodes("b", ready=0, not_ready=4)]
    assert _lost(clock, zones, dark, 600) == []
    assert zones.all_disrupted
    back = [*_nodes("a", ready=4, not_ready=0), *dark[4:]]
    zones.survey(back)
    assert not zones.all_disrupted
    assert _lost(clock, zones, back, 10) == ["b-0@0", "b-1@10"]


def test_a_cluster_without_nodes_is_not_in_the_dark() -> None:
    zones = Zones(SETTINGS, FakeClock())
    zones.survey([])
    assert not zones.all_disrupted
    assert not zones.may_lose(_node("n1"))


def test_zones_that_are_gone_are_forgotten() -> None:
    zones = Zones(SETTINGS, FakeClock())
    zones.survey([*_nodes("a", ready=1, not_ready=0), *_nodes("b", ready=0, not_ready=1)])
    zones.survey(_nodes("a", ready=1, not_ready=0))
    assert zones.states() == {Zone("", "a"): ZoneState.NORMAL}


def test_who_fell_first_goes_first() -> None:
    clock = FakeClock()
    first = timestamps.now_string(clock)
    clock.advance(3)
    later = timestamps.now_string(clock)
    nodes = [
        _node("b", ready="False", since=later),
        _node("c", ready="Unknown", since=first),
        _node("a", ready="Unknown", since=later),
    ]
    assert [one.metadata.name for one in in_turn(nodes)] == ["c", "a", "b"]


UNREACHABLE_TAINTS = {(health.UNREACHABLE, "NoSchedule"), (health.UNREACHABLE, "NoExecute")}


@pytest.mark.parametrize(
    ("ready", "evicts", "expected"),
    [
        ("True", False, set()),
        ("True", True, set()),
        ("False", False, {(health.NOT_READY, "NoSchedule")}),
        ("False", True, {(health.NOT_READY, "NoSchedule"), (health.NOT_READY, "NoExecute")}),
        ("Unknown", False, {(health.UNREACHABLE, "NoSchedule")}),
        ("Unknown", True, UNREACHABLE_TAINTS),
    ],
)
def test_what_evicts_waits_for_its_turn_and_what_keeps_pods_away_does_not(
    ready: str, evicts: bool, expected: set[tuple[str, str]]
) -> None:
    told = health.wanted_taints(_node("n1", ready=ready), "now", evicts=evicts)
    assert {(taint.key, taint.effect) for taint in told} == expected


def test_taints_of_others_stay_and_ours_keep_their_age() -> None:
    silent = _node("n1", ready="Unknown")
    silent.spec.taints = health.wanted_taints(silent, "then", evicts=True)
    foreign = node("n2", taints=[{"key": "k", "effect": "NoExecute"}]).spec.taints
    silent.spec.taints += foreign
    told = health.wanted_taints(silent, "now", evicts=True)
    assert _times(told) == {"k": None, health.UNREACHABLE: "then"}
    silent.status.conditions[0].status = "False"
    assert _times(health.wanted_taints(silent, "now", evicts=True)) == {
        "k": None,
        health.NOT_READY: "now",
    }


def _times(taints: Iterable[Taint]) -> dict[str, str | None]:
    return {taint.key: taint.time_added for taint in taints}
