"""What a definition's schema is written with: each of its words has a value of the right type. Step 1.

Serves `crd`, before `schemas` asks what the words mean. Schemas reach us as plain trees, where nothing
has looked at them yet: a list in place of a map is the user's mistake, to be told with its place.
Types are those of JSONSchemaProps in the API's reference. Pure; walks without recursion.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from api.fielderrors import FieldError, Path, type_invalid

_MAPS = ("properties", "patternProperties", "definitions", "dependencies")
_LISTS = ("allOf", "anyOf", "oneOf")
_TEXTS = frozenset(
    {"$ref", "$schema", "id", "type", "format", "title", "description", "pattern"}
    | {"x-kubernetes-list-type", "x-kubernetes-map-type"}
)
_TEXT_LISTS = frozenset({"required", "x-kubernetes-list-map-keys"})
_NUMBERS = frozenset({"minimum", "maximum", "multipleOf"})
_COUNTS = frozenset(
    {"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"}
)
_FLAGS = frozenset(
    {"nullable", "uniqueItems", "exclusiveMinimum", "exclusiveMaximum"}
    | {"x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"}
    | {"x-kubernetes-int-or-string"}
)


def mistyped(tree: Mapping[str, Any], path: Path) -> Iterator[FieldError]:
    """Every word of a schema whose value is of another type than it takes."""
    waiting = [(tree, path)]
    while waiting:
        node, where = waiting.pop()
        for word, value in node.items():
            if value is None:
                continue
            expected = _expected(word, value)
            if expected:
                yield type_invalid(where.child(word), value, f"must be {expected}")
            else:
                waiting += _below(word, value, where.child(word))


def _expected(word: str, value: Any) -> str:
    """What the value of a word should have been; "" when it is that."""
    if word in _TEXTS:
        return "" if isinstance(value, str) else "a string"
    if word in _TEXT_LISTS:
        return "" if _list_of(value, str) else "a list of strings"
    if word in _NUMBERS:
        return "" if _is_number(value) else "a number"
    if word in _COUNTS:
        return "" if _is_number(value) and not isinstance(value, float) else "a whole number"
    if word in _FLAGS:
        return "" if isinstance(value, bool) else "true or false"
    if word in _MAPS:
        sound = isinstance(value, Mapping) and _sound_members(word, value)
        return "" if sound else "a map of schemas"
    if word in _LISTS:
        return "" if _list_of(value, Mapping) else "a list of schemas"
    if word == "x-kubernetes-validations":
        return "" if _list_of(value, Mapping) else "a list of rules"
    if word == "enum":
        return "" if isinstance(value, list) else "a list"
    if word == "not":
        return "" if isinstance(value, Mapping) else "a schema"
    if word == "items":
        return "" if isinstance(value, Mapping) or _list_of(value, Mapping) else "a schema"
    if word in ("additionalProperties", "additionalItems"):
        return "" if isinstance(value, Mapping | bool) else "a schema, true or false"
    return ""


def _sound_members(word: str, value: Mapping[str, Any]) -> bool:
    others: tuple[type, ...] = (Mapping, list) if word == "dependencies" else (Mapping,)
    return all(isinstance(member, others) for member in value.values())


def _below(word: str, value: Any, path: Path) -> list[tuple[Mapping[str, Any], Path]]:
    """The schemas within the value of a word."""
    if word in _MAPS:
        return [(one, path.key(name)) for name, one in value.items() if isinstance(one, Mapping)]
    if word in _LISTS or (word == "items" and isinstance(value, list)):
        return [(one, path.index(number)) for number, one in enumerate(value)]
    if word in ("items", "not", "additionalProperties", "additionalItems"):
        return [(value, path)] if isinstance(value, Mapping) else []
    return []


def _list_of(value: Any, type_: type) -> bool:
    return isinstance(value, list) and all(isinstance(item, type_) for item in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
