"""The v2 document as a protobuf message, which is the only form that older kubectls ask for.

Written from the published schema of OpenAPI v2 messages (package `openapi.v2`), as far as our own
document needs it: a table per message, field by field, and a few messages that are only wrappers. A
key that the tables do not know is an error, so that nothing is lost on the way. Free values (enums,
vendor extensions) travel as YAML text, for which JSON is good enough.

Runs in the process that makes the documents, and in the server for what definitions add: messages of
one type, one behind the other, are one message with the fields of all. Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from api.codec.wire import encoded_varint

Encode = Callable[[Any], bytes]

_EXTENSION = "x-"
_BYTES, _FIXED, _VARINT = 2, 1, 0


def encode(document: Mapping[str, Any]) -> bytes:
    """The message of a v2 document, or of some of its parts: they can be laid one behind the other."""
    return _document(document)


# -- the wire -------------------------------------------------------------------------------------


def _block(number: int, value: bytes) -> bytes:
    return encoded_varint(number << 3 | _BYTES) + encoded_varint(len(value)) + value


def _flag(number: int, value: bool) -> bytes:
    return encoded_varint(number << 3 | _VARINT) + bytes([value])


def _count(number: int, value: int) -> bytes:
    return encoded_varint(number << 3 | _VARINT) + encoded_varint(int(value) & 2**64 - 1)


def _double(number: int, value: float) -> bytes:
    return encoded_varint(number << 3 | _FIXED) + struct.pack("<d", value)


# -- kinds of fields: each makes an encoder of (number, value) -------------------------------------

Field = Callable[[int, Any], bytes]


def _text(number: int, value: str) -> bytes:
    return _block(number, value.encode())


def _texts(number: int, values: list[str]) -> bytes:
    return b"".join(_text(number, value) for value in values)


def _any(value: Any) -> bytes:
    return _text(2, msgspec.json.encode(value).decode() + "\n")


def _free(number: int, value: Any) -> bytes:
    return _block(number, _any(value))


def _anys(number: int, values: list[Any]) -> bytes:
    return b"".join(_block(number, _any(value)) for value in values)


def _one(encode: Encode) -> Field:
    return lambda number, value: _block(number, encode(value))


def _many(encode: Encode) -> Field:
    return lambda number, values: b"".join(_block(number, encode(value)) for value in values)


def _named(encode: Encode, number: int = 1) -> Encode:
    """A map: a list of {1: name, 2: value}."""
    return lambda values: b"".join(
        _block(number, _text(1, name) + _block(2, encode(value))) for name, value in values.items()
    )


def _inside(number: int, encode: Encode) -> Encode:
    """One alternative of a message that only says which of several it is."""
    return lambda value: _block(number, encode(value))


def _message(extensions: int, fields: Mapping[str, tuple[int, Field]]) -> Encode:
    """A message by its table; keys that begin with `x-` go into the extensions."""

    def encode(value: Mapping[str, Any]) -> bytes:
        parts = []
        for key, given in value.items():
            if key.startswith(_EXTENSION):
                parts.append(_block(extensions, _text(1, key) + _block(2, _any(given))))
            else:
                number, field = fields[key]
                parts.append(field(number, given))
        return b"".join(parts)

    return encode


# -- messages --------------------------------------------------------------------------------------


def _schema(value: Any) -> bytes:
    return _schema_message(value)  # schemas hold schemas


_schema_message = _message(
    31,
    {
        "$ref": (1, _text),
        "format": (2, _text),
        "title": (3, _text),
        "description": (4, _text),
        "default": (5, _free),
        "multipleOf": (6, _double),
        "maximum": (7, _double),
        "exclusiveMaximum": (8, _flag),
        "minimum": (9, _double),
        "exclusiveMinimum": (10, _flag),
        "maxLength": (11, _count),
        "minLength": (12, _count),
        "pattern": (13, _text),
        "maxItems": (14, _count),
        "minItems": (15, _count),
        "uniqueItems": (16, _flag),
        "maxProperties": (17, _count),
        "minProperties": (18, _count),
        "required": (19, _texts),
        "enum": (20, _anys),
        "additionalProperties": (21, _one(_inside(1, _schema))),
        "type": (22, _one(lambda value: _text(1, value))),
        "items": (23, _one(_inside(1, _schema))),
        "properties": (25, _one(_named(_schema))),
    },
)
_body_parameter = _message(
    6,
    {
        "description": (1, _text),
        "name": (2, _text),
        "in": (3, _text),
        "required": (4, _flag),
        "schema": (5, _one(_schema)),
    },
)
_query_parameter = _message(
    23,
    {
        "required": (1, _flag),
        "in": (2, _text),
        "description": (3, _text),
        "name": (4, _text),
        "type": (6, _text),
        "uniqueItems": (20, _flag),
    },
)
_path_parameter = _message(
    22,
    {
        "required": (1, _flag),
        "in": (2, _text),
        "description": (3, _text),
        "name": (4, _text),
        "type": (5, _text),
        "uniqueItems": (19, _flag),
    },
)
_PARAMETERS: Mapping[str, Encode] = {
    "body": _inside(1, _body_parameter),
    "query": _inside(2, _inside(3, _query_parameter)),
    "path": _inside(2, _inside(4, _path_parameter)),
}


def _parameter(value: Mapping[str, Any]) -> bytes:
    return _block(1, _PARAMETERS[value["in"]](value))


_response = _message(5, {"description": (1, _text), "schema": (2, _one(_inside(1, _schema)))})
_operation = _message(
    13,
    {
        "tags": (1, _texts),
        "description": (3, _text),
        "operationId": (5, _text),
        "produces": (6, _texts),
        "consumes": (7, _texts),
        "parameters": (8, _many(_parameter)),
        "responses": (9, _one(_named(_inside(1, _response)))),
    },
)
_path_item = _message(
    10,
    {
        "get": (2, _one(_operation)),
        "put": (3, _one(_operation)),
        "post": (4, _one(_operation)),
        "delete": (5, _one(_operation)),
        "patch": (8, _one(_operation)),
        "parameters": (9, _many(_parameter)),
    },
)
_api_key = _message(
    5,
    {"type": (1, _text), "name": (2, _text), "in": (3, _text), "description": (4, _text)},
)
_document = _message(
    16,
    {
        "swagger": (1, _text),
        "info": (2, _one(_message(7, {"title": (1, _text), "version": (2, _text)}))),
        "paths": (8, _one(_named(_path_item, 2))),
        "definitions": (9, _one(_named(_schema))),
        "security": (12, _many(_named(lambda values: _texts(1, values)))),
        "securityDefinitions": (13, _one(_named(_inside(2, _api_key)))),
    },
)
