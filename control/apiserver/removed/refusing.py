"""The answer to whoever asks for a removed version: what to write instead.

It stays a 404, as Kubernetes answers, because programs that try an old version and fall back to the
new one wait for exactly that; only the message is ours. kubectl prints it as it is, line by line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from api import errors
from api.errors import ApiError
from api.meta import StatusDetails
from control.apiserver.removed import changes
from control.apiserver.removed.table import Removed

MOST_READ = 256 * 1024
"""Bytes of a manifest that are looked at for its names; a larger one gets general lines."""
_MOST_LINES = 60


def refuse(removed: Removed, body: bytes) -> ApiError:
    """404 with the lines to change. `body` is the manifest, if one was sent."""
    error = errors.path_not_found()
    error.status.message = error.message = words(removed, _tree(body) if body else None)
    error.status.details = StatusDetails(group=removed.group, kind=removed.plural)
    return error


def words(removed: Removed, tree: Mapping[str, Any] | None) -> str:
    """The message; without lines to change for whoever sent no manifest. Pure."""
    ended = (
        f"{removed.kind} in {removed.api_version} is not served since Kubernetes {removed.until}"
    )
    if tree is None:
        return f"{ended}; use {removed.modern or 'Pod Security Admission: labels of the namespace'}"
    parts, remarks = changes.of(removed.group, removed.version, removed.kind, tree)
    if removed.modern:
        parts = {"apiVersion": removed.modern, **parts}
        ask = "change these lines of the manifest:"
    else:
        ask = "write instead:"
    lines = msgspec.yaml.encode(parts).decode().splitlines()
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], "…"]
    shown = [f"  {line}" for line in lines] + [f"  # {remark}" for remark in remarks]
    return "\n".join([f"{ended}; {ask}", *shown])


def _tree(body: bytes) -> Mapping[str, Any]:
    """The manifest as it was sent: JSON, or YAML from `kubectl apply --server-side`."""
    if not body or len(body) > MOST_READ:
        return {}
    try:
        found = msgspec.json.decode(body)
    except msgspec.MsgspecError:
        return {}
    return found if isinstance(found, Mapping) else {}
