"""What definitions add to OpenAPI documents: schemas in v3 and v2, hashes, and pieces of documents."""

from __future__ import annotations

import json
from typing import Any

import pytest

from control.apiserver.custom.definition import Definition
from control.apiserver.discovery.openapi import custom, published, swaggerwire
from control.apiserver.discovery.openapi.published import Published

PATH = "apis/stable.example.com/v1"


def definition(
    schema: dict[str, Any], *, plural: str = "tabs", versions: tuple[str, ...] = ("v1",)
) -> Definition:
    kind = plural.capitalize()
    return Definition.read(
        {
            "metadata": {"name": f"{plural}.stable.example.com"},
            "spec": {
                "group": "stable.example.com",
                "scope": "Namespaced",
                "versions": [
                    {
                        "name": version,
                        "served": version != "v9",
                        "storage": version == versions[0],
                        "schema": {"openAPIV3Schema": schema},
                    }
                    for version in versions
                ],
            },
            "status": {
                "acceptedNames": {"plural": plural, "kind": kind, "listKind": f"{kind}List"}
            },
        }
    )


def of(schema: dict[str, Any], *, older: bool) -> Any:
    """How the schema of `spec` is published."""
    parts = custom.parts([definition({"type": "object", "properties": {"spec": schema}})])
    made = custom.older_schemas(parts) if older else custom.schemas(parts)
    return made["com.example.stable.v1.Tabs"]["properties"]["spec"]


EMBEDDED = {
    "type": "object",
    "x-kubernetes-embedded-resource": True,
    "required": ["spec"],
    "properties": {"spec": {"type": "object"}},
}


@pytest.mark.parametrize(
    ("schema", "newer", "older"),
    [
        ({"type": "string", "pattern": "^a"}, None, None),
        ({"type": "object", "additionalProperties": {"type": "string"}}, None, None),
        ({"type": "object", "additionalProperties": True}, None, {"type": "object"}),
        ({"type": "integer", "nullable": True, "default": 1}, None, {"default": 1}),
        (
            {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {}},
            None,
            {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        ),
        (
            {"type": "string", "anyOf": [{"minLength": 2}], "not": {"enum": ["a"]}},
            None,
            {"type": "string"},
        ),
        (
            {
                "anyOf": [{"type": "integer"}, {"type": "string"}],
                "x-kubernetes-int-or-string": True,
            },
            None,
            {"x-kubernetes-int-or-string": True},
        ),
        ({"type": "string", "example": "a", "id": "x"}, {"type": "string"}, {"type": "string"}),
        (
            {
                "type": "object",
                "required": ["a", "b"],
                "properties": {"a": {"type": "string", "nullable": True}, "b": {"type": "string"}},
            },
            None,
            {"type": "object", "required": ["b"], "properties": {"a": {}, "b": {"type": "string"}}},
        ),
    ],
)
def test_schemas(schema: dict[str, Any], newer: Any, older: Any) -> None:
    assert of(schema, older=False) == (schema if newer is None else newer)
    assert of(schema, older=True) == (schema if older is None else older)


@pytest.mark.parametrize("older", [False, True])
def test_an_embedded_resource_is_a_resource(older: bool) -> None:
    found = of(EMBEDDED, older=older)
    assert set(found["properties"]) == {"apiVersion", "kind", "metadata", "spec"}
    assert found["required"] == ["apiVersion", "kind", "spec"]
    assert "ObjectMeta" in json.dumps(found["properties"]["metadata"])


def test_a_message_can_be_made_of_every_schema() -> None:
    several = [definition({"type": "object", "properties": {"spec": EMBEDDED}})]
    assert published.older_message(several).count(b"com.example.stable.v1.Tabs") > 2
    assert published.older_message([]) == b""
    parts = custom.parts(several)
    assert swaggerwire.encode({"definitions": custom.older_schemas(parts)})


def test_documents_are_of_one_version() -> None:
    several = [definition({"type": "object"}, versions=("v1", "v2", "v9"))]
    made = json.loads(published.newer(PATH, several, b'{"common": {}}', None))
    assert set(made["components"]["schemas"]) == {
        "common",
        "com.example.stable.v1.Tabs",
        "com.example.stable.v1.TabsList",
    }
    assert all(path.startswith("/apis/stable.example.com/v1/") for path in made["paths"])


def test_a_document_of_the_code_is_kept() -> None:
    base = {"paths": {"/known": {}}, "components": {"schemas": {"known": {}}}}
    made = json.loads(
        published.newer(PATH, [definition({"type": "object"})], b"{}", json.dumps(base).encode())
    )
    assert "/known" in made["paths"] and "known" in made["components"]["schemas"]


def test_pieces_of_v2_stand_behind_others() -> None:
    paths, definitions = published.older([definition({"type": "object"})])
    whole = json.loads(
        b'{"paths": {"x": 1' + paths + b'}, "definitions": {"y": 1' + definitions + b"}}"
    )
    assert "x" in whole["paths"] and "/apis/stable.example.com/v1/tabs" in whole["paths"]
    assert "com.example.stable.v1.Tabs" in whole["definitions"]
    assert published.older([]) == (b"", b"")


def test_hashes_follow_definitions() -> None:
    seen = Published()
    one, other = definition({"type": "object"}), definition({"type": "object"}, plural="others")
    seen.replace({one.name: one})
    first = seen.digest(PATH, "salt")
    assert seen.paths == (PATH,) and seen.at(PATH) == [one]
    assert seen.digest(PATH, "grain") != first
    seen.replace({one.name: one, other.name: other})
    assert seen.digest(PATH, "salt") != first
    assert seen.everything == (other, one)
    seen.replace({one.name: definition({"type": "object", "description": "new"})})
    assert seen.digest(PATH, "salt") != first
    seen.replace({one.name: definition({"type": "object"})})
    assert seen.digest(PATH, "salt") == first
    seen.replace({})
    assert seen.paths == () and seen.at(PATH) == ()
