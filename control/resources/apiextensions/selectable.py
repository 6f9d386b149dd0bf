"""Which fields of custom resources field selectors may ask for. Walk step 1.

Serves `crd`. A selectable field is a plain path to a scalar that the schema names ("Field selectors"
in "Extend the Kubernetes API with CustomResourceDefinitions", KEP-4358). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from api.fielderrors import FieldError, Path, duplicate, invalid, required, too_many

MAX_FIELDS = 8
_PATH = re.compile(r"(\.[A-Za-z_][A-Za-z0-9_-]*)+")
_SCALARS = ("string", "boolean", "integer")


def problems(paths: Sequence[str], schema: Mapping[str, Any], where: Path) -> Iterator[FieldError]:
    """What is wrong with the selectable fields of a version."""
    for number, path in enumerate(paths):
        at = where.index(number)
        if not path:
            yield required(at.child("jsonPath"), "")
            continue
        names = path.split(".")[1:]
        if names and names[0] == "metadata":
            yield invalid(at, path, "must not point to fields in metadata")
            continue
        found = _at(schema, names) if _PATH.fullmatch(path) else None
        if found is None:
            why = "is an invalid path: does not refer to a valid field"
            yield invalid(at.child("jsonPath"), path, why)
        elif found.get("type") not in _SCALARS:
            yield invalid(
                at,
                path,
                "must point to type string, boolean or integer. "
                "Enum string fields and strings with formats are allowed.",
            )
        elif path in paths[:number]:
            yield duplicate(at, path)
    if len(set(paths)) > MAX_FIELDS:
        yield too_many(where, len(set(paths)), MAX_FIELDS)


def _at(schema: Mapping[str, Any], names: Sequence[str]) -> Mapping[str, Any] | None:
    for name in names:
        found = (schema.get("properties") or {}).get(name)
        if not isinstance(found, Mapping):
            return None
        schema = found
    return schema
