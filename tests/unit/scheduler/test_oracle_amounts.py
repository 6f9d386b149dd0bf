"""The fast scores about amounts against slow ones, on random clusters."""

import itertools
import statistics
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.core import Node, Pod
from api.quantity import milli
from control.scheduler.fitting import (
    Point,
    Weight,
    balanced_allocation,
    least_allocated,
    most_allocated,
    requested_to_capacity,
)
from control.scheduler.request import request_of
from control.scheduler.snapshot import Snapshot
from tests.unit.scheduler.making import by_row, node, pod

GPU, DISK = "example.com/gpu", "ephemeral-storage"
UNASKED = {"cpu": 0.1, "memory": 200.0 * 2**20}
AMOUNTS = st.fixed_dictionaries(
    {},
    optional={
        "cpu": st.sampled_from(["100m", "1", "3"]),
        "memory": st.sampled_from(["100Mi", "1Gi", "7Gi"]),
        DISK: st.sampled_from(["1Gi", "5Gi"]),
        GPU: st.sampled_from(["1", "2"]),
    },
)
CAPACITIES = st.fixed_dictionaries(
    {
        "cpu": st.sampled_from(["0", "2", "4"]),
        "memory": st.sampled_from(["0", "2Gi", "8Gi"]),
        "pods": st.just("110"),
    },
    optional={DISK: st.just("10Gi"), GPU: st.sampled_from(["0", "2", "4"])},
)
WEIGHTS = st.dictionaries(
    st.sampled_from(["cpu", "memory", DISK, GPU, "example.com/none"]), st.integers(1, 9), min_size=1
)
SHAPES = st.dictionaries(st.integers(0, 100), st.integers(0, 10), min_size=1, max_size=4).map(
    lambda points: sorted(points.items())
)


def asking(name: str, amounts: dict[str, str]) -> Pod:
    made = pod(name)
    made.spec.containers[0].resources.requests = amounts
    return made


def having(name: str, amounts: dict[str, str]) -> Node:
    made = node(name)
    made.status.allocatable = amounts
    return made


def asks(one: Pod, resource: str) -> float:
    """What a pod takes of a resource; of CPU and memory a little even if it asks for none."""
    amounts = one.spec.containers[0].resources.requests
    return milli(amounts.get(resource, "0")) / 1000 or UNASKED.get(resource, 0)


def used(resource: str, wanted: Pod, on: Node, there: list[Pod]) -> float | None:
    """The used fraction with the new pod; None: it does not count."""
    capacity = milli(on.status.allocatable.get(resource, "0")) / 1000
    if not capacity or (resource in (GPU, "example.com/none") and not asks(wanted, resource)):
        return None
    return sum(asks(one, resource) for one in (*there, wanted)) / capacity


def interpolated(shape: list[tuple[int, int]], at: float) -> float:
    """A broken line through the points, level before the first and after the last."""
    if at <= shape[0][0]:
        return shape[0][1]
    for (left, low), (right, high) in itertools.pairwise(shape):
        if at <= right:
            return low + (high - low) * (at - left) / (right - left)
    return shape[-1][1]


def mean(weights: dict[str, int], worth: Any, wanted: Pod, on: Node, there: list[Pod]) -> float:
    values = [
        (weight, worth(fraction))
        for resource, weight in weights.items()
        if (fraction := used(resource, wanted, on, there)) is not None
    ]
    counted = [(weight, value) for weight, value in values if value is not None]
    total = sum(weight for weight, _ in counted)
    return sum(weight * value for weight, value in counted) / total if total else 0.0


@given(
    nodes=st.lists(CAPACITIES, min_size=1, max_size=4),
    placed=st.lists(st.tuples(AMOUNTS, st.integers(0, 3)), max_size=5),
    amounts=AMOUNTS,
    weights=WEIGHTS,
    shape=SHAPES,
)
@settings(max_examples=300, deadline=None)
def test_amounts_are_valued_alike(
    nodes: list[dict[str, str]],
    placed: list[tuple[dict[str, str], int]],
    amounts: dict[str, str],
    weights: dict[str, int],
    shape: list[tuple[int, int]],
) -> None:
    snapshot, wanted = Snapshot(), asking("new", amounts)
    made = [having(f"n{number}", each) for number, each in enumerate(nodes)]
    pods: dict[str, list[Pod]] = {each.metadata.name: [] for each in made}
    for each in made:
        snapshot.set_node(each)
    for number, (each_amounts, where) in enumerate(placed):
        one, name = asking(f"p{number}", each_amounts), f"n{where % len(made)}"
        snapshot.add_pod(request_of(one), name)
        pods[name].append(one)
    listed = [Weight(name, float(weight)) for name, weight in weights.items()]
    cases = (
        (least_allocated(listed), lambda part: 100 * max(0.0, 1 - part)),
        (most_allocated(listed), lambda part: 100 * min(1.0, part)),
        (
            requested_to_capacity([Point(*point) for point in shape], listed),
            lambda part: 10 * interpolated(shape, 100 * min(1.0, part)) or None,
        ),
    )
    for score, worth in cases:
        found = by_row(score(request_of(wanted), snapshot, snapshot.present), snapshot)
        for each in made:
            name = each.metadata.name
            expected = mean(weights, worth, wanted, each, pods[name])
            assert found[snapshot.index(name)] == pytest.approx(expected, abs=1e-6)
    balanced = balanced_allocation(listed)
    found = by_row(balanced(request_of(wanted), snapshot, snapshot.present), snapshot)
    for each in made:
        name = each.metadata.name
        parts = [
            min(1.0, part)
            for resource in weights
            if (part := used(resource, wanted, each, pods[name])) is not None
        ]
        expected = 100 * (1 - (statistics.pstdev(parts) if parts else 0))
        assert found[snapshot.index(name)] == pytest.approx(expected, abs=1e-6)
