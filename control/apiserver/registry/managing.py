"""Who owns which field: `metadata.managedFields`, kept on every write. Walk step 1.

An entry belongs to a manager, an operation (Apply or Update), a subresource and, for updates, a
version. An update takes what it changes from everybody else; an apply owns what its configuration
names, and is refused where another owns a field that it would change (Kubernetes' documentation,
"Server-Side Apply"). An object that has no entries, because it is older than this or somebody cleared
them, is not tracked until it is first applied. Pure: the objects given and the clock's text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from api.meta import ManagedFieldsEntry
from api.patch import fieldset, serverside
from api.patch.fieldset import FieldSet
from api.patch.schema import Schema
from api.patch.serverside import Difference

APPLY, UPDATE = "Apply", "Update"
BEFORE_FIRST_APPLY = "before-first-apply"
ANCIENT = "ancient-changes"
MAX_UPDATE_MANAGERS = 10
MAX_NAME = 128

_UNTRACKED: FieldSet = {
    "f:apiVersion": {},
    "f:kind": {},
    "f:metadata": {
        ".": {},
        **{
            fieldset.field(name): {}
            for name in (
                "name", "generateName", "namespace", "uid", "resourceVersion", "generation",
                "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink",
                "managedFields",
            )
        },
    },
}  # fmt: skip
"""What the server owns has no other owner."""


class Manager(msgspec.Struct, frozen=True, gc=False):
    """Who makes a change, and by what way."""

    name: str
    operation: str = UPDATE
    api_version: str = ""
    subresource: str = ""

    def is_of(self, entry: ManagedFieldsEntry) -> bool:
        return (
            entry.manager == self.name
            and entry.operation == self.operation
            and entry.subresource == self.subresource
            and (self.operation == APPLY or entry.api_version == self.api_version)
        )


@dataclass(frozen=True, slots=True)
class Conflict:
    """Fields that another manager owns."""

    owner: ManagedFieldsEntry
    fields: FieldSet


class ConflictingError(Exception):
    """An apply would change what others own."""

    def __init__(self, conflicts: Sequence[Conflict]) -> None:
        super().__init__("fields of other managers")
        self.conflicts = conflicts


Entries = list[ManagedFieldsEntry]


def base(submitted: Entries, stored: Entries) -> Entries:
    """The entries to go on from: a client may replace them; `[{}]` forgets them all."""
    if len(submitted) == 1 and submitted[0] == ManagedFieldsEntry():
        return []
    usable = [entry for entry in submitted if not problem(entry)]
    return submitted if submitted and len(usable) == len(submitted) else stored


def problem(entry: ManagedFieldsEntry) -> str:
    """Why an entry cannot be one; empty when it can."""
    if entry.operation not in (APPLY, UPDATE):
        return "operation: must be `Apply` or `Update`"
    if entry.fields_type not in ("", "FieldsV1"):
        return "fieldsType: must be `FieldsV1`"
    if why := name_problem(entry.manager):
        return f"manager: {why}"
    return fieldset.problem(entry.fields_v1 or {})


def name_problem(name: str) -> str:
    """Why this cannot be a manager's name; empty when it can."""
    if len(name.encode()) > MAX_NAME:
        return f"may not be more than {MAX_NAME} bytes"
    return "" if name.isprintable() else "should only contain printable characters"


class Elsewhere(Protocol):
    """What happens in the version that is spoken, told in others; None where that is not known."""

    def difference(self, api_version: str, before: Any, after: Any) -> Difference | None: ...

    def translated(self, api_version: str, fields: FieldSet, tree: Any) -> FieldSet: ...


def updated(
    entries: Entries,
    old: Any,
    new: Any,
    schema: Schema,
    manager: Manager,
    now: str,
    *,
    elsewhere: Callable[[str], Difference | None] | None = None,
) -> Entries:
    """The entries after an update: what it changed is the manager's, and nobody else's.

    `elsewhere`: the change in the words of another version.
    """
    change = serverside.compare(old, new, schema)
    changed = fieldset.difference(change.changed, _UNTRACKED)
    if not entries:
        return [_entry(manager, changed, now)] if changed else []
    gone = fieldset.union(changed, change.removed)
    kept: Entries = []
    mine: ManagedFieldsEntry | None = None
    for entry in entries:
        if not gone:
            kept.append(entry)
            continue
        lost = gone
        if elsewhere is not None and entry.api_version != manager.api_version:
            lost = _lost(elsewhere(entry.api_version), gone)
        left = fieldset.difference(entry.fields_v1 or {}, lost)
        if manager.is_of(entry) and changed:
            mine = _with(entry, left)
        elif left:
            kept.append(_with(entry, left))
    if changed:
        before = mine.fields_v1 if mine is not None else {}
        kept.append(_entry(manager, fieldset.union(before, changed), now))
    return ordered(capped(kept))


def _lost(change: Difference | None, otherwise: FieldSet) -> FieldSet:
    """What others lose by a change."""
    if change is None:
        return otherwise
    return fieldset.union(fieldset.difference(change.changed, _UNTRACKED), change.removed)


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply makes of an object: its tree, and who owns what then."""

    tree: Any
    entries: Entries


def apply(
    entries: Entries,
    live: Any,
    config: Any,
    schema: Schema,
    manager: Manager,
    now: str,
    *,
    force: bool,
    elsewhere: Elsewhere | None = None,
) -> Applied:
    """Lay a configuration over an object. `elsewhere`: where others spoke in other versions.

    Raises:
        ConflictingError: others own what would change, and `force` does not allow it.
        PatchError: the configuration repeats itself.
    """
    serverside.check_unique(config, schema)
    if not entries:
        entries = _first(live, schema, now)
    wanted = fieldset.difference(serverside.owned(config, schema), _UNTRACKED)
    mine = next((entry for entry in entries if manager.is_of(entry)), None)
    others = [entry for entry in entries if entry is not mine]
    tree = serverside.merge(live, config, schema)
    last = _translated(mine, manager, tree, elsewhere) if mine is not None else {}
    if last:
        kept = wanted
        for entry in others:
            kept = fieldset.union(kept, _translated(entry, manager, tree, elsewhere))
        tree = serverside.prune(tree, schema, last=last, kept=kept)
    change = serverside.compare(live, tree, schema)
    changed = fieldset.difference(change.changed, _UNTRACKED)
    gone = [
        _elsewhere(entry, manager, live, tree, elsewhere) or Difference(changed, change.removed)
        for entry in others
    ]
    others = _without(others, gone, force=force)
    same = mine is not None and wanted == mine.fields_v1 and not changed and not change.removed
    time = mine.time if same and mine is not None and mine.time else now
    if wanted:
        others.append(_entry(manager, wanted, time))
    return Applied(tree, ordered(others))


def _translated(
    entry: ManagedFieldsEntry, manager: Manager, tree: Any, elsewhere: Elsewhere | None
) -> FieldSet:
    """The fields of an entry in the version that the manager speaks."""
    fields = entry.fields_v1 or {}
    if elsewhere is None or entry.api_version == manager.api_version:
        return fields
    return elsewhere.translated(entry.api_version, fields, tree)


def _elsewhere(
    entry: ManagedFieldsEntry,
    manager: Manager,
    live: Any,
    tree: Any,
    elsewhere: Elsewhere | None,
) -> Difference | None:
    """The change in the version of an entry, where that is another one."""
    if elsewhere is None or entry.api_version == manager.api_version:
        return None
    found = elsewhere.difference(entry.api_version, live, tree)
    if found is None:
        return None
    return Difference(fieldset.difference(found.changed, _UNTRACKED), found.removed)


def _without(others: Entries, changes: Sequence[Difference], *, force: bool) -> Entries:
    """The entries of others after a change, which is told in the version of each."""
    pairs = list(zip(others, changes, strict=True))
    conflicts = [
        Conflict(entry, common)
        for entry, change in pairs
        if (common := fieldset.intersection(entry.fields_v1 or {}, change.changed))
    ]
    if conflicts and not force:
        raise ConflictingError(conflicts)
    kept = (
        (
            entry,
            fieldset.difference(
                entry.fields_v1 or {}, fieldset.union(change.changed, change.removed)
            ),
        )
        for entry, change in pairs
    )
    return [_with(entry, left) for entry, left in kept if left]


def _first(live: Any, schema: Schema, now: str) -> Entries:
    """All that an untracked object has belongs to whoever made it, before its first apply."""
    has = fieldset.difference(serverside.compare({}, live, schema).changed, _UNTRACKED)
    version = live.get("apiVersion", "") if isinstance(live, dict) else ""
    return [_entry(Manager(BEFORE_FIRST_APPLY, UPDATE, version), has, now)] if has else []


def capped(entries: Entries) -> Entries:
    """The oldest updates become one entry when there are too many."""
    updates = sorted((one for one in entries if one.operation == UPDATE), key=_age)
    too_many = len(updates) - MAX_UPDATE_MANAGERS
    if too_many <= 0:
        return entries
    # One place more is for the entry that they become.
    old = updates[: too_many + 1]
    gone = set(map(id, old))
    kept = [one for one in entries if id(one) not in gone]
    by_version: dict[str, Entries] = {}
    for one in old:
        by_version.setdefault(one.api_version, []).append(one)
    for version, of_version in sorted(by_version.items()):
        fields: FieldSet = {}
        for one in of_version:
            fields = fieldset.union(fields, one.fields_v1 or {})
        newest = max(one.time or "" for one in of_version)
        kept.append(_entry(Manager(ANCIENT, UPDATE, version), fields, newest))
    return kept


def ordered(entries: Iterable[ManagedFieldsEntry]) -> Entries:
    """As Kubernetes lists them: applies first, then by time."""
    return sorted(
        entries,
        key=lambda one: (*_age(one), one.manager, one.api_version, one.subresource),
    )


def _age(entry: ManagedFieldsEntry) -> tuple[str, str]:
    return entry.operation, entry.time or ""


def _entry(manager: Manager, fields: FieldSet, time: str) -> ManagedFieldsEntry:
    return ManagedFieldsEntry(
        manager=manager.name,
        operation=manager.operation,
        api_version=manager.api_version,
        time=time,
        fields_type="FieldsV1",
        fields_v1=fields,
        subresource=manager.subresource,
    )


def _with(entry: ManagedFieldsEntry, fields: FieldSet) -> ManagedFieldsEntry:
    manager = Manager(entry.manager, entry.operation, entry.api_version, entry.subresource)
    return _entry(manager, fields, entry.time or "")
