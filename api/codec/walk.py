"""The slow decoder: an untyped tree walked beside its type, missing nothing.

Serves step 1 of the pod's walk, for the bodies that the fast decoder (`api.codec.decode`) cannot take or
must not take silently. It reads a tree as Go's JSON decoder reads it for Kubernetes: null is absent,
missing required fields get Go's zero value, names are case-sensitive, the last of repeated keys
wins. And it collects, with its path, every unknown, repeated and mistyped field, where Go stops at
the first mistyped one.

Pure. A walker is used once. Types do not nest in themselves without end and trees are bounded by
`api.codec.jsontree.MAX_DEPTH`, so recursion is bounded.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import Counter
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from api import quantity, schemawords, timestamps
from api.codec.jsontree import Repeating, Spelled, check_depth, plain, repeated
from api.codec.shapes import Kind, Shape, struct_shape, zero
from api.struct import ApiStruct, Leaf

MAX_FINDINGS = 100  # of each sort; as many as Kubernetes reports


@dataclass(frozen=True, slots=True)
class Mistake:
    """A value that its field cannot hold."""

    path: str
    message: str


class _Where(NamedTuple):
    """A place in the tree: its path, and how Go names it."""

    path: str
    struct: str
    field: str

    def child(self, struct: str, name: str) -> _Where:
        return _Where(
            f"{self.path}.{name}" if self.path else name,
            struct,
            f"{self.field}.{name}" if self.field else name,
        )

    def element(self, position: int) -> _Where:
        return _Where(f"{self.path}[{position}]", self.struct, self.field)

    def key(self, name: str) -> _Where:
        return _Where(f"{self.path}.{name}", self.struct, self.field)


class _Unfit(Exception):
    """Go's words for a value that does not fit; caught where the place is known."""


class Walker:
    """Walks one tree; afterwards `strict` and `mistakes` hold what was found.

    `unknown`: the paths of those that `strict` tells to be unknown.
    """

    def __init__(self) -> None:
        self.strict: list[str] = []
        self.unknown: list[str] = []
        self.mistakes: list[Mistake] = []

    def read(self, tree: Any, type_: type[ApiStruct]) -> Any:
        """The object that `tree` describes; meaningless when there are mistakes."""
        top = _Where("", "", "")
        if not isinstance(tree, dict):
            words = (
                f"json: cannot unmarshal {_name(tree)} into Go value of type v1.{type_.__name__}"
            )
            self._mistake(top, words)
            return None
        return self._struct(tree, type_, top)

    def _struct(self, tree: dict[str, Any], type_: type[ApiStruct], where: _Where) -> Any:
        shape = struct_shape(type_)
        values: dict[str, Any] = {}
        for name in self._keys(tree, where, shape.fields):
            field, value = shape.fields.get(name), tree[name]
            if field is None:
                self._unknown(where.child("", name).path)
            elif value is not None:
                place = where.child(type_.__name__, name)
                values[field.info.attribute] = self._value(value, field.shape, place)
        for field in shape.required:
            if field.info.attribute not in values:
                values[field.info.attribute] = zero(field.shape)
        return type_(**values)

    def _value(self, value: Any, shape: Shape, where: _Where) -> Any:
        if value is None:
            return zero(shape)
        match shape.kind:
            case Kind.STRUCT if isinstance(value, dict):
                assert shape.struct is not None
                return self._struct(value, shape.struct, where)
            case Kind.LIST if isinstance(value, list):
                item = shape.element
                return [
                    self._value(element, item, where.element(position))
                    for position, element in enumerate(value)
                ]
            case Kind.MAP if isinstance(value, dict):
                item = shape.element
                return {
                    name: self._value(value[name], item, where.key(name))
                    for name in self._keys(value, where, value)
                }
        if shape.leaf is Leaf.JSON_SCHEMA and isinstance(value, dict):
            self._schema(value, where)
        try:
            return _scalar(value, shape)
        except _Unfit as unfit:
            place = f"Go struct field {where.struct}.{where.field}" if where.struct else "Go value"
            words = f"json: cannot unmarshal {unfit} into {place} of type {shape.go}"
            self._mistake(where, f"{words} ({where.path}: {_advice(value, shape)})")
        except ValueError as error:
            self._mistake(where, f"{error} ({where.path}: found {_show(value)})")
        return zero(shape)

    def _schema(self, tree: dict[str, Any], where: _Where) -> None:
        check_depth(tree)
        for path in schemawords.unknown(tree, where.path):
            self._unknown(path)
        self._find(repeated(tree, where.path))

    def _keys(self, tree: dict[str, Any], where: _Where, known: Container[str]) -> Iterable[str]:
        """Every key once, in the order in which Go's decoder finds fault with them.

        That is the order of the text, a repeated key told where it comes again; an unknown one is
        told to be unknown, and no more. Of YAML, keys are told before anything is decoded.
        """
        if not isinstance(tree, Repeating):
            return tree
        if tree.is_yaml:
            self._find(tree.findings(where.path))
            return tree
        return self._repeated(tree, where, known)

    def _repeated(self, tree: Repeating, where: _Where, known: Container[str]) -> Iterable[str]:
        times = Counter(tree.written)
        came: Counter[str] = Counter()
        for key in tree.written:
            came[key] += 1
            if key in known:
                if came[key] == 2:
                    self._find([tree.finding(where.path, key)])
                if came[key] == times[key]:  # its value is the last one
                    yield key
            elif came[key] == 1:
                yield key

    def _unknown(self, path: str) -> None:
        if len(self.unknown) < MAX_FINDINGS:
            self.unknown.append(path)
            self._find([f'unknown field "{path}"'])

    def _find(self, findings: Iterable[str]) -> None:
        for text in findings:
            if len(self.strict) < MAX_FINDINGS:
                self.strict.append(text)

    def _mistake(self, where: _Where, message: str) -> None:
        if len(self.mistakes) < MAX_FINDINGS:
            self.mistakes.append(Mistake(where.path, message))


def _scalar(value: Any, shape: Shape) -> Any:
    match shape.kind:
        case Kind.STRING if isinstance(value, str):
            return value
        case Kind.BOOL if isinstance(value, bool):
            return value
        case Kind.INT:
            return _integer(value, shape.bits)
        case Kind.FLOAT if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        case Kind.BYTES if isinstance(value, str):
            return _bytes(value)
        case Kind.LEAF:
            return leaf(value, shape.leaf)
    raise _Unfit(_name(value))


def leaf(value: Any, kind: Leaf | None) -> Any:
    """A special leaf in canonical form.

    Raises:
        ValueError: in Go's words.
    """
    match kind:
        case Leaf.QUANTITY:
            if isinstance(value, Spelled):
                return quantity.canonical(value.text)
            if isinstance(value, str | int | float) and not isinstance(value, bool):
                return quantity.canonical(value)
            raise ValueError(quantity.FORMAT_ERROR)
        case Leaf.TIME | Leaf.MICRO_TIME:
            if not isinstance(value, str):
                raise _Unfit(_name(value))
            micro = kind is Leaf.MICRO_TIME
            return (timestamps.canonical_micro if micro else timestamps.canonical)(value)
        case Leaf.INT_OR_STRING:
            return value if isinstance(value, str) else _integer(value, 32)
        case Leaf.STRING_LIST:
            if isinstance(value, list) and all(isinstance(item, str) for item in value):
                return value
        case Leaf.RAW_EXTENSION:
            check_depth(value)
            return plain(value)
        case Leaf.JSON_SCHEMA:
            check_depth(value)
            schema = plain(value)
            return schemawords.known(schema) if isinstance(schema, dict) else schema
        case _:
            if isinstance(value, str):
                return value
    raise _Unfit(_name(value))


def _integer(value: Any, bits: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        if -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
            return value
        raise _Unfit(f"number {value}")
    if isinstance(value, float):
        raise _Unfit(f"number {value.text if isinstance(value, Spelled) else value}")
    raise _Unfit(_name(value))


def _bytes(value: str) -> bytes:
    # Go skips line breaks, which `base64` wraps its output with.
    text = value.replace("\n", "").replace("\r", "")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        wrong = next(
            (position for position, character in enumerate(text) if character not in _BASE64),
            len(text),
        )
        raise ValueError(f"illegal base64 data at input byte {wrong}") from None


_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


def _name(value: Any) -> str:
    """The JSON type of a value, as Go names it."""
    match value:
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
        case _:
            return "null"


_EXPECTED: dict[Kind, str] = {
    Kind.STRING: "a string",
    Kind.BOOL: "true or false",
    Kind.INT: "a whole number",
    Kind.FLOAT: "a number",
    Kind.BYTES: "a string of base64",
    Kind.LIST: "a list",
    Kind.MAP: "a map",
    Kind.STRUCT: "a map of fields",
}
_EXPECTED_LEAF: dict[Leaf | None, str] = {
    Leaf.QUANTITY: "a quantity such as 500m or 1Gi",
    Leaf.TIME: "a time such as 2026-01-02T03:04:05Z",
    Leaf.MICRO_TIME: "a time such as 2026-01-02T03:04:05.000000Z",
    Leaf.INT_OR_STRING: "a number or a string",
    Leaf.STRING_LIST: "a list of strings",
}


def _advice(value: Any, shape: Shape) -> str:
    expected = _EXPECTED.get(shape.kind) or _EXPECTED_LEAF.get(shape.leaf, "a string")
    advice = f"expected {expected}, found {_show(value)}"
    if shape.kind is Kind.STRING and isinstance(value, bool | int | float):
        advice += "; put it in quotes"
    return advice


def _show(value: Any) -> str:
    if isinstance(value, Spelled):
        return value.text
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def canonicalise(obj: Any, type_: type[ApiStruct]) -> None:
    """Put every special leaf of a freshly decoded object into canonical form, in place.

    Raises:
        ValueError: some leaf is invalid; the walker tells which, and where.
    """
    for attribute, shape in struct_shape(type_).holding_leaves:
        value = getattr(obj, attribute)
        if value is None or value == [] or value == {}:
            continue
        changed = _canonical(value, shape)
        if changed is not value:
            setattr(obj, attribute, changed)


def _canonical(value: Any, shape: Shape) -> Any:
    match shape.kind:
        case Kind.LEAF:
            try:
                return leaf(value, shape.leaf)
            except _Unfit as unfit:
                raise ValueError(str(unfit)) from None
        case Kind.STRUCT:
            assert shape.struct is not None
            canonicalise(value, shape.struct)
        case Kind.LIST:
            _each(value, range(len(value)), shape.element)
        case Kind.MAP:
            _each(value, list(value), shape.element)
    return value


def _each(values: Any, keys: Any, item: Shape) -> None:
    for key in keys:
        value = values[key]
        if value is not None:
            changed = _canonical(value, item)
            if changed is not value:
                values[key] = changed


def has_unknown(tree: dict[str, Any], type_: type[ApiStruct]) -> bool:
    """Whether a tree that the typed decoder accepted names a field that the type does not have."""
    shape = struct_shape(type_)
    if not tree.keys() <= shape.names:
        return True
    for name, inner in shape.holding_structs:
        value = tree.get(name)
        if value and _UNKNOWN[inner.kind](value, inner):
            return True
    return False


def _unknown_in_struct(value: Any, shape: Shape) -> bool:
    assert shape.struct is not None
    return has_unknown(value, shape.struct)


def _unknown_in_schema(value: Any, shape: Shape) -> bool:
    return shape.leaf is Leaf.JSON_SCHEMA and schemawords.has_unknown(value)


def _unknown_in_list(value: Any, shape: Shape) -> bool:
    item = shape.element
    check = _UNKNOWN[item.kind]
    return any(element and check(element, item) for element in value)


def _unknown_in_map(value: Any, shape: Shape) -> bool:
    return _unknown_in_list(value.values(), shape)


_UNKNOWN: dict[Kind, Callable[[Any, Shape], bool]] = {
    Kind.STRUCT: _unknown_in_struct,
    Kind.LEAF: _unknown_in_schema,
    Kind.LIST: _unknown_in_list,
    Kind.MAP: _unknown_in_map,
}

DecodeErrors = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What the typed decoder raises for a body it cannot take (a ValidationError is a DecodeError)."""
