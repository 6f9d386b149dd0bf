"""The rows of services and networks: discovery.k8s.io, networking.k8s.io. Walk step 6."""

from api import discovery
from api.scheme.resource import Resource

ROWS: tuple[Resource, ...] = (
    Resource(
        "discovery.k8s.io",
        "v1",
        "EndpointSlice",
        "endpointslices",
        discovery.EndpointSlice,
        True,
        "endpointslice",
    ),
)
