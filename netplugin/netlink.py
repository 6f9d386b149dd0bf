"""The kernel's routing netlink as a few typed verbs; nobody else talks to pyroute2 about links and routes.

Every step of the network part of the pod's walk goes through here: bridge, veth pairs, addresses,
routes, VXLAN. A `Netlink` is one socket, opened in the network namespace of the thread that made it
and speaking to that namespace for ever after, whatever the thread does later.

Concurrency: an object belongs to the thread that made it; nothing here is locked. That thread runs
no event loop, because pyroute2 runs one of asyncio's own in it; a process on uvloop must choose that
by `loop_factory`, not by the global policy, or pyroute2 would get a uvloop, which knows no netlink.
Invariants: `ensure_*` and `delete_*` may be called twice; a kernel error becomes a `NetlinkError`
naming what was attempted, with the errno kept.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from types import TracebackType
from typing import Any, Self

from pyroute2.iproute import IPRoute
from pyroute2.netlink.exceptions import NetlinkDumpInterrupted
from pyroute2.netlink.exceptions import NetlinkError as KernelError

from base.errors import PermanentError, TemporaryError

ROUTE_PROTOCOL = 112
"""Marks the routes that are ours (`ip route show proto 112`); rt_protos gives no meaning to it."""

_UP = 1  # IFF_UP
_GET_FLAGS = 0x8913  # SIOCGIFFLAGS
_REQUEST = struct.Struct("16sH22x")
"""struct ifreq of netdevice(7), as far as its flags."""
_PERMANENT = 0x80  # NUD_PERMANENT
_SCOPE_LINK = 253
_SCOPE_GLOBAL = 0
_MAIN_TABLE = 254
_DUMPS = 5


class NetlinkError(PermanentError):
    """The kernel refused. `errno` says why."""

    def __init__(self, message: str, *, errno: int) -> None:
        super().__init__(f"{message}: {os.strerror(errno)}")
        self.errno = errno


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface as the kernel describes it."""

    index: int
    name: str
    kind: str
    """`veth`, `bridge`, `vxlan`...; empty for hardware and loopback."""
    mac: str
    mtu: int
    up: bool
    master: int
    """Index of the bridge it is a port of; 0 when none."""
    alias: str
    peer: int
    """A veth's other end: its index in its own namespace; 0 when none."""


@dataclass(frozen=True, slots=True)
class Route:
    destination: IPv4Network
    gateway: IPv4Address | None
    link: int
    """Index of the outgoing link."""
    onlink: bool = False


@dataclass(frozen=True, slots=True)
class Neighbour:
    link: int
    mac: str
    address: str
    """An IP address: a neighbour's own, or in a VXLAN's table the address of the node behind it."""


class Netlink:
    """One netlink socket in the namespace of the calling thread."""

    def __init__(self) -> None:
        self._ip: Any = IPRoute()

    def close(self) -> None:
        self._ip.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @staticmethod
    def _dump(request: Callable[..., Iterable[Any]], *arguments: Any, **options: Any) -> list[Any]:
        """A whole list from the kernel; asked for again when it changed while it was being read."""
        for _ in range(_DUMPS):
            try:
                return list(request(*arguments, **options))
            except NetlinkDumpInterrupted:
                continue
            except KernelError as error:
                raise _translated(error, "cannot read the kernel's tables") from error
        raise TemporaryError(f"the kernel's tables changed during each of {_DUMPS} readings")

    # -- links ---------------------------------------------------------------------------------

    def find(self, name: str) -> Link | None:
        """The link of this name, or None."""
        try:
            messages = list(self._ip.link("get", ifname=name))
        except KernelError as error:
            if error.code == errno.ENODEV:
                return None
            raise _translated(error, f"cannot read link {name}") from error
        return _link(messages[0]) if messages else None

    def link(self, name: str) -> Link:
        """The link of this name; an error when it is not there."""
        found = self.find(name)
        if found is None:
            raise NetlinkError(f"cannot find link {name}", errno=errno.ENODEV)
        return found

    def index(self, name: str) -> int:
        """The link's index alone: a small system call, where `link` reads and decodes 2 KB. Must be
        called by a thread that is still in this socket's namespace."""
        try:
            return socket.if_nametoindex(name)
        except OSError as error:
            raise NetlinkError(f"cannot find link {name}", errno=errno.ENODEV) from error

    @staticmethod
    def is_up(name: str) -> bool:
        """As small a call as `index`, and for the same threads."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            try:
                answer = fcntl.ioctl(any_socket, _GET_FLAGS, _REQUEST.pack(name.encode(), 0))
            except OSError as error:
                raise NetlinkError(f"cannot find link {name}", errno=errno.ENODEV) from error
        flags: int = _REQUEST.unpack(answer)[1]
        return bool(flags & _UP)

    def by_index(self, index: int) -> Link | None:
        try:
            messages = list(self._ip.link("get", index=index))
        except KernelError as error:
            if error.code == errno.ENODEV:
                return None
            raise _translated(error, f"cannot read link {index}") from error
        return _link(messages[0]) if messages else None

    def links(self) -> list[Link]:
        return [_link(message) for message in self._dump(self._ip.get_links)]

    def find_by_address(self, address: IPv4Address) -> Link | None:
        """The link that carries this address."""
        messages = self._dump(self._ip.get_addr, family=socket.AF_INET, local=str(address))
        return self.by_index(messages[0]["index"]) if messages else None

    def add_bridge(self, name: str, *, mac: str = "", mtu: int = 0) -> Link:
        # forward_delay 0 and no spanning tree: a port forwards the moment it is up.
        options: dict[str, Any] = {"br_forward_delay": 0, "br_stp_state": 0}
        self._add_link(name, "bridge", mac=mac, mtu=mtu, **options)
        return self.link(name)

    def add_veth(
        self,
        name: str,
        *,
        peer_name: str,
        peer_namespace: int,
        peer_mac: str = "",
        mtu: int = 0,
        master: int = 0,
        up: bool = True,
    ) -> None:
        """A pair whose far end is born inside the namespace of that file descriptor: one message,
        so a killed process leaves either nothing or the whole pair."""
        peer: dict[str, Any] = {"ifname": peer_name, "net_ns_fd": peer_namespace}
        if peer_mac:
            peer["address"] = peer_mac
        if mtu:
            peer["mtu"] = mtu
        options: dict[str, Any] = {"master": master} if master else {}
        self._add_link(name, "veth", mtu=mtu, up=up, peer=peer, **options)

    def add_vxlan(
        self, name: str, *, vni: int, port: int, local: IPv4Address, mac: str, mtu: int
    ) -> Link:
        self._add_link(
            name,
            "vxlan",
            mac=mac,
            mtu=mtu,
            vxlan_id=vni,
            vxlan_port=port,
            vxlan_local=str(local),
            vxlan_learning=False,
        )
        return self.link(name)

    def _add_link(
        self, name: str, kind: str, *, mac: str = "", mtu: int = 0, up: bool = True, **options: Any
    ) -> None:
        if mac:
            options["address"] = mac
        if mtu:
            options["mtu"] = mtu
        with _attempt(f"cannot make {kind} {name}"):
            self._ip.link("add", ifname=name, kind=kind, state="up" if up else "down", **options)

    def set_link(
        self,
        index: int,
        *,
        up: bool | None = None,
        mtu: int | None = None,
        mac: str | None = None,
        master: int | None = None,
        alias: str | None = None,
        name: str | None = None,
    ) -> None:
        """Change what is given."""
        given = {
            "state": None if up is None else ("up" if up else "down"),
            "mtu": mtu,
            "address": mac,
            "master": master,
            "ifalias": alias,
            "ifname": name,
        }
        changes = {key: value for key, value in given.items() if value is not None}
        with _attempt(f"cannot change link {index} ({changes})"):
            self._ip.link("set", index=index, **changes)

    def move_link(self, index: int, namespace: int) -> None:
        """Give the link to the namespace of this file descriptor."""
        with _attempt(f"cannot move link {index}"):
            self._ip.link("set", index=index, net_ns_fd=namespace)

    def set_hairpin(self, index: int) -> None:
        """Let the bridge send a frame back out of the port it came from: a pod that reaches itself
        through its service needs it where bridged packets pass iptables (br_netfilter)."""
        with _attempt(f"cannot set hairpin on link {index}"):
            self._ip.brport("set", index=index, mode=1)

    def delete_link(self, name: str) -> bool:
        """True when there was one."""
        found = self.find(name)
        if found is None:
            return False
        try:
            self._ip.link("del", index=found.index)
        except KernelError as error:
            if error.code == errno.ENODEV:  # its namespace died meanwhile and took it along
                return False
            raise _translated(error, f"cannot delete link {name}") from error
        return True

    # -- addresses -----------------------------------------------------------------------------

    def addresses(self, index: int = 0) -> set[IPv4Interface]:
        """Of this link, or of all."""
        only = {"index": index} if index else {}
        return {
            IPv4Interface(f"{message.get_attr('IFA_LOCAL')}/{message['prefixlen']}")
            for message in self._dump(self._ip.get_addr, family=socket.AF_INET, **only)
        }

    def ensure_address(self, index: int, address: IPv4Interface) -> None:
        with _attempt(f"cannot give {address} to link {index}"):
            self._ip.addr(
                "replace",
                index=index,
                address=str(address.ip),
                prefixlen=address.network.prefixlen,
            )

    def delete_address(self, index: int, address: IPv4Interface) -> None:
        with _attempt(f"cannot take {address} from link {index}", but=errno.EADDRNOTAVAIL):
            self._ip.addr(
                "del", index=index, address=str(address.ip), prefixlen=address.network.prefixlen
            )

    # -- routes --------------------------------------------------------------------------------

    def ensure_route(
        self,
        destination: IPv4Network,
        *,
        link: int,
        gateway: IPv4Address | None = None,
        source: IPv4Address | None = None,
        onlink: bool = False,
        protocol: int = ROUTE_PROTOCOL,
    ) -> None:
        """Add the route, or replace the one to this destination."""
        options: dict[str, Any] = {}
        if gateway is not None:
            options["gateway"] = str(gateway)
        if source is not None:
            options["prefsrc"] = str(source)
        if onlink:
            options["flags"] = ["onlink"]
        with _attempt(f"cannot add a route to {destination}"):
            self._ip.route(
                "replace",
                dst=str(destination),
                oif=link,
                proto=protocol,
                scope=_SCOPE_LINK if gateway is None else _SCOPE_GLOBAL,
                **options,
            )

    def routes(self, *, protocol: int = ROUTE_PROTOCOL) -> list[Route]:
        """The main table's routes of this protocol."""
        found = []
        for message in self._dump(
            self._ip.get_routes, proto=protocol, family=socket.AF_INET, table=_MAIN_TABLE
        ):
            gateway = message.get_attr("RTA_GATEWAY")
            found.append(
                Route(
                    destination=IPv4Network(
                        f"{message.get_attr('RTA_DST') or '0.0.0.0'}/{message['dst_len']}"
                    ),
                    gateway=None if gateway is None else IPv4Address(gateway),
                    link=message.get_attr("RTA_OIF") or 0,
                    onlink=bool(message["flags"] & 4),  # RTNH_F_ONLINK
                )
            )
        return found

    def delete_route(self, destination: IPv4Network, *, protocol: int = ROUTE_PROTOCOL) -> None:
        with _attempt(f"cannot delete the route to {destination}", but=errno.ESRCH):
            self._ip.route("del", dst=str(destination), proto=protocol, table=_MAIN_TABLE)

    def route_to(self, address: IPv4Address) -> Route | None:
        """The way a packet to `address` would take; None when there is none."""
        try:
            message = self._ip.route("get", dst=str(address))[0]
        except KernelError as error:
            if error.code in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EINVAL):
                return None
            raise _translated(error, f"cannot look up the route to {address}") from error
        gateway = message.get_attr("RTA_GATEWAY")
        return Route(
            destination=IPv4Network(address),
            gateway=None if gateway is None else IPv4Address(gateway),
            link=message.get_attr("RTA_OIF") or 0,
        )

    # -- neighbours and the forwarding tables of VXLAN -------------------------------------------

    def neighbours(self, index: int) -> set[Neighbour]:
        """The permanent ones: those that somebody configured."""
        return {
            Neighbour(index, message.get_attr("NDA_LLADDR") or "", message.get_attr("NDA_DST"))
            for message in self._dump(self._ip.get_neighbours, family=socket.AF_INET, ifindex=index)
            if message["state"] & _PERMANENT
        }

    def ensure_neighbour(self, neighbour: Neighbour) -> None:
        with _attempt(f"cannot add {neighbour}"):
            self._ip.neigh(
                "replace",
                ifindex=neighbour.link,
                dst=neighbour.address,
                lladdr=neighbour.mac,
                state="permanent",
            )

    def delete_neighbour(self, neighbour: Neighbour) -> None:
        with _attempt(f"cannot delete {neighbour}", but=errno.ENOENT):
            self._ip.neigh("del", ifindex=neighbour.link, dst=neighbour.address)

    def tunnels(self, index: int) -> set[Neighbour]:
        """A VXLAN's forwarding table: which node is behind which MAC."""
        return {
            Neighbour(index, message.get_attr("NDA_LLADDR"), message.get_attr("NDA_DST"))
            for message in self._dump(self._ip.fdb, "dump", ifindex=index)
            if message.get_attr("NDA_DST")
        }

    def ensure_tunnel(self, tunnel: Neighbour) -> None:
        with _attempt(f"cannot add {tunnel}", but=errno.EEXIST):
            self._ip.fdb("append", ifindex=tunnel.link, lladdr=tunnel.mac, dst=tunnel.address)

    def delete_tunnel(self, tunnel: Neighbour) -> None:
        with _attempt(f"cannot delete {tunnel}", but=errno.ENOENT):
            self._ip.fdb("del", ifindex=tunnel.link, lladdr=tunnel.mac, dst=tunnel.address)


def address_mac(prefix: int, address: IPv4Address) -> str:
    """A locally administered MAC that is a function of the address, so that whoever cached it
    stays right when a pod or a whole bridge is made again under the same address."""
    octets = bytes([0x0A, prefix]) + address.packed
    return ":".join(f"{octet:02x}" for octet in octets)


def _link(message: Any) -> Link:
    info = message.get_attr("IFLA_LINKINFO")
    return Link(
        index=message["index"],
        name=message.get_attr("IFLA_IFNAME"),
        kind=(info.get_attr("IFLA_INFO_KIND") or "") if info else "",
        mac=message.get_attr("IFLA_ADDRESS") or "",
        mtu=message.get_attr("IFLA_MTU") or 0,
        up=bool(message["flags"] & _UP),
        master=message.get_attr("IFLA_MASTER") or 0,
        alias=message.get_attr("IFLA_IFALIAS") or "",
        peer=message.get_attr("IFLA_LINK") or 0,
    )


@contextmanager
def _attempt(what: str, *, but: int = 0) -> Iterator[None]:
    """Translate the kernel's refusal; the errno `but` means that nothing was left to do."""
    try:
        yield
    except KernelError as error:
        if error.code != but:
            raise _translated(error, what) from error


def _translated(error: Any, what: str) -> NetlinkError:
    return NetlinkError(what, errno=int(error.code))
