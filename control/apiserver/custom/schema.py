"""What a definition says of a version, made usable: rules of its schema, columns of its table.

Serves step 1 of the pod's walk for custom resources. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from api import jsonpath, structural
from api.custom import Custom
from api.meta import ObjectMeta
from api.patch.schema import ATOMIC, DEDUCED, Fields, Schema, of_type
from control.apiserver.custom.codec import Rules
from control.apiserver.custom.definition import Tree
from control.resources.columns import AGE, since
from control.resources.strategy import Column


class Schemas:
    """`control.apiserver.custom.kinds.Schemas`."""

    def rules(self, schema: Tree) -> Rules:
        return VersionRules(schema)

    def columns(self, columns: Sequence[Tree]) -> Sequence[Column[Any]]:
        return [_column(one) for one in columns] or [AGE]


class VersionRules(structural.Structural):
    """A schema at the root of an object: apiVersion, kind and metadata are everybody's."""

    @property
    def schema(self) -> Schema:
        below = super().schema
        return Fields(lambda: _fields(below), unknown=DEDUCED if self.root.preserves else None)


def _fields(below: Schema) -> dict[str, Schema]:
    found: dict[str, Schema] = {
        "apiVersion": ATOMIC,
        "kind": ATOMIC,
        "metadata": of_type(ObjectMeta),
    }
    if isinstance(below, Fields):
        found = {**below.named, **found}
    return found


def _column(tree: Tree) -> Column[Any]:
    find = jsonpath.parse(tree["jsonPath"])
    kind = tree["type"]

    def cell(obj: Custom, now: datetime) -> Any:
        whole = {"metadata": msgspec.to_builtins(obj.metadata), **obj.content}
        return _shown(find(whole), kind, now)

    return Column(
        tree["name"],
        kind,
        cell,
        priority=tree.get("priority") or 0,
        format=tree.get("format") or "",
        description=tree.get("description")
        or "Custom resource definition column (in JSONPath format): " + tree["jsonPath"],
    )


def _shown(values: list[Any], kind: str, now: datetime) -> Any:
    """A cell of the column's type; empty where there is nothing, or another thing."""
    if not values or values[0] is None:
        return None
    value = values[0]
    if kind == "date":
        try:
            return since(str(value), now)
        except ValueError:
            return "<invalid>"
    if kind in ("integer", "number"):
        good = isinstance(value, int | float) and not isinstance(value, bool)
        return (int(value) if kind == "integer" else value) if good else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return msgspec.json.encode(value).decode()
