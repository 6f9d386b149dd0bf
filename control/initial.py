"""The objects every cluster begins with: namespaces, priority classes, flow schemas, its own Services.

Made where they are missing, at start and every minute after, through the same API as everything
else: somebody's change of them survives, somebody's deletion does not for long. What must follow the
machine (the address behind `default/kubernetes`) is brought up to date.
"""

from __future__ import annotations

import ipaddress
import logging
from typing import TypeVar

from api import errors
from api.client import Client
from api.core import (
    EndpointAddress,
    EndpointPort,
    Endpoints,
    EndpointSubset,
    Namespace,
    Service,
    ServicePort,
    ServiceSpec,
)
from api.discovery import Endpoint, EndpointConditions, EndpointSlice
from api.discovery import EndpointPort as SlicePort
from api.flowcontrol import FlowSchema, PriorityLevelConfiguration
from api.meta import ObjectMeta
from api.scheduling import PriorityClass
from api.struct import ApiStruct
from base.clock import Clock
from base.tasks import persist
from control.apiserver.fairness import defaults
from control.resources.scheduling.priorityclass import SYSTEM_CLASSES, SystemClass
from control.settings import ControlSettings

log = logging.getLogger(__name__)

T = TypeVar("T", bound=ApiStruct)

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
RESYNC_SECONDS = 60.0
RETRY_SECONDS = 5.0
_HTTPS = 443


async def begin(client: Client, settings: ControlSettings, advertised: str) -> bool:
    """Make them as the server starts; False when that cannot be done now.

    The server starts all the same: were it a webhook that refuses them, or cannot be asked, nobody
    could take that back any more.
    """
    try:
        await ensure(client, settings, advertised)
    except errors.ApiError as error:
        log.warning("an initial object cannot be made now: %s", error)
        return False
    return True


async def keep(
    client: Client, settings: ControlSettings, advertised: str, clock: Clock, *, made: bool = True
) -> None:
    """Ensure them for ever. What fails once (a namespace still going away) is tried again."""

    async def step() -> None:
        nonlocal made
        await clock.sleep(RESYNC_SECONDS if made else RETRY_SECONDS)
        made = await begin(client, settings, advertised)

    await persist(step, what="keeping the initial objects", clock=clock)


async def ensure(client: Client, settings: ControlSettings, advertised: str) -> None:
    """Make what is missing."""
    for name in NAMESPACES:
        await _ensure(client, Namespace(metadata=ObjectMeta(name=name)))
    for one in SYSTEM_CLASSES:
        await _ensure(client, priority_class(one))
    await _ensure_flows(client)
    await _ensure(client, kubernetes_service(settings.kubernetes_service_ip, settings.port))
    await _ensure(client, dns_service(settings.cluster_dns))
    if ipaddress.ip_address(advertised).is_loopback:
        log.warning(
            "%s is a loopback address: pods and other nodes cannot reach the API server; "
            "give --advertise-address an address of this machine",
            advertised,
        )
        return
    endpoints = kubernetes_endpoints(advertised, settings.port)
    if await _ensure(client, endpoints):
        current = await client.get(Endpoints, "kubernetes", "default")
        if current.subsets != endpoints.subsets:
            current.subsets = endpoints.subsets
            await client.update(current)
    wanted = kubernetes_slice(advertised, settings.port)
    if await _ensure(client, wanted):
        found = await client.get(EndpointSlice, "kubernetes", "default")
        if (found.endpoints, found.ports) != (wanted.endpoints, wanted.ports):
            found.endpoints, found.ports = wanted.endpoints, wanted.ports
            await client.update(found)


async def _ensure(client: Client, obj: ApiStruct) -> bool:
    """Create the object; True when it was there already."""
    try:
        await client.create(obj)
    except errors.ApiError as error:
        if errors.is_already_exists(error):
            return True
        raise
    log.info("made %s %s", type(obj).__name__, obj.metadata.name)  # type: ignore[attr-defined]
    return False


async def _ensure_flows(client: Client) -> None:
    """As `_ensure`; those that say so follow what this version of the server would make."""
    flows: tuple[FlowSchema | PriorityLevelConfiguration, ...]
    flows = (*defaults.LEVELS, *defaults.SCHEMAS)
    for wanted in flows:
        if not await _ensure(client, wanted):
            continue
        current = await client.get(type(wanted), wanted.metadata.name)
        follows = current.metadata.annotations.get(defaults.AUTO_UPDATE) == "true"
        if follows and current.spec != wanted.spec:
            current.spec = wanted.spec
            await client.update(current)


def priority_class(one: SystemClass) -> PriorityClass:
    """A class for what the cluster itself cannot do without."""
    return PriorityClass(
        metadata=ObjectMeta(name=one.name), value=one.value, description=one.description
    )


def kubernetes_service(address: str, port: int) -> Service:
    """How pods reach the API."""
    return Service(
        metadata=ObjectMeta(
            name="kubernetes",
            namespace="default",
            labels={"component": "apiserver", "provider": "kubernetes"},
        ),
        spec=ServiceSpec(
            cluster_ip=address,
            ports=[ServicePort(name="https", port=_HTTPS, target_port=port, protocol="TCP")],
        ),
    )


def kubernetes_endpoints(address: str, port: int) -> Endpoints:
    return Endpoints(
        metadata=ObjectMeta(
            name="kubernetes",
            namespace="default",
            labels={"endpointslice.kubernetes.io/skip-mirror": "true"},
        ),
        subsets=[
            EndpointSubset(
                addresses=[EndpointAddress(ip=address)],
                ports=[EndpointPort(name="https", port=port, protocol="TCP")],
            )
        ],
    )


def kubernetes_slice(address: str, port: int) -> EndpointSlice:
    return EndpointSlice(
        metadata=ObjectMeta(
            name="kubernetes",
            namespace="default",
            labels={"kubernetes.io/service-name": "kubernetes"},
        ),
        address_type="IPv4",
        endpoints=[Endpoint(addresses=[address], conditions=EndpointConditions(ready=True))],
        ports=[SlicePort(name="https", port=port, protocol="TCP")],
    )


def dns_service(address: str) -> Service:
    """The cluster's DNS. Each node answers at this address itself; it has no endpoints."""
    return Service(
        metadata=ObjectMeta(
            name="kube-dns",
            namespace="kube-system",
            labels={"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS"},
        ),
        spec=ServiceSpec(
            cluster_ip=address,
            ports=[
                ServicePort(name="dns", port=53, target_port=53, protocol="UDP"),
                ServicePort(name="dns-tcp", port=53, target_port=53, protocol="TCP"),
            ],
        ),
    )
