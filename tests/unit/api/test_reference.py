"""Our types against the published API: names, numbers, pointers, patch keys; every object, both ways."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from api import (
    admission,
    admissionregistration,
    apiextensions,
    apiregistration,
    apps,
    authentication,
    authorization,
    autoscaling,
    autoscalingv2,
    batch,
    certificates,
    coordination,
    core,
    discovery,
    eventsv1,
    flowcontrol,
    meta,
    networking,
    node,
    policy,
    rbac,
    scheduling,
    storage,
)
from api.codec import decode
from api.codec.shapes import Kind, Shape, shape_of
from api.scheme import REPORTS, SERVED
from api.struct import ApiStruct, Leaf, StringEnum, fields

REFERENCE = Path(__file__).resolve().parents[3].parent / "shared" / "reference"

pytestmark = pytest.mark.skipif(
    not REFERENCE.is_dir(), reason=f"the reference data is not at {REFERENCE}"
)

MODULES = {
    "core/v1": core,
    "meta/v1": meta,
    "admission/v1": admission,
    "admissionregistration/v1": admissionregistration,
    "apiextensions/v1": apiextensions,
    "apps/v1": apps,
    "authentication/v1": authentication,
    "authorization/v1": authorization,
    "autoscaling/v1": autoscaling,
    "batch/v1": batch,
    "autoscaling/v2": autoscalingv2,
    "certificates/v1": certificates,
    "coordination/v1": coordination,
    "discovery/v1": discovery,
    "events/v1": eventsv1,
    "networking/v1": networking,
    "node/v1": node,
    "apiregistration/v1": apiregistration,
    "flowcontrol/v1": flowcontrol,
    "policy/v1": policy,
    "rbac/v1": rbac,
    "scheduling/v1": scheduling,
    "storage/v1": storage,
}


@cache
def published() -> Any:
    return json.loads((REFERENCE / "api-fields.json").read_text())


def our_types() -> list[tuple[str, type[ApiStruct]]]:
    found = []
    for group, module in MODULES.items():
        for name, value in vars(module).items():
            if not isinstance(value, type) or not issubclass(value, ApiStruct):
                continue
            home = "api.core" if module is core else module.__name__
            if value.__module__.startswith(home) and value is not ApiStruct:
                found.append((f"{group}/{name}", value))
    return found


# Younger than the reference: fields, and types of such fields.
NEWER = {"CustomResourceDefinitionVersion": {"selectableFields"}}
NEWER_TYPES = ("apiextensions/v1/SelectableField",)
UNPUBLISHED = ("meta/v1/GroupVersionKind", "meta/v1/GroupVersionResource")

TYPES = [(path, type_) for path, type_ in our_types() if path not in (*NEWER_TYPES, *UNPUBLISHED)]


def published_struct(group: str, name: str) -> list[dict[str, Any]]:
    structs = published()[group]["structs"]
    found: list[dict[str, Any]] = []
    for field in structs[name]:
        if not field.get("inline"):
            found.append(field)
            continue
        inner = field["type"].lstrip("*")
        if inner.rpartition(".")[2] in ("TypeMeta",):
            continue
        package, _, short = inner.rpartition(".")
        home = {"": group, "v1": "core/v1", "metav1": "meta/v1"}[package]
        found.extend(published_struct(home, short))
    return found


def is_top_level(type_: type[ApiStruct]) -> bool:
    """It has a TypeMeta of its own (an OwnerReference names another object's)."""
    return any(info.wire == "kind" and callable(info.default) for info in fields(type_))


@pytest.mark.parametrize(("path", "type_"), TYPES, ids=[path for path, _ in TYPES])
def test_type(path: str, type_: type[ApiStruct]) -> None:
    group, _, name = path.rpartition("/")
    ours = {info.wire: info for info in fields(type_)}
    if is_top_level(type_):
        ours = {wire: info for wire, info in ours.items() if wire not in ("apiVersion", "kind")}
    theirs = {field["json"]: field for field in published_struct(group, name)}
    assert set(ours) - NEWER.get(name, set()) == set(theirs)
    for wire, field in theirs.items():
        compare(ours[wire], field, f"{path}.{wire}")


def compare(info: Any, field: dict[str, Any], where: str) -> None:
    shape = shape_of(info.type)
    if "number" in field:
        assert info.number == field["number"], where
    go: str = field["type"]
    time = shape.leaf in (Leaf.TIME, Leaf.MICRO_TIME)
    if go.startswith("*"):
        # Any value but null is a value, raw JSON included, which is its own None.
        assert shape.pointer or shape.leaf is Leaf.RAW_EXTENSION, where
    elif shape.pointer:
        assert time or go.rpartition(".")[2] in ("Time", "MicroTime"), where
    if not field.get("omitempty"):
        assert info.required or callable(info.default), f"{where}: must always be on the wire"
    elif shape.kind is not Kind.STRUCT or shape.pointer:  # Go always writes a struct by value
        assert not info.required, f"{where}: may be left out"
    assert_kind(shape, go.lstrip("*"), where)
    strategies = field.get("patchStrategy")
    ours = (",".join(info.patch.strategies), info.patch.key) if info.patch else (None, None)
    assert ours == (strategies, field.get("patchMergeKey")), where
    list_type = field.get("listType")
    kind = info.list_type.kind if info.list_type else None
    assert kind == list_type, where
    if list_type == "map":
        assert list(info.list_type.keys) == field.get("listMapKeys"), where

    atomic = "atomic" in (field.get("mapType"), field.get("structType"))
    assert info.atomic is atomic, where


def our_enums() -> list[tuple[str, str, tuple[str, ...]]]:
    found = []
    for group, module in MODULES.items():
        for name, value in vars(module).items():
            for extra in getattr(value, "__metadata__", ()):
                if isinstance(extra, StringEnum):
                    found.append((group, name, extra.values))
    return found


@pytest.mark.parametrize(("group", "name", "values"), our_enums())
def test_enumeration(group: str, name: str, values: tuple[str, ...]) -> None:
    theirs = published()[group]["enums"].get(name)
    if theirs is None:  # another group's, imported
        theirs = next(g["enums"][name] for g in published().values() if name in g["enums"])
    assert set(values) - {""} == set(theirs) - {""}


PLAIN = {
    "string": Kind.STRING,
    "bool": Kind.BOOL,
    "int32": Kind.INT,
    "int64": Kind.INT,
    "int": Kind.INT,
    "[]byte": Kind.BYTES,
}


def assert_kind(shape: Shape, go: str, where: str) -> None:
    if go in PLAIN:
        assert shape.kind is PLAIN[go], where
        if go in ("int32", "int64"):
            assert shape.bits == int(go[3:]), where
    elif go.startswith("[]"):
        if shape.leaf is not Leaf.STRING_LIST:
            assert shape.kind is Kind.LIST, where
            assert_kind(shape.element, go[2:], where)
    elif go.startswith("map["):
        assert shape.kind is Kind.MAP, where
        assert_kind(shape.element, go.partition("]")[2], where)
    elif go.endswith("Quantity"):
        assert shape.leaf is Leaf.QUANTITY, where
    elif go.endswith("MicroTime"):
        assert shape.leaf is Leaf.MICRO_TIME, where
    elif go.endswith("Time"):
        assert shape.leaf is Leaf.TIME, where
    elif go.endswith("IntOrString"):
        assert shape.leaf is Leaf.INT_OR_STRING, where


def reference_file(resource: Any, suffix: str) -> Path:
    group = resource.group or "core"
    return REFERENCE / "objects" / f"{group}.{resource.version}.{resource.kind}.{suffix}"


def reference_object(resource: Any) -> Any:
    """The example. The API server names the type of a claim within a StatefulSet, it does not."""
    document = json.loads(reference_file(resource, "json").read_bytes())
    if resource.kind == "StatefulSet":
        for claim in document["spec"]["volumeClaimTemplates"]:
            claim.update(apiVersion="v1", kind="PersistentVolumeClaim")
    return document


# The reference has no examples of these: other programs' modules have their protobuf.
NO_EXAMPLES = ("APIService", "CustomResourceDefinition")
KINDS = pytest.mark.parametrize(
    "resource",
    [one for one in SERVED if one.kind not in NO_EXAMPLES and one not in REPORTS],
    ids=lambda resource: str(resource.kind),
)


@KINDS
def test_json_round_trip(resource: Any) -> None:
    body = reference_file(resource, "json").read_bytes()
    found = decode.decode_object(body, "application/json", resource, "Strict")
    assert found.warnings == ()
    assert json.loads(decode.encode(found.obj)) == reference_object(resource)


@KINDS
def test_protobuf_is_the_same_object(resource: Any) -> None:
    body = reference_file(resource, "pb").read_bytes()
    found = decode.decode_object(body, decode.PROTOBUF, resource)
    assert json.loads(decode.encode(found.obj)) == reference_object(resource)


@KINDS
def test_the_slow_walk_reads_the_same_object(resource: Any) -> None:
    body = reference_file(resource, "json").read_bytes()
    fast = decode.decode_object(body, "application/json", resource, "Ignore").obj
    slow = decode.decode_object(body, "application/yaml", resource, "Strict").obj
    assert slow == fast
    assert decode.convert(decode.to_tree(fast), resource.type, "Strict").obj == fast


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("core.v1.Binding", core.Binding),
        ("core.v1.DeleteOptions", meta.DeleteOptions),
        ("core.v1.Status", meta.Status),
        ("autoscaling.v1.Scale", autoscaling.Scale),
    ],
)
def test_bodies_that_are_not_stored(name: str, type_: type[ApiStruct]) -> None:
    path = REFERENCE / "objects" / f"{name}.json"
    body = path.read_bytes()
    found = decode.decode_body(body, "", type_, "Strict", any_version=True).obj
    assert json.loads(decode.encode(found)) == json.loads(body)
    packed = decode.decode_body(
        path.with_suffix(".pb").read_bytes(), decode.PROTOBUF, type_, any_version=True
    ).obj
    assert packed == found
    assert msgspec.structs.asdict(packed).keys() == msgspec.structs.asdict(found).keys()
