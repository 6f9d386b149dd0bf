"""The pure part of a DaemonSet: which nodes get a pod, which pods go, and the steps of an update.

Serves steps 1 and 3 of the pod's walk. Rules from the DaemonSet concept page and the API reference:
a pod says by node affinity on which node it belongs and the scheduler binds it there; it tolerates
what befalls nodes (not ready, unreachable, pressure, cordoned), so it runs there all the same. A
node is fit when the template's node name, selector and affinity match and its taints are tolerated;
a taint that only keeps new pods away (NoSchedule) leaves a running one alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from api import intstr, nodes, objects, pods
from api.apps import DaemonSet, DaemonSetStatus
from api.core import (
    Affinity,
    Node,
    NodeAffinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Pod,
    PodSpec,
    Toleration,
)
from api.meta import ObjectMeta
from control.controllers.workloads.history import REVISION, hash_of

NODE_NAME = "metadata.name"
MAX_BURST = 250

_ENDURED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
_ENDURED_ON_THE_HOST = ("node.kubernetes.io/network-unavailable", "NoSchedule")


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a node gets a pod, and whether one that is there may stay."""

    run: bool
    stay: bool


@dataclass(frozen=True, slots=True)
class Fleet:
    """A DaemonSet, the nodes there are, its pods by the node they are for, and the present revision."""

    owner: DaemonSet
    fits: Mapping[str, Fit]
    pods: Mapping[str, Sequence[Pod]]
    hash: str
    now: datetime

    def available(self, pod: Pod) -> bool:
        """Ready for as long as the DaemonSet asks."""
        seconds = self.owner.spec.min_ready_seconds
        return pods.is_available(pod, min_ready_seconds=seconds, now=self.now)

    def is_updated(self, pod: Pod) -> bool:
        """Whether the pod follows the present template."""
        return hash_of(pod.metadata.labels) == self.hash

    @property
    def wanted(self) -> list[str]:
        """The nodes that should have a pod."""
        return [name for name, fit in self.fits.items() if fit.run]


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next: nodes that get a pod, pods to delete, and pods that have ended.

    Those that ended are deleted, too, but not at once each time: a node may refuse them for ever.
    """

    create: tuple[str, ...] = ()
    delete: tuple[Pod, ...] = ()
    ended: tuple[Pod, ...] = ()


def gather(
    owner: DaemonSet, several: Sequence[Node], mine: Sequence[Pod], hash_: str, now: datetime
) -> Fleet:
    """Sort the pods by their nodes, and look which nodes are fit.

    A pod that has ended and is being deleted is as good as gone; one that is for no node, adopted as
    it was, is left alone.
    """
    by_node: dict[str, list[Pod]] = {}
    for pod in mine:
        node = target_of(pod)
        if node and not (pods.is_terminal(pod) and pod.metadata.deletion_timestamp):
            by_node.setdefault(node, []).append(pod)
    spec = _completed(owner.spec.template.spec)
    fits = {node.metadata.name: _fit(spec, node) for node in several}
    ordered = dict(sorted(fits.items()))
    return Fleet(owner, ordered, by_node, hash_, now)


def target_of(pod: Pod) -> str:
    """The node that a pod is for, whether it is bound to it already or not."""
    if pod.spec.node_name:
        return pod.spec.node_name
    affinity = pod.spec.affinity.node_affinity if pod.spec.affinity else None
    required = affinity.required_during_scheduling_ignored_during_execution if affinity else None
    for term in required.node_selector_terms if required else ():
        for field in term.match_fields:
            if field.key == NODE_NAME and field.operator == "In" and len(field.values) == 1:
                return field.values[0]
    return ""


def _fit(spec: PodSpec, node: Node) -> Fit:
    if spec.node_name not in ("", node.metadata.name) or not nodes.matches_required(spec, node):
        return Fit(run=False, stay=False)
    taints, tolerations = node.spec.taints, spec.tolerations
    if pods.untolerated(taints, tolerations, "NoExecute") is not None:
        return Fit(run=False, stay=False)
    return Fit(run=pods.untolerated(taints, tolerations, "NoSchedule") is None, stay=True)


def _completed(spec: PodSpec) -> PodSpec:
    """A template's spec with the tolerations that every daemon has."""
    endured = [*_ENDURED, *([_ENDURED_ON_THE_HOST] if spec.host_network else [])]
    own = [Toleration(key=key, operator="Exists", effect=effect) for key, effect in endured]
    others = [one for one in spec.tolerations if not any(_is_same(one, mine) for mine in own)]
    return msgspec.structs.replace(spec, tolerations=[*others, *own])


def _is_same(one: Toleration, other: Toleration) -> bool:
    return (one.key, one.operator, one.effect, one.value) == (
        other.key,
        other.operator,
        other.effect,
        other.value,
    )


def new_pod(owner: DaemonSet, node: str, hash_: str) -> Pod:
    """The pod for one node; the server completes its name.

    The template's own node affinity has been looked at already: only the name is left of it.
    """
    template = objects.copy(owner.spec.template)
    spec = _completed(template.spec)
    name = NodeSelectorRequirement(key=NODE_NAME, operator="In", values=[node])
    only = NodeSelector(node_selector_terms=[NodeSelectorTerm(match_fields=[name])])
    affinity = spec.affinity or Affinity()
    affinity.node_affinity = affinity.node_affinity or NodeAffinity()
    affinity.node_affinity.required_during_scheduling_ignored_during_execution = only
    spec.affinity = affinity
    return Pod(
        metadata=ObjectMeta(
            generate_name=f"{owner.metadata.name}-",
            namespace=owner.metadata.namespace,
            labels={**template.metadata.labels, REVISION: hash_},
            annotations=template.metadata.annotations,
            finalizers=template.metadata.finalizers,
            owner_references=[objects.controller_reference(owner)],
        ),
        spec=spec,
    )


def manage(fleet: Fleet) -> Step:
    """One pod on each node that is fit, none on the others (two while an update surges)."""
    create: list[str] = []
    delete: list[Pod] = []
    ended: list[Pod] = []
    for node, fit in fleet.fits.items():
        there = fleet.pods.get(node, ())
        present = [pod for pod in there if not pod.metadata.deletion_timestamp]
        if fit.run and not there:
            create.append(node)
        elif fit.stay:
            ended += [pod for pod in present if pods.is_terminal(pod)]
            delete += _excess(fleet, [pod for pod in present if not pods.is_terminal(pod)])
        else:
            delete += present
    for node, lost in fleet.pods.items():
        if node not in fleet.fits:  # bound ones are the business of the pod collector
            delete += [pod for pod in lost if pods.is_active(pod) and not pod.spec.node_name]
    return Step(tuple(create[:MAX_BURST]), tuple(delete[:MAX_BURST]), tuple(ended))


def _excess(fleet: Fleet, running: Sequence[Pod]) -> list[Pod]:
    """Pods that are too many on one node: all but the oldest, or but one of each revision."""
    if len(running) < 2:
        return []
    ordered = sorted(
        running, key=lambda pod: (not pod.spec.node_name, pod.metadata.creation_timestamp or "")
    )
    if not _most_surge(fleet):
        return ordered[1:]
    new = [pod for pod in ordered if fleet.is_updated(pod)]
    old = [pod for pod in ordered if not fleet.is_updated(pod)]
    excess = [*new[1:], *old[1:]]
    if new and old and (not pods.is_ready(old[0]) or fleet.available(new[0])):
        excess.append(old[0])
    return excess


def update(fleet: Fleet) -> Step:
    """The next step of a rolling update, once every fit node has its pod."""
    if fleet.owner.spec.update_strategy.type != "RollingUpdate":
        return Step()
    surge = _most_surge(fleet)
    return _surge(fleet, surge) if surge else _replace(fleet, _most_unavailable(fleet))


def _replace(fleet: Fleet, most: int) -> Step:
    """Delete old pods: those that serve nobody at once, others as long as `most` are missing."""
    missing = 0
    broken: list[Pod] = []
    candidates: list[Pod] = []
    for node in _nodes(fleet):
        new, old = _pair(fleet, node)
        if len(new) + len(old) != 1:
            missing += 1  # the one that is lacking or too many is not an update's business
        elif new:
            missing += not fleet.available(new[0])
        elif fleet.available(old[0]):
            candidates.append(old[0])
        else:
            missing += 1
            broken.append(old[0])
    return Step(delete=(*broken, *candidates[: max(0, most - missing)]))


def _surge(fleet: Fleet, most: int) -> Step:
    """Add new pods beside old ones: for those that serve nobody at once, else up to `most`."""
    more = 0
    broken: list[str] = []
    candidates: list[str] = []
    done: list[Pod] = []
    for node in _nodes(fleet):
        new, old = _pair(fleet, node)
        if len(new) > 1 or len(old) > 1:
            more += 1
        elif new and old:
            if fleet.available(new[0]):
                done.append(old[0])
            else:
                more += 1
        elif old:
            fit = fleet.fits.get(node)
            if fit is None or not fit.run:
                continue  # it may stay as it is, and gets no other
            (candidates if fleet.available(old[0]) else broken).append(node)
    return Step(create=(*broken, *candidates[: max(0, most - more)]), delete=tuple(done))


def _nodes(fleet: Fleet) -> list[str]:
    """Nodes that have pods or should have one."""
    return sorted({*fleet.pods, *fleet.wanted})


def _pair(fleet: Fleet, node: str) -> tuple[list[Pod], list[Pod]]:
    """New and old pods of a node that are not on their way out."""
    staying = [pod for pod in fleet.pods.get(node, ()) if not pod.metadata.deletion_timestamp]
    new = [pod for pod in staying if fleet.is_updated(pod)]
    return new, [pod for pod in staying if not fleet.is_updated(pod)]


def _most_surge(fleet: Fleet) -> int:
    rolling = fleet.owner.spec.update_strategy.rolling_update
    if rolling is None or rolling.max_surge is None:
        return 0
    return intstr.resolve(rolling.max_surge, len(fleet.wanted), round_up=True)


def _most_unavailable(fleet: Fleet) -> int:
    """At least one: a percentage of no nodes would never let an update begin."""
    rolling = fleet.owner.spec.update_strategy.rolling_update
    if rolling is None or rolling.max_unavailable is None:
        return 1
    return max(1, intstr.resolve(rolling.max_unavailable, len(fleet.wanted), round_up=True))


def status_of(fleet: Fleet, collisions: int | None) -> DaemonSetStatus:
    """The counts. Of several pods on a node the oldest one counts."""
    wanted = fleet.wanted
    first = {
        node: min(there, key=lambda pod: pod.metadata.creation_timestamp or "")
        for node, there in fleet.pods.items()
        if there and node in fleet.fits
    }
    right = [first[node] for node in wanted if node in first]
    available = sum(fleet.available(pod) for pod in right)
    return DaemonSetStatus(
        current_number_scheduled=len(right),
        number_misscheduled=len(first) - len(right),
        desired_number_scheduled=len(wanted),
        number_ready=sum(pods.is_ready(pod) for pod in right),
        observed_generation=fleet.owner.metadata.generation,
        updated_number_scheduled=sum(fleet.is_updated(pod) for pod in right),
        number_available=available,
        number_unavailable=len(wanted) - available,
        collision_count=collisions,
        conditions=fleet.owner.status.conditions,
    )
