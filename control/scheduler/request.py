"""What a pod asks of its node, computed once per pod: the scheduler's view of a PodSpec."""

from collections.abc import Hashable
from dataclasses import dataclass

import msgspec

from api import objects, pods
from api.core import Pod, PodSpec
from api.pods import HostPort
from control.scheduler import images
from control.scheduler.disks import Disk, disks_of
from control.scheduler.rules import NO_RULES, Rules
from control.scheduler.terms import PodSet, PodTerms, terms_of

DEFAULT_MILLI_CPU = 100
DEFAULT_MEMORY = 200 * 1024 * 1024
"""What a pod without requests is taken to use when nodes are compared, so that such pods spread."""


@dataclass(frozen=True, slots=True)
class Request:
    """A pod as placement sees it.

    `resources` is in the units of `api.pods.held_requests`: milli-CPU under `cpu`, bytes or counts
    under every other name; `pods` is not among them (every pod takes one).
    `owner` is the UID of the controlling owner, for spreading; a pod that is being deleted has none,
    or its successor would shun the node that is just becoming free.
    `terms` is what the pod says about other pods, who know it by namespace, labels, and whether it
    is `leaving`, that is, being deleted. `node_rule` is equal for pods whose nodeSelector and required
    node affinity are equal, `node_preference` for those with the same preferred node affinity; empty
    without any. `claims` are the names of its PersistentVolumeClaims, `images` those of its containers;
    `disks` are named in the pod itself. `rules` are those of its profile; `siblings` are the pods of its
    services and its controller, as far as anybody has looked.
    """

    uid: str
    name: str
    namespace: str
    labels: dict[str, str]
    leaving: bool
    spec: PodSpec
    resources: dict[str, int]
    host_ports: frozenset[HostPort]
    owner: str
    terms: PodTerms
    node_rule: bytes
    node_preference: bytes
    claims: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    disks: frozenset[Disk] = frozenset()
    rules: Rules = NO_RULES
    siblings: PodSet | None = None

    @property
    def priority(self) -> int:
        """Whom it may push aside, and who it."""
        return self.spec.priority or 0

    @property
    def likely_use(self) -> tuple[int, int]:
        """Milli-CPU and bytes of memory by which nodes are compared; never 0."""
        return (
            self.resources.get("cpu", 0) or DEFAULT_MILLI_CPU,
            self.resources.get("memory", 0) or DEFAULT_MEMORY,
        )


def request_of(pod: Pod, rules: Rules = NO_RULES, siblings: PodSet | None = None) -> Request:
    """The placement request of a pod; `spec.node_name` is empty while it is not bound."""
    owner = objects.controller_of(pod)
    return Request(
        uid=pod.metadata.uid,
        name=pod.metadata.name,
        namespace=pod.metadata.namespace,
        labels=pod.metadata.labels,
        leaving=bool(pod.metadata.deletion_timestamp),
        spec=pod.spec,
        resources=pods.held_requests(pod),
        host_ports=frozenset(pods.host_ports(pod)),
        owner="" if owner is None or pod.metadata.deletion_timestamp else owner.uid,
        terms=terms_of(pod, rules.spread if siblings is not None else (), siblings),
        node_rule=_node_rule(pod.spec),
        node_preference=_node_preference(pod.spec, rules),
        claims=tuple(pods.claims(pod)),
        images=images.wanted(pod.spec),
        disks=disks_of(pod.spec),
        rules=rules,
        siblings=siblings,
    )


def sort_of(request: Request) -> Hashable:
    """Equal for pods that every filter treats alike, such as the replicas of one ReplicaSet."""
    return (
        request.namespace,
        frozenset(request.labels.items()),
        frozenset(request.resources.items()),
        request.host_ports,
        request.terms,
        request.node_rule,
        request.claims,
        request.disks,
        request.priority,
        request.rules,
        msgspec.json.encode(request.spec.tolerations),
    )


def _node_rule(spec: PodSpec) -> bytes:
    affinity = spec.affinity.node_affinity if spec.affinity else None
    required = affinity.required_during_scheduling_ignored_during_execution if affinity else None
    if required is None and not spec.node_selector:
        return b""
    return msgspec.json.encode((spec.node_selector, required))


def _node_preference(spec: PodSpec, rules: Rules) -> bytes:
    affinity = spec.affinity.node_affinity if spec.affinity else None
    preferred = affinity.preferred_during_scheduling_ignored_during_execution if affinity else []
    wished = [*preferred, *rules.preferred]
    return msgspec.json.encode(wished) if wished else b""
