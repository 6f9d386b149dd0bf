"""Scores: which of the nodes that can run a pod should. Pure functions to 0..100 per row.

Kubernetes' default set, as far as this scheduler reads the pod: LeastAllocated and
BalancedAllocation over CPU and memory, spreading of one owner's pods and by soft constraints,
preferred affinity to nodes and pods, and PreferNoSchedule taints. Each is an array over all rows;
only candidates' rows count.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from control.scheduler.interpod import preferred_neighbours
from control.scheduler.request import Request
from control.scheduler.snapshot import TOO_MUCH, Mask, Snapshot
from control.scheduler.spreading import spread_preferred
from control.scheduler.taints import tolerates

Scores = NDArray[np.float64]

MAX_SCORE = 100.0


def least_allocated(request: Request, snapshot: Snapshot, candidates: Mask) -> Scores:
    """The more is left after this pod, the better; mean over CPU and memory."""
    cpu, memory = _fractions(request, snapshot)
    scores: Scores = MAX_SCORE * (1.0 - (cpu + memory) / 2.0)
    return scores


def balanced_allocation(request: Request, snapshot: Snapshot, candidates: Mask) -> Scores:
    """CPU and memory should fill evenly: 100 less the deviation of their used fractions."""
    cpu, memory = _fractions(request, snapshot)
    scores: Scores = MAX_SCORE * (1.0 - np.abs(cpu - memory) / 2.0)
    return scores


def owner_spread(request: Request, snapshot: Snapshot, candidates: Mask) -> Scores:
    """The fewer pods of the same owner a node has, the better."""
    scores = np.full(len(candidates), MAX_SCORE)
    if not request.owner:
        return scores
    counts = snapshot.owners.count(request.owner).counts
    most = counts[candidates].max(initial=0)
    return scores if most == 0 else MAX_SCORE * (most - counts) / most


def preferred_affinity(request: Request, snapshot: Snapshot, candidates: Mask) -> Scores:
    """The sum of the weights of the preferred terms that match, scaled to the best node."""
    sums = snapshot.preference(request)
    best = sums[candidates].max(initial=0)
    return sums if best == 0 else MAX_SCORE * sums / best


def preferred_taints(request: Request, snapshot: Snapshot, candidates: Mask) -> Scores:
    """The fewer untolerated PreferNoSchedule taints, the better; counted once per class."""
    counts = np.array(
        [
            sum(
                taint[2] == "PreferNoSchedule" and not tolerates(request.spec.tolerations, taint)
                for taint in taints
            )
            for taints in snapshot.taint_classes
        ]
    )[snapshot.taint_class]
    most = counts[candidates].max(initial=0)
    return np.full(len(counts), MAX_SCORE) if most == 0 else MAX_SCORE * (most - counts) / most


SCORES: tuple[tuple[str, float, Callable[[Request, Snapshot, Mask], Scores]], ...] = (
    ("NodeResourcesFit", 1.0, least_allocated),
    ("NodeResourcesBalancedAllocation", 1.0, balanced_allocation),
    ("SelectorSpread", 2.0, owner_spread),
    ("NodeAffinity", 2.0, preferred_affinity),
    ("TaintToleration", 3.0, preferred_taints),
    ("PodTopologySpread", 2.0, spread_preferred),
    ("InterPodAffinity", 2.0, preferred_neighbours),
)
"""Name, weight, function. Names and weights are those of Kubernetes' default profile."""


def _fractions(request: Request, snapshot: Snapshot) -> tuple[Scores, Scores]:
    """Likely used fraction of CPU and of memory with this pod on each node, between 0 and 1."""
    cpu, memory = (
        np.minimum(
            (snapshot.likely_use[:, place] + min(use, TOO_MUCH))
            / np.maximum(snapshot.allocatable[:, snapshot.resources[name]], 1),
            1.0,
        )
        for place, (name, use) in enumerate(zip(("cpu", "memory"), request.likely_use, strict=True))
    )
    return cpu, memory
