"""DOC core/event."""

from typing import Annotated

from msgspec import field

from api.core.references import ObjectReference
from api.meta import ObjectMeta
from api.struct import ApiStruct, Int32, MicroTime, Time, pb, type_meta


class EventSource(ApiStruct, kw_only=True):
    """DOC EventSource."""

    component: Annotated[str, pb(1)] = ""
    host: Annotated[str, pb(2)] = ""


class EventSeries(ApiStruct, kw_only=True):
    """DOC EventSeries."""

    count: Annotated[Int32, pb(1)] = 0
    last_observed_time: Annotated[MicroTime | None, pb(2)] = None


class Event(ApiStruct, kw_only=True):
    """DOC Event."""

    api_version: str = type_meta("v1")
    kind: str = type_meta("Event")
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    involved_object: Annotated[ObjectReference, pb(2)] = field(default_factory=ObjectReference)
    reason: Annotated[str, pb(3)] = ""
    message: Annotated[str, pb(4)] = ""
    source: Annotated[EventSource, pb(5)] = field(default_factory=EventSource)
    first_timestamp: Annotated[Time | None, pb(6)] = None
    last_timestamp: Annotated[Time | None, pb(7)] = None
    count: Annotated[Int32, pb(8)] = 0
    type: Annotated[str, pb(9)] = ""
    event_time: Annotated[MicroTime | None, pb(10)] = None
    series: Annotated[EventSeries | None, pb(11)] = None
    action: Annotated[str, pb(12)] = ""
    related: Annotated[ObjectReference | None, pb(13)] = None
    reporting_component: Annotated[str, pb(14)]
    reporting_instance: Annotated[str, pb(15)]
