"""Kinds that are served in two versions and stored in one: how one becomes the other. Walk step 1.

Every row of `api.scheme.ALTERNATES` has its `Alternate` here: pure functions between two types,
without loss, and the names by which field selectors of the version know the stored fields. Columns
are those of `rules`, and so is validation where the version asks for other things than the stored one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from api.scheme import Resource
from control.resources.autoscaling import older
from control.resources.events import event
from control.resources.strategy import Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternate:
    """A further version of a stored kind."""

    to_served: Callable[[Any], Any]
    to_stored: Callable[[Any], Any]
    rules: Strategy[Any]
    fields: Mapping[str, str]
    """Field selectors beside metadata.name and metadata.namespace: here → as it is stored."""
    keep: Callable[[Any, Any], None] | None = None
    """Gives a changed object, as it is stored, what clients of the version did not see and leave alone
    from the object before."""
    checks: bool = False
    """Whether `rules` check what clients of this version write, instead of the stored kind's."""


ALTERNATES: Mapping[Resource, Alternate] = {
    event.RULES.resource: Alternate(
        to_served=event.to_served,
        to_stored=event.to_stored,
        rules=event.RULES,
        fields=event.FIELDS,
        checks=True,
    ),
    older.RULES.resource: Alternate(
        to_served=older.to_served,
        to_stored=older.to_stored,
        rules=older.RULES,
        fields={},
        keep=older.keep,
    ),
}
