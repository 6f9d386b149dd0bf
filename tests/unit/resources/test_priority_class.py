"""What a priority class may say, and what never changes about it."""

from __future__ import annotations

import pytest

from tests.unit.resources.examples import Change, assert_says, changed, complete, said, strategy_of

KIND = "PriorityClass"
CLUSTER: Change = {"metadata.name": "system-cluster-critical", "value": 2000000000}
NODE: Change = {"metadata.name": "system-node-critical", "value": 2000001000}
RESERVED = "priority class names with 'system-' prefix are reserved for system use only. error: "


@pytest.mark.parametrize(
    "change",
    [
        {"value": 1000000000},
        {"value": -2147483648},
        {"preemptionPolicy": "Never"},
        {"globalDefault": True},
        CLUSTER,
        NODE,
    ],
)
def test_sound(change: Change) -> None:
    errors = strategy_of(KIND).validate(complete(KIND, change))
    assert not errors, said(errors)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        (
            {"value": 1000000001},
            "value",
            "maximum allowed value of a user defined priority is 1000000000",
        ),
        ({"preemptionPolicy": "Sometimes"}, "preemptionPolicy", "PreemptLowerPriority"),
        (
            {"metadata.name": "system-mine"},
            "metadata.name",
            RESERVED + "system-mine is not a known system priority class",
        ),
        (
            {**NODE, "value": 5},
            "metadata.name",
            RESERVED + "value of system-node-critical PriorityClass must be 2000001000",
        ),
        (
            {**CLUSTER, "globalDefault": True},
            "metadata.name",
            RESERVED + "globalDefault of system-cluster-critical PriorityClass must be false",
        ),
    ],
)
def test_broken(change: Change, field: str, words: str) -> None:
    assert_says(strategy_of(KIND).validate(complete(KIND, change)), field, words)


def test_its_pods_preempt_unless_it_says_otherwise() -> None:
    assert complete(KIND).preemption_policy == "PreemptLowerPriority"
    assert complete(KIND, {"preemptionPolicy": "Never"}).preemption_policy == "Never"


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"value": 7}, "value", "may not be changed in an update."),
        ({"preemptionPolicy": "Never"}, "preemptionPolicy", "field is immutable"),
    ],
)
def test_what_pods_have_copied_never_changes(change: Change, field: str, words: str) -> None:
    old = complete(KIND)
    assert_says(strategy_of(KIND).validate_update(changed(KIND, old, change), old), field, words)


def test_the_rest_may_change() -> None:
    old = complete(KIND)
    new = changed(KIND, old, {"globalDefault": True, "description": "other"})
    assert not strategy_of(KIND).validate_update(new, old)
