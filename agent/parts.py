"""What an agent has before it is put together (`assembly.py`; step 4 of the pod's walk): its connections, and
what it reads of its settings and its cluster.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from agent.containers.interface import Runtime
from agent.node.join import Access
from agent.settings import AgentSettings
from agent.spec import dns
from api.client import HttpClient
from api.core import Node, Pod, Service
from api.discovery import EndpointSlice
from api.informer import Informer
from base.clock import Clock
from base.tasks import TaskGuard
from netplugin.records import Mode, NetworkConfig

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What an agent is made of."""

    settings: AgentSettings
    name: str
    address: str
    runtime: Runtime
    access: Access
    client: HttpClient
    clock: Clock
    guard: TaskGuard


@dataclass(frozen=True, kw_only=True)
class Informers:
    """What the API shows the agent of its cluster."""

    pods: Informer[Pod]
    nodes: Informer[Node]
    services: Informer[Service]
    slices: Informer[EndpointSlice]


def informers(parts: Parts) -> Informers:
    """Those of this node, not started yet."""
    client, clock = parts.client, parts.clock
    return Informers(
        pods=Informer(client, Pod, field_selector=f"spec.nodeName={parts.name}", clock=clock),
        nodes=Informer(client, Node, clock=clock),
        services=Informer(client, Service, clock=clock),
        slices=Informer(client, EndpointSlice, clock=clock),
    )


def resolvers(settings: AgentSettings) -> dns.ResolvConf:
    """The node's own; none if they cannot be read."""
    try:
        return dns.parse(settings.resolv_conf.read_text())
    except OSError as error:
        log.warning("%s cannot be read: %s", settings.resolv_conf, error.strerror)
        return dns.ResolvConf()


def network_config(parts: Parts, pod_cidr: str) -> NetworkConfig:
    """What the pod network is made by, once the node has its range."""
    settings = parts.settings
    return NetworkConfig(
        node_name=parts.name,
        node_ip=IPv4Address(parts.address),
        pod_cidr=IPv4Network(pod_cidr),
        cluster_cidr=IPv4Network(settings.cluster_cidr),
        service_cidr=IPv4Network(settings.service_cidr),
        cluster_dns=IPv4Address(settings.cluster_dns),
        state_dir=settings.state_dir / "network",
        domain=settings.cluster_domain,
        bridge=settings.bridge,
        mode=Mode(settings.network_mode),
        resolv_conf=settings.resolv_conf,
    )
