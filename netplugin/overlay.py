"""The ways to the pods of other nodes: a direct route over a shared link, or the VXLAN tunnel.

A direct route sends packets as they are. The tunnel (`pwvx0`) is for peers behind a router, which
knows nothing of pod addresses. It never learns nor floods: for each peer there is one forwarding
entry (its tunnel MAC → its node address), one permanent neighbour and one route. Tunnel MACs and
tunnel addresses are functions of node address and pod range, so nothing has to be exchanged.

Concurrency: runs in the node's network thread. Invariants: `decide` is pure; `apply` changes only
what differs, touches only routes of our protocol and the tunnel device, and the tunnel exists
exactly while some peer needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

from base.errors import PermanentError
from netplugin.bridge import VXLAN_OVERHEAD
from netplugin.netlink import Link, Neighbour, Netlink, Route, address_mac
from netplugin.records import Mode, NetworkConfig, Peer

TUNNEL = "pwvx0"
VNI = 0x7077  # "pw"
PORT = 8472  # Linux' own default; 4789 belongs to Docker's overlays on the same host

_MAC_PREFIX = 0x57
_DEFAULT_MTU = 1500


@dataclass(frozen=True)
class Plan:
    """Which peers are reached how."""

    direct: tuple[Peer, ...] = ()
    tunnelled: tuple[Peer, ...] = ()
    unreachable: tuple[Peer, ...] = ()
    """Peers that the mode host-gw cannot serve: no link is shared with them."""


def decide(
    peers: Sequence[Peer], config: NetworkConfig, ways: dict[IPv4Address, Route | None]
) -> Plan:
    """The plan; `ways` holds the node's own route to each peer's address."""
    direct, tunnelled, unreachable = [], [], []
    for peer in sorted(peers, key=lambda peer: peer.node):
        if peer.node == config.node_name or peer.pod_cidr.overlaps(config.pod_cidr):
            continue
        way = ways.get(peer.address)
        on_link = way is not None and way.gateway is None
        if config.mode is Mode.VXLAN or (config.mode is Mode.AUTO and not on_link):
            tunnelled.append(peer)
        elif on_link:
            direct.append(peer)
        else:
            unreachable.append(peer)
    return Plan(tuple(direct), tuple(tunnelled), tuple(unreachable))


def tunnel_mac(node: IPv4Address) -> str:
    return address_mac(_MAC_PREFIX, node)


def tunnel_address(peer: Peer) -> IPv4Address:
    """The network address of the pod range, which no pod gets."""
    return peer.pod_cidr.network_address


class Overlay:
    """Applies plans."""

    def __init__(self, config: NetworkConfig) -> None:
        self._config = config
        self.plan = Plan()

    def apply(self, netlink: Netlink, peers: Sequence[Peer]) -> Plan:
        """Make the ways to exactly these peers."""
        ways = {peer.address: netlink.route_to(peer.address) for peer in peers}
        plan = decide(peers, self._config, ways)
        routes = [self._direct_route(peer, ways[peer.address]) for peer in plan.direct]
        routes += self._tunnel(netlink, plan.tunnelled)
        self._sync_routes(netlink, routes)
        if not plan.tunnelled:
            netlink.delete_link(TUNNEL)
        self.plan = plan
        return plan

    def remove(self, netlink: Netlink) -> None:
        self.apply(netlink, ())

    @staticmethod
    def _direct_route(peer: Peer, way: Route | None) -> Route:
        assert way is not None
        return Route(peer.pod_cidr, peer.address, way.link)

    def _tunnel(self, netlink: Netlink, peers: Sequence[Peer]) -> list[Route]:
        if not peers:
            return []
        device = self._ensure_tunnel(netlink).index
        entries = {Neighbour(device, tunnel_mac(p.address), str(p.address)) for p in peers}
        known = netlink.tunnels(device)
        for entry in known - entries:
            netlink.delete_tunnel(entry)
        for entry in entries - known:
            netlink.ensure_tunnel(entry)
        neighbours = {
            Neighbour(device, tunnel_mac(p.address), str(tunnel_address(p))) for p in peers
        }
        known = netlink.neighbours(device)
        for neighbour in known - neighbours:
            netlink.delete_neighbour(neighbour)
        for neighbour in neighbours - known:
            netlink.ensure_neighbour(neighbour)
        return [Route(p.pod_cidr, tunnel_address(p), device, onlink=True) for p in peers]

    def _ensure_tunnel(self, netlink: Netlink) -> Link:
        config = self._config
        mac = tunnel_mac(config.node_ip)
        uplink = netlink.find_by_address(config.node_ip)
        mtu = config.mtu or (uplink.mtu if uplink else _DEFAULT_MTU) - VXLAN_OVERHEAD
        device = netlink.find(TUNNEL)
        if device is not None and (device.kind != "vxlan" or device.mac != mac):
            raise PermanentError(
                f"link {TUNNEL} exists and is not this node's tunnel",
                hint=f"Remove it: ip link del {TUNNEL}",
            )
        if device is None:
            device = netlink.add_vxlan(
                TUNNEL, vni=VNI, port=PORT, local=config.node_ip, mac=mac, mtu=mtu
            )
        netlink.set_link(device.index, up=True, mtu=mtu)
        own = IPv4Interface((config.pod_cidr.network_address, 32))
        netlink.ensure_address(device.index, own)
        return device

    def _sync_routes(self, netlink: Netlink, wanted: Sequence[Route]) -> None:
        known = netlink.routes()
        destinations = {route.destination for route in wanted} | {self._config.service_cidr}
        for route in known:
            if route.destination not in destinations:
                netlink.delete_route(route.destination)
        for route in wanted:
            if route not in known:
                netlink.ensure_route(
                    route.destination,
                    link=route.link,
                    gateway=route.gateway,
                    onlink=route.onlink,
                )
