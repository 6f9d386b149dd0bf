"""What a disruption budget allows, as tables: figures, granted evictions, and what always holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import timestamps
from api.core import Pod
from api.meta import ObjectMeta
from api.policy import PodDisruptionBudget, PodDisruptionBudgetSpec
from control.controllers.workloads.disruption import (
    DELETION_SECONDS,
    Expected,
    expected,
    failed,
    needs_scale,
    next_look,
    status_of,
    still_awaited,
)
from tests.unit.controllers.making import pod

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def spec(**amounts: Any) -> PodDisruptionBudgetSpec:
    return PodDisruptionBudgetSpec(**amounts)


def budget(**status: Any) -> PodDisruptionBudget:
    made = PodDisruptionBudget(metadata=ObjectMeta(name="pdb", namespace="default", generation=3))
    made.status = msgspec.structs.replace(made.status, **status)
    return made


def moment(seconds_ago: float) -> str:
    return timestamps.format(NOW - timedelta(seconds=seconds_ago))


@pytest.mark.parametrize(
    ("amounts", "count", "wanted"),
    [
        ({"min_available": 2}, 3, Expected(3, 2)),
        ({"min_available": 5}, 3, Expected(3, 5)),
        ({"min_available": "50%"}, 5, Expected(5, 3)),
        ({"min_available": "100%"}, 5, Expected(5, 5)),
        ({"max_unavailable": 1}, 3, Expected(3, 2)),
        ({"max_unavailable": 5}, 3, Expected(3, 0)),
        ({"max_unavailable": "30%"}, 5, Expected(5, 3)),
        ({"max_unavailable": "0%"}, 5, Expected(5, 5)),
        ({}, 5, Expected(0, 0)),
    ],
)
def test_what_a_budget_means(amounts: Any, count: int, wanted: Expected) -> None:
    assert expected(spec(**amounts), count) == wanted


@pytest.mark.parametrize(
    ("amounts", "needed"),
    [
        ({"min_available": 2}, False),
        ({"min_available": "50%"}, True),
        ({"max_unavailable": 1}, True),
        ({}, False),
    ],
)
def test_only_a_number_of_min_available_counts_the_pods_there_are(
    amounts: Any, needed: bool
) -> None:
    assert needs_scale(spec(**amounts)) is needed


@pytest.mark.parametrize(
    ("found", "wanted", "healthy", "allowed"),
    [
        ([pod("a"), pod("b"), pod("c")], Expected(3, 2), 3, 1),
        ([pod("a"), pod("b", ready=False), pod("c")], Expected(3, 2), 2, 0),
        ([pod("a"), pod("b", deleting=True), pod("c")], Expected(3, 1), 2, 1),
        ([pod("a")], Expected(1, 3), 1, 0),
        ([pod("a")], Expected(0, 0), 1, 0),
        ([], Expected(0, 0), 0, 0),
    ],
)
def test_figures(found: list[Pod], wanted: Expected, healthy: int, allowed: int) -> None:
    status = status_of(budget(), found, wanted, {}, NOW)
    assert (status.current_healthy, status.disruptions_allowed) == (healthy, allowed)
    assert (status.expected_pods, status.desired_healthy) == (wanted.pods, wanted.healthy)
    assert status.observed_generation == 3
    (told,) = status.conditions
    said = (told.type, told.status, told.reason, told.observed_generation)
    reason = ("True", "SufficientPods") if allowed else ("False", "InsufficientPods")
    assert said == ("DisruptionAllowed", *reason, 3)


def test_a_granted_eviction_counts_as_done() -> None:
    found = [pod("a"), pod("b"), pod("c")]
    status = status_of(budget(), found, Expected(3, 2), {"a": moment(1)}, NOW)
    assert (status.current_healthy, status.disruptions_allowed) == (2, 0)
    assert status.disrupted_pods == {"a": moment(1)}


def test_what_is_awaited() -> None:
    granted = {
        "here": moment(60),
        "going": moment(60),
        "gone": moment(60),
        "late": moment(DELETION_SECONDS + 1),
    }
    found = [pod("here"), pod("going", deleting=True), pod("late"), pod("other")]
    awaited = still_awaited(granted, found, NOW)
    assert awaited == {"here": moment(60)}
    again = next_look(awaited, NOW)
    assert again is not None and DELETION_SECONDS - 60 < again < DELETION_SECONDS - 58
    assert next_look({}, NOW) is None


def test_nothing_may_go_while_nobody_knows() -> None:
    before = budget(disruptions_allowed=2, current_healthy=3, observed_generation=2)
    status = failed(before, "no scale", NOW)
    assert status.disruptions_allowed == 0 and status.current_healthy == 3
    (told,) = status.conditions
    assert (told.status, told.reason, told.message) == ("False", "SyncFailed", "no scale")


def test_a_second_look_changes_nothing() -> None:
    found = [pod("a"), pod("b")]
    first = budget()
    first.status = status_of(first, found, Expected(2, 1), {}, NOW)
    later = NOW + timedelta(hours=1)
    assert status_of(first, found, Expected(2, 1), {}, later) == first.status


@given(
    ready=st.lists(st.booleans(), max_size=20),
    minimum=st.one_of(st.integers(0, 25), st.integers(0, 100).map(lambda n: f"{n}%")),
)
def test_what_is_allowed_never_breaks_the_promise(ready: list[bool], minimum: int | str) -> None:
    found = [pod(f"p{number}", ready=one) for number, one in enumerate(ready)]
    wanted = expected(spec(min_available=minimum), len(found))
    status = status_of(budget(), found, wanted, {}, NOW)
    assert status.disruptions_allowed >= 0
    if status.disruptions_allowed:
        assert sum(ready) - status.disruptions_allowed >= wanted.healthy
