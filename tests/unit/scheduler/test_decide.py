"""One decision: who is refused and why, and which of the others is chosen."""

import random
from collections import Counter

import pytest

from api.core import Node
from control.scheduler.decide import Decision, decide
from control.scheduler.request import request_of
from control.scheduler.rules import Filter
from control.scheduler.snapshot import Snapshot
from tests.unit.scheduler.making import node, pod


def cluster(*nodes: Node) -> Snapshot:
    snapshot = Snapshot()
    for each in nodes:
        snapshot.set_node(each)
    return snapshot


def choose(snapshot: Snapshot, wanted: object) -> Decision:
    return decide(request_of(wanted), snapshot, lambda rows: rows[0])  # type: ignore[arg-type]


def test_no_nodes() -> None:
    decision = choose(Snapshot(), pod("p"))
    assert decision.node is None
    assert decision.message == "no nodes available to schedule pods"
    assert decision.nothing_to_try and not decision.rejected_by


@pytest.mark.parametrize(
    ("wanted", "nodes", "message"),
    [
        (pod("p", cpu="5"), [node("a"), node("b")], "0/2 nodes are available: 2 Insufficient cpu."),
        (
            pod("p", cpu="5", memory="9Gi"),
            [node("a")],
            "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory.",
        ),
        (pod("p"), [node("a", pods="0")], "0/1 nodes are available: 1 Too many pods."),
        (
            pod("p"),
            [node("a", unschedulable=True), node("b", unschedulable=True)],
            "0/2 nodes are available: 2 node(s) were unschedulable.",
        ),
        (
            pod("p"),
            [node("a", taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}])],
            "0/1 nodes are available: 1 node(s) had untolerated taint {k: v}.",
        ),
        (
            pod("p", nodeSelector={"disk": "ssd"}),
            [node("a", labels={"disk": "hdd"})],
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
        ),
        (
            pod("p", nodeName="b"),
            [node("a")],
            "0/1 nodes are available: 1 node(s) didn't match the requested node name.",
        ),
        (
            pod("p"),
            [node("a", conditions=[{"type": "Ready", "status": "False"}])],
            "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }.",
        ),
        (
            pod("p"),
            [node("a", conditions=[])],
            "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }.",
        ),
        (
            pod("p", cpu="5"),
            [node("a"), node("b", unschedulable=True), node("c")],
            "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu.",
        ),
    ],
)
def test_refusals_in_the_usual_words(wanted: object, nodes: list[Node], message: str) -> None:
    assert choose(cluster(*nodes), wanted).message == message


def test_every_refused_node_is_named_with_its_reason() -> None:
    decision = choose(cluster(node("a"), node("b", unschedulable=True)), pod("p", cpu="8"))
    assert decision.refused == {
        "a": ("Insufficient cpu",),
        "b": ("node(s) were unschedulable",),
    }
    assert decision.rejected_by == {Filter.NODE_UNSCHEDULABLE, Filter.NODE_RESOURCES_FIT}


def test_a_taint_is_tolerated() -> None:
    tainted = node("a", taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}])
    wanted = pod("p", tolerations=[{"key": "k", "operator": "Exists"}])
    assert choose(cluster(tainted), wanted).node == "a"


def test_prefer_no_schedule_only_discourages() -> None:
    tainted = node("a", taints=[{"key": "k", "effect": "PreferNoSchedule"}])
    assert choose(cluster(tainted), pod("p")).node == "a"
    assert choose(cluster(tainted, node("b")), pod("p")).node == "b"


def test_required_affinity_operators() -> None:
    terms = [
        {
            "matchExpressions": [
                {"key": "zone", "operator": "In", "values": ["x", "y"]},
                {"key": "gen", "operator": "Gt", "values": ["3"]},
                {"key": "old", "operator": "DoesNotExist"},
            ]
        }
    ]
    affinity = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}
        }
    }
    snapshot = cluster(
        node("a", labels={"zone": "x", "gen": "3"}),
        node("b", labels={"zone": "z", "gen": "4"}),
        node("c", labels={"zone": "y", "gen": "4"}),
        node("d", labels={"zone": "y", "gen": "4", "old": ""}),
    )
    assert choose(snapshot, pod("p", affinity=affinity)).node == "c"


def by_name(operator: str, *names: str) -> dict[str, object]:
    field = {"key": "metadata.name", "operator": operator, "values": list(names)}
    return {"matchFields": [field]}


@pytest.mark.parametrize(
    ("terms", "chosen"),
    [
        ([by_name("In", "b")], "b"),
        ([by_name("NotIn", "a")], "b"),
        ([by_name("In", "x"), by_name("In", "c")], "c"),
        (
            [{**by_name("NotIn", "b"), "matchExpressions": [{"key": "k", "operator": "Exists"}]}],
            "c",
        ),
        ([by_name("In", "x")], None),
    ],
)
def test_nodes_are_chosen_by_their_names(terms: list[object], chosen: str | None) -> None:
    rule = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    snapshot = cluster(node("a"), node("b", labels={"k": ""}), node("c", labels={"k": ""}))
    assert choose(snapshot, pod("p", affinity={"nodeAffinity": rule})).node == chosen


def test_names_may_be_preferred() -> None:
    rules = [{"weight": 1, "preference": by_name("In", "b")}]
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": rules}}
    assert choose(cluster(node("a"), node("b")), pod("p", affinity=affinity)).node == "b"


def test_preferred_affinity_decides_between_equals() -> None:
    preferred = [
        {
            "weight": 1,
            "preference": {
                "matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]
            },
        }
    ]
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    snapshot = cluster(node("a"), node("b", labels={"disk": "ssd"}))
    assert choose(snapshot, pod("p", affinity=affinity)).node == "b"


def test_host_ports_are_taken_once() -> None:
    snapshot = cluster(node("a"))
    first, second = pod("p", host_ports=(80,)), pod("q", host_ports=(80,))
    assert choose(snapshot, first).node == "a"
    snapshot.add_pod(request_of(first), "a")
    assert "didn't have free ports" in choose(snapshot, second).message
    snapshot.remove_pod("p")
    assert choose(snapshot, second).node == "a"


def test_least_allocated_wins() -> None:
    snapshot = cluster(node("a"), node("b"))
    snapshot.add_pod(request_of(pod("busy", cpu="2", memory="4Gi")), "a")
    assert choose(snapshot, pod("p", cpu="1")).node == "b"


def test_pods_of_one_owner_spread() -> None:
    snapshot = cluster(node("a"), node("b"), node("c"))
    placed = []
    for number in range(6):
        wanted = pod(f"p{number}", owner="rs", cpu="100m")
        chosen = choose(snapshot, wanted).node
        assert chosen is not None
        snapshot.add_pod(request_of(wanted), chosen)
        placed.append(chosen)
    assert sorted(placed) == ["a", "a", "b", "b", "c", "c"]


def test_pods_that_are_being_deleted_do_not_count_for_spreading() -> None:
    snapshot = cluster(node("a"), node("b"))
    going = [pod(f"old{number}", owner="rs", cpu="100m") for number in range(2)]
    for each in going:
        each.metadata.deletion_timestamp = "2026-01-01T00:00:00Z"
        snapshot.add_pod(request_of(each), "b")
    snapshot.add_pod(request_of(pod("other", cpu="1", memory="4Gi")), "b")
    snapshot.add_pod(request_of(pod("new0", owner="rs", cpu="100m")), "a")
    assert choose(snapshot, pod("new1", owner="rs", cpu="100m")).node == "b"


def test_pods_that_ask_for_nothing_spread() -> None:
    snapshot = cluster(node("a"), node("b"), node("c"))
    snapshot.add_pod(request_of(pod("small", cpu="50m", memory="16Mi")), "a")
    placed = []
    for number in range(8):
        chosen = choose(snapshot, pod(f"p{number}")).node
        assert chosen is not None
        snapshot.add_pod(request_of(pod(f"p{number}")), chosen)
        placed.append(chosen)
    assert {name: placed.count(name) for name in "abc"} == {"a": 2, "b": 3, "c": 3}


def test_ties_are_all_offered_to_chance() -> None:
    offered: list[int] = []

    def remember(rows: object) -> int:
        offered.extend(rows)  # type: ignore[call-overload]
        return offered[-1]

    snapshot = cluster(node("a"), node("b"), node("c"))
    decide(request_of(pod("p")), snapshot, remember)
    assert len(offered) == 3


def test_an_extended_resource_that_no_node_has() -> None:
    wanted = pod("p")
    wanted.spec.containers[0].resources.requests["example.com/gpu"] = "1"
    assert choose(cluster(node("a")), wanted).message == (
        "0/1 nodes are available: 1 Insufficient example.com/gpu."
    )


def test_a_full_node_takes_what_asks_for_nothing() -> None:
    snapshot = cluster(node("a"))
    snapshot.add_pod(request_of(pod("big", cpu="4", memory="8Gi")), "a")
    assert choose(snapshot, pod("p")).node == "a"


def test_weights_order_nodes_in_four_groups() -> None:
    """80 for the zone and 20 for the machines of one's own."""
    preferred = [
        {"weight": weight, "preference": {"matchExpressions": [requirement]}}
        for weight, requirement in (
            (80, {"key": "availability-zone", "operator": "In", "values": ["zone1"]}),
            (20, {"key": "share-type", "operator": "In", "values": ["dedicated"]}),
        )
    ]
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    places = [
        ("zone2", "shared"),
        ("zone2", "dedicated"),
        ("zone1", "shared"),
        ("zone1", "dedicated"),
    ]
    snapshot = cluster(
        *(
            node(f"{zone}-{share}", labels={"availability-zone": zone, "share-type": share})
            for zone, share in places
        )
    )
    scores = choose(snapshot, pod("p", affinity=affinity)).scores
    assert sorted(scores, key=lambda name: -scores[name]) == [
        "zone1-dedicated", "zone1-shared", "zone2-dedicated", "zone2-shared",
    ]  # fmt: skip
    assert len(set(scores.values())) == 4


def test_ties_are_spread_fairly() -> None:
    """Equal nodes get equally many, whoever comes first in the table."""
    chance, chosen = random.Random(1), Counter[str]()
    snapshot = cluster(*(node(name) for name in "abcd"))
    for _ in range(4000):
        chosen[str(decide(request_of(pod("p")), snapshot, chance.choice).node)] += 1
    assert set(chosen) == set("abcd")
    assert all(900 < count < 1100 for count in chosen.values()), chosen
