"""Fields that are stored and returned but have no effect yet: one table, three uses.

A write that sets one is answered with a `Warning` header that names it; `docs/compatibility.md`
is generated from this table (a test keeps them equal); and whoever gives a field its behaviour
removes its row here in the same change. Fields whose absence would weaken isolation are not
listed: the agent refuses pods that set them (`agent/spec/refusals.py`).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from api import (
    apiregistration,
    apps,
    batch,
    coordination,
    core,
    networking,
    rbac,
    storage,
)
from api.core.persistentsource import PersistentVolumeSource
from api.core.volume import VolumeSource
from api.struct import ApiStruct, fields

Holds = Callable[[Any], bool]


def _is_set(value: Any) -> bool:
    return value is not None and value != [] and value != "" and value != {}


@dataclass(frozen=True, slots=True)
class NotYet:
    """A field by its wire path below the object, and what is missing.

    `[*]` steps through a list, `[name]` to one entry of a map. The row speaks when the field is
    set, or where `holds` is given, when that is true of its value; `when` says so in words.
    """

    path: str
    missing: str
    when: str = ""
    holds: Holds = _is_set

    @property
    def steps(self) -> list[str]:
        """The path, taken apart; names of entries may have dots."""
        return re.findall(r"[^.\[]+(?:\[[^\]]*\])?", self.path)


MOUNTABLE = (
    "emptyDir",
    "hostPath",
    "image",
    "nfs",
    "persistentVolumeClaim",
    "ephemeral",
    "configMap",
    "secret",
    "downwardAPI",
    "projected",
)
"""Volume types that the agent has (a unit test compares with its own list)."""
PERSISTENT = ("hostPath", "local", "nfs")
"""Kinds of PersistentVolume that the agent has (compared likewise)."""

_NO_VOLUME = "the agent cannot mount it yet; the pod waits with a FailedMount event"
_NO_BALANCER = "no load balancer is provisioned yet"


def _below(prefix: str, rows: tuple[NotYet, ...]) -> tuple[NotYet, ...]:
    return tuple(NotYet(f"{prefix}.{row.path}", row.missing, row.when, row.holds) for row in rows)


POD_SPEC: tuple[NotYet, ...] = (
    *(
        NotYet(f"volumes[*].projected.sources[*].{source}", _NO_VOLUME)
        for source in ("clusterTrustBundle", "podCertificate")
    ),
    *(
        NotYet(f"volumes[*].{field.wire}", _NO_VOLUME)
        for field in sorted(fields(VolumeSource), key=lambda field: field.wire)
        if field.wire not in MOUNTABLE
    ),
)

SERVICE: tuple[NotYet, ...] = (
    NotYet(
        "spec.healthCheckNodePort",
        "nodes do not answer health checks of load balancers yet",
        holds=bool,  # 0 means none
    ),
    NotYet("spec.loadBalancerClass", _NO_BALANCER),
    NotYet("spec.loadBalancerIP", _NO_BALANCER),
    NotYet(
        "spec.type",
        f"{_NO_BALANCER}; node ports work, and addresses that somebody writes into the status",
        when="it is `LoadBalancer`",
        holds=lambda type_: type_ == "LoadBalancer",
    ),
)

PERSISTENT_VOLUME: tuple[NotYet, ...] = tuple(
    NotYet(f"spec.{field.wire}", _NO_VOLUME)
    for field in sorted(fields(PersistentVolumeSource), key=lambda field: field.wire)
    if field.wire not in PERSISTENT
)

NODE: tuple[NotYet, ...] = (
    NotYet("spec.configSource", "agents take their settings from flags, environment and file"),
    NotYet("spec.externalID", "nobody reads it any more"),
)

NAMESPACE: tuple[NotYet, ...] = tuple(
    NotYet(
        f"metadata.labels[pod-security.kubernetes.io/{mode}]",
        "pods are not held against the Pod Security Standards yet",
        when="the level is not `privileged`",
        holds=lambda level: level not in (None, "privileged"),
    )
    for mode in ("enforce", "audit", "warn")
)

LEASE: tuple[NotYet, ...] = (
    NotYet("spec.preferredHolder", "there are no coordinated elections"),
    NotYet("spec.strategy", "there are no coordinated elections"),
)

_NO_RBAC = (
    "roles are not looked at yet: requests are decided by the administrators' and nodes' groups"
)

ROLE: tuple[NotYet, ...] = (NotYet("rules", _NO_RBAC),)

BINDING: tuple[NotYet, ...] = (NotYet("subjects", _NO_RBAC),)

_NO_BOOKS = "the addresses of Services come from --service-cidr alone"
_NO_INGRESS = "no controller of podwright acts on it yet; one that is installed in the cluster can"
_NO_POLICIES = "nodes do not filter connections between pods yet"
_NO_DRIVERS = "agents cannot mount volumes of storage drivers yet"

NOT_YET: dict[type[ApiStruct], tuple[NotYet, ...]] = {
    core.Pod: _below("spec", POD_SPEC),
    apps.ReplicaSet: _below("spec.template.spec", POD_SPEC),
    apps.Deployment: _below("spec.template.spec", POD_SPEC),
    batch.CronJob: _below("spec.jobTemplate.spec.template.spec", POD_SPEC),
    batch.Job: _below("spec.template.spec", POD_SPEC),
    core.PodTemplate: _below("template.spec", POD_SPEC),
    core.ReplicationController: _below("spec.template.spec", POD_SPEC),
    apps.DaemonSet: _below("spec.template.spec", POD_SPEC),
    apps.StatefulSet: _below("spec.template.spec", POD_SPEC),
    core.Service: SERVICE,
    core.Namespace: NAMESPACE,
    core.Node: NODE,
    core.PersistentVolume: PERSISTENT_VOLUME,
    coordination.Lease: LEASE,
    networking.IPAddress: (NotYet("spec", _NO_BOOKS),),
    networking.Ingress: (NotYet("spec", _NO_INGRESS),),
    networking.IngressClass: (NotYet("spec.parameters", _NO_INGRESS),),
    networking.NetworkPolicy: (NotYet("spec", _NO_POLICIES),),
    networking.ServiceCIDR: (NotYet("spec", _NO_BOOKS),),
    apiregistration.APIService: (
        NotYet("spec.service", "requests are not passed on yet: they get 503, and the reason"),
    ),
    rbac.ClusterRole: (*ROLE, NotYet("aggregationRule", "no controller gathers the rules yet")),
    rbac.ClusterRoleBinding: BINDING,
    rbac.Role: ROLE,
    rbac.RoleBinding: BINDING,
    storage.CSIDriver: (NotYet("spec", _NO_DRIVERS),),
    storage.CSINode: (NotYet("spec.drivers", _NO_DRIVERS),),
    storage.CSIStorageCapacity: (NotYet("capacity", _NO_DRIVERS),),
    storage.VolumeAttachment: (NotYet("spec", _NO_DRIVERS),),
    storage.VolumeAttributesClass: (NotYet("parameters", _NO_DRIVERS),),
}


def warnings(obj: ApiStruct) -> list[str]:
    """One text per field that this object sets and that has no effect yet."""
    found = sorted(
        (number, f"{path}: accepted, but without effect: {row.missing}")
        for number, row, path, value in _values(obj, _patterns(type(obj)), "")
        if row.holds(value)
    )
    return [text for _, text in found]


class _Step:
    """Rows whose paths begin alike: the rows that end here, and what follows, step by step."""

    __slots__ = ("following", "rows")

    def __init__(self) -> None:
        self.rows: list[tuple[int, NotYet]] = []
        self.following: dict[tuple[str, str], _Step] = {}


@cache
def _patterns(type_: type[ApiStruct]) -> _Step:
    """The rows of a type as one tree: most objects end the search near its root."""
    root = _Step()
    for number, row in enumerate(NOT_YET.get(type_, ())):
        step = root
        for text in row.steps:
            name, _, bracket = text.removesuffix("]").partition("[")
            step = step.following.setdefault((name, bracket), _Step())
        step.rows.append((number, row))
    return root


def _values(value: Any, step: _Step, path: str) -> Iterator[tuple[int, NotYet, str, Any]]:
    """Where the patterns lead in this object: each row with its concrete path and value."""
    for number, row in step.rows:
        yield number, row, path, value
    if value is None:
        return
    type_: type[ApiStruct] = type(value)
    for (name, bracket), following in step.following.items():
        child = getattr(value, attribute(type_, name))
        if child is None and not following.rows:
            continue
        where = f"{path}.{name}" if path else name
        if not bracket:
            yield from _values(child, following, where)
        elif bracket != "*":
            yield from _values(child.get(bracket), following, f"{where}[{bracket}]")
        else:
            for position, item in enumerate(child):
                yield from _values(item, following, f"{where}[{position}]")


@cache
def attribute(type_: type[ApiStruct], wire: str) -> str:
    """The Python attribute behind a wire name.

    Raises:
        KeyError: the type has no such field (a misspelt row; a unit test walks all of them).
    """
    for field in fields(type_):
        if field.wire == wire:
            return field.attribute
    raise KeyError(f"{type_.__name__} has no field {wire}")
