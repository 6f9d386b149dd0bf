"""What `pods/proxy`, `services/proxy` and `nodes/proxy` mean: names, ports, endpoints, paths. Pure.

For whoever looks into a running pod. A name is `[SCHEME:]NAME[:PORT]`; the port of a service may be a
name, as may a pod's. Refusals are worded as Kubernetes words them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from api import errors
from api.core import Pod, Service
from api.discovery import Endpoint, EndpointSlice

_SCHEMES = ("", "http", "https")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Named:
    """The parts of `https:web:8443`."""

    scheme: str
    name: str
    port: str


@dataclass(frozen=True, slots=True)
class Place:
    """One address behind a service, and the pod that has it, where it is one."""

    address: str
    port: int
    namespace: str = ""
    pod: str = ""


def parse_name(what: str, text: str) -> Named:
    """400 for a name that is none of the three forms."""
    parts = text.split(":")
    if len(parts) == 3 and parts[0] in _SCHEMES and parts[1]:
        return Named(parts[0] or "http", parts[1], parts[2])
    if len(parts) < 3 and parts[0]:
        return Named("http", parts[0], parts[1] if len(parts) == 2 else "")
    raise errors.bad_request(f"invalid {what} request {text!r}: expected [https:]NAME[:PORT]")


def port_number(text: str) -> int:
    """0 for what is no port number."""
    if text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) < 2**16:
        return int(text)
    return 0


def pod_port(pod: Pod, named: Named) -> int:
    """The port that is meant: by number, by a container's name for it, or the first there is."""
    ports = [port for container in pod.spec.containers for port in container.ports]
    if not named.port:
        return ports[0].container_port if ports else _DEFAULT_PORTS[named.scheme]
    if number := port_number(named.port):
        return number
    for port in ports:
        if port.name == named.port:
            return port.container_port
    raise errors.bad_request(f"pod {pod.metadata.name} has no port {named.port!r}")


def service_port_name(service: Service, named: Named) -> str:
    """The name, within its endpoints, of the service's port. 503 when it has no such port."""
    ports, wanted = service.spec.ports, named.port
    if not wanted and len(ports) == 1:
        return ports[0].name or ""
    for port in ports:
        if (wanted and port.name == wanted) or str(port.port) == wanted:
            return port.name or ""
        if not wanted and not port.name:
            return ""
    raise errors.unavailable(
        f'no service port "{wanted}" found for service "{service.metadata.name}"'
    )


def places(slices: Iterable[EndpointSlice], port_name: str) -> Iterator[Place]:
    """Every ready address of the service that has the port."""
    for one in slices:
        for port in one.ports:
            if (port.name or "") != port_name or not port.port:
                continue
            for endpoint in one.endpoints:
                if endpoint.addresses and endpoint.conditions.ready is not False:
                    yield _place(one, endpoint, port.port)


def _place(one: EndpointSlice, endpoint: Endpoint, port: int) -> Place:
    target = endpoint.target_ref
    if target is None or target.kind != "Pod":
        return Place(endpoint.addresses[0], port)
    namespace = target.namespace or one.metadata.namespace
    return Place(endpoint.addresses[0], port, namespace, target.name)


def check_address(text: str) -> None:
    """Refuse to connect, in the API server's name, to itself and to its machine's neighbours.

    Kubernetes has the same list: loopback, link-local (where clouds keep credentials), multicast.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise errors.bad_request(f"address not allowed: {text!r} is not an IP address") from None
    if (
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
    ):
        raise errors.bad_request(f"address not allowed: {text}")


def rest_of_path(raw_path: str, namespaced: bool) -> str:
    """What follows `proxy` in the path as it was sent, `/` included; "" when nothing does."""
    parts = raw_path.lstrip("/").split("/", 7 if namespaced else 5)
    return "/" + parts[-1] if len(parts) == (8 if namespaced else 6) else ""


def proxy_prefix(raw_path: str, rest: str) -> str:
    """The path up to and including `proxy`."""
    return raw_path.removesuffix(rest) if rest else raw_path
