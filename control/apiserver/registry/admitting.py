"""A request as admission sees it, made of the call and the objects. Walk step 1."""

from __future__ import annotations

from typing import Any

from control.admission.chain import Attributes, Operation, Settle
from control.apiserver.registry.call import Call
from control.apiserver.registry.kinds import Kind


def attributes(
    kind: Kind[Any],
    call: Call,
    operation: Operation,
    namespace: str,
    name: str,
    *,
    subresource: str = "",
    new: Any = None,
    old: Any = None,
    settle: Settle | None = None,
) -> Attributes:
    """`settle`: see `Attributes`; without it nobody outside may change the object in the midst."""
    version = call.version
    return Attributes(
        operation=operation,
        resource=kind.resource,
        subresource=subresource,
        namespace=namespace,
        name=name,
        user=call.user,
        object=new,
        old=old,
        dry_run=call.dry_run,
        warnings=call.warnings,
        # What one request does to objects of another kind, it does in the version that is stored.
        requested=version.resource if version is not None and version.kind is kind else None,
        manager=call.field_manager,
        field_validation=call.field_validation,
        settle=settle,
    )
