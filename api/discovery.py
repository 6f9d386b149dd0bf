"""DOC discovery."""

from typing import Annotated

from msgspec import field

from api.core.container import Protocol
from api.core.references import ObjectReference
from api.meta import ObjectMeta
from api.struct import LIST_ATOMIC, LIST_SET, ApiStruct, Int32, pb, type_meta


class EndpointConditions(ApiStruct, kw_only=True):
    """DOC EndpointConditions."""

    ready: Annotated[bool | None, pb(1)] = None
    serving: Annotated[bool | None, pb(2)] = None
    terminating: Annotated[bool | None, pb(3)] = None


class ForZone(ApiStruct, kw_only=True):
    """DOC ForZone."""

    name: Annotated[str, pb(1)]


class ForNode(ApiStruct, kw_only=True):
    """DOC ForNode."""

    name: Annotated[str, pb(1)]


class EndpointHints(ApiStruct, kw_only=True):
    """DOC EndpointHints."""

    for_zones: Annotated[list[ForZone], pb(1), LIST_ATOMIC] = []
    for_nodes: Annotated[list[ForNode], pb(2), LIST_ATOMIC] = []


class Endpoint(ApiStruct, kw_only=True):
    """DOC Endpoint."""

    addresses: Annotated[list[str], pb(1), LIST_SET]
    conditions: Annotated[EndpointConditions, pb(2)] = field(default_factory=EndpointConditions)
    hostname: Annotated[str | None, pb(3)] = None
    target_ref: Annotated[ObjectReference | None, pb(4)] = None
    deprecated_topology: Annotated[dict[str, str], pb(5)] = {}
    node_name: Annotated[str | None, pb(6)] = None
    zone: Annotated[str | None, pb(7)] = None
    hints: Annotated[EndpointHints | None, pb(8)] = None


class EndpointPort(ApiStruct, kw_only=True):
    """DOC EndpointPort."""

    name: Annotated[str | None, pb(1)] = None
    protocol: Annotated[Protocol | None, pb(2)] = None
    port: Annotated[Int32 | None, pb(3)] = None
    app_protocol: Annotated[str | None, pb(4)] = None


class EndpointSlice(ApiStruct, kw_only=True):
    """DOC EndpointSlice."""

    api_version: str = type_meta("discovery.k8s.io/v1")
    kind: str = type_meta("EndpointSlice")
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    address_type: Annotated[str, pb(4)]
    endpoints: Annotated[list[Endpoint], pb(2), LIST_ATOMIC]
    ports: Annotated[list[EndpointPort], pb(3), LIST_ATOMIC]
