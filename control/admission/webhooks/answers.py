"""What the answer of an admission webhook means: yes, with warnings and a patch; no; or nonsense.

Serves step 1 of the pod's walk. Pure: bytes of an `AdmissionReview` in, a verdict out. What a webhook
says is not believed further than the API documents it: another review's uid, a patch from a webhook
that may only validate, or half a patch is a failed call, which the failure policy then decides about.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from api.errors import ApiError
from api.meta import Status

API_VERSION, KIND = "admission.k8s.io/v1", "AdmissionReview"


class AnswerError(Exception):
    """The answer cannot be used; the text follows `failed calling webhook "x": `."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`denial` is None when the request may pass; `patch` is a JSON patch, [] for none."""

    denial: ApiError | None
    patch: list[Any]
    warnings: tuple[str, ...]


def read(name: str, body: bytes, *, uid: str, mutating: bool) -> Verdict:
    """The verdict of webhook `name` on the review `uid`. Raises AnswerError."""
    response = _response(body)
    if response.get("uid") != uid:
        raise AnswerError(
            f"expected response.uid={_quoted(uid)}, got {_quoted(response.get('uid'))}"
        )
    patch = _patch(response, mutating=mutating)
    warnings = response.get("warnings") or []
    if not isinstance(warnings, list):
        raise AnswerError("response.warnings is not a list")
    allowed = response.get("allowed") is True
    return Verdict(
        denial=None if allowed else _denial(name, response.get("status")),
        patch=patch if allowed else [],
        warnings=tuple(str(warning) for warning in warnings),
    )


def _response(body: bytes) -> dict[str, Any]:
    try:
        review = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise AnswerError(f"couldn't read its answer as JSON: {error}") from error
    found = review if isinstance(review, dict) else {}
    if (found.get("apiVersion"), found.get("kind")) != (API_VERSION, KIND):
        got = f"{found.get('apiVersion', '')}, Kind={found.get('kind', '')}"
        raise AnswerError(f"expected webhook response of {API_VERSION}, Kind={KIND}, got {got}")
    response = found.get("response")
    if not isinstance(response, dict):
        raise AnswerError("webhook response was absent")
    return response


def _patch(response: dict[str, Any], *, mutating: bool) -> list[Any]:
    text, type_ = response.get("patch"), response.get("patchType")
    if not mutating:
        if text or type_:
            raise AnswerError("validating webhook may not return response.patch")
        return []
    if text and not type_:
        raise AnswerError("webhook returned response.patch but not response.patchType")
    if type_ and not text:
        raise AnswerError("webhook returned response.patchType but not response.patch")
    if not text:
        return []
    if type_ != "JSONPatch":
        raise AnswerError(f"webhook returned invalid response.patchType of {_quoted(type_)}")
    return _decoded(text)


def _decoded(text: Any) -> list[Any]:
    try:
        steps = json.loads(base64.b64decode(text, validate=True))
    except (TypeError, binascii.Error, ValueError, RecursionError) as error:
        raise AnswerError(f"response.patch is not a JSON patch in base64: {error}") from error
    if not isinstance(steps, list):
        raise AnswerError("response.patch is not a JSON patch: it is no list of operations")
    return steps


def _denial(name: str, status: Any) -> ApiError:
    """A refusal is an error to the client, whatever code the webhook has chosen."""
    given = status if isinstance(status, dict) else {}
    code = given.get("code")
    code = code if isinstance(code, int) and 400 <= code < 600 else 400
    reason = str(given.get("reason") or "")
    words = str(given.get("message") or reason)
    denied = f"admission webhook {_quoted(name)} denied the request"
    message = f"{denied}: {words}" if words else f"{denied} without explanation"
    return ApiError(Status(status="Failure", message=message, reason=reason, code=code))


def _quoted(value: Any) -> str:
    return json.dumps(value if isinstance(value, str) else "", ensure_ascii=False)
