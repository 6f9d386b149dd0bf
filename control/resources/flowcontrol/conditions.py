"""The conditions of flow schemas and priority levels: both have types of their own, and one rule."""

from collections.abc import Iterator, Sequence

from api import conditions
from api.conditions import ConditionLike
from api.fielderrors import FieldError, Path, required
from api.flowcontrol import FlowSchemaStatus
from control.resources.checks import check_unique


def condition_errors(
    found: Sequence[ConditionLike],
) -> Iterator[FieldError]:
    """Each has a type, and each type comes once."""
    path = Path("status", "conditions")
    paths = [path.index(number).child("type") for number in range(len(found))]
    yield from check_unique(
        path, ((where, one.type) for where, one in zip(paths, found, strict=True))
    )
    for where, one in zip(paths, found, strict=True):
        if not one.type:
            yield required(where, "must not be empty")


def status_of(status: FlowSchemaStatus, type_: str) -> str:
    """What the condition of that type says; empty where there is none."""
    found = conditions.find(status.conditions, type_)
    return found.status if found is not None else ""
