"""Fields that are stored and returned but have no effect yet: one table, three uses.

A write that sets one is answered with a `Warning` header that names it; `docs/compatibility.md`
is generated from this table (a test keeps them equal); and whoever gives a field its behaviour
removes its row here in the same change. Fields whose absence would weaken isolation are not
listed: the agent refuses pods that set them (`agent/pod/refusals.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from api import apps, core
from api.struct import ApiStruct, fields


@dataclass(frozen=True, slots=True)
class NotYet:
    """A field by its wire path below the object (`[*]` steps through a list), and what is missing."""

    path: str
    missing: str


_NO_PREEMPTION = "pods are scheduled in order of arrival and nothing is preempted yet"
_NO_POD_AFFINITY = "the scheduler does not read it yet"
_NO_VOLUME = "the agent cannot mount this volume type yet, the pod waits with a FailedMount event"

POD_SPEC: tuple[NotYet, ...] = (
    NotYet("affinity.podAffinity", _NO_POD_AFFINITY),
    NotYet("affinity.podAntiAffinity", _NO_POD_AFFINITY),
    NotYet("topologySpreadConstraints", _NO_POD_AFFINITY),
    NotYet("preemptionPolicy", _NO_PREEMPTION),
    NotYet("priority", _NO_PREEMPTION),
    NotYet("priorityClassName", _NO_PREEMPTION),
    NotYet("automountServiceAccountToken", "no service account token is mounted yet"),
    NotYet("resourceClaims", "devices are not allocated yet"),
    NotYet("resources", "pod-level resources are not enforced yet"),
    NotYet("setHostnameAsFQDN", "the hostname stays the short one"),
    NotYet("hostnameOverride", "the hostname follows `hostname` or the pod's name"),
    *(
        NotYet(f"{containers}[*].{field}", missing)
        for containers in ("containers", "initContainers")
        for field, missing in (
            ("resizePolicy", "pods cannot be resized in place yet"),
            ("restartPolicyRules", "only the pod's restartPolicy counts"),
            ("volumeDevices", "block devices cannot be attached yet"),
            ("lifecycle.stopSignal", "the image's stop signal is used"),
            ("livenessProbe.grpc", "gRPC probes are not made yet, the container counts as healthy"),
            ("readinessProbe.grpc", "gRPC probes are not made yet, the container counts as ready"),
            ("startupProbe.grpc", "gRPC probes are not made yet, the container counts as started"),
        )
    ),
    *(
        NotYet(f"volumes[*].{source}", _NO_VOLUME)
        for source in ("persistentVolumeClaim", "csi", "ephemeral", "image", "nfs", "iscsi", "fc")
    ),
)

SERVICE: tuple[NotYet, ...] = (
    NotYet("spec.externalIPs", "only the cluster IP and node ports are answered"),
    NotYet("spec.loadBalancerIP", "no load balancer is provisioned yet"),
    NotYet("spec.loadBalancerClass", "no load balancer is provisioned yet"),
    NotYet("spec.loadBalancerSourceRanges", "no load balancer is provisioned yet"),
    NotYet("spec.trafficDistribution", "endpoints are chosen at random"),
)


def _below(prefix: str, rows: tuple[NotYet, ...]) -> tuple[NotYet, ...]:
    return tuple(NotYet(f"{prefix}.{row.path}", row.missing) for row in rows)


NOT_YET: dict[type[ApiStruct], tuple[NotYet, ...]] = {
    core.Pod: _below("spec", POD_SPEC),
    core.Service: SERVICE,
    apps.ReplicaSet: _below("spec.template.spec", POD_SPEC),
    apps.Deployment: _below("spec.template.spec", POD_SPEC),
}


def warnings(obj: ApiStruct) -> list[str]:
    """One text per field that this object sets and that has no effect yet."""
    return [
        f"{path}: accepted, but without effect: {row.missing}"
        for row in NOT_YET.get(type(obj), ())
        for path in _set_paths(obj, row.path.split("."), "")
    ]


def _set_paths(value: Any, steps: list[str], path: str) -> Iterator[str]:
    """The concrete paths at which the pattern meets a field that differs from its zero value."""
    if not steps:
        if value is not None and value != [] and value != "" and value != {}:
            yield path
        return
    if value is None:
        return
    step, rest = steps[0], steps[1:]
    name = step.removesuffix("[*]")
    child = getattr(value, attribute(type(value), name))
    where = f"{path}.{name}" if path else name
    if step == name:
        yield from _set_paths(child, rest, where)
        return
    for number, item in enumerate(child):
        yield from _set_paths(item, rest, f"{where}[{number}]")


def attribute(type_: type[ApiStruct], wire: str) -> str:
    """The Python attribute behind a wire name.

    Raises:
        KeyError: the type has no such field (a misspelt row; a unit test walks all of them).
    """
    for field in fields(type_):
        if field.wire == wire:
            return field.attribute
    raise KeyError(f"{type_.__name__} has no field {wire}")
