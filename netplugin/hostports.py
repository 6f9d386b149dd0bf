"""Ports of the node that lead to one of its pods: `hostPort` (step 4 of the pod's walk). Pure.

The chain is visited before node ports, for packets to addresses of the node other than loopback. A
pod that reaches itself over the node's address is masqueraded, like one that uses its VIP.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from netplugin.ipam import Allocation
from netplugin.proxy.rules import HOSTPORTS, MARK_MASQUERADE
from netplugin.records import HostPort
from netplugin.rules.ruleset import ChainId, Rules, Ruleset, comment
from netplugin.rules.tree import Ports, arrange

_PROTOCOLS = ("tcp", "udp", "sctp")
_ANY = ("", "0.0.0.0", "::")


def build(allocations: Iterable[Allocation]) -> Ruleset:
    """The rules of all host ports of the node's pods."""
    entries: dict[str, defaultdict[int, list[str]]] = {
        protocol: defaultdict(list) for protocol in _PROTOCOLS
    }
    for allocation in sorted(allocations, key=lambda allocation: allocation.ip):
        for port in allocation.host_ports:
            if port.protocol.lower() in _PROTOCOLS:
                entries[port.protocol.lower()][port.host_port] += _rules(allocation, port)
    chains: dict[ChainId, Rules] = {}
    ways = []
    for protocol in _PROTOCOLS:
        if entries[protocol]:
            root = ChainId("nat", f"{HOSTPORTS}-{protocol}")
            frozen = {port: tuple(rules) for port, rules in entries[protocol].items()}
            chains |= arrange(root, "HOSTPORTS", frozen, Ports(protocol))
            ways.append(f"-p {protocol} -j {root.name}")
    chains[ChainId("nat", HOSTPORTS)] = tuple(ways)
    return Ruleset(chains)


def _rules(allocation: Allocation, port: HostPort) -> list[str]:
    protocol = port.protocol.lower()
    only = "" if port.host_ip in _ANY else f"-d {port.host_ip}/32 "
    tag = comment(allocation.pod or allocation.sandbox)
    where = f"-p {protocol} -m {protocol} --dport {port.host_port} {tag}"
    target = f"{allocation.address}:{port.container_port}"
    return [
        f"-s {allocation.address}/32 {only}{where} -j {MARK_MASQUERADE}",
        f"{only}{where} -j DNAT --to-destination {target}",
    ]
