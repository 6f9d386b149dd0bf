"""The fast filters and scores against the slow ones, on random clusters."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.scheduler.interpod import inter_pod_affinity, preferred_neighbours
from control.scheduler.request import request_of
from control.scheduler.snapshot import Snapshot
from control.scheduler.spreading import pod_topology_spread, spread_preferred
from tests.thorough import examples
from tests.unit.scheduler import oracle
from tests.unit.scheduler.making import by_row, node, pod

NAMESPACES = {"one": {"team": "red"}, "two": {"team": "blue"}}
LABELS = st.dictionaries(st.sampled_from(["app", "tier"]), st.sampled_from(["x", "y"]))
SELECTORS = st.one_of(
    st.none(),
    st.builds(lambda labels: {"matchLabels": labels}, LABELS),
    st.builds(
        lambda operator, key: {
            "matchExpressions": [
                {"key": key, "operator": operator}
                | ({"values": ["x"]} if operator.endswith("In") else {})
            ]
        },
        st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]),
        st.sampled_from(["app", "tier"]),
    ),
)
KEYS = st.sampled_from(["zone", "host"])
LABEL_KEYS = st.lists(st.sampled_from(["app", "tier"]), max_size=1)


def _filled(**parts: Any) -> dict[str, Any]:
    return {name: value for name, value in parts.items() if value not in (None, [])}


TERMS = st.builds(
    _filled,
    labelSelector=SELECTORS,
    topologyKey=KEYS,
    namespaces=st.lists(st.sampled_from(["one", "two"]), max_size=1),
    namespaceSelector=st.sampled_from([None, None, {}, {"matchLabels": {"team": "red"}}]),
    matchLabelKeys=LABEL_KEYS,
    mismatchLabelKeys=LABEL_KEYS,
)
PREFERRED = st.builds(
    lambda weight, term: {"weight": weight, "podAffinityTerm": term}, st.integers(1, 100), TERMS
)


def _rules(required: Any, preferred: Any) -> dict[str, Any]:
    return {
        "requiredDuringSchedulingIgnoredDuringExecution": required,
        "preferredDuringSchedulingIgnoredDuringExecution": preferred,
    }


RULES = st.builds(_rules, st.lists(TERMS, max_size=2), st.lists(PREFERRED, max_size=2))
CONSTRAINTS = st.builds(
    _filled,
    maxSkew=st.integers(1, 2),
    topologyKey=KEYS,
    whenUnsatisfiable=st.sampled_from(["DoNotSchedule", "ScheduleAnyway"]),
    minDomains=st.sampled_from([None, None, 3]),
    labelSelector=SELECTORS,
    nodeAffinityPolicy=st.sampled_from([None, "Ignore", "Honor"]),
    nodeTaintsPolicy=st.sampled_from([None, "Ignore", "Honor"]),
    matchLabelKeys=LABEL_KEYS,
)


@st.composite
def pods(draw: st.DrawFn, name: str) -> Any:
    made = pod(
        name,
        namespace=draw(st.sampled_from(list(NAMESPACES))),
        labels=draw(LABELS),
        affinity={"podAffinity": draw(RULES), "podAntiAffinity": draw(RULES)},
        topologySpreadConstraints=draw(st.lists(CONSTRAINTS, max_size=2)),
        nodeSelector=draw(st.sampled_from([{}, {}, {"disk": "ssd"}])),
    )
    if draw(st.integers(0, 4)) == 0:
        made.metadata.deletion_timestamp = "2026-01-01T00:00:00Z"
    return made


@st.composite
def clusters(draw: st.DrawFn) -> oracle.Cluster:
    made = []
    for number in range(draw(st.integers(1, 5))):
        labels = draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "zone": st.sampled_from(["east", "west"]),
                    "disk": st.just("ssd"),
                    "host": st.just(f"n{number}"),
                },
            )
        )
        taints = draw(st.sampled_from([[], [], [{"key": "k", "effect": "NoSchedule"}]]))
        made.append(node(f"n{number}", labels=labels, taints=taints))
    names = [each.metadata.name for each in made]
    placed = [
        (draw(pods(f"p{number}")), draw(st.sampled_from(names)))
        for number in range(draw(st.integers(0, 6)))
    ]
    return oracle.Cluster(made, placed, NAMESPACES)


def snapshot_of(cluster: oracle.Cluster, seed: int) -> Snapshot:
    """The cluster, reached by a detour: pods that came and went, moved, and sets counted early."""
    snapshot, chance = Snapshot(), random.Random(seed)
    for each in cluster.nodes:
        snapshot.set_node(each)
    for name, labels in cluster.namespaces.items():
        snapshot.census.set_namespace(name, labels)
    steps = [*cluster.placed, *cluster.placed]
    chance.shuffle(steps)
    for one, _ in steps:
        snapshot.add_pod(request_of(one), chance.choice(cluster.nodes).metadata.name)
        if chance.random() < 0.3:
            inter_pod_affinity(request_of(one), snapshot, snapshot.present)
            pod_topology_spread(request_of(one), snapshot, snapshot.present)
        if chance.random() < 0.3:
            snapshot.remove_pod(one.metadata.uid)
    for one, where in cluster.placed:
        snapshot.add_pod(request_of(one), where)
    return snapshot


@given(cluster=clusters(), wanted=pods("new"), seed=st.integers(0, 1000))
@settings(max_examples=examples(100, long=1500), deadline=None)
def test_who_is_refused_and_why(cluster: oracle.Cluster, wanted: Any, seed: int) -> None:
    snapshot = snapshot_of(cluster, seed)
    for check, explain in (
        (inter_pod_affinity, oracle.refusal),
        (pod_topology_spread, oracle.skew),
    ):
        verdict = check(request_of(wanted), snapshot, snapshot.present)
        found = {
            snapshot.name(int(row)): refusal.reasons
            for refusal in verdict.refusals
            for row in refusal.rows
        }
        expected = {
            each.metadata.name: (why,)
            for each in cluster.nodes
            if (why := explain(wanted, each.metadata.name, cluster))
        }
        assert found == expected
        assert int(verdict.passes.sum()) == len(cluster.nodes) - len(expected)


@given(cluster=clusters(), wanted=pods("new"), seed=st.integers(0, 1000))
@settings(max_examples=examples(100, long=1500), deadline=None)
def test_preferences_rank_alike(cluster: oracle.Cluster, wanted: Any, seed: int) -> None:
    snapshot = snapshot_of(cluster, seed)
    found = preferred_neighbours(request_of(wanted), snapshot, snapshot.present)
    scores = by_row(found, snapshot)
    raw = [oracle.preference(wanted, each.metadata.name, cluster) for each in cluster.nodes]
    reach = max(raw) - min(raw)
    for each, value in zip(cluster.nodes, raw, strict=True):
        row = snapshot.index(each.metadata.name)
        expected = 100.0 * (value - min(raw)) / reach if reach else 0.0
        assert scores[row] == pytest.approx(expected)


@given(cluster=clusters(), wanted=pods("new"), seed=st.integers(0, 1000))
@settings(max_examples=examples(100, long=1500), deadline=None)
def test_soft_constraints_rank_alike(cluster: oracle.Cluster, wanted: Any, seed: int) -> None:
    soft = [
        one
        for one in wanted.spec.topology_spread_constraints
        if one.when_unsatisfiable == "ScheduleAnyway"
    ]
    snapshot = snapshot_of(cluster, seed)
    scores = by_row(spread_preferred(request_of(wanted), snapshot, snapshot.present), snapshot)
    if not soft:
        assert not np.any(scores)
        return
    names = [each.metadata.name for each in cluster.nodes]
    costs = {name: oracle.unevenness(wanted, name, names, cluster) for name in names}
    known = [cost for cost in costs.values() if cost is not None]
    for name, cost in costs.items():
        found = scores[snapshot.index(name)]
        if cost is None:
            assert found == 0
        elif max(known) == 0:
            assert found == 100
        else:
            assert found == pytest.approx(100 * (max(known) + min(known) - cost) / max(known))
