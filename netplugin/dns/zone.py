"""What a name of the cluster means: Services and EndpointSlices → DNS records (step 6 of the walk). Pure.

The names are those of Kubernetes' DNS specification, below `svc.<domain>`:

    web.default            A      the VIP; of a headless service every ready endpoint
                           SRV    all its ports, as CoreDNS answers (`dig SRV` lists the members)
                           CNAME  of an ExternalName service
    db-0.web.default       A      the endpoint with that hostname (or 10-244-1-5 for one without)
    _http._tcp.web.default SRV    the port, at the service's name or at each endpoint's
    10-244-1-5.default.pod A      (below `<domain>`) the address in the name
    1.0.96.10.in-addr.arpa PTR    the service or endpoint with that address

A name that exists without a record of the asked type is NODATA; only what does not exist is
NXDOMAIN. The difference decides whether a resolver goes on through its search path.

A `Zone` is a value: made anew from the two lists at each change (cheap: services and slices are only
sorted into tables), every answer is worked out when asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from ipaddress import AddressValueError, IPv4Address, IPv4Network

from api.core import Service, ServicePort
from api.discovery import Endpoint, EndpointPort, EndpointSlice
from netplugin.proxy.model import group_slices, is_ipv4, is_ready

TTL = 5
"""Seconds. Short, because endpoints come and go; the answer is a walk to the node's own bridge."""
_TOLERATE_UNREADY = "service.alpha.kubernetes.io/tolerate-unready-endpoints"
_SCHEMA = "1.1.0"
_REVERSE = ("arpa", "in-addr")

Labels = tuple[str, ...]
"""A name from the root down: `("local", "cluster", "svc", "default", "web")`."""


@dataclass(frozen=True, slots=True)
class A:
    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Srv:
    name: str
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class Cname:
    name: str
    target: str


@dataclass(frozen=True, slots=True)
class Ptr:
    name: str
    target: str


@dataclass(frozen=True, slots=True)
class Txt:
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Ns:
    name: str
    target: str


@dataclass(frozen=True, slots=True)
class Soa:
    name: str


Record = A | Srv | Cname | Ptr | Txt | Ns | Soa


class Outcome(Enum):
    FOUND = "found"
    NO_DATA = "no data"
    NO_NAME = "no name"


@dataclass(frozen=True, slots=True)
class Answer:
    outcome: Outcome
    records: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    chase: str = ""
    """The name outside of the cluster that the asker needs resolved as well (the end of a CNAME)."""


NO_DATA = Answer(Outcome.NO_DATA)
NO_NAME = Answer(Outcome.NO_NAME)
_TYPES = {"A": A, "SRV": Srv, "CNAME": Cname, "PTR": Ptr, "TXT": Txt, "NS": Ns, "SOA": Soa}
_MAX_CHAIN = 8


class Zone:
    """The names of one cluster at one moment."""

    def __init__(
        self,
        services: Iterable[Service] = (),
        slices: Iterable[EndpointSlice] = (),
        *,
        domain: str,
        server: IPv4Address,
        ranges: Sequence[IPv4Network] = (),
    ) -> None:
        """`server` is our own address; `ranges` are those whose reverse names are ours to answer."""
        self._domain = domain.strip(".").lower()
        self._apex = tuple(reversed(self._domain.split(".")))
        self._server = server
        self._ranges = ranges
        self._services = {(s.metadata.namespace, s.metadata.name): s for s in services}
        self._slices = group_slices(slices)
        self._namespaces = {namespace for namespace, _ in self._services}

    def owns(self, name: str) -> bool:
        """Whether we answer for this name, or somebody else does."""
        labels = _labels(name)
        if labels[: len(self._apex)] == self._apex:
            return True
        address = _reverse_address(labels)
        return address is not None and any(address in known for known in self._ranges)

    def answer(self, name: str, kind: str) -> Answer:
        """What is known of `name`; `kind` is the record type: `A`, `SRV`, ... or `ANY`."""
        found = self._lookup(_labels(name), name)
        if found is None:
            return NO_NAME
        aliases = [record for record in found if isinstance(record, Cname)]
        if aliases and kind not in ("CNAME", "ANY"):
            return self._follow(aliases[0], kind)
        if kind in ("SRV", "ANY"):
            found = (*found, *self._every_port(_labels(name), name))
        wanted = _TYPES.get(kind)
        records = tuple(r for r in found if kind == "ANY" or (wanted and isinstance(r, wanted)))
        if not records:
            return NO_DATA
        return Answer(Outcome.FOUND, records, self._addresses_of(records))

    def statistics(self) -> dict[str, float]:
        return {"services": len(self._services), "slices": sum(map(len, self._slices.values()))}

    def _follow(self, alias: Cname, kind: str) -> Answer:
        """Resolvers in pods expect the whole chain in one answer."""
        chain: list[Record] = []
        while len(chain) < _MAX_CHAIN:
            chain.append(alias)
            if not self.owns(alias.target):
                return Answer(Outcome.FOUND, tuple(chain), chase=alias.target)
            found = self._lookup(_labels(alias.target), alias.target) or ()
            onward = [record for record in found if isinstance(record, Cname)]
            if not onward:
                wanted = _TYPES.get(kind)
                chain += [r for r in found if wanted and isinstance(r, wanted)]
                break
            alias = onward[0]
        return Answer(Outcome.FOUND, tuple(chain))

    def _lookup(self, labels: Labels, name: str) -> tuple[Record, ...] | None:
        """All records of the name; () when it exists without any, None when it does not exist."""
        name = name.rstrip(".").lower()
        reverse = _reverse_address(labels)
        if reverse is not None:
            target = self._reverse.get(str(reverse))
            return (Ptr(name, target),) if target else None
        match labels[len(self._apex) :]:
            case ():
                return (Soa(name), Ns(name, f"ns.dns.{self._domain}"))
            case ("dns-version",):
                return (Txt(name, _SCHEMA),)
            case ("dns",) | ("svc",) | ("pod",):
                return ()
            case ("dns", "ns"):
                return (A(name, str(self._server)),)
            case ("pod", _):
                return ()
            case ("pod", _, dashed) if is_ipv4(dashed.replace("-", ".")):
                return (A(name, dashed.replace("-", ".")),)
            case ("svc", namespace) if namespace in self._namespaces:
                return ()
            case ("svc", namespace, service, *rest):
                found = self._services.get((namespace, service))
                return None if found is None else self._below(found, rest, name)
        return None

    def _below(self, service: Service, rest: list[str], name: str) -> tuple[Record, ...] | None:
        match rest:
            case []:
                return self._of_service(service, name)
            case [protocol] if protocol in ("_tcp", "_udp", "_sctp"):
                return ()
            case [host]:
                # Without distinct names (several slices while the controller moves an endpoint)
                # the same address must not appear twice.
                addresses = {e.addresses[0] for e in self._endpoints(service) if _host(e) == host}
                return tuple(A(name, address) for address in sorted(addresses)) or None
            case [protocol, port] if protocol.startswith("_") and port.startswith("_"):
                return self._ports(service, port[1:], protocol[1:], name) or None
        return None

    def _of_service(self, service: Service, name: str) -> tuple[Record, ...]:
        spec = service.spec
        if spec.type == "ExternalName":
            return (Cname(name, spec.external_name.rstrip(".").lower()),)
        if is_ipv4(spec.cluster_ip):
            return (A(name, spec.cluster_ip),)
        addresses = {endpoint.addresses[0] for endpoint in self._endpoints(service)}
        return tuple(A(name, address) for address in sorted(addresses))

    def _every_port(self, labels: Labels, name: str) -> tuple[Record, ...]:
        """What a service's own name has beside its addresses; made only for who asks for it."""
        match labels[len(self._apex) :]:
            case ("svc", namespace, service) if found := self._services.get((namespace, service)):
                return self._ports(found, None, "", name.rstrip(".").lower())
        return ()

    def _ports(
        self, service: Service, port: str | None, protocol: str, name: str
    ) -> tuple[Record, ...]:
        """The ports of that name and protocol; all of them where `port` is None."""

        def meant(p: ServicePort | EndpointPort) -> bool:
            same = (p.name or "").lower(), (p.protocol or "TCP").lower()
            return port is None or same == (port, protocol)

        own_name = self._name_of(service)
        if is_ipv4(service.spec.cluster_ip):
            return tuple(Srv(name, p.port, own_name) for p in service.spec.ports if meant(p))
        found = {
            Srv(name, p.port, f"{_host(endpoint)}.{own_name}")
            for piece in self._slices_of(service)
            for p in piece.ports
            if p.port is not None and meant(p)
            for endpoint in self._usable(service, piece.endpoints)
        }
        return tuple(sorted(found, key=lambda record: (record.target, record.port)))

    def _addresses_of(self, records: Sequence[Record]) -> tuple[Record, ...]:
        """The addresses of SRV targets, which the asker would ask for next."""
        targets = dict.fromkeys(record.target for record in records if isinstance(record, Srv))
        found: list[Record] = []
        for target in targets:
            found += [r for r in self._lookup(_labels(target), target) or () if isinstance(r, A)]
        return tuple(found)

    def _endpoints(self, service: Service) -> list[Endpoint]:
        return [
            e for piece in self._slices_of(service) for e in self._usable(service, piece.endpoints)
        ]

    def _slices_of(self, service: Service) -> list[EndpointSlice]:
        return self._slices.get((service.metadata.namespace, service.metadata.name), [])

    @staticmethod
    def _usable(service: Service, endpoints: Iterable[Endpoint]) -> Iterable[Endpoint]:
        unready_too = service.spec.publish_not_ready_addresses or (
            service.metadata.annotations.get(_TOLERATE_UNREADY) == "true"
        )
        return (
            endpoint
            for endpoint in endpoints
            if endpoint.addresses
            and is_ipv4(endpoint.addresses[0])
            and (unready_too or is_ready(endpoint))
        )

    def _name_of(self, service: Service) -> str:
        metadata = service.metadata
        return f"{metadata.name}.{metadata.namespace}.svc.{self._domain}"

    @cached_property
    def _reverse(self) -> dict[str, str]:
        """Address → name; a service's VIP wins over an endpoint."""
        names: dict[str, str] = {}
        for service in sorted(self._services.values(), key=self._name_of):
            for endpoint in self._endpoints(service):
                names.setdefault(
                    endpoint.addresses[0], f"{_host(endpoint)}.{self._name_of(service)}"
                )
        for service in self._services.values():
            if is_ipv4(service.spec.cluster_ip):
                names[service.spec.cluster_ip] = self._name_of(service)
        return names


def _host(endpoint: Endpoint) -> str:
    return (endpoint.hostname or endpoint.addresses[0].replace(".", "-")).lower()


def _labels(name: str) -> Labels:
    return tuple(reversed(name.rstrip(".").lower().split(".")))


def _reverse_address(labels: Labels) -> IPv4Address | None:
    if labels[:2] != _REVERSE or len(labels) != 6:
        return None
    try:
        return IPv4Address(".".join(labels[2:]))
    except AddressValueError:
        return None
