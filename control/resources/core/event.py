"""Event: what happened to an object, for people. Any step of the walk may leave one."""

from collections.abc import Collection, Iterator
from datetime import datetime

from api import validation
from api.core import Event
from api.fielderrors import FieldError, Path, invalid, required
from api.scheme import resource_of
from control.resources.columns import since
from control.resources.strategy import Column, Strategy


class EventStrategy(Strategy[Event]):
    """Events are told apart by name only; a writer may create one by replacing it."""

    columns = (
        Column("Last Seen", "string", lambda event, now: _last_seen(event, now)),
        Column("Type", "string", lambda event, now: event.type),
        Column("Reason", "string", lambda event, now: event.reason),
        Column("Object", "string", lambda event, now: _object(event)),
        Column(
            "Subobject", "string", lambda event, now: event.involved_object.field_path, priority=1
        ),
        Column("Source", "string", lambda event, now: _source(event), priority=1),
        Column("Message", "string", lambda event, now: event.message.strip()),
        Column("First Seen", "string", lambda event, now: _first_seen(event, now), priority=1),
        Column("Count", "string", lambda event, now: str(_count(event)), priority=1),
        Column("Name", "string", lambda event, now: event.metadata.name, priority=1, format="name"),
    )
    shows_age = False
    allow_create_on_update = True
    has_dependents = False

    def validate(self, obj: Event) -> list[FieldError]:
        return problems(obj, "reportingComponent")

    def fields(self, obj: Event) -> dict[str, str]:
        involved = obj.involved_object
        return {
            "involvedObject.kind": involved.kind,
            "involvedObject.namespace": involved.namespace,
            "involvedObject.name": involved.name,
            "involvedObject.uid": involved.uid,
            "involvedObject.apiVersion": involved.api_version,
            "involvedObject.resourceVersion": involved.resource_version,
            "involvedObject.fieldPath": involved.field_path,
            "reason": obj.reason,
            "reportingComponent": obj.reporting_component,
            "source": obj.source.component or obj.reporting_component,
            "type": obj.type,
        }

    def selectable_fields(self) -> frozenset[str]:
        return super().selectable_fields() | {
            *(f"involvedObject.{name}" for name in INVOLVED),
            "reason",
            "reportingComponent",
            "source",
            "type",
        }


INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")

MAX_WORD = 128
MAX_MESSAGE = 1024


def problems(event: Event, reporter: str) -> list[FieldError]:
    """What is wrong with an event of any version; `reporter`: how this one spells that field.

    Only events with an eventTime come from reporters of whom more can be asked.
    """
    if not event.event_time:
        return list(_namespace(event, ("", "default")))
    errors: list[FieldError] = []
    if not event.involved_object.namespace:
        errors += _namespace(event, ("default", "kube-system"))
    if not event.reporting_component:
        errors.append(required(Path(reporter)))
    for why in validation.qualified_name(event.reporting_component):
        errors.append(invalid(Path(reporter), event.reporting_component, why))
    for field, text in (
        ("reportingInstance", event.reporting_instance),
        ("action", event.action),
        ("reason", event.reason),
    ):
        if not text:
            errors.append(required(Path(field)))
        errors += _short(field, text, MAX_WORD)
    return [*errors, *_short("message", event.message, MAX_MESSAGE)]


def _namespace(event: Event, of_none: Collection[str]) -> Iterator[FieldError]:
    """`of_none`: where events about what has no namespace may be."""
    own, about = event.metadata.namespace, event.involved_object.namespace
    if own not in of_none if not about else own != about:
        path = Path("involvedObject").child("namespace")
        yield invalid(path, about, "does not match event.namespace")


def _short(field: str, text: str, limit: int) -> Iterator[FieldError]:
    if len(text.encode()) > limit:
        yield invalid(Path(field), "", f"can have at most {limit} characters")


def _first(event: Event) -> str:
    return event.first_timestamp or event.event_time or event.metadata.creation_timestamp or ""


def _first_seen(event: Event, now: datetime) -> str:
    return since(_first(event), now)


def _last_seen(event: Event, now: datetime) -> str:
    if event.series is not None and event.series.last_observed_time:
        return since(event.series.last_observed_time, now)
    return since(event.last_timestamp or _first(event), now)


def _count(event: Event) -> int:
    return event.series.count if event.series is not None else max(event.count, 1)


def _object(event: Event) -> str:
    kind, name = event.involved_object.kind.lower(), event.involved_object.name
    return f"{kind}/{name}" if name else kind


def _source(event: Event) -> str:
    component = event.source.component or event.reporting_component
    host = event.source.host or event.reporting_instance
    return f"{component}, {host}" if host else component


STRATEGY = EventStrategy(resource_of(Event))
