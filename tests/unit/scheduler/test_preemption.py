"""Who has to go: the documented choice of node and victims, case by case and against a slow search."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.core import Pod
from api.meta import LabelSelector, ObjectMeta
from api.policy import PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus
from control.scheduler.decide import decide
from control.scheduler.nominations import Nominations
from control.scheduler.preemption import (
    NEVER,
    Budget,
    Choice,
    Outcome,
    budget_of,
    is_expected,
    preempt,
)
from control.scheduler.request import Request, request_of
from control.scheduler.snapshot import Snapshot
from tests.thorough import examples
from tests.unit.scheduler.making import node, pod

SHY = {
    "podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "web"}}}
        ]
    }
}
WEB = {"app": "web"}


def low(name: str, priority: int = 0, cpu: str = "1", **more: Any) -> Pod:
    return pod(name, cpu=cpu, priority=priority, **more)


def high(cpu: str = "1", **more: Any) -> Pod:
    return pod("high", cpu=cpu, priority=1000, **more)


def cluster(placed: Mapping[str, Iterable[Pod]], **sizes: Any) -> Snapshot:
    """Nodes of two CPUs, and the pods on each."""
    snapshot = Snapshot()
    for name, pods in placed.items():
        snapshot.set_node(node(name, **{"cpu": "2", "labels": {"zone": name}, **sizes}))
        for one in pods:
            snapshot.add_pod(request_of(one), name)
    return snapshot


def state(snapshot: Snapshot) -> Any:
    used = {row.name: sorted(row.pods) for row in snapshot.rows if row is not None}
    return used, snapshot.taken.tolist(), snapshot.priorities


def outcome(
    wanted: Pod,
    snapshot: Snapshot,
    budgets: Iterable[Budget] = (),
    started: Mapping[str, str] | None = None,
) -> Outcome:
    request, before = request_of(wanted), state(snapshot)
    decision = decide(request, snapshot, min)
    assert decision.node is None
    ages = started or {}
    found = preempt(request, snapshot, decision, list(budgets), lambda one: ages.get(one.uid, "~"))
    assert state(snapshot) == before
    return found


def victims(*arguments: Any, **more: Any) -> tuple[str, list[str]]:
    """The node, and who has to leave it."""
    choice = outcome(*arguments, **more).choice
    assert choice is not None
    return choice.node, [victim.name for victim in choice.victims]


def budget(allowed: int, *disrupted: str) -> Budget:
    return budget_of(
        PodDisruptionBudget(
            metadata=ObjectMeta(name="b", namespace="default"),
            spec=PodDisruptionBudgetSpec(selector=LabelSelector(match_labels=WEB)),
            status=PodDisruptionBudgetStatus(
                disruptions_allowed=allowed, disrupted_pods=dict.fromkeys(disrupted)
            ),
        )
    )


def test_nobody_goes_who_could_stay() -> None:
    there = [low("a", 5), low("b", 7)]
    assert victims(high(), cluster({"n1": there})) == ("n1", ["a"])


def test_the_less_important_and_then_the_younger_goes() -> None:
    there = [low("old", 5), low("young", 5)]
    started = {"old": "2026-01-01T00:00:00Z", "young": "2026-01-02T00:00:00Z"}
    assert victims(high(), cluster({"n1": there}), started=started) == ("n1", ["young"])


@pytest.mark.parametrize(
    ("placed", "chosen"),
    [
        ({"n1": [low("a", 5, "2")], "n2": [low("b", 4, "2")]}, ("n2", ["b"])),
        (
            {"n1": [low("a", 4), low("b", 3)], "n2": [low("c", 4), low("d", 2)]},
            ("n2", ["c", "d"]),
        ),
        ({"n1": [low("a", 4), low("b", 4)], "n2": [low("c", 4, "2")]}, ("n2", ["c"])),
        ({"n1": [low("a", -5), low("b", -5)], "n2": [low("c", -5, "2")]}, ("n2", ["c"])),
        ({"n1": [low("a", 4, "2")], "n2": [low("b", 4, "2")]}, ("n1", ["a"])),
    ],
)
def test_which_node(placed: dict[str, list[Pod]], chosen: tuple[str, list[str]]) -> None:
    assert victims(high("2"), cluster(placed)) == chosen


def test_of_nodes_that_cost_the_same_the_one_that_was_started_last() -> None:
    snapshot = cluster({"n1": [low("a", 4, "2")], "n2": [low("b", 4, "2")]})
    started = {"a": "2026-01-01T00:00:00Z", "b": "2026-01-02T00:00:00Z"}
    assert victims(high("2"), snapshot, started=started) == ("n2", ["b"])


def test_budgets_are_spared_before_priorities_and_on_other_nodes() -> None:
    guarded = low("guarded", 1, labels=WEB)
    assert victims(high(), cluster({"n1": [guarded, low("a", 5)]}), [budget(0)]) == ("n1", ["a"])
    snapshot = cluster({"n1": [low("w", 1, "2", labels=WEB)], "n2": [low("a", 9, "2")]})
    assert victims(high(), snapshot, [budget(0)]) == ("n2", ["a"])
    assert victims(high(), snapshot, [budget(1)]) == ("n1", ["w"])
    assert victims(high(), snapshot, [budget(0, "w")]) == ("n1", ["w"])  # counted already


def test_budgets_give_way_when_nothing_else_helps() -> None:
    snapshot = cluster({"n1": [low("w", 1, "2", labels=WEB)]})
    choice = outcome(high(), snapshot, [budget(0)]).choice
    assert choice is not None and choice.violations == 1


def test_host_ports() -> None:
    there = [low("a", 5, host_ports=[80]), low("b", 1)]
    snapshot = cluster({"n1": there}, cpu="9")
    assert victims(high(host_ports=[80]), snapshot) == ("n1", ["a"])


@pytest.mark.parametrize("wanted", [high(affinity=SHY), high(labels=WEB)])
def test_neighbours(wanted: Pod) -> None:
    """One that shuns those that run, and one that those that run shun."""
    shy = {"affinity": SHY} if wanted.metadata.labels else {}
    there = [low("a", 5, labels=WEB, **shy), low("b", 1)]
    assert victims(wanted, cluster({"n1": there}, cpu="9")) == ("n1", ["a"])


NOT_HELPFUL = "Preemption is not helpful for scheduling"


@pytest.mark.parametrize(
    ("wanted", "placed", "sizes", "message"),
    [
        (high(), {"n1": [low("a", 1000, "2")]}, {}, "1 No preemption victims found for incoming"),
        (high(), {"n1": [low("a", 1000, "2"), low("b", 1, "0")]}, {}, "1 Insufficient cpu."),
        (high("3"), {"n1": [low("a")]}, {}, f"1 {NOT_HELPFUL}."),
        (high(), {"n1": [low("a", 1, "2")]}, {"unschedulable": True}, f"1 {NOT_HELPFUL}."),
        (
            high(nodeSelector={"disk": "ssd"}),
            {"n1": [low("a", 1, "2")], "n2": []},
            {},
            f"2 {NOT_HELPFUL}.",
        ),
        (
            high(host_ports=[80]),
            {"n1": [low("a", 1000, host_ports=[80]), low("b", 1)]},
            {},
            "1 node(s) didn't have free ports for the requested pod ports.",
        ),
        (
            high(affinity=SHY),
            {"n1": [low("a", 1000, "0", labels=WEB), low("b", 1)]},
            {},
            "1 node(s) didn't match pod anti-affinity rules.",
        ),
    ],
)
def test_when_it_does_not_help(
    wanted: Pod, placed: dict[str, list[Pod]], sizes: dict[str, Any], message: str
) -> None:
    found = outcome(wanted, cluster(placed, **sizes))
    assert found.choice is None
    assert found.message.startswith(f"0/{len(placed)} nodes are available: {message}")


def test_a_pod_that_never_preempts() -> None:
    snapshot = cluster({"n1": [low("a", 1, "2")]})
    assert outcome(high(preemptionPolicy="Never"), snapshot) == Outcome(None, NEVER)


def test_what_is_just_leaving_is_waited_for() -> None:
    leaving = low("a", 1, "2")
    leaving.metadata.deletion_timestamp = "2026-01-01T00:00:00Z"
    snapshot = cluster({"n1": [leaving], "n2": [low("b", 1)]})
    request = request_of(high())
    decision = decide(request, snapshot, min)
    assert is_expected(request, snapshot, "n1", decision)
    assert not is_expected(request, snapshot, "n2", decision)
    assert not is_expected(request, snapshot, "gone", decision)


def test_a_node_that_has_been_closed_meanwhile_is_waited_for_no_longer() -> None:
    leaving = low("a", 1, "2")
    leaving.metadata.deletion_timestamp = "2026-01-01T00:00:00Z"
    snapshot = cluster({"n1": [leaving], "n2": [low("b", 1, "2")]})
    snapshot.set_node(node("n1", cpu="2", unschedulable=True))
    request = request_of(high())
    assert not is_expected(request, snapshot, "n1", decide(request, snapshot, min))
    assert victims(high(), snapshot) == ("n2", ["b"])


def test_where_the_search_begins_and_that_it_ends() -> None:
    """A tenth of the nodes, at least 100, is enough; the rest is looked at next time."""
    placed = {f"n{number:03}": [low(f"p{number}", 1, "2")] for number in range(150)}
    snapshot = cluster(placed)
    request = request_of(high())
    decision = decide(request, snapshot, min)
    tried: list[Request] = []

    def started(one: Request) -> str:
        tried.append(one)
        return "~"

    choice = preempt(request, snapshot, decision, [], started, first=140).choice
    assert choice is not None and choice.node == "n140"
    names = {one.name for one in tried}
    assert len(names) == 100 and {"p140", "p149", "p0", "p89"} <= names


# A slow search: every set of less important pods whose leaving helps, and no pod could be spared.


def cheapest(wanted: Pod, placed: dict[str, list[Pod]]) -> int | None:
    """The lowest highest priority of victims on any node."""
    costs = []
    for pods in placed.values():
        weaker = [one for one in pods if (one.spec.priority or 0) < 1000]
        for count in range(1, len(weaker) + 1):
            for gone in itertools.combinations(weaker, count):
                left = [one for one in pods if one not in gone]
                if decide(request_of(wanted), cluster({"n": left}), min).node:
                    costs.append(max(one.spec.priority or 0 for one in gone))
    return min(costs, default=None)


PLACED = st.lists(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["0", "500m", "1"]), st.booleans()),
        max_size=4,
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=examples(80, long=1000), deadline=None)
@given(PLACED, st.sampled_from(["500m", "1", "2"]), st.booleans())
def test_as_the_slow_search(nodes: list[list[tuple[int, str, bool]]], cpu: str, shy: bool) -> None:
    placed = {
        f"n{at}": [
            low(
                f"p{at}-{number}",
                1000 if priority == 3 else priority,
                size,
                labels=WEB if web else {},
            )
            for number, (priority, size, web) in enumerate(pods)
        ]
        for at, pods in enumerate(nodes)
    }
    wanted = high(cpu, **({"affinity": SHY} if shy else {}))
    snapshot = cluster(placed)
    if decide(request_of(wanted), snapshot, min).node is not None:
        return
    choice = outcome(wanted, snapshot).choice
    slow = cheapest(wanted, placed)
    assert (choice is None) == (slow is None)
    if choice is None:
        return
    assert max(one.priority for one in choice.victims) == slow
    minimal(wanted, placed[choice.node], choice)


def minimal(wanted: Pod, pods: list[Pod], choice: Choice) -> None:
    """With the victims gone the pod fits, and with any one of them back it does not."""
    names = {one.name for one in choice.victims}
    stay = [one for one in pods if one.metadata.name not in names]
    request = request_of(wanted)
    assert decide(request, cluster({"n": stay}), min).node
    for back in (one for one in pods if one.metadata.name in names):
        assert not decide(request, cluster({"n": [*stay, back]}), min).node


def test_what_was_vacated_for_a_pod_is_taken_before_anything_better() -> None:
    snapshot = cluster({"n1": [low("a", 1)], "n2": []})
    request = request_of(high())
    assert decide(request, snapshot, min).node == "n2"
    small = request_of(high(cpu="500m"))
    assert decide(small, snapshot, min, nominated="n1").node == "n1"
    assert decide(request_of(high("2")), snapshot, min, nominated="n1").node == "n2"
    assert decide(small, snapshot, min, nominated="gone").node == "n2"


def test_room_is_kept_from_the_less_important_only() -> None:
    snapshot = cluster({"n1": []})
    before = state(snapshot)
    nominations = Nominations(snapshot)
    nominations.put(request_of(pod("waits", cpu="2", priority=5)), "n1")
    for priority, fits in ((4, False), (5, False), (6, True)):
        wanted = request_of(pod("p", cpu="1", priority=priority))
        with nominations.seen_by(wanted):
            assert bool(decide(wanted, snapshot, min).node) == fits
    itself = request_of(pod("waits", cpu="2", priority=5))
    with nominations.seen_by(itself):
        assert decide(itself, snapshot, min).node == "n1"
    assert [one.name for one in nominations.below("n1", 6)] == ["waits"]
    assert nominations.below("n1", 5) == []
    assert nominations.drop("waits") and not nominations.drop("waits")
    assert state(snapshot) == before


def near(name: str) -> dict[str, Any]:
    term = {"labelSelector": {"matchLabels": {"app": name}}, "topologyKey": "host"}
    return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def test_who_only_waits_for_a_node_is_nobodys_neighbour_there_yet() -> None:
    """It may never come (Kubernetes filters twice: with nominated pods, and without them)."""
    snapshot = Snapshot()
    for name in ("n1", "n2"):
        snapshot.set_node(node(name, labels={"host": name}))
    nominations = Nominations(snapshot)
    database = request_of(pod("db", labels={"app": "db"}))
    nominations.put(database, "n1")
    before = state(snapshot)
    web = request_of(pod("web", affinity=near("db")))

    decision = decide(web, snapshot, min, away=nominations.away)
    assert decision.node is None
    assert decision.message == "0/2 nodes are available: 2 node(s) didn't match pod affinity rules."
    assert decide(web, snapshot, min, nominated="n1", away=nominations.away).node is None
    assert state(snapshot) == before

    # What it must keep away from, it keeps away from all the same; the first of a group may go there.
    alike = request_of(pod("db-2", labels={"app": "db"}, affinity=near("db")))
    assert decide(alike, snapshot, max, away=nominations.away).node == "n1"
    nominations.drop("db")
    snapshot.add_pod(database, "n2")
    assert decide(web, snapshot, min, away=nominations.away).node == "n2"
    assert decide(web, snapshot, min, nominated="n2", away=nominations.away).node == "n2"
