"""The older list of a Service's backends, kept beside the EndpointSlices.

Written by the endpoints controller in step 6 of the pod's walk, for clients that still read it.
"""

from typing import Annotated, ClassVar

from msgspec import field

from api.core.container import Protocol
from api.core.references import ObjectReference
from api.meta import ObjectMeta
from api.struct import LIST_ATOMIC, ApiStruct, Int32, pb, type_meta


class EndpointAddress(ApiStruct, kw_only=True):
    """One backend."""

    __atomic__: ClassVar[bool] = True

    ip: Annotated[str, pb(1)]
    """Its address; not one of the loopback or link-local kind."""
    hostname: Annotated[str, pb(3)] = ""
    """Its hostname."""
    node_name: Annotated[str | None, pb(4)] = None
    """The node that it runs on."""
    target_ref: Annotated[ObjectReference | None, pb(2)] = None
    """The pod behind it."""


class EndpointPort(ApiStruct, kw_only=True):
    """A port that the backends listen on."""

    __atomic__: ClassVar[bool] = True

    name: Annotated[str, pb(1)] = ""
    """Name of the Service's port; required if there are several."""
    port: Annotated[Int32, pb(2)]
    """Port number."""
    protocol: Annotated[Protocol, pb(3)] = ""
    """`TCP`, `UDP` or `SCTP`. Default: TCP."""
    app_protocol: Annotated[str | None, pb(4)] = None
    """Protocol spoken on it, such as `http`."""


class EndpointSubset(ApiStruct, kw_only=True):
    """Backends with the same ports: each address is reached on each port."""

    addresses: Annotated[list[EndpointAddress], pb(1), LIST_ATOMIC] = []
    """Backends that are ready."""
    not_ready_addresses: Annotated[list[EndpointAddress], pb(2), LIST_ATOMIC] = []
    """Backends that are not ready and get no traffic."""
    ports: Annotated[list[EndpointPort], pb(3), LIST_ATOMIC] = []
    """Their ports."""


class Endpoints(ApiStruct, kw_only=True):
    """The backends of the Service of the same name. New programs read EndpointSlices, which also
    hold many."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("Endpoints")
    """Name of this schema: `Endpoints`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    subsets: Annotated[list[EndpointSubset], pb(2), LIST_ATOMIC] = []
    """Groups of backends with equal ports."""
