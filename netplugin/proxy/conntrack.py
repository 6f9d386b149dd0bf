"""Forgetting UDP flows whose endpoint is gone (step 7 of the pod's walk, seen from the service).

NAT is decided by the first packet of a flow and remembered. A UDP client that keeps its port (a
resolver, a game, a SIP phone) would send to a dead pod for ever, because each packet keeps the flow
alive. So whenever endpoints of UDP ports change, and now and then, every UDP flow that was addressed
to one of our services is compared with the endpoints that service has now, none included.

`stale` is pure; `Conntrack` lists and deletes over netlink (`ctnetlink.py`), so that no `conntrack` tool
has to be there; it works in the node's rules thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from base.errors import TemporaryError
from netplugin.ipam import Allocation
from netplugin.proxy import ctnetlink
from netplugin.proxy.ctnetlink import Flow, Place
from netplugin.proxy.model import Backend, ServicePort


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
        found: list[Flow] = []
        try:
            for answer in ctnetlink.talk([ctnetlink.dump()]):
                some, last = ctnetlink.flows(answer)
                found += some
                if last:
                    break
        except OSError as error:
            raise TemporaryError(f"cannot list the tracked flows: {error}") from error
        return found

    def delete(self, flows: Sequence[Flow]) -> int:
        """How many there were to delete."""
        gone = 0
        for begin in range(0, len(flows), ctnetlink.TOGETHER):
            gone += self._delete(flows[begin : begin + ctnetlink.TOGETHER])
        return gone

    def _delete(self, flows: Sequence[Flow]) -> int:
        orders = [ctnetlink.deletion(flow, number) for number, flow in enumerate(flows, 1)]
        answered = gone = 0
        try:
            for answer in ctnetlink.talk(orders):
                some, there = ctnetlink.deleted(answer)
                answered, gone = answered + some, gone + there
                if answered >= len(orders):
                    break
        except OSError as error:
            raise TemporaryError(f"cannot forget flows: {error}") from error
        return gone


def _places(backends: Iterable[Backend]) -> frozenset[Place]:
    return frozenset((backend.address, backend.port) for backend in backends)
