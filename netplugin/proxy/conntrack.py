"""Forgetting UDP flows whose endpoint is gone (step 7 of the pod's walk, seen from the service).

NAT is decided by the first packet of a flow and remembered. A UDP client that keeps its port (a
resolver, a game, a SIP phone) would send to a dead pod for ever, because each packet keeps the flow
alive. So whenever endpoints of UDP ports change, and now and then, every UDP flow that was addressed
to one of our services is compared with the endpoints that service has now, none included.

`stale` is pure; `Conntrack` lists and deletes over netlink with pyroute2, so that no `conntrack` tool
has to be there; it works in the node's rules thread.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError as KernelError
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple, NFCTSocket

from base.errors import TemporaryError
from netplugin.ipam import Allocation
from netplugin.proxy.model import Backend, ServicePort

log = logging.getLogger(__name__)

UDP = 17
Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Flow:
    """A conversation: how it was addressed, and who really answers."""

    source: Place
    destination: Place
    answers: Place


@dataclass(frozen=True)
class Expectations:
    """Who may answer for what, now."""

    addresses: Mapping[Place, frozenset[Place]] = field(default_factory=dict)
    ports: Mapping[int, frozenset[Place]] = field(default_factory=dict)
    """Node ports and host ports, on any address of the node."""


def expectations(ports: Iterable[ServicePort], hosts: Iterable[Allocation]) -> Expectations:
    """What the UDP ports of these services and pods lead to."""
    addresses: dict[Place, frozenset[Place]] = {}
    by_port: dict[int, frozenset[Place]] = {}
    for port in ports:
        if port.protocol != "udp":
            continue
        for vip in port.vips:
            addresses[vip, port.port] = _places(port.internal_backends)
        outside = _places((*port.external_backends, *port.backends))
        for address in port.addresses_outside:
            addresses[address, port.port] = outside
        if port.node_port:
            by_port[port.node_port] = outside
    for allocation in hosts:
        for host_port in allocation.host_ports:
            if host_port.protocol == "UDP":
                place = (allocation.address, host_port.container_port)
                known = by_port.get(host_port.host_port, frozenset())
                by_port[host_port.host_port] = known | {place}
    return Expectations(addresses, by_port)


def stale(
    flows: Iterable[Flow],
    expected: Expectations,
    *,
    local: frozenset[str],
    service_cidr: IPv4Network,
    cluster_cidr: IPv4Network,
) -> list[Flow]:
    """The flows that lead where nobody should be sent any more. `local`: the node's addresses."""

    def is_stale(flow: Flow) -> bool:
        translated = flow.answers != flow.destination
        allowed = expected.addresses.get(flow.destination)
        ours = allowed is not None or IPv4Address(flow.destination[0]) in service_cidr
        if not ours and flow.destination[0] in local:
            allowed = expected.ports.get(flow.destination[1])
            # Another program's port, unless it leads to a pod, and that can only be our doing.
            ours = allowed is not None or IPv4Address(flow.answers[0]) in cluster_cidr
        if not ours or flow.answers in (allowed or ()):
            return False
        # A flow that was never translated hurts only once there is somewhere to translate it to.
        return translated or bool(allowed)

    return [flow for flow in flows if is_stale(flow)]


class Conntrack:
    """The kernel's table of flows, in the namespace of the calling thread."""

    def flows(self) -> list[Flow]:
        """All UDP flows over IPv4."""
        try:
            with _socket() as sock:
                dump = sock.dump(tuple_orig=NFCTAttrTuple(proto=UDP))
                return [_flow(message) for message in dump if _is_udp(message)]
        except KernelError as error:
            raise TemporaryError(f"cannot list the tracked flows: {error}") from error

    def delete(self, flows: Iterable[Flow]) -> int:
        """How many there were to delete."""
        deleted = 0
        with _socket() as sock:
            for flow in flows:
                original = NFCTAttrTuple(
                    saddr=flow.source[0],
                    sport=flow.source[1],
                    daddr=flow.destination[0],
                    dport=flow.destination[1],
                    proto=UDP,
                )
                try:
                    sock.entry("del", tuple_orig=original)
                    deleted += 1
                except KernelError as error:
                    if error.code != errno.ENOENT:  # it ended by itself
                        raise TemporaryError(f"cannot forget {flow}: {error}") from error
        return deleted


def _socket() -> Any:
    return NFCTSocket()


def _is_udp(message: Any) -> bool:
    original = message.get_attr("CTA_TUPLE_ORIG")
    protocol = original.get_attr("CTA_TUPLE_PROTO") if original else None
    return protocol is not None and protocol.get_attr("CTA_PROTO_NUM") == UDP


def _flow(message: Any) -> Flow:
    original, reply = message.get_attr("CTA_TUPLE_ORIG"), message.get_attr("CTA_TUPLE_REPLY")
    return Flow(
        source=_place(original, "SRC"),
        destination=_place(original, "DST"),
        answers=_place(reply, "SRC"),
    )


def _place(side: Any, which: str) -> Place:
    address = side.get_attr("CTA_TUPLE_IP").get_attr(f"CTA_IP_V4_{which}")
    port = side.get_attr("CTA_TUPLE_PROTO").get_attr(f"CTA_PROTO_{which}_PORT")
    return (str(address), int(port))


def _places(backends: Iterable[Backend]) -> frozenset[Place]:
    return frozenset((backend.address, backend.port) for backend in backends)
