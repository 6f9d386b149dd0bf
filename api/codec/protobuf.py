"""Protobuf request bodies, decoded with the field numbers that the types carry.

Serves step 1 of the pod's walk: kubectl 1.32 and later, and most clients written in Go, send typed
bodies as protobuf. Answers are always JSON, which all of them take, so there is no encoder.

A body is `k8s\\0` and an `Unknown{1: TypeMeta{1: apiVersion, 2: kind}, 2: the object}`. The message
of a type has the numbers of `api.struct.Pb`; what JSON flattens is nested here (`__inline__`). Go
writes zero values explicitly: for a pointer such a zero is a value, for a list an element, for all
else the same as absent. Some types have messages of their own: Quantity{1: string},
Time{1: seconds, 2: nanos}, IntOrString{1: type, 2: int, 3: string}, RawExtension and FieldsV1
{1: JSON}, ExtraValue{1: strings}; a map is a list of {1: key, 2: value}.

Pure. Every length is checked against what is there, and nesting is bounded by the types.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, TypeVar

from api import quantity, timestamps
from api.codec import jsontree, schemaproto, wire
from api.codec.shapes import Kind, Shape, shape_of, struct_shape, zero
from api.codec.wire import Value
from api.struct import ApiStruct, Leaf, fields

T = TypeVar("T", bound=ApiStruct)

MAGIC = b"k8s\x00"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ZERO_TIME_SECONDS = -62135596800  # Go's zero time, the first second of year 1


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a body says about itself, and the message inside."""

    api_version: str
    kind: str
    raw: bytes


def envelope(body: bytes) -> Envelope:
    """Take a body out of its `k8s\\0` envelope.

    Raises:
        ValueError: it is not one.
    """
    if not body.startswith(MAGIC):
        raise ValueError("provided data does not appear to be a protobuf message: no k8s prefix")
    api_version = kind = encoding = ""
    raw = b""
    for number, value in wire.pairs(body[len(MAGIC) :]):
        match number, value:
            case 1, bytes():
                for inner, text in wire.pairs(value):
                    if inner == 1:
                        api_version = wire.text(text)
                    elif inner == 2:
                        kind = wire.text(text)
            case 2, bytes():
                raw = value
            case 3, bytes():
                encoding = wire.text(value)
    if encoding:
        raise ValueError(f"the content encoding {encoding!r} is not understood")
    return Envelope(api_version, kind, raw)


def message(data: bytes, type_: type[T]) -> T:
    """Decode the message of a type.

    Raises:
        ValueError: the bytes are not such a message.
    """
    values = _values(data, type_)
    for field in struct_shape(type_).required:
        values.setdefault(field.info.attribute, zero(field.shape))
    return type_(**values)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What each number of a message means: a field, or the base class it fills."""

    fields: dict[int, tuple[str, Shape]]
    inlined: dict[int, type[ApiStruct]]


@cache
def _plan(type_: type[ApiStruct]) -> _Plan:
    inlined: dict[int, type[ApiStruct]] = getattr(type_, "__inline__", {})
    bases = {
        one for base in inlined.values() for one in base.__mro__
    }  # an inlined one inlines, too
    own = {
        info.number: (info.attribute, shape_of(info.type))
        for info in fields(type_)
        if info.number is not None and info.owner not in bases
    }
    return _Plan(own, inlined)


def _values(data: bytes, type_: type[ApiStruct]) -> dict[str, Any]:
    plan = _plan(type_)
    values: dict[str, Any] = {}
    for number, value in wire.pairs(data):
        known = plan.fields.get(number)
        if known is not None:
            attribute, shape = known
            _put(values, attribute, value, shape)
        elif number in plan.inlined:
            values.update(_values(wire.block(value), plan.inlined[number]))
    return values


def _put(values: dict[str, Any], attribute: str, value: Value, shape: Shape) -> None:
    match shape.kind:
        case Kind.LIST:
            values.setdefault(attribute, []).extend(_elements(value, shape.element))
        case Kind.MAP:
            key, item = _entry(wire.block(value), shape.element)
            values.setdefault(attribute, {})[key] = item
        case _:
            values[attribute] = _value(value, shape)


def _elements(value: Value, item: Shape) -> list[Any]:
    if isinstance(value, bytes) and item.kind in (Kind.INT, Kind.BOOL):  # packed
        return [_value(number, item) for number in wire.varints(value)]
    return [_value(value, item)]


def _entry(data: bytes, item: Shape) -> tuple[str, Any]:
    key, found = "", zero(item)
    for number, value in wire.pairs(data):
        if number == 1:
            key = wire.text(value)
        elif number == 2:
            found = _value(value, item)
    return key, found


def _value(value: Value, shape: Shape) -> Any:
    match shape.kind:
        case Kind.STRING:
            return wire.text(value)
        case Kind.BOOL:
            return wire.number(value) != 0
        case Kind.INT:
            return wire.signed(wire.number(value), shape.bits)
        case Kind.BYTES:
            return wire.block(value)
        case Kind.STRUCT:
            assert shape.struct is not None
            return message(wire.block(value), shape.struct)
        case Kind.LEAF:
            return _leaf(wire.block(value), shape)
    raise ValueError(f"no protobuf form for {shape.go}")


def _leaf(data: bytes, shape: Shape) -> Any:
    found = dict(wire.pairs(data))
    match shape.leaf:
        case Leaf.QUANTITY:
            return quantity.canonical(wire.text(found.get(1, b"")) or "0")
        case Leaf.TIME | Leaf.MICRO_TIME:
            return _time(found, shape)
        case Leaf.INT_OR_STRING:
            if found.get(1, 0) == 1:
                return wire.text(found.get(3, b""))
            return wire.signed(wire.number(found.get(2, 0)), 32)
        case Leaf.RAW_EXTENSION:
            return jsontree.parse(raw) if (raw := wire.block(found.get(1, b""))) else None
        case Leaf.JSON_SCHEMA:
            return schemaproto.schema(data)
        case Leaf.STRING_LIST:
            return [wire.text(value) for number, value in wire.pairs(data) if number == 1]
        case Leaf.DURATION:
            return f"{wire.signed(wire.number(found.get(1, 0)), 64)}ns"
    raise ValueError(f"no protobuf form for {shape.go}")


def _time(found: dict[int, Value], shape: Shape) -> str | None:
    """An empty message is Go's zero time, which JSON writes as null."""
    seconds = wire.signed(wire.number(found.get(1, 0)), 64)
    nanos = wire.signed(wire.number(found.get(2, 0)), 32)
    if not found or seconds == _ZERO_TIME_SECONDS:
        return None if shape.pointer else ""
    try:
        moment = _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)
    except OverflowError:
        raise ValueError(f"the time {seconds} is out of range") from None
    if shape.leaf is Leaf.MICRO_TIME:
        return timestamps.format_micro(moment)
    return timestamps.format(moment)
