"""Webhooks as tables: what their rules choose, and what their answers mean."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.scheme import find
from control.admission.chain import Attributes, Operation
from control.admission.webhooks.answers import AnswerError, read
from control.admission.webhooks.rules import chosen
from control.auth.user import in_process


@dataclass(frozen=True, kw_only=True)
class Rule:
    operations: tuple[str, ...] = ("*",)
    api_groups: tuple[str, ...] = ("*",)
    api_versions: tuple[str, ...] = ("*",)
    resources: tuple[str, ...] = ("*",)
    scope: str | None = None


def request(path: str = "/v1/pods", subresource: str = "") -> Attributes:
    resource = find(*path.split("/"))
    assert resource is not None
    return Attributes(
        operation=Operation.CREATE,
        resource=resource,
        namespace="ns" if resource.namespaced else "",
        name="n",
        user=in_process("test"),
        subresource=subresource,
    )


@pytest.mark.parametrize(
    ("rule", "asked", "yes"),
    [
        (Rule(), request(), True),
        (Rule(operations=("CREATE",)), request(), True),
        (Rule(operations=("UPDATE", "DELETE")), request(), False),
        (Rule(api_groups=("",)), request(), True),
        (Rule(api_groups=("apps",)), request(), False),
        (Rule(api_groups=("apps",)), request("apps/v1/deployments"), True),
        (Rule(api_versions=("v1beta1",)), request(), False),
        (Rule(resources=("pods",)), request(), True),
        (Rule(resources=("pods",)), request(subresource="exec"), False),
        (Rule(resources=("pods/exec",)), request(subresource="exec"), True),
        (Rule(resources=("pods/*",)), request(subresource="exec"), True),
        (Rule(resources=("*/exec",)), request(subresource="exec"), True),
        (Rule(resources=("*",)), request(subresource="exec"), False),
        (Rule(resources=("*/*",)), request(subresource="exec"), True),
        (Rule(resources=("*/*",)), request(), True),
        (Rule(scope="Namespaced"), request(), True),
        (Rule(scope="Cluster"), request(), False),
        (Rule(scope="Cluster"), request("/v1/nodes"), True),
        (Rule(scope="Cluster"), request("/v1/namespaces"), True),
    ],
)
def test_rules(rule: Rule, asked: Attributes, yes: bool) -> None:
    assert chosen([rule], asked) is yes
    assert chosen([Rule(operations=("CONNECT",)), rule], asked) is yes
    assert not chosen([], asked)


def answer(**response: Any) -> bytes:
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
    return json.dumps({**review, "response": {"uid": "u", **response}}).encode()


def encoded(patch: Any) -> str:
    return base64.b64encode(json.dumps(patch).encode()).decode()


PATCH = [{"op": "add", "path": "/metadata/labels", "value": {}}]


def test_yes() -> None:
    body = answer(allowed=True, warnings=["w"], patchType="JSONPatch", patch=encoded(PATCH))
    verdict = read("x", body, uid="u", mutating=True)
    assert (verdict.denial, verdict.patch, verdict.warnings) == (None, PATCH, ("w",))


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (None, 400, 'admission webhook "x" denied the request without explanation'),
        ({"message": "no"}, 400, 'admission webhook "x" denied the request: no'),
        ({"reason": "Never"}, 400, 'admission webhook "x" denied the request: Never'),
        ({"message": "no", "code": 418}, 418, 'admission webhook "x" denied the request: no'),
        ({"message": "no", "code": 200}, 400, 'admission webhook "x" denied the request: no'),
    ],
)
def test_no(status: Any, code: int, message: str) -> None:
    denial = read("x", answer(allowed=False, status=status), uid="u", mutating=False).denial
    assert denial is not None
    assert (denial.code, denial.status.message) == (code, message)


@pytest.mark.parametrize(
    ("body", "mutating", "said"),
    [
        (b"<html>", True, "couldn't read its answer as JSON"),
        (b"[]", True, "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview"),
        (answer().replace(b"io/v1", b"io/v1beta1"), True, "got admission.k8s.io/v1beta1"),
        (answer().replace(b"response", b"other"), True, "webhook response was absent"),
        (answer(uid="v"), True, 'expected response.uid="u", got "v"'),
        (answer(patch=encoded(PATCH)), True, "response.patch but not response.patchType"),
        (answer(patchType="JSONPatch"), True, "response.patchType but not response.patch"),
        (answer(patchType="Merge", patch=encoded({})), True, 'response.patchType of "Merge"'),
        (answer(patchType="JSONPatch", patch="%"), True, "not a JSON patch in base64"),
        (answer(patchType="JSONPatch", patch=encoded({})), True, "no list of operations"),
        (answer(patchType="JSONPatch", patch=encoded(PATCH)), False, "validating webhook may not"),
        (answer(allowed=True, warnings="w"), True, "response.warnings is not a list"),
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


@given(
    response=st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(("allowed", "status", "patch", "patchType", "warnings"), _JSON),
    ),
    mutating=st.booleans(),
)
def test_any_answer_is_a_verdict_or_an_error(response: dict[str, Any], mutating: bool) -> None:
    """Only a plain `allowed: true` lets a request pass."""
    try:
        verdict = read("x", answer(**response), uid="u", mutating=mutating)
    except AnswerError:
        return
    assert (verdict.denial is None) == (response.get("allowed") is True)
