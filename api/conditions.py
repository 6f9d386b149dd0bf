"""Conditions: the `type: Ready, status: "True"` lists that every status carries.

Serves the steps of the pod's walk that report (agent, controllers) and those that wait for a report.
All of Kubernetes' condition types share these fields, so the functions here take any of them.
Pure: lists are returned, never changed, because the objects they come from are shared.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

import msgspec


class ConditionLike(Protocol):
    """What the condition types of all kinds have in common."""

    type: str
    status: str
    reason: str
    message: str
    last_transition_time: str | None


C = TypeVar("C", bound=ConditionLike)


def find(conditions: Iterable[C], type_: str) -> C | None:
    """The condition of that type, if it is reported."""
    for item in conditions:  # and not by a generator: controllers ask this of thousands of pods
        if item.type == type_:
            return item
    return None


def is_true(conditions: Iterable[ConditionLike], type_: str) -> bool:
    """Whether the condition is reported and holds."""
    found = find(conditions, type_)
    return found is not None and found.status == "True"


def put(conditions: Iterable[C], new: C, *, now: str) -> list[C]:
    """The conditions with `new` in the place of its type, or at the end.

    `lastTransitionTime` says when the status last changed: it is kept from the old condition when
    the status is the same, and is `now` otherwise.
    """
    result = list(conditions)
    old = find(result, new.type)
    same = old is not None and old.status == new.status and old.last_transition_time
    moment = old.last_transition_time if same and old is not None else now
    stamped = msgspec.structs.replace(new, last_transition_time=moment)  # type: ignore[type-var]
    if old is None:
        return [*result, stamped]
    return [stamped if item.type == new.type else item for item in result]


def remove(conditions: Iterable[C], type_: str) -> list[C]:
    """The conditions without that type."""
    return [item for item in conditions if item.type != type_]
