"""Objects as Kubernetes' protobuf, as Go clients send them: what the server only ever reads.

Zero values are left out, except where Go has a pointer; lists of numbers are written one by one, as
Kubernetes' generated code does. Field numbers come from the types: `tests/unit/api/test_reference.py`
compares those with the published ones, and decodes bytes that Kubernetes itself wrote.
"""

from __future__ import annotations

import json
import struct
from typing import Any

from api import objects, timestamps
from api.codec.shapes import Kind, Shape, shape_of
from api.struct import ApiStruct, FieldInfo, Leaf, fields


def packed(obj: ApiStruct) -> bytes:
    """The object in its envelope: four bytes of magic, the type's names, and the object."""
    api_version, kind = objects.type_names(obj)
    names = field(1, api_version) + field(2, kind)
    return b"k8s\x00" + field(1, names) + field(2, message(obj, type(obj)))


def varint(number: int) -> bytes:
    number &= 2**64 - 1
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def message(obj: ApiStruct, type_: type[ApiStruct]) -> bytes:
    """The fields of `type_`, which is the object's own or one that it inlines."""
    inlined: dict[int, type[ApiStruct]] = getattr(type_, "__inline__", {})
    bases = {one for base in inlined.values() for one in base.__mro__}
    out = [field(number, message(obj, base)) for number, base in inlined.items()]
    for info in fields(type_):
        if info.owner not in bases and info.number is not None:
            out.append(_field(info, getattr(obj, info.attribute)))
    return b"".join(out)


def _field(info: FieldInfo, value: Any) -> bytes:
    shape, number = shape_of(info.type), info.number
    assert number is not None
    match shape.kind:
        case Kind.LIST:
            return b"".join(field(number, _value(item, shape.element)) for item in value or ())
        case Kind.MAP:
            return b"".join(
                field(number, field(1, key) + field(2, _value(item, shape.element)))
                for key, item in (value or {}).items()
            )
        case Kind.STRUCT | Kind.LEAF if value is not None:
            return field(number, _value(value, shape))
    if value is None or (not value and not shape.pointer):
        return b""
    return field(number, _value(value, shape))


def _value(value: Any, shape: Shape) -> int | bytes | str:
    match shape.kind:
        case Kind.BOOL | Kind.INT:
            return int(value)
        case Kind.STRING | Kind.BYTES:
            return value  # type: ignore[no-any-return]
        case Kind.STRUCT:
            return message(value, type(value))
    return _leaf(value, shape.leaf)


def _leaf(value: Any, leaf: Leaf | None) -> bytes:
    match leaf:
        case Leaf.QUANTITY:
            return field(1, value)
        case Leaf.TIME | Leaf.MICRO_TIME:
            moment = timestamps.parse(value)
            return field(1, int(moment.timestamp())) + field(2, moment.microsecond * 1000)
        case Leaf.INT_OR_STRING if isinstance(value, str):
            return field(1, 1) + field(3, value)
        case Leaf.INT_OR_STRING:
            return field(1, 0) + field(2, value)
        case Leaf.RAW_EXTENSION:
            return field(1, json.dumps(value))
        case Leaf.JSON_SCHEMA:
            return schema(value)
        case Leaf.STRING_LIST:
            return b"".join(field(1, one) for one in value)
    raise ValueError(f"no protobuf form for {leaf}")


def schema(tree: dict[str, Any]) -> bytes:
    """JSONSchemaProps: zero values are written, too, as Go does it for what is no pointer."""
    out = [field(4, ""), field(18, 0)]
    for key, value in tree.items():
        number, kind = SCHEMA[key]
        match kind:
            case "text" | "count":
                out.append(field(number, value))
            case "flag":
                out.append(field(number, int(value)))
            case "double":
                out.append(varint(number << 3 | 1) + struct.pack("<d", value))
            case "json":
                out.append(field(number, field(1, json.dumps(value))))
            case "texts":
                out += [field(number, one) for one in value]
            case "jsons":
                out += [field(number, field(1, json.dumps(one))) for one in value]
            case "schema":
                out.append(field(number, schema(value)))
            case "schemas":
                out += [field(number, schema(one)) for one in value]
            case "map":
                out += [
                    field(number, field(1, name) + field(2, schema(one)))
                    for name, one in value.items()
                ]
            case "items":
                out.append(field(number, field(1, schema(value))))
            case "others" if isinstance(value, bool):
                out.append(field(number, field(1, int(value))))
            case "others":
                out.append(field(number, field(1, 1) + field(2, schema(value))))
    return b"".join(out)


SCHEMA = {
    "id": (1, "text"), "$schema": (2, "text"), "$ref": (3, "text"), "description": (4, "text"),
    "type": (5, "text"), "format": (6, "text"), "title": (7, "text"), "default": (8, "json"),
    "maximum": (9, "double"), "exclusiveMaximum": (10, "flag"), "minimum": (11, "double"),
    "exclusiveMinimum": (12, "flag"), "maxLength": (13, "count"), "minLength": (14, "count"),
    "pattern": (15, "text"), "maxItems": (16, "count"), "minItems": (17, "count"),
    "uniqueItems": (18, "flag"), "multipleOf": (19, "double"), "enum": (20, "jsons"),
    "maxProperties": (21, "count"), "minProperties": (22, "count"), "required": (23, "texts"),
    "items": (24, "items"), "allOf": (25, "schemas"), "oneOf": (26, "schemas"),
    "anyOf": (27, "schemas"), "not": (28, "schema"), "properties": (29, "map"),
    "additionalProperties": (30, "others"), "patternProperties": (31, "map"),
    "additionalItems": (33, "others"), "definitions": (34, "map"), "example": (36, "json"),
    "nullable": (37, "flag"), "x-kubernetes-preserve-unknown-fields": (38, "flag"),
    "x-kubernetes-embedded-resource": (39, "flag"), "x-kubernetes-int-or-string": (40, "flag"),
    "x-kubernetes-list-map-keys": (41, "texts"), "x-kubernetes-list-type": (42, "text"),
    "x-kubernetes-map-type": (43, "text"),
}  # fmt: skip
