"""The node's links as one thing: bridge, cables, addresses, ways to peers (step 4 of the pod's walk).

Concurrency: everything runs in the node's links thread. Invariants: every method may be called
again; an address is taken before its cable is made and freed after it is gone, so that whenever the
process is killed no two pods share one.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from netplugin import attach, bridge
from netplugin.attach import Cable
from netplugin.ipam import Allocation, Ipam
from netplugin.linknews import LinkNews
from netplugin.namespaces import Namespace
from netplugin.netlink import Netlink
from netplugin.overlay import Overlay, Plan
from netplugin.records import Attachment, HostPort, NetworkConfig, Peer
from netplugin.sysctls import Sysctls

log = logging.getLogger(__name__)

# Forwarding is what makes the machine a node. Redirects: see bridge; the kernel sends them if either
# the switch of the link or this one is on.
_SWITCHES = (("net/ipv4/ip_forward", "1"), ("net/ipv4/conf/all/send_redirects", "0"))


@dataclass(frozen=True)
class _Scene:
    """While it is the same, a look at every link finds what the last one has found."""

    version: int
    """Of the links, as `LinkNews` counts."""
    bridge: int
    cables: frozenset[str]
    """Names that the cables of the sandboxes with an address have."""


class NodeLinks:
    """What one node has plugged in."""

    def __init__(self, config: NetworkConfig) -> None:
        self._config = config
        self._folder: Path = config.state_dir / "ipam"
        self._sysctls = Sysctls(config.state_dir / "sysctls.json")
        self._overlay = Overlay(config)
        self._peers: tuple[Peer, ...] | None = None
        self._netlink_: Netlink | None = None
        self._news_: LinkNews | None = None
        self._plugged: _Scene | None = None
        self._cut: _Scene | None = None
        self._ipam_: Ipam | None = None
        self._bridge = 0
        self._mtu = 0
        self._attached = 0

    def setup(self) -> None:
        """Make what every node has."""
        self._config.state_dir.mkdir(parents=True, exist_ok=True)
        for name, value in _SWITCHES:
            self._sysctls.ensure(name, value)
        self._ensure_bridge()
        self._ipam  # noqa: B018 (takes the folder's lock now, not at the first pod)

    def attach(
        self, sandbox: str, namespace: Namespace, *, pod: str, host_ports: tuple[HostPort, ...]
    ) -> Attachment:
        """Ensure the sandbox's address and cable."""
        allocation = self._ipam.allocate(sandbox, pod=pod, host_ports=host_ports)
        cable = Cable(
            sandbox=sandbox,
            namespace=namespace,
            address=allocation.ip,
            gateway=self._config.gateway,
            bridge=self._bridge,
            mtu=self._mtu,
            label=pod,
        )
        attach.attach(self._netlink, cable)
        self._route_loopback()
        self._attached += 1
        return self._attachment(allocation)

    def detach(self, sandbox: str) -> bool:
        """Remove cable and address; False when there were none."""
        cut = attach.detach(self._netlink, sandbox)
        released = self._ipam.release(sandbox)
        self._route_loopback()
        return released or cut

    def attachment(self, sandbox: str) -> Attachment | None:
        """The place a sandbox has, without looking at the kernel."""
        allocation = self._ipam.find(sandbox)
        return None if allocation is None else self._attachment(allocation)

    def find(self, sandbox: str) -> Allocation | None:
        return self._ipam.find(sandbox)

    def allocations(self) -> list[Allocation]:
        return self._ipam.allocations()

    def dead(self, live: Collection[str]) -> list[str]:
        """Sandboxes that hold an address without being among the living."""
        return [a.sandbox for a in self._ipam.allocations() if a.sandbox not in live]

    def cut_orphans(self) -> None:
        """Remove cables on our bridge that belong to no sandbox with an address."""
        scene = self._scene()
        if scene == self._cut:
            return
        for link in self._netlink.links():
            ours = link.kind == "veth" and attach.is_veth_name(link.name)
            if ours and link.master == self._bridge and link.name not in scene.cables:
                log.warning("removing link %s (%s): no sandbox has it", link.name, link.alias)
                self._netlink.delete_link(link.name)
        self._cut = scene

    def set_peers(self, peers: Sequence[Peer]) -> Plan:
        """Make the ways to exactly these nodes."""
        self._peers = tuple(peers)
        return self._overlay.apply(self._netlink, self._peers)

    def ensure(self) -> None:
        """Repair what somebody took away."""
        self._ensure_bridge()
        scene = self._scene()
        if scene != self._plugged:
            for link in self._netlink.links():
                if link.name in scene.cables and (link.master != self._bridge or not link.up):
                    log.warning("plugging %s (%s) in again", link.name, link.alias)
                    self._netlink.set_link(link.index, up=True, master=self._bridge)
                    self._netlink.set_hairpin(link.index)
            self._plugged = scene
        if self._peers is not None:
            self._overlay.apply(self._netlink, self._peers)

    def teardown(self) -> None:
        """Remove everything this node ever made, also when another process made it."""
        names = self._cables()
        found = self._netlink.find(self._config.bridge)
        for link in self._netlink.links():
            plugged = found is not None and link.master == found.index
            if link.name in names or (plugged and attach.is_veth_name(link.name)):
                self._netlink.delete_link(link.name)
        self._overlay.remove(self._netlink)
        bridge.remove(self._netlink, self._config)
        self._sysctls.restore()
        self.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def close(self) -> None:
        """Let go of sockets and locks; the network stays."""
        if self._netlink_ is not None:
            self._netlink_.close()
            self._netlink_ = None
        if self._news_ is not None:
            self._news_.close()
            self._news_ = None
            self._plugged = self._cut = None
        if self._ipam_ is not None:
            self._ipam_.close()
            self._ipam_ = None

    def statistics(self) -> dict[str, float]:
        plan = self._overlay.plan
        return {
            **(self._ipam_.statistics() if self._ipam_ else {}),
            "attached": self._attached,
            "peers_direct": len(plan.direct),
            "peers_tunnelled": len(plan.tunnelled),
            "peers_unreachable": len(plan.unreachable),
        }

    def _attachment(self, allocation: Allocation) -> Attachment:
        return Attachment(
            ip=allocation.ip, gateway=self._config.gateway, mac=attach.pod_mac(allocation.ip)
        )

    def _ensure_bridge(self) -> None:
        found = bridge.ensure(self._netlink, self._config)
        self._bridge, self._mtu = found.index, found.mtu
        self._route_loopback()

    def _route_loopback(self) -> None:
        held = self._ipam.allocations()
        wanted = any(port.on_loopback for a in held for port in a.host_ports)
        bridge.route_loopback(self._config.bridge, wanted)

    def _cables(self) -> frozenset[str]:
        return frozenset(attach.veth_name(a.sandbox) for a in self._ipam.allocations())

    def _scene(self) -> _Scene:
        if self._news_ is None:
            self._news_ = LinkNews()
        return _Scene(self._news_.version(), self._bridge, self._cables())

    @property
    def _netlink(self) -> Netlink:
        if self._netlink_ is None:
            self._netlink_ = Netlink()
        return self._netlink_

    @property
    def _ipam(self) -> Ipam:
        if self._ipam_ is None:
            self._ipam_ = Ipam(self._folder, self._config.pod_cidr, reserved=[self._config.gateway])
        return self._ipam_
