"""The agent's side of the node's network (steps 4 and 6 of the pod's walk).

`LateNetwork` is what pods attach to: it refuses until the node has its pod range and the network is
up, then passes on to `netplugin`. `NetworkFeed` keeps that informed of the other nodes, of Services
and of their endpoints. Changes are gathered for a moment, so that a rollout of fifty pods is a few
rule changes and not fifty; a failure is tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from agent.containers.records import ContainerId
from agent.effects.network import NoNetwork, PodNetwork
from agent.pod.alarm import Alarm
from api.core import Node, Pod, Service
from api.discovery import EndpointSlice
from api.informer import Informer
from api.nodes import zone_of
from api.struct import ApiStruct
from base.clock import Clock
from base.errors import PodwrightError
from base.tasks import TaskGuard
from netplugin.node import NodeNetwork
from netplugin.proxy.model import is_ipv4
from netplugin.records import HostPort, Peer

log = logging.getLogger(__name__)

GATHER = 0.05
"""Seconds in which further changes are waited for."""
RETRY = 5.0
PATIENCE = 5.0
"""Seconds a pod waits for the network of an agent that has just started before it complains."""


class LateNetwork:
    """A `PodNetwork` that comes up later. Who wants to attach before waits for it a little."""

    def __init__(self) -> None:
        self._real: PodNetwork = NoNetwork()
        self._up = asyncio.Event()

    @property
    def ready(self) -> bool:
        return self._up.is_set()

    def use(self, network: PodNetwork) -> None:
        self._real = network
        self._up.set()

    async def attach(self, sandbox: ContainerId, pid: int, pod: Pod) -> str:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._up.wait()
        return await self._real.attach(sandbox, pid, pod)

    async def detach(self, sandbox: ContainerId) -> None:
        await self._real.detach(sandbox)

    async def reconcile(self, live: Iterable[ContainerId]) -> None:
        await self._real.reconcile(live)


class PluginNetwork:
    """`netplugin` as a `PodNetwork`."""

    def __init__(self, network: NodeNetwork) -> None:
        self._network = network

    async def attach(self, sandbox: ContainerId, pid: int, pod: Pod) -> str:
        name = f"{pod.metadata.namespace}/{pod.metadata.name}"
        attachment = await self._network.attach(sandbox, pid, pod=name, host_ports=host_ports(pod))
        return str(attachment.ip)

    async def detach(self, sandbox: ContainerId) -> None:
        await self._network.detach(sandbox)

    async def reconcile(self, live: Iterable[ContainerId]) -> None:
        await self._network.reconcile(set(live))


def host_ports(pod: Pod) -> tuple[HostPort, ...]:
    """Ports of the node that lead to the pod."""
    beside = [c for c in pod.spec.init_containers if c.restart_policy == "Always"]
    return tuple(
        HostPort(
            host_port=port.host_port,
            container_port=port.container_port,
            protocol=port.protocol or "TCP",
            host_ip="" if port.host_ip in ("0.0.0.0", "::") else port.host_ip,
        )
        for container in (*beside, *pod.spec.containers)
        for port in container.ports
        if port.host_port
    )


def peers(nodes: Iterable[Node], *, own: str) -> list[Peer]:
    """The other nodes that have an address and a range.

    What they say of themselves is theirs: one that says nonsense is left out, and nobody else is.
    """
    found = []
    for node in nodes:
        if node.metadata.name == own or not node.spec.pod_cidr:
            continue
        addresses = [a.address for a in node.status.addresses if a.type == "InternalIP"]
        address = next((address for address in addresses if is_ipv4(address)), "")
        if not address:
            continue
        try:
            pod_cidr = IPv4Network(node.spec.pod_cidr)
        except ValueError:
            log.warning("no way to node %s: range %s", node.metadata.name, node.spec.pod_cidr)
            continue
        found.append(Peer(node=node.metadata.name, pod_cidr=pod_cidr, address=IPv4Address(address)))
    return sorted(found, key=lambda peer: peer.node)


def range_problem(node: Node, pod_cidr: str) -> str:
    """Why the range that this node works with is not its own any more; empty while it is.

    A Node that is deleted and comes back may be given another one, while its pods have addresses of
    the first, to which no other node knows a way then.
    """
    given = node.spec.pod_cidr
    if not given or given == pod_cidr:
        return ""
    return (
        f"the pod range of this node was changed from {pod_cidr} to {given}: its pods cannot be "
        "reached from other nodes. Drain it, then reboot it, or take its network down and restart "
        "the agent"
    )


class NetworkFeed:
    """Tells the node's network what the API says."""

    def __init__(
        self,
        network: NodeNetwork,
        *,
        own: str,
        nodes: Informer[Node],
        services: Informer[Service],
        slices: Informer[EndpointSlice],
        clock: Clock,
        guard: TaskGuard,
    ) -> None:
        self._network = network
        self._own = own
        self._nodes = nodes
        self._services = services
        self._slices = slices
        self._clock = clock
        self._guard = guard
        self._peers: list[Peer] | None = None
        self._nodes_changed = Alarm("peers", clock=clock, guard=guard)
        self._services_changed = Alarm("services", clock=clock, guard=guard)
        self._updates = 0
        self._failures = 0

    def start(self) -> None:
        """Follow the informers, under the guard."""
        nodes, services = self._nodes_changed, self._services_changed

        def node_changed(old: Node | None, new: Node | None) -> None:
            nodes.ring()
            if zone_of(old) != zone_of(new) and new is not None and new.metadata.name == self._own:
                services.ring()  # other endpoints may be near now

        def service_changed(old: ApiStruct | None, new: ApiStruct | None) -> None:
            services.ring()

        self._nodes.subscribe(node_changed)
        self._services.subscribe(service_changed)
        self._slices.subscribe(service_changed)
        self._guard.start(self._follow_nodes(), name="peers")
        self._guard.start(self._follow_services(), name="services")

    def statistics(self) -> dict[str, float]:
        return {"network_updates": self._updates, "network_failures": self._failures}

    async def _follow_nodes(self) -> None:
        await self._nodes.synced()
        wait: float | None = 0.0
        while True:
            await self._nodes_changed.wait(wait)
            wait = None
            found = peers(self._nodes.items(), own=self._own)
            if found == self._peers:
                continue
            try:
                await self._network.set_peers(found)
                self._peers = found
                self._updates += 1
            except PodwrightError as error:
                wait = RETRY
                self._failures += 1
                log.warning("ways to other nodes are not made: %s", error)

    async def _follow_services(self) -> None:
        # Without both lists an empty one would take every service away for a moment.
        await self._services.synced()
        await self._slices.synced()
        wait: float | None = 0.0
        while True:
            await self._services_changed.wait(wait)
            await self._clock.sleep(GATHER)
            wait = None
            try:
                zone = zone_of(self._nodes.get(self._own))
                await self._network.set_services(
                    self._services.items(), self._slices.items(), zone=zone
                )
                self._updates += 1
            except PodwrightError as error:
                wait = RETRY
                self._failures += 1
                log.warning("services are not made: %s", error)
