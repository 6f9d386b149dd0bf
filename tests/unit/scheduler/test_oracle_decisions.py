"""Whole decisions against slow ones: every filter and score about nodes themselves, on random clusters."""

from __future__ import annotations

import random
import statistics
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api import nodes as rules_of_nodes
from api import objects
from api.core import ContainerPort, Node, Pod
from api.quantity import milli
from control.scheduler.decide import decide
from control.scheduler.profile import Profile
from control.scheduler.request import request_of
from control.scheduler.rules import Filter, Rules
from control.scheduler.scores import SCORES
from control.scheduler.snapshot import Snapshot
from tests.thorough import examples
from tests.unit.scheduler.making import node, pod

ZONE = "topology.kubernetes.io/zone"
TAINTS = st.lists(
    st.builds(
        lambda key, effect: {"key": key, "value": "v", "effect": effect},
        st.sampled_from(["k", "l"]),
        st.sampled_from(["NoSchedule", "PreferNoSchedule", "NoExecute"]),
    ),
    max_size=2,
    unique_by=lambda taint: (taint["key"], taint["effect"]),
)
TOLERATIONS = st.lists(
    st.sampled_from(
        [
            {"operator": "Exists"},
            {"key": "k", "operator": "Exists"},
            {"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"},
            {"key": "l", "operator": "Equal", "value": "other"},
            {"key": "node.kubernetes.io/unschedulable", "operator": "Exists"},
        ]
    ),
    max_size=2,
)
REQUIREMENTS = st.sampled_from(
    [
        {"key": "disk", "operator": "In", "values": ["ssd", "hdd"]},
        {"key": "disk", "operator": "NotIn", "values": ["ssd"]},
        {"key": "disk", "operator": "Exists"},
        {"key": "disk", "operator": "DoesNotExist"},
        {"key": "gen", "operator": "Gt", "values": ["3"]},
        {"key": "gen", "operator": "Lt", "values": ["3"]},
    ]
)
FIELDS = st.builds(
    lambda operator, name: {"key": "metadata.name", "operator": operator, "values": [name]},
    st.sampled_from(["In", "NotIn"]),
    st.sampled_from(["n0", "n1"]),
)
NODE_TERMS = st.builds(
    lambda expressions, fields: {"matchExpressions": expressions, "matchFields": fields},
    st.lists(REQUIREMENTS, max_size=2),
    st.lists(FIELDS, max_size=1),
)
PORTS = st.lists(
    st.builds(
        lambda port, ip, protocol: {
            "containerPort": 1, "hostPort": port, "hostIP": ip, "protocol": protocol,
        },
        st.sampled_from([80, 81]),
        st.sampled_from(["", "0.0.0.0", "10.0.0.1", "10.0.0.2"]),
        st.sampled_from(["TCP", "UDP"]),
    ),
    max_size=2,
)  # fmt: skip


@st.composite
def pods(draw: st.DrawFn, name: str) -> Pod:
    affinity: dict[str, Any] = {}
    if draw(st.booleans()):
        terms = draw(st.lists(NODE_TERMS, min_size=1, max_size=2))
        affinity["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": terms}
    preferred = [
        {"weight": draw(st.integers(1, 100)), "preference": term}
        for term in draw(st.lists(NODE_TERMS, max_size=2))
    ]
    affinity["preferredDuringSchedulingIgnoredDuringExecution"] = preferred
    made = pod(
        name,
        cpu=draw(st.sampled_from(["", "500m", "2"])),
        memory=draw(st.sampled_from(["", "1Gi", "5Gi"])),
        owner=draw(st.sampled_from(["", "one", "two"])),
        tolerations=draw(TOLERATIONS),
        nodeName=draw(st.sampled_from(["", "", "", "", "n1"])),
        nodeSelector=draw(st.sampled_from([{}, {}, {"disk": "ssd"}])),
        affinity={"nodeAffinity": affinity},
    )
    container = made.spec.containers[0]
    container.ports = [type_port(one) for one in draw(PORTS)]
    return made


def type_port(tree: dict[str, Any]) -> Any:
    return msgspec.convert(tree, type=ContainerPort)


@st.composite
def clusters(draw: st.DrawFn) -> tuple[list[Node], list[tuple[Pod, int]]]:
    made = []
    for number in range(draw(st.integers(1, 5))):
        labels = draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "disk": st.sampled_from(["ssd", "hdd", "tape"]),
                    "gen": st.sampled_from(["2", "3", "4"]),
                    ZONE: st.sampled_from(["east", "west"]),
                },
            )
        )
        made.append(
            node(
                f"n{number}",
                cpu=draw(st.sampled_from(["1", "4"])),
                memory=draw(st.sampled_from(["4Gi", "8Gi"])),
                pods=draw(st.sampled_from(["1", "110"])),
                labels=labels,
                taints=draw(TAINTS),
                unschedulable=draw(st.sampled_from([False, False, True])),
            )
        )
    count = draw(st.integers(0, 5))
    placed = [(draw(pods(f"p{at}")), draw(st.integers(0, len(made) - 1))) for at in range(count)]
    return made, placed


@dataclass
class Slow:
    """A cluster, asked node by node."""

    nodes: list[Node]
    placed: list[tuple[Pod, int]]
    wanted: Pod
    skips: frozenset[Filter]

    def on(self, number: int) -> list[Pod]:
        return [one for one, where in self.placed if where == number]

    def tolerates(self, key: str, value: str, effect: str) -> bool:
        return any(
            (not one.key or one.key == key)
            and (not one.effect or one.effect == effect)
            and (one.operator == "Exists" or one.value == value)
            for one in self.wanted.spec.tolerations
        )

    def refusal(self, number: int) -> tuple[str, ...]:
        """Why a node cannot run it, by the first filter that says no."""
        one, spec = self.nodes[number], self.wanted.spec
        taints = sorted((t.key, t.value, t.effect) for t in one.spec.taints)
        hard = [
            (key, value)
            for key, value, effect in taints
            if effect != "PreferNoSchedule" and not self.tolerates(key, value, effect)
        ]
        checks: list[tuple[Filter, tuple[str, ...]]] = [
            (
                Filter.NODE_UNSCHEDULABLE,
                ("node(s) were unschedulable",)
                if one.spec.unschedulable
                and not self.tolerates("node.kubernetes.io/unschedulable", "", "NoSchedule")
                else (),
            ),
            (
                Filter.NODE_NAME,
                ("node(s) didn't match the requested node name",)
                if spec.node_name not in ("", one.metadata.name)
                else (),
            ),
            (
                Filter.TAINT_TOLERATION,
                ("node(s) had untolerated taint {{{}: {}}}".format(*hard[0]),) if hard else (),
            ),
            (
                Filter.NODE_AFFINITY,
                ()
                if rules_of_nodes.matches_required(spec, one)
                else ("node(s) didn't match Pod's node affinity/selector",),
            ),
            (Filter.NODE_PORTS, self.port_taken(number)),
            (Filter.NODE_RESOURCES_FIT, self.lacks(number)),
        ]
        return next((why for filter_, why in checks if why and filter_ not in self.skips), ())

    def port_taken(self, number: int) -> tuple[str, ...]:
        def ports(one: Pod) -> list[tuple[int, str, str]]:
            return [
                (port.host_port, port.host_ip or "0.0.0.0", port.protocol or "TCP")
                for port in one.spec.containers[0].ports
            ]

        for mine in ports(self.wanted):
            for other in self.on(number):
                for theirs in ports(other):
                    same = (mine[0], mine[2]) == (theirs[0], theirs[2])
                    if same and (mine[1] == theirs[1] or "0.0.0.0" in (mine[1], theirs[1])):
                        return ("node(s) didn't have free ports for the requested pod ports",)
        return ()

    def amount(self, one: Pod, resource: str) -> int:
        return milli(one.spec.containers[0].resources.requests.get(resource, "0"))

    def lacks(self, number: int) -> tuple[str, ...]:
        room, there, found = self.nodes[number].status.allocatable, self.on(number), []
        for resource in ("cpu", "memory"):
            mine = self.amount(self.wanted, resource)
            used = sum(self.amount(one, resource) for one in there)
            if mine and used + mine > milli(room[resource]):
                found.append(f"Insufficient {resource}")
        if len(there) + 1 > int(room["pods"]):
            found.append("Too many pods")
        return tuple(found)

    def scores(self) -> dict[str, float]:
        """The weighted sum of each node that can run it."""
        able = [number for number in range(len(self.nodes)) if not self.refusal(number)]
        if not able:
            return {}
        wishes = {
            number: rules_of_nodes.preference(self.wanted.spec, self.nodes[number])
            for number in able
        }
        dislikes = {number: self.dislikes(number) for number in able}
        spread = self.apart(able)
        sums = {}
        for number in able:
            parts = self.used(number)
            sums[self.nodes[number].metadata.name] = (
                sum(100 * max(0.0, 1 - part) for part in parts) / 2
                + 100 * (1 - statistics.pstdev(min(1.0, part) for part in parts))
                + 2 * (100 * wishes[number] / max(wishes.values()) if max(wishes.values()) else 0)
                + 3 * inverted(dislikes[number], max(dislikes.values()))
                + 2 * spread[number]
            )
        return sums

    def used(self, number: int) -> list[float]:
        room, least = (
            self.nodes[number].status.allocatable,
            {"cpu": 100, "memory": 200 * 2**20 * 1000},
        )
        there = [*self.on(number), self.wanted]
        return [
            sum(self.amount(one, name) or least[name] for one in there) / milli(room[name])
            for name in ("cpu", "memory")
        ]

    def dislikes(self, number: int) -> int:
        return sum(
            one.effect == "PreferNoSchedule" and not self.tolerates(one.key, one.value, one.effect)
            for one in self.nodes[number].spec.taints
        )

    def apart(self, able: list[int]) -> dict[int, float]:
        """SelectorSpread: by node, and where there are zones, twice as much by zone."""
        owner = objects.controller_of(self.wanted)
        if owner is None:
            return dict.fromkeys(able, 100.0)

        def count(numbers: list[int]) -> int:
            found = [objects.controller_of(one) for one, where in self.placed if where in numbers]
            return sum(one is not None and one.uid == owner.uid for one in found)

        zone = {number: self.nodes[number].metadata.labels.get(ZONE) for number in able}
        here = {number: count([number]) for number in able}
        there = {
            number: count([other for other in able if zone[other] == zone[number]])
            for number in able
            if zone[number]
        }
        most, most_zone = max(here.values()), max(there.values(), default=0)
        return {
            number: inverted(here[number], most)
            if number not in there
            else (inverted(here[number], most) + 2 * inverted(there[number], most_zone)) / 3
            for number in able
        }


def inverted(value: float, most: float) -> float:
    return 100 * (most - value) / most if most else 100.0


@given(
    cluster=clusters(),
    wanted=pods("new"),
    skips=st.one_of(st.just(frozenset()), st.frozensets(st.sampled_from([*Filter]), max_size=3)),
    seed=st.integers(0, 1000),
)
@settings(max_examples=examples(100, long=1500), deadline=None)
def test_the_whole_decision(
    cluster: tuple[list[Node], list[tuple[Pod, int]]],
    wanted: Pod,
    skips: frozenset[Filter],
    seed: int,
) -> None:
    made, placed = cluster
    snapshot, chance = Snapshot(), random.Random(seed)
    for each in made:
        snapshot.set_node(each)
    rules = Rules(skips=skips)
    for one, where in placed:
        snapshot.add_pod(request_of(one), chance.choice(made).metadata.name)
        if chance.random() < 0.3:
            decide(request_of(wanted, rules), snapshot, min)
        snapshot.add_pod(request_of(one), made[where].metadata.name)
    slow = Slow(made, placed, wanted, skips)
    decision = decide(request_of(wanted, rules), snapshot, chance.choice)
    refused = {
        each.metadata.name: why for number, each in enumerate(made) if (why := slow.refusal(number))
    }
    assert decision.refused == refused
    expected = slow.scores()
    assert decision.scores == pytest.approx(expected, abs=1e-2)
    if not expected:
        assert decision.node is None
        return
    assert decision.node is not None
    assert expected[decision.node] >= max(expected.values()) - 1e-6


def test_every_score_is_compared_with_a_slow_one() -> None:
    """A new score wants one; this list says where the ones that there are have theirs."""
    compared = {
        "NodeResourcesFit": "here, test_oracle_amounts",
        "NodeResourcesBalancedAllocation": "here, test_oracle_amounts",
        "SelectorSpread": "here",
        "NodeAffinity": "here",
        "TaintToleration": "here",
        "PodTopologySpread": "test_oracle",
        "InterPodAffinity": "test_oracle",
        "ImageLocality": "test_images",
    }
    assert {name for name, _, _ in SCORES} == compared.keys()
    filters = {
        Filter.NODE_UNSCHEDULABLE: "here",
        Filter.NODE_NAME: "here",
        Filter.TAINT_TOLERATION: "here",
        Filter.NODE_AFFINITY: "here",
        Filter.NODE_PORTS: "here",
        Filter.NODE_RESOURCES_FIT: "here",
        Filter.VOLUME_RESTRICTIONS: "test_oracle_volumes",
        Filter.NODE_VOLUME_LIMITS: "test_oracle_volumes",
        Filter.VOLUME_BINDING: "test_oracle_volumes",
        Filter.VOLUME_ZONE: "test_oracle_volumes",
        Filter.POD_TOPOLOGY_SPREAD: "test_oracle",
        Filter.INTER_POD_AFFINITY: "test_oracle",
    }
    assert filters.keys() == {*Filter}


def test_ties_are_broken_fairly_under_every_profile() -> None:
    """Whatever is scored, nodes that come out equal get equally many; so when only some are compared."""
    for profile in (Profile(), Profile(scores=()), Profile(percentage=50)):
        chance, counts = random.Random(7), dict.fromkeys(range(200), 0)
        snapshot = Snapshot()
        for number in counts:
            snapshot.set_node(node(f"n{number}"))
        for _ in range(8_000):
            chosen = decide(request_of(pod("p")), snapshot, chance.choice, profile).node
            assert chosen is not None
            counts[int(chosen[1:])] += 1
        assert min(counts.values()) > 10 and max(counts.values()) < 80, profile
