"""DaemonSet: which nodes are fit, one pod on each, and updates that keep their bounds."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import pods
from api.apps import DaemonSet
from api.core import Node, Pod, PodCondition
from control.controllers.workloads import daemons
from control.controllers.workloads.daemons import Fit, Fleet, Step
from control.controllers.workloads.history import REVISION
from tests.unit.controllers.making import daemon_set
from tests.unit.scheduler.making import node

NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)
EARLIER = "2026-01-01T00:00:00Z"
_numbers = itertools.count()


def pod(on: str, *, hash_: str = "new", ready: bool = True, **more: Any) -> Pod:
    """A pod of the DaemonSet for a node."""
    made = daemons.new_pod(daemon_set(), on, hash_)
    made.metadata.name = made.metadata.uid = f"log-{next(_numbers)}"
    made.metadata.creation_timestamp = more.pop("created", EARLIER)
    if more.pop("deleting", False):
        made.metadata.deletion_timestamp = EARLIER
    made.spec.node_name = on if more.pop("bound", True) else ""
    made.status.phase = more.pop("phase", "Running")
    since = more.pop("since", EARLIER)
    if ready:
        made.status.conditions = [
            PodCondition(type="Ready", status="True", last_transition_time=since)
        ]
    assert not more, f"unknown: {more}"
    return made


def fleet(owner: DaemonSet, nodes: list[Node], mine: list[Pod]) -> Fleet:
    return daemons.gather(owner, nodes, mine, "new", NOW)


def fit(owner: DaemonSet, one: Node) -> Fit:
    return fleet(owner, [one], []).fits[one.metadata.name]


def names(several: Any) -> list[str]:
    return [one.metadata.name for one in several]


def tainted(key: str, effect: str) -> Node:
    return node("n1", taints=[{"key": key, "effect": effect}])


RUN, STAY, LEAVE = Fit(run=True, stay=True), Fit(run=False, stay=True), Fit(run=False, stay=False)
ZONE_A = {
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
                ]
            }
        }
    }
}


@pytest.mark.parametrize(
    ("pod_spec", "one", "expected"),
    [
        ({}, node("n1"), RUN),
        ({"nodeName": "n1"}, node("n1"), RUN),
        ({"nodeName": "n2"}, node("n1"), LEAVE),
        ({"nodeSelector": {"disk": "ssd"}}, node("n1", labels={"disk": "ssd"}), RUN),
        ({"nodeSelector": {"disk": "ssd"}}, node("n1"), LEAVE),
        (ZONE_A, node("n1", labels={"zone": "a"}), RUN),
        (ZONE_A, node("n1", labels={"zone": "b"}), LEAVE),
        ({}, tainted("dedicated", "NoSchedule"), STAY),
        ({}, tainted("dedicated", "PreferNoSchedule"), RUN),
        ({}, tainted("dedicated", "NoExecute"), LEAVE),
        (
            {"tolerations": [{"key": "dedicated", "operator": "Exists"}]},
            tainted("dedicated", "NoExecute"),
            RUN,
        ),
        ({}, tainted("node.kubernetes.io/unschedulable", "NoSchedule"), RUN),
        ({}, tainted("node.kubernetes.io/not-ready", "NoExecute"), RUN),
        ({}, tainted("node.kubernetes.io/not-ready", "NoSchedule"), STAY),
        ({}, tainted("node.kubernetes.io/unreachable", "NoExecute"), RUN),
        ({}, tainted("node.kubernetes.io/memory-pressure", "NoSchedule"), RUN),
        ({}, tainted("node.kubernetes.io/network-unavailable", "NoSchedule"), STAY),
        (
            {"hostNetwork": True},
            tainted("node.kubernetes.io/network-unavailable", "NoSchedule"),
            RUN,
        ),
    ],
)
def test_which_nodes_are_fit(pod_spec: dict[str, Any], one: Node, expected: Fit) -> None:
    assert fit(daemon_set(pod=pod_spec), one) == expected


def test_a_pod_says_on_which_node_it_belongs() -> None:
    owner = daemon_set(pod=ZONE_A)
    made = daemons.new_pod(owner, "n7", "abc")
    assert daemons.target_of(made) == "n7"
    assert made.spec.node_name == ""
    assert made.metadata.labels == {"app": "log", REVISION: "abc"}
    required = made.spec.affinity.node_affinity.required_during_scheduling_ignored_during_execution  # type: ignore[union-attr]
    assert required is not None
    (term,) = required.node_selector_terms
    assert not term.match_expressions
    assert [(t.key, t.effect, t.toleration_seconds) for t in made.spec.tolerations][:2] == [
        ("node.kubernetes.io/not-ready", "NoExecute", None),
        ("node.kubernetes.io/unreachable", "NoExecute", None),
    ]
    assert owner.spec.template.spec.tolerations == []


def test_one_pod_on_each_fit_node() -> None:
    there = [
        pod("n1"),
        pod("n2", created="2026-01-01T00:00:05Z"),
        pod("n2", created="2026-01-01T00:00:01Z"),
        pod("n3", deleting=True),
        pod("n5"),
        pod("gone", bound=False),
        pod("gone"),
    ]
    nodes = [node(f"n{number}") for number in range(1, 5)]
    nodes += [node("n5", taints=[{"key": "x", "effect": "NoExecute"}])]
    step = daemons.manage(fleet(daemon_set(), nodes, there))
    assert step.create == ("n4",)
    assert names(step.delete) == names([there[1], there[4], there[5]])


def test_pods_that_ended_are_replaced() -> None:
    there = [pod("n1", phase="Failed"), pod("n2", phase="Succeeded", deleting=True)]
    step = daemons.manage(fleet(daemon_set(), [node("n1"), node("n2")], there))
    assert (step.create, names(step.ended)) == (("n2",), names(there[:1]))


def test_an_adopted_pod_for_no_node_is_left_alone() -> None:
    stray = pod("n1", bound=False)
    stray.spec.affinity = None
    step = daemons.manage(fleet(daemon_set(), [], [stray]))
    assert step == Step()


def rolling(**amounts: Any) -> dict[str, Any]:
    return {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": amounts}}


@pytest.mark.parametrize(
    ("amount", "expected"), [(1, 1), (2, 2), ("50%", 2), ("26%", 2), ("1%", 1), ("100%", 4)]
)
def test_how_many_may_be_missing(amount: int | str, expected: int) -> None:
    owner = daemon_set(**rolling(maxUnavailable=amount))
    nodes = [node(f"n{number}") for number in range(4)]
    there = [pod(f"n{number}", hash_="old") for number in range(4)]
    assert len(daemons.update(fleet(owner, nodes, there)).delete) == expected


def test_old_pods_that_serve_nobody_go_first_and_cost_nothing() -> None:
    owner = daemon_set(**rolling(maxUnavailable=1))
    there = [
        pod("n1", hash_="old"),
        pod("n2", hash_="old", ready=False),
        pod("n3", hash_="old", ready=False),
    ]
    step = daemons.update(fleet(owner, [node(f"n{n}") for n in (1, 2, 3)], there))
    assert names(step.delete) == names(there[1:])


def test_an_update_waits_for_the_new_pod_to_be_available() -> None:
    owner = daemon_set(minReadySeconds=60, **rolling(maxUnavailable=1))
    young = pod("n1", since="2026-01-01T00:59:30Z")
    there = [young, pod("n2", hash_="old")]
    nodes = [node("n1"), node("n2")]
    assert daemons.update(fleet(owner, nodes, there)) == Step()
    young.status.conditions[0].last_transition_time = EARLIER
    assert names(daemons.update(fleet(owner, nodes, there)).delete) == names(there[1:])


def test_on_delete_waits_for_somebody_to_delete() -> None:
    owner = daemon_set(updateStrategy={"type": "OnDelete"})
    assert daemons.update(fleet(owner, [node("n1")], [pod("n1", hash_="old")])) == Step()


def test_a_surge_adds_first_and_deletes_when_the_new_one_is_available() -> None:
    owner = daemon_set(**rolling(maxUnavailable=0, maxSurge=1))
    nodes = [node("n1"), node("n2"), node("n3")]
    old = [pod(f"n{number}", hash_="old") for number in (1, 2, 3)]
    assert daemons.update(fleet(owner, nodes, old)) == Step(create=("n1",))
    new = pod("n1", ready=False, created="2026-01-01T00:59:00Z")
    assert daemons.manage(fleet(owner, nodes, [*old, new])) == Step()
    assert daemons.update(fleet(owner, nodes, [*old, new])) == Step()
    new.status.conditions = old[0].status.conditions
    assert names(daemons.manage(fleet(owner, nodes, [*old, new])).delete) == names(old[:1])


def test_a_surge_does_not_keep_an_old_pod_that_serves_nobody() -> None:
    owner = daemon_set(**rolling(maxUnavailable=0, maxSurge=1))
    old, new = pod("n1", hash_="old", ready=False), pod("n1", ready=False)
    assert names(daemons.manage(fleet(owner, [node("n1")], [old, new])).delete) == names([old])


def test_a_surge_leaves_a_node_alone_that_would_not_get_a_pod_today() -> None:
    owner = daemon_set(**rolling(maxUnavailable=0, maxSurge=1))
    closed = node("n1", taints=[{"key": "x", "effect": "NoSchedule"}])
    nodes = [closed, node("n2")]
    there = [pod("n1", hash_="old"), pod("n2")]
    assert daemons.update(fleet(owner, nodes, there)) == Step()


def test_status_counts() -> None:
    owner = daemon_set(minReadySeconds=60)
    owner.metadata.generation = 4
    nodes = [node(f"n{number}") for number in range(1, 5)]
    nodes.append(node("n5", taints=[{"key": "x", "effect": "NoSchedule"}]))
    there = [
        pod("n1"),
        pod("n2", hash_="old", since="2026-01-01T00:59:30Z"),
        pod("n3", ready=False),
        pod("n5"),
        pod("gone"),
    ]
    status = daemons.status_of(fleet(owner, nodes, there), 2)
    assert (status.desired_number_scheduled, status.current_number_scheduled) == (4, 3)
    assert (status.number_ready, status.number_available, status.number_unavailable) == (2, 1, 3)
    assert (status.updated_number_scheduled, status.number_misscheduled) == (2, 1)
    assert (status.observed_generation, status.collision_count) == (4, 2)


class World:
    """Nodes whose pods end and become ready in any order."""

    def __init__(self, owner: DaemonSet, size: int, source: random.Random) -> None:
        self.owner, self.source = owner, source
        self.nodes = [node(f"n{number}") for number in range(size)]
        self.pods = [pod(one.metadata.name, hash_="old") for one in self.nodes]

    @property
    def fleet(self) -> Fleet:
        return fleet(self.owner, self.nodes, self.pods)

    def act(self) -> None:
        """What the controller does."""
        step = daemons.manage(self.fleet)
        if step == Step():
            step = daemons.update(self.fleet)
        for one in step.delete:
            one.metadata.deletion_timestamp = EARLIER
        self.pods += [pod(name, ready=False, bound=False) for name in step.create]

    def move(self) -> None:
        """What the scheduler and the agents do: something, to some pod."""
        waiting = [
            one for one in self.pods if one.metadata.deletion_timestamp or not pods.is_ready(one)
        ]
        if not waiting:
            return
        one = self.source.choice(waiting)
        if one.metadata.deletion_timestamp:
            self.pods.remove(one)
        elif not one.spec.node_name:
            one.spec.node_name = daemons.target_of(one)
        else:
            one.status.conditions = pod("n1").status.conditions

    def serving(self) -> int:
        """Nodes with a pod that is ready and stays."""
        return len({o.spec.node_name for o in self.pods if pods.is_ready(o) and pods.is_active(o)})


@given(
    size=st.integers(1, 6),
    amounts=st.one_of(
        st.fixed_dictionaries({"maxUnavailable": st.integers(1, 4)}),
        st.fixed_dictionaries({"maxUnavailable": st.just(0), "maxSurge": st.integers(1, 4)}),
    ),
    seed=st.integers(0, 2**16),
)
def test_an_update_keeps_its_bounds_and_ends(size: int, amounts: dict[str, int], seed: int) -> None:
    world = World(daemon_set(**rolling(**amounts)), size, random.Random(seed))
    for _ in range(20 * size):
        world.act()
        staying: dict[str, int] = {}
        for one in world.pods:
            if pods.is_active(one):
                target = daemons.target_of(one)
                staying[target] = staying.get(target, 0) + 1
        doubled = sum(number > 1 for number in staying.values())
        assert world.serving() >= size - amounts["maxUnavailable"]
        assert max(staying.values(), default=0) <= 1 + ("maxSurge" in amounts)
        assert doubled <= amounts.get("maxSurge", 0)
        world.move()
    assert len(world.pods) == size
    assert all(world.fleet.is_updated(one) for one in world.pods)
