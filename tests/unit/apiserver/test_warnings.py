"""Warnings of one request: each once, and not without end."""

from __future__ import annotations

import msgspec

from control.admission.webhooks import answers
from control.apiserver.registry.call import MAX_WARNINGS, Call
from control.auth.user import in_process


def test_each_is_told_once() -> None:
    call = Call(user=in_process("test"))
    for text in ("a", "b", "a"):
        call.warn(text)
    assert call.warnings == ["a", "b"]


def test_a_body_with_very_many_mistakes_keeps_nobody_waiting() -> None:
    call = Call(user=in_process("test"))
    for number in range(200_000):
        call.warn(f'unknown field "spec.field{number}"')
    assert len(call.warnings) == MAX_WARNINGS


def test_a_webhook_warns_as_much_as_can_be_told() -> None:
    texts = [f"caution {number}" for number in range(10_000)]
    review = {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": "u", "allowed": True, "warnings": texts},
    }
    verdict = answers.read("hook", msgspec.json.encode(review), uid="u", mutating=False)
    assert len(verdict.warnings) == 100
    assert verdict.warnings[0] == "caution 0"
