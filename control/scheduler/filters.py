"""Filters: which nodes can run a pod, and in Kubernetes' words why the others cannot.

Each filter is a pure function of (request, snapshot, candidates) to a `Verdict`: the nodes that
pass, and the reasons of those that do not. They run in one fixed order and each sees only the
nodes that passed before, so a node is refused for the first reason that holds, as in Kubernetes.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from control.scheduler.columns import Rows
from control.scheduler.interpod import inter_pod_affinity
from control.scheduler.reachable import (
    claims_in_order,
    node_volume_limits,
    volume_binding,
    volume_restrictions,
    volume_zone,
)
from control.scheduler.request import Request
from control.scheduler.rules import Filter
from control.scheduler.snapshot import PODS, Mask, Snapshot
from control.scheduler.spreading import pod_topology_spread
from control.scheduler.taints import blocking, tolerated, tolerates
from control.scheduler.verdict import Lacking, Refusal, Verdict, missing, verdict

Check = Callable[[Request, Snapshot, Mask], Verdict]

NOT_ENFORCED = "node(s) didn't match scheduler-enforced node affinity"
PORTS_TAKEN = "node(s) didn't have free ports for the requested pod ports"
UNSCHEDULABLE_TAINT = ("node.kubernetes.io/unschedulable", "", "NoSchedule")


def node_unschedulable(request: Request, snapshot: Snapshot, candidates: Mask) -> Verdict:
    """Cordoned nodes take only pods that tolerate the cordon (DaemonSet pods do)."""
    cordoned = snapshot.unschedulable
    if not cordoned.any() or tolerates(request.spec.tolerations, UNSCHEDULABLE_TAINT):
        return Verdict(candidates)
    passes = candidates & ~cordoned
    return verdict(candidates, passes, "node(s) were unschedulable")


def node_name(request: Request, snapshot: Snapshot, candidates: Mask) -> Verdict:
    """A pod that names its node runs there or nowhere."""
    if not request.spec.node_name:
        return Verdict(candidates)
    passes = np.zeros_like(candidates)
    row = snapshot.index(request.spec.node_name)
    if row is not None:
        passes[row] = candidates[row]
    return verdict(candidates, passes, "node(s) didn't match the requested node name")


def taint_toleration(request: Request, snapshot: Snapshot, candidates: Mask) -> Verdict:
    """Every NoSchedule or NoExecute taint must be tolerated; checked once per class of taints."""
    in_the_way = blocking(request, snapshot)
    if not any(in_the_way):
        return Verdict(candidates)
    passes = candidates & tolerated(request, snapshot)
    left_out = missing(candidates, passes)
    classes = snapshot.taint_class[left_out]
    return Verdict(
        passes,
        tuple(
            Refusal((f"node(s) had untolerated taint {{{taint[0]}: {taint[1]}}}",), rows)
            for number in np.unique(classes)
            if (taint := in_the_way[number]) is not None
            and (rows := left_out[classes == number]).size
        ),
    )


def node_affinity(request: Request, snapshot: Snapshot, candidates: Mask) -> Verdict:
    """What the profile adds, the pod's nodeSelector and its required node affinity must all hold."""
    enforced = Verdict(candidates)
    if request.rules.required is not None:
        enforced = verdict(candidates, candidates & snapshot.enforced(request.rules), NOT_ENFORCED)
    if not request.node_rule:
        return enforced
    passes = enforced.passes & snapshot.reachable(request)
    own = verdict(enforced.passes, passes, "node(s) didn't match Pod's node affinity/selector")
    return Verdict(own.passes, (*enforced.refusals, *own.refusals))


def node_ports(request: Request, snapshot: Snapshot, candidates: Mask) -> Verdict:
    """The host ports that the pod wants must be free."""
    if not request.host_ports:
        return Verdict(candidates)

    def free(row: int) -> bool:
        used = snapshot.row(row).host_ports
        return not any(port.conflicts(taken) for port in request.host_ports for taken in used)

    passes = _where(candidates, free)
    return verdict(candidates, passes, PORTS_TAKEN)


def node_resources_fit(request: Request, snapshot: Snapshot, candidates: Mask) -> Verdict:
    """What is allocatable and not yet requested must cover the request; all columns at once.

    A node may be over-committed in a resource that the pod does not ask for.
    """
    demand = snapshot.needs(request)
    wanted = {name: column for name, column in snapshot.resources.items() if demand[column] > 0}

    def fits(rows: Rows) -> Mask:
        enough = np.ones(len(snapshot.present[rows]), dtype=np.bool_)
        for column in wanted.values():
            free = snapshot.allocatable[rows, column] - snapshot.taken[rows, column]
            enough &= free >= demand[column]
        return enough

    key = (node_resources_fit, demand.tobytes())
    passes = candidates & snapshot.columns.get(key, fits)
    left_out = missing(candidates, passes)
    if not left_out.size:
        return Verdict(candidates)
    free = {
        name: snapshot.allocatable[left_out, column] - snapshot.taken[left_out, column]
        for name, column in wanted.items()
    }
    needed = {name: int(demand[column]) for name, column in wanted.items()}
    return Verdict(passes, tuple(_alike(left_out, free, needed)))


def _alike(
    rows: NDArray[np.intp], free: dict[str, NDArray[np.int64]], needed: dict[str, int]
) -> Iterator[Refusal]:
    """The refused nodes by what they lack; thousands of them lack the same few things."""
    names = list(needed)
    left = np.column_stack([free[name] for name in names])
    shortages = left < np.array([needed[name] for name in names])
    while rows.size:
        same = (shortages == shortages[0]).all(axis=1)
        places = np.flatnonzero(shortages[0])
        lacks = tuple(names[int(place)] for place in places)
        lacking = Lacking(lacks, tuple(needed[name] for name in lacks), left[same][:, places])
        yield Refusal(tuple(shortage(name) for name in lacks), rows[same], lacking)
        rows, shortages, left = rows[~same], shortages[~same], left[~same]


def feasible(request: Request, snapshot: Snapshot, among: Mask | None = None) -> Mask:
    """The nodes, of some or of all, that pass every filter."""
    candidates = snapshot.present if among is None else among
    for _, check in filters_of(request):
        if not np.count_nonzero(candidates):
            break
        candidates = check(request, snapshot, candidates).passes
    return candidates


def filters_of(request: Request) -> Sequence[tuple[Filter, Check]]:
    """The filters that a pod has to pass, in their order."""
    skips = request.rules.skips
    return [one for one in FILTERS if one[0] not in skips] if skips else FILTERS


def shortage(resource: str) -> str:
    """How a node says that it lacks a resource."""
    return "Too many pods" if resource == PODS else f"Insufficient {resource}"


FILTERS: tuple[tuple[Filter, Check], ...] = (
    (Filter.VOLUME_BINDING, claims_in_order),
    (Filter.NODE_UNSCHEDULABLE, node_unschedulable),
    (Filter.NODE_NAME, node_name),
    (Filter.TAINT_TOLERATION, taint_toleration),
    (Filter.NODE_AFFINITY, node_affinity),
    (Filter.NODE_PORTS, node_ports),
    (Filter.NODE_RESOURCES_FIT, node_resources_fit),
    (Filter.VOLUME_RESTRICTIONS, volume_restrictions),
    (Filter.NODE_VOLUME_LIMITS, node_volume_limits),
    (Filter.VOLUME_BINDING, volume_binding),
    (Filter.VOLUME_ZONE, volume_zone),
    (Filter.POD_TOPOLOGY_SPREAD, pod_topology_spread),
    (Filter.INTER_POD_AFFINITY, inter_pod_affinity),
)


def _where(candidates: Mask, holds: Callable[[int], bool]) -> Mask:
    passes = candidates.copy()
    for row in np.flatnonzero(candidates):
        passes[row] = holds(int(row))
    return passes
