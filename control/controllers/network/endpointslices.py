"""EndpointSlices of a Service: up to 100 addresses each, changed as little as possible.

`repartition` is pure: an address stays in the slice it is in, new ones fill slices that have room,
and only what is left over makes new slices, so that one pod's change moves one small object.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from api import nodes, objects
from api.core import Node, ObjectReference, Service
from api.deletion import delete_if_there
from api.discovery import (
    Endpoint,
    EndpointConditions,
    EndpointHints,
    EndpointPort,
    EndpointSlice,
)
from api.meta import ObjectMeta
from api.objects import Key
from control.controllers import indexes
from control.controllers.context import Context
from control.controllers.controller import Behind
from control.controllers.expectations import LAPSE_SECONDS, Expectations
from control.controllers.network.backends import Backend, Ports, backends
from control.controllers.network.hints import Hints
from control.controllers.network.topology import Topology
from control.controllers.network.triggers import Triggers, dated
from control.controllers.network.watching import BackendController, has_backends

SERVICE_LABEL = "kubernetes.io/service-name"
MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
MANAGED_BY = "endpointslice-controller.k8s.io"
HEADLESS_LABEL = "service.kubernetes.io/headless"
MAX_PER_SLICE = 100
NONE: Hints = {}


@dataclass(frozen=True, slots=True)
class Changes:
    """Slices to create, to update (complete new objects), and to delete."""

    create: list[EndpointSlice] = field(default_factory=list)
    update: list[EndpointSlice] = field(default_factory=list)
    delete: list[EndpointSlice] = field(default_factory=list)


def repartition(
    service: Service,
    groups: dict[Ports, list[Backend]],
    existing: Sequence[EndpointSlice],
    hints: Hints = NONE,
) -> Changes:
    """What must be written so that the slices hold exactly these backends, with these hints."""
    changes = Changes()
    wanted = dict(groups)
    if not wanted:
        wanted[()] = []  # one empty slice says "nobody", where no slice would say "not looked yet"
    by_ports: dict[Ports, list[EndpointSlice]] = {}
    for piece in existing:
        by_ports.setdefault(ports_of(piece), []).append(piece)
    for ports, members in wanted.items():
        endpoints = {one.pod: endpoint_of(one, hints.get(one.pod)) for one in members}
        _fill(service, ports, endpoints, by_ports.pop(ports, []), changes)
    for leftover in by_ports.values():
        changes.delete.extend(leftover)
    return changes


def _fill(
    service: Service,
    ports: Ports,
    endpoints: dict[tuple[str, str, str], Endpoint],
    pieces: Sequence[EndpointSlice],
    changes: Changes,
) -> None:
    waiting = dict(endpoints)
    kept: list[tuple[EndpointSlice, list[Endpoint]]] = []
    for piece in pieces:
        stay = []
        for endpoint in piece.endpoints:
            current = waiting.pop(_pod_of(endpoint), None)
            if current is not None:
                stay.append(current)
        kept.append((piece, stay))
    newcomers = list(waiting.values())
    for _, stay in sorted(kept, key=lambda pair: -len(pair[1])):
        room = MAX_PER_SLICE - len(stay)
        stay.extend(newcomers[:room])
        del newcomers[:room]
    empty_needed = not endpoints
    for piece, stay in kept:
        if not stay and not empty_needed:
            changes.delete.append(piece)
            continue
        empty_needed = empty_needed and bool(stay)
        wanted = msgspec.structs.replace(
            piece,
            metadata=msgspec.structs.replace(piece.metadata, labels=labels_of(service)),
            endpoints=stay,
        )
        if wanted != piece:
            changes.update.append(wanted)
    while newcomers or (empty_needed and not kept):
        changes.create.append(new_slice(service, ports, newcomers[:MAX_PER_SLICE]))
        del newcomers[:MAX_PER_SLICE]
        empty_needed = False


def endpoint_of(backend: Backend, hints: EndpointHints | None = None) -> Endpoint:
    """A backend as the API writes it."""
    namespace, name, uid = backend.pod
    return Endpoint(
        addresses=[backend.ip],
        conditions=EndpointConditions(
            ready=backend.ready, serving=backend.serving, terminating=backend.terminating
        ),
        hostname=backend.hostname or None,
        node_name=backend.node or None,
        zone=backend.zone or None,
        target_ref=ObjectReference(kind="Pod", namespace=namespace, name=name, uid=uid),
        hints=hints,
    )


def _pod_of(endpoint: Endpoint) -> tuple[str, str, str]:
    target = endpoint.target_ref
    return ("", "", "") if target is None else (target.namespace, target.name, target.uid)


def ports_of(piece: EndpointSlice) -> Ports:
    """A slice's ports in the form that groups are keyed by."""
    return tuple(
        (port.name or "", port.protocol or "TCP", port.port or 0, port.app_protocol or "")
        for port in piece.ports
    )


def new_slice(service: Service, ports: Ports, endpoints: list[Endpoint]) -> EndpointSlice:
    """A slice that the Service owns; the server completes its name."""
    owner = objects.controller_reference(service)
    return EndpointSlice(
        metadata=ObjectMeta(
            generate_name=f"{service.metadata.name}-",
            namespace=service.metadata.namespace,
            labels=labels_of(service),
            owner_references=[owner],
        ),
        address_type="IPv4",
        endpoints=endpoints,
        ports=[
            EndpointPort(name=name, protocol=protocol, port=number, app_protocol=app or None)
            for name, protocol, number, app in ports
        ],
    )


def labels_of(service: Service) -> dict[str, str]:
    """The Service's labels, and those that tie the slice to it."""
    labels = {
        **service.metadata.labels,
        SERVICE_LABEL: service.metadata.name,
        MANAGED_BY_LABEL: MANAGED_BY,
    }
    if service.spec.cluster_ip == "None":
        labels[HEADLESS_LABEL] = ""
    return labels


class EndpointSliceController(BackendController):
    """Writes the slices of every Service that has a selector."""

    name = "endpointslice-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._slices = context.informers.of(EndpointSlice)
        self._slices.add_index("endpointslice-controller", _service_of)
        self._slices.subscribe(self._on_slice)
        self._nodes = context.informers.of(Node)
        self._topology = Topology(self._nodes, context.recorder(self.name))
        indexes.index_placed(self.pods)
        self._nodes.subscribe(self._on_node)
        self._written: dict[str, int] = {}
        self._expected: Expectations[Key] = Expectations(context.clock)
        self._triggers = Triggers()

    def _on_slice(self, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        for piece in (old, new):
            if piece is not None and _is_managed(piece):
                key = Key(piece.metadata.namespace, piece.metadata.labels.get(SERVICE_LABEL, ""))
                self._expected.seen(key, piece.metadata.uid, leaving=new is None)
                self.queue.add(key)
        if new is None and old is not None:
            self._written.pop(old.metadata.uid, None)

    def _on_node(self, old: Node | None, new: Node | None) -> None:
        """A node's zone is told with each of its pods; it comes late, or changes, very seldom."""
        for key in self._topology.changed(old, new):
            self.queue.add(key)
        if new is None or not self._nodes.has_synced or nodes.zone_of(old) == nodes.zone_of(new):
            return
        for pod in indexes.pods_on(self.pods, new.metadata.name):
            for service in indexes.services_selecting(self.services, pod):
                self.enqueue(service)

    def _zone_of(self, node: str) -> str:
        return nodes.zone_of(self._nodes.get(node))

    async def reconcile(self, key: Key) -> float | None:
        if not self._expected.met(key):
            return LAPSE_SECONDS
        service = self.services.get(key.name, key.namespace)
        existing = [
            piece
            for piece in self._slices.by_index("endpointslice-controller", str(key))
            if _is_managed(piece)
        ]
        if service is None or not has_backends(service):
            self._triggers.forget(key)
            self._topology.forget(key)
            await self._delete(existing)  # the garbage collector would too, but traffic is now
            return None
        if service.metadata.deletion_timestamp:
            return None
        existing = self._fresh(existing)
        selected = self.selected(service)
        groups = backends(service, selected, zone_of=self._zone_of)
        hints = self._topology.hints(key, service, groups)
        changes = repartition(service, groups, existing, hints)
        when = self._triggers.look(key, service, selected)
        for piece in (*changes.create, *changes.update):
            piece.metadata.annotations = dated(piece.metadata.annotations, when)
        for piece in changes.create:
            created = await self.client.create(piece)
            if not self._slices.shows(created.metadata.resource_version):
                self._expected.created(key, created.metadata.uid)
        for piece in changes.update:
            self._note(await self.client.update(piece))
        await self._delete(changes.delete)
        return None

    def _fresh(self, existing: Iterable[EndpointSlice]) -> list[EndpointSlice]:
        """Refuse to decide on slices older than our own last write of them.

        Raises:
            Behind: the informer has not caught up; the queue tries again in a moment.
        """
        pieces = list(existing)
        for piece in pieces:
            if int(piece.metadata.resource_version) < self._written.get(piece.metadata.uid, 0):
                raise Behind("waiting to see the slices that were just written")
        return pieces

    def _note(self, piece: EndpointSlice) -> None:
        self._written[piece.metadata.uid] = int(piece.metadata.resource_version)

    async def _delete(self, pieces: Iterable[EndpointSlice]) -> None:
        for piece in pieces:
            self._written.pop(piece.metadata.uid, None)
            await delete_if_there(self.client, piece)


def _is_managed(piece: EndpointSlice) -> bool:
    return piece.metadata.labels.get(MANAGED_BY_LABEL) == MANAGED_BY


def _service_of(piece: EndpointSlice) -> list[str]:
    return [f"{piece.metadata.namespace}/{piece.metadata.labels.get(SERVICE_LABEL, '')}"]
