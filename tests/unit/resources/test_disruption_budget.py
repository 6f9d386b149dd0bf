"""What a disruption budget may say."""

from __future__ import annotations

import pytest

from tests.unit.resources.examples import (
    REMOVE,
    Change,
    assert_says,
    complete,
    said,
    strategy_of,
)

PDB = "PodDisruptionBudget"


@pytest.mark.parametrize(
    "change",
    [
        {"spec.minAvailable": 0},
        {"spec.minAvailable": "100%"},
        {"spec.minAvailable": REMOVE, "spec.maxUnavailable": 1},
        {"spec.selector": {}},
        {"spec.unhealthyPodEvictionPolicy": "AlwaysAllow"},
    ],
)
def test_sound(change: Change) -> None:
    errors = strategy_of(PDB).validate(complete(PDB, change))
    assert not errors, said(errors)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"spec.maxUnavailable": 1}, "spec", "minAvailable and maxUnavailable cannot be both set"),
        ({"spec.minAvailable": -1}, "spec.minAvailable", "greater than or equal to 0"),
        ({"spec.minAvailable": "some"}, "spec.minAvailable", "a valid percent string must be"),
        ({"spec.minAvailable": "101%"}, "spec.minAvailable", "must not be greater than 100%"),
        (
            {"spec.selector": {"matchLabels": {"a b": "c"}}},
            "spec.selector.matchLabels",
            "name part must consist of",
        ),
        (
            {"spec.unhealthyPodEvictionPolicy": "Never"},
            "spec.unhealthyPodEvictionPolicy",
            "AlwaysAllow",
        ),
    ],
)
def test_broken(change: Change, field: str, words: str) -> None:
    assert_says(strategy_of(PDB).validate(complete(PDB, change)), field, words)


def test_figures_are_not_negative() -> None:
    old, new = complete(PDB), complete(PDB)
    new.status.disruptions_allowed = -1
    errors = strategy_of(PDB).validate_subresource("status", new, old)
    assert_says(errors, "status.disruptionsAllowed", "greater than or equal to 0")
