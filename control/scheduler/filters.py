"""Filters: which nodes can run a pod, and in Kubernetes' words why the others cannot.

Each filter is a pure function of (request, snapshot, candidates) to a `Verdict`: the nodes that
pass, and the reason of each one that does not. They run in one fixed order and each sees only the
nodes that passed before, so a node is refused for the first reason that holds, as in Kubernetes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

import numpy as np

from api import nodes, pods
from api.core import Taint, Toleration
from control.scheduler.request import Request
from control.scheduler.snapshot import PODS, Mask, Snapshot

UNSCHEDULABLE_TAINT = ("node.kubernetes.io/unschedulable", "", "NoSchedule")


class Filter(Enum):
    """The filters by the names of Kubernetes' scheduling plugins, in the order they run."""

    NODE_UNSCHEDULABLE = "NodeUnschedulable"
    NODE_NAME = "NodeName"
    TAINT_TOLERATION = "TaintToleration"
    NODE_AFFINITY = "NodeAffinity"
    NODE_PORTS = "NodePorts"
    NODE_RESOURCES_FIT = "NodeResourcesFit"


@dataclass(slots=True)
class Verdict:
    """What one filter found: `passes` over all rows, and reasons by row of those it refused."""

    passes: Mask
    reasons: dict[int, tuple[str, ...]]


def node_unschedulable(request: Request, snapshot: Snapshot, candidates: Mask) -> Verdict:
    """Cordoned nodes take only pods that tolerate the cordon (DaemonSet pods do)."""
    if tolerates(request.spec.tolerations, UNSCHEDULABLE_TAINT):
        return Verdict(candidates, {})
    passes = candidates & ~snapshot.unschedulable
    return _refused(candidates, passes, "node(s) were unschedulable")


def node_name(request: Request, snapshot: Snapshot, candidates: Mask) -> Verdict:
    """A pod that names its node runs there or nowhere."""
    if not request.spec.node_name:
        return Verdict(candidates, {})
    passes = np.zeros_like(candidates)
    row = snapshot.index(request.spec.node_name)
    if row is not None:
        passes[row] = candidates[row]
    return _refused(candidates, passes, "node(s) didn't match the requested node name")


def taint_toleration(request: Request, snapshot: Snapshot, candidates: Mask) -> Verdict:
    """Every NoSchedule or NoExecute taint must be tolerated; checked once per class of taints."""
    blocking = [
        first_untolerated(request.spec.tolerations, taints) for taints in snapshot.taint_classes
    ]
    open_classes = np.array([taint is None for taint in blocking], dtype=np.bool_)
    passes = candidates & open_classes[snapshot.taint_class]
    reasons: dict[int, tuple[str, ...]] = {}
    for row in np.flatnonzero(candidates & ~passes):
        taint = blocking[snapshot.taint_class[row]]
        if taint is not None:
            reasons[int(row)] = (f"node(s) had untolerated taint {{{taint[0]}: {taint[1]}}}",)
    return Verdict(passes, reasons)


def node_affinity(request: Request, snapshot: Snapshot, candidates: Mask) -> Verdict:
    """nodeSelector and required node affinity must both hold."""
    affinity = request.spec.affinity
    if not request.spec.node_selector and (affinity is None or affinity.node_affinity is None):
        return Verdict(candidates, {})
    passes = _where(
        candidates, lambda row: nodes.matches_required(request.spec, snapshot.node(row))
    )
    return _refused(candidates, passes, "node(s) didn't match Pod's node affinity/selector")


def node_ports(request: Request, snapshot: Snapshot, candidates: Mask) -> Verdict:
    """The host ports that the pod wants must be free."""
    if not request.host_ports:
        return Verdict(candidates, {})

    def free(row: int) -> bool:
        used = snapshot.row(row).host_ports
        return not any(port.conflicts(taken) for port in request.host_ports for taken in used)

    passes = _where(candidates, free)
    return _refused(
        candidates, passes, "node(s) didn't have free ports for the requested pod ports"
    )


def node_resources_fit(request: Request, snapshot: Snapshot, candidates: Mask) -> Verdict:
    """What is allocatable and not yet requested must cover the request; all columns at once.

    A node may be over-committed in a resource that the pod does not ask for.
    """
    demand = snapshot.demand(request)
    free = snapshot.allocatable - snapshot.taken
    short = (demand > 0) & (free < demand)
    passes = candidates & ~short.any(axis=1)
    names = {column: name for name, column in snapshot.resources.items()}
    reasons: dict[int, tuple[str, ...]] = {}
    worded: dict[bytes, tuple[str, ...]] = {}  # thousands of nodes lack the same few things
    for row in np.flatnonzero(candidates & ~passes):
        lacks = short[row].tobytes()
        if lacks not in worded:
            columns = np.flatnonzero(short[row])
            worded[lacks] = tuple(_shortage(names[int(column)]) for column in columns)
        reasons[int(row)] = worded[lacks]
    return Verdict(passes, reasons)


def _shortage(resource: str) -> str:
    return "Too many pods" if resource == PODS else f"Insufficient {resource}"


FILTERS: tuple[tuple[Filter, Callable[[Request, Snapshot, Mask], Verdict]], ...] = (
    (Filter.NODE_UNSCHEDULABLE, node_unschedulable),
    (Filter.NODE_NAME, node_name),
    (Filter.TAINT_TOLERATION, taint_toleration),
    (Filter.NODE_AFFINITY, node_affinity),
    (Filter.NODE_PORTS, node_ports),
    (Filter.NODE_RESOURCES_FIT, node_resources_fit),
)


def first_untolerated(
    tolerations: Sequence[Toleration], taints: tuple[tuple[str, str, str], ...]
) -> tuple[str, str, str] | None:
    """The first taint that keeps the pod away; PreferNoSchedule never does."""
    for taint in taints:
        if taint[2] in ("NoSchedule", "NoExecute") and not tolerates(tolerations, taint):
            return taint
    return None


def tolerates(tolerations: Sequence[Toleration], taint: tuple[str, str, str]) -> bool:
    """Whether one of the tolerations covers the taint."""
    return pods.tolerates(tolerations, _taint(taint))


@lru_cache(maxsize=1024)
def _taint(taint: tuple[str, str, str]) -> Taint:
    return Taint(key=taint[0], value=taint[1], effect=taint[2])


def _where(candidates: Mask, holds: Callable[[int], bool]) -> Mask:
    passes = candidates.copy()
    for row in np.flatnonzero(candidates):
        passes[row] = holds(int(row))
    return passes


def _refused(candidates: Mask, passes: Mask, reason: str) -> Verdict:
    return Verdict(passes, {int(row): (reason,) for row in np.flatnonzero(candidates & ~passes)})
