"""Create: name, uid, defaults, admission, validation, one write that must find nothing there.

Serves step 1 of the pod's walk.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from api import errors
from api.fielderrors import FieldError
from api.meta import ObjectMeta
from control.admission.chain import Attributes, Operation
from control.apiserver.registry import tracking
from control.apiserver.registry.admitting import attributes
from control.apiserver.registry.apart import worked
from control.apiserver.registry.call import Call, Stored
from control.apiserver.registry.kinds import Kind
from control.apiserver.registry.metadata import (
    cautions,
    clear_server_owned,
    generated_name,
    keep_server_owned,
    validate_metadata,
)
from control.apiserver.registry.registry import Registry
from control.store.errors import ConflictError
from control.store.interface import Put

_ATTEMPTS = 8  # to find a free name for a generateName, or a free address for a Service


async def create(
    registry: Registry,
    kind: Kind[Any],
    call: Call,
    obj: Any,
    *,
    namespace: str,
    applied: bool = False,
) -> Stored:
    """Store a new object. `obj` is private to this call; `applied`: it has said who owns what."""
    metadata: ObjectMeta = obj.metadata
    if kind.closed:
        raise errors.method_not_allowed(kind.resource, "create", kind.closed)
    check_namespace(kind, metadata, namespace)
    if metadata.resource_version:
        raise errors.bad_request("resourceVersion should not be set on objects to be created")
    clear_server_owned(metadata)
    metadata.uid = registry.identity.uid()
    metadata.creation_timestamp = now = registry.now()
    generate = not metadata.name and bool(metadata.generate_name)
    if generate:
        metadata.name = generated_name(metadata.generate_name, registry.identity.suffix())
    request = await _prepare(registry, kind, call, obj, now, applied=applied)
    return await _store(registry, kind, call, request, generate=generate)


def check_namespace(kind: Kind[Any], metadata: ObjectMeta, namespace: str) -> None:
    """The object is in the namespace of the URL; one that names none is put there."""
    if kind.resource.namespaced and not metadata.namespace:
        metadata.namespace = namespace
    elif kind.resource.namespaced and namespace and metadata.namespace != namespace:
        raise errors.bad_request(
            f"the namespace of the provided object does not match the namespace sent on the "
            f"request: expected {namespace!r}, found {metadata.namespace!r}"
        )


async def _prepare(
    registry: Registry, kind: Kind[Any], call: Call, obj: Any, now: str, *, applied: bool
) -> Attributes:
    """Default, admit, validate: everything that may refuse the object before it is written.

    The request that is returned has the object that is to be written.
    """
    strategy = kind.strategy

    def begin() -> None:
        strategy.default(obj)
        strategy.prepare_create(obj)
        if not applied:
            tracking.created(kind, call, obj, now)

    await worked(call.large, begin)
    before: ObjectMeta = obj.metadata

    def settle(new: Any) -> None:
        check_namespace(kind, new.metadata, before.namespace)
        keep_server_owned(new.metadata, before)
        new.metadata.resource_version = ""
        new.metadata.managed_fields = before.managed_fields
        strategy.default(new)
        strategy.prepare_create(new)

    request = attributes(
        kind, call, Operation.CREATE, before.namespace, before.name, new=obj, settle=settle
    )
    await registry.admission.admit(request)
    admitted = request.object
    strategy.complete_create(admitted)
    if kind.has_generation:
        admitted.metadata.generation = 1
    await worked(call.large, lambda: _check(kind, call, admitted))
    await registry.admission.validate(request)
    for text in (*strategy.warnings(admitted), *cautions(admitted.metadata)):
        call.warn(text)
    return request


def _check(kind: Kind[Any], call: Call, obj: Any) -> None:
    """Raises 422 with everything that is wrong with a new object."""
    strategy = kind.strategy
    found: list[FieldError] = validate_metadata(
        obj.metadata, kind.resource, lambda text: strategy.validate_name(text, generated=False)
    )
    found += (call.version or strategy).validate(obj)
    if found:
        raise errors.invalid(kind.resource, obj.metadata.name, found)


async def _store(
    registry: Registry, kind: Kind[Any], call: Call, request: Attributes, *, generate: bool
) -> Stored:
    obj = request.object
    metadata: ObjectMeta = obj.metadata
    companion = registry.companions.get(kind.resource.type)
    for _ in range(_ATTEMPTS):
        key = kind.key(metadata.namespace, metadata.name)
        if companion and not generate and await registry.store.get(key) is not None:
            raise errors.already_exists(kind.resource, metadata.name)  # before its address is
        # A copy each time: what the companion filled in when it lost a race was not asked for.
        attempt = kind.copy(obj) if companion else obj
        beside = await companion.on_create(attempt) if companion else ()
        value = await worked(call.large, partial(kind.encode, attempt))
        registry.check_size(value)
        if call.dry_run and await registry.store.get(key) is not None:
            raise errors.already_exists(kind.resource, metadata.name)
        charged = await registry.admission.beside(request)
        if call.dry_run:
            return Stored(value, 0, existed=False)
        try:
            revision = await registry.commit(Put(key, value, 0), [*beside, *charged])
        except ConflictError as error:
            if error.key != key:
                continue  # an address was taken meanwhile, or a quota is gone
            if not generate:
                raise errors.already_exists(kind.resource, metadata.name) from None
            metadata.name = generated_name(metadata.generate_name, registry.identity.suffix())
            continue
        return Stored(kind.splice(value, revision), revision, existed=False)
    if generate:
        raise errors.generate_name_conflict(kind.resource, metadata.name)
    raise errors.server_timeout(kind.resource, "create")
