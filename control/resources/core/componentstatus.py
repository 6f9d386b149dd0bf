"""ComponentStatus: whether a part of the control plane is well. Made when asked for, and read-only."""

from api.core import ComponentCondition, ComponentStatus
from api.meta import ObjectMeta
from api.scheme import resource_of
from control.resources.strategy import Column, Strategy

HEALTHY = "Healthy"


class ComponentStatusRules(Strategy[ComponentStatus]):
    """What `kubectl get componentstatuses` prints."""

    shows_age = False
    columns = (
        Column("Status", "string", lambda one, now: _word(one)),
        Column("Message", "string", lambda one, now: _told(one).message),
        Column("Error", "string", lambda one, now: _told(one).error),
    )


def made(name: str, problem: str) -> ComponentStatus:
    """What is told of a component; `problem` is empty when it is well."""
    told = ComponentCondition(
        type=HEALTHY,
        status="False" if problem else "True",
        message="" if problem else "ok",
        error=problem,
    )
    return ComponentStatus(metadata=ObjectMeta(name=name), conditions=[told])


def _told(one: ComponentStatus) -> ComponentCondition:
    found = (told for told in one.conditions if told.type == HEALTHY)
    return next(found, ComponentCondition(type=HEALTHY, status="Unknown"))


def _word(one: ComponentStatus) -> str:
    return {"True": "Healthy", "False": "Unhealthy"}.get(_told(one).status, "Unknown")


RULES = ComponentStatusRules(resource_of(ComponentStatus))
