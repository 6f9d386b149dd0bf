"""Server-side apply: a client sends what it wants to own, the server merges and minds who owns what.

Serves step 1 of the pod's walk. A configuration makes the object if there is none, and otherwise is
laid over it in the version that the client speaks; then it is a change like any other
(`updating.change`), tried again when another write was faster. The rules are in `managing`.
"""

from __future__ import annotations

import json
from typing import Any

from api import errors, objects
from api.errors import ApiError
from api.fielderrors import Path, required
from api.meta import ManagedFieldsEntry, ObjectMeta, StatusCause
from api.patch import fieldset, serverside
from api.patch.faults import PatchError
from control.apiserver.registry import configuring, creating, managing, subresources, updating
from control.apiserver.registry.apart import worked
from control.apiserver.registry.call import Call, Stored
from control.apiserver.registry.configuring import Configuration
from control.apiserver.registry.managing import ConflictingError
from control.apiserver.registry.registry import Registry
from control.apiserver.registry.translating import Elsewhere
from control.apiserver.registry.versions import Version

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_KUBECTL = "kubectl"


def is_apply(content_type: str) -> bool:
    """Whether a PATCH of this media type is a server-side apply."""
    return content_type.partition(";")[0].strip().lower() in _MEDIA_TYPES


_MEDIA_TYPES = ("application/apply-patch+yaml", "application/apply-patch+json")


async def apply(
    registry: Registry,
    version: Version,
    call: Call,
    body: bytes,
    *,
    namespace: str,
    name: str,
    subresource: str = "",
) -> Stored:
    """Create or change an object so that it is as configured."""
    _check_manager(call)
    config = await worked(
        call.large, lambda: configuring.read(version, call, body, namespace, name, subresource)
    )
    kind = version.kind
    while True:
        if not subresource and await registry.store.get(kind.key(namespace, name)) is None:
            try:
                return await _create(registry, version, call, config, namespace)
            except ApiError as error:
                if not errors.is_already_exists(error):
                    raise
                continue  # somebody made it meanwhile

        async def change(current: Any) -> Any:
            return await _laid_over(version, call, config, current, registry.now())

        return await updating.change(
            registry, kind, call, namespace, name, change, subresource=subresource, applied=True
        )


def _check_manager(call: Call) -> None:
    if not call.field_manager:
        found = [required(Path("fieldManager"), "is required for apply patch")]
        raise errors.invalid_kind(
            "meta.k8s.io", "PatchOptions", "PatchOptions.meta.k8s.io", "", found
        )


async def scale(
    registry: Registry, version: Version, call: Call, body: bytes, namespace: str, name: str
) -> Stored:
    """Own how many replicas a workload wants, by a Scale: the field of the workload is what is owned."""
    _check_manager(call)
    config, kind = configuring.read_scale(version, call, body, namespace, name), version.kind

    async def change(current: Any) -> Any:
        old = subresources.scale_of(kind, Stored(kind.body(current), 0))
        wanted = await subresources.admitted_scale(registry, kind, call, old, config.laid_over(old))
        named = configuring.scaled(version, call, config, wanted)
        return await _laid_over(version, call, named, current, registry.now())

    return await updating.change(
        registry,
        kind,
        call,
        namespace,
        name,
        change,
        subresource="scale",
        applied=True,
        admitted=True,
    )


async def _create(
    registry: Registry, version: Version, call: Call, config: Configuration, namespace: str
) -> Stored:
    metadata = config.tree["metadata"]
    if metadata.get("resourceVersion") or metadata.get("uid"):
        raise errors.conflict(
            version.resource,
            metadata["name"],
            "the object does not exist, but the configuration names its uid or resourceVersion",
        )
    now = registry.now()
    made = await worked(call.large, lambda: _merged(version, config, {}, [], now))
    obj = version.codec.from_tree(config.tree, "Ignore").obj
    objects.meta(obj).managed_fields = made.entries
    stored = await version.from_served(obj)
    return await creating.create(
        registry, version.kind, call, stored, namespace=namespace, applied=True
    )


async def _laid_over(
    version: Version, call: Call, config: Configuration, current: Any, now: str
) -> Any:
    """The current object with the configuration in it, and its owners."""
    kind = version.kind
    entries = objects.meta(current).managed_fields
    if version.direct:
        live = version.tree(current)
    else:
        served = version.codec.decode(await version.one(kind.body(current)))
        objects.meta(served).managed_fields = []
        live = version.codec.tree(served)
    try:
        made = await worked(call.large, lambda: _merged(version, config, live, entries, now))
    except ConflictingError as error:
        raise _conflict(error) from None
    obj = version.codec.from_tree(made.tree, "Ignore").obj
    stored = await version.from_served(obj, current)
    metadata: ObjectMeta = objects.meta(stored)
    metadata.managed_fields = made.entries
    metadata.resource_version = config.tree["metadata"].get("resourceVersion", "")
    return stored


def _merged(
    version: Version,
    config: Configuration,
    live: dict[str, Any],
    entries: managing.Entries,
    now: str,
) -> managing.Applied:
    schema = version.codec.schema

    def attempt(force: bool) -> managing.Applied:
        made = managing.apply(
            entries,
            live,
            config.tree,
            schema,
            config.manager,
            now,
            force=force,
            elsewhere=Elsewhere(version.kind, version) if version.direct else None,
        )
        return managing.Applied(_noted(made.tree, config, live), made.entries)

    try:
        return attempt(config.force)
    except PatchError as error:
        raise errors.unprocessable(str(error)) from None
    except ConflictingError as error:
        if not _was_applied_before(version, config, live, error):
            raise
        return attempt(True)


def _last_applied(live: dict[str, Any]) -> str:
    annotations = (live.get("metadata") or {}).get("annotations") or {}
    text: str = annotations.get(LAST_APPLIED, "")
    return text


def _noted(made: dict[str, Any], config: Configuration, live: dict[str, Any]) -> dict[str, Any]:
    """kubectl's own note of what it applied stays true for clients that merge by it.

    Whose field the note is does not change: by that kubectl knows what it has still to hand over.
    """
    metadata = made.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    if (
        config.manager.name != _KUBECTL
        or LAST_APPLIED not in annotations
        or not _last_applied(live)
    ):
        return made
    wanted = config.tree["metadata"]
    others = {
        name: held
        for name, held in (wanted.get("annotations") or {}).items()
        if name != LAST_APPLIED
    }
    bare = {**config.tree, "metadata": {**wanted, "annotations": others}}
    note = json.dumps(bare, separators=(",", ":"), sort_keys=True) + "\n"
    return {**made, "metadata": {**metadata, "annotations": {**annotations, LAST_APPLIED: note}}}


def _was_applied_before(
    version: Version, config: Configuration, live: dict[str, Any], error: ConflictingError
) -> bool:
    """Whether all that stands in the way was applied by kubectl itself, before it did so here."""
    if config.manager.name != _KUBECTL:
        return False
    try:
        before = json.loads(_last_applied(live) or "null")
    except ValueError:
        return False
    if not isinstance(before, dict):
        return False
    allowed = serverside.owned(before, version.codec.schema)
    return not any(fieldset.difference(conflict.fields, allowed) for conflict in error.conflicts)


def _conflict(error: ConflictingError) -> ApiError:
    """409 in Kubernetes' words: kubectl prints them with its advice."""
    causes, lines = [], []
    for conflict in error.conflicts:
        owner = _owner(conflict.owner)
        for path in sorted(map(fieldset.shown, fieldset.members(conflict.fields))):
            causes.append(
                StatusCause(
                    reason="FieldManagerConflict", message=f"conflict with {owner}", field=path
                )
            )
            lines.append((owner, path))
    if len(lines) == 1:
        text = f"Apply failed with 1 conflict: conflict with {lines[0][0]}: {lines[0][1]}"
    else:
        text = f"Apply failed with {len(lines)} conflicts:"
        for owner in dict.fromkeys(owner for owner, _ in lines):
            paths = [path for of, path in lines if of == owner]
            text += f" conflicts with {owner}:" + "".join(f"\n- {path}" for path in paths)
    return errors.apply_conflict(text, causes)


def _owner(entry: ManagedFieldsEntry) -> str:
    text = f'"{entry.manager}"'
    if entry.subresource:
        text += f' with subresource "{entry.subresource}"'
    if entry.operation == managing.UPDATE:
        text += f" using {entry.api_version}"
    return text
