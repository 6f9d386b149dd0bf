"""What a quota may say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.resources.examples import (
    Change,
    assert_says,
    changed,
    complete,
    said,
    strategy_of,
)

KIND = "ResourceQuota"


def selecting(*terms: tuple[Any, ...], **hard: str) -> Change:
    expressions = [
        {"scopeName": scope, "operator": operator, **({"values": rest[0]} if rest else {})}
        for scope, operator, *rest in terms
    ]
    return {
        "spec.hard": hard or {"pods": "1"},
        "spec.scopeSelector": {"matchExpressions": expressions},
    }


@pytest.mark.parametrize(
    "change",
    [
        {"spec.hard": {}},
        {"spec.hard[hugepages-2Mi]": "4Mi"},
        {"spec.hard[requests.hugepages-2Mi]": "4Mi"},
        {"spec.hard[requests.example.com/gpu]": "4"},
        {"spec.hard[gold.storageclass.storage.k8s.io/requests.storage]": "1Ti"},
        {"spec.hard[services.nodeports]": "0"},
        {"spec.hard": {"pods": "1"}, "spec.scopes": ["BestEffort"]},
        {"spec.hard": {"cpu": "1", "limits.memory": "1Gi"}, "spec.scopes": ["NotTerminating"]},
        {"spec.hard": {"count/pods": "1"}, "spec.scopes": ["BestEffort"]},
        {"spec.hard": {"requests.storage": "1"}, "spec.scopes": ["VolumeAttributesClass"]},
        selecting(("PriorityClass", "In", ["high"])),
        selecting(("PriorityClass", "DoesNotExist"), ("Terminating", "Exists")),
    ],
)
def test_sound(change: Change) -> None:
    errors = strategy_of(KIND).validate(complete(KIND, change))
    assert not errors, said(errors)


TERMS = "spec.scopeSelector.matchExpressions"


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"spec.hard[nodes]": "1"}, "spec.hard[nodes]", "must be a standard resource for quota"),
        (
            {"spec.hard[storage]": "1"},
            "spec.hard[storage]",
            "must be a standard resource for quota",
        ),
        ({"spec.hard[a b/c]": "1"}, "spec.hard[a b/c]", "prefix part"),
        ({"spec.hard[pods]": "-1"}, "spec.hard[pods]", "must be greater than or equal to 0"),
        ({"spec.hard[pods]": "500m"}, "spec.hard[pods]", "must be an integer"),
        ({"spec.hard[count/jobs.batch]": "1500m"}, "spec.hard[count/jobs.batch]", "an integer"),
        ({"spec.scopes": ["Sometimes"]}, "spec.scopes", "unsupported scope"),
        (
            {"spec.hard": {"services": "1"}, "spec.scopes": ["Terminating"]},
            "spec.scopes",
            "unsupported scope applied to resource",
        ),
        (
            {"spec.hard": {"cpu": "1"}, "spec.scopes": ["BestEffort"]},
            "spec.scopes",
            "unsupported scope applied to resource",
        ),
        (
            {"spec.hard": {"pods": "1"}, "spec.scopes": ["VolumeAttributesClass"]},
            "spec.scopes",
            "unsupported scope applied to resource",
        ),
        (
            {"spec.hard": {"pods": "1"}, "spec.scopes": ["BestEffort", "NotBestEffort"]},
            "spec.scopes",
            "conflicting scopes",
        ),
        (selecting(("Sometimes", "Exists")), f"{TERMS}.scopeName", "unsupported scope"),
        (
            selecting(("Terminating", "In", ["a"])),
            f"{TERMS}.operator",
            "must be 'Exist' when scope",
        ),
        (selecting(("PriorityClass", "In")), f"{TERMS}.values", "must be at least one value"),
        (selecting(("PriorityClass", "Exists", ["a"])), f"{TERMS}.values", "must be no value when"),
        (
            selecting(("PriorityClass", "Near")),
            f"{TERMS}.operator",
            "not a valid selector operator",
        ),
        (
            selecting(("PriorityClass", "Exists"), services="1"),
            TERMS,
            "unsupported scope applied to resource",
        ),
        (
            selecting(("Terminating", "Exists"), ("NotTerminating", "Exists")),
            TERMS,
            "conflicting scopes",
        ),
    ],
)
def test_broken(change: Change, field: str, words: str) -> None:
    assert_says(strategy_of(KIND).validate(complete(KIND, change)), field, words)


def test_scopes_stay_and_bounds_change() -> None:
    old = complete(KIND, {"spec.hard": {"pods": "1"}, "spec.scopes": ["BestEffort", "Terminating"]})
    strategy = strategy_of(KIND)
    turned = changed(KIND, old, {"spec.scopes": ["Terminating", "BestEffort"]})
    assert not strategy.validate_update(turned, old)
    assert not strategy.validate_update(changed(KIND, old, {"spec.hard[pods]": "5"}), old)
    fewer = changed(KIND, old, {"spec.scopes": ["Terminating"]})
    assert_says(strategy.validate_update(fewer, old), "spec.scopes", "field is immutable")


def test_a_status_is_checked() -> None:
    old, new = complete(KIND), complete(KIND)
    new.status.hard, new.status.used = {"nodes": "1"}, {"pods": "-1"}
    errors = strategy_of(KIND).validate_subresource("status", new, old)
    assert_says(errors, "status.hard[nodes]", "must be a standard resource for quota")
    assert_says(errors, "status.used[pods]", "must be greater than or equal to 0")
