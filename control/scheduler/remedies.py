"""What would let a pod be placed: smaller requests, a toleration, another pod's leaving. Walk step 3.

Each remedy is tried out: the pod as it would be is put through all filters on the cluster as it is,
and what does not help is not named. A remedy that needs two changes at once is not looked for, except
that all requests that are too large are lowered together.

Pure but for `_without`, which takes a pod from the snapshot for a moment and puts it back.
"""

import copy
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from api import resources
from api.core import Toleration
from control.scheduler.filters import UNSCHEDULABLE_TAINT, feasible
from control.scheduler.request import Request
from control.scheduler.snapshot import CONDITION_TAINTS, Mask, Row, Snapshot
from control.scheduler.taints import first_untolerated
from control.scheduler.terms import PodTerms

MOST = 8
NAMED_NODES = 3
LOOKED_INTO = 50
"""Nodes whose pods are looked at one by one."""


def remedies(request: Request, snapshot: Snapshot, *, strangers: bool = True) -> list[str]:
    """What would help, in words; empty if nothing that is looked for would.

    `strangers`: whether pods of other namespaces may be named.
    """
    now = feasible(request, snapshot)
    if now.any() and request.spec.scheduling_gates:
        return [f"without its scheduling gates, {_named(snapshot, now)} could take it"]
    if now.any():
        return [f"{_named(snapshot, now)} could take it now; it is tried again after its back-off"]
    found: list[str] = []
    pod_by_pod = partial(_pod_by_pod, strangers=strangers)
    for source in (_smaller, _tolerant, _elsewhere, _claims, _rule_by_rule, pod_by_pod):
        for remedy in source(request, snapshot):
            if remedy not in found:
                found.append(remedy)
    return found[:MOST]


def _smaller(request: Request, snapshot: Snapshot) -> Iterator[str]:
    """Lower requests, where the node with the most room would still be the pod's."""
    rows = np.flatnonzero(feasible(replace(request, resources={}), snapshot))
    best: tuple[float, int, dict[str, int]] | None = None
    for row in rows.tolist():
        short = _shortage(request, snapshot, row)
        if not short:
            continue
        worst = max(amount / request.resources[name] for name, amount in short.items())
        if best is None or worst < best[0]:
            best = (worst, row, short)
    if best is None:
        return
    spelled = resources.quantities(best[2])
    less = " and ".join(f"{amount} less {name}" for name, amount in sorted(spelled.items()))
    yield f"if it asked for {less}, {snapshot.name(best[1])} could take it"


def _shortage(request: Request, snapshot: Snapshot, row: int) -> dict[str, int]:
    """By resource, how much the pod asks for beyond what the node has left."""
    short = {}
    for name, needed in request.resources.items():
        column = snapshot.resources.get(name)
        free = 0
        if column is not None:
            free = int(snapshot.allocatable[row, column] - snapshot.taken[row, column])
        if needed > max(free, 0):
            short[name] = needed - max(free, 0)
    return short


def _tolerant(request: Request, snapshot: Snapshot) -> Iterator[str]:
    """A toleration, for each taint that is in the way somewhere; or a node that gets well."""
    taints = {
        taint
        for taints in snapshot.taint_classes
        if (taint := first_untolerated(request.spec.tolerations, taints)) is not None
    }
    for taint in sorted(taints):
        helped = feasible(_tolerating(request, taint), snapshot)
        if not helped.any():
            continue
        where = _named(snapshot, helped)
        if taint[0] in CONDITION_TAINTS.values():
            yield f"if {where} lost the taint {taint[0]}, which the state of the node gives it"
        else:
            value = f"={taint[1]}" if taint[1] else ""
            yield f"with a toleration for {taint[0]}{value}:{taint[2]}, {where} could take it"
    helped = feasible(_tolerating(request, UNSCHEDULABLE_TAINT), snapshot) & snapshot.unschedulable
    if helped.any():
        yield f"if {_named(snapshot, helped)} were no longer cordoned (kubectl uncordon)"


def _tolerating(request: Request, taint: tuple[str, str, str]) -> Request:
    spec = copy.copy(request.spec)
    more = Toleration(key=taint[0], operator="Exists", effect=taint[2])
    spec.tolerations = [*spec.tolerations, more]
    return replace(request, spec=spec)


def _elsewhere(request: Request, snapshot: Snapshot) -> Iterator[str]:
    """Without what the pod says about nodes."""
    if request.node_rule:
        spec = copy.copy(request.spec)
        spec.node_selector = {}
        if spec.affinity is not None:
            spec.affinity = copy.copy(spec.affinity)
            spec.affinity.node_affinity = None
        helped = feasible(replace(request, spec=spec, node_rule=b""), snapshot)
        if helped.any():
            yield (
                "without its nodeSelector and required node affinity, or with the labels they ask"
                f" for, {_named(snapshot, helped)} could take it"
            )
    if request.rules.required is not None:
        rules = replace(request.rules, required=None)
        helped = feasible(replace(request, rules=rules), snapshot)
        if helped.any():
            yield (
                "without the node affinity that its scheduler adds, "
                f"{_named(snapshot, helped)} could take it"
            )
    if request.host_ports:
        helped = feasible(replace(request, host_ports=frozenset()), snapshot)
        if helped.any():
            yield f"without its host ports, {_named(snapshot, helped)} could take it"


def _claims(request: Request, snapshot: Snapshot) -> Iterator[str]:
    """Claims that are in order, and volumes that can be reached; or a disk that others have."""
    if request.claims:
        helped = feasible(replace(request, claims=()), snapshot)
        trouble = snapshot.storage.trouble(request)
        if helped.any() and trouble:
            yield f"if its claims were in order ({trouble}), {_named(snapshot, helped)} could take it"
        elif helped.any():
            yield f"if its claims' volumes could be had there, {_named(snapshot, helped)} could take it"
    if request.disks:
        helped = feasible(replace(request, disks=frozenset()), snapshot)
        if helped.any():
            yield f"without its disks, {_named(snapshot, helped)} could take it"


def _rule_by_rule(request: Request, snapshot: Snapshot) -> Iterator[str]:
    """Without one of the sorts of terms about other pods."""
    terms = request.terms
    for words, less in (
        ("its required pod affinity", replace(terms, near=())),
        ("its required pod anti-affinity", replace(terms, far=())),
        ("its topology spread constraints", replace(terms, spread=())),
    ):
        yield from _without_terms(request, snapshot, words, less)


def _without_terms(
    request: Request, snapshot: Snapshot, words: str, terms: PodTerms
) -> Iterator[str]:
    if terms != request.terms:
        helped = feasible(replace(request, terms=terms), snapshot)
        if helped.any():
            yield f"without {words}, {_named(snapshot, helped)} could take it"


def _pod_by_pod(request: Request, snapshot: Snapshot, *, strangers: bool) -> Iterator[str]:
    """Another pod's leaving its node: the smallest that would do, on up to three nodes."""
    found = 0
    rows = np.flatnonzero(feasible(_asking_nothing(request), snapshot))[:LOOKED_INTO]
    for row in rows.tolist():
        node = snapshot.row(row)
        for other in sorted(node.pods.values(), key=_size):
            if _enough(request, snapshot, row, other) and _without(other, node, request, snapshot):
                if strangers or other.namespace == request.namespace:
                    yield f"if pod {other.namespace}/{other.name}{_spelled(other)} left {node.name}"
                else:
                    yield f"if a pod of another namespace left {node.name}"
                found += 1
                break
        if found == NAMED_NODES:
            return


def _spelled(other: Request) -> str:
    """What a pod asks for, in brackets."""
    amounts = resources.quantities(other.resources)
    size = ", ".join(f"{value} {name}" for name, value in sorted(amounts.items()))
    return f" ({size})" if size else ""


def _asking_nothing(request: Request) -> Request:
    """The pod without what another's leaving could give it."""
    return replace(
        request,
        resources={},
        host_ports=frozenset(),
        claims=(),
        disks=frozenset(),
        terms=replace(request.terms, far=(), spread=()),
    )


def _size(request: Request) -> tuple[int, int, str]:
    return (
        request.resources.get(resources.CPU, 0),
        request.resources.get(resources.MEMORY, 0),
        request.name,
    )


def _enough(request: Request, snapshot: Snapshot, row: int, other: Request) -> bool:
    short = _shortage(request, snapshot, row)
    return all(other.resources.get(name, 0) >= amount for name, amount in short.items())


def _without(other: Request, node: Row, request: Request, snapshot: Snapshot) -> bool:
    """Whether the node could take the pod if the other one were gone."""
    snapshot.remove_pod(other.uid)
    try:
        here = np.zeros_like(snapshot.present)
        here[snapshot.index(node.name)] = True
        return bool(feasible(request, snapshot, here).any())
    finally:
        snapshot.add_pod(other, node.name)


def _named(snapshot: Snapshot, rows: Mask) -> str:
    """`n1`, `n1 or n2`, `n1, n2, n3 or one of 7 more`."""
    names = sorted(snapshot.name(row) for row in np.flatnonzero(rows).tolist())
    if len(names) > NAMED_NODES:
        return f"{', '.join(names[:NAMED_NODES])} or one of {len(names) - NAMED_NODES} more"
    return " or ".join(names)
