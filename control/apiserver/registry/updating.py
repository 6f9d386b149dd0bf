"""Update and patch: read, change, admit, validate, write under the revision that was read.

Serves steps 1, 3 and 5 of the pod's walk (bindings and status are updates too). One loop does it
for all: `change` makes the new object from the current one, and is called again with what is there
now when another write was faster. A client that named the resourceVersion it changed gets a 409
instead. An update that changes nothing writes nothing, so that no watcher wakes for it. The update
that removes the last finalizer of an object on its way out deletes it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

from api import errors
from api.meta import ObjectMeta
from api.struct import ApiStruct
from control.admission.chain import Attributes, Operation
from control.apiserver.registry import creating, tracking
from control.apiserver.registry.admitting import attributes
from control.apiserver.registry.apart import LARGE, worked
from control.apiserver.registry.call import Call, Stored
from control.apiserver.registry.kinds import Kind
from control.apiserver.registry.metadata import cautions, keep_server_owned, validate_change
from control.apiserver.registry.registry import Registry
from control.store.errors import ConflictError
from control.store.interface import Delete, KeyValue, Put

_ATTEMPTS = 256  # each failed one means that another write succeeded

_WARNED = ("", "ephemeralcontainers", "resize")
"""Where a client says what it wants: the rest is reports, whose authors can do nothing about it."""

Change = Callable[[ApiStruct], Awaitable[Any]]
"""Makes the new object from the current one (private to it), or raises an ApiError."""


async def update(
    registry: Registry,
    kind: Kind[Any],
    call: Call,
    obj: Any,
    *,
    namespace: str,
    name: str,
    subresource: str = "",
) -> Stored:
    """PUT: replace an object. `obj` is private to this call."""
    check_name(kind, obj.metadata, namespace, name)

    async def replace(current: ApiStruct) -> Any:
        return kind.copy(obj)  # each attempt starts from what the client sent

    if kind.strategy.allow_create_on_update and not subresource:
        if await registry.store.get(kind.key(namespace, name)) is None:
            return await creating.create(registry, kind, call, obj, namespace=namespace)
    return await change(registry, kind, call, namespace, name, replace, subresource=subresource)


def check_name(kind: Kind[Any], metadata: ObjectMeta, namespace: str, name: str) -> None:
    """The object's name and namespace are those of the URL; one without a name gets it."""
    if not metadata.name:
        metadata.name = name
    elif metadata.name != name:
        raise errors.bad_request(
            f"the name of the object ({metadata.name}) does not match the name on the URL ({name})"
        )
    creating.check_namespace(kind, metadata, namespace)


async def change(
    registry: Registry,
    kind: Kind[Any],
    call: Call,
    namespace: str,
    name: str,
    make: Change,
    *,
    subresource: str = "",
    applied: bool = False,
    admitted: bool = False,
) -> Stored:
    """Change an object, as often as it takes. `make` gets the current one and returns the new.

    `applied`: it has said already who owns what. `admitted`: the request that this is a part of has
    passed admission in another form.
    """
    key = kind.key(namespace, name)
    stored = await registry.store.get(key)
    for _ in range(_ATTEMPTS):
        if stored is None:
            raise errors.not_found(kind.resource, name)
        call.large = call.large or len(stored.value) >= LARGE
        old, new = await kind.current(stored), await make(await kind.current(stored))
        check_version(kind, name, new.metadata, old.metadata)
        request = await prepare(registry, kind, call, new, old, subresource, applied, admitted)
        try:
            return await _store(registry, kind, call, request, stored)
        except ConflictError as error:
            stored = error.current if error.key == key else await registry.store.get(key)
    raise errors.conflict(kind.resource, name)


def check_version(kind: Kind[Any], name: str, new: ObjectMeta, old: ObjectMeta) -> None:
    """409 when the client changed another version, or an earlier object of this name."""
    version = new.resource_version
    if version and version != old.resource_version:
        if not version.isdecimal():
            raise errors.bad_request(
                f"metadata.resourceVersion: expected a version the server gave, found {version!r}"
            )
        raise errors.conflict(kind.resource, name)
    if new.uid and new.uid != old.uid:
        raise errors.conflict(
            kind.resource,
            name,
            f"Precondition failed: UID in precondition: {new.uid}, UID in object meta: {old.uid}",
        )


async def prepare(
    registry: Registry,
    kind: Kind[Any],
    call: Call,
    new: Any,
    old: Any,
    subresource: str,
    applied: bool,
    admitted: bool,
) -> Attributes:
    """Everything that may refuse the change before it is written.

    The request that is returned has the object that is to be written.
    """
    strategy = kind.strategy
    if call.version is not None:
        call.version.keep(new, old)
    entries = new.metadata.managed_fields
    now = registry.now()

    def begin() -> None:
        _complete(kind, new, old, subresource)
        if applied:
            new.metadata.managed_fields = entries
        else:
            tracking.updated(kind, call, new, old, entries, subresource, now)

    await worked(call.large, begin)
    owners = new.metadata.managed_fields

    def settle(changed: Any) -> None:
        _complete(kind, changed, old, subresource)
        changed.metadata.managed_fields = owners

    metadata: ObjectMeta = old.metadata
    request = attributes(
        kind,
        call,
        Operation.UPDATE,
        metadata.namespace,
        metadata.name,
        subresource=subresource,
        new=new,
        old=old,
        settle=settle,
    )
    if not admitted:
        await registry.admission.admit(request)
        new = request.object
    # A binding fills in the spec, but it is not the user's wish that changes.
    if subresource != "binding" and strategy.generation_changes(new, old):
        new.metadata.generation = metadata.generation + 1
    changed = new
    await worked(call.large, lambda: _check(kind, call, changed, old, subresource))
    if not admitted:
        await registry.admission.validate(request)
    if subresource in _WARNED:
        for text in (*strategy.warnings(new), *cautions(new.metadata, metadata)):
            call.warn(text)
    return request


def _check(kind: Kind[Any], call: Call, new: Any, old: Any, subresource: str) -> None:
    """Raises 422 with everything that is wrong with a change."""
    found = validate_change(new.metadata, old.metadata, kind.resource)
    if subresource:
        found += kind.strategy.validate_subresource(subresource, new, old)
    else:
        found += (call.version or kind.strategy).validate_update(new, old)
    if found:
        raise errors.invalid(kind.resource, old.metadata.name, found)


def _complete(kind: Kind[Any], new: Any, old: Any, subresource: str) -> None:
    """What the server decided stays, what may not be changed here too, and defaults are filled in."""
    keep_server_owned(new.metadata, old.metadata)
    kind.strategy.default(new)
    if subresource:
        kind.strategy.prepare_subresource(subresource, new, old)
    else:
        kind.strategy.prepare_update(new, old)


async def _store(
    registry: Registry, kind: Kind[Any], call: Call, request: Attributes, stored: KeyValue
) -> Stored:
    new, old = request.object, request.old
    value = await worked(call.large, lambda: kind.encode(new))
    if value == stored.value:
        return Stored(kind.splice(value, stored.mod_revision), stored.mod_revision)
    registry.check_size(value, stored.value)
    companion = registry.companions.get(kind.resource.type)
    write: Put | Delete
    if finished(kind, new):
        beside = await companion.on_delete(old) if companion else ()
        write = Delete(stored.key, stored.mod_revision)
        request = dataclasses.replace(
            request, operation=Operation.DELETE, subresource="", object=None
        )
    else:
        if companion:
            beside = await companion.on_update(new, old)
            value = kind.encode(new)
        else:
            beside = ()
        write = Put(stored.key, value, stored.mod_revision)
    charged = await registry.admission.beside(request)
    if call.dry_run:
        revision = stored.mod_revision
    else:
        revision = await registry.commit(write, [*beside, *charged])
    return Stored(kind.splice(value, revision), revision)


def finished(kind: Kind[Any], obj: Any) -> bool:
    """Whether an object on its way out has nothing left to wait for."""
    metadata: ObjectMeta = obj.metadata
    return (
        metadata.deletion_timestamp is not None
        and not metadata.deletion_grace_period_seconds
        and not metadata.finalizers
        and not kind.strategy.keeps_on_delete(obj)
    )
