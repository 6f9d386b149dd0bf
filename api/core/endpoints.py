"""DOC core/endpoints."""

from typing import Annotated

from msgspec import field

from api.core.container import Protocol
from api.core.references import ObjectReference
from api.meta import ObjectMeta
from api.struct import LIST_ATOMIC, ApiStruct, Int32, pb, type_meta


class EndpointAddress(ApiStruct, kw_only=True):
    """DOC EndpointAddress."""

    ip: Annotated[str, pb(1)]
    hostname: Annotated[str, pb(3)] = ""
    node_name: Annotated[str | None, pb(4)] = None
    target_ref: Annotated[ObjectReference | None, pb(2)] = None


class EndpointPort(ApiStruct, kw_only=True):
    """DOC EndpointPort."""

    name: Annotated[str, pb(1)] = ""
    port: Annotated[Int32, pb(2)]
    protocol: Annotated[Protocol, pb(3)] = ""
    app_protocol: Annotated[str | None, pb(4)] = None


class EndpointSubset(ApiStruct, kw_only=True):
    """DOC EndpointSubset."""

    addresses: Annotated[list[EndpointAddress], pb(1), LIST_ATOMIC] = []
    not_ready_addresses: Annotated[list[EndpointAddress], pb(2), LIST_ATOMIC] = []
    ports: Annotated[list[EndpointPort], pb(3), LIST_ATOMIC] = []


class Endpoints(ApiStruct, kw_only=True):
    """DOC Endpoints."""

    api_version: str = type_meta("v1")
    kind: str = type_meta("Endpoints")
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    subsets: Annotated[list[EndpointSubset], pb(2), LIST_ATOMIC] = []
