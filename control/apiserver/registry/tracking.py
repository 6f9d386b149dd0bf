"""Who owns which field of the objects that requests create and change; see `managing`. Walk step 1.

The bridge between a kind's objects and the pure rules over trees. What defaults and the request say
is the requester's; what admission adds later has no owner, as in Kubernetes.
"""

from __future__ import annotations

from typing import Any

from control.apiserver.registry import managing
from control.apiserver.registry.call import Call
from control.apiserver.registry.kinds import Kind
from control.apiserver.registry.managing import Entries, Manager
from control.apiserver.registry.translating import Changes, spoken

# Not the wish of whoever asks: the pod's own fields stay its makers'.
_UNTRACKED = frozenset({"binding"})


def created(kind: Kind[Any], call: Call, obj: Any, now: str) -> None:
    """Write down who made the object. The status it begins with is the server's, and nobody's."""
    entries = managing.base(obj.metadata.managed_fields, [])
    view = spoken(kind, call)
    manager = Manager(call.manager, api_version=view.api_version)
    codec, tree = view.codec, view.tree(obj)
    if kind.strategy.has_status:
        tree.pop("status", None)
    obj.metadata.managed_fields = managing.updated(
        entries, codec.blank, tree, codec.schema, manager, now
    )


def updated(
    kind: Kind[Any],
    call: Call,
    new: Any,
    old: Any,
    submitted: Entries,
    subresource: str,
    now: str,
) -> None:
    """Write down who changed what of the object."""
    stored: Entries = old.metadata.managed_fields
    # Through a subresource the object changes, not its owners.
    entries = stored if subresource else managing.base(submitted, stored)
    if entries and subresource not in _UNTRACKED:
        view = spoken(kind, call)
        manager = Manager(call.manager, api_version=view.api_version, subresource=subresource)
        entries = managing.updated(
            entries,
            view.tree(old),
            view.tree(new),
            view.codec.schema,
            manager,
            now,
            elsewhere=Changes(kind, old, new),
        )
    new.metadata.managed_fields = entries
