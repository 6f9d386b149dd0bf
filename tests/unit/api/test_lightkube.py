"""Our types against `lightkube-models`, which somebody else generated from Kubernetes' OpenAPI document.

Only the text of its modules is read: they need lightkube itself to be imported. Types, fields and the
sort of each field must agree, both ways; what differs stands below with the reason.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import pytest

from api.codec.shapes import Kind, Shape, shape_of
from api.scheme import SERVED
from api.struct import ApiStruct, Leaf, fields
from control.apiserver.discovery.openapi.schemas import Components, component_name
from tests.unit.api.test_reference import MODULES, our_types

OTHER_GROUPS = ("podwright.io", "metrics.k8s.io")
"""Our own, and that of Kubernetes' metrics server: neither is in its OpenAPI document."""
VERSION = "1.34."
"""Kubernetes' version, whose types ours are; those of another one differ."""


def _models() -> Path | None:
    try:
        if not version("lightkube-models").startswith(VERSION):
            return None
    except PackageNotFoundError:
        return None
    found = find_spec("lightkube")
    for place in (found.submodule_search_locations or ()) if found else ():
        if (models := Path(place) / "models").is_dir():
            return models
    return None


MODELS = _models()

pytestmark = pytest.mark.skipif(
    MODELS is None, reason=f"lightkube-models {VERSION}* is not installed: pip install -e '.[dev]'"
)

_SCHEMA = "a schema is kept as JSON and read by `api/structural.py`"

NOT_OURS: dict[str, str] = {
    "apiextensions/v1/ExternalDocumentation": _SCHEMA,
    "apiextensions/v1/JSONSchemaProps": _SCHEMA,
    "apiextensions/v1/ValidationRule": _SCHEMA,
    "meta/v1/WatchEvent": "the line of a watch is put together from the stored bytes",
}
"""Types of theirs that we lack, and why; lists have none here, whatever their kind."""

OTHER_FIELDS: dict[str, str] = {
    "apiextensions/v1/CustomResourceSubresources.status": "the type has no field; kept as JSON",
    "meta/v1/ManagedFieldsEntry.fieldsV1": "the type has no field; kept as JSON",
}
"""Fields of another sort here, and why."""


@dataclass(frozen=True)
class Model:
    """One of their classes: the sort of each field, and the fields without a default."""

    sorts: dict[str, str]
    required: frozenset[str]


@cache
def models(group: str) -> dict[str, Model]:
    file = MODELS / f"{group.replace('/', '_')}.py" if MODELS is not None else None
    if file is None or not file.is_file():
        return {}  # their document has only what a request or an answer holds
    tree = ast.parse(file.read_text())
    return {node.name: _model(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _model(node: ast.ClassDef) -> Model:
    found = {
        item.target.id: item
        for item in node.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    }
    return Model(
        {_wire(name): _their_sort(item.annotation) for name, item in found.items()},
        frozenset(_wire(name) for name, item in found.items() if item.value is None),
    )


def _wire(name: str) -> str:
    return name.rstrip("_")


def _their_sort(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return _their_sort(ast.parse(text, mode="eval").body)
        case ast.Subscript(value=ast.Name(id="Optional"), slice=inner):
            return _their_sort(inner)
        case ast.Subscript(value=ast.Name(id="List"), slice=inner):
            return f"list of {_their_sort(inner)}"
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    raise AssertionError(ast.dump(node))


def our_sort(shape: Shape) -> str:
    match shape.kind:
        case Kind.LIST:
            return f"list of {our_sort(shape.element)}"
        case Kind.STRUCT:
            assert shape.struct is not None
            return shape.struct.__name__
    return {
        Kind.MAP: "dict",
        Kind.STRING: "str",
        Kind.BYTES: "str",
        Kind.BOOL: "bool",
        Kind.INT: "int",
        Kind.FLOAT: "float",
    }.get(shape.kind) or _LEAVES[shape.leaf]


_LEAVES = {
    Leaf.QUANTITY: "Quantity",
    Leaf.TIME: "Time",
    Leaf.MICRO_TIME: "MicroTime",
    Leaf.DURATION: "str",
    Leaf.INT_OR_STRING: "IntOrString",
    Leaf.RAW_EXTENSION: "RawExtension",
    Leaf.JSON_SCHEMA: "JSONSchemaProps",
    Leaf.STRING_LIST: "list of str",
    None: "?",
}


def served() -> set[type[ApiStruct]]:
    """The types of every kind, down to the last."""
    found: set[type[ApiStruct]] = set()
    todo = [resource.type for resource in SERVED if resource.group not in OTHER_GROUPS]
    while todo:
        type_ = todo.pop()
        if type_ not in found:
            found.add(type_)
            todo += [one for info in fields(type_) for one in structs(shape_of(info.type))]
    return found


def structs(shape: Shape) -> Iterator[type[ApiStruct]]:
    if shape.struct is not None:
        yield shape.struct
    if shape.item is not None:
        yield from structs(shape.item)


OURS = dict(our_types())
THEIRS = {f"{group}/{name}" for group in MODULES for name in models(group)}


def test_every_type_is_known_to_both() -> None:
    paths = {type_: path for path, type_ in OURS.items()}
    assert {paths[type_] for type_ in served()} - THEIRS == set()
    lists = {path for path in THEIRS if path.removesuffix("List") in THEIRS - {path}}
    assert THEIRS - set(OURS) - lists == set(NOT_OURS)


TYPES = [(path, type_) for path, type_ in OURS.items() if path in THEIRS]
BOTH = pytest.mark.parametrize(("path", "type_"), TYPES, ids=[path for path, _ in TYPES])


def model(path: str) -> Model:
    group, _, name = path.rpartition("/")
    return models(group)[name]


@BOTH
def test_fields(path: str, type_: type[ApiStruct]) -> None:
    theirs = dict(model(path).sorts)
    ours = {info.wire: our_sort(shape_of(info.type)) for info in fields(type_)}
    assert ours.keys() == theirs.keys()
    other = {wire for wire, sort in ours.items() if sort != theirs[wire]}
    assert {f"{path}.{wire}" for wire in other} <= set(OTHER_FIELDS), {
        wire: (ours[wire], theirs[wire]) for wire in other
    }


@BOTH
def test_nothing_is_demanded_that_they_do_not_demand(path: str, type_: type[ApiStruct]) -> None:
    """A client that checks for itself would refuse what is sound."""
    components = Components()
    components.add(type_)
    ours = components.schemas[component_name(type_)].get("required", ())
    assert set(ours) <= model(path).required


def test_the_rows_above_are_needed() -> None:
    for path in OTHER_FIELDS:
        name, _, wire = path.rpartition(".")
        info = next(info for info in fields(OURS[name]) if info.wire == wire)
        assert our_sort(shape_of(info.type)) != model(name).sorts[wire], path
