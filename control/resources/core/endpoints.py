"""Endpoints: the older form of a Service's ready addresses. Walk step 6."""

from collections.abc import Iterator

from api import validation
from api.core import EndpointAddress, Endpoints, Protocol
from api.fielderrors import FieldError, Path, required
from api.scheme import resource_of
from control.resources.checks import check_enum, check_port, check_text
from control.resources.columns import NONE
from control.resources.core.addresses import endpoint_address_errors
from control.resources.strategy import Column, Strategy

SHOWN = 3


class EndpointsStrategy(Strategy[Endpoints]):
    """Written by the endpoints controller, or by hand for a Service without a selector."""

    columns = (Column("Endpoints", "string", lambda endpoints, now: _shown(endpoints)),)
    allow_create_on_update = True

    def default(self, obj: Endpoints) -> None:
        for subset in obj.subsets:
            for port in subset.ports:
                port.protocol = port.protocol or "TCP"

    def validate(self, obj: Endpoints) -> list[FieldError]:
        return list(_errors(obj))


def _errors(endpoints: Endpoints) -> Iterator[FieldError]:
    for number, subset in enumerate(endpoints.subsets):
        where = Path("subsets").index(number)
        if not subset.addresses and not subset.not_ready_addresses:
            yield required(where, "must specify `addresses` or `notReadyAddresses`")
        for name, addresses in (
            ("addresses", subset.addresses),
            ("notReadyAddresses", subset.not_ready_addresses),
        ):
            for at, address in enumerate(addresses):
                yield from _address_errors(address, where.child(name).index(at))
        for at, port in enumerate(subset.ports):
            here = where.child("ports").index(at)
            if len(subset.ports) > 1 and not port.name:
                yield required(here.child("name"), "")
            yield from check_text(
                here.child("name"), port.name, validation.dns1123_label, needed=False
            )
            yield from check_port(here.child("port"), port.port)
            yield from check_enum(here.child("protocol"), port.protocol, Protocol, needed=True)


def _address_errors(address: EndpointAddress, path: Path) -> Iterator[FieldError]:
    yield from endpoint_address_errors(path.child("ip"), address.ip)
    yield from check_text(
        path.child("hostname"), address.hostname, validation.dns1123_label, needed=False
    )


def _shown(endpoints: Endpoints) -> str:
    """The first addresses with their ports, then how many more there are, as kubectl prints."""
    all_of_them = [
        address.ip if port is None else _host_port(address.ip, port.port)
        for subset in endpoints.subsets
        for port in subset.ports or (None,)
        for address in subset.addresses
    ]
    if not all_of_them:
        return NONE
    text = ",".join(all_of_them[:SHOWN])
    more = len(all_of_them) - SHOWN
    return f"{text} + {more} more..." if more > 0 else text


def _host_port(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


STRATEGY = EndpointsStrategy(resource_of(Endpoints))
