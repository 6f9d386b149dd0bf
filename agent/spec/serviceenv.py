"""Environment variables that tell a container where services are (step 4 of the pod's walk). Pure.

`WEB_SERVICE_HOST`, `WEB_SERVICE_PORT`, and the older Docker-link form `WEB_PORT_80_TCP_ADDR`, ...
"""

from __future__ import annotations

from collections.abc import Iterable

from api.core import Service

MASTER = ("default", "kubernetes")
"""The one service that every pod is told of, whatever its namespace and enableServiceLinks."""


def service_environment(
    services: Iterable[Service], namespace: str, *, links: bool
) -> dict[str, str]:
    """Variables of the namespace's services (if `links`) and of the API server's."""
    chosen: dict[str, Service] = {}
    for service in services:
        meta = service.metadata
        if service.spec.cluster_ip in ("", "None"):
            continue
        master = (meta.namespace, meta.name) == MASTER
        if meta.namespace == namespace and (links or master):
            chosen[meta.name] = service
        elif master:
            chosen.setdefault(meta.name, service)
    variables: dict[str, str] = {}
    for name in sorted(chosen):
        variables.update(_variables(name, chosen[name]))
    return variables


def _variables(name: str, service: Service) -> dict[str, str]:
    prefix, address = _shout(name), service.spec.cluster_ip
    ports = service.spec.ports
    if not ports:
        return {}
    made = {
        f"{prefix}_SERVICE_HOST": address,
        f"{prefix}_SERVICE_PORT": str(ports[0].port),
    }
    for port in ports:
        if port.name:
            made[f"{prefix}_SERVICE_PORT_{_shout(port.name)}"] = str(port.port)
    for position, port in enumerate(ports):
        protocol = (port.protocol or "TCP").lower()
        url = f"{protocol}://{_bracketed(address)}:{port.port}"
        if position == 0:
            made[f"{prefix}_PORT"] = url
        stem = f"{prefix}_PORT_{port.port}_{protocol.upper()}"
        made[stem] = url
        made[f"{stem}_PROTO"] = protocol
        made[f"{stem}_PORT"] = str(port.port)
        made[f"{stem}_ADDR"] = address
    return made


def _shout(name: str) -> str:
    return name.upper().replace("-", "_")


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
