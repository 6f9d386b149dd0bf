"""Any object of a kind, as Hypothesis makes it: every field may be there, with any value that fits."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from api.codec.shapes import Kind, Shape, struct_shape
from api.struct import ApiStruct, Leaf

_LEAVES: dict[Leaf | None, st.SearchStrategy[Any]] = {
    Leaf.QUANTITY: st.sampled_from(["0", "1", "500m", "1Gi", "1500"]),
    Leaf.TIME: st.just("2026-01-02T03:04:05Z"),
    Leaf.MICRO_TIME: st.just("2026-01-02T03:04:05.000006Z"),
    Leaf.DURATION: st.just("1m0s"),
    Leaf.INT_OR_STRING: st.sampled_from([0, 1, "http"]),
    Leaf.STRING_LIST: st.lists(st.sampled_from(["a", "b"]), max_size=2),
    Leaf.RAW_EXTENSION: st.just({"a": 1}),
}
_WORDS = st.sampled_from(["", "a", "B", "spec", "ÿ"])
_DEPTH = 7


def anything(type_: type[ApiStruct], depth: int = _DEPTH) -> st.SearchStrategy[Any]:
    """Objects of a type. Fields that say what the type is stay as they are."""
    parts = {}
    for field in struct_shape(type_).fields.values():
        info = field.info
        if callable(info.default) and info.wire in ("apiVersion", "kind"):
            continue
        values = _of(field.shape, depth)
        if info.required:
            parts[info.attribute] = values
        else:
            parts[info.attribute] = st.one_of(st.just(_ABSENT), values)
    return st.fixed_dictionaries(parts).map(lambda given: _made(type_, given))


_ABSENT = object()


def _made(type_: type[ApiStruct], given: dict[str, Any]) -> ApiStruct:
    return type_(**{name: value for name, value in given.items() if value is not _ABSENT})


def _of(shape: Shape, depth: int) -> st.SearchStrategy[Any]:
    values = _value(shape, depth)
    return st.one_of(st.none(), values) if shape.pointer else values


def _value(shape: Shape, depth: int) -> st.SearchStrategy[Any]:
    match shape.kind:
        case Kind.STRING:
            return _WORDS
        case Kind.BOOL:
            return st.booleans()
        case Kind.INT:
            return st.integers(-(2**31), 2**31 - 1)
        case Kind.FLOAT:
            return st.sampled_from([0.0, 0.5])
        case Kind.BYTES:
            return st.binary(max_size=2)
        case Kind.LEAF:
            return _LEAVES[shape.leaf]
        case Kind.LIST:
            return st.lists(_of(shape.element, depth - 1), max_size=2 if depth > 0 else 0)
        case Kind.MAP:
            values = _of(shape.element, depth - 1)
            return st.dictionaries(_WORDS, values, max_size=2 if depth > 0 else 0)
        case Kind.STRUCT:
            assert shape.struct is not None
            return anything(shape.struct, depth - 1)
