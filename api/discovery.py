"""EndpointSlices: the backends of Services, in handy portions (group `discovery.k8s.io`).

Written by their controller and read by every node's packet rules and DNS, step 6 of the pod's
walk.
"""

from typing import Annotated

from msgspec import field

from api.core.container import Protocol
from api.core.references import ObjectReference
from api.meta import ObjectMeta
from api.struct import LIST_ATOMIC, LIST_SET, ApiStruct, Int32, pb, type_meta


class EndpointConditions(ApiStruct, kw_only=True):
    """Whether an endpoint can be used."""

    ready: Annotated[bool | None, pb(1)] = None
    """It takes new connections. Absent counts as true."""
    serving: Annotated[bool | None, pb(2)] = None
    """It answers, whether or not it is terminating. Absent means the same as `ready`."""
    terminating: Annotated[bool | None, pb(3)] = None
    """It is being deleted. Absent counts as false."""


class ForZone(ApiStruct, kw_only=True):
    """A zone that should use an endpoint."""

    name: Annotated[str, pb(1)]
    """Name of the zone."""


class ForNode(ApiStruct, kw_only=True):
    """A node that should use an endpoint."""

    name: Annotated[str, pb(1)]
    """Name of the node."""


class EndpointHints(ApiStruct, kw_only=True):
    """Who should use an endpoint."""

    for_zones: Annotated[list[ForZone], pb(1), LIST_ATOMIC] = []
    """Zones that should."""
    for_nodes: Annotated[list[ForNode], pb(2), LIST_ATOMIC] = []
    """Nodes that should."""


class Endpoint(ApiStruct, kw_only=True):
    """One backend."""

    addresses: Annotated[list[str], pb(1), LIST_SET]
    """Its addresses; users take the first."""
    conditions: Annotated[EndpointConditions, pb(2)] = field(default_factory=EndpointConditions)
    """Whether it can be used."""
    hostname: Annotated[str | None, pb(3)] = None
    """Its hostname, for a DNS name of its own."""
    target_ref: Annotated[ObjectReference | None, pb(4)] = None
    """The pod behind it."""
    deprecated_topology: Annotated[dict[str, str], pb(5)] = {}
    """Labels from the older version of this API."""
    node_name: Annotated[str | None, pb(6)] = None
    """The node that it runs on."""
    zone: Annotated[str | None, pb(7)] = None
    """The zone that it is in."""
    hints: Annotated[EndpointHints | None, pb(8)] = None
    """Who should use it."""


class EndpointPort(ApiStruct, kw_only=True):
    """A port that the endpoints of a slice listen on."""

    name: Annotated[str | None, pb(1)] = None
    """Name of the Service's port; empty if it has none."""
    protocol: Annotated[Protocol | None, pb(2)] = None
    """`TCP`, `UDP` or `SCTP`. Default: TCP."""
    port: Annotated[Int32 | None, pb(3)] = None
    """Port number; absent means all ports."""
    app_protocol: Annotated[str | None, pb(4)] = None
    """Protocol spoken on it, such as `http`."""


class EndpointSlice(ApiStruct, kw_only=True):
    """Some of the endpoints of a Service, at most 1000. The label `kubernetes.io/service-name` says
    of which."""

    api_version: str = type_meta("discovery.k8s.io/v1")
    """Group and version of this schema: `discovery.k8s.io/v1`."""
    kind: str = type_meta("EndpointSlice")
    """Name of this schema: `EndpointSlice`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    address_type: Annotated[str, pb(4)]
    """`IPv4`, `IPv6` or `FQDN`. Cannot be changed."""
    endpoints: Annotated[list[Endpoint], pb(2), LIST_ATOMIC]
    """The endpoints."""
    ports: Annotated[list[EndpointPort], pb(3), LIST_ATOMIC]
    """Ports that each of them listens on, at most 100."""
