"""NetworkPolicy: which connections pods may have. It stands in the way of step 6 of the walk."""

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network

from api import validation
from api.core.container import Protocol
from api.fielderrors import FieldError, Path, forbidden, invalid, not_supported, required
from api.networking import (
    IPBlock,
    NetworkPolicy,
    NetworkPolicyPeer,
    NetworkPolicyPort,
    PolicyType,
)
from api.scheme import resource_of
from control.resources.checks import (
    check_enum,
    check_port,
    check_port_or_name,
    check_selector,
    enum_values,
)
from control.resources.columns import format_selector
from control.resources.strategy import Column, Strategy

INGRESS, EGRESS = "Ingress", "Egress"
_SPEC = Path("spec")


class NetworkPolicyStrategy(Strategy[NetworkPolicy]):
    """Pods, and the peers and ports that they may have."""

    columns = (
        Column("Pod-Selector", "string", lambda one, now: format_selector(one.spec.pod_selector)),
    )

    def default(self, obj: NetworkPolicy) -> None:
        """Outgoing connections are what a policy is about only if it speaks of them."""
        spec = obj.spec
        if not spec.policy_types:
            spec.policy_types = [INGRESS, *([EGRESS] if spec.egress else [])]
        for port in (port for rule in spec.ingress for port in rule.ports):
            port.protocol = port.protocol or "TCP"
        for port in (port for rule in spec.egress for port in rule.ports):
            port.protocol = port.protocol or "TCP"

    def validate(self, obj: NetworkPolicy) -> list[FieldError]:
        spec = obj.spec
        errors = list(check_selector(_SPEC.child("podSelector"), spec.pod_selector))
        for number, incoming in enumerate(spec.ingress):
            path = _SPEC.child("ingress").index(number)
            errors += _rule_errors(path, incoming.ports, path.child("from"), incoming.from_)
        for number, outgoing in enumerate(spec.egress):
            path = _SPEC.child("egress").index(number)
            errors += _rule_errors(path, outgoing.ports, path.child("to"), outgoing.to)
        errors += _type_errors(_SPEC.child("policyTypes"), spec.policy_types)
        return errors


def _type_errors(path: Path, types: list[str]) -> Iterator[FieldError]:
    if len(types) > len(enum_values(PolicyType)):
        yield invalid(path, types, "may not specify more than two policyTypes")
        return
    for number, type_ in enumerate(types):
        if type_ not in enum_values(PolicyType):
            yield not_supported(path.index(number), type_, enum_values(PolicyType))


def _rule_errors(
    path: Path,
    ports: list[NetworkPolicyPort],
    where: Path,
    peers: list[NetworkPolicyPeer],
) -> Iterator[FieldError]:
    for number, port in enumerate(ports):
        yield from _port_errors(path.child("ports").index(number), port)
    for number, peer in enumerate(peers):
        yield from _peer_errors(where.index(number), peer)


def _port_errors(path: Path, one: NetworkPolicyPort) -> Iterator[FieldError]:
    yield from check_enum(path.child("protocol"), one.protocol, Protocol)
    port, last, end = one.port, one.end_port, path.child("endPort")
    if port is not None:
        yield from check_port_or_name(path.child("port"), port)
    if last is None:
        return
    if port is None:
        yield invalid(end, last, "may not be specified when `port` is not specified")
    elif isinstance(port, str):
        yield invalid(end, last, "may not be specified when `port` is non-numeric")
    else:
        if last < port:
            yield invalid(end, port, "must be greater than or equal to `port`")
        yield from check_port(end, last)


def _peer_errors(path: Path, peer: NetworkPolicyPeer) -> Iterator[FieldError]:
    selectors = {
        "podSelector": peer.pod_selector,
        "namespaceSelector": peer.namespace_selector,
    }
    chosen = {name: one for name, one in selectors.items() if one is not None}
    for name, selector in chosen.items():
        yield from check_selector(path.child(name), selector)
    if peer.ip_block is not None:
        yield from _block_errors(path.child("ipBlock"), peer.ip_block)
    if not chosen and peer.ip_block is None:
        yield required(path, "must specify a peer")
    elif chosen and peer.ip_block is not None:
        yield forbidden(path, "may not specify both ipBlock and another peer")


def _block_errors(path: Path, block: IPBlock) -> Iterator[FieldError]:
    if not block.cidr:
        yield required(path.child("cidr"), "")
        return
    whole = _network(block.cidr)
    if whole is None:
        for why in validation.cidr(block.cidr):
            yield invalid(path.child("cidr"), block.cidr, why)
        return
    for number, text in enumerate(block.except_):
        where = path.child("except").index(number)
        for why in validation.cidr(text):
            yield invalid(where, text, why)
        part = _network(text)
        if part is not None and not _is_strictly_within(part, whole):
            yield invalid(where, text, "must be a strict subset of `cidr`")


def _network(text: str) -> IPv4Network | IPv6Network | None:
    return None if validation.cidr(text) else ip_network(text, strict=False)


def _is_strictly_within(part: IPv4Network | IPv6Network, whole: IPv4Network | IPv6Network) -> bool:
    return part.network_address in whole and part.prefixlen > whole.prefixlen


STRATEGY = NetworkPolicyStrategy(resource_of(NetworkPolicy))
