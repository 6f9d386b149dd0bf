"""One document of all kinds in OpenAPI v2 (Swagger), which clients older than OpenAPI v3 read.

kubectl up to 1.28 takes its schemas for `explain` and its checks from it, and looks there whether a
kind takes `dryRun`. Pure: it is the v3 documents in other words, so that the two cannot differ. What
v2 cannot say becomes what Kubernetes says there: a quantity is a string, `int-or-string` a format,
and a reference may have a description beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Tree = dict[str, Any]

_V3_SCHEMAS, _V2_SCHEMAS = "#/components/schemas/", "#/definitions/"
_METHODS = ("get", "put", "post", "delete", "patch")


def document(documents: Iterable[Tree]) -> Tree:
    """One v2 document of several v3 documents."""
    paths: Tree = {}
    definitions: Tree = {}
    info: Tree = {}
    for one in documents:
        info = one["info"]
        for path, item in one["paths"].items():
            paths[path] = path_item(item)
        for name, schema in one["components"]["schemas"].items():
            definitions[name] = older(schema)
    return {
        "swagger": "2.0",
        "info": info,
        "securityDefinitions": {
            "BearerToken": {
                "type": "apiKey",
                "name": "authorization",
                "in": "header",
                "description": "Bearer token, or a client certificate instead.",
            }
        },
        "security": [{"BearerToken": []}],
        "paths": dict(sorted(paths.items())),
        "definitions": dict(sorted(definitions.items())),
    }


def path_item(item: Tree) -> Tree:
    """One path of a v3 document as v2 has it."""
    made: Tree = {
        method: _operation(operation) for method, operation in item.items() if method in _METHODS
    }
    if shared := item.get("parameters"):
        made["parameters"] = [_parameter(one) for one in shared]
    return made


def _operation(operation: Tree) -> Tree:
    parameters = [_parameter(one) for one in operation["parameters"]]
    produces: dict[str, None] = {}
    found: Tree = {}
    for code, response in operation["responses"].items():
        found[code] = {"description": response["description"]}
        for media_type, content in response.get("content", {}).items():
            produces[media_type] = None
            found[code]["schema"] = older(content["schema"])
    made = {
        **{key: value for key, value in operation.items() if key not in _REWRITTEN},
        "produces": list(produces),
        "responses": found,
    }
    if body := operation.get("requestBody"):
        made["consumes"] = list(body["content"])
        parameters.insert(0, _body(body))
    if parameters:
        made["parameters"] = parameters
    return made


_REWRITTEN = ("parameters", "requestBody", "responses")


def _body(body: Tree) -> Tree:
    schema = next(iter(body["content"].values()))["schema"]
    made: Tree = {"name": "body", "in": "body", "schema": older(schema)}
    if body.get("required"):
        made["required"] = True
    return made


def _parameter(parameter: Tree) -> Tree:
    made = {key: value for key, value in parameter.items() if key != "schema"}
    return {**made, **parameter["schema"]}


def older(schema: Tree) -> Tree:
    """A schema that was made of a type, as v2 has it."""
    made: Tree = {}
    for key, value in schema.items():
        if key == "$ref":
            made[key] = _V2_SCHEMAS + value.removeprefix(_V3_SCHEMAS)
        elif key == "allOf":
            [reference] = value  # wrapped only because v3 allows nothing beside a reference
            made.update(older(reference))
        elif key == "oneOf":
            made["type"] = "string"
        elif key in ("items", "additionalProperties"):
            made[key] = older(value)
        elif key == "properties":
            made[key] = {name: older(one) for name, one in value.items()}
        elif key != "default":  # the server fills in what is not sent, whatever a client thinks
            made[key] = value
    return made
