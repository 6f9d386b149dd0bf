"""The node's firewall as one thing: services, host ports, forwarding, and their upkeep (step 6).

Each part is a Ruleset of its own; what is applied is all of them together. After a restart of the
agent the parts that must come from the API (services, peers) are first taken over from the kernel as
they are, so that services keep working while the control plane is away.

Concurrency: everything runs in the node's rules thread, but `known_generation`, which the event loop
reads. Invariant: what is in the kernel is the last desired ruleset, or the next `sync` makes it so.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address

from base.errors import PodwrightError, TemporaryError
from netplugin import forwarding, hostports
from netplugin.ipam import Allocation
from netplugin.netlink import Netlink
from netplugin.proxy import rules
from netplugin.proxy.conntrack import Conntrack, Expectations, expectations, stale
from netplugin.proxy.model import ServicePort
from netplugin.records import NetworkConfig
from netplugin.rules import tables
from netplugin.rules.keeper import Iptables, RuleKeeper
from netplugin.rules.monitor import RulesMonitor
from netplugin.rules.ruleset import Observed, Ruleset

log = logging.getLogger(__name__)

_RECENT = "-m recent --set --name PW-PROBE --mask 255.255.255.255 --rsource"


class NodeFirewall:
    """All our rules on one node."""

    def __init__(self, config: NetworkConfig) -> None:
        self._config = config
        self._iptables = Iptables()
        self._keeper = RuleKeeper(self._iptables)
        self._conntrack = Conntrack()
        self._tables_file = config.state_dir / "tables.json"
        self._affinity = True
        self._ports: Sequence[ServicePort] | None = None
        self._services = Ruleset()
        self._leaving = Ruleset()
        self._host_ports = Ruleset()
        self._allocations: Sequence[Allocation] = ()
        self._flows_deleted = 0
        self._counted = Expectations()
        self.monitor: RulesMonitor | None = None
        self.known_generation = 0
        """Changes to the firewall up to this one are ours, or have been looked at."""

    def setup(self, allocations: Sequence[Allocation]) -> None:
        """Put in what does not depend on the API, and keep what does as it is."""
        self._config.state_dir.mkdir(parents=True, exist_ok=True)
        tables.record(self._tables_file, self._iptables.save())
        self.monitor = self.monitor or RulesMonitor()
        self._affinity = self._keeper.supports(_RECENT)
        if not self._affinity:
            log.warning("this kernel has no `recent` match: sessionAffinity is not honoured")
        self._allocations = allocations
        self._host_ports = hostports.build(allocations)
        found = self._keeper.observe()
        self._services = _taken_over(found, rules.build((), self._site), rules.SERVICE_CHAINS)
        self._leaving = _taken_over(
            found, forwarding.leaving(self._config, ()), forwarding.LEAVING_CHAINS
        )
        try:
            self.sync()
        except TemporaryError as error:
            # What an earlier version left cannot be kept; then better no services than no network.
            log.warning("starting with empty rules: %s", error)
            self._services = rules.build((), self._site)
            self._leaving = forwarding.leaving(self._config, ())
            self.sync()

    def set_services(self, ports: Sequence[ServicePort]) -> bool:
        """Make exactly these work; False when nothing changed."""
        self._ports = ports
        self._services = rules.build(ports, self._site)
        changed = self.sync()
        self._forget_flows()
        return changed

    def set_host_ports(self, allocations: Sequence[Allocation]) -> None:
        self._allocations = allocations
        self._host_ports = hostports.build(allocations)
        self.sync()
        self._forget_flows()

    def set_direct_peers(self, peers: Iterable[IPv4Address]) -> None:
        self._leaving = forwarding.leaving(self._config, sorted(peers))
        self.sync()

    def sync(self) -> bool:
        """Apply what is desired."""
        with _Ours(self):
            return self._keeper.apply(self._desired())

    def verify(self) -> list[str]:
        """Look whether everything is still there, repair, and name what was wrong."""
        generation = self.monitor.generation() if self.monitor else 0
        with _Ours(self):
            self._keeper.apply(self._desired())
            wrong = self._keeper.verify()
        if not wrong:
            self.known_generation = max(self.known_generation, generation)
        self._forget_flows(always=True)
        return wrong

    def teardown(self) -> None:
        """Take everything of ours out, also when another process put it in."""
        self._keeper.remove()
        tables.remove_ours(self._tables_file, self._iptables.save())
        self.close()

    def close(self) -> None:
        """Let go of sockets; the rules stay."""
        if self.monitor is not None:
            self.monitor.close()
            self.monitor = None

    def statistics(self) -> dict[str, float]:
        return {
            **self._keeper.statistics(),
            "session_affinity": float(self._affinity),
            "flows_deleted": self._flows_deleted,
        }

    @property
    def transactions(self) -> int:
        return self._keeper.transactions

    @property
    def _site(self) -> rules.Site:
        config = self._config
        return rules.Site(
            pod_cidr=config.pod_cidr,
            cluster_cidr=config.cluster_cidr,
            service_cidr=config.service_cidr,
            cluster_dns=str(config.cluster_dns),
            affinity=self._affinity,
        )

    def _desired(self) -> Ruleset:
        return forwarding.build(self._config) | self._leaving | self._host_ports | self._services

    def _forget_flows(self, *, always: bool = False) -> None:
        """Delete UDP flows to endpoints that are gone."""
        if self._ports is None:
            return  # what is there now is not known to be wrong
        expected = expectations(self._ports, self._allocations)
        if expected == self._counted and not (always and (expected.addresses or expected.ports)):
            return
        try:
            gone = stale(
                self._conntrack.flows(),
                expected,
                local=_local_addresses(),
                service_cidr=self._config.service_cidr,
                cluster_cidr=self._config.cluster_cidr,
            )
            self._flows_deleted += self._conntrack.delete(gone) if gone else 0
        except (OSError, PodwrightError) as error:
            log.warning("cannot look through the tracked flows: %s", error)
            return
        self._counted = expected
        if gone:
            log.info("forgot %d UDP flows to endpoints that are gone", len(gone))


class _Ours:
    """Counts the transactions made inside, so that hearing of them later alarms nobody."""

    def __init__(self, firewall: NodeFirewall) -> None:
        self._firewall = firewall
        self._generation = 0
        self._transactions = 0

    def __enter__(self) -> None:
        monitor = self._firewall.monitor
        self._generation = monitor.generation() if monitor else 0
        self._transactions = self._firewall.transactions

    def __exit__(self, *_: object) -> None:
        monitor = self._firewall.monitor
        generation = monitor.generation() if monitor else 0
        made = self._firewall.transactions - self._transactions
        # Only if nobody else did anything meanwhile, nor between our last look and our beginning.
        quiet = self._generation <= self._firewall.known_generation or not self._generation
        first = self._firewall.known_generation == 0
        if generation == self._generation + made and (quiet or first):
            self._firewall.known_generation = generation


def _taken_over(found: Observed, nothing: Ruleset, names: tuple[str, ...]) -> Ruleset:
    """The chains of one part as the kernel has them; `nothing` where it has none."""
    kept = {chain: r for chain, r in found.chains.items() if chain.name.startswith(names)}
    if nothing.chains.keys() - kept.keys():
        return nothing
    return Ruleset(kept, nothing.jumps)


def _local_addresses() -> frozenset[str]:
    with Netlink() as netlink:
        return frozenset(str(address.ip) for address in netlink.addresses())
