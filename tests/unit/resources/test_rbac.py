"""What roles and their bindings may say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.resources.examples import (
    REMOVE,
    Change,
    assert_says,
    changed,
    complete,
    said,
    strategy_of,
)

GROUP = "rbac.authorization.k8s.io"
RULES = {"clusterRoleSelectors": [{"matchLabels": {"for": "team"}}]}


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("Role", {"rules": []}),
        ("Role", {"rules": REMOVE}),
        ("Role", {"metadata.name": "system:any name at all"}),
        ("ClusterRole", {"rules": REMOVE, "aggregationRule": RULES}),
        ("RoleBinding", {"subjects": REMOVE}),
        ("RoleBinding", {"roleRef.apiGroup": REMOVE}),
        ("RoleBinding", {"roleRef.kind": "ClusterRole", "roleRef.name": "system:x"}),
        ("RoleBinding", {"subjects[2].namespace": REMOVE}),
        ("ClusterRoleBinding", {"subjects[0].kind": "User", "subjects[0].name": "a b"}),
    ],
)
def test_sound(kind: str, change: Change) -> None:
    strategy, obj = strategy_of(kind), complete(kind, change)
    errors = strategy.validate(obj)
    assert not errors, said(errors)
    assert not strategy.validate_name(obj.metadata.name, generated=False)


@pytest.mark.parametrize(
    ("kind", "change", "field", "words"),
    [
        ("Role", {"rules[0].verbs": []}, "rules[0].verbs", "at least one value"),
        ("Role", {"rules[0].apiGroups": []}, "rules[0].apiGroups", "at least one api group"),
        ("Role", {"rules[1].resources": []}, "rules[1].resources", "at least one resource"),
        (
            "Role",
            {"rules[0]": {"verbs": ["get"], "nonResourceURLs": ["/metrics"]}},
            "rules[0].nonResourceURLs",
            'Invalid value: ["/metrics"]: namespaced rules cannot apply to non-resource URLs',
        ),
        (
            "ClusterRole",
            {"rules[0].nonResourceURLs": ["/x"]},
            "rules[0].nonResourceURLs",
            "cannot apply to both regular resources and non-resource URLs",
        ),
        (
            "ClusterRole",
            {"aggregationRule": {}},
            "aggregationRule.clusterRoleSelectors",
            "at least one clusterRoleSelector required if aggregationRule is non-nil",
        ),
        (
            "ClusterRole",
            {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a b": "c"}}]}},
            "aggregationRule.clusterRoleSelectors[0].matchLabels",
            "name part must consist of",
        ),
        ("RoleBinding", {"roleRef.apiGroup": "x"}, "roleRef.apiGroup", f'values: "{GROUP}"'),
        ("RoleBinding", {"roleRef.kind": "x"}, "roleRef.kind", 'values: "Role", "ClusterRole"'),
        ("ClusterRoleBinding", {"roleRef.kind": "Role"}, "roleRef.kind", 'values: "ClusterRole"'),
        ("RoleBinding", {"roleRef.name": ""}, "roleRef.name", "Required value"),
        ("RoleBinding", {"roleRef.name": "a/b"}, "roleRef.name", "may not contain '/'"),
        ("RoleBinding", {"roleRef": REMOVE}, "roleRef.name", "Required value"),
        ("RoleBinding", {"subjects[0].name": ""}, "subjects[0].name", "Required value"),
        (
            "RoleBinding",
            {"subjects[0].kind": "Robot"},
            "subjects[0].kind",
            'supported values: "ServiceAccount", "User", "Group"',
        ),
        ("RoleBinding", {"subjects[1].apiGroup": "x"}, "subjects[1].apiGroup", GROUP),
        (
            "RoleBinding",
            {"subjects[2].apiGroup": GROUP},
            "subjects[2].apiGroup",
            'supported values: ""',
        ),
        ("RoleBinding", {"subjects[2].name": "A_B"}, "subjects[2].name", "RFC 1123 subdomain"),
        (
            "ClusterRoleBinding",
            {"subjects[0]": {"kind": "ServiceAccount", "name": "robot"}},
            "subjects[0].namespace",
            "Required value",
        ),
    ],
)
def test_broken(kind: str, change: Change, field: str, words: str) -> None:
    assert_says(strategy_of(kind).validate(complete(kind, change)), field, words)


@pytest.mark.parametrize("kind", ["Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"])
def test_names_are_parts_of_a_path(kind: str) -> None:
    assert strategy_of(kind).validate_name("a/b", generated=False) == ["may not contain '/'"]


def test_groups_of_subjects_and_roles_are_filled_in() -> None:
    binding = complete("RoleBinding", {"roleRef.apiGroup": REMOVE})
    assert binding.role_ref.api_group == GROUP
    assert [subject.api_group for subject in binding.subjects] == [GROUP, GROUP, ""]


@pytest.mark.parametrize("kind", ["RoleBinding", "ClusterRoleBinding"])
def test_what_is_given_never_changes(kind: str) -> None:
    old = complete(kind)
    errors = strategy_of(kind).validate_update(changed(kind, old, {"roleRef.name": "other"}), old)
    assert_says(errors, "roleRef", "cannot change roleRef")
    more: dict[str, Any] = {"subjects": []}
    assert not strategy_of(kind).validate_update(changed(kind, old, more), old)
