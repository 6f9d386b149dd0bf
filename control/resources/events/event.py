"""Event of events.k8s.io/v1: the same objects as v1's, under newer names and stricter rules.

Serves any step of the walk: whoever reports in the newer API reads what others reported in the old
one, and the other way round. What was `source`, `count` and the timestamps in v1 is `deprecated…`
here: a new event must not set them. But for its series an event never changes (API reference,
"Event v1 events.k8s.io"; KEP-383). Errors name the fields as Kubernetes does: in v1's words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api import eventsv1
from api.core import Event, EventSeries, EventSource
from api.fielderrors import FieldError, Path, invalid, required
from api.scheme import resource_of
from control.resources.checks import check_immutable
from control.resources.columns import converted
from control.resources.core import event as stored
from control.resources.strategy import Strategy

FIELDS = {
    "reason": "reason",
    "reportingController": "reportingComponent",
    "type": "type",
    **{f"regarding.{name}": f"involvedObject.{name}" for name in stored.INVOLVED},
}
"""Field selectors here → of the stored event."""

TYPES = ("Normal", "Warning")


def to_served(obj: Event) -> eventsv1.Event:
    """An event of v1 in the newer words."""
    return eventsv1.Event(
        metadata=obj.metadata,
        event_time=obj.event_time,
        series=None
        if obj.series is None
        else eventsv1.EventSeries(
            count=obj.series.count, last_observed_time=obj.series.last_observed_time
        ),
        reporting_controller=obj.reporting_component,
        reporting_instance=obj.reporting_instance,
        action=obj.action,
        reason=obj.reason,
        regarding=obj.involved_object,
        related=obj.related,
        note=obj.message,
        type=obj.type,
        deprecated_source=obj.source,
        deprecated_first_timestamp=obj.first_timestamp,
        deprecated_last_timestamp=obj.last_timestamp,
        deprecated_count=obj.count,
    )


def to_stored(obj: eventsv1.Event) -> Event:
    """An event in the newer words as v1 says it."""
    return Event(
        metadata=obj.metadata,
        involved_object=obj.regarding,
        reason=obj.reason,
        message=obj.note,
        source=obj.deprecated_source,
        first_timestamp=obj.deprecated_first_timestamp,
        last_timestamp=obj.deprecated_last_timestamp,
        count=obj.deprecated_count,
        type=obj.type,
        event_time=obj.event_time,
        series=None
        if obj.series is None
        else EventSeries(count=obj.series.count, last_observed_time=obj.series.last_observed_time),
        action=obj.action,
        related=obj.related,
        reporting_component=obj.reporting_controller,
        reporting_instance=obj.reporting_instance,
    )


class EventRules(Strategy[eventsv1.Event]):
    """What this version asks of an event beyond what v1 asks."""

    shows_age = False
    has_dependents = False

    def __init__(self) -> None:
        super().__init__(resource_of(eventsv1.Event))
        self.columns = converted(stored.STRATEGY.columns, to_stored)

    def validate(self, obj: eventsv1.Event) -> list[FieldError]:
        event = to_stored(obj)
        return [
            *stored.problems(event, "reportingController"),
            *_series(event),
            *_as_new(event),
        ]

    def validate_update(self, new: eventsv1.Event, old: eventsv1.Event) -> list[FieldError]:
        after, before = to_stored(new), to_stored(old)
        errors = stored.problems(after, "reportingController")
        if after.series != before.series:
            errors += _series(after)
        for field, value in _constant(after).items():
            errors += check_immutable(Path(field), value, _constant(before)[field])
        return errors


def _series(event: Event) -> Iterator[FieldError]:
    if event.series is None:
        return
    if event.series.count < 2:
        yield invalid(Path("series").child("count"), "", "should be at least 2")
    if not event.series.last_observed_time:
        yield required(Path("series").child("lastObservedTime"))


def _as_new(event: Event) -> Iterator[FieldError]:
    if not event.event_time:
        yield required(Path("eventTime"))
    if event.type not in TYPES:
        yield invalid(Path("type"), "", f"has invalid value: {event.type}")
    deprecated = {
        "firstTimestamp": event.first_timestamp,
        "lastTimestamp": event.last_timestamp,
        "count": event.count,
        "source": event.source != EventSource(),
    }
    for field, value in deprecated.items():
        if value:
            yield invalid(Path(field), "", "needs to be unset")


def _constant(event: Event) -> dict[str, Any]:
    """What an update may not change."""
    return {
        "involvedObject": event.involved_object,
        "reason": event.reason,
        "message": event.message,
        "source": event.source,
        "firstTimestamp": event.first_timestamp,
        "lastTimestamp": event.last_timestamp,
        "count": event.count,
        "type": event.type,
        "eventTime": event.event_time,
        "action": event.action,
        "related": event.related,
        "reportingController": event.reporting_component,
        "reportingInstance": event.reporting_instance,
    }


RULES = EventRules()
