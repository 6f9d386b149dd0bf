"""EndpointSlice: the addresses behind a Service, up to 1,000 a slice. Walk step 6."""

from collections.abc import Callable, Iterator

from api import validation
from api.core import Protocol
from api.discovery import Endpoint, EndpointHints, EndpointSlice
from api.fielderrors import FieldError, Path, duplicate, not_supported, required, too_many
from api.scheme import resource_of
from control.resources.checks import check_enum, check_immutable, check_port, check_text
from control.resources.columns import join_or_none
from control.resources.core.addresses import endpoint_address_errors
from control.resources.strategy import Column, Strategy

ADDRESS_TYPES = ("IPv4", "IPv6", "FQDN")
_VERSIONS = {"IPv4": 4, "IPv6": 6}
MAX_ENDPOINTS = 1000
MAX_ADDRESSES = 100
MAX_PORTS = 20000
MAX_HINTS = 8
SHOWN = 3


class EndpointSliceStrategy(Strategy[EndpointSlice]):
    """The address type never changes."""

    columns = (
        Column("AddressType", "string", lambda piece, now: piece.address_type),
        Column("Ports", "string", lambda piece, now: _ports(piece)),
        Column("Endpoints", "string", lambda piece, now: _addresses(piece)),
    )

    def default(self, obj: EndpointSlice) -> None:
        for port in obj.ports:
            port.protocol = port.protocol or "TCP"
            port.name = port.name or ""

    def validate(self, obj: EndpointSlice) -> list[FieldError]:
        return list(_errors(obj))

    def validate_update(self, new: EndpointSlice, old: EndpointSlice) -> list[FieldError]:
        immutable = check_immutable(Path("addressType"), new.address_type, old.address_type)
        return [*self.validate(new), *immutable]

    @property
    def has_generation(self) -> bool:
        return True

    def generation_changes(self, new: EndpointSlice, old: EndpointSlice) -> bool:
        return new.endpoints != old.endpoints or new.ports != old.ports


def _errors(piece: EndpointSlice) -> Iterator[FieldError]:
    if not piece.address_type:
        yield required(Path("addressType"), "")
    elif piece.address_type not in ADDRESS_TYPES:
        yield not_supported(Path("addressType"), piece.address_type, ADDRESS_TYPES)
    if len(piece.endpoints) > MAX_ENDPOINTS:
        yield too_many(Path("endpoints"), len(piece.endpoints), MAX_ENDPOINTS)
    for number, endpoint in enumerate(piece.endpoints):
        where = Path("endpoints").index(number)
        yield from _endpoint_errors(endpoint, where, piece.address_type)
    if len(piece.ports) > MAX_PORTS:
        yield too_many(Path("ports"), len(piece.ports), MAX_PORTS)
    names: set[str] = set()
    for number, port in enumerate(piece.ports):
        where = Path("ports").index(number)
        name = port.name or ""
        if name in names:
            yield duplicate(where.child("name"), name)
        names.add(name)
        yield from check_text(where.child("name"), name, validation.dns1123_label, needed=False)
        yield from check_enum(where.child("protocol"), port.protocol, Protocol, needed=True)
        if port.port is not None:
            yield from check_port(where.child("port"), port.port)


def _endpoint_errors(endpoint: Endpoint, path: Path, address_type: str) -> Iterator[FieldError]:
    where = path.child("addresses")
    if not endpoint.addresses:
        yield required(where, "must contain at least 1 address")
    if len(endpoint.addresses) > MAX_ADDRESSES:
        yield too_many(where, len(endpoint.addresses), MAX_ADDRESSES)
    for number, address in enumerate(endpoint.addresses):
        if address_type == "FQDN":
            yield from check_text(where.index(number), address, validation.dns1123_subdomain)
        else:
            version = _VERSIONS.get(address_type, 0)
            yield from endpoint_address_errors(where.index(number), address, version=version)
    if endpoint.hostname is not None:
        yield from check_text(path.child("hostname"), endpoint.hostname, validation.dns1123_label)
    if endpoint.node_name is not None:
        yield from check_text(
            path.child("nodeName"), endpoint.node_name, validation.dns1123_subdomain
        )

    if endpoint.hints is not None:
        yield from _hint_errors(endpoint.hints, path.child("hints"))


def _hint_errors(hints: EndpointHints, path: Path) -> Iterator[FieldError]:
    zones = [zone.name for zone in hints.for_zones]
    yield from _names_errors(path.child("forZones"), zones, validation.label_value)
    nodes = [node.name for node in hints.for_nodes]
    yield from _names_errors(path.child("forNodes"), nodes, validation.dns1123_subdomain)


def _names_errors(
    path: Path, names: list[str], rule: Callable[[str], list[str]]
) -> Iterator[FieldError]:
    if len(names) > MAX_HINTS:
        yield too_many(path, len(names), MAX_HINTS)
    for number, name in enumerate(names):
        where = path.index(number).child("name")
        if name in names[:number]:
            yield duplicate(where, name)
        yield from check_text(where, name, rule)


def _shown(values: list[str]) -> str:
    if len(values) <= SHOWN:
        return join_or_none(values)
    return ",".join(values[:SHOWN]) + f" + {len(values) - SHOWN} more..."


def _ports(piece: EndpointSlice) -> str:
    if not piece.ports:
        return "<unset>"
    return _shown(
        [str(port.port) if port.port is not None else port.name or "*" for port in piece.ports]
    )


def _addresses(piece: EndpointSlice) -> str:
    found = [address for endpoint in piece.endpoints for address in endpoint.addresses]
    return _shown(found) if found else "<unset>"


STRATEGY = EndpointSliceStrategy(resource_of(EndpointSlice))
