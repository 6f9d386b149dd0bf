"""Sets of fields, as `metadata.managedFields[].fieldsV1` writes them: who owns what. Walk step 1.

A set is a tree of dicts in the very form of FieldsV1 (the API's documentation, "FieldsV1"): `f:name`
leads to a field, `k:{"name":"web"}` to the item of a list that has these keys, `v:"x"` to an element
of a set. A dict without entries is a member of the set; one that has entries is a member itself only
if `.` is among them. The root is never a member. Pure; nothing given is changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

FieldSet = dict[str, Any]
SELF = "."

_encode = json.JSONEncoder(separators=(",", ":")).encode


def field(name: str) -> str:
    return "f:" + name


def item(keys: Mapping[str, Any]) -> str:
    """The entry of a list's item: its keys in the order of their names."""
    return "k:" + _encode(dict(sorted(keys.items())))


def element(value: Any) -> str:
    """The entry of a set's element."""
    return "v:" + _encode(value)


def is_member(node: FieldSet) -> bool:
    """Whether the place that `node` stands at belongs to the set."""
    return not node or SELF in node


def union(one: FieldSet, other: FieldSet) -> FieldSet:
    """What is in either."""
    out = dict(one)
    for entry, node in other.items():
        if entry != SELF:
            out[entry] = _union(out[entry], node) if entry in out else node
    return out


def _union(one: FieldSet, other: FieldSet) -> FieldSet:
    out = union(one, other)
    if out and (is_member(one) or is_member(other)):
        out[SELF] = {}
    return out


def difference(one: FieldSet, other: FieldSet) -> FieldSet:
    """What is in `one` and not in `other`."""
    out: FieldSet = {}
    for entry, node in one.items():
        if entry == SELF:
            continue
        against = other.get(entry)
        left = node if against is None else _difference(node, against)
        if left is not None:
            out[entry] = left
    return out


def _difference(one: FieldSet, other: FieldSet) -> FieldSet | None:
    stays = is_member(one) and not is_member(other)
    out = difference(one, other)
    if not out:
        return {} if stays else None
    if stays:
        out[SELF] = {}
    return out


def intersection(one: FieldSet, other: FieldSet) -> FieldSet:
    """What is in both."""
    out: FieldSet = {}
    for entry, node in one.items():
        against = other.get(entry)
        if entry == SELF or against is None:
            continue
        common = _intersection(node, against)
        if common is not None:
            out[entry] = common
    return out


def _intersection(one: FieldSet, other: FieldSet) -> FieldSet | None:
    both = is_member(one) and is_member(other)
    out = intersection(one, other)
    if not out:
        return {} if both else None
    if both:
        out[SELF] = {}
    return out


def members(fields: FieldSet, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every member."""
    for entry, node in fields.items():
        if entry == SELF:
            continue
        path = (*prefix, entry)
        if is_member(node):
            yield path
        yield from members(node, path)


def of_members(paths: Iterator[tuple[str, ...]] | list[tuple[str, ...]]) -> FieldSet:
    """The set of these paths."""
    out: FieldSet = {}
    for path in paths:
        out = union(out, _chain(path))
    return out


def _chain(path: tuple[str, ...]) -> FieldSet:
    node: FieldSet = {}
    for entry in reversed(path):
        node = {entry: node}
    return node


def shown(path: tuple[str, ...]) -> str:
    """A path as messages print it: `.spec.containers[name="web"].image`."""
    return "".join(map(_shown, path))


def _shown(entry: str) -> str:
    kind, _, text = entry.partition(":")
    if kind == "f":
        return "." + text
    if kind == "v":
        return f"[={text}]"
    keys = json.loads(text)
    pairs = (f"{name}={_encode(value)}" for name, value in keys.items())
    return f"[{','.join(pairs)}]"


def problem(fields: Any, depth: int = 0) -> str:
    """Why this is no set of fields; empty when it is one."""
    if not isinstance(fields, dict):
        return "expected an object"
    if depth > _MAX_DEPTH:
        return "nested too deeply"
    for entry, node in fields.items():
        if entry == SELF:
            continue
        kind, colon, text = entry.partition(":")
        if not colon or kind not in ("f", "k", "v", "i"):
            return f"{entry!r} is not the name of a field, key, value or index"
        if kind in ("k", "v"):
            try:
                parsed = json.loads(text)
            except ValueError:
                return f"{entry!r} is not JSON after its colon"
            if kind == "k" and not isinstance(parsed, dict):
                return f"{entry!r} does not name keys"
        if why := problem(node, depth + 1):
            return why
    return ""


_MAX_DEPTH = 64
