"""The rows of services and networks: discovery.k8s.io, networking.k8s.io. Walk step 6."""

from api import discovery, networking
from api.scheme.resource import STATUS, Resource

_NETWORKING = "networking.k8s.io"

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
    Resource(
        _NETWORKING,
        "v1",
        "IPAddress",
        "ipaddresses",
        networking.IPAddress,
        False,
        "ipaddress",
        short_names=("ip",),
    ),
    Resource(
        _NETWORKING,
        "v1",
        "Ingress",
        "ingresses",
        networking.Ingress,
        True,
        "ingress",
        short_names=("ing",),
        subresources=(STATUS,),
    ),
    Resource(
        _NETWORKING,
        "v1",
        "IngressClass",
        "ingressclasses",
        networking.IngressClass,
        False,
        "ingressclass",
    ),
    Resource(
        _NETWORKING,
        "v1",
        "NetworkPolicy",
        "networkpolicies",
        networking.NetworkPolicy,
        True,
        "networkpolicy",
        short_names=("netpol",),
    ),
    Resource(
        _NETWORKING,
        "v1",
        "ServiceCIDR",
        "servicecidrs",
        networking.ServiceCIDR,
        False,
        "servicecidr",
        subresources=(STATUS,),
    ),
)
