"""The schema of schemas: what a definition's `openAPIV3Schema` may be made of, for `kubectl explain`.

Pure. It is made of `api.schemawords`, which reading such schemas goes by, too, and refers to itself as
schemas do. What may be one of several things has no type, as Kubernetes publishes it.
"""

from __future__ import annotations

from typing import Any

from api.schemawords import WORDS, Takes, Word

Schema = dict[str, Any]

_PACKAGE = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1"
NAME = f"{_PACKAGE}.JSONSchemaProps"

_SIMPLE: dict[Takes, Schema] = {
    Takes.TEXT: {"type": "string"},
    Takes.FLAG: {"type": "boolean"},
    Takes.COUNT: {"type": "integer", "format": "int64"},
    Takes.NUMBER: {"type": "number", "format": "double"},
    Takes.TEXTS: {
        "type": "array",
        "items": {"type": "string", "default": ""},
        "x-kubernetes-list-type": "atomic",
    },
}
_PARTS: dict[Takes, tuple[str, Schema]] = {
    Takes.ANY: ("JSON", {"description": "Any value that JSON has."}),
    Takes.SCHEMA_OR_LIST: ("JSONSchemaPropsOrArray", {"description": "A schema, or several."}),
    Takes.SCHEMA_OR_FLAG: (
        "JSONSchemaPropsOrBool",
        {"description": "A schema, or whether anything is possible."},
    ),
    Takes.SCHEMA_OR_TEXTS_MAP: (
        "JSONSchemaPropsOrStringArray",
        {"description": "A schema, or names of fields."},
    ),
    Takes.DOCS: (
        "ExternalDocumentation",
        {
            "description": "A page to read.",
            "type": "object",
            "properties": {
                "description": {"description": "What it tells.", "type": "string"},
                "url": {"description": "Where it is.", "type": "string"},
            },
        },
    ),
    Takes.RULES: (
        "ValidationRule",
        {
            "description": "A rule in CEL that values must keep.",
            "type": "object",
            "required": ["rule"],
            "properties": {
                "rule": {
                    "description": "An expression that is true of sound values.",
                    "type": "string",
                    "default": "",
                },
                "message": {"description": "What to say of others.", "type": "string"},
                "messageExpression": {
                    "description": "An expression that makes the message.",
                    "type": "string",
                },
                "reason": {"description": "The machine-readable reason.", "type": "string"},
                "fieldPath": {"description": "The field to blame.", "type": "string"},
                "optionalOldSelf": {
                    "description": "Whether the rule also holds where there was no value before.",
                    "type": "boolean",
                },
            },
        },
    ),
}


def components() -> dict[str, Schema]:
    """The schema of schemas, and those it refers to."""
    made = {f"{_PACKAGE}.{name}": schema for name, schema in _PARTS.values()}
    made[NAME] = {
        "description": "A schema in OpenAPI v3.",
        "type": "object",
        "properties": {name: _property(word) for name, word in WORDS.items()},
    }
    return made


def _property(word: Word) -> Schema:
    return {"description": word.description, **_value(word.takes)}


def _value(takes: Takes) -> Schema:
    simple = _SIMPLE.get(takes)
    if simple is not None:
        return simple
    one, several = _reference(NAME), {"allOf": [_reference(NAME)], "default": {}}
    match takes:
        case Takes.SCHEMA:
            return {"allOf": [one]}
        case Takes.SCHEMAS:
            return {"type": "array", "items": several, "x-kubernetes-list-type": "atomic"}
        case Takes.SCHEMA_MAP:
            return {"type": "object", "additionalProperties": several}
        case Takes.ANYS:
            inner = _reference(_part(Takes.ANY))
            return {"type": "array", "items": inner, "x-kubernetes-list-type": "atomic"}
        case Takes.RULES:
            return {
                "type": "array",
                "items": {"allOf": [_reference(_part(takes))], "default": {}},
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["rule"],
                "x-kubernetes-patch-strategy": "merge",
                "x-kubernetes-patch-merge-key": "rule",
            }
        case Takes.SCHEMA_OR_TEXTS_MAP:
            return {"type": "object", "additionalProperties": _reference(_part(takes))}
    return {"allOf": [_reference(_part(takes))]}


def _part(takes: Takes) -> str:
    return f"{_PACKAGE}.{_PARTS[takes][0]}"


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
