"""What one object uses of a namespace's quotas, under every name that a quota may have for it.

Serves step 1 of the pod's walk. Pure. As Kubernetes documents quotas: a pod that has ended uses
nothing but its own object (`count/pods`); requests of CPU, memory and storage have a short name too;
of extended resources only requests are counted. What a quota does not name costs nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from api import quantity
from api.core import Pod, Service
from api.pods import all_containers, is_terminal, pod_limits, pod_requests
from api.resources import quantities
from api.scheme import Resource

Usage = dict[str, str]

_NAMED = frozenset(
    (
        "configmaps",
        "persistentvolumeclaims",
        "pods",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "services",
    )
)
"""Kinds of the core group that are counted under their plain plural as well."""
_COMPUTED = ("cpu", "memory", "ephemeral-storage")
_HUGE_PAGES = "hugepages-"
_REQUESTS, _LIMITS = "requests.", "limits."


def usage(resource: Resource, obj: object) -> Usage:
    """Everything the object counts for."""
    used = {f"count/{resource.qualified_name}": "1"}
    if isinstance(obj, Pod):
        return used | pod_usage(obj)
    if isinstance(obj, Service):
        return used | service_usage(obj)
    if not resource.group and resource.plural in _NAMED:
        used[resource.plural] = "1"
    return used


def pod_usage(pod: Pod) -> Usage:
    """What a pod that may still run has been promised, and may take."""
    if is_terminal(pod):
        return {}
    used = {"pods": "1"}
    for name, amount in quantities(pod_requests(pod)).items():
        if name in _COMPUTED or name.startswith(_HUGE_PAGES):
            used[name] = amount
        used[_REQUESTS + name] = amount
    for name, amount in quantities(pod_limits(pod)).items():
        if name in _COMPUTED:
            used[_LIMITS + name] = amount
    return used


def service_usage(service: Service) -> Usage:
    """Node ports are counted by port; a load balancer may do without them."""
    spec = service.spec
    used = {"services": "1"}
    if spec.type == "LoadBalancer":
        used["services.loadbalancers"] = "1"
        allocates = spec.allocate_load_balancer_node_ports is not False
        ports = len(spec.ports if allocates else [port for port in spec.ports if port.node_port])
        used["services.nodeports"] = str(ports)
    elif spec.type == "NodePort":
        used["services.nodeports"] = str(len(spec.ports))
    return used


def missing(pod: Pod, hard: Mapping[str, str]) -> str:
    """What containers must say because a quota limits it; "" when they say it all.

    Amounts of the pod as a whole speak for its containers.
    """
    lacking: dict[str, list[str]] = {}
    for name in sorted(hard):
        field, plain = _place(name)
        if field and not _said_for_all(pod, field, plain):
            names = [
                container.name
                for container in all_containers(pod.spec)
                if plain not in getattr(container.resources, field)
            ]
            if names:
                lacking[name] = sorted(names)
    if not lacking:
        return ""
    told = "; ".join(f"{name} for: {','.join(names)}" for name, names in lacking.items())
    return f"must specify {told}"


def _place(name: str) -> tuple[str, str]:
    """Where containers say the amount: (`limits`, `cpu`) of `limits.cpu`; nowhere: ("", "")."""
    for prefix in (_REQUESTS, _LIMITS):
        plain = name.removeprefix(prefix)
        if plain != name and plain in ("cpu", "memory"):
            return prefix.rstrip("."), plain
    return ("requests", name) if name in ("cpu", "memory") else ("", "")


def _said_for_all(pod: Pod, field: str, plain: str) -> bool:
    resources = pod.spec.resources
    return resources is not None and plain in getattr(resources, field)


def difference(new: Mapping[str, str], old: Mapping[str, str]) -> Usage:
    """By how much a change raises or lowers each name; what stays is left out."""
    return dict(_differences(new, old))


def _differences(new: Mapping[str, str], old: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in sorted({*new, *old}):
        delta = quantity.parse(new.get(name, "0")) - quantity.parse(old.get(name, "0"))
        if delta:
            yield name, str(delta)
