"""What an APIService may say, and what is said of it."""

from __future__ import annotations

import pytest

from tests.unit.resources.examples import (
    Change,
    assert_says,
    complete,
    make,
    said,
    strategy_of,
)

KIND = "APIService"
SERVICE = {"namespace": "kube-system", "name": "metrics"}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"metadata.name": "v1.", "spec.group": ""},
        {"spec.service": SERVICE, "spec.caBundle": "aGVsbG8="},
        {"spec.service": SERVICE, "spec.insecureSkipTLSVerify": True},
    ],
)
def test_sound(change: Change) -> None:
    errors = strategy_of(KIND).validate(complete(KIND, change))
    assert not errors, said(errors)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        (
            {"metadata.name": "other"},
            "metadata.name",
            'must be `spec.version+"."+spec.group`: "v1.example.com"',
        ),
        ({"spec.group": "", "spec.version": "v2"}, "spec.group", "only v1 may have an empty group"),
        ({"spec.group": "A"}, "spec.group", "RFC 1123 subdomain"),
        ({"spec.version": "1"}, "spec.version", "DNS-1035 label"),
        ({"spec.groupPriorityMinimum": 0}, "spec.groupPriorityMinimum", "less than 20000"),
        ({"spec.groupPriorityMinimum": 20001}, "spec.groupPriorityMinimum", "less than 20000"),
        ({"spec.versionPriority": 1001}, "spec.versionPriority", "less than 1000"),
        ({"spec.caBundle": "aGVsbG8="}, "spec.caBundle", '"5 bytes": local APIServices may not'),
        (
            {"spec.insecureSkipTLSVerify": True},
            "spec.insecureSkipTLSVerify",
            "local APIServices may not have insecureSkipTLSVerify",
        ),
        ({"spec.service": {"name": "a"}}, "spec.service.namespace", "Required value"),
        ({"spec.service": {"namespace": "a"}}, "spec.service.name", "Required value"),
        ({"spec.service": {**SERVICE, "port": 0}}, "spec.service.port", "must be between 1"),
        (
            {
                "spec.service": SERVICE,
                "spec.caBundle": "aGVsbG8=",
                "spec.insecureSkipTLSVerify": True,
            },
            "spec.insecureSkipTLSVerify",
            "may not be true if caBundle is present",
        ),
    ],
)
def test_broken(change: Change, field: str, words: str) -> None:
    assert_says(strategy_of(KIND).validate(complete(KIND, change)), field, words)


def test_what_is_served_here_is_available_at_once() -> None:
    born = "2026-01-01T11:00:00Z"
    (condition,) = complete(KIND, {"metadata.creationTimestamp": born}).status.conditions
    assert (condition.type, condition.status, condition.reason) == ("Available", "True", "Local")
    assert condition.last_transition_time == born


def test_what_others_serve_is_not() -> None:
    found = complete(KIND, {"spec.service": SERVICE})
    assert found.spec.service.port == 443
    (condition,) = found.status.conditions
    assert (condition.status, condition.reason) == ("False", "AggregationNotServed")
    assert "example.com/v1 belong to the service kube-system/metrics" in condition.message


def test_a_condition_is_true_false_or_unknown() -> None:
    new = make(KIND, {"status.conditions": [{"type": "Available", "status": "Perhaps"}]})
    errors = strategy_of(KIND).validate_subresource("status", new, complete(KIND))
    assert_says(errors, "status.conditions[0].status", '"True", "False", "Unknown"')
