"""Which addresses stand behind a Service: the pure part of both endpoint controllers.

A pod counts while it has an address and is not finished. It is *ready* as its Ready condition says
and while it is not being deleted, *serving* as the condition says, *terminating* once it is being
deleted (API reference, EndpointConditions). `publishNotReadyAddresses` makes every pod ready.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from api import pods
from api.core import Pod, Service, ServicePort

Ports = tuple[tuple[str, str, int, str], ...]
"""(name, protocol, number, application protocol) of each port, resolved for one pod."""


@dataclass(frozen=True, slots=True)
class Backend:
    """One pod behind a Service."""

    ip: str
    node: str
    zone: str
    hostname: str
    pod: tuple[str, str, str]
    """(namespace, name, uid)."""
    ready: bool
    serving: bool
    terminating: bool


def backends(
    service: Service, candidates: Iterable[Pod], *, zone_of: Callable[[str], str] = lambda node: ""
) -> dict[Ports, list[Backend]]:
    """The Service's pods, grouped by what its ports resolve to (named ports differ per pod).

    `zone_of` tells the zone of a node, by name.
    """
    groups: dict[Ports, list[Backend]] = {}
    for pod in candidates:
        if not _counts(pod):
            continue
        ports = resolve_ports(service.spec.ports, pod)
        if service.spec.ports and not ports:
            continue
        groups.setdefault(ports, []).append(_backend(service, pod, zone_of(pod.spec.node_name)))
    for group in groups.values():
        group.sort(key=lambda backend: backend.pod)
    return groups


def _counts(pod: Pod) -> bool:
    return bool(pod.status.pod_ip) and not pods.is_terminal(pod)


def resolve_ports(ports: Sequence[ServicePort], pod: Pod) -> Ports:
    """The Service's ports as numbers of this pod; a name that the pod does not have is left out."""
    resolved = []
    for port in ports:
        number = pods.find_port(pod, port.target_port, port.protocol)
        if number is not None:
            resolved.append((port.name, port.protocol, number, port.app_protocol or ""))
    return tuple(resolved)


def _backend(service: Service, pod: Pod, zone: str) -> Backend:
    serving = pods.is_ready(pod) or service.spec.publish_not_ready_addresses
    terminating = pods.is_terminating(pod)
    named = pod.spec.hostname and pod.spec.subdomain == service.metadata.name
    return Backend(
        ip=pod.status.pod_ip,
        node=pod.spec.node_name,
        zone=zone,
        hostname=pod.spec.hostname if named else "",
        pod=(pod.metadata.namespace, pod.metadata.name, pod.metadata.uid),
        ready=service.spec.publish_not_ready_addresses or (serving and not terminating),
        serving=serving,
        terminating=terminating,
    )
