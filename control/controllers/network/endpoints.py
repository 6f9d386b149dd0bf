"""Endpoints of a Service: the older form, one object with all addresses, at most 1,000."""

import msgspec

from api import objects
from api.core import (
    EndpointAddress,
    EndpointPort,
    Endpoints,
    EndpointSubset,
    ObjectReference,
    Service,
)
from api.deletion import delete_if_there
from api.errors import is_already_exists
from api.meta import ObjectMeta
from api.objects import Key
from base.errors import PodwrightError
from control.controllers.context import Context
from control.controllers.network.backends import Backend, Ports, backends
from control.controllers.network.triggers import ANNOTATION, Triggers, dated
from control.controllers.network.watching import BackendController, has_backends

MAX_ADDRESSES = 1000
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
OURS = frozenset({OVER_CAPACITY, ANNOTATION})
LEADER_ANNOTATION = "control-plane.alpha.kubernetes.io/leader"
MANAGED_BY_LABEL = "endpoints.kubernetes.io/managed-by"
MANAGED_BY = "endpoint-controller"
"""Tells what is left of a Service that went while nobody looked from what people wrote."""
HEADLESS_LABEL = "service.kubernetes.io/headless"


def subsets_of(groups: dict[Ports, list[Backend]]) -> tuple[list[EndpointSubset], bool]:
    """The subsets, and whether addresses had to be left out (ready ones are kept first)."""
    room = MAX_ADDRESSES
    truncated = False
    subsets = []
    for ports, members in sorted(groups.items()):
        ready = [backend for backend in members if backend.ready]
        other = [backend for backend in members if not backend.ready and not backend.terminating]
        shown_ready, shown_other = ready[:room], other[: max(0, room - len(ready))]
        truncated |= len(shown_ready) + len(shown_other) < len(ready) + len(other)
        room -= len(shown_ready) + len(shown_other)
        if shown_ready or shown_other:
            subsets.append(
                EndpointSubset(
                    addresses=[_address(backend) for backend in shown_ready],
                    not_ready_addresses=[_address(backend) for backend in shown_other],
                    ports=[
                        EndpointPort(
                            name=name, protocol=protocol, port=number, app_protocol=app or None
                        )
                        for name, protocol, number, app in ports
                    ],
                )
            )
    return subsets, truncated


def _address(backend: Backend) -> EndpointAddress:
    namespace, name, uid = backend.pod
    return EndpointAddress(
        ip=backend.ip,
        hostname=backend.hostname,
        node_name=backend.node or None,
        target_ref=ObjectReference(kind="Pod", namespace=namespace, name=name, uid=uid),
    )


def endpoints_of(service: Service, groups: dict[Ports, list[Backend]]) -> Endpoints:
    """The Endpoints object of a Service."""
    subsets, truncated = subsets_of(groups)
    labels = {**service.metadata.labels, MANAGED_BY_LABEL: MANAGED_BY}
    if service.spec.cluster_ip == "None":
        labels[HEADLESS_LABEL] = ""
    return Endpoints(
        metadata=ObjectMeta(
            name=service.metadata.name,
            namespace=service.metadata.namespace,
            labels=labels,
            annotations={OVER_CAPACITY: "truncated"} if truncated else {},
        ),
        subsets=subsets,
    )


class EndpointsController(BackendController):
    """Writes the Endpoints of every Service that has a selector."""

    name = "endpoints-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._endpoints = context.informers.of(Endpoints)
        self._bereft: set[Key] = set()
        self._triggers = Triggers()
        self.services.subscribe(self._on_service)
        self.watch_own(Endpoints)

    def _on_service(self, old: Service | None, new: Service | None) -> None:
        """Endpoints go with their Service, but those written before it came must stay."""
        key = objects.key(new or old)  # type: ignore[arg-type]
        if new is None:
            self._bereft.add(key)
        else:
            self._bereft.discard(key)

    async def reconcile(self, key: Key) -> float | None:
        service = self.services.get(key.name, key.namespace)
        known = self._endpoints.get(key.name, key.namespace)
        if service is None:
            if known is not None and self._is_left_over(key, known):
                await delete_if_there(self.client, known)
            self._bereft.discard(key)
            self._triggers.forget(key)
            return None
        if service.metadata.deletion_timestamp or not has_backends(service):
            return None
        selected = self.selected(service)
        wanted = endpoints_of(service, backends(service, selected))
        when = self._triggers.look(key, service, selected)
        wanted.metadata.annotations = dated(wanted.metadata.annotations, when)
        if known is None:
            try:
                await self.client.create(wanted)
            except PodwrightError as error:
                if not is_already_exists(error):
                    raise
            return None
        if (known.subsets, known.metadata.labels) != (wanted.subsets, wanted.metadata.labels):
            metadata = msgspec.structs.replace(
                known.metadata,
                labels=wanted.metadata.labels,
                annotations={
                    **{k: v for k, v in known.metadata.annotations.items() if k not in OURS},
                    **wanted.metadata.annotations,
                },
            )
            await self.client.update(
                msgspec.structs.replace(known, metadata=metadata, subsets=wanted.subsets)
            )
        return None

    def _is_left_over(self, key: Key, known: Endpoints) -> bool:
        if LEADER_ANNOTATION in known.metadata.annotations:
            return False  # not made for a Service, but for an election of old clients
        return key in self._bereft or known.metadata.labels.get(MANAGED_BY_LABEL) == MANAGED_BY
