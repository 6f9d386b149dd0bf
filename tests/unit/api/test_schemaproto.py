"""Schemas of definitions in protobuf: the same tree as in JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.codec import schemaproto
from tests.protobuf import SCHEMA, field, schema

REFERENCE = Path(__file__).resolve().parents[3].parent / "shared" / "reference"

WHOLE: dict[str, Any] = {
    "type": "object",
    "description": "d",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "size": {
                    "type": "integer", "format": "int32", "minimum": 0, "maximum": 10,
                    "exclusiveMaximum": True, "default": 0, "multipleOf": 0.5,
                },
                "name": {
                    "type": "string", "pattern": "^a", "minLength": 0, "maxLength": 9,
                    "enum": ["a", None, 1], "nullable": True, "default": None,
                },
                "list": {
                    "type": "array", "minItems": 1, "maxItems": 3, "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["a", "b"], "items": {"type": "object"},
                },
                "map": {"type": "object", "additionalProperties": {"type": "string"}},
                "any": {"type": "object", "additionalProperties": True, "maxProperties": 3},
                "none": {"type": "object", "additionalProperties": False},
                "free": {"x-kubernetes-preserve-unknown-fields": True},
                "bound": {"x-kubernetes-preserve-unknown-fields": False},
                "either": {
                    "x-kubernetes-int-or-string": True,
                    "anyOf": [{"type": "integer"}, {"type": "string"}],
                },
                "object": {
                    "type": "object", "x-kubernetes-embedded-resource": True,
                    "x-kubernetes-map-type": "atomic",
                },
                "other": {"not": {"enum": [1]}, "allOf": [{"minLength": 1}], "oneOf": [{}]},
            },
        }
    },
}  # fmt: skip


def test_the_same_tree_as_in_json() -> None:
    assert schemaproto.schema(schema(WHOLE)) == WHOLE


def test_rules_are_seen_so_that_they_can_be_refused() -> None:
    rule = field(1, "self.a > 1") + field(2, "too small")
    found = schemaproto.schema(field(44, rule))
    assert found == {"x-kubernetes-validations": [{"rule": "self.a > 1", "message": "too small"}]}


def test_a_schema_may_not_be_too_deep() -> None:
    data = b""
    for _ in range(schemaproto.MAX_DEPTH + 1):
        data = field(28, data)
    with pytest.raises(ValueError, match="nested"):
        schemaproto.schema(data)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_schema_or_a_value_error(data: bytes) -> None:
    try:
        schemaproto.schema(data)
    except ValueError:
        pass


@pytest.mark.skipif(not REFERENCE.is_dir(), reason=f"the reference data is not at {REFERENCE}")
def test_numbers_are_those_that_are_published() -> None:
    published = json.loads((REFERENCE / "api-fields.json").read_text())
    fields = published["apiextensions/v1"]["structs"]["JSONSchemaProps"]
    numbers = {one["json"]: one["number"] for one in fields}
    for name, (number, _) in SCHEMA.items():
        assert numbers[name] == number
    assert set(numbers) - set(SCHEMA) == {
        "dependencies", "externalDocs", "x-kubernetes-validations",
    }  # fmt: skip
