"""Ports of the node that lead to one of its pods: `hostPort` (step 4 of the pod's walk). Pure.

The chain is visited before node ports, for packets to addresses of the node other than loopback. A
pod that reaches itself over the node's address is masqueraded, like one that uses its VIP.

A port on loopback is for the node's own programs, and has a chain that only their packets come to.
They are masqueraded, too, for the pod could not answer 127.0.0.1; the answers are let in by the
bridge as long as there is such a port (`netplugin.bridge.route_loopback`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from netplugin.ipam import Allocation
from netplugin.proxy.rules import HOSTPORTS, LOOPBACK, MARK_MASQUERADE
from netplugin.records import HostPort
from netplugin.rules.ruleset import ChainId, Jump, Rules, Ruleset, comment
from netplugin.rules.tree import Ports, arrange

_PROTOCOLS = ("tcp", "udp", "sctp")
_ANY = ("", "0.0.0.0", "::")
_ON_LOOPBACK = ChainId("nat", "PW-LOOPBACK-PORTS")


def build(allocations: Iterable[Allocation]) -> Ruleset:
    """The rules of all host ports of the node's pods."""
    entries: dict[str, defaultdict[int, list[str]]] = {
        protocol: defaultdict(list) for protocol in _PROTOCOLS
    }
    on_loopback: list[str] = []
    for allocation in sorted(allocations, key=lambda allocation: allocation.ip):
        for port in allocation.host_ports:
            if port.protocol.lower() not in _PROTOCOLS:
                continue
            if port.on_loopback:
                on_loopback += _rules(allocation, port)
            else:
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
    if not on_loopback:
        return Ruleset(chains)
    chains[_ON_LOOPBACK] = tuple(on_loopback)
    jump = Jump("nat", "OUTPUT", _ON_LOOPBACK.name, f"-d {LOOPBACK}")
    return Ruleset(chains, frozenset({jump}))


def _rules(allocation: Allocation, port: HostPort) -> list[str]:
    protocol = port.protocol.lower()
    only = "" if port.host_ip in _ANY else f"-d {port.host_ip}/32 "
    tag = comment(allocation.pod or allocation.sandbox)
    where = f"-p {protocol} -m {protocol} --dport {port.host_port} {tag}"
    target = f"{allocation.address}:{port.container_port}"
    source = LOOPBACK if port.on_loopback else f"{allocation.address}/32"
    return [
        f"-s {source} {only}{where} -j {MARK_MASQUERADE}",
        f"{only}{where} -j DNAT --to-destination {target}",
    ]
