"""JSONSchemaProps in protobuf: the schemas of definitions, as Go clients send them.

Serves step 1 of the pod's walk for CustomResourceDefinitions. Schemas are kept as the trees that JSON
has (`api.apiextensions`), so that no type carries their numbers: the table does, with the published
names and numbers. Go writes the zero values of what is no pointer; JSON leaves them out. Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from api.codec import jsontree, wire
from api.codec.wire import Value

Read = Callable[[Value, int], Any]

MAX_DEPTH = jsontree.MAX_DEPTH // 2
"""Schemas in schemas: as deep as they may be in JSON, where each is two levels below the last."""


def schema(data: bytes, depth: int = 0) -> dict[str, Any]:
    """The tree of a schema's message.

    Raises:
        ValueError: the bytes are no such message.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"schemas may be nested {MAX_DEPTH} deep")
    return _message(data, _SCHEMA, depth)


def _message(data: bytes, table: Mapping[int, _Field], depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for number, value in wire.pairs(data):
        field = table.get(number)
        if field is not None:
            field.put(made, value, depth)
    return made


class _Field:
    """One number: the name of its field, and how its value is read."""

    __slots__ = ("_name", "_pointer", "_read", "_repeated")

    def __init__(
        self, name: str, read: Read, *, pointer: bool = False, repeated: bool = False
    ) -> None:
        self._name = name
        self._read = read
        self._pointer = pointer
        self._repeated = repeated

    def put(self, made: dict[str, Any], value: Value, depth: int) -> None:
        found = self._read(value, depth)
        if self._repeated:
            made.setdefault(self._name, []).append(found)
        elif isinstance(found, _Entry):
            made.setdefault(self._name, {})[found.key] = found.value
        elif found or self._pointer:
            made[self._name] = found


class _Entry(msgspec.Struct, gc=False):
    """One entry of a map."""

    key: str
    value: Any


def _text(value: Value, depth: int) -> str:
    return wire.text(value)


def _flag(value: Value, depth: int) -> bool:
    return wire.number(value) != 0


def _integer(value: Value, depth: int) -> int:
    return wire.signed(wire.number(value), 64)


def _double(value: Value, depth: int) -> float:
    data = wire.block(value)
    if len(data) != 8:
        raise ValueError("proto: wrong wireType for a double")
    (found,) = struct.unpack("<d", data)
    return int(found) if float(found).is_integer() else float(found)


def _json(value: Value, depth: int) -> Any:
    raw = wire.block(dict(wire.pairs(wire.block(value))).get(1, b""))
    return jsontree.plain(jsontree.parse(raw)) if raw else None


def _schema(value: Value, depth: int) -> dict[str, Any]:
    return schema(wire.block(value), depth + 1)


def _items(value: Value, depth: int) -> Any:
    """A schema, or several of them, which no structural schema has."""
    several: list[Any] = []
    for number, inner in wire.pairs(wire.block(value)):
        if number == 1:
            return _schema(inner, depth)
        if number == 2:
            several.append(_schema(inner, depth))
    return several


def _schema_or_flag(value: Value, depth: int) -> Any:
    """A schema if there is one; the flag is written beside it."""
    allows = False
    for number, inner in wire.pairs(wire.block(value)):
        if number == 2:
            return _schema(inner, depth)
        if number == 1:
            allows = _flag(inner, depth)
    return allows


def _schema_or_names(value: Value, depth: int) -> Any:
    names: list[str] = []
    for number, inner in wire.pairs(wire.block(value)):
        if number == 1:
            return _schema(inner, depth)
        if number == 2:
            names.append(wire.text(inner))
    return names


def _entries(read: Read) -> Read:
    def entry(value: Value, depth: int) -> _Entry:
        found = _Entry("", {})
        for number, inner in wire.pairs(wire.block(value)):
            if number == 1:
                found.key = wire.text(inner)
            elif number == 2:
                found.value = read(inner, depth)
        return found

    return entry


def _of(table: Mapping[int, _Field]) -> Read:
    return lambda value, depth: _message(wire.block(value), table, depth)


_DOCS = {1: _Field("description", _text), 2: _Field("url", _text)}
_RULE = {
    1: _Field("rule", _text),
    2: _Field("message", _text),
    3: _Field("messageExpression", _text),
    4: _Field("reason", _text, pointer=True),
    5: _Field("fieldPath", _text),
    6: _Field("optionalOldSelf", _flag, pointer=True),
}
_SCHEMA: Mapping[int, _Field] = {
    1: _Field("id", _text),
    2: _Field("$schema", _text),
    3: _Field("$ref", _text, pointer=True),
    4: _Field("description", _text),
    5: _Field("type", _text),
    6: _Field("format", _text),
    7: _Field("title", _text),
    8: _Field("default", _json, pointer=True),
    9: _Field("maximum", _double, pointer=True),
    10: _Field("exclusiveMaximum", _flag),
    11: _Field("minimum", _double, pointer=True),
    12: _Field("exclusiveMinimum", _flag),
    13: _Field("maxLength", _integer, pointer=True),
    14: _Field("minLength", _integer, pointer=True),
    15: _Field("pattern", _text),
    16: _Field("maxItems", _integer, pointer=True),
    17: _Field("minItems", _integer, pointer=True),
    18: _Field("uniqueItems", _flag),
    19: _Field("multipleOf", _double, pointer=True),
    20: _Field("enum", _json, repeated=True),
    21: _Field("maxProperties", _integer, pointer=True),
    22: _Field("minProperties", _integer, pointer=True),
    23: _Field("required", _text, repeated=True),
    24: _Field("items", _items, pointer=True),
    25: _Field("allOf", _schema, repeated=True),
    26: _Field("oneOf", _schema, repeated=True),
    27: _Field("anyOf", _schema, repeated=True),
    28: _Field("not", _schema, pointer=True),
    29: _Field("properties", _entries(_schema)),
    30: _Field("additionalProperties", _schema_or_flag, pointer=True),
    31: _Field("patternProperties", _entries(_schema)),
    32: _Field("dependencies", _entries(_schema_or_names)),
    33: _Field("additionalItems", _schema_or_flag, pointer=True),
    34: _Field("definitions", _entries(_schema)),
    35: _Field("externalDocs", _of(_DOCS), pointer=True),
    36: _Field("example", _json, pointer=True),
    37: _Field("nullable", _flag),
    38: _Field("x-kubernetes-preserve-unknown-fields", _flag, pointer=True),
    39: _Field("x-kubernetes-embedded-resource", _flag),
    40: _Field("x-kubernetes-int-or-string", _flag),
    41: _Field("x-kubernetes-list-map-keys", _text, repeated=True),
    42: _Field("x-kubernetes-list-type", _text, pointer=True),
    43: _Field("x-kubernetes-map-type", _text, pointer=True),
    44: _Field("x-kubernetes-validations", _of(_RULE), repeated=True),
}
