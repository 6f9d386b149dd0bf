"""The arithmetic of autoscalers: samples, the formula, and the pace at which sizes change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import timestamps
from api.autoscalingv2 import HorizontalPodAutoscalerBehavior
from api.codec import decode
from api.core import Pod
from api.meta import ObjectMeta
from api.metrics import ContainerMetrics, PodMetrics
from control.controllers.workloads.autoscaling import formula, pace
from control.controllers.workloads.autoscaling.formula import Groups, Tolerance
from control.controllers.workloads.autoscaling.pace import Memory, Moment, bounded
from control.controllers.workloads.autoscaling.samples import (
    Sample,
    UnknownError,
    requests,
    samples,
)
from control.resources.autoscaling.autoscaler import completed

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
MIB = 1024 * 1024 * 1000  # thousandths


def ago(**more: float) -> str:
    return timestamps.format(NOW - timedelta(**more))


def pod(name: str, *, containers: Mapping[str, dict[str, str]] | None = None, **status: Any) -> Pod:
    tree = {
        "metadata": {"name": name, "namespace": "ns", **status.pop("metadata", {})},
        "spec": {
            "containers": [
                {"name": one, "image": "i", "resources": {"requests": asked}}
                for one, asked in (containers or {"c": {"cpu": "100m", "memory": "100Mi"}}).items()
            ]
        },
        "status": {
            "phase": "Running",
            "startTime": ago(hours=1),
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": ago(hours=1)}],
            **status,
        },
    }
    made: Pod = decode.convert(tree, Pod, "Strict").obj
    return made


def ready(status: str, **more: float) -> list[dict[str, str]]:
    return [{"type": "Ready", "status": status, "lastTransitionTime": ago(**more)}]


def sample(value: int, window: float = 30.0) -> Sample:
    return Sample(value=value, at=NOW, window=window)


def measured(name: str, **containers: str) -> PodMetrics:
    return PodMetrics(
        metadata=ObjectMeta(name=name, namespace="ns"),
        timestamp=timestamps.format(NOW),
        window="30.5s",
        containers=[
            ContainerMetrics(name=one, usage={"cpu": cpu, "memory": "10Mi"})
            for one, cpu in containers.items()
        ],
    )


def test_samples_are_of_the_whole_pod_or_of_one_container() -> None:
    found = [measured("a", c="100m", side="50000000n")]
    assert samples(found, "cpu", "", NOW)["a"] == Sample(value=150, at=NOW, window=30.5)
    assert samples(found, "cpu", "side", NOW)["a"].value == 50
    assert samples(found, "memory", "c", NOW)["a"].value == 10 * MIB
    assert samples(found, "storage", "", NOW) == {}
    with pytest.raises(UnknownError, match="container odd not present in metrics for pod ns/a"):
        samples(found, "cpu", "odd", NOW)


def test_requests() -> None:
    two = pod("a", containers={"c": {"cpu": "100m"}, "d": {"cpu": "1"}})
    assert requests([two], "cpu", "") == {"a": 1100}
    assert requests([two], "cpu", "d") == {"a": 1000}
    with pytest.raises(UnknownError, match="missing request for memory in container c of Pod a"):
        requests([two], "memory", "")


@pytest.mark.parametrize(
    ("status", "resource", "group"),
    [
        ({}, "cpu", "ready"),
        ({"phase": "Pending"}, "cpu", "unready"),
        ({"phase": "Failed"}, "cpu", "ignored"),
        ({"metadata": {"deletionTimestamp": ago()}}, "cpu", "ignored"),
        ({"conditions": []}, "cpu", "unready"),
        ({"conditions": []}, "memory", "ready"),
        ({"startTime": None}, "cpu", "unready"),
        # Young: what was used while it started says nothing.
        ({"startTime": ago(minutes=2), "conditions": ready("True", minutes=1)}, "cpu", "ready"),
        ({"startTime": ago(minutes=2), "conditions": ready("True", seconds=20)}, "cpu", "unready"),
        ({"startTime": ago(minutes=2), "conditions": ready("False", minutes=1)}, "cpu", "unready"),
        # Old: not ready any more counts, never ready does not.
        ({"conditions": ready("False", minutes=30)}, "cpu", "ready"),
        ({"conditions": ready("False", minutes=59, seconds=50)}, "cpu", "unready"),
    ],
)
def test_groups(status: dict[str, Any], resource: str, group: str) -> None:
    found = formula.grouped([pod("a", **status)], {"a": sample(1)}, resource, NOW)
    names = {name for name in ("unready", "missing", "ignored") if "a" in getattr(found, name)}
    assert names == ({group} - {"ready"}) and found.ready == (group == "ready")


def test_a_pod_without_a_sample_is_missing() -> None:
    assert formula.grouped([pod("a")], {}, "cpu", NOW).missing == {"a"}


def groups(ready: int, **names: list[str]) -> Groups:
    return Groups(
        ready=ready,
        unready=names.get("unready", []),
        missing=names.get("missing", []),
        ignored=names.get("ignored", []),
    )


def use(values: list[int], target: int, current: int | None = None, **names: list[str]) -> int:
    """What pods that request 100 each and use `values` ask for."""
    known = {f"p{number}": sample(value) for number, value in enumerate(values)}
    others = [name for several in names.values() for name in several]
    asked = dict.fromkeys([*known, *others], 100)
    count = len(known) + len(others) if current is None else current
    found = formula.by_utilization(
        count, target, known, asked, groups(len(values), **names), Tolerance()
    )
    return found.replicas


@pytest.mark.parametrize(
    ("values", "target", "replicas"),
    [
        ([60, 90, 50], 50, 4),  # 200 ÷ 150 × 3
        ([36, 36, 36], 30, 4),  # 108 ÷ 30 = 3.6, as the books have it
        ([100], 50, 2),
        ([108], 30, 4),  # their worked example: from one pod to four, ...
        ([26, 26, 26, 26], 30, 4),  # ... each of which then uses 26 %: they stay
        ([20, 20, 20, 20], 30, 3),
        ([80, 80], 80, 2),  # the usual target
        ([90, 90], 80, 3),
        ([50, 50], 50, 2),
        ([54, 55], 50, 2),  # within a tenth
        ([56, 56], 50, 3),
        ([45, 45], 50, 2),
        ([44, 44], 50, 2),  # 1.76, rounded up
        ([10, 10, 10, 10], 50, 1),
        ([0, 0, 0], 50, 0),
    ],
)
def test_the_formula(values: list[int], target: int, replicas: int) -> None:
    assert use(values, target) == replicas


@pytest.mark.parametrize(
    ("values", "names", "replicas"),
    [
        # Growing: who is missing or not ready uses nothing.
        ([100, 100], {"missing": ["m"]}, 4),  # 200 of 300 is 66 %: 1.32 × 3
        ([100], {"missing": ["m"]}, 2),  # 50 %: as wanted
        ([60], {"missing": ["m"]}, 2),  # it would turn round: nothing happens
        ([100, 100], {"unready": ["u"]}, 4),
        ([100], {"unready": ["u", "v"]}, 3),
        # Shrinking: who is missing uses all of its request; who is not ready does not count.
        ([10, 10, 10], {"missing": ["m"]}, 3),  # 130 of 400 is 32 %: 0.64 × 4
        ([10], {"missing": ["m"]}, 2),
        ([10, 10], {"unready": ["u"]}, 1),
    ],
)
def test_who_is_not_known_changes_little(
    values: list[int], names: dict[str, list[str]], replicas: int
) -> None:
    assert use(values, 50, **names) == replicas


def test_ignored_and_unready_pods_say_nothing() -> None:
    with pytest.raises(UnknownError, match="did not receive metrics for targeted pods"):
        formula.by_utilization(
            1, 50, {"a": sample(1)}, {"a": 100}, groups(0, ignored=["a"]), Tolerance()
        )
    with pytest.raises(UnknownError, match="no metrics returned matched known pods"):
        formula.by_utilization(1, 50, {"a": sample(1)}, {}, groups(1), Tolerance())


def test_averages() -> None:
    known = {name: sample(value) for name, value in (("a", 30), ("b", 50))}
    found = formula.by_average(2, 20, known, groups(2), Tolerance())
    assert (found.replicas, found.average, found.utilization) == (4, 40, None)
    found = formula.by_average(3, 100, known, groups(2, missing=["m"]), Tolerance())
    assert found.replicas == 2  # 30 + 50 + 100 of 300
    assert formula.by_average(2, 38, known, groups(2), Tolerance()).replicas == 2


def test_a_tolerance_of_ones_own() -> None:
    known, asked = {"a": sample(52)}, {"a": 100}

    def found(tolerance: Tolerance) -> int:
        return formula.by_utilization(1, 50, known, asked, groups(1), tolerance).replicas

    assert found(Tolerance()) == 1
    assert found(Tolerance(up=0.01)) == 2
    assert found(Tolerance(up=0.01, down=0.5)) == 2


@given(
    st.lists(st.integers(0, 500), min_size=1, max_size=20),
    st.integers(1, 100),
    st.integers(0, 5),
    st.integers(0, 5),
)
def test_the_unknown_never_turns_the_direction(
    values: list[int], target: int, missing: int, unready: int
) -> None:
    names = {
        "missing": [f"m{number}" for number in range(missing)],
        "unready": [f"u{number}" for number in range(unready)],
    }
    current = len(values) + missing + unready
    mean = sum(values) / len(values)
    found = use(values, target, current, **names)
    if mean > target * 1.2:
        assert found >= min(current, len(values))
    if mean < target * 0.8 and not unready:
        assert found <= current


# -- how fast ------------------------------------------------------------------------------------


def rules(**parts: Any) -> HorizontalPodAutoscalerBehavior:
    tree = {name: {"policies": [], **part} for name, part in parts.items()}
    return completed(decode.convert(tree, HorizontalPodAutoscalerBehavior, "Strict").obj)


def policy(type_: str, value: int, period: int = 60) -> dict[str, Any]:
    return {"type": type_, "value": value, "periodSeconds": period}


def at(
    desired: int,
    current: int,
    behavior: HorizontalPodAutoscalerBehavior | None = None,
    *,
    recommended: tuple[tuple[float, int], ...] = (),
    changes: tuple[tuple[float, int], ...] = (),
    least: int = 1,
    most: int = 100,
) -> pace.Bounded:
    """At second 1000; past moments are given in seconds before."""
    memory = Memory(
        [Moment(1000 - before, number) for before, number in recommended],
        [Moment(1000 - before, number) for before, number in changes],
    )
    return bounded(desired, current, least, most, behavior, memory, 1000.0)


@pytest.mark.parametrize(
    ("desired", "current", "replicas", "reason"),
    [
        (5, 5, 5, "DesiredWithinRange"),
        (7, 5, 7, "DesiredWithinRange"),
        (11, 5, 10, "ScaleUpLimit"),  # at most double
        (9, 1, 4, "ScaleUpLimit"),  # but 4 at once
        (3, 5, 3, "DesiredWithinRange"),
        (0, 5, 1, "TooFewReplicas"),
        (150, 90, 100, "TooManyReplicas"),
    ],
)
def test_without_a_behavior(desired: int, current: int, replicas: int, reason: str) -> None:
    found = at(desired, current)
    assert (found.replicas, found.limit[0]) == (replicas, reason)
    assert found.limited is (reason != "DesiredWithinRange")


def test_it_shrinks_to_the_highest_of_the_last_five_minutes() -> None:
    found = at(2, 9, recommended=((400, 9), (299, 6), (10, 3)))
    assert (found.replicas, found.able[0]) == (6, "ScaleDownStabilized")
    assert at(2, 9, recommended=((301, 6),)).able[0] == "ReadyForNewScale"
    found = at(2, 5, recommended=((10, 8),))
    assert found.replicas == 5  # more was wanted, but nobody grows because of the past


def test_windows_of_ones_own() -> None:
    behavior = rules(
        scaleUp={"stabilizationWindowSeconds": 60}, scaleDown={"stabilizationWindowSeconds": 0}
    )
    found = at(9, 5, behavior, recommended=((30, 6),))
    assert (found.replicas, found.able[0]) == (6, "ScaleUpStabilized")
    assert at(9, 5, behavior, recommended=((90, 6),)).replicas == 9
    assert at(2, 9, behavior, recommended=((10, 9),)).replicas == 2


@pytest.mark.parametrize(
    ("up", "desired", "changes", "replicas"),
    [
        ({"policies": [policy("Pods", 4)]}, 20, (), 14),
        ({"policies": [policy("Percent", 15)]}, 20, (), 12),  # rounded up
        ({"policies": [policy("Percent", 100), policy("Pods", 4)]}, 50, (), 20),
        (
            {"policies": [policy("Percent", 100), policy("Pods", 4)], "selectPolicy": "Min"},
            50,
            (),
            14,
        ),
        ({"policies": [policy("Pods", 4)], "selectPolicy": "Disabled"}, 20, (), 10),
        ({"policies": [policy("Pods", 4)]}, 20, ((30, 3),), 11),  # 3 of 4 were added just now
        ({"policies": [policy("Pods", 4)]}, 20, ((61, 3),), 14),
        ({"policies": [policy("Pods", 4)]}, 20, ((30, 9),), 10),
        ({"policies": [policy("Pods", 4)]}, 20, ((30, -2),), 16),
        ({}, 50, (), 20),  # the documented default
        ({}, 50, ((20, 5),), 20),
    ],
)
def test_growth(
    up: dict[str, Any], desired: int, changes: tuple[tuple[float, int], ...], replicas: int
) -> None:
    found = at(desired, 10, rules(scaleUp=up), changes=changes)
    assert found.replicas == replicas
    assert found.limit[0] == "ScaleUpLimit"


@pytest.mark.parametrize(
    ("down", "changes", "replicas"),
    [
        ({"policies": [policy("Pods", 4)]}, (), 6),
        ({"policies": [policy("Percent", 15)]}, (), 8),  # 8.5, rounded down
        ({"policies": [policy("Percent", 50), policy("Pods", 4)]}, (), 5),
        ({"policies": [policy("Percent", 50), policy("Pods", 4)], "selectPolicy": "Min"}, (), 6),
        ({"policies": [policy("Pods", 4)], "selectPolicy": "Disabled"}, (), 10),
        ({"policies": [policy("Pods", 4)]}, ((30, -3),), 9),
        ({"policies": [policy("Pods", 4)]}, ((90, -3),), 6),
        ({"policies": [policy("Pods", 4)]}, ((30, -9),), 10),
    ],
)
def test_shrinkage(
    down: dict[str, Any], changes: tuple[tuple[float, int], ...], replicas: int
) -> None:
    behavior = rules(scaleDown={"stabilizationWindowSeconds": 0, **down})
    found = at(1, 10, behavior, changes=changes)
    assert found.replicas == replicas
    assert found.limit[0] == "ScaleDownLimit"


def test_the_documented_default_shrinks_to_what_is_asked_for() -> None:
    behavior = rules(scaleDown={"stabilizationWindowSeconds": 0})
    assert at(2, 80, behavior).replicas == 2
    assert at(0, 80, behavior).limit[0] == "TooFewReplicas"


def test_what_no_window_reaches_is_forgotten() -> None:
    memory = Memory([Moment(0, 1), Moment(3500, 2)], [Moment(0, 1), Moment(3500, 2)])
    memory.forget(4000)
    assert memory == Memory([Moment(3500, 2)], [Moment(3500, 2)])


@given(
    st.integers(0, 60),
    st.integers(1, 40),
    st.sampled_from([None, rules(), rules(scaleUp={"policies": [policy("Percent", 10)]})]),
    st.lists(st.tuples(st.floats(0, 900), st.integers(0, 60)), max_size=5),
    st.lists(st.tuples(st.floats(0, 900), st.integers(-20, 20)), max_size=5),
)
def test_sizes_stay_in_bounds_and_on_their_way(
    desired: int,
    current: int,
    behavior: HorizontalPodAutoscalerBehavior | None,
    recommended: list[tuple[float, int]],
    changes: list[tuple[float, int]],
) -> None:
    found = at(
        desired, current, behavior, recommended=tuple(recommended), changes=tuple(changes), most=40
    )
    assert 1 <= found.replicas <= 40
    low, high = sorted((max(desired, 1), current))
    assert low <= found.replicas <= high or found.replicas in (1, 40)
