"""Topology spread constraints: no place should have many more of some pods than another. Pure.

A hard constraint (`DoNotSchedule`) is a filter, a soft one (`ScheduleAnyway`) a score. Who is
counted where, the API's documentation of TopologySpreadConstraint says; formulas are those of
Kubernetes' PodTopologySpread plugin.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from control.scheduler.request import Request
from control.scheduler.snapshot import Mask, Snapshot
from control.scheduler.taints import tolerated
from control.scheduler.terms import Spread
from control.scheduler.verdict import Verdict, verdict

SKEWED = "node(s) didn't match pod topology spread constraints"
NO_LABEL = "node(s) didn't match pod topology spread constraints (missing required label)"
MAX_SCORE = 100.0


def pod_topology_spread(request: Request, snapshot: Snapshot, candidates: Mask) -> Verdict:
    """Where the pod would not stand out: its place's count less the smallest is at most maxSkew."""
    hard = [spread for spread in request.terms.spread if spread.hard]
    passes, refusals = candidates, []
    for spread in hard:
        domains = snapshot.domains(spread.topology_key)
        labelled = verdict(passes, passes & domains.known, NO_LABEL)
        counted = _counted(spread, hard, request, snapshot)
        sums = domains.sums(snapshot.census.count(spread.pods).counts, counted)
        after = domains.spread(sums) + spread.itself
        fits = after - _smallest(spread, sums, domains.ids[counted]) <= spread.max_skew
        even = verdict(labelled.passes, labelled.passes & fits, SKEWED)
        refusals += [*labelled.refusals, *even.refusals]
        passes = even.passes
    return Verdict(passes, tuple(refusals))


def spread_preferred(
    request: Request, snapshot: Snapshot, candidates: Mask
) -> NDArray[np.float64] | float:
    """The fewer of the counted pods a place has, the better; rare places weigh less than many."""
    soft = [spread for spread in request.terms.spread if not spread.hard]
    if not soft:
        return 0.0
    costs, labelled = np.zeros(len(candidates)), candidates & _labelled(soft, snapshot)
    for spread in soft:
        domains = snapshot.domains(spread.topology_key)
        counted = _counted(spread, soft, request, snapshot)
        sums = domains.sums(snapshot.census.count(spread.pods).counts, counted)
        places = len(np.unique(domains.ids[labelled]))
        costs += domains.spread(sums) * np.log(places + 2) + (spread.max_skew - 1)
    costs = np.round(costs)
    if not labelled.any():
        return 0.0
    least, most = costs[labelled].min(), costs[labelled].max()
    scores = (
        np.full(len(costs), MAX_SCORE) if most == 0 else MAX_SCORE * (most + least - costs) / most
    )
    return np.where(labelled, scores, 0.0)


def _labelled(spreads: Sequence[Spread], snapshot: Snapshot) -> Mask:
    """Nodes that have the labels of all the constraints."""
    mask: Mask = np.logical_and.reduce(
        [snapshot.domains(spread.topology_key).known for spread in spreads]
    )
    return mask


def _counted(
    spread: Spread, together: Sequence[Spread], request: Request, snapshot: Snapshot
) -> Mask:
    """The nodes whose pods count for a constraint, which must have the labels of all of its sort."""
    counted = snapshot.present & _labelled(together, snapshot)
    if spread.honor_affinity:
        counted = counted & snapshot.reachable(request)
    if spread.honor_taints:
        counted = counted & tolerated(request, snapshot)
    return counted


def _smallest(spread: Spread, sums: NDArray[np.float64], places: NDArray[np.int32]) -> float:
    """The count of the emptiest place; 0 where there are fewer places than wanted."""
    occupied = np.unique(places)
    if len(occupied) < spread.min_domains or not len(occupied):
        return 0.0
    return float(sums[occupied].min())
