"""Services and slices in few words."""

from __future__ import annotations

from collections.abc import Sequence

from api.core import Service
from api.core.service import ServicePort, ServiceSpec
from api.discovery import (
    Endpoint,
    EndpointConditions,
    EndpointHints,
    EndpointPort,
    EndpointSlice,
    ForNode,
    ForZone,
)
from api.meta import ObjectMeta
from netplugin.proxy.model import SERVICE_NAME_LABEL


def service(
    name: str = "web",
    vip: str = "10.96.1.1",
    *,
    namespace: str = "default",
    ports: Sequence[ServicePort] = (),
    annotations: dict[str, str] | None = None,
    **spec: object,
) -> Service:
    return Service(
        metadata=ObjectMeta(name=name, namespace=namespace, annotations=annotations or {}),
        spec=ServiceSpec(
            cluster_ip=vip,
            ports=list(ports) or [port()],
            **spec,  # type: ignore[arg-type]
        ),
    )


def port(
    name: str = "", number: int = 80, *, node_port: int = 0, protocol: str = "TCP"
) -> ServicePort:
    return ServicePort(name=name, port=number, protocol=protocol, node_port=node_port)


def endpoint(
    address: str,
    *,
    ready: bool | None = None,
    serving: bool | None = None,
    terminating: bool | None = None,
    node: str | None = "node-1",
    hostname: str | None = None,
    zones: Sequence[str] = (),
    nodes: Sequence[str] = (),
) -> Endpoint:
    conditions = EndpointConditions(ready=ready, serving=serving, terminating=terminating)
    made = Endpoint(addresses=[address], conditions=conditions, node_name=node, hostname=hostname)
    if zones or nodes:
        made.hints = EndpointHints(
            for_zones=[ForZone(name=name) for name in zones],
            for_nodes=[ForNode(name=name) for name in nodes],
        )
    return made


def endpoint_slice(
    *endpoints: Endpoint,
    of: str = "web",
    namespace: str = "default",
    ports: Sequence[EndpointPort] = (),
    address_type: str = "IPv4",
) -> EndpointSlice:
    return EndpointSlice(
        metadata=ObjectMeta(name=f"{of}-x", namespace=namespace, labels={SERVICE_NAME_LABEL: of}),
        address_type=address_type,
        endpoints=list(endpoints),
        ports=list(ports) or [EndpointPort(name="", port=8080, protocol="TCP")],
    )
