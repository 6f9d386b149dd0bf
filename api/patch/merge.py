"""JSON merge patch, RFC 7386: an object laid over the old one; null removes, lists are replaced.

Serves step 1 of the pod's walk: PATCH with `application/merge-patch+json`. Pure.
"""

from __future__ import annotations

from typing import Any

from api.patch.faults import MalformedPatchError


def apply(tree: Any, patch: Any) -> Any:
    """The tree with the patch laid over it.

    Raises:
        MalformedPatchError: the patch is not an object, and so could only replace everything.
    """
    if not isinstance(patch, dict):
        raise MalformedPatchError("a merge patch must be a JSON object")
    return _merged(tree, patch)


def _merged(tree: Any, patch: dict[str, Any]) -> dict[str, Any]:
    result = dict(tree) if isinstance(tree, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = _merged(result.get(key), value)
        else:
            result[key] = value
    return result
