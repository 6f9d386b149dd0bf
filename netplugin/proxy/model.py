"""What a node needs to know of Services and EndpointSlices: one `ServicePort` per port, ready to be
written as rules (step 6 of the pod's walk).

The rules that Kubernetes documents and that are decided here:
- an endpoint takes traffic while it is ready; when none is, those that are serving although they
  terminate take it, so that a rolling update of a single pod loses nothing;
- with a Local traffic policy only endpoints of this node count, and the fallback applies to them
  alone;
- of the ready endpoints that any node may use, this node uses those that are hinted for it, or else for
  its zone; unless one of them has no such hint, or none is for it (concept "Topology Aware Routing");
- an address that several slices mention (while the controller moves it) counts once, and as ready
  if any of them says so;
- headless and ExternalName services have no VIP and no rules, nor have those that are labelled as
  headless, or as another proxy's (reference "Well-Known Labels, Annotations and Taints").

Everything here is pure and total: odd objects (another address family, no port) are skipped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address

from api.core import Service
from api.core.service import ServicePort as ApiPort
from api.discovery import Endpoint, EndpointSlice

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
_NOT_OURS = ("service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless")
PROTOCOLS = ("TCP", "UDP", "SCTP")
_AFFINITY_SECONDS = 10800


@dataclass(frozen=True, slots=True, order=True)
class Backend:
    """Where a connection may end up."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePort:
    """One port of one service, seen from one node."""

    namespace: str
    service: str
    port_name: str
    protocol: str
    """Lower case, as iptables writes it."""
    port: int
    vips: tuple[str, ...]
    external: tuple[str, ...] = ()
    """Addresses outside of the cluster that somebody routes here."""
    balancer: tuple[str, ...] = ()
    """Addresses of the service's load balancer."""
    node_port: int = 0
    backends: tuple[Backend, ...] = ()
    """For traffic that any endpoint may serve."""
    local_backends: tuple[Backend, ...] = ()
    """Of this node only."""
    internal_local: bool = False
    external_local: bool = False
    affinity: int = 0
    """Seconds that a client is kept on its endpoint; 0: not at all."""
    source_ranges: tuple[str, ...] = ()
    """Who may use the load balancer's addresses; empty: everybody."""

    @property
    def addresses_outside(self) -> tuple[str, ...]:
        return tuple(sorted({*self.external, *self.balancer}))

    @property
    def name(self) -> str:
        """As a person writes it: `default/web:http`."""
        suffix = f":{self.port_name}" if self.port_name else ""
        return f"{self.namespace}/{self.service}{suffix}"

    @property
    def key(self) -> tuple[str, str, str, str]:
        return (self.namespace, self.service, self.port_name, self.protocol)

    @property
    def internal_backends(self) -> tuple[Backend, ...]:
        """Who answers on the VIPs."""
        return self.local_backends if self.internal_local else self.backends

    @property
    def external_backends(self) -> tuple[Backend, ...]:
        """Who answers what comes from outside."""
        return self.local_backends if self.external_local else self.backends


def service_ports(
    services: Iterable[Service], slices: Iterable[EndpointSlice], *, node: str, zone: str = ""
) -> list[ServicePort]:
    """Every port of every service that has a VIP, in a stable order, as a node in `zone` sees it."""
    slices_of = group_slices(slices)
    found = [
        _service_port(service, port, slices_of[_key(service)], node, zone)
        for service in services
        if _has_vip(service)
        for port in service.spec.ports
        if (port.protocol or "TCP") in PROTOCOLS
    ]
    return sorted(found, key=lambda port: port.key)


def group_slices(
    slices: Iterable[EndpointSlice],
) -> defaultdict[tuple[str, str], list[EndpointSlice]]:
    """(namespace, service) → its IPv4 slices."""
    grouped: defaultdict[tuple[str, str], list[EndpointSlice]] = defaultdict(list)
    for piece in slices:
        service = piece.metadata.labels.get(SERVICE_NAME_LABEL, "")
        if service and piece.address_type == "IPv4":
            grouped[piece.metadata.namespace, service].append(piece)
    return grouped


def is_ready(endpoint: Endpoint) -> bool:
    """Unknown counts as ready, as the API documents."""
    return endpoint.conditions.ready is not False


def is_fallback(endpoint: Endpoint) -> bool:
    """Not ready any more, but still serving while it terminates."""
    conditions = endpoint.conditions
    return bool(conditions.serving) and bool(conditions.terminating)


def _service_port(
    service: Service, port: ApiPort, slices: Sequence[EndpointSlice], node: str, zone: str
) -> ServicePort:
    spec = service.spec
    candidates = _candidates(port, slices)
    local = {backend: e for backend, e in candidates.items() if e.node_name == node}
    return ServicePort(
        namespace=service.metadata.namespace,
        service=service.metadata.name,
        port_name=port.name,
        protocol=(port.protocol or "TCP").lower(),
        port=port.port,
        vips=_vips(service),
        external=tuple(address for address in spec.external_ips if is_ipv4(address)),
        balancer=_balancer(service),
        node_port=port.node_port if spec.type in ("NodePort", "LoadBalancer") else 0,
        backends=_usable(_near(candidates, node, zone)),
        local_backends=_usable(local),
        internal_local=spec.internal_traffic_policy == "Local",
        external_local=spec.external_traffic_policy == "Local",
        affinity=_affinity(service),
        source_ranges=tuple(spec.load_balancer_source_ranges),
    )


def _candidates(port: ApiPort, slices: Sequence[EndpointSlice]) -> dict[Backend, Endpoint]:
    """Every address of this port once; the readiest mention of it wins."""
    found: dict[Backend, Endpoint] = {}
    for piece in slices:
        for slice_port in piece.ports:
            same = (slice_port.name or "") == port.name
            same = same and (slice_port.protocol or "TCP") == (port.protocol or "TCP")
            if not same or slice_port.port is None:
                continue
            for endpoint in piece.endpoints:
                if not endpoint.addresses or not is_ipv4(endpoint.addresses[0]):
                    continue
                backend = Backend(endpoint.addresses[0], slice_port.port)
                known = found.get(backend)
                if known is None or _rank(endpoint) > _rank(known):
                    found[backend] = endpoint
    return found


def _rank(endpoint: Endpoint) -> int:
    return 2 if is_ready(endpoint) else int(is_fallback(endpoint))


def _near(candidates: dict[Backend, Endpoint], node: str, zone: str) -> dict[Backend, Endpoint]:
    """Without the ready endpoints that are meant for others, where all say for whom they are."""
    ready = [endpoint for endpoint in candidates.values() if is_ready(endpoint)]
    for named, own in ((_nodes_of, node), (_zones_of, zone)):
        if own and all(map(named, ready)) and any(own in named(one) for one in ready):
            return {b: e for b, e in candidates.items() if not is_ready(e) or own in named(e)}
    return candidates


def _nodes_of(endpoint: Endpoint) -> list[str]:
    return [] if endpoint.hints is None else [one.name for one in endpoint.hints.for_nodes]


def _zones_of(endpoint: Endpoint) -> list[str]:
    return [] if endpoint.hints is None else [one.name for one in endpoint.hints.for_zones]


def _usable(candidates: dict[Backend, Endpoint]) -> tuple[Backend, ...]:
    ready = [backend for backend, endpoint in candidates.items() if is_ready(endpoint)]
    fallback = [backend for backend, endpoint in candidates.items() if is_fallback(endpoint)]
    return tuple(sorted(ready or fallback))


def _vips(service: Service) -> tuple[str, ...]:
    addresses = service.spec.cluster_ips or [service.spec.cluster_ip]
    return tuple(address for address in addresses if is_ipv4(address))


def _balancer(service: Service) -> tuple[str, ...]:
    if service.spec.type != "LoadBalancer":
        return ()
    return tuple(
        ingress.ip
        for ingress in service.status.load_balancer.ingress
        # With the mode Proxy the balancer sends to the node port instead.
        if ingress.ip_mode != "Proxy" and is_ipv4(ingress.ip)
    )


def _affinity(service: Service) -> int:
    spec = service.spec
    if spec.session_affinity != "ClientIP":
        return 0
    settings = spec.session_affinity_config
    seconds = settings.client_ip.timeout_seconds if settings and settings.client_ip else None
    return seconds or _AFFINITY_SECONDS


def _has_vip(service: Service) -> bool:
    if service.spec.type == "ExternalName":
        return False
    if any(label in service.metadata.labels for label in _NOT_OURS):
        return False
    return is_ipv4(service.spec.cluster_ip)


def _key(service: Service) -> tuple[str, str]:
    return (service.metadata.namespace, service.metadata.name)


def is_ipv4(text: str) -> bool:
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True
