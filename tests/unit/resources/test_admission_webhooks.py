"""What configurations of webhooks and policies may say, and what is filled in."""

from __future__ import annotations

from datetime import UTC, datetime
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

MUTATING, VALIDATING = "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"
POLICY, BINDING = "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"
W0 = "webhooks[0]"
R0 = f"{W0}.rules[0]"
URL = f"{W0}.clientConfig.url"
SERVICE = f"{W0}.clientConfig.service"
P0 = "spec.matchConstraints.resourceRules[0]"


def rule(*resources: str) -> Change:
    return {f"{R0}.resources": list(resources)}


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (MUTATING, {"webhooks": []}),
        (MUTATING, {f"{W0}.rules": []}),
        (MUTATING, {f"{SERVICE}.path": "/"}),
        (MUTATING, {f"{SERVICE}.path": "/a/b/"}),
        (MUTATING, rule("*")),
        (MUTATING, rule("*", "pods/exec")),
        (MUTATING, rule("*/*")),
        (MUTATING, rule("pods", "pods/*", "*/scale")),
        (MUTATING, {f"{R0}.operations": ["*"], f"{R0}.apiVersions": ["*"]}),
        (MUTATING, {f"{W0}.admissionReviewVersions": ["v9", "v1beta1"]}),
        (MUTATING, {f"{W0}.reinvocationPolicy": "IfNeeded"}),
        (VALIDATING, {f"{W0}.timeoutSeconds": 30}),
        (VALIDATING, {f"{W0}.objectSelector": {"matchLabels": {"a": "b"}}}),
        (VALIDATING, {URL: "https://[::1]:8443"}),
        (POLICY, {"spec.validations[0].reason": "Forbidden"}),
        (POLICY, {"spec.validations": [], "spec.auditAnnotations": [
            {"key": "a", "valueExpression": "'b'"}]}),
        (POLICY, {f"{P0}.resourceNames": ["a", "b"]}),
        (BINDING, {"spec.paramRef": {"selector": {}}}),
        (BINDING, {"spec.matchResources": {"namespaceSelector": {"matchLabels": {"a": "b"}}}}),
    ],
)  # fmt: skip
def test_sound(kind: str, change: Change) -> None:
    errors = strategy_of(kind).validate(complete(kind, change))
    assert not errors, said(errors)


@pytest.mark.parametrize(
    ("kind", "change", "field", "words"),
    [
        (MUTATING, {f"{W0}.name": "short.name"}, f"{W0}.name", "at least three segments"),
        (MUTATING, {f"{W0}.name": "A.b.c"}, f"{W0}.name", "a lowercase RFC 1123 subdomain"),
        (MUTATING, {f"{W0}.name": ""}, f"{W0}.name", "Required value"),
        (MUTATING, {f"{W0}.clientConfig": {}}, f"{W0}.clientConfig", "exactly one of url or"),
        (MUTATING, {URL: "https://a"}, f"{W0}.clientConfig", "exactly one of url or service"),
        (MUTATING, {f"{SERVICE}.name": ""}, f"{SERVICE}.name", "service name is required"),
        (MUTATING, {f"{SERVICE}.namespace": ""}, f"{SERVICE}.namespace", "namespace is required"),
        (MUTATING, {f"{SERVICE}.port": 0}, f"{SERVICE}.port", "port is not valid: must be"),
        (MUTATING, {f"{SERVICE}.path": "a"}, f"{SERVICE}.path", "must start with a '/'"),
        (MUTATING, {f"{SERVICE}.path": "//"}, f"{SERVICE}.path", "segment[0] may not be empty"),
        (MUTATING, {f"{SERVICE}.path": "/a//b"}, f"{SERVICE}.path", "segment[1] may not be empty"),
        (MUTATING, {f"{SERVICE}.path": "/a/B"}, f"{SERVICE}.path", "segment[1]: a lowercase RFC"),
        (MUTATING, {f"{W0}.sideEffects": REMOVE}, f"{W0}.sideEffects", "one of None, NoneOnDryRun"),
        (MUTATING, {f"{W0}.sideEffects": "Some"}, f"{W0}.sideEffects", '"None", "NoneOnDryRun"'),
        (MUTATING, {f"{W0}.timeoutSeconds": 0}, f"{W0}.timeoutSeconds", "between 1 and 30 seconds"),
        (MUTATING, {f"{W0}.timeoutSeconds": 31}, f"{W0}.timeoutSeconds", "between 1 and 30"),
        (MUTATING, {f"{W0}.failurePolicy": "Try"}, f"{W0}.failurePolicy", '"Ignore", "Fail"'),
        (MUTATING, {f"{W0}.matchPolicy": "Like"}, f"{W0}.matchPolicy", '"Exact", "Equivalent"'),
        (MUTATING, {f"{W0}.reinvocationPolicy": "Always"}, f"{W0}.reinvocationPolicy", '"IfNeeded"'),
        (MUTATING, {f"{W0}.namespaceSelector": {"matchLabels": {"a b": "c"}}},
         f"{W0}.namespaceSelector.matchLabels", "name part must consist of"),
        (MUTATING, {f"{W0}.admissionReviewVersions": []}, f"{W0}.admissionReviewVersions",
         "must specify one of v1, v1beta1"),
        (MUTATING, {f"{W0}.admissionReviewVersions": ["v2"]}, f"{W0}.admissionReviewVersions",
         "must include at least one of v1, v1beta1"),
        (MUTATING, {f"{W0}.admissionReviewVersions": ["v1", "v1"]},
         f"{W0}.admissionReviewVersions[1]", "Duplicate value"),
        (MUTATING, {f"{W0}.matchConditions": [{"name": "a", "expression": "true"}]},
         f"{W0}.matchConditions", "expressions in CEL are not evaluated yet"),
        (MUTATING, {f"{W0}.matchConditions": [{"name": "a b", "expression": " "}]},
         f"{W0}.matchConditions[0].expression", "Required value"),
        (MUTATING, {f"{W0}.matchConditions": [{"name": "a", "expression": "b"}] * 65},
         f"{W0}.matchConditions", "must have at most 64 items"),
        (MUTATING, {f"{W0}.matchConditions": [{"name": "a", "expression": "b"}] * 2},
         f"{W0}.matchConditions[1].name", "Duplicate value"),
        (MUTATING, {f"{R0}.operations": []}, f"{R0}.operations", "Required value"),
        (MUTATING, {f"{R0}.operations": ["GET"]}, f"{R0}.operations[0]", '"CREATE", "UPDATE"'),
        (MUTATING, {f"{R0}.operations": ["*", "CREATE"]}, f"{R0}.operations", "other operations"),
        (MUTATING, {f"{R0}.apiGroups": ["*", ""]}, f"{R0}.apiGroups", "other API groups"),
        (MUTATING, {f"{R0}.apiVersions": []}, f"{R0}.apiVersions", "Required value"),
        (MUTATING, {f"{R0}.apiVersions": [""]}, f"{R0}.apiVersions[0]", "Required value"),
        (MUTATING, {f"{R0}.scope": "All"}, f"{R0}.scope", '"Cluster", "Namespaced", "*"'),
        (MUTATING, rule(), f"{R0}.resources", "Required value"),
        (MUTATING, rule(""), f"{R0}.resources[0]", "Required value"),
        (MUTATING, rule("*/*", "pods"), f"{R0}.resources", "must not specify other resources"),
        (MUTATING, rule("*", "pods"), f"{R0}.resources", "resources without subresources"),
        (MUTATING, rule("pods/*", "pods/exec"), f"{R0}.resources[1]", "if 'pods/*' is present"),
        (MUTATING, rule("*/scale", "a/scale"), f"{R0}.resources[1]", "if '*/scale' is present"),
        (VALIDATING, {URL: "http://a"}, URL, "'https' is the only allowed URL scheme"),
        (VALIDATING, {URL: "https:///a"}, URL, "host must be specified"),
        (VALIDATING, {URL: "https://u:p@a"}, URL, "user information is not permitted"),
        (VALIDATING, {URL: "https://a#b"}, URL, "fragments are not permitted"),
        (VALIDATING, {URL: "https://a?b=c"}, URL, "query parameters are not permitted"),
        (VALIDATING, {URL: "https://[a"}, URL, "url must be a valid URL"),
        (POLICY, {"spec.matchConstraints": REMOVE}, "spec.matchConstraints", "Required value"),
        (POLICY, {"spec.matchConstraints.resourceRules": []},
         "spec.matchConstraints.resourceRules", "Required value"),
        (POLICY, {f"{P0}.operations": []}, f"{P0}.operations", "Required value"),
        (POLICY, {f"{P0}.resourceNames": ["a", "a"]}, f"{P0}.resourceNames[1]", "Duplicate value"),
        (POLICY, {f"{P0}.resourceNames": ["a/b"]}, f"{P0}.resourceNames[0]", "may not contain '/'"),
        (POLICY, {"spec.validations": []}, "spec.validations", "must be non-empty"),
        (POLICY, {"spec.validations": []}, "spec.auditAnnotations", "must be non-empty"),
        (POLICY, {"spec.validations[0].expression": " "}, "spec.validations[0].expression",
         "expression is not specified"),
        (POLICY, {"spec.validations[0].message": "a\nb"}, "spec.validations[0].message",
         "must not contain line breaks"),
        (POLICY, {"spec.validations[0].message": " "}, "spec.validations[0].message",
         "must be non-empty if specified"),
        (POLICY, {"spec.validations[0]": {"expression": "a\n||b"}}, "spec.validations[0].message",
         "must be specified if expression contains line breaks"),
        (POLICY, {"spec.validations[0].reason": "Conflict"}, "spec.validations[0].reason",
         '"RequestEntityTooLarge"'),
        (POLICY, {"spec.validations[0].messageExpression": " "},
         "spec.validations[0].messageExpression", "must be non-empty if specified"),
        (POLICY, {"spec.paramKind": {"apiVersion": "a/b/c", "kind": "K"}},
         "spec.paramKind.apiVersion", "unexpected GroupVersion string"),
        (POLICY, {"spec.paramKind": {"kind": "9"}}, "spec.paramKind.kind", "may have mixed case"),
        (POLICY, {"spec.paramKind": {}}, "spec.paramKind.kind", "Required value"),
        (POLICY, {"spec.variables[0].name": "a-b"}, "spec.variables[0].name", "a valid CEL ident"),
        (POLICY, {"spec.variables[0].name": "in"}, "spec.variables[0].name", "a valid CEL ident"),
        (POLICY, {"spec.variables[1]": {"name": "replicas", "expression": "1"}},
         "spec.variables[1].name", "Duplicate value"),
        (POLICY, {"spec.auditAnnotations": [{"key": "a", "valueExpression": ""}]},
         "spec.auditAnnotations[0].valueExpression", "is not specified"),
        (POLICY, {"spec.auditAnnotations": [{"key": "a", "valueExpression": "b"}] * 2},
         "spec.auditAnnotations[1].key", "Duplicate value"),
        (BINDING, {"spec.policyName": REMOVE}, "spec.policyName", "Required value"),
        (BINDING, {"spec.policyName": "A"}, "spec.policyName", "a lowercase RFC 1123 subdomain"),
        (BINDING, {"spec.validationActions": []}, "spec.validationActions", "Required value"),
        (BINDING, {"spec.validationActions": ["Deny", "Warn"]}, "spec.validationActions",
         "must not contain both Deny and Warn"),
        (BINDING, {"spec.validationActions": ["Log"]}, "spec.validationActions[0]", '"Audit"'),
        (BINDING, {"spec.validationActions": ["Warn", "Warn"]}, "spec.validationActions[1]",
         "Duplicate value"),
        (BINDING, {"spec.paramRef": {}}, "spec.paramRef", "one of name or selector must be"),
        (BINDING, {"spec.paramRef.selector": {}}, "spec.paramRef.name", "mutually exclusive"),
        (BINDING, {"spec.paramRef.parameterNotFoundAction": "Ask"},
         "spec.paramRef.parameterNotFoundAction", '"Allow", "Deny"'),
    ],
)  # fmt: skip
def test_broken(kind: str, change: Change, field: str, words: str) -> None:
    assert_says(strategy_of(kind).validate(complete(kind, change)), field, words)


def test_names_are_unique() -> None:
    found = complete(MUTATING)
    found.webhooks.append(found.webhooks[0])
    assert_says(strategy_of(MUTATING).validate(found), "webhooks[1].name", "Duplicate value")


def test_defaults_of_webhooks() -> None:
    (webhook,) = complete(MUTATING).webhooks
    assert (webhook.failure_policy, webhook.match_policy) == ("Fail", "Equivalent")
    assert (webhook.timeout_seconds, webhook.reinvocation_policy) == (10, "Never")
    assert webhook.namespace_selector is not None
    assert webhook.object_selector is not None
    assert webhook.client_config.service.port == 443
    assert webhook.rules[0].scope == "*"
    (kept,) = complete(VALIDATING).webhooks
    assert kept.timeout_seconds == 5


def test_defaults_of_policies() -> None:
    spec = complete(POLICY).spec
    assert (spec.failure_policy, spec.match_constraints.match_policy) == ("Fail", "Equivalent")
    assert spec.match_constraints.resource_rules[0].scope == "*"
    assert complete(BINDING).spec.param_ref.parameter_not_found_action == "Deny"


def test_generations_count_webhooks() -> None:
    rules = strategy_of(MUTATING)
    assert rules.has_generation
    old = complete(MUTATING)
    assert not rules.generation_changes(
        changed(MUTATING, old, {"metadata.labels": {"a": "b"}}), old
    )
    assert rules.generation_changes(changed(MUTATING, old, {f"{W0}.timeoutSeconds": 3}), old)


@pytest.mark.parametrize(
    ("kind", "change", "cells"),
    [
        (MUTATING, {}, [1]),
        (VALIDATING, {"webhooks": []}, [0]),
        (POLICY, {}, [1, "<unset>"]),
        (POLICY, {"spec.paramKind": {"apiVersion": "v1", "kind": "Secret"}}, [1, "v1/Secret"]),
        (BINDING, {}, ["replicas", "default/limits"]),
        (BINDING, {"spec.paramRef": REMOVE}, ["replicas", "<unset>"]),
    ],
)
def test_cells(kind: str, change: Change, cells: list[Any]) -> None:
    found, now = complete(kind, change), datetime(2026, 1, 1, tzinfo=UTC)
    assert [column.cell(found, now) for column in strategy_of(kind).columns] == cells
