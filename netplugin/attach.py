"""A pod's cable: a veth pair from the sandbox's namespace to the node's bridge (step 4 of the walk).

The pod sees `eth0` with its address as a /32 and a default route to the bridge. A /32 because then
every packet of a pod passes the node's routing, where NAT and policy act: with the pod range on the
link, pods of one node would answer each other straight over the bridge, and the answer to a
connection made through a VIP would come back untranslated unless br_netfilter is loaded and on. It
works the same with br_netfilter on, where hairpin mode of the port is what lets a pod reach itself.

MACs are functions of addresses, so that a neighbour entry of an earlier pod under the same address,
or of an earlier bridge, is right and not stale. Names on the host side are functions of the sandbox.

Concurrency: runs in the node's network thread, which stays in its namespace; the few messages inside
the pod run in a thread of their own. Invariants: the pair is made by one message, so a killed
process leaves all of it or nothing; everything after that message is idempotent.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

from base.errors import PermanentError
from netplugin.namespaces import Namespace, namespace_path, open_namespace, run_inside
from netplugin.netlink import Netlink, NetlinkError, address_mac

POD_LINK = "eth0"
VETH_PREFIX = "pw"
_VETH_DIGITS = 11
_MAC_PREFIX = 0x58
_EVERYWHERE = IPv4Network("0.0.0.0/0")


@dataclass(frozen=True, kw_only=True)
class Cable:
    """What is to be made."""

    sandbox: str
    namespace: Namespace
    address: IPv4Address
    gateway: IPv4Address
    bridge: int
    mtu: int
    label: str = ""
    """Shown by `ip link` as the alias: whose cable this is."""

    @property
    def mac(self) -> str:
        return pod_mac(self.address)


def veth_name(sandbox: str) -> str:
    """The host's end: 13 of the 15 bytes that the kernel allows."""
    return VETH_PREFIX + hashlib.sha256(sandbox.encode()).hexdigest()[:_VETH_DIGITS]


def is_veth_name(name: str) -> bool:
    """Whether a link may be the host's end of a pod's cable."""
    digits = name.removeprefix(VETH_PREFIX)
    return (
        name.startswith(VETH_PREFIX)
        and len(digits) == _VETH_DIGITS
        and all(digit in "0123456789abcdef" for digit in digits)
    )


def pod_mac(address: IPv4Address) -> str:
    return address_mac(_MAC_PREFIX, address)


def attach(netlink: Netlink, cable: Cable) -> None:
    """Ensure the cable. One that is there, as after a restart of the agent, is looked at and mended."""
    name = veth_name(cable.sandbox)
    with open_namespace(cable.namespace) as inside:
        _check_not_ours(inside, cable)
        port = netlink.find(name)
        if port is not None and run_inside(cable.namespace, lambda: _mend(port.peer, cable)):
            if not port.up or port.master != cable.bridge:
                netlink.set_link(port.index, up=True, master=cable.bridge)
            if port.alias != cable.label:
                netlink.set_link(port.index, alias=cable.label)
            netlink.set_hairpin(port.index)
            return
        if port is not None:
            netlink.delete_link(name)
        _make(netlink, name, inside, cable)
    index = netlink.index(name)
    netlink.set_link(index, alias=cable.label)
    netlink.set_hairpin(index)
    run_inside(cable.namespace, lambda: _configure(cable))


def detach(netlink: Netlink, sandbox: str) -> bool:
    """Remove the cable; False when there is none (it goes with the pod's namespace)."""
    return netlink.delete_link(veth_name(sandbox))


def _check_not_ours(inside: int, cable: Cable) -> None:
    # The sandbox may have ended, and its pid be another process's by now.
    if os.fstat(inside).st_ino == namespace_path(None).stat().st_ino:
        raise PermanentError(
            f"cannot connect sandbox {cable.sandbox} ({cable.label}): "
            f"{namespace_path(cable.namespace)} is the node's own network namespace",
            hint="The sandbox has probably ended; the next one gets a place of its own.",
        )


def _make(netlink: Netlink, name: str, inside: int, cable: Cable) -> None:
    try:
        netlink.add_veth(
            name,
            peer_name=POD_LINK,
            peer_namespace=inside,
            peer_mac=cable.mac,
            mtu=cable.mtu,
            master=cable.bridge,
        )
    except NetlinkError as error:
        raise PermanentError(
            f"cannot connect sandbox {cable.sandbox} ({cable.label}): {error.message}",
            hint=f"Its namespace may already have an {POD_LINK} that is not ours.",
        ) from error


def _mend(peer: int, cable: Cable) -> bool:
    """Put right the far end of an existing cable; False when it is not this pod's, with the right MAC."""
    address = IPv4Interface((cable.address, 32))
    with Netlink() as netlink:
        end = netlink.find(POD_LINK)
        if end is None or end.index != peer or end.mac != cable.mac:
            return False
        if not netlink.is_up("lo"):
            netlink.set_link(netlink.index("lo"), up=True)
        _refuse_redirects()
        found = netlink.addresses(end.index)
        for other in found - {address}:
            netlink.delete_address(end.index, other)
        if address not in found:
            netlink.ensure_address(end.index, address)
        if not end.up:
            netlink.set_link(end.index, up=True)
        netlink.ensure_route(_EVERYWHERE, link=end.index, gateway=cable.gateway, onlink=True)
    return True


def _configure(cable: Cable) -> None:
    with Netlink() as netlink:
        netlink.set_link(netlink.index("lo"), up=True)
        link = netlink.index(POD_LINK)
        _refuse_redirects()
        netlink.ensure_address(link, IPv4Interface((cable.address, 32)))
        netlink.set_link(link, up=True)
        netlink.ensure_route(_EVERYWHERE, link=link, gateway=cable.gateway, onlink=True)


def _refuse_redirects() -> None:
    """The node would tell the pod of shorter ways past its routing, and the pod would take them."""
    for scope in ("all", POD_LINK):
        Path(f"/proc/sys/net/ipv4/conf/{scope}/accept_redirects").write_text("0")
