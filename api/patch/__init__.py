"""Patches: pure functions from a tree and a patch to a new tree; neither input is changed.

Serves step 1 of the pod's walk: PATCH requests, three ways to say what should change.

- `jsonpatch`: RFC 6902, a list of operations on paths.
- `merge`: RFC 7386, an object laid over the old one; null removes, lists are replaced.
- `strategic`: Kubernetes' own, like merge, but lists of objects are merged by the key that the
  type declares for them; `kubectl apply`, `edit` and `set` send it.

`apply` here reads a body by its media type, applies it, and turns what can go wrong into the right
answer: 400 for a patch that is not one, 415 for another sort, 422 for one that does not fit.
"""

from __future__ import annotations

from typing import Any

from api import errors
from api.codec import jsontree
from api.patch import jsonpatch, merge, strategic
from api.patch.faults import MalformedPatchError, PatchError
from api.struct import ApiStruct

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
ACCEPTED = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH)

__all__ = ["ACCEPTED", "APPLY", "JSON_PATCH", "MERGE_PATCH", "STRATEGIC_PATCH", "MalformedPatchError",
           "PatchError", "apply", "apply_tree", "parse"]  # fmt: skip


def parse(body: bytes, content_type: str) -> tuple[Any, list[str]]:
    """The patch in a PATCH request's body, and what to say of keys that it repeats.

    Raises:
        ApiError: 400 or 415.
    """
    media_type = _media_type(content_type)
    if media_type not in ACCEPTED:
        raise errors.unsupported_media_type((*ACCEPTED, APPLY))
    try:
        patch, repeating = jsontree.parse_counting(body)
    except ValueError as error:
        raise errors.bad_request(f"the patch is not JSON: {error}") from None
    found = jsontree.repeated(patch) if repeating else []
    if media_type == JSON_PATCH:
        found += (f'json patch unknown field "{path}"' for path in jsonpatch.unknown(patch))
    return patch, found


def apply(tree: Any, body: bytes, content_type: str, type_: type[ApiStruct]) -> Any:
    """The tree that results from a PATCH request's body.

    Raises:
        ApiError: 400, 415 or 422.
    """
    patch, _ = parse(body, content_type)
    return apply_tree(tree, patch, content_type, type_)


def apply_tree(tree: Any, patch: Any, content_type: str, type_: type[ApiStruct]) -> Any:
    """As `apply`, for a patch that is read already."""
    media_type = _media_type(content_type)
    try:
        if media_type == JSON_PATCH:
            return jsonpatch.apply(tree, patch)
        if media_type == MERGE_PATCH:
            return merge.apply(tree, patch)
        return strategic.apply(tree, patch, type_)
    except MalformedPatchError as error:
        raise errors.bad_request(str(error)) from None
    except PatchError as error:
        raise errors.unprocessable(str(error)) from None


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
