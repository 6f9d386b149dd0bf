"""Webhooks as tables: what their rules choose, what they are asked, and what their answers mean."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.meta import DeleteOptions
from api.scheme import Resource, find
from control.admission.chain import Attributes, Operation
from control.admission.webhooks.answers import V1BETA1, AnswerError, read
from control.admission.webhooks.questions import question
from control.admission.webhooks.rules import chosen, exempt
from control.auth.user import User, in_process


@dataclass(frozen=True, kw_only=True)
class Rule:
    operations: tuple[str, ...] = ("*",)
    api_groups: tuple[str, ...] = ("*",)
    api_versions: tuple[str, ...] = ("*",)
    resources: tuple[str, ...] = ("*",)
    scope: str | None = None


def row(path: str) -> Resource:
    resource = find(*path.split("/"))
    assert resource is not None
    return resource


PODS, NODES, NAMESPACES = row("/v1/pods"), row("/v1/nodes"), row("/v1/namespaces")
DEPLOYMENTS = row("apps/v1/deployments")
EVENTS, NEW_EVENTS = row("/v1/events"), row("events.k8s.io/v1/events")


@pytest.mark.parametrize(
    ("rule", "about", "subresource", "yes"),
    [
        (Rule(), PODS, "", True),
        (Rule(operations=("CREATE",)), PODS, "", True),
        (Rule(operations=("UPDATE", "DELETE")), PODS, "", False),
        (Rule(api_groups=("",)), PODS, "", True),
        (Rule(api_groups=("apps",)), PODS, "", False),
        (Rule(api_groups=("apps",)), DEPLOYMENTS, "", True),
        (Rule(api_versions=("v1beta1",)), PODS, "", False),
        (Rule(resources=("pods",)), PODS, "", True),
        (Rule(resources=("pods",)), PODS, "exec", False),
        (Rule(resources=("pods/exec",)), PODS, "exec", True),
        (Rule(resources=("pods/*",)), PODS, "exec", True),
        (Rule(resources=("*/exec",)), PODS, "exec", True),
        (Rule(resources=("*",)), PODS, "exec", False),
        (Rule(resources=("*/*",)), PODS, "exec", True),
        (Rule(resources=("*/*",)), PODS, "", True),
        (Rule(scope="Namespaced"), PODS, "", True),
        (Rule(scope="Cluster"), PODS, "", False),
        (Rule(scope="Cluster"), NODES, "", True),
        (Rule(scope="Cluster"), NAMESPACES, "", True),
        (Rule(scope="Namespaced"), NAMESPACES, "", False),
    ],
)
def test_rules(rule: Rule, about: Resource, subresource: str, yes: bool) -> None:
    found = chosen([rule], Operation.CREATE, [about], subresource)
    assert (found is not None) is yes
    others = [Rule(operations=("CONNECT",)), rule]
    assert chosen(others, Operation.CREATE, [about], subresource) == found
    assert chosen([], Operation.CREATE, [about], subresource) is None


def test_equivalent_versions_are_chosen_after_the_own_one() -> None:
    old, new = Rule(api_groups=("",)), Rule(api_groups=("events.k8s.io",))
    rows = [NEW_EVENTS, EVENTS]
    assert chosen([old], Operation.CREATE, rows, "") == 1
    assert chosen([old, new], Operation.CREATE, rows, "") == 0
    assert chosen([old], Operation.CREATE, rows[:1], "") is None  # matchPolicy: Exact


def test_what_configures_admission_is_exempt() -> None:
    assert exempt(row("admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"))
    assert not exempt(PODS)


def ask(request: Attributes, about: Resource, **more: Any) -> Any:
    asked = {"uid": "u", "version": "v1", "new": None, "old": None, **more}
    return json.loads(question(request, about, **asked))


def test_the_question_about_a_creation() -> None:
    user = User("ann", ("dev",), uid="7", extra=(("scope", ("a", "b")),))
    request = Attributes(
        operation=Operation.CREATE,
        resource=EVENTS,
        requested=NEW_EVENTS,
        namespace="ns",
        name="e",
        user=user,
        manager="kubectl",
        field_validation="Strict",
    )
    assert ask(request, EVENTS, new=b'{"kind":"Event"}') == {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u",
            "kind": {"group": "", "version": "v1", "kind": "Event"},
            "resource": {"group": "", "version": "v1", "resource": "events"},
            "requestKind": {"group": "events.k8s.io", "version": "v1", "kind": "Event"},
            "requestResource": {"group": "events.k8s.io", "version": "v1", "resource": "events"},
            "name": "e",
            "namespace": "ns",
            "operation": "CREATE",
            "userInfo": {
                "username": "ann",
                "uid": "7",
                "groups": ["dev"],
                "extra": {"scope": ["a", "b"]},
            },
            "object": {"kind": "Event"},
            "dryRun": False,
            "options": {
                "kind": "CreateOptions",
                "apiVersion": "meta.k8s.io/v1",
                "fieldManager": "kubectl",
                "fieldValidation": "Strict",
            },
        },
    }


def test_the_question_about_a_deletion() -> None:
    request = Attributes(
        operation=Operation.DELETE,
        resource=NAMESPACES,
        namespace="",
        name="team",
        user=in_process("test"),
        dry_run=True,
        deletion=DeleteOptions(propagation_policy="Orphan"),
    )
    asked = ask(request, NAMESPACES, old=b'{"kind":"Namespace"}', version=V1BETA1)
    assert asked["apiVersion"] == "admission.k8s.io/v1beta1"
    told = asked["request"]
    assert told["namespace"] == told["name"] == "team"  # a namespace is in itself
    assert "object" not in told
    assert told["oldObject"] == {"kind": "Namespace"}
    assert told["dryRun"] is True
    assert told["options"] == {
        "kind": "DeleteOptions",
        "apiVersion": "meta.k8s.io/v1",
        "propagationPolicy": "Orphan",
        "dryRun": ["All"],
    }


@pytest.mark.parametrize(
    ("about", "subresource", "kind"),
    [
        (PODS, "status", ("", "v1", "Pod")),
        (PODS, "exec", ("", "v1", "PodExecOptions")),
        (PODS, "binding", ("", "v1", "Binding")),
        (PODS, "eviction", ("policy", "v1", "Eviction")),
        (DEPLOYMENTS, "scale", ("autoscaling", "v1", "Scale")),
    ],
)
def test_the_kind_of_a_subresource(
    about: Resource, subresource: str, kind: tuple[str, str, str]
) -> None:
    request = Attributes(
        operation=Operation.CONNECT,
        resource=about,
        subresource=subresource,
        namespace="ns",
        name="n",
        user=in_process("test"),
    )
    told = ask(request, about)["request"]
    names = dict(zip(("group", "version", "kind"), kind, strict=True))
    assert told["kind"] == told["requestKind"] == names
    assert told["subResource"] == told["requestSubResource"] == subresource
    assert told["resource"]["resource"] == about.plural
    assert "options" not in told


def answer(**response: Any) -> bytes:
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
    return json.dumps({**review, "response": {"uid": "u", "allowed": True, **response}}).encode()


def encoded(patch: Any) -> str:
    return base64.b64encode(json.dumps(patch).encode()).decode()


PATCH = [{"op": "add", "path": "/metadata/labels", "value": {}}]


def test_yes() -> None:
    body = answer(warnings=["w"], patchType="JSONPatch", patch=encoded(PATCH))
    verdict = read("x", body, uid="u", mutating=True)
    assert (verdict.denial, verdict.warnings) == (None, ("w",))
    assert json.loads(verdict.patch) == PATCH


def test_the_older_version_demands_less() -> None:
    body = json.dumps({"response": {"uid": "", "allowed": True, "patch": encoded(PATCH)}}).encode()
    assert json.loads(read("x", body, uid="u", mutating=True, version=V1BETA1).patch) == PATCH
    assert not read("x", body, uid="u", mutating=False, version=V1BETA1).patch
    with pytest.raises(AnswerError):
        read("x", body, uid="u", mutating=True)


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (None, 400, 'admission webhook "x" denied the request without explanation'),
        ({"message": "no"}, 400, 'admission webhook "x" denied the request: no'),
        ({"reason": "Never"}, 400, 'admission webhook "x" denied the request: Never'),
        ({"message": "no", "code": 418}, 418, 'admission webhook "x" denied the request: no'),
        ({"message": "no", "code": 200}, 400, 'admission webhook "x" denied the request: no'),
        ({"message": "no", "status": "Success"}, 400, 'webhook "x" denied the request: no'),
    ],
)
def test_no(status: Any, code: int, message: str) -> None:
    body = answer(allowed=False, status=status, patch=encoded(PATCH), patchType="JSONPatch")
    verdict = read("x", body, uid="u", mutating=True)
    assert verdict.denial is not None
    assert verdict.denial.code == code
    assert message in verdict.denial.message
    assert verdict.denial.status.status == "Failure"
    assert not verdict.patch


def test_details_of_a_refusal_reach_the_client() -> None:
    details = {"causes": [{"field": "spec.x", "message": "too small"}]}
    body = answer(allowed=False, status={"message": "no", "reason": "Invalid", "details": details})
    denial = read("x", body, uid="u", mutating=False).denial
    assert denial is not None
    assert denial.status.details is not None
    assert denial.status.details.causes[0].field == "spec.x"
    assert denial.status.reason == "Invalid"


@pytest.mark.parametrize(
    ("body", "mutating", "said"),
    [
        (b"<html>", True, "failed to call webhook: cannot read its answer"),
        (b"", True, "cannot read its answer"),
        (b"[]", True, "cannot read its answer"),
        (b"{}", True, "webhook response was absent"),
        (b'{"response":' + b"[" * 100_000, True, "cannot read its answer"),
        (answer(allowed="yes"), True, "cannot read its answer"),
        (answer(warnings="w"), True, "cannot read its answer"),
        (answer(patchType="JSONPatch", patch="%"), True, "cannot read its answer"),
        (answer().replace(b"io/v1", b"io/v1beta1"), True, "got admission.k8s.io/v1beta1"),
        (answer().replace(b"AdmissionReview", b"Pod"), True, "Kind=AdmissionReview, got"),
        (answer().replace(b"response", b"other"), True, "webhook response was absent"),
        (answer(uid="v"), True, 'expected response.uid="u", got "v"'),
        (answer(patch=encoded(PATCH)), True, "response.patch but not response.patchType"),
        (answer(patchType="JSONPatch"), True, "response.patchType but not response.patch"),
        (answer(patchType="Merge", patch=encoded({})), True, 'response.patchType of "Merge"'),
        (answer(patchType="JSONPatch", patch=encoded(PATCH)), False, "may not return"),
        (answer(patchType="JSONPatch"), False, "may not return response.patchType"),
    ],
)
def test_nonsense(body: bytes, mutating: bool, said: str) -> None:
    with pytest.raises(AnswerError, match=said):
        read("x", body, uid="u", mutating=mutating)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
_FIELDS = ("allowed", "status", "patch", "patchType", "warnings", "auditAnnotations", "uid")


# Nothing here depends on time: a busy machine may take as long as it likes.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    response=st.fixed_dictionaries({}, optional=dict.fromkeys(_FIELDS, _JSON)),
    mutating=st.booleans(),
    version=st.sampled_from(["v1", V1BETA1]),
)
def test_any_answer_is_a_verdict_or_an_error(
    response: dict[str, Any], mutating: bool, version: str
) -> None:
    """Only a plain `allowed: true` lets a request pass."""
    body = answer(**response)
    try:
        verdict = read("x", body, uid="u", mutating=mutating, version=version)
    except AnswerError:
        return
    assert (verdict.denial is None) == (json.loads(body)["response"]["allowed"] is True)
    assert not verdict.patch or (mutating and verdict.denial is None)


@settings(deadline=None)
@given(body=st.binary(max_size=60))
def test_any_bytes_are_a_verdict_or_an_error(body: bytes) -> None:
    with pytest.raises(AnswerError):
        read("x", body, uid="u", mutating=True)
