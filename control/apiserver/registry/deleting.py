"""Delete: at once, or gracefully when an agent or a finalizer must act before the object may go.

Serves step 7 of the pod's walk. A delete with something to wait for sets deletionTimestamp and
returns the object; whoever it waits for acts, and the last of them makes the object disappear
(`updating.finished`). Asking again may only shorten the wait, never lengthen it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from api import errors, timestamps
from api.fielderrors import Path, forbidden, invalid, not_supported
from api.meta import DeleteOptions, ObjectMeta
from control.admission.chain import Attributes, Operation
from control.apiserver.registry.admitting import attributes
from control.apiserver.registry.call import Call, Removed
from control.apiserver.registry.kinds import Kind
from control.apiserver.registry.metadata import FOREGROUND, ORPHAN
from control.apiserver.registry.registry import Registry
from control.apiserver.registry.updating import finished
from control.store.errors import ConflictError
from control.store.interface import Delete, KeyValue, Put

_ATTEMPTS = 256  # each failed one means that another write succeeded
_LONGEST_GRACE = 2**31 - 1  # 68 years: the date must be one that can be written
_POLICIES = ("Background", "Foreground", "Orphan")


async def delete(
    registry: Registry,
    kind: Kind[Any],
    call: Call,
    options: DeleteOptions,
    *,
    namespace: str,
    name: str,
    admitted: bool = False,
) -> Removed:
    """Delete one object, or begin to. `admitted`: it is a part of what admission has seen."""
    validate_options(options)
    orphans = kind.strategy.orphans_by_default
    if orphans and options.propagation_policy is None and options.orphan_dependents is None:
        call.warn(orphans)
    dry_run = call.dry_run or bool(options.dry_run)
    key = kind.key(namespace, name)
    stored = await registry.store.get(key)
    for _ in range(_ATTEMPTS):
        if stored is None:
            raise errors.not_found(kind.resource, name)
        old = kind.load(stored)
        check_preconditions(kind, options, old)
        request = await _admit(registry, kind, call, options, old, dry_run, admitted)
        try:
            return await _remove(registry, kind, options, stored, request)
        except ConflictError as error:
            stored = error.current if error.key == key else await registry.store.get(key)
    raise errors.conflict(kind.resource, name)


def validate_options(options: DeleteOptions) -> None:
    """422 for options that contradict themselves."""
    found = []
    policy = options.propagation_policy
    if policy is not None and options.orphan_dependents is not None:
        found.append(
            invalid(
                Path("propagationPolicy"),
                policy,
                "orphanDependents and deletionPropagation cannot be both set",
            )
        )
    if policy is not None and policy not in _POLICIES:
        found.append(not_supported(Path("propagationPolicy"), policy, [*_POLICIES, "nil"]))
    if options.dry_run and options.dry_run != ["All"]:
        found.append(not_supported(Path("dryRun"), options.dry_run, ["All"]))
    if options.ignore_store_read_error_with_cluster_breaking_potential:
        found.append(
            forbidden(Path("ignoreStoreReadErrorWithClusterBreakingPotential"), "is not supported")
        )
    if found:
        raise errors.invalid_kind(
            "meta.k8s.io", "DeleteOptions", "DeleteOptions.meta.k8s.io", "", found
        )


def check_preconditions(kind: Kind[Any], options: DeleteOptions, old: Any) -> None:
    """409 when the caller means another object, or another version of it."""
    wanted, metadata = options.preconditions, old.metadata
    if wanted is None:
        return
    for what, expected, found in (
        ("UID", wanted.uid, metadata.uid),
        ("ResourceVersion", wanted.resource_version, metadata.resource_version),
    ):
        if expected is not None and expected != found:
            raise errors.conflict(
                kind.resource,
                metadata.name,
                f"Precondition failed: {what} in precondition: {expected}, "
                f"{what} in object meta: {found}",
            )


async def _admit(
    registry: Registry,
    kind: Kind[Any],
    call: Call,
    options: DeleteOptions,
    old: Any,
    dry_run: bool,
    admitted: bool,
) -> Attributes:
    metadata: ObjectMeta = old.metadata
    request = attributes(kind, call, Operation.DELETE, metadata.namespace, metadata.name, old=old)
    request.dry_run, request.deletion = dry_run, options
    if admitted:
        return request
    await registry.admission.admit(request)
    await registry.admission.validate(request)
    return request


async def _remove(
    registry: Registry,
    kind: Kind[Any],
    options: DeleteOptions,
    stored: KeyValue,
    request: Attributes,
) -> Removed:
    old, dry_run = request.old, request.dry_run
    new = kind.load(stored)
    changed = _begin(registry, kind, options, new)
    uid = old.metadata.uid
    if finished(kind, new):
        body = kind.splice(kind.encode(new) if changed else stored.value, stored.mod_revision)
        if not dry_run:
            companion = registry.companions.get(kind.resource.type)
            beside = await companion.on_delete(old) if companion else ()
            charged = await registry.admission.beside(request)
            await registry.commit(Delete(stored.key, stored.mod_revision), [*beside, *charged])
        return Removed(body, uid, True)
    value = kind.encode(new)
    revision = stored.mod_revision
    if value != stored.value and not dry_run:
        revision = await registry.commit(Put(stored.key, value, stored.mod_revision))
    return Removed(kind.splice(value, revision), uid, False)


def _begin(registry: Registry, kind: Kind[Any], options: DeleteOptions, new: Any) -> bool:
    """Mark the object as deleted, or shorten the grace of one that is. False: nothing changed."""
    metadata: ObjectMeta = new.metadata
    grace = min(kind.strategy.grace_period(new, options) or 0, _LONGEST_GRACE)
    before = list(metadata.finalizers)
    if kind.strategy.has_dependents:
        orphans = bool(kind.strategy.orphans_by_default)
        metadata.finalizers = deletion_finalizers(metadata.finalizers, options, orphans=orphans)
    changed = metadata.finalizers != before
    if metadata.deletion_timestamp is not None:
        return _shorten(metadata, options, grace) or changed
    until = registry.clock.now() + timedelta(seconds=grace)
    metadata.deletion_timestamp = timestamps.format(until)
    metadata.deletion_grace_period_seconds = grace
    if metadata.generation:
        metadata.generation += 1
    kind.strategy.mark_deleted(new)
    return True


def _shorten(metadata: ObjectMeta, options: DeleteOptions, grace: int) -> bool:
    current = metadata.deletion_grace_period_seconds or 0
    if options.grace_period_seconds is None or grace >= current:
        return False
    assert metadata.deletion_timestamp is not None
    began = timestamps.parse(metadata.deletion_timestamp) - timedelta(seconds=current)
    metadata.deletion_timestamp = timestamps.format(began + timedelta(seconds=grace))
    metadata.deletion_grace_period_seconds = grace
    return True


def deletion_finalizers(
    finalizers: list[str], options: DeleteOptions, *, orphans: bool = False
) -> list[str]:
    """The finalizers after the caller's wish about dependents: delete them before, after, never.

    `orphans`: they are left behind if the caller has no wish, and no earlier one had.
    """
    policy = options.propagation_policy
    if policy is None and options.orphan_dependents is not None:
        policy = "Orphan" if options.orphan_dependents else "Background"
    if policy is None and orphans and not {ORPHAN, FOREGROUND} & set(finalizers):
        policy = "Orphan"
    if policy is None:
        return finalizers
    kept = [name for name in finalizers if name not in (ORPHAN, FOREGROUND)]
    if policy == "Orphan":
        kept.append(ORPHAN)
    elif policy == "Foreground":
        kept.append(FOREGROUND)
    return kept
