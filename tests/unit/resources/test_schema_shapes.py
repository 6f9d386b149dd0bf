"""Words of a definition's schema whose values are of the wrong type, each told with its place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.fielderrors import Path
from control.resources.apiextensions import schemas
from control.resources.apiextensions.shapes import mistyped

SOUND: dict[str, Any] = {
    "type": "object",
    "required": ["a"],
    "properties": {
        "a": {
            "type": "string",
            "pattern": "a+",
            "maxLength": 5,
            "enum": ["a", None],
            "default": "a",
        },
        "b": {"type": "array", "items": {"type": "integer", "minimum": 0.5}, "maxItems": 3},
        "c": {"type": "object", "additionalProperties": {"type": "boolean", "nullable": True}},
        "d": {
            "x-kubernetes-int-or-string": True,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
        },
        "e": {
            "type": "object",
            "not": {"required": ["x"]},
            "x-kubernetes-preserve-unknown-fields": True,
        },
        "f": {"type": "string", "default": {"any": "thing"}, "example": 5},
    },
}


def words(tree: Any) -> list[str]:
    return [f"{error.field}: {error.message}" for error in mistyped(tree, Path("s"))]


def test_a_sound_schema_has_nothing_wrong() -> None:
    assert not words(SOUND)


@pytest.mark.parametrize(
    ("word", "value", "expected"),
    [
        ("properties", "AA=", "a map of schemas"),
        ("properties", {"a": 1}, "a map of schemas"),
        ("properties", [1], "a map of schemas"),
        ("items", "x", "a schema"),
        ("items", ["x"], "a schema"),
        ("type", ["string"], "a string"),
        ("required", "x", "a list of strings"),
        ("required", [1], "a list of strings"),
        ("x-kubernetes-list-map-keys", 5, "a list of strings"),
        ("enum", 5, "a list"),
        ("allOf", {"a": 1}, "a list of schemas"),
        ("anyOf", ["a"], "a list of schemas"),
        ("not", [], "a schema"),
        ("minimum", "1", "a number"),
        ("maximum", True, "a number"),
        ("maxLength", 1.5, "a whole number"),
        ("nullable", "yes", "true or false"),
        ("additionalProperties", "no", "a schema, true or false"),
        ("x-kubernetes-validations", "self == 1", "a list of rules"),
    ],
)
def test_each_word_has_its_type(word: str, value: Any, expected: str) -> None:
    tree = {"type": "object", "properties": {"a": {"items": {word: value}}}}
    (found,) = words(tree)
    assert found.startswith(f"s.properties[a].items.{word}: Invalid value: ")
    assert found.endswith(f"must be {expected}")


WORDS = st.sampled_from(
    [*SOUND, *SOUND["properties"]["a"], *SOUND["properties"]["d"], "items", "not", "allOf", "oneOf",
     "additionalProperties", "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "$ref", "minimum",
     "x-kubernetes-validations", "x-kubernetes-embedded-resource", "format", "dependencies"]
)  # fmt: skip
TREES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from(["a", "object", "array", "map", "("]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=15,
)


@given(st.dictionaries(WORDS, TREES, max_size=5))
def test_what_passes_can_be_asked_for_its_meaning(tree: dict[str, Any]) -> None:
    """Any tree is either told to be none, or looked at to its end."""
    if not words(tree):
        list(schemas.problems(tree, Path("s")))
