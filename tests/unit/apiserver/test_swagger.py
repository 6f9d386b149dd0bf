"""The v2 document says what the v3 documents say, and its message says what its JSON says.

The message is read back by a reader of its own, with a table of its own: names of messages and numbers
of fields as the published schema of OpenAPI v2 has them, and a walk over the bytes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.scheme import SERVED, Resource, group_versions
from control.apiserver.discovery.openapi import swagger, swaggerwire
from control.apiserver.discovery.openapi.generate import document
from control.apiserver.discovery.openapi.schemas import MAY_BE_LEFT_OUT, component_name

Tree = dict[str, Any]
REFERENCE = Path(__file__).resolve().parents[3].parent / "shared" / "reference"

# field number → (JSON name, type): `Name` a message, `[]` a list, `{}` a named map, `<` an alternative
# that takes the place of what it is in.
PROTO: dict[str, dict[int, tuple[str, str]]] = {
    "Document": {
        1: ("swagger", "string"),
        2: ("info", "Info"),
        8: ("paths", "Paths"),
        9: ("definitions", "Map:Schema"),
        12: ("security", "[]Map:StringArray"),
        13: ("securityDefinitions", "Map:SecurityItem"),
        16: ("", "extension"),
    },
    "Info": {1: ("title", "string"), 2: ("version", "string")},
    "Paths": {2: ("", "{}PathItem")},
    "SecurityItem": {2: ("<", "ApiKey")},
    "ApiKey": {
        1: ("type", "string"),
        2: ("name", "string"),
        3: ("in", "string"),
        4: ("description", "string"),
    },
    "StringArray": {1: ("<", "[]string")},
    "PathItem": {
        2: ("get", "Operation"),
        3: ("put", "Operation"),
        4: ("post", "Operation"),
        5: ("delete", "Operation"),
        8: ("patch", "Operation"),
        9: ("parameters", "[]ParametersItem"),
    },
    "Operation": {
        1: ("tags", "[]string"),
        3: ("description", "string"),
        5: ("operationId", "string"),
        6: ("produces", "[]string"),
        7: ("consumes", "[]string"),
        8: ("parameters", "[]ParametersItem"),
        9: ("responses", "Map:ResponseValue"),
        13: ("", "extension"),
    },
    "ParametersItem": {1: ("<", "Parameter")},
    "Parameter": {1: ("<", "BodyParameter"), 2: ("<", "NonBodyParameter")},
    "NonBodyParameter": {3: ("<", "QueryParameter"), 4: ("<", "PathParameter")},
    "BodyParameter": {
        1: ("description", "string"),
        2: ("name", "string"),
        3: ("in", "string"),
        4: ("required", "bool"),
        5: ("schema", "Schema"),
    },
    "QueryParameter": {
        1: ("required", "bool"),
        2: ("in", "string"),
        3: ("description", "string"),
        4: ("name", "string"),
        6: ("type", "string"),
        20: ("uniqueItems", "bool"),
    },
    "PathParameter": {
        1: ("required", "bool"),
        2: ("in", "string"),
        3: ("description", "string"),
        4: ("name", "string"),
        5: ("type", "string"),
        19: ("uniqueItems", "bool"),
    },
    "ResponseValue": {1: ("<", "Response")},
    "Response": {1: ("description", "string"), 2: ("schema", "SchemaItem")},
    "SchemaItem": {1: ("<", "Schema")},
    "AdditionalPropertiesItem": {1: ("<", "Schema")},
    "ItemsItem": {1: ("<", "Schema")},
    "TypeItem": {1: ("<", "string")},
    "Schema": {
        1: ("$ref", "string"),
        2: ("format", "string"),
        3: ("title", "string"),
        4: ("description", "string"),
        5: ("default", "any"),
        6: ("multipleOf", "double"),
        7: ("maximum", "double"),
        8: ("exclusiveMaximum", "bool"),
        9: ("minimum", "double"),
        10: ("exclusiveMinimum", "bool"),
        11: ("maxLength", "int"),
        12: ("minLength", "int"),
        13: ("pattern", "string"),
        14: ("maxItems", "int"),
        15: ("minItems", "int"),
        16: ("uniqueItems", "bool"),
        17: ("maxProperties", "int"),
        18: ("minProperties", "int"),
        19: ("required", "[]string"),
        20: ("enum", "[]any"),
        21: ("additionalProperties", "AdditionalPropertiesItem"),
        22: ("type", "TypeItem"),
        23: ("items", "ItemsItem"),
        25: ("properties", "Map:Schema"),
        31: ("", "extension"),
    },
}


def blocks(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Every field of a message: its number, and its value."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        assert key & 7 in (0, 1, 2)
        if key & 7 == 1:
            yield key >> 3, data[at : at + 8]
            at += 8
            continue
        value = varint()
        if key & 7 == 0:
            yield key >> 3, value
            continue
        assert at + value <= len(data)
        yield key >> 3, data[at : at + value]
        at += value


def read(name: str, data: bytes) -> Any:
    """A message as JSON would have it."""
    made: Tree = {}
    for number, value in blocks(data):
        key, type_ = PROTO[name][number]
        if type_ == "extension":
            key, found = entry("any", value)
            made[key] = found
        elif type_.startswith("{}"):
            key, found = entry(type_[2:], value)
            made[key] = found
        elif type_.startswith("[]"):
            made.setdefault(key, []).append(scalar(type_[2:], value))
        elif key in ("paths", "definitions"):  # which may come in parts, as any message may
            made[key] = {**made.get(key, {}), **scalar(type_, value)}
        else:
            assert key not in made
            made[key] = scalar(type_, value)
    if "<" in made:
        assert len(made) == 1
        return made["<"]
    return [] if name == "StringArray" else made


def scalar(type_: str, value: int | bytes) -> Any:
    if type_ == "bool":
        return bool(value)
    if type_ == "int":
        assert isinstance(value, int)
        return value
    assert isinstance(value, bytes)
    if type_ == "double":
        return struct.unpack("<d", value)[0]
    if type_ == "string":
        return value.decode()
    if type_ == "any":
        [(number, text)] = blocks(value)
        assert number == 2 and isinstance(text, bytes)
        return json.loads(text)
    if type_.startswith("Map:"):
        pairs = list(blocks(value))
        assert {number for number, _ in pairs} <= {1}
        return dict(entry(type_[4:], found) for _, found in pairs)
    return read(type_, value)


def entry(type_: str, value: int | bytes) -> tuple[str, Any]:
    assert isinstance(value, bytes)
    (one, name), (two, found) = blocks(value)
    assert (one, two) == (1, 2) and isinstance(name, bytes)
    return name.decode(), scalar(type_, found)


@pytest.fixture(scope="module")
def newer() -> list[Tree]:
    return [document(group, version) for group, version in group_versions()]


@pytest.fixture(scope="module")
def older(newer: list[Tree]) -> Tree:
    return swagger.document(newer)


def test_the_message_is_the_document(older: Tree) -> None:
    assert read("Document", swaggerwire.encode(older)) == older


def test_parts_can_be_laid_behind_the_message(older: Tree) -> None:
    schema = {
        "type": "object",
        "title": "t",
        "properties": {
            "a": {"type": "number", "minimum": 0.5, "exclusiveMinimum": True, "multipleOf": 2.0},
            "b": {"type": "string", "maxLength": 300, "pattern": "^a", "default": "a"},
            "c": {"type": "array", "minItems": 1, "uniqueItems": True, "default": None},
        },
        "x-kubernetes-preserve-unknown-fields": True,
    }
    added = {"definitions": {"com.example.Thing": schema}, "paths": {"/apis/example.com": {}}}
    message = swaggerwire.encode(older) + swaggerwire.encode(added)
    found = read("Document", message)
    assert found["definitions"] == {**older["definitions"], "com.example.Thing": schema}
    assert found["paths"].keys() == older["paths"].keys() | {"/apis/example.com"}


def test_a_key_that_the_tables_lack_is_an_error(older: Tree) -> None:
    with pytest.raises(KeyError, match="host"):
        swaggerwire.encode({**older, "host": "here"})


def test_only_words_of_v2_are_used(older: Tree) -> None:
    text = json.dumps(older)
    for name in ("allOf", "oneOf"):  # also fields of the schema of schemas
        text = text.replace(f'"{name}": {{"description"', "")
    for word in (
        "oneOf",
        "allOf",
        '"components"',
        "#/components/",
        "requestBody",
        '"content"',
        '"schema": {"default',
    ):
        assert word not in text


def test_every_path_and_schema_is_there(older: Tree, newer: list[Tree]) -> None:
    for one in newer:
        for path, item in one["paths"].items():
            assert older["paths"][path].keys() == item.keys()
        for name, schema in one["components"]["schemas"].items():
            theirs, ours = schema.get("properties", {}), older["definitions"][name]
            assert ours.get("properties", {}).keys() == theirs.keys()
            assert ours.get("type") == schema.get("type", "string" if "oneOf" in schema else None)
            for field, value in theirs.items():
                kept = ours["properties"][field]
                for key in value.keys() - {"allOf", "items", "additionalProperties", "default"}:
                    assert kept[key] == value[key], f"{name}.{field}"


def test_references_lead_somewhere(older: Tree) -> None:
    def walk(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            reference = value.get("$ref")
            if isinstance(reference, str):
                yield reference
            for child in value.values():
                yield from walk(child)
        elif isinstance(value, list):
            for child in value:
                yield from walk(child)

    found = set(walk(older))
    assert len(found) > 100
    assert {one.removeprefix("#/definitions/") for one in found} <= older["definitions"].keys()


@pytest.mark.parametrize("resource", SERVED, ids=lambda one: one.kind)
def test_kubectl_finds_each_kind(older: Tree, resource: Resource) -> None:
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    own = older["definitions"][component_name(resource.type)]
    assert own["x-kubernetes-group-version-kind"] == [kind]
    place = "{namespace}" if resource.namespaced else ""
    if not resource.verbs:
        part = resource.subresources[0]
        path = resource.path(place, "{name}", part.name)
        assert older["paths"][path]["get"]["x-kubernetes-action"] == "get"
        return
    if "create" not in resource.verbs:
        assert set(older["paths"][resource.path(place)]) == {"get", "parameters"}
        assert set(older["paths"][resource.path(place, "{name}")]) == {"get", "parameters"}
        return
    post = older["paths"][resource.path(place)]["post"]
    assert post["x-kubernetes-group-version-kind"] == kind
    assert post["parameters"][0]["in"] == "body"
    assert "dryRun" in [one["name"] for one in post["parameters"]]
    if resource.stored:
        patch = older["paths"][resource.path(place, "{name}")]["patch"]
        assert "dryRun" in [one["name"] for one in patch["parameters"]]
        assert "application/strategic-merge-patch+json" in patch["consumes"]


def test_merge_keys(older: Tree) -> None:
    containers = older["definitions"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    assert containers["x-kubernetes-patch-strategy"] == "merge"
    assert containers["items"] == {"$ref": "#/definitions/io.k8s.api.core.v1.Container"}


def test_types_have_the_names_that_kubernetes_gives_them(older: Tree) -> None:
    for name in (
        "io.k8s.api.core.v1.Event",
        "io.k8s.api.events.v1.Event",
        "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
        "io.k8s.api.rbac.v1.Role",
        "io.k8s.api.flowcontrol.v1.FlowSchema",
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
        "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService",
        "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
    ):
        assert name in older["definitions"], name


def test_operations_have_names_of_their_own(older: Tree) -> None:
    names = [
        operation["operationId"]
        for item in older["paths"].values()
        for method, operation in item.items()
        if method != "parameters"
    ]
    assert len(names) == len(set(names))


@pytest.mark.skipif(not REFERENCE.is_dir(), reason=f"the reference data is not at {REFERENCE}")
def test_nothing_is_demanded_that_kubernetes_does_not_demand(older: Tree) -> None:
    """A client that checks for itself would refuse what is sound."""
    published = json.loads((REFERENCE / "api-fields.json").read_text())
    table: dict[str, set[str]] = {}
    for name, schema in older["definitions"].items():
        *_, group, version, kind = name.split(".")
        theirs = published.get(f"{group}/{version}", {}).get("structs", {}).get(kind, [])
        optional = {
            field["json"] for field in theirs if field.get("optional") or field.get("omitempty")
        }
        assert not optional & set(schema.get("required", [])), name
        table[kind] = table.get(kind, set()) | optional
    for kind, fields in MAY_BE_LEFT_OUT.items():
        assert set(fields) <= table.get(kind, set(fields)), kind
