"""What the parts of the scheduler's file have in common: how they are read, and told to be wrong.

Serves `configuration` and `pluginargs`. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec

from api.fielderrors import FieldError, Path, invalid

T = TypeVar("T")


class Part(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """As the reference of Kubernetes' scheduler configuration has it."""


class UnreadableError(ValueError):
    """What is not of the file's form."""


def into(type_: type[T], tree: Any, at: str) -> T:
    """A tree as one of the parts; the error names the field, not the type."""
    try:
        return msgspec.convert(tree, type=type_)
    except msgspec.ValidationError as error:
        words, _, where = str(error).partition(" - at ")
        path = f"{at}{where.strip('`').removeprefix('$')}".removeprefix(".")
        if found := re.fullmatch(r"Object contains unknown field `(.*)`", words):
            unknown = f"{path}.{found[1]}".removeprefix(".")
            raise UnreadableError(f'unknown field "{unknown}"') from error
        raise UnreadableError(f"{path}: {words}" if path else words) from error


def check_range(path: Path, value: int, most: int) -> Iterator[FieldError]:
    """From 0 to the most."""
    if not 0 <= value <= most:
        yield invalid(path, value, f"not in valid range [0-{most}]")
