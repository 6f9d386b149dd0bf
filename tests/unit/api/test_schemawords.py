"""The words of definitions' schemas: what no schema has is told with its place, and dropped."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import schemawords
from api.apiextensions import CustomResourceDefinition
from api.codec.decode import decode_body
from api.codec.schemaproto import _SCHEMA
from api.errors import ApiError
from api.schemawords import WORDS, Takes


def test_every_word_that_protobuf_has_is_known() -> None:
    assert {field._name for field in _SCHEMA.values()} == set(WORDS)


def test_every_word_is_explained() -> None:
    for name, word in WORDS.items():
        assert word.description.endswith("."), name


def schema(**words: Any) -> dict[str, Any]:
    """One with words that are not, at every place where a schema can stand."""
    wrong = {"type": "string", "typo": 1}
    return {
        "type": "object",
        "properties": {"a": wrong, "typo": {"type": "string"}},
        "items": wrong,
        "additionalProperties": wrong,
        "allOf": [wrong],
        "not": wrong,
        "default": {"typo": 1},
        "enum": [{"typo": 1}],
        "example": {"typo": 1},
        **words,
    }


PLACES = ["properties.a", "items", "additionalProperties", "allOf[0]", "not"]


def test_the_place_of_every_unknown_word() -> None:
    found = sorted(schemawords.unknown(schema(odd=None), "s"))
    assert found == sorted(["s.odd", *(f"s.{place}.typo" for place in PLACES)])
    assert schemawords.has_unknown(schema())


def test_values_are_not_schemas() -> None:
    tree = {"default": {"a": 1}, "example": {"b": 2}, "enum": [{"c": 3}], "properties": {"x": {}}}
    assert not schemawords.has_unknown(tree)
    assert schemawords.known(dict(tree)) == tree


def test_what_is_unknown_is_dropped() -> None:
    made = schemawords.known(json.loads(json.dumps(schema(odd=None))))
    assert not schemawords.has_unknown(made) and "odd" not in made
    assert made["properties"] == {"a": {"type": "string"}, "typo": {"type": "string"}}
    assert made["default"] == {"typo": 1}


def definition(words: dict[str, Any]) -> bytes:
    version = {
        "name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": words},
    }  # fmt: skip
    names = {"plural": "as", "kind": "A"}
    spec = {"group": "e.com", "scope": "Cluster", "names": names, "versions": [version]}
    return json.dumps({"metadata": {"name": "as.e.com"}, "spec": spec}).encode()


def test_definitions_are_read_by_them() -> None:
    body, top = definition(schema()), "spec.versions[0].schema.openAPIV3Schema"
    with pytest.raises(ApiError) as caught:
        decode_body(body, "application/json", CustomResourceDefinition, "Strict")
    for place in PLACES:
        assert f'unknown field "{top}.{place}.typo"' in caught.value.message
    for how, count in (("Warn", len(PLACES)), ("Ignore", 0)):
        decoded = decode_body(body, "application/json", CustomResourceDefinition, how)
        assert len(decoded.warnings) == count
        kept = decoded.obj.spec.versions[0].schema
        assert kept is not None and not schemawords.has_unknown(kept.open_api_v3_schema)


def test_a_word_twice() -> None:
    body = definition({"type": "object"}).replace(b'{"type"', b'{"type": "array", "type"')
    with pytest.raises(ApiError, match=r'duplicate field "spec.versions\[0\].*Schema.type"'):
        decode_body(body, "application/json", CustomResourceDefinition, "Strict")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*WORDS, "typo"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from([*WORDS, "typo"]), ANYTHING))
def test_whatever_is_sent(tree: dict[str, Any]) -> None:
    assert not schemawords.has_unknown(schemawords.known(tree))


def test_what_holds_schemas_is_walked() -> None:
    for name, word in WORDS.items():
        inner = {"typo": 1}
        held: dict[Takes, Any] = {
            Takes.SCHEMA: inner,
            Takes.SCHEMAS: [inner],
            Takes.SCHEMA_MAP: {"k": inner},
            Takes.SCHEMA_OR_LIST: [inner],
            Takes.SCHEMA_OR_FLAG: inner,
            Takes.SCHEMA_OR_TEXTS_MAP: {"k": inner},
        }
        if word.takes in held:
            assert schemawords.has_unknown({name: held[word.takes]}), name
