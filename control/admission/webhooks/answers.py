"""What the answer of an admission webhook means: yes, with warnings and a patch; no; or nonsense.

Serves step 1 of the pod's walk. Pure: bytes of an `AdmissionReview` in, a verdict out. What a webhook
says is not believed further than the API documents it: another review's uid, a patch from a webhook
that may only validate, or half a patch is a failed call, which the failure policy then decides about.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import msgspec

from api.admission import AdmissionResponse, AdmissionReview
from api.codec import decode
from api.errors import ApiError
from api.meta import Status

V1, V1BETA1 = "v1", "v1beta1"
VERSIONS = (V1, V1BETA1)
"""The versions of the review that are spoken here. The older one demands less of an answer."""
GROUP, KIND = "admission.k8s.io", "AdmissionReview"
_MOST_WARNINGS = 100
_UNUSABLE = "received invalid webhook response: "


class AnswerError(Exception):
    """The answer cannot be used; the text follows `failed calling webhook "x": `."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`denial` is None when the request may pass; `patch` is JSON, b"" for none."""

    denial: ApiError | None
    patch: bytes
    warnings: tuple[str, ...]


def read(name: str, body: bytes, *, uid: str, mutating: bool, version: str = V1) -> Verdict:
    """The verdict of webhook `name` on the review `uid`. Raises AnswerError."""
    response = _response(body, version)
    if version == V1 and response.uid != uid:
        raise _unusable(f"expected response.uid={_quoted(uid)}, got {_quoted(response.uid)}")
    if mutating:
        patch = _patch(response, version)
    else:
        patch = _no_patch(response, version)
    return Verdict(
        denial=None if response.allowed else _denial(name, response.status),
        patch=patch if response.allowed else b"",
        warnings=tuple(response.warnings[:_MOST_WARNINGS]),
    )


def _response(body: bytes, version: str) -> AdmissionResponse:
    try:
        tree = msgspec.json.decode(body)
        review = decode.convert(tree, AdmissionReview).obj
    except (ApiError, ValueError, RecursionError) as error:
        raise AnswerError(f"failed to call webhook: cannot read its answer: {error}") from None
    if review.response is None:
        raise _unusable("webhook response was absent")
    names = tree.get("apiVersion", ""), tree.get("kind", "")  # not what would be filled in
    if version == V1 and names != (f"{GROUP}/{V1}", KIND):
        got = f"{names[0] or '/'}, Kind={names[1]}"
        raise _unusable(f"expected webhook response of {GROUP}/{V1}, Kind={KIND}, got {got}")
    return review.response


def _patch(response: AdmissionResponse, version: str) -> bytes:
    patch, type_ = response.patch, response.patch_type
    if version == V1:
        if patch and type_ is None:
            raise _unusable("webhook returned response.patch but not response.patchType")
        if not patch and type_ is not None:
            raise _unusable("webhook returned response.patchType but not response.patch")
    if patch and (type_ or "JSONPatch") != "JSONPatch":
        raise _unusable(f"webhook returned invalid response.patchType of {_quoted(type_ or '')}")
    return patch


def _no_patch(response: AdmissionResponse, version: str) -> bytes:
    if version == V1 and response.patch:
        raise _unusable("validating webhook may not return response.patch")
    if version == V1 and response.patch_type is not None:
        raise _unusable("validating webhook may not return response.patchType")
    return b""


def _denial(name: str, given: Status | None) -> ApiError:
    """A refusal is an error to the client, whatever code the webhook has chosen."""
    status = given or Status()
    if not 400 <= status.code < 600:
        status.code = 400
    status.status = "Failure"
    words = status.message or status.reason
    denied = f"admission webhook {_quoted(name)} denied the request"
    status.message = f"{denied}: {words}" if words else f"{denied} without explanation"
    return ApiError(status)


def _unusable(why: str) -> AnswerError:
    return AnswerError(_UNUSABLE + why)


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
