"""What one object uses of a namespace's quotas, under every name that a quota may have for it.

Serves step 1 of the pod's walk. Pure. As Kubernetes documents quotas: a pod that has ended uses
nothing but its own object (`count/pods`), and so does one that ought to be gone, because its node can
no longer tell; requests of CPU, memory and storage have a short name too; of extended resources only
requests are counted. What a quota does not name costs nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from api import quantity, timestamps
from api.core import PersistentVolumeClaim, Pod, Service
from api.pods import all_containers, is_terminal, pod_limits, pod_requests
from api.resources import quantities
from api.scheme import Resource
from control.resources.resourcenames import COUNTED

Usage = dict[str, str]

_COMPUTED = ("cpu", "memory", "ephemeral-storage")
_HUGE_PAGES = "hugepages-"
_REQUESTS, _LIMITS = "requests.", "limits."
_STORAGE, _CLAIMS = "requests.storage", "persistentvolumeclaims"
_OF_CLASS = ".storageclass.storage.k8s.io/"
_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"


def usage(resource: Resource, obj: object, now: datetime) -> Usage:
    """Everything the object counts for."""
    used = {f"count/{resource.qualified_name}": "1"}
    if isinstance(obj, Pod):
        return used | pod_usage(obj, now)
    if isinstance(obj, Service):
        return used | service_usage(obj)
    if isinstance(obj, PersistentVolumeClaim):
        return used | claim_usage(obj)
    if not resource.group and resource.plural in COUNTED:
        used[resource.plural] = "1"
    return used


def may_use(resource: Resource, name: str) -> bool:
    """Whether objects of the resource can count under this name."""
    if name == f"count/{resource.qualified_name}":
        return True
    if resource.group:
        return False
    claims = name in (_STORAGE, _CLAIMS) or _OF_CLASS in name
    if resource.plural == "pods":
        computed = name in _COMPUTED or name.startswith((_HUGE_PAGES, _REQUESTS, _LIMITS))
        return name == "pods" or (computed and not claims)
    if resource.plural == "services":
        return name.partition(".")[0] == "services"
    if resource.plural == _CLAIMS:
        return claims
    return name == resource.plural and name in COUNTED


def pod_usage(pod: Pod, now: datetime) -> Usage:
    """What a pod that may still run has been promised, and may take."""
    until = overdue_at(pod)
    if is_terminal(pod) or (until is not None and now > until):
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


def overdue_at(pod: Pod) -> datetime | None:
    """When a pod that is being deleted ought to be gone: its grace period twice over."""
    metadata = pod.metadata
    if metadata.deletion_timestamp is None or metadata.deletion_grace_period_seconds is None:
        return None
    grace = timedelta(seconds=metadata.deletion_grace_period_seconds)
    return timestamps.parse(metadata.deletion_timestamp) + grace


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


def claim_usage(claim: PersistentVolumeClaim) -> Usage:
    """A claim that grows counts with what is reserved for it already; its class has names of its own."""
    used = {_CLAIMS: "1"}
    asked = claim.spec.resources.requests.get("storage")
    reserved = claim.status.allocated_resources.get("storage")
    sizes = [size for size in (asked, reserved) if size is not None]
    if sizes:
        used[_STORAGE] = max(sizes, key=quantity.parse)
    annotated = claim.metadata.annotations.get(_CLASS_ANNOTATION)
    if class_ := annotated or claim.spec.storage_class_name:
        used |= {f"{class_}{_OF_CLASS}{name}": amount for name, amount in used.items()}
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
