"""DOC core/service."""

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
    """DOC ServicePort."""

    name: Annotated[str, pb(1)] = ""
    protocol: Annotated[Protocol, pb(2)] = ""
    app_protocol: Annotated[str | None, pb(6)] = None
    port: Annotated[Int32, pb(3)]
    target_port: Annotated[IntOrString, pb(4)] = 0
    node_port: Annotated[Int32, pb(5)] = 0


class ClientIPConfig(ApiStruct, kw_only=True):
    """DOC ClientIPConfig."""

    timeout_seconds: Annotated[Int32 | None, pb(1)] = None


class SessionAffinityConfig(ApiStruct, kw_only=True):
    """DOC SessionAffinityConfig."""

    client_ip: Annotated[ClientIPConfig | None, pb(1)] = None


class ServiceSpec(ApiStruct, kw_only=True):
    """DOC ServiceSpec."""

    ports: Annotated[
        list[ServicePort], pb(1), patch("merge", key="port"), list_map("port", "protocol")
    ] = []
    selector: Annotated[dict[str, str], pb(2), ATOMIC] = {}
    cluster_ip: Annotated[str, pb(3)] = ""
    cluster_ips: Annotated[list[str], pb(18), LIST_ATOMIC] = []
    type: Annotated[ServiceType, pb(4)] = ""
    external_ips: Annotated[list[str], pb(5), LIST_ATOMIC] = []
    session_affinity: Annotated[ServiceAffinity, pb(7)] = ""
    load_balancer_ip: Annotated[str, pb(8)] = ""
    load_balancer_source_ranges: Annotated[list[str], pb(9), LIST_ATOMIC] = []
    external_name: Annotated[str, pb(10)] = ""
    external_traffic_policy: Annotated[ServiceExternalTrafficPolicy, pb(11)] = ""
    health_check_node_port: Annotated[Int32, pb(12)] = 0
    publish_not_ready_addresses: Annotated[bool, pb(13)] = False
    session_affinity_config: Annotated[SessionAffinityConfig | None, pb(14)] = None
    ip_families: Annotated[list[IPFamily], pb(19), LIST_ATOMIC] = []
    ip_family_policy: Annotated[IPFamilyPolicy | None, pb(17)] = None
    allocate_load_balancer_node_ports: Annotated[bool | None, pb(20)] = None
    load_balancer_class: Annotated[str | None, pb(21)] = None
    internal_traffic_policy: Annotated[ServiceInternalTrafficPolicy | None, pb(22)] = None
    traffic_distribution: Annotated[str | None, pb(23)] = None


class PortStatus(ApiStruct, kw_only=True):
    """DOC PortStatus."""

    port: Annotated[Int32, pb(1)]
    protocol: Annotated[Protocol, pb(2)]
    error: Annotated[str | None, pb(3)] = None


class LoadBalancerIngress(ApiStruct, kw_only=True):
    """DOC LoadBalancerIngress."""

    ip: Annotated[str, pb(1)] = ""
    hostname: Annotated[str, pb(2)] = ""
    ip_mode: Annotated[LoadBalancerIPMode | None, pb(3)] = None
    ports: Annotated[list[PortStatus], pb(4), LIST_ATOMIC] = []


class LoadBalancerStatus(ApiStruct, kw_only=True):
    """DOC LoadBalancerStatus."""

    ingress: Annotated[list[LoadBalancerIngress], pb(1), LIST_ATOMIC] = []


class ServiceStatus(ApiStruct, kw_only=True):
    """DOC ServiceStatus."""

    load_balancer: Annotated[LoadBalancerStatus, pb(1)] = field(default_factory=LoadBalancerStatus)
    conditions: Annotated[list[Condition], pb(2), patch("merge", key="type"), list_map("type")] = []


class Service(ApiStruct, kw_only=True):
    """DOC Service."""

    api_version: str = type_meta("v1")
    kind: str = type_meta("Service")
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    spec: Annotated[ServiceSpec, pb(2)] = field(default_factory=ServiceSpec)
    status: Annotated[ServiceStatus, pb(3)] = field(default_factory=ServiceStatus)
