"""What flow schemas and priority levels may say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.resources.examples import (
    REMOVE,
    Change,
    assert_says,
    complete,
    make,
    said,
    strategy_of,
)

SCHEMA, LEVEL = "FlowSchema", "PriorityLevelConfiguration"
RULE = "spec.rules[0]"
RESOURCE, PATHS = f"{RULE}.resourceRules[0]", f"{RULE}.nonResourceRules[0]"
LIMITED = "spec.limited"
QUEUING = f"{LIMITED}.limitResponse.queuing"
EXEMPT = {"metadata.name": "exempt", "spec": {"type": "Exempt"}}


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (SCHEMA, {"spec.rules": REMOVE, "spec.distinguisherMethod": REMOVE}),
        (SCHEMA, {"metadata.name": "exempt", "spec.matchingPrecedence": 1}),
        (SCHEMA, {f"{PATHS}.nonResourceURLs": ["*"]}),
        (SCHEMA, {f"{PATHS}.nonResourceURLs": ["/"]}),
        (LEVEL, EXEMPT),
        (LEVEL, {**EXEMPT, "spec.exempt": {"nominalConcurrencyShares": 5}}),
        (LEVEL, {f"{LIMITED}.nominalConcurrencyShares": 0}),
        (LEVEL, {f"{LIMITED}.limitResponse": {"type": "Reject"}}),
    ],
)
def test_sound(kind: str, change: Change) -> None:
    errors = strategy_of(kind).validate(complete(kind, change))
    assert not errors, said(errors)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"spec.matchingPrecedence": -1}, "spec.matchingPrecedence", "must be a positive value"),
        ({"spec.matchingPrecedence": 10001}, "spec.matchingPrecedence", "greater than 10000"),
        ({"spec.matchingPrecedence": 1}, "spec.matchingPrecedence", "only the schema named 'exem"),
        (
            {"spec.distinguisherMethod.type": "ByMood"},
            "spec.distinguisherMethod.type",
            'supported values: "ByNamespace", "ByUser"',
        ),
        (
            {"spec.priorityLevelConfiguration.name": ""},
            "spec.priorityLevelConfiguration.name",
            "must reference a priority level",
        ),
        (
            {"spec.priorityLevelConfiguration.name": "A"},
            "spec.priorityLevelConfiguration.name",
            "RFC 1123 subdomain",
        ),
        ({f"{RULE}.subjects": []}, f"{RULE}.subjects", "must contain at least one value"),
        (
            {f"{RULE}.resourceRules": [], f"{RULE}.nonResourceRules": []},
            RULE,
            "at least one of resourceRules and nonResourceRules has to be non-empty",
        ),
        ({f"{RULE}.subjects[0].kind": "Robot"}, f"{RULE}.subjects[0].kind", "Unsupported value"),
        (
            {f"{RULE}.subjects[0].group": {"name": "a"}},
            f"{RULE}.subjects[0].group",
            "group is forbidden when subject kind is not 'Group'",
        ),
        (
            {f"{RULE}.subjects[1]": {"kind": "User"}},
            f"{RULE}.subjects[1].user",
            "user is required when subject kind is 'User'",
        ),
        (
            {f"{RULE}.subjects[1].group.name": ""},
            f"{RULE}.subjects[1].group.name",
            "Required value",
        ),
        (
            {f"{RULE}.subjects[0].serviceAccount.name": "A"},
            f"{RULE}.subjects[0].serviceAccount.name",
            "RFC 1123 subdomain",
        ),
        (
            {f"{RULE}.subjects[0].serviceAccount.namespace": ""},
            f"{RULE}.subjects[0].serviceAccount.namespace",
            "must specify namespace for service account",
        ),
        (
            {f"{RULE}.subjects[0].serviceAccount.namespace": "a.b"},
            f"{RULE}.subjects[0].serviceAccount.namespace",
            "must not contain dots",
        ),
        ({f"{RESOURCE}.verbs": []}, f"{RESOURCE}.verbs", "verbs must contain at least one value"),
        ({f"{RESOURCE}.verbs": ["*", "get"]}, f"{RESOURCE}.verbs", "not specify other verbs"),
        ({f"{RESOURCE}.verbs": ["fly"]}, f"{RESOURCE}.verbs", '"create", "delete"'),
        ({f"{RESOURCE}.apiGroups": []}, f"{RESOURCE}.apiGroups", "at least one api group"),
        (
            {f"{RESOURCE}.apiGroups": ["", "*"]},
            f"{RESOURCE}.apiGroups",
            "must not specify other api groups",
        ),
        ({f"{RESOURCE}.resources": []}, f"{RESOURCE}.resources", "at least one resource"),
        (
            {f"{RESOURCE}.resources": ["pods", "*"]},
            f"{RESOURCE}.resources",
            "must not specify other resources",
        ),
        (
            {f"{RESOURCE}.namespaces": []},
            f"{RESOURCE}.namespaces",
            "that are not cluster scoped must supply at least one namespace",
        ),
        (
            {f"{RESOURCE}.namespaces": ["*", "a"]},
            f"{RESOURCE}.namespaces",
            "must not specify other namespaces",
        ),
        (
            {f"{RESOURCE}.namespaces": ["a", "b.c"]},
            f"{RESOURCE}.namespaces[1]",
            "each member of this list must be '*' or a DNS-1123 label; must not contain dots",
        ),
        ({f"{PATHS}.verbs": ["*", "get"]}, f"{PATHS}.verbs", "must not specify other verbs"),
        ({f"{PATHS}.nonResourceURLs": []}, f"{PATHS}.nonResourceURLs", "at least one value"),
        (
            {f"{PATHS}.nonResourceURLs": ["*", "/a"]},
            f"{PATHS}.nonResourceURLs",
            "must not specify other non-resource URLs",
        ),
    ],
)
def test_broken_schema(change: Change, field: str, words: str) -> None:
    assert_says(strategy_of(SCHEMA).validate(complete(SCHEMA, change)), field, words)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "must not be empty"),
        ("metrics", "must start with slash"),
        ("/a b", "must not contain white-space"),
        ("/a//b", "must not contain double slash"),
        ("/a*", "wildcard can only do suffix matching"),
        ("/*/a", "wildcard can only do suffix matching"),
        ("/*/*", "wildcard can only do suffix matching"),
    ],
)
def test_broken_path(url: str, words: str) -> None:
    obj = complete(SCHEMA, {f"{PATHS}.nonResourceURLs": ["/a/*", url]})
    assert_says(strategy_of(SCHEMA).validate(obj), f"{PATHS}.nonResourceURLs[1]", words)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"metadata.name": "exempt"}, "spec.type", "'Exempt' if and only if name is 'exempt'"),
        ({"spec": {"type": "Exempt"}}, "spec.type", "'Exempt' if and only if name is 'exempt'"),
        ({"spec.type": "Rich"}, "spec.type", '"Exempt", "Limited"'),
        ({"spec.type": ""}, "spec.type", "Required value"),
        ({LIMITED: REMOVE}, LIMITED, "must not be empty when type is Limited"),
        ({"spec.exempt": {}}, "spec.exempt", "must be nil if the type is Limited"),
        ({**EXEMPT, LIMITED: {}}, LIMITED, "must be nil if the type is not Limited"),
        (
            {**EXEMPT, "spec.exempt": {"lendablePercent": 101}},
            "spec.exempt.lendablePercent",
            "must be between 0 and 100, inclusive",
        ),
        (
            {f"{LIMITED}.nominalConcurrencyShares": -1},
            f"{LIMITED}.nominalConcurrencyShares",
            "must be a non-negative integer",
        ),
        (
            {f"{LIMITED}.borrowingLimitPercent": -1},
            f"{LIMITED}.borrowingLimitPercent",
            "if specified, must be a non-negative integer",
        ),
        ({f"{LIMITED}.limitResponse.type": "Wait"}, f"{LIMITED}.limitResponse.type", '"Queue"'),
        ({f"{LIMITED}.limitResponse.type": "Reject"}, QUEUING, "must be nil if limited.limit"),
        ({QUEUING: REMOVE}, QUEUING, "must not be empty if limited.limitResponse.type"),
        ({f"{QUEUING}.queueLengthLimit": -1}, f"{QUEUING}.queueLengthLimit", "must be positive"),
        ({f"{QUEUING}.queues": -1}, f"{QUEUING}.queues", "must be positive"),
        ({f"{QUEUING}.queues": 10_000_001}, f"{QUEUING}.queues", "must not be greater than"),
        ({f"{QUEUING}.handSize": -1}, f"{QUEUING}.handSize", "must be positive"),
        ({f"{QUEUING}.queues": 4}, f"{QUEUING}.handSize", "not be greater than queues (4)"),
        (
            {f"{QUEUING}.handSize": 11},
            f"{QUEUING}.handSize",
            "required entropy bits of deckSize 64 and handSize 11 should not be greater than 60",
        ),
    ],
)
def test_broken_level(change: Change, field: str, words: str) -> None:
    assert_says(strategy_of(LEVEL).validate(complete(LEVEL, change)), field, words)


def test_what_is_left_out_is_filled_in() -> None:
    assert complete(SCHEMA).spec.matching_precedence == 1000
    limited = complete(LEVEL).spec.limited
    assert (limited.nominal_concurrency_shares, limited.lendable_percent) == (30, 0)
    queuing = limited.limit_response.queuing
    assert (queuing.queues, queuing.hand_size, queuing.queue_length_limit) == (64, 8, 50)
    exempt = complete(LEVEL, {**EXEMPT, "spec.exempt": {}}).spec.exempt
    assert (exempt.nominal_concurrency_shares, exempt.lendable_percent) == (0, 0)


@pytest.mark.parametrize("kind", [SCHEMA, LEVEL])
def test_conditions_have_a_type_that_comes_once(kind: str) -> None:
    def errors(*types: str) -> Any:
        found: list[dict[str, str]] = [{"type": type_, "status": "True"} for type_ in types]
        new = make(kind, {"status.conditions": found})
        return strategy_of(kind).validate_subresource("status", new, complete(kind))

    assert not errors("A", "B")
    assert_says(errors("A", "A"), "status.conditions[1].type", "Duplicate value")
    assert_says(errors(""), "status.conditions[0].type", "must not be empty")
