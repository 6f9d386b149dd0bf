"""What is wrong with a field: its path, the kind of fault, and Kubernetes' words for it.

Serves step 1 of the pod's walk: validation collects FieldErrors, and `api.errors.invalid` turns
them into one Status with a cause per field, `spec.containers[0].name: Required value`.

Pure values. `Path` is immutable and cheap to extend: validation carries it down the object.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec


class ErrorKind(StrEnum):
    """The `reason` of a cause in Status.details."""

    NOT_FOUND = "FieldValueNotFound"
    REQUIRED = "FieldValueRequired"
    DUPLICATE = "FieldValueDuplicate"
    INVALID = "FieldValueInvalid"
    NOT_SUPPORTED = "FieldValueNotSupported"
    FORBIDDEN = "FieldValueForbidden"
    TOO_LONG = "FieldValueTooLong"
    TOO_MANY = "FieldValueTooMany"
    TYPE_INVALID = "FieldValueTypeInvalid"
    INTERNAL = "InternalError"


_SHOWN = 1000  # characters of a value that a message repeats

_WORDS = {
    ErrorKind.NOT_FOUND: "Not found",
    ErrorKind.REQUIRED: "Required value",
    ErrorKind.DUPLICATE: "Duplicate value",
    ErrorKind.INVALID: "Invalid value",
    ErrorKind.NOT_SUPPORTED: "Unsupported value",
    ErrorKind.FORBIDDEN: "Forbidden",
    ErrorKind.TOO_LONG: "Too long",
    ErrorKind.TOO_MANY: "Too many",
    ErrorKind.TYPE_INVALID: "Invalid value",
    ErrorKind.INTERNAL: "Internal error",
}


_new = object.__new__


class Path:
    """Where a field is: `Path("spec").child("containers").index(0).child("name")`.

    Kept as a linked list and spelled only when an error needs it: validation of a sound object
    makes thousands of paths and prints none.
    """

    __slots__ = ("_parent", "_piece")

    _parent: Path | None
    _piece: tuple[str, ...] | int | str

    def __init__(self, *names: str) -> None:
        self._parent = None
        self._piece = names

    def child(self, *names: str) -> Path:
        """A field of this object."""
        return self._below(names)

    def index(self, position: int) -> Path:
        """An element of this list."""
        return self._below(position)

    def key(self, name: str) -> Path:
        """An entry of this map."""
        return self._below(name)

    def _below(self, piece: tuple[str, ...] | int | str) -> Path:
        made = _new(Path)
        made._parent = self
        made._piece = piece
        return made

    def __str__(self) -> str:
        pieces: list[str] = []
        path: Path | None = self
        while path is not None:
            pieces.append(_spelled(path._piece))
            path = path._parent
        return "".join(reversed(pieces)).removeprefix(".")

    def __repr__(self) -> str:
        return f"Path({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Path) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


def _spelled(piece: tuple[str, ...] | int | str) -> str:
    if isinstance(piece, tuple):
        return "".join(f".{name}" for name in piece if name)
    return f"[{piece}]"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault of one field; `message` is what Status calls a cause's message."""

    kind: ErrorKind
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def not_found(path: Path | str, value: Any) -> FieldError:
    """The value names something that does not exist."""
    return _with_value(ErrorKind.NOT_FOUND, path, value, "")


def required(path: Path | str, detail: str = "") -> FieldError:
    """The field must be given."""
    return _without_value(ErrorKind.REQUIRED, path, detail)


def duplicate(path: Path | str, value: Any) -> FieldError:
    """The value must be unique and is not."""
    return _with_value(ErrorKind.DUPLICATE, path, value, "")


def invalid(path: Path | str, value: Any, detail: str) -> FieldError:
    """The value is malformed or out of bounds; `detail` says what was expected."""
    return _with_value(ErrorKind.INVALID, path, value, detail)


def not_supported(path: Path | str, value: Any, allowed: Iterable[str]) -> FieldError:
    """The value is not one of those allowed."""
    listed = ", ".join(_quote(item) for item in allowed)
    detail = f"supported values: {listed}" if listed else ""
    return _with_value(ErrorKind.NOT_SUPPORTED, path, value, detail)


def forbidden(path: Path | str, detail: str) -> FieldError:
    """The field may not be set, or not be changed, here."""
    return _without_value(ErrorKind.FORBIDDEN, path, detail)


def too_long(path: Path | str, limit: int) -> FieldError:
    """More bytes than allowed; the value is not repeated."""
    return _without_value(ErrorKind.TOO_LONG, path, f"may not be more than {limit} bytes")


def too_many(path: Path | str, actual: int, limit: int) -> FieldError:
    """More elements than allowed."""
    return _with_value(ErrorKind.TOO_MANY, path, actual, f"must have at most {limit} items")


def type_invalid(path: Path | str, value: Any, detail: str) -> FieldError:
    """The value has another JSON type than the field."""
    return _with_value(ErrorKind.TYPE_INVALID, path, value, detail)


def internal(path: Path | str, detail: str) -> FieldError:
    """Our fault, not the user's."""
    return _without_value(ErrorKind.INTERNAL, path, detail)


def _with_value(kind: ErrorKind, path: Path | str, value: Any, detail: str) -> FieldError:
    message = f"{_WORDS[kind]}: {_show(value)}"
    return FieldError(kind, str(path), f"{message}: {detail}" if detail else message)


def _without_value(kind: ErrorKind, path: Path | str, detail: str) -> FieldError:
    message = _WORDS[kind]
    return FieldError(kind, str(path), f"{message}: {detail}" if detail else message)


def _show(value: Any) -> str:
    match value:
        case None:
            return '"null"'
        case str():
            return _quote(value)
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case _:
            return msgspec.json.encode(value).decode()


def _quote(text: str) -> str:
    """As Go's %q, for the characters that matter; an answer need not repeat a megabyte."""
    if len(text) > _SHOWN:
        text = f"{text[:_SHOWN]}..."
    return json.dumps(text, ensure_ascii=False)
