"""The types as data: for each field its wire name, its shape, and where the special leaves are.

Serves step 1 of the pod's walk: the slow decoder, protobuf, and strategic merge all walk a tree
beside a type; they walk these shapes, which are worked out once per type from its annotations
(`api.struct.fields`) and kept.

Pure, cached for ever: there are as many shapes as types.
"""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from typing import Annotated, Any

import msgspec

from api.struct import ApiStruct, FieldInfo, Leaf, fields


class Kind(Enum):
    """What a value is made of."""

    STRING = auto()
    BOOL = auto()
    INT = auto()
    FLOAT = auto()
    BYTES = auto()
    LEAF = auto()  # see `leaf`
    LIST = auto()
    MAP = auto()
    STRUCT = auto()


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a value; `pointer` means that None is a value of its own."""

    kind: Kind
    pointer: bool = False
    leaf: Leaf | None = None
    bits: int = 0
    item: Shape | None = None
    struct: type[ApiStruct] | None = None

    @property
    def element(self) -> Shape:
        """The shape of a list's or map's elements."""
        assert self.item is not None
        return self.item

    @property
    def go(self) -> str:
        """The type's name in Go, for messages that users know."""
        match self.kind:
            case Kind.STRING:
                return "string"
            case Kind.BOOL:
                return "bool"
            case Kind.INT:
                return f"int{self.bits}"
            case Kind.FLOAT:
                return "float64"
            case Kind.BYTES:
                return "[]uint8"
            case Kind.LIST:
                return f"[]{self.element.go}"
            case Kind.MAP:
                return f"map[string]{self.element.go}"
            case Kind.STRUCT:
                assert self.struct is not None
                return f"v1.{self.struct.__name__}"
            case Kind.LEAF:
                return _GO_LEAVES.get(self.leaf, "string")


_GO_LEAVES: dict[Leaf | None, str] = {
    Leaf.QUANTITY: "resource.Quantity",
    Leaf.INT_OR_STRING: "intstr.IntOrString",
    Leaf.STRING_LIST: "[]string",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a type: what the type says about it, and its shape."""

    info: FieldInfo
    shape: Shape


@dataclass(frozen=True, slots=True)
class StructShape:
    """All fields of a type, and the subsets that the walks need."""

    type: type[ApiStruct]
    fields: dict[str, Field]  # by wire name
    names: frozenset[str]
    required: tuple[Field, ...]  # no default: Go writes them always
    holding_structs: tuple[tuple[str, Shape], ...]  # (wire name, shape) that lead to further fields
    holding_leaves: tuple[tuple[str, Shape], ...]  # (attribute, shape) that lead to special leaves


@cache
def struct_shape(type_: type[ApiStruct]) -> StructShape:
    """The shape of an API type."""
    found = {info.wire: Field(info, shape_of(info.type)) for info in fields(type_)}
    return StructShape(
        type=type_,
        fields=found,
        names=frozenset(found),
        required=tuple(field for field in found.values() if field.info.required),
        holding_structs=tuple(
            (wire, field.shape) for wire, field in found.items() if _has_fields(field.shape)
        ),
        holding_leaves=tuple(
            (field.info.attribute, field.shape)
            for field in found.values()
            if _leads_to_leaf(field.shape, frozenset((type_,)))
        ),
    )


def _has_fields(shape: Shape) -> bool:
    """Whether there are names inside that can be wrong: a schema in JSON has them, too."""
    inner = _innermost(shape)
    return inner.struct is not None or inner.leaf is Leaf.JSON_SCHEMA


@cache
def shape_of(hint: Any) -> Shape:
    """The shape of an annotation, markers included."""
    leaf: Leaf | None = None
    bits = 64
    if typing.get_origin(hint) is Annotated:
        for extra in hint.__metadata__:
            if isinstance(extra, Leaf):
                leaf = extra
            elif isinstance(extra, msgspec.Meta) and extra.le == 2**31 - 1:
                bits = 32
        hint = hint.__origin__
    if leaf is not None:
        return Shape(Kind.LEAF, leaf=leaf)
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return _optional(hint)
    if origin is list:
        return Shape(Kind.LIST, item=shape_of(typing.get_args(hint)[0]))
    if origin is dict:
        return Shape(Kind.MAP, item=shape_of(typing.get_args(hint)[1]))
    if isinstance(hint, type) and issubclass(hint, ApiStruct):
        return Shape(Kind.STRUCT, struct=hint)
    kind = _PLAIN.get(hint)
    if kind is None:
        raise TypeError(f"{hint!r} has no shape: not a type that the API uses")
    return Shape(kind, bits=bits if kind is Kind.INT else 0)


_PLAIN = {
    str: Kind.STRING,
    bool: Kind.BOOL,
    int: Kind.INT,
    float: Kind.FLOAT,
    bytes: Kind.BYTES,
}


def _optional(hint: Any) -> Shape:
    inner = [argument for argument in typing.get_args(hint) if argument is not types.NoneType]
    if len(inner) != 1:
        raise TypeError(f"{hint!r} has no shape: a union of more than a type and None")
    shape = shape_of(inner[0])
    return Shape(
        shape.kind,
        pointer=True,
        leaf=shape.leaf,
        bits=shape.bits,
        item=shape.item,
        struct=shape.struct,
    )


def _innermost(shape: Shape) -> Shape:
    while shape.item is not None:
        shape = shape.item
    return shape


def _leads_to_leaf(shape: Shape, above: frozenset[type[ApiStruct]]) -> bool:
    shape = _innermost(shape)
    if shape.kind is Kind.LEAF:
        return shape.leaf is not Leaf.STRING_LIST
    if shape.struct is None:
        return False
    if shape.struct in above:  # a type inside itself: decided by its other fields
        return False
    deeper = above | {shape.struct}
    return any(_leads_to_leaf(shape_of(info.type), deeper) for info in fields(shape.struct))


def zero(shape: Shape) -> Any:
    """Go's zero value of that shape."""
    if shape.pointer:
        return None
    match shape.kind:
        case Kind.STRING:
            return ""
        case Kind.BOOL:
            return False
        case Kind.INT:
            return 0
        case Kind.FLOAT:
            return 0.0
        case Kind.BYTES:
            return b""
        case Kind.LIST:
            return []
        case Kind.MAP:
            return {}
        case Kind.STRUCT:
            assert shape.struct is not None
            return zero_struct(shape.struct)
        case Kind.LEAF:
            return _zero_leaf(shape.leaf)


def zero_struct(type_: type[ApiStruct]) -> Any:
    """An instance in which every field has its default, or Go's zero value where it has none."""
    required = struct_shape(type_).required
    return type_(**{field.info.attribute: zero(field.shape) for field in required})


def _zero_leaf(leaf: Leaf | None) -> Any:
    match leaf:
        case Leaf.QUANTITY:
            return "0"
        case Leaf.INT_OR_STRING:
            return 0
        case Leaf.STRING_LIST:
            return []
        case Leaf.RAW_EXTENSION | Leaf.JSON_SCHEMA:
            return None
        case _:
            return ""
