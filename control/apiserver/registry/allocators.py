"""Addresses and node ports of Services: given out once, in the transaction that writes the Service.

Serves step 6 of the pod's walk. Each address and port in use is a key of its own in the store
(`/registry/ranges/serviceips/10.96.0.5`, `/registry/ranges/nodeports/30080/TCP`), whose value names
the Service. The keys are written and deleted together with it, so there is nothing to repair after a
crash, two Services can never have the same, and the loser of a race simply picks again.

Nothing is kept in memory: what is in use is read when a Service is written, which is seldom. The
lower part of both ranges is used last: it is where people pick numbers by hand.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from api import errors
from api.core import Service, ServicePort
from api.fielderrors import FieldError, Path, invalid
from api.scheme import Resource
from control.store.interface import Delete, Put, Store

ADDRESSES = "/registry/ranges/serviceips/"
PORTS = "/registry/ranges/nodeports/"

_HEADLESS = "None"
_BY_HAND = 16  # one part in so many of a range is left to those who choose themselves
_BY_HAND_MOST = 256
_RANDOM_TRIES = 8

_CLUSTER_IP = Path("spec").child("clusterIPs").index(0)
_SERVICE_PORTS = Path("spec").child("ports")

_PortKey = tuple[int, str]


class ServiceAllocator:
    """The companion of Services: makes and releases their keys. See `registry.Companion`."""

    def __init__(
        self,
        store: Store,
        resource: Resource,
        *,
        cidr: str,
        ports: range,
        reserved: Iterable[str],
        source: random.Random,
    ) -> None:
        """`reserved`: addresses given only to those who name them, such as that of the DNS."""
        self._store = store
        self._resource = resource
        self._network = ipaddress.ip_network(cidr)
        self._ports = ports
        self._reserved = frozenset(reserved)
        self._source = source

    async def on_create(self, new: Any) -> Sequence[Put | Delete]:
        """Fills in what the Service lacks."""
        return [
            *await self._take_address(new),
            *await self._take_ports(new, keep=frozenset()),
        ]

    async def on_update(self, new: Any, old: Any) -> Sequence[Put | Delete]:
        had, kept = _address_of(old), _ports_of(old)
        writes: list[Put | Delete] = []
        if had and not _has_virtual_address(new):
            if new.spec.cluster_ip == had:  # it became an ExternalName
                new.spec.cluster_ip, new.spec.cluster_ips = "", []
            writes += await self._release([ADDRESSES + had])
        elif not had:
            writes += await self._take_address(new)
        writes += await self._take_ports(new, keep=kept)
        gone = sorted(kept - _ports_of(new))
        return writes + await self._release([_port_key(*pair) for pair in gone])

    async def on_delete(self, old: Any) -> Sequence[Put | Delete]:
        address = _address_of(old)
        keys = [ADDRESSES + address] if address else []
        return await self._release(keys + [_port_key(*pair) for pair in sorted(_ports_of(old))])

    # Addresses

    async def _take_address(self, service: Service) -> list[Put]:
        spec = service.spec
        if spec.type == "ExternalName":
            return []
        spec.ip_family_policy = spec.ip_family_policy or "SingleStack"
        spec.ip_families = spec.ip_families or ["IPv4"]
        if spec.cluster_ip == _HEADLESS:
            return []
        if spec.cluster_ip:
            await self._check_address(service)
        else:
            spec.cluster_ip = await self._free_address(service)
        spec.cluster_ips = [spec.cluster_ip]
        return [self._claim(ADDRESSES + spec.cluster_ip, service)]

    async def _check_address(self, service: Service) -> None:
        """The address that was asked for is one of ours, and free."""
        asked = service.spec.cluster_ip
        address = ipaddress.ip_address(asked)
        if address not in self._network or not 0 < self._offset(asked) < self._size:
            why = (
                f"failed to allocate IP {asked}: the provided network does not match the current "
                f"range. The range of valid IPs is {self._network}"
            )
            raise self._refused(service, [invalid(_CLUSTER_IP, asked, why)])
        if await self._store.get(ADDRESSES + asked) is not None:
            why = f"failed to allocate IP {asked}: provided IP is already allocated"
            raise self._refused(service, [invalid(_CLUSTER_IP, asked, why)])

    async def _free_address(self, service: Service) -> str:
        used: set[str] | None = None
        first = self._network.network_address
        for number, offset in enumerate(_offsets(self._size, self._source)):
            address = str(first + offset)
            if not offset or address in self._reserved:
                continue
            if number < _RANDOM_TRIES:  # mostly found so, without reading all that are in use
                if await self._store.get(ADDRESSES + address) is None:
                    return address
                continue
            if used is None:
                used = await self._used(ADDRESSES)
            if address not in used:
                return address
        raise errors.internal(f"failed to allocate a serviceIP: range {self._network} is full")

    @property
    def _size(self) -> int:
        """How many addresses there are; the last one of the range is its broadcast address."""
        return self._network.num_addresses - 1

    def _offset(self, address: str) -> int:
        return int(ipaddress.ip_address(address)) - int(self._network.network_address)

    # Ports

    async def _take_ports(self, service: Service, *, keep: frozenset[_PortKey]) -> list[Put]:
        if not _has_node_ports(service):
            return []
        asked = [port for port in service.spec.ports if port.node_port]
        claimed = await self._check_ports(service, keep)
        missing = [port for port in service.spec.ports if not port.node_port]
        used = await self._used(PORTS) if missing else set()
        for port in missing:
            port.node_port = self._same_port(asked, port) or self._free_port(used, service)
            used.add(f"{port.node_port}/{port.protocol}")
            claimed.append((port.node_port, port.protocol))
            asked.append(port)
        return [self._claim(_port_key(*pair), service) for pair in claimed]

    async def _check_ports(self, service: Service, keep: frozenset[_PortKey]) -> list[_PortKey]:
        """The ports that were asked for, without those the Service has already."""
        claimed: list[_PortKey] = []
        found: list[FieldError] = []
        for number, port in enumerate(service.spec.ports):
            pair = (port.node_port, port.protocol)
            if not port.node_port or pair in keep:
                continue
            where = _SERVICE_PORTS.index(number).child("nodePort")
            if port.node_port not in self._ports:
                span = f"{self._ports.start}-{self._ports.stop - 1}"
                why = f"provided port is not in the valid range. The range of valid ports is {span}"
                found.append(invalid(where, port.node_port, why))
            elif pair in claimed or await self._store.get(_port_key(*pair)) is not None:
                found.append(invalid(where, port.node_port, "provided port is already allocated"))
            claimed.append(pair)
        if found:
            raise self._refused(service, found)
        return claimed

    @staticmethod
    def _same_port(asked: Sequence[ServicePort], port: ServicePort) -> int:
        """One port for TCP and UDP alike, where the Service's own port is one for both."""
        for other in asked:
            if other.port == port.port and other.protocol != port.protocol:
                return other.node_port
        return 0

    def _free_port(self, used: set[str], service: Service) -> int:
        # A number is taken whole, whatever the protocol: fewer surprises for whoever reads rules.
        taken = {int(key.partition("/")[0]) for key in used}
        for offset in _offsets(len(self._ports), self._source):
            if self._ports[offset] not in taken:
                return self._ports[offset]
        raise errors.internal(
            f"failed to allocate a nodePort for {service.metadata.name}: range is full"
        )

    # Keys

    async def _used(self, prefix: str) -> set[str]:
        found = await self._store.range(prefix)
        return {item.key[len(prefix) :] for item in found.items}

    @staticmethod
    def _claim(key: str, service: Service) -> Put:
        return Put(key, f"{service.metadata.namespace}/{service.metadata.name}".encode(), 0)

    async def _release(self, keys: Iterable[str]) -> list[Put | Delete]:
        found = [(key, await self._store.get(key)) for key in keys]
        return [Delete(key, item.mod_revision) for key, item in found if item is not None]

    def _refused(self, service: Service, found: Sequence[FieldError]) -> errors.ApiError:
        return errors.invalid(self._resource, service.metadata.name, found)


def _offsets(size: int, source: random.Random) -> Iterator[int]:
    """Where in a range to look for something free: at random, then everywhere, low ones last."""
    by_hand = min(_BY_HAND_MOST, size // _BY_HAND)
    for _ in range(_RANDOM_TRIES):
        yield source.randrange(by_hand, size)
    yield from range(by_hand, size)
    yield from range(by_hand)


def _port_key(port: int, protocol: str) -> str:
    return f"{PORTS}{port}/{protocol}"


def _has_virtual_address(service: Service) -> bool:
    return service.spec.type != "ExternalName" and service.spec.cluster_ip != _HEADLESS


def _address_of(service: Service) -> str:
    return service.spec.cluster_ip if _has_virtual_address(service) else ""


def _has_node_ports(service: Service) -> bool:
    if service.spec.type == "LoadBalancer":
        return service.spec.allocate_load_balancer_node_ports is not False
    return service.spec.type == "NodePort"


def _ports_of(service: Service) -> frozenset[_PortKey]:
    return frozenset(
        (port.node_port, port.protocol) for port in service.spec.ports if port.node_port
    )
