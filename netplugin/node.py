"""The network of one node, as the agent uses it (steps 4, 6 and 7 of the pod's walk).

    links thread   NodeLinks      bridge, cables, addresses, ways to peers       (netlink)
    rules thread   NodeFirewall   services, host ports, forwarding, UDP flows    (iptables)
    event loop     DnsServer      names; and the upkeep task below

Two threads, so that a pod's cable never waits for the rules of a thousand services. Each does its
jobs in the order they were given. Of several service updates that wait, only the newest is worked on.

Upkeep: every `UPKEEP` seconds, and `DEBOUNCE` seconds after the kernel announces a change of the
firewall that was not ours, rules, bridge, cables and routes are compared with what they should be and
repaired, foreign ones never touched.

Concurrency: all methods are called from one event loop, in any order after `setup`; every one may be
called again. An update that failed is tried again by the upkeep. `close` leaves the network working
without the agent; `teardown` removes all of it, also what a killed process made.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Collection, Iterable, Sequence

from api.core import Service
from api.discovery import EndpointSlice
from base.clock import Clock
from base.errors import PodwrightError
from base.tasks import TaskGuard
from netplugin.dns.server import DnsServer
from netplugin.dns.upstream import Source, Upstream
from netplugin.dns.zone import Zone
from netplugin.firewall import NodeFirewall
from netplugin.links import NodeLinks
from netplugin.namespaces import Namespace
from netplugin.overlay import Plan
from netplugin.proxy.model import service_ports
from netplugin.records import Attachment, HostPort, NetworkConfig, Peer
from netplugin.worker import Worker

log = logging.getLogger(__name__)

UPKEEP = 30.0
DEBOUNCE = 0.5


class NodeNetwork:
    """Everything of one node's network."""

    def __init__(self, config: NetworkConfig, clock: Clock) -> None:
        self.config = config
        self._clock = clock
        self._guard = TaskGuard(f"network of {config.node_name}")
        self._link_worker = Worker("links", config.namespace)
        self._rule_worker = Worker("rules", config.namespace)
        self._links = NodeLinks(config)
        self._firewall = NodeFirewall(config)
        self._dns: DnsServer | None = None
        self._leaving: set[str] = set()
        """Sandboxes whose rules go before their addresses do."""
        self._wake = asyncio.Event()
        self._due = False  # a look is wanted whatever the kernel has announced
        self._heard = 0
        self._listening = -1
        self._newest = 0
        self._repaired = 0
        self._upkeep_failures = 0

    async def setup(self) -> None:
        """Make or take over the node's network, and keep it in repair from now on."""
        await self._link_worker.run(self._links.setup)
        await self._link_worker.run(self._links.cut_orphans)
        allocations = self._links.allocations()
        await self._rule_worker.run(lambda: self._firewall.setup(allocations))
        if self.config.serve_dns and self._dns is None:
            dns = self._make_dns()
            await dns.start()
            self._dns = dns
        if self._listening < 0:
            self._listen()
            self._guard.start(self._tick(), name="upkeep timer")
            self._guard.start(self._upkeep(), name="upkeep")

    async def failed(self) -> None:
        """Wait until a background task has failed, and raise its error."""
        await self._guard.failed()

    async def close(self) -> None:
        """Stop working; everything made stays and goes on working."""
        await self._stop()
        await self._link_worker.run(self._links.close)
        await self._rule_worker.run(self._firewall.close)
        self._end_threads()

    async def teardown(self) -> None:
        """Remove everything; `setup` need not have been called. Ends this object."""
        await self._stop()
        await self._rule_worker.run(self._firewall.teardown)
        await self._link_worker.run(self._links.teardown)
        self._end_threads()

    # -- pods ------------------------------------------------------------------------------------

    async def attach(
        self,
        sandbox_id: str,
        netns: Namespace,
        *,
        pod: str = "",
        host_ports: Iterable[HostPort] = (),
    ) -> Attachment:
        """Ensure a sandbox's place in the network. `netns`: a pid in it, or a path; `pod`:
        `namespace/name`, for people."""
        ports = tuple(host_ports)
        attachment = await self._link_worker.run(
            lambda: self._links.attach(sandbox_id, netns, pod=pod, host_ports=ports)
        )
        if ports:
            await self._sync_host_ports()
        return attachment

    async def detach(self, sandbox_id: str) -> None:
        """Give up a sandbox's place; nothing happens when it has none."""
        allocation = self._links.find(sandbox_id)
        self._leaving.add(sandbox_id)
        try:
            if allocation is not None and allocation.host_ports:
                await self._sync_host_ports()
            await self._link_worker.run(lambda: self._links.detach(sandbox_id))
        finally:
            self._leaving.discard(sandbox_id)

    async def reconcile(self, live: Collection[str]) -> list[str]:
        """Give up the places of all sandboxes but these; returns which. Not while a sandbox that is
        missing in `live` is being attached."""
        keep = frozenset(live)
        dead = await self._link_worker.run(lambda: self._links.dead(keep))
        for sandbox in dead:
            await self.detach(sandbox)
        await self._link_worker.run(self._links.cut_orphans)
        return dead

    def attachment(self, sandbox_id: str) -> Attachment | None:
        """The place a sandbox has, from memory."""
        return self._links.attachment(sandbox_id)

    # -- the cluster -----------------------------------------------------------------------------

    async def set_peers(self, peers: Sequence[Peer]) -> Plan:
        """Make the ways to exactly these other nodes; says which way each got."""
        plan = await self._link_worker.run(lambda: self._links.set_peers(peers))
        direct = [peer.address for peer in plan.direct]
        await self._rule_worker.run(lambda: self._firewall.set_direct_peers(direct))
        for peer in plan.unreachable:
            log.warning(
                "node %s (%s) is on no link of ours: mode host-gw cannot reach it",
                peer.node,
                peer.address,
            )
        return plan

    async def set_services(
        self,
        services: Iterable[Service],
        endpoint_slices: Iterable[EndpointSlice],
        *,
        zone: str = "",
    ) -> None:
        """Make exactly these services work, by address and by name. `zone`: where the node is."""
        mine = self._newest = self._newest + 1
        service_list, slice_list = list(services), list(endpoint_slices)

        def job() -> Zone | None:
            if mine != self._newest:  # a newer one waits behind this
                return None
            own = self.config.node_name
            ports = service_ports(service_list, slice_list, node=own, zone=zone)
            self._firewall.set_services(ports)
            return self._zone(service_list, slice_list)

        try:
            names = await self._rule_worker.run(job)
        except PodwrightError:
            # Names must not wait for a firewall that is in trouble; rules are tried again later.
            self._look()
            names = self._zone(service_list, slice_list)
            self._set_zone(names, mine)
            raise
        self._set_zone(names, mine)

    def statistics(self) -> dict[str, float]:
        """Figures of all parts, for metrics."""
        parts = {
            "links": self._links.statistics(),
            "rules": self._firewall.statistics(),
            "dns": self._dns.statistics() if self._dns else {},
            "links_thread": self._link_worker.statistics(),
            "rules_thread": self._rule_worker.statistics(),
        }
        figures = {f"{part}_{name}": v for part, of in parts.items() for name, v in of.items()}
        figures["repaired"] = self._repaired
        figures["upkeep_failures"] = self._upkeep_failures
        return figures

    # -- upkeep ----------------------------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(UPKEEP)
            self._look()

    async def _upkeep(self) -> None:
        while True:
            await self._wake.wait()
            await self._clock.sleep(DEBOUNCE)  # whoever reloads a firewall makes many changes
            self._wake.clear()
            if not self._due and self._heard <= self._firewall.known_generation:
                continue  # it was our own change, heard before its author had noted it
            self._due = False
            try:
                repaired = await self._rule_worker.run(self._firewall.verify)
                await self._link_worker.run(self._links.ensure)
            except (PodwrightError, OSError) as error:
                self._upkeep_failures += 1
                log.warning("the network's upkeep failed, next try in %g s: %s", UPKEEP, error)
            else:
                self._repaired += len(repaired)

    def _listen(self) -> None:
        monitor = self._firewall.monitor
        assert monitor is not None
        self._listening = monitor.fileno()
        asyncio.get_running_loop().add_reader(self._listening, self._hear)

    def _hear(self) -> None:
        monitor = self._firewall.monitor
        generation = monitor.read() if monitor else 0
        if generation is None:  # announcements were lost
            self._look()
        elif generation > self._firewall.known_generation:
            self._heard = generation
            self._wake.set()

    def _look(self) -> None:
        self._due = True
        self._wake.set()

    # -- parts -----------------------------------------------------------------------------------

    async def _sync_host_ports(self) -> None:
        def job() -> None:
            # Read when the job runs: of several pods that come and go at once, the last job sees all.
            held = [a for a in self._links.allocations() if a.sandbox not in self._leaving]
            self._firewall.set_host_ports(held)

        await self._rule_worker.run(job)

    def _make_dns(self) -> DnsServer:
        config = self.config
        source = Source(fixed=config.upstream_dns, file=config.resolv_conf, own=config.cluster_dns)
        return DnsServer(
            address=config.cluster_dns,
            domain=config.domain,
            nothing=self._zone((), ()),
            upstream=Upstream(source, namespace=config.namespace),
            guard=self._guard,
            shuffle=random.Random(),
            namespace=config.namespace,
        )

    def _zone(self, services: Sequence[Service], slices: Sequence[EndpointSlice]) -> Zone:
        config = self.config
        return Zone(
            services,
            slices,
            domain=config.domain,
            server=config.cluster_dns,
            ranges=(config.service_cidr, config.cluster_cidr),
        )

    def _set_zone(self, zone: Zone | None, version: int) -> None:
        if self._dns is not None and zone is not None and version == self._newest:
            self._dns.set_zone(zone)

    async def _stop(self) -> None:
        if self._listening >= 0:
            asyncio.get_running_loop().remove_reader(self._listening)
            self._listening = -1
        if self._dns is not None:
            await self._dns.stop()
            self._dns = None
        await self._guard.close()

    def _end_threads(self) -> None:
        self._link_worker.close()
        self._rule_worker.close()
