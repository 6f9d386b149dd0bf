"""The node's bridge: where all its pods are plugged in, their gateway, and the home of cluster DNS.

The bridge carries three things beside its ports: the gateway address with the pod range, the DNS
address as a /32 (every node answers for itself), and the route of the whole service range. That
route matters although no packet ever takes it: a program on the node that connects to a VIP needs
some route for the kernel to begin with, before NAT rewrites the destination, and it gives such
connections the bridge's address as source, which every other node can answer.

Concurrency: runs in the node's network thread. Invariant: `ensure` may run at any time and repairs
what is missing; a bridge that is not ours is never touched.
"""

from __future__ import annotations

from ipaddress import IPv4Interface
from pathlib import Path

from base.errors import PermanentError
from netplugin.netlink import Link, Netlink, address_mac
from netplugin.records import Mode, NetworkConfig

VXLAN_OVERHEAD = 50
"""Bytes that the tunnel adds: outer Ethernet, IPv4, UDP and VXLAN headers."""

_MAC_PREFIX = 0x58
_DEFAULT_MTU = 1500


def ensure(netlink: Netlink, config: NetworkConfig) -> Link:
    """The bridge, made or repaired."""
    mac = address_mac(_MAC_PREFIX, config.gateway)
    mtu = pod_mtu(netlink, config)
    bridge = netlink.find(config.bridge) or netlink.add_bridge(config.bridge, mac=mac, mtu=mtu)
    _check_ours(bridge, mac)
    _send_no_redirects(config.bridge)
    if not bridge.up or bridge.mtu != mtu:
        netlink.set_link(bridge.index, up=True, mtu=mtu)
    for address in _addresses(config) - netlink.addresses(bridge.index):
        netlink.ensure_address(bridge.index, address)
    netlink.ensure_route(config.service_cidr, link=bridge.index, source=config.gateway)
    return netlink.link(config.bridge)


def route_loopback(name: str, wanted: bool) -> None:
    """Whether answers to the node's loopback address may come in by the bridge: those of pods that
    have a port of it. What is no answer is refused always (`netplugin.forwarding`)."""
    _switch(name, "route_localnet", wanted)


def remove(netlink: Netlink, config: NetworkConfig) -> None:
    """Take the bridge away, and with it its addresses and routes."""
    bridge = netlink.find(config.bridge)
    if bridge is not None:
        _check_ours(bridge, address_mac(_MAC_PREFIX, config.gateway))
        netlink.delete_link(config.bridge)


def pod_mtu(netlink: Netlink, config: NetworkConfig) -> int:
    """What fits through the uplink, also inside the tunnel where a peer may need it."""
    if config.mtu:
        return config.mtu
    uplink = netlink.find_by_address(config.node_ip)
    mtu = uplink.mtu if uplink else _DEFAULT_MTU
    return mtu if config.mode is Mode.HOST_GW else mtu - VXLAN_OVERHEAD


def _send_no_redirects(name: str) -> None:
    # Packets between pods of a node come and go by the same link, which makes the kernel tell the
    # sender of a shorter way. Pods ignore that; but those messages use up the sender's allowance of
    # ICMP errors, and then the "port unreachable" of a service without endpoints is not sent.
    _switch(name, "send_redirects", False)


def _switch(name: str, setting: str, wanted: bool) -> None:
    path, value = Path(f"/proc/sys/net/ipv4/conf/{name}/{setting}"), str(int(wanted))
    if path.read_text().strip() != value:
        path.write_text(value)


def _addresses(config: NetworkConfig) -> set[IPv4Interface]:
    return {
        IPv4Interface((config.gateway, config.pod_cidr.prefixlen)),
        IPv4Interface((config.cluster_dns, 32)),
    }


def _check_ours(bridge: Link, mac: str) -> None:
    # The MAC is given when the bridge is made and is a function of the pod range: no other program
    # makes a bridge with it, and it is there from the first instant.
    if bridge.kind != "bridge" or bridge.mac != mac:
        raise PermanentError(
            f"link {bridge.name} exists and is not this node's pod bridge "
            f"(it is a {bridge.kind or 'device'} with MAC {bridge.mac}, expected {mac})",
            hint="Remove it, or choose another bridge name. After a change of the pod range, "
            "take the node's network down first.",
        )
