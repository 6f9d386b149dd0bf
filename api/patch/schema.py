"""What server-side apply must know of a kind: which parts have owners of their own. Walk step 1.

A small algebra, because there are two sources of it: the markers on our types (`of_type`), and the
schema of a custom resource. Terms are Kubernetes' own (server-side apply, "merge strategy"): a part
that is *atomic* has one owner; a *granular* map or struct has one per entry; a list may be a *set* of
scalars, or a *map* by the keys that its items carry. Pure and immutable; nodes are shared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from api.codec.shapes import Kind, Shape, struct_shape
from api.struct import ApiStruct, FieldInfo, Leaf


@dataclass(frozen=True, slots=True)
class Atomic:
    """A scalar, or whatever is replaced as a whole."""


@dataclass(frozen=True, slots=True)
class Deduced:
    """Nothing is known: objects are granular maps, lists are atomic."""


@dataclass(frozen=True, slots=True)
class MapOf:
    """A granular map; all values are alike."""

    values: Schema


class Fields:
    """A granular struct. Its fields are found when first asked for, as types may contain themselves.

    `unknown`: what all other fields are, where there may be others.
    """

    __slots__ = ("_entries", "_find", "_found", "_unknown")

    def __init__(
        self, find: Callable[[], Mapping[str, Schema]], *, unknown: Schema | None = None
    ) -> None:
        self._find = find
        self._found: Mapping[str, Schema] | None = None
        self._entries: dict[str, tuple[str, Schema]] = {}
        self._unknown = unknown

    @property
    def named(self) -> Mapping[str, Schema]:
        """The fields that have a name in the schema."""
        if self._found is None:
            self._found = self._find()
        return self._found

    def field(self, name: str) -> Schema | None:
        if self._found is None:
            self._found = self._find()
        return self._found.get(name, self._unknown)

    def entry(self, name: str) -> tuple[str, Schema]:
        """How a set of fields writes this field, and its schema: `DEDUCED` where there is none."""
        known = self._entries.get(name)
        if known is None:
            known = "f:" + name, self.field(name) or DEDUCED
            if name in self.named:
                self._entries[name] = known
        return known


@dataclass(frozen=True, slots=True)
class SetOf:
    """A list of scalars without repetition, each with owners of its own."""


@dataclass(frozen=True, slots=True)
class ListMap:
    """A list of objects that are told apart by the values of `keys`; absent ones have `defaults`."""

    keys: tuple[str, ...]
    items: Schema
    defaults: Mapping[str, Any]


Schema = Atomic | Deduced | MapOf | Fields | SetOf | ListMap

ATOMIC = Atomic()
DEDUCED = Deduced()
SET = SetOf()

# The only keys with a default in the published types.
_KEY_DEFAULTS = {"protocol": "TCP"}


@cache
def of_type(type_: type[ApiStruct]) -> Schema:
    """The schema of one of our types."""
    return Fields(lambda: _fields(type_))


def _fields(type_: type[ApiStruct]) -> dict[str, Schema]:
    return {
        wire: _of_field(field.info, field.shape)
        for wire, field in struct_shape(type_).fields.items()
    }


def _of_field(info: FieldInfo, shape: Shape) -> Schema:
    if info.atomic:
        return ATOMIC
    if shape.kind is not Kind.LIST or info.list_type is None:
        return _of_shape(shape)
    if info.list_type.kind == "map":
        keys = info.list_type.keys
        defaults = {key: _KEY_DEFAULTS[key] for key in keys if key in _KEY_DEFAULTS}
        return ListMap(keys, _of_shape(shape.element), defaults)
    return SET if info.list_type.kind == "set" else ATOMIC


def _of_shape(shape: Shape) -> Schema:
    if shape.kind is Kind.STRUCT:
        assert shape.struct is not None
        if shape.struct.__atomic__:
            return ATOMIC
        return of_type(shape.struct)
    if shape.kind is Kind.MAP:
        return MapOf(_of_shape(shape.element))
    if shape.kind is Kind.LEAF and shape.leaf in (Leaf.RAW_EXTENSION, Leaf.JSON_SCHEMA):
        return DEDUCED
    return ATOMIC
