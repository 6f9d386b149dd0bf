"""Service ports → a Ruleset (step 6 of the pod's walk). Pure.

The way of a new connection (later packets of it never come here, conntrack knows them):

    PREROUTING, OUTPUT ─ PW-SERVICES ┬ PW-VIP-…  tree over addresses: VIPs, external addresses
                                     ├ PW-HOSTPORTS                 (netplugin.hostports)
                                     └ PW-NODEPORTS  tree over ports, for addresses of the node
        PW-SVC-web.http-…  one rule per endpoint, each with equal probability → DNAT
        PW-SVL-…           the same with the endpoints of this node only (Local policies)
        PW-EXT-…           what came from outside: masquerade, then SVC or SVL
        PW-SEP-…           one endpoint, where more than DNAT is to be done (affinity, hairpin)

    INPUT, FORWARD, OUTPUT ─ PW-REFUSE  what no endpoint serves is refused at once

A VIP without endpoints needs no rule of its own: whatever is still addressed to the service range
when it is to be forwarded was not translated, and one rule refuses it (netplugin.forwarding).

Probabilities: rule i of n is taken with 1/(n-i), which makes all equal. Endpoint chains exist only
for pods of this node, who may reach themselves through the VIP and must then be masqueraded to see
the answer come back the same way, and where client affinity is asked for; all other endpoints are
a DNAT in the service's chain, which keeps the ruleset small and readable.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from netplugin.proxy.model import Backend, ServicePort
from netplugin.rules.ruleset import PREFIX, ChainId, Jump, Rules, Ruleset, chain_name, comment
from netplugin.rules.tree import Addresses, Ports, arrange

SERVICES = ChainId("nat", "PW-SERVICES")
NODEPORTS = "PW-NODEPORTS"
HOSTPORTS = "PW-HOSTPORTS"
LOOPBACK = "127.0.0.0/8"
MARK_MASQUERADE = "PW-MARK-MASQ"
SERVICE_CHAINS = tuple(
    f"PW-{kind}"
    for kind in ("SERVICES", "VIP-", "NODEPORTS-", "SVC-", "SVL-", "EXT-", "SEP-", "REFUSE", "RE-")
)
"""How the names of all chains made here begin."""
REFUSE = ChainId("filter", "PW-REFUSE")
"""Visited by new connections from INPUT, FORWARD and OUTPUT (netplugin.forwarding)."""

_PROTOCOLS = ("tcp", "udp", "sctp")
_HALF = 2**31  # the statistic match counts in units of 2^-31


@dataclass(frozen=True, kw_only=True)
class Site:
    """What of the node shapes the rules."""

    pod_cidr: IPv4Network
    cluster_cidr: IPv4Network
    service_cidr: IPv4Network
    cluster_dns: str
    """Answered by the node itself, never translated."""
    affinity: bool = True
    """Whether the kernel has the `recent` match."""


@dataclass
class _Draft:
    """Rules being collected."""

    chains: dict[ChainId, Rules] = field(default_factory=dict)
    by_address: defaultdict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    by_port: dict[str, defaultdict[int, list[str]]] = field(
        default_factory=lambda: {protocol: defaultdict(list) for protocol in _PROTOCOLS}
    )
    refused_addresses: defaultdict[int, list[str]] = field(
        default_factory=lambda: defaultdict(list)
    )
    refused_ports: dict[str, defaultdict[int, list[str]]] = field(
        default_factory=lambda: {protocol: defaultdict(list) for protocol in _PROTOCOLS}
    )


def build(ports: Iterable[ServicePort], site: Site) -> Ruleset:
    """The rules of all services; HOSTPORTS and MARK_MASQUERADE are made elsewhere."""
    draft = _Draft()
    for port in ports:
        if site.cluster_dns not in port.vips:
            _add(draft, port, site)
    chains = draft.chains
    # With -j, what a branch does not know comes back and is tried as a node port: an external
    # address may be the node's own.
    chains |= arrange(
        SERVICES,
        "VIP",
        _freeze(draft.by_address),
        Addresses(),
        verb="-j",
        last=(f"{to_node()} -j {HOSTPORTS}", *_by_port(chains, "nat", NODEPORTS, draft.by_port)),
    )
    chains |= arrange(
        REFUSE,
        "RE",
        _freeze(draft.refused_addresses),
        Addresses(),
        verb="-j",
        last=_by_port(chains, "filter", REFUSE.name, draft.refused_ports),
    )
    jumps = {Jump("nat", chain, SERVICES.name) for chain in ("PREROUTING", "OUTPUT")}
    return Ruleset(chains, frozenset(jumps))


def to_node(protocol: str = "") -> str:
    """The match for addresses of the node, but not loopback: to translate that, the kernel must be
    told to route loopback addresses, and then neighbours could reach what listens on 127.0.0.1."""
    only = f"-p {protocol} " if protocol else ""
    return f"! -d {LOOPBACK} {only}-m addrtype --dst-type LOCAL"


def spread(count: int) -> list[str]:
    """The matches that give each of `count` rules, tried in turn, the same chance."""
    return [
        f"-m statistic --mode random --probability {_probability(left)} "
        for left in range(count, 1, -1)
    ] + [""] * min(count, 1)


def chain_of(kind: str, port: ServicePort, *more: str) -> ChainId:
    """The chain's name: what a person reads and what makes it unique."""
    digest = hashlib.sha256("/".join((*port.key, *more)).encode()).hexdigest()[:8].upper()
    readable = f"{port.service}.{port.port_name}" if port.port_name else port.service
    return ChainId("nat", chain_name(kind, readable, digest))


def _by_port(
    chains: dict[ChainId, Rules],
    table: str,
    name: str,
    entries: dict[str, defaultdict[int, list[str]]],
) -> Rules:
    """A tree of ports for each protocol that has any, added to `chains`; the ways into them."""
    rules = []
    for protocol in _PROTOCOLS:
        if entries[protocol]:
            root = ChainId(table, f"{name}-{protocol}")
            branch = name.removeprefix(PREFIX)
            chains |= arrange(root, branch, _freeze(entries[protocol]), Ports(protocol))
            rules.append(f"{to_node(protocol)} -g {root.name}")
    return tuple(rules)


def _add(draft: _Draft, port: ServicePort, site: Site) -> None:
    tag = comment(port.name)
    where = f"-p {port.protocol} -m {port.protocol} --dport {port.port} {tag}"
    cluster = _spread_chain(draft, "SVC", port, port.backends, site)
    local = _spread_chain(draft, "SVL", port, port.local_backends, site)
    internal = local if port.internal_local else cluster
    for vip in port.vips:
        if internal:
            draft.by_address[_number(vip)].append(f"-d {vip}/32 {where} -g {internal.name}")
        elif IPv4Address(vip) not in site.service_cidr:
            draft.refused_addresses[_number(vip)] += _refusals(f"-d {vip}/32 {where}", port)
    _add_external(draft, port, where, cluster, local, site)


def _add_external(
    draft: _Draft,
    port: ServicePort,
    where: str,
    cluster: ChainId | None,
    local: ChainId | None,
    site: Site,
) -> None:
    if not port.addresses_outside and not port.node_port:
        return
    tag = comment(port.name)
    served = port.protocol
    by_node_port = f"-p {served} -m {served} --dport {port.node_port} {tag}"
    if not port.external_backends:
        for address in port.addresses_outside:
            draft.refused_addresses[_number(address)] += _refusals(f"-d {address}/32 {where}", port)
        if port.node_port:
            draft.refused_ports[served][port.node_port] += _refusals(by_node_port, port)
    if cluster is None:
        return
    entry = chain_of("EXT", port)
    draft.chains[entry] = _external_rules(port, cluster, local, site)
    for address in port.addresses_outside:
        draft.by_address[_number(address)] += _guarded(port, address, where, entry)
    if port.node_port:
        draft.by_port[served][port.node_port].append(f"{by_node_port} -g {entry.name}")


def _external_rules(
    port: ServicePort, cluster: ChainId, local: ChainId | None, site: Site
) -> Rules:
    tag = comment(port.name)
    if not port.external_local:
        return (f"{tag} -j {MARK_MASQUERADE}", f"{tag} -g {cluster.name}")
    # Local keeps the client's address, so it may only choose endpoints of this node. Pods and the
    # node itself are not "external": they get the whole service, whichever address they use.
    rules = [
        f"-s {site.cluster_cidr} {tag} -g {cluster.name}",
        f"{tag} -m addrtype --src-type LOCAL -j {MARK_MASQUERADE}",
        f"{tag} -m addrtype --src-type LOCAL -g {cluster.name}",
    ]
    return (*rules, f"{tag} -g {local.name}") if local else tuple(rules)


def _guarded(port: ServicePort, address: str, where: str, entry: ChainId) -> list[str]:
    """The way in over an external address, for those whom the service lets in."""
    way = f"-d {address}/32 {where} -g {entry.name}"
    if not port.source_ranges or address not in port.balancer:
        return [way]
    return [f"-s {source} {way}" for text in port.source_ranges if (source := _network(text))]


def _network(text: str) -> str:
    """The range; empty for one of another family, or none: that lets nobody in."""
    try:
        return str(IPv4Network(text.strip(), strict=False))
    except ValueError:
        return ""


def _refusals(where: str, port: ServicePort) -> list[str]:
    """Refuse what no endpoint serves. With the Local policy the API documents silence instead: a
    load balancer must take this node for dead, not for one that answers."""
    if port.external_local and port.backends:
        return [f"{where} -j DROP"]
    if port.protocol == "tcp":
        return [f"{where} -j REJECT --reject-with tcp-reset"]
    return [f"{where} -j REJECT --reject-with icmp-port-unreachable"]


def _spread_chain(
    draft: _Draft, kind: str, port: ServicePort, backends: Sequence[Backend], site: Site
) -> ChainId | None:
    """The chain that picks one of the backends; None when there is none."""
    if not backends or not _needed(kind, port):
        return None
    chain = chain_of(kind, port)
    seconds = port.affinity if site.affinity else 0
    # Whoever is not a pod gets its address replaced, so that the answer comes back over this node.
    # (What came in by an external address has been dealt with, and is not addressed to a VIP.)
    internal = (kind == "SVL") == port.internal_local
    rules = [
        f"! -s {site.cluster_cidr} -d {vip}/32 {comment(port.name)} -j {MARK_MASQUERADE}"
        for vip in (port.vips if internal else ())
    ]
    if seconds:
        rules += [
            f"{_remembered(_endpoint_chain(port, backend), seconds)} "
            f"-g {_endpoint_chain(port, backend).name}"
            for backend in backends
        ]
    for backend, chance in zip(backends, spread(len(backends)), strict=True):
        if seconds or IPv4Address(backend.address) in site.pod_cidr:
            endpoint = _endpoint_chain(port, backend)
            draft.chains[endpoint] = _endpoint_rules(port, backend, endpoint, seconds)
            rules.append(f"{chance}-g {endpoint.name}")
        else:
            rules.append(f"-p {port.protocol} {chance}-j DNAT --to-destination {backend}")
    draft.chains[chain] = tuple(rules)
    return chain


def _needed(kind: str, port: ServicePort) -> bool:
    if kind == "SVL":
        return port.internal_local or port.external_local
    return not port.internal_local or bool(port.addresses_outside) or bool(port.node_port)


def _endpoint_chain(port: ServicePort, backend: Backend) -> ChainId:
    return chain_of("SEP", port, str(backend))


def _endpoint_rules(port: ServicePort, backend: Backend, chain: ChainId, seconds: int) -> Rules:
    tag = comment(port.name)
    affinity = ""
    if seconds:
        affinity = f"-m recent --set --name {chain.name} --mask 255.255.255.255 --rsource "
    return (
        f"-s {backend.address}/32 {tag} -j {MARK_MASQUERADE}",
        f"-p {port.protocol} {affinity}-j DNAT --to-destination {backend}",
    )


def _remembered(chain: ChainId, seconds: int) -> str:
    return (
        f"-m recent --rcheck --seconds {seconds} --reap "
        f"--name {chain.name} --mask 255.255.255.255 --rsource"
    )


def _probability(left: int) -> str:
    # iptables-save prints what the kernel stores, not what was given.
    return f"{round(_HALF / left) / _HALF:.11f}"


def _freeze(entries: dict[int, list[str]]) -> dict[int, Rules]:
    return {key: tuple(rules) for key, rules in entries.items()}


def _number(address: str) -> int:
    return int(IPv4Address(address))
