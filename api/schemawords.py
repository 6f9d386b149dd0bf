"""The words that a definition's schema is written with (JSONSchemaProps): what each takes and means.

Serves step 1 of the pod's walk for CustomResourceDefinitions. Their schemas are kept as the trees
that JSON has (`api.apiextensions`), because schemas stand in schemas; the table here gives them what
a type gives other objects: fields that are known, and a description of each. Words are those of
JSONSchemaProps in the API's reference. Pure; walks without recursion.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple


class Takes(StrEnum):
    """What a word's value is."""

    TEXT = "string"
    TEXTS = "[]string"
    FLAG = "bool"
    COUNT = "int64"
    NUMBER = "float64"
    ANY = "JSON"
    ANYS = "[]JSON"
    SCHEMA = "JSONSchemaProps"
    SCHEMAS = "[]JSONSchemaProps"
    SCHEMA_MAP = "map[string]JSONSchemaProps"
    SCHEMA_OR_LIST = "JSONSchemaPropsOrArray"
    SCHEMA_OR_FLAG = "JSONSchemaPropsOrBool"
    SCHEMA_OR_TEXTS_MAP = "map[string]JSONSchemaPropsOrStringArray"
    DOCS = "ExternalDocumentation"
    RULES = "[]ValidationRule"


class Word(NamedTuple):
    """One word of the language."""

    takes: Takes
    description: str


WORDS: Mapping[str, Word] = {
    "$ref": Word(Takes.TEXT, "A schema elsewhere; not possible in structural schemas."),
    "$schema": Word(Takes.TEXT, "The dialect of JSON Schema; not possible in structural schemas."),
    "additionalItems": Word(
        Takes.SCHEMA_OR_FLAG, "Of items beyond those listed; not possible in structural schemas."
    ),
    "additionalProperties": Word(
        Takes.SCHEMA_OR_FLAG, "What the values of a map look like, or `true` for anything."
    ),
    "allOf": Word(Takes.SCHEMAS, "Conditions that must all hold."),
    "anyOf": Word(Takes.SCHEMAS, "Conditions of which one must hold at least."),
    "default": Word(Takes.ANY, "What is filled in where the field is missing."),
    "definitions": Word(
        Takes.SCHEMA_MAP, "Schemas to refer to; not possible in structural schemas."
    ),
    "dependencies": Word(
        Takes.SCHEMA_OR_TEXTS_MAP,
        "What a field's presence asks for; not possible in structural schemas.",
    ),
    "description": Word(Takes.TEXT, "What the field is for; `kubectl explain` shows it."),
    "enum": Word(Takes.ANYS, "The only values that are possible."),
    "example": Word(Takes.ANY, "A value for readers."),
    "exclusiveMaximum": Word(Takes.FLAG, "Whether `maximum` itself is too large."),
    "exclusiveMinimum": Word(Takes.FLAG, "Whether `minimum` itself is too small."),
    "externalDocs": Word(Takes.DOCS, "Where there is more to read."),
    "format": Word(
        Takes.TEXT, "What a string or number means, such as `date-time`; unknown ones are ignored."
    ),
    "id": Word(Takes.TEXT, "A name of the schema; not possible in structural schemas."),
    "items": Word(Takes.SCHEMA_OR_LIST, "What each element of a list looks like."),
    "maxItems": Word(Takes.COUNT, "The most elements that a list may have."),
    "maxLength": Word(Takes.COUNT, "The most characters that a string may have."),
    "maxProperties": Word(Takes.COUNT, "The most fields that an object may have."),
    "maximum": Word(Takes.NUMBER, "The largest number that is possible."),
    "minItems": Word(Takes.COUNT, "The fewest elements that a list may have."),
    "minLength": Word(Takes.COUNT, "The fewest characters that a string may have."),
    "minProperties": Word(Takes.COUNT, "The fewest fields that an object may have."),
    "minimum": Word(Takes.NUMBER, "The smallest number that is possible."),
    "multipleOf": Word(Takes.NUMBER, "The number must be a multiple of this one."),
    "not": Word(Takes.SCHEMA, "A condition that must not hold."),
    "nullable": Word(Takes.FLAG, "Whether the value may be null. Default: false."),
    "oneOf": Word(Takes.SCHEMAS, "Conditions of which exactly one must hold."),
    "pattern": Word(Takes.TEXT, "A regular expression that must be found in a string."),
    "patternProperties": Word(
        Takes.SCHEMA_MAP, "Fields by patterns of their names; not possible in structural schemas."
    ),
    "properties": Word(Takes.SCHEMA_MAP, "The fields of an object, each with its schema."),
    "required": Word(Takes.TEXTS, "The fields that an object must have."),
    "title": Word(Takes.TEXT, "A short name for readers."),
    "type": Word(Takes.TEXT, "`object`, `array`, `string`, `integer`, `number` or `boolean`."),
    "uniqueItems": Word(Takes.FLAG, "Not possible in structural schemas: take a list type."),
    "x-kubernetes-embedded-resource": Word(
        Takes.FLAG, "Whether the object is one of Kubernetes, with apiVersion, kind and metadata."
    ),
    "x-kubernetes-int-or-string": Word(
        Takes.FLAG, "Whether the value is a whole number or a string; instead of a type."
    ),
    "x-kubernetes-list-map-keys": Word(
        Takes.TEXTS, "The fields that tell a list's elements apart; with the list type `map`."
    ),
    "x-kubernetes-list-type": Word(
        Takes.TEXT,
        "How lists are merged: `atomic`, as a whole; `set`, by value; `map`, by the fields of "
        "x-kubernetes-list-map-keys. Default: atomic.",
    ),
    "x-kubernetes-map-type": Word(
        Takes.TEXT,
        "How objects are merged: `granular`, by field, or `atomic`, as a whole. Default: granular.",
    ),
    "x-kubernetes-preserve-unknown-fields": Word(
        Takes.FLAG, "Whether fields that the schema does not name are kept."
    ),
    "x-kubernetes-validations": Word(Takes.RULES, "Rules in CEL; refused until they are served."),
}


def unknown(tree: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """The path of every word that no schema has."""
    for _, word, where in _strange(tree, path):
        yield f"{where}.{word}" if where else word


def known(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree without them; it is changed in place."""
    for node, word, _ in list(_strange(tree, "")):
        del node[word]
    return tree


def has_unknown(tree: Any) -> bool:
    """Whether there are any."""
    return isinstance(tree, dict) and next(unknown(tree), None) is not None


def _strange(tree: Any, path: str) -> Iterator[tuple[Any, str, str]]:
    """(schema, word, the schema's path) of each, from the top."""
    waiting = [(tree, path)]
    while waiting:
        node, where = waiting.pop(0)
        for word, value in node.items():
            found = WORDS.get(word)
            if found is None:
                yield node, word, where
            else:
                waiting += _below(found.takes, value, f"{where}.{word}" if where else word)


def _below(takes: Takes, value: Any, path: str) -> list[tuple[dict[str, Any], str]]:
    """The schemas in a word's value; what is of another type is `shapes`' to tell."""
    match value:
        case dict() if takes in (Takes.SCHEMA_MAP, Takes.SCHEMA_OR_TEXTS_MAP):
            inner = [(one, f"{path}.{name}") for name, one in value.items()]
        case dict() if takes in (Takes.SCHEMA, Takes.SCHEMA_OR_LIST, Takes.SCHEMA_OR_FLAG):
            inner = [(value, path)]
        case list() if takes in (Takes.SCHEMAS, Takes.SCHEMA_OR_LIST):
            inner = [(one, f"{path}[{number}]") for number, one in enumerate(value)]
        case _:
            inner = []
    return [(one, where) for one, where in inner if isinstance(one, dict)]
