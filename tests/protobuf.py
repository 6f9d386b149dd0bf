"""Objects as Kubernetes' protobuf, as Go clients send them: what the server only ever reads.

Zero values are left out, except where Go has a pointer; lists of numbers are written one by one, as
Kubernetes' generated code does. Field numbers come from the types: `tests/unit/api/test_reference.py`
compares those with the published ones, and decodes bytes that Kubernetes itself wrote.
"""

from __future__ import annotations

import json
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
        case Leaf.STRING_LIST:
            return b"".join(field(1, one) for one in value)
    raise ValueError(f"no protobuf form for {leaf}")
