"""Server-side apply on trees: what an object owns, how it differs, how it is merged and pruned.

Serves step 1 of the pod's walk. The four functions that ownership is made of, each a walk of trees
beside a schema (`api.patch.schema`); who owns what afterwards is decided in
`control.apiserver.registry.managing`. The rules are those of Kubernetes' structured merge ("Server-Side
Apply" in its documentation, KEP-555). Pure; nothing given is changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from api.patch import fieldset
from api.patch.faults import PatchError
from api.patch.fieldset import SELF, FieldSet
from api.patch.schema import ATOMIC, DEDUCED, Atomic, Deduced, Fields, ListMap, MapOf, Schema, SetOf

Tree = Any

_ABSENT = object()
"""Where one of two objects has nothing at all."""


def _child(schema: Schema, name: str) -> Schema:
    """The schema of an entry; unknown fields are known by their looks."""
    if isinstance(schema, MapOf):
        return schema.values
    if isinstance(schema, Fields):
        return schema.field(name) or DEDUCED
    return DEDUCED


def _granular(schema: Schema) -> bool:
    return isinstance(schema, Fields | MapOf | Deduced)


def _items(schema: Schema, value: Any) -> dict[str, tuple[Any, Schema]] | None:
    """The parts with owners of their own, by their entry in a set; None for an atomic value."""
    if isinstance(value, dict) and _granular(schema):
        if isinstance(schema, Fields):
            entry = schema.entry
            return {(found := entry(name))[0]: (held, found[1]) for name, held in value.items()}
        return {fieldset.field(name): (held, _child(schema, name)) for name, held in value.items()}
    if not isinstance(value, list):
        return None
    if isinstance(schema, ListMap):
        return {entry: (held, schema.items) for entry, held in keyed(value, schema)}
    if isinstance(schema, SetOf):
        return {fieldset.element(held): (held, ATOMIC) for held in value}
    return None


def keyed(items: list[Any], schema: ListMap) -> Iterator[tuple[str, Any]]:
    """The items of a list map with their entries. An item without its keys is known by its defaults."""
    for held in items:
        found = held if isinstance(held, dict) else {}
        keys = {key: found.get(key, schema.defaults.get(key)) for key in schema.keys}
        yield fieldset.item({key: value for key, value in keys.items() if value is not None}), held


def owned(tree: Tree, schema: Schema) -> FieldSet:
    """The set of a configuration that is applied: every leaf, and every item of a list."""
    parts = _items(schema, tree)
    if not parts:
        return {}
    # Entries of maps and lists can come and go, and are owned themselves; fields of structs cannot.
    itself = not isinstance(schema, Fields)
    out: FieldSet = {}
    for entry, (held, inner) in parts.items():
        node = owned(held, inner)
        if node and itself:
            node[SELF] = {}
        out[entry] = node
    return out


def check_unique(tree: Tree, schema: Schema, path: str = "") -> None:
    """Refuse repeated elements of sets, and items of list maps with the same keys.

    Raises:
        PatchError: names the list and what it repeats.
    """
    if isinstance(tree, list) and isinstance(schema, ListMap | SetOf):
        entries = (
            [entry for entry, _ in keyed(tree, schema)]
            if isinstance(schema, ListMap)
            else [fieldset.element(held) for held in tree]
        )
        for entry in entries:
            if entries.count(entry) > 1:
                raise PatchError(f"{path}: duplicate entries for key {fieldset.shown((entry,))}")
    for entry, (held, inner) in (_items(schema, tree) or {}).items():
        check_unique(held, inner, path + fieldset.shown((entry,)))


@dataclass(frozen=True, slots=True)
class Difference:
    """Which fields an object has that another did not have, had otherwise, or no longer has."""

    changed: FieldSet
    removed: FieldSet


def compare(old: Tree, new: Tree, schema: Schema) -> Difference:
    """What happened between two versions of an object."""
    changed, removed = _compare(old, new, schema)
    return Difference(changed or {}, removed or {})


_Sides = tuple[FieldSet | None, FieldSet | None]


def _compare(old: Any, new: Any, schema: Schema) -> _Sides:
    """The node of what changed and of what was removed, None where nothing did."""
    if old is _ABSENT:
        return _everything(new, schema), None
    if new is _ABSENT:
        return None, _everything(old, schema)
    if old == new:
        return None, None
    before = _items(schema, {} if old is None and isinstance(new, dict) else old)
    after = _items(schema, {} if new is None and isinstance(old, dict) else new)
    if old is None and isinstance(new, list):
        before = _items(schema, [])
    if new is None and isinstance(old, list):
        after = _items(schema, [])
    if before is None or after is None:
        return {}, None
    changed: FieldSet = {}
    removed: FieldSet = {}
    for entry in {**before, **after}:
        was, inner = before.get(entry) or (_ABSENT, ATOMIC)
        now, inner = after.get(entry) or (_ABSENT, inner)
        more, less = _compare(was, now, inner)
        if more is not None:
            changed[entry] = more
        if less is not None:
            removed[entry] = less
    return changed or None, removed or None


def _everything(value: Any, schema: Schema) -> FieldSet:
    """A part that came or went, with all that is in it: itself and everything below."""
    if not isinstance(value, dict | list):
        return {}
    parts = _items(schema, value)
    if not parts:
        return {}
    out: FieldSet = {
        entry: {} if inner is ATOMIC else _everything(held, inner)
        for entry, (held, inner) in parts.items()
    }
    out[SELF] = {}
    return out


def merge(live: Tree, config: Tree, schema: Schema) -> Tree:
    """The live object with the configuration laid over it; what it does not name stays."""
    if isinstance(live, dict) and isinstance(config, dict) and _granular(schema):
        out = dict(live)
        for name, held in config.items():
            inner = _child(schema, name)
            out[name] = merge(live[name], held, inner) if name in live else held
        return out
    if isinstance(live, list) and isinstance(config, list):
        if isinstance(schema, ListMap):
            one, other = dict(keyed(live, schema)), dict(keyed(config, schema))
            return [
                merge(one[entry], other[entry], schema.items)
                if entry in one and entry in other
                else other.get(entry, one.get(entry))
                for entry in _arranged(list(one), list(other))
            ]
        if isinstance(schema, SetOf):
            values = {fieldset.element(held): held for held in [*live, *config]}
            order = _arranged(
                [fieldset.element(held) for held in live],
                [fieldset.element(held) for held in config],
            )
            return [values[entry] for entry in order]
    return config


def _arranged(live: list[str], config: list[str]) -> list[str]:
    """Both lists in one: in the order of the configuration, others where they stood beside it."""
    here = {entry: position for position, entry in reversed(list(enumerate(live)))}
    wanted = set(config)
    until, upto = len(live), []
    for entry in reversed(config):
        until = here.get(entry, until)
        upto.append(until)
    out: list[str] = []
    at = 0
    # Others that stood before what comes next in both lists stay before it.
    for entry, until in zip(config, reversed(upto), strict=True):
        if entry in here or until == len(live):
            out += [one for one in live[at:until] if one not in wanted]
            at = max(at, until)
        out.append(entry)
    return out + [one for one in live[at:] if one not in wanted]


def prune(merged: Tree, schema: Schema, *, last: FieldSet, kept: FieldSet) -> Tree:
    """The object without what the manager owned at `last` and nobody owns now (`kept`)."""
    pruned = _prune(merged, schema, last, kept)
    return {} if pruned is _ABSENT else pruned


def _prune(value: Any, schema: Schema, last: FieldSet, kept: FieldSet) -> Any:
    parts = _items(schema, value)
    if parts is None:
        return value
    left: dict[str, Any] = {}
    for entry, (held, inner) in parts.items():
        was, now = last.get(entry), kept.get(entry)
        if was is None:
            left[entry] = held  # it was never this manager's
        elif fieldset.is_member(was) and now is None:
            continue
        else:
            rest = _prune(held, inner, was, now or {})
            if isinstance(schema, ListMap) and isinstance(held, dict):
                keys = {key: held[key] for key in schema.keys if key in held}
                rest = {**keys, **({} if rest is _ABSENT else rest)}  # or it would be another item
            if rest is not _ABSENT:
                left[entry] = rest
    if not left and parts:
        return _ABSENT  # emptied by this, and so of no use: a struct or list of nothing
    if isinstance(value, dict):
        return {entry.removeprefix("f:"): held for entry, held in left.items()}
    return list(left.values())


def restricted(tree: Tree, canonical: Tree, schema: Schema) -> Tree:
    """A configuration with its values in canonical form, without fields that its kind does not have.

    `canonical` is the same object as the kind's type reads it, where what is zero may be missing.
    """
    if isinstance(tree, dict) and isinstance(schema, Fields | MapOf):
        spelled = canonical if isinstance(canonical, dict) else {}
        return {
            name: restricted(held, spelled.get(name, _ABSENT), _child(schema, name))
            for name, held in tree.items()
            if isinstance(schema, MapOf) or schema.field(name) is not None
        }
    same_length = (
        isinstance(canonical, list) and isinstance(tree, list) and len(canonical) == len(tree)
    )
    if isinstance(schema, ListMap) and same_length:
        pairs = zip(tree, canonical, strict=True)
        return [restricted(held, spelled, schema.items) for held, spelled in pairs]
    if canonical is _ABSENT or isinstance(schema, Deduced) or tree is None:
        return tree
    return canonical if isinstance(schema, Atomic | SetOf) else tree
