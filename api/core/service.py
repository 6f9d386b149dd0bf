"""A Service: one lasting address in front of pods that come and go.

Its selector finds the pods; in step 6 of the walk every node turns it and its EndpointSlices
into packet rules and answers for its name.
"""

from typing import Annotated

from msgspec import field

from api.core.container import Protocol
from api.meta import Condition, ObjectMeta
from api.struct import (
    ATOMIC,
    LIST_ATOMIC,
    ApiStruct,
    Int32,
    IntOrString,
    enum,
    list_map,
    patch,
    pb,
    type_meta,
)

ServiceType = Annotated[str, enum("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")]
ServiceAffinity = Annotated[str, enum("ClientIP", "None")]
ServiceExternalTrafficPolicy = Annotated[str, enum("Cluster", "Local")]
IPFamily = Annotated[str, enum("IPv4", "IPv6")]
IPFamilyPolicy = Annotated[str, enum("SingleStack", "PreferDualStack", "RequireDualStack")]
ServiceInternalTrafficPolicy = Annotated[str, enum("Cluster", "Local")]
LoadBalancerIPMode = Annotated[str, enum("VIP", "Proxy")]


class ServicePort(ApiStruct, kw_only=True):
    """One port of a Service and where it leads."""

    name: Annotated[str, pb(1)] = ""
    """Name, a DNS label; required if the Service has several ports."""
    protocol: Annotated[Protocol, pb(2)] = ""
    """`TCP`, `UDP` or `SCTP`. Default: TCP."""
    app_protocol: Annotated[str | None, pb(6)] = None
    """Protocol spoken on it, such as `http`; a hint for proxies."""
    port: Annotated[Int32, pb(3)]
    """Port at the Service's address."""
    target_port: Annotated[IntOrString, pb(4)] = 0
    """Port of the pods, as a number or as the name of a container's port. Default: the same as
    `port`."""
    node_port: Annotated[Int32, pb(5)] = 0
    """Port on every node, for types NodePort and LoadBalancer. Default: a free one from 30000 to
    32767."""


class ClientIPConfig(ApiStruct, kw_only=True):
    """How long clients stay with the same pod."""

    timeout_seconds: Annotated[Int32 | None, pb(1)] = None
    """Seconds, at most 86400. Default: 10800, three hours."""


class SessionAffinityConfig(ApiStruct, kw_only=True):
    """Details of session affinity."""

    client_ip: Annotated[ClientIPConfig | None, pb(1)] = None
    """For affinity by the client's address."""


class ServiceSpec(ApiStruct, kw_only=True):
    """Which pods are meant and how they are reached."""

    ports: Annotated[
        list[ServicePort], pb(1), patch("merge", key="port"), list_map("port", "protocol")
    ] = []
    """Ports of the Service; required unless it is headless or an ExternalName."""
    selector: Annotated[dict[str, str], pb(2), ATOMIC] = {}
    """Labels of the pods. Without it nobody but you maintains the endpoints."""
    cluster_ip: Annotated[str, pb(3)] = ""
    """Address of the Service. Default: a free one. `None` makes it headless: its name yields the
    pods' own addresses. Cannot be changed while it is in use."""
    cluster_ips: Annotated[list[str], pb(18), LIST_ATOMIC] = []
    """Addresses, one for each family; the first equals `clusterIP`."""
    type: Annotated[ServiceType, pb(4)] = ""
    """`ClusterIP` is reached inside the cluster, `NodePort` also at a port of every node,
    `LoadBalancer` also through one from outside, `ExternalName` is an alias for a DNS name.
    Default: ClusterIP."""
    external_ips: Annotated[list[str], pb(5), LIST_ATOMIC] = []
    """Further addresses that nodes answer for. You must route them there yourself."""
    session_affinity: Annotated[ServiceAffinity, pb(7)] = ""
    """`ClientIP` sends a client to the same pod again; `None` chooses anew. Default: None."""
    load_balancer_ip: Annotated[str, pb(8)] = ""
    """Deprecated wish for the address of the load balancer."""
    load_balancer_source_ranges: Annotated[list[str], pb(9), LIST_ATOMIC] = []
    """Networks from which the load balancer may be used."""
    external_name: Annotated[str, pb(10)] = ""
    """DNS name that an ExternalName stands for."""
    external_traffic_policy: Annotated[ServiceExternalTrafficPolicy, pb(11)] = ""
    """`Cluster` spreads traffic from outside over all pods; `Local` uses only those on the node
    that it reached and keeps the client's address. Default: Cluster."""
    health_check_node_port: Annotated[Int32, pb(12)] = 0
    """Port at which nodes tell a load balancer whether they have local pods. Default: a free one
    where it is needed."""
    publish_not_ready_addresses: Annotated[bool, pb(13)] = False
    """Count pods before they are ready, for example so that peers can find each other. Default:
    false."""
    session_affinity_config: Annotated[SessionAffinityConfig | None, pb(14)] = None
    """Details of session affinity."""
    ip_families: Annotated[list[IPFamily], pb(19), LIST_ATOMIC] = []
    """Address families, `IPv4` or `IPv6`. Default: the cluster's."""
    ip_family_policy: Annotated[IPFamilyPolicy | None, pb(17)] = None
    """`SingleStack`, `PreferDualStack` or `RequireDualStack`. Default: SingleStack."""
    allocate_load_balancer_node_ports: Annotated[bool | None, pb(20)] = None
    """Whether a LoadBalancer gets node ports too. Default: true."""
    load_balancer_class: Annotated[str | None, pb(21)] = None
    """Which load balancer is meant. Cannot be changed."""
    internal_traffic_policy: Annotated[ServiceInternalTrafficPolicy | None, pb(22)] = None
    """`Local` makes pods reach only endpoints on their own node; `Cluster` any. Default: Cluster.
    """
    traffic_distribution: Annotated[str | None, pb(23)] = None
    """Wish to prefer near endpoints: `PreferSameZone` (also called `PreferClose`) or
    `PreferSameNode`."""


class PortStatus(ApiStruct, kw_only=True):
    """State of one port of a load balancer."""

    port: Annotated[Int32, pb(1)]
    """Port number."""
    protocol: Annotated[Protocol, pb(2)]
    """Its protocol."""
    error: Annotated[str | None, pb(3)] = None
    """What is wrong, as one word."""


class LoadBalancerIngress(ApiStruct, kw_only=True):
    """One way into a load balancer."""

    ip: Annotated[str, pb(1)] = ""
    """Its address."""
    hostname: Annotated[str, pb(2)] = ""
    """Its DNS name."""
    ip_mode: Annotated[LoadBalancerIPMode | None, pb(3)] = None
    """Whether packets arrive with the balancer's address as destination (`VIP`) or the node's
    (`Proxy`)."""
    ports: Annotated[list[PortStatus], pb(4), LIST_ATOMIC] = []
    """State of its ports."""


class LoadBalancerStatus(ApiStruct, kw_only=True):
    """The load balancer of a Service."""

    ingress: Annotated[list[LoadBalancerIngress], pb(1), LIST_ATOMIC] = []
    """The ways into it."""


class ServiceStatus(ApiStruct, kw_only=True):
    """What was provided for a Service."""

    load_balancer: Annotated[LoadBalancerStatus, pb(1)] = field(default_factory=LoadBalancerStatus)
    """Its load balancer, if it has one."""
    conditions: Annotated[list[Condition], pb(2), patch("merge", key="type"), list_map("type")] = []
    """Its state."""


class Service(ApiStruct, kw_only=True):
    """A lasting address and name for a changing set of pods."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("Service")
    """Name of this schema: `Service`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[ServiceSpec, pb(2)] = field(default_factory=ServiceSpec)
    """The wanted state."""
    status: Annotated[ServiceStatus, pb(3)] = field(default_factory=ServiceStatus)
    """The observed state. Set by the cluster, ignored in other writes."""


class ServiceProxyOptions(ApiStruct, kw_only=True):
    """Query parameters of a request that is passed on to a Service."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("ServiceProxyOptions")
    """Name of this schema: `ServiceProxyOptions`."""
    path: Annotated[str, pb(1)] = ""
    """The path of the request there."""
