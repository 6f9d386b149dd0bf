"""What happened to an object, for people. Any step of the pod's walk may leave one."""

from typing import Annotated

from msgspec import field

from api.core.references import ObjectReference
from api.meta import ObjectMeta
from api.struct import ApiStruct, Int32, MicroTime, Time, pb, type_meta


class EventSource(ApiStruct, kw_only=True):
    """Who reported an event."""

    component: Annotated[str, pb(1)] = ""
    """Program, such as `default-scheduler`."""
    host: Annotated[str, pb(2)] = ""
    """Node that it runs on."""


class EventSeries(ApiStruct, kw_only=True):
    """An event that keeps happening."""

    count: Annotated[Int32, pb(1)] = 0
    """How often so far."""
    last_observed_time: Annotated[MicroTime | None, pb(2)] = None
    """When it happened last."""


class Event(ApiStruct, kw_only=True):
    """Something that happened to an object. Kept for an hour; programs should not rely on it."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("Event")
    """Name of this schema: `Event`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    involved_object: Annotated[ObjectReference, pb(2)] = field(default_factory=ObjectReference)
    """What it happened to."""
    reason: Annotated[str, pb(3)] = ""
    """What happened, in one word, such as `FailedScheduling`."""
    message: Annotated[str, pb(4)] = ""
    """What happened, in a sentence."""
    source: Annotated[EventSource, pb(5)] = field(default_factory=EventSource)
    """Who reported it."""
    first_timestamp: Annotated[Time | None, pb(6)] = None
    """When it happened first."""
    last_timestamp: Annotated[Time | None, pb(7)] = None
    """When it happened last."""
    count: Annotated[Int32, pb(8)] = 0
    """How often it has happened."""
    type: Annotated[str, pb(9)] = ""
    """`Normal` or `Warning`."""
    event_time: Annotated[MicroTime | None, pb(10)] = None
    """When it happened, to the microsecond."""
    series: Annotated[EventSeries | None, pb(11)] = None
    """Set when it keeps happening."""
    action: Annotated[str, pb(12)] = ""
    """What was done about it."""
    related: Annotated[ObjectReference | None, pb(13)] = None
    """Another object that is concerned."""
    reporting_component: Annotated[str, pb(14)]
    """Program that reported it."""
    reporting_instance: Annotated[str, pb(15)]
    """Which copy of that program it was."""
