"""What happened to an object, in the newer spelling of the group `events.k8s.io`.

The same objects as `api.core.Event`, which is how they are kept. Any step of the pod's walk may
leave one.
"""

from typing import Annotated

from msgspec import field

from api.core.event import EventSource
from api.core.references import ObjectReference
from api.meta import ObjectMeta
from api.struct import ApiStruct, Int32, MicroTime, Time, pb, type_meta


class EventSeries(ApiStruct, kw_only=True):
    """An event that keeps happening."""

    count: Annotated[Int32, pb(1)]
    """How often so far. At least 2."""
    last_observed_time: Annotated[MicroTime | None, pb(2)]
    """When it happened last."""


class Event(ApiStruct, kw_only=True):
    """Something that happened to an object. Kept for an hour; programs should not rely on it."""

    api_version: str = type_meta("events.k8s.io/v1")
    """Group and version of this schema: `events.k8s.io/v1`."""
    kind: str = type_meta("Event")
    """Name of this schema: `Event`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    event_time: Annotated[MicroTime | None, pb(2)]
    """When it happened first. Must be set by whoever makes the event."""
    series: Annotated[EventSeries | None, pb(3)] = None
    """Set when it keeps happening."""
    reporting_controller: Annotated[str, pb(4)] = ""
    """Program that reported it, such as `kubernetes.io/kubelet`."""
    reporting_instance: Annotated[str, pb(5)] = ""
    """Which copy of that program it was, at most 128 characters."""
    action: Annotated[str, pb(6)] = ""
    """What was done about it, at most 128 characters."""
    reason: Annotated[str, pb(7)] = ""
    """Why, in one word, at most 128 characters."""
    regarding: Annotated[ObjectReference, pb(8)] = field(default_factory=ObjectReference)
    """What it happened to; most often the object of which the reporting program takes care."""
    related: Annotated[ObjectReference | None, pb(9)] = None
    """Another object that is concerned."""
    note: Annotated[str, pb(10)] = ""
    """What happened, in a sentence of at most 1024 bytes."""
    type: Annotated[str, pb(11)] = ""
    """`Normal` or `Warning`."""
    deprecated_source: Annotated[EventSource, pb(12)] = field(default_factory=EventSource)
    """Who reported it, in events of `v1`."""
    deprecated_first_timestamp: Annotated[Time | None, pb(13)] = None
    """When it happened first, in events of `v1`."""
    deprecated_last_timestamp: Annotated[Time | None, pb(14)] = None
    """When it happened last, in events of `v1`."""
    deprecated_count: Annotated[Int32, pb(15)] = 0
    """How often it has happened, in events of `v1`."""
