"""EndpointSlices of Endpoints that people write by hand, for a Service without a selector.

Walk step 6 for traffic that leaves the cluster: node proxies read slices only. The slices belong to
the Endpoints object and follow it; their names are made of what they hold, so that a slice that the
informer does not show yet is never made twice. Left alone: Endpoints with the label
`endpointslice.kubernetes.io/skip-mirror`, those of an election, and those of a Service that has a
selector (the endpoint controllers write both forms then).
"""

import hashlib
from collections.abc import Iterator
from ipaddress import ip_address

import msgspec

from api import objects
from api.core import EndpointAddress, Endpoints, EndpointSubset, Service
from api.deletion import delete_if_there
from api.discovery import Endpoint, EndpointConditions, EndpointPort, EndpointSlice
from api.errors import is_already_exists
from api.meta import ObjectMeta
from api.objects import Key
from base.errors import PodwrightError
from control.controllers.context import Context
from control.controllers.controller import Behind, Controller
from control.controllers.network.endpointslices import (
    MANAGED_BY_LABEL,
    MAX_PER_SLICE,
    SERVICE_LABEL,
)

MIRRORED_BY = "endpointslicemirroring-controller.k8s.io"
SKIP_LABEL = "endpointslice.kubernetes.io/skip-mirror"
LEADER_ANNOTATION = "control-plane.alpha.kubernetes.io/leader"
_INDEX = "endpointslicemirroring-controller"


def is_mirrored(service: Service | None, endpoints: Endpoints | None) -> bool:
    """Whether slices are to be made of this Endpoints object."""
    return (
        service is not None
        and endpoints is not None
        and not service.spec.selector
        and service.spec.type != "ExternalName"
        and not endpoints.metadata.deletion_timestamp
        and endpoints.metadata.labels.get(SKIP_LABEL) != "true"
        and LEADER_ANNOTATION not in endpoints.metadata.annotations
    )


def mirrored(endpoints: Endpoints) -> dict[str, EndpointSlice]:
    """The slices of an Endpoints object, by name."""
    pieces = [piece for subset in endpoints.subsets for piece in _pieces(endpoints, subset)]
    return {piece.metadata.name: piece for piece in pieces}


def _pieces(endpoints: Endpoints, subset: EndpointSubset) -> Iterator[EndpointSlice]:
    ports = [
        EndpointPort(
            name=port.name, protocol=port.protocol, port=port.port, app_protocol=port.app_protocol
        )
        for port in subset.ports
    ]
    members = [(address, True) for address in subset.addresses]
    members += [(address, False) for address in subset.not_ready_addresses]
    for family in ("IPv4", "IPv6"):
        found = [_endpoint(*member) for member in members if _family(member[0]) == family]
        for start in range(0, len(found), MAX_PER_SLICE):
            yield EndpointSlice(
                metadata=_metadata(endpoints, repr((family, ports, start))),
                address_type=family,
                endpoints=found[start : start + MAX_PER_SLICE],
                ports=ports,
            )


def _family(address: EndpointAddress) -> str:
    return f"IPv{ip_address(address.ip).version}"


def _endpoint(address: EndpointAddress, ready: bool) -> Endpoint:
    return Endpoint(
        addresses=[address.ip],
        conditions=EndpointConditions(ready=ready),
        hostname=address.hostname or None,
        node_name=address.node_name,
        target_ref=address.target_ref,
    )


def _metadata(endpoints: Endpoints, contents: str) -> ObjectMeta:
    name = endpoints.metadata.name
    return ObjectMeta(
        name=f"{name}-{hashlib.sha256(contents.encode()).hexdigest()[:8]}",
        namespace=endpoints.metadata.namespace,
        labels={
            **endpoints.metadata.labels,
            SERVICE_LABEL: name,
            MANAGED_BY_LABEL: MIRRORED_BY,
        },
        owner_references=[objects.controller_reference(endpoints)],
    )


class EndpointSliceMirroringController(Controller):
    """Writes the slices of Endpoints whose Service has no selector."""

    name = "endpointslicemirroring-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._services = context.informers.of(Service)
        self._endpoints = context.informers.of(Endpoints)
        self._slices = context.informers.of(EndpointSlice)
        self._slices.add_index(_INDEX, lambda piece: [str(_service_of(piece))])
        self.watch_own(Service)
        self.watch_own(Endpoints)
        self._slices.subscribe(self._on_slice)

    def _on_slice(self, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        for piece in (old, new):
            if piece is not None and _is_mirror(piece):
                self.queue.add(_service_of(piece))

    async def reconcile(self, key: Key) -> float | None:
        endpoints = self._endpoints.get(key.name, key.namespace)
        service = self._services.get(key.name, key.namespace)
        wanted: dict[str, EndpointSlice] = {}
        if endpoints is not None and is_mirrored(service, endpoints):
            wanted = mirrored(endpoints)
        known = {
            p.metadata.name: p for p in self._slices.by_index(_INDEX, str(key)) if _is_mirror(p)
        }
        for name, piece in wanted.items():
            if name in known:
                await self._update(known[name], piece)
            else:
                await self._create(piece)
        for name, piece in known.items():
            if name not in wanted:
                await delete_if_there(self.client, piece)
        return None

    async def _create(self, piece: EndpointSlice) -> None:
        try:
            await self.client.create(piece)
        except PodwrightError as error:
            if is_already_exists(error):
                raise Behind(f"slice {piece.metadata.name} is there, but not seen yet") from None
            raise

    async def _update(self, known: EndpointSlice, wanted: EndpointSlice) -> None:
        changed = msgspec.structs.replace(
            known,
            metadata=msgspec.structs.replace(
                known.metadata,
                labels=wanted.metadata.labels,
                owner_references=wanted.metadata.owner_references,
            ),
            endpoints=wanted.endpoints,
        )
        if changed != known:
            await self.client.update(changed)


def _is_mirror(piece: EndpointSlice) -> bool:
    return piece.metadata.labels.get(MANAGED_BY_LABEL) == MIRRORED_BY


def _service_of(piece: EndpointSlice) -> Key:
    return Key(piece.metadata.namespace, piece.metadata.labels.get(SERVICE_LABEL, ""))
