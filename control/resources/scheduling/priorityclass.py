"""PriorityClass: a number that pods can ask for by name. Walk step 3: who is placed first."""

from collections.abc import Iterator
from dataclasses import dataclass

from api.core import PreemptionPolicy
from api.fielderrors import FieldError, Path, forbidden
from api.priorities import CLUSTER_CRITICAL, NODE_CRITICAL, SYSTEM_PRIORITIES
from api.scheduling import PriorityClass
from api.scheme import resource_of
from control.resources.checks import check_enum, check_immutable
from control.resources.columns import AGE
from control.resources.strategy import Column, Strategy

HIGHEST = 1_000_000_000
"""The highest priority of a class that is not the cluster's own."""

SYSTEM_PREFIX = "system-"


@dataclass(frozen=True, slots=True)
class SystemClass:
    """A class that every cluster has, and that cannot be another."""

    name: str
    value: int
    description: str


SYSTEM_CLASSES = (
    SystemClass(
        CLUSTER_CRITICAL,
        SYSTEM_PRIORITIES[CLUSTER_CRITICAL],
        "For pods that the cluster needs, on whichever node they run.",
    ),
    SystemClass(
        NODE_CRITICAL,
        SYSTEM_PRIORITIES[NODE_CRITICAL],
        "For pods that their node needs, and that can run nowhere else.",
    ),
)


class PriorityClassStrategy(Strategy[PriorityClass]):
    """Pods carry a copy of the number, so that it never changes."""

    columns = (
        Column("Value", "integer", lambda one, now: one.value),
        Column("Global-Default", "boolean", lambda one, now: one.global_default),
        AGE,
        Column("PreemptionPolicy", "string", lambda one, now: one.preemption_policy or ""),
    )

    @property
    def has_generation(self) -> bool:
        return True  # what it counts never changes

    def default(self, obj: PriorityClass) -> None:
        if obj.preemption_policy is None:
            obj.preemption_policy = "PreemptLowerPriority"

    def validate(self, obj: PriorityClass) -> list[FieldError]:
        return [
            *_value_errors(obj),
            *check_enum(Path("preemptionPolicy"), obj.preemption_policy, PreemptionPolicy),
        ]

    def validate_update(self, new: PriorityClass, old: PriorityClass) -> list[FieldError]:
        errors = []
        if new.value != old.value:
            errors.append(forbidden(Path("value"), "may not be changed in an update."))
        where = Path("preemptionPolicy")
        errors += check_immutable(where, new.preemption_policy, old.preemption_policy)
        return errors


def _value_errors(obj: PriorityClass) -> Iterator[FieldError]:
    name = obj.metadata.name
    if name.startswith(SYSTEM_PREFIX):
        if why := _reserved(obj):
            yield forbidden(
                Path("metadata", "name"),
                f"priority class names with '{SYSTEM_PREFIX}' prefix are reserved for system use "
                f"only. error: {why}",
            )
    elif obj.value > HIGHEST:
        yield forbidden(
            Path("value"), f"maximum allowed value of a user defined priority is {HIGHEST}"
        )


def _reserved(obj: PriorityClass) -> str:
    """Why the class is none of the system's."""
    name = obj.metadata.name
    for one in SYSTEM_CLASSES:
        if one.name == name and one.value != obj.value:
            return f"value of {name} PriorityClass must be {one.value}"
        if one.name == name:
            wrong = obj.global_default
            return f"globalDefault of {name} PriorityClass must be false" if wrong else ""
    return f"{name} is not a known system priority class"


STRATEGY = PriorityClassStrategy(resource_of(PriorityClass))
