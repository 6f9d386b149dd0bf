"""Our types against `lightkube-models`, which somebody else generated from Kubernetes' OpenAPI document.

Only the text of its modules is read: they need lightkube itself to be imported. Types, fields and the
sort of each field must agree, both ways; what differs stands below with the reason.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import pytest

from api.codec.shapes import Kind, Shape, shape_of
from api.struct import ApiStruct, Leaf, fields
from control.apiserver.discovery.openapi.schemas import Components, component_name
from tests.unit.api.test_reference import MODULES, our_types

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

_INLINE = "its fields stand in the types that hold it"
_QUERY = "it is the query of a request, in parameters of its own there"
_TABLE = "only servers answer with it"

NOT_THEIRS: dict[str, str] = {
    "admissionregistration/v1/Rule": _INLINE,
    "core/v1/EphemeralContainerCommon": _INLINE,
    "core/v1/PersistentVolumeSource": _INLINE,
    "core/v1/PodAttachOptions": _QUERY,
    "core/v1/PodExecOptions": _QUERY,
    "core/v1/PodLogOptions": _QUERY,
    "core/v1/PodPortForwardOptions": _QUERY,
    "core/v1/ProbeHandler": _INLINE,
    "core/v1/VolumeSource": _INLINE,
    "meta/v1/CreateOptions": _QUERY,
    "meta/v1/GetOptions": _QUERY,
    "meta/v1/ListOptions": _QUERY,
    "meta/v1/PartialObjectMetadata": _TABLE,
    "meta/v1/PatchOptions": _QUERY,
    "meta/v1/Table": _TABLE,
    "meta/v1/TableColumnDefinition": _TABLE,
    "meta/v1/TableRow": _TABLE,
    "meta/v1/TableRowCondition": _TABLE,
    "meta/v1/UpdateOptions": _QUERY,
    "networking/v1/IngressRuleValue": _INLINE,
}
"""Types of ours that they lack, and why."""

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
    "apiextensions/v1/CustomResourceValidation.openAPIV3Schema": _SCHEMA,
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
    assert MODELS is not None
    tree = ast.parse((MODELS / f"{group.replace('/', '_')}.py").read_text())
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
    Leaf.STRING_LIST: "list of str",
    None: "?",
}


def test_every_type_is_known_to_both() -> None:
    ours = {path for path, _ in our_types()}
    theirs = {f"{group}/{name}" for group in MODULES for name in models(group)}
    lists = {path for path in theirs if path.removesuffix("List") in theirs - {path}}
    assert ours - theirs == set(NOT_THEIRS)
    assert theirs - ours - lists == set(NOT_OURS)


TYPES = [(path, type_) for path, type_ in our_types() if path not in NOT_THEIRS]
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
        info = next(info for info in fields(dict(our_types())[name]) if info.wire == wire)
        assert our_sort(shape_of(info.type)) != model(name).sorts[wire], path
