"""Scores: which of the nodes that can run a pod should. Pure functions to 0..100 per row.

Kubernetes' default set: LeastAllocated and BalancedAllocation over CPU and memory, spreading of one
owner's pods and by soft constraints, preferred affinity to nodes and pods, PreferNoSchedule taints,
and where the images are.
Each is an array over all rows, of which only candidates' count, or one number where all nodes get the
same. A profile may weigh them otherwise (`control/scheduler/profile.py`).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from api.nodes import ZONE
from control.scheduler.fitting import (
    MAX_SCORE,
    Score,
    Scores,
    balanced_allocation,
    least_allocated,
)
from control.scheduler.interpod import preferred_neighbours
from control.scheduler.request import Request
from control.scheduler.snapshot import Mask, Snapshot
from control.scheduler.spreading import spread_preferred
from control.scheduler.taints import tolerates

ZONE_WEIGHT = 2.0
LEAST_WORTH = 23.0 * 2**20
MOST_PER_CONTAINER = 1000.0 * 2**20
"""Bytes of images: less is as good as nothing, more no better."""


def owner_spread(request: Request, snapshot: Snapshot, candidates: Mask) -> Scores | float:
    """The fewer pods of the same owner a node and its zone have, the better; zones count twice.

    Without an owner, it is the pods of the same services. As Kubernetes' SelectorSpread.
    """
    if request.owner:
        counts = snapshot.owners.count(request.owner).counts
    elif request.siblings is not None:
        counts = snapshot.census.count(request.siblings).counts
    else:
        return MAX_SCORE
    scores, zones = _fewest(counts, candidates), snapshot.domains(ZONE)
    if isinstance(scores, float) or not zones.values:
        return scores
    by_zone = zones.sums(counts, candidates)
    most = by_zone.max()
    values = MAX_SCORE * (most - by_zone) / most if most else np.full(len(by_zone), MAX_SCORE)
    both = (scores + zones.spread(ZONE_WEIGHT * values)) / (1.0 + ZONE_WEIGHT)
    return np.where(zones.known, both, scores)


def _fewest(counts: NDArray[Any], candidates: Mask) -> Scores | float:
    """100 for none, 0 for the most that a candidate has."""
    most = np.max(counts, where=candidates, initial=0)
    return MAX_SCORE if most == 0 else (most - counts) * (MAX_SCORE / most)


def preferred_affinity(request: Request, snapshot: Snapshot, candidates: Mask) -> Scores | float:
    """The sum of the weights of the preferred terms that match, scaled to the best node."""
    if not request.node_preference:
        return 0.0
    sums = snapshot.preference(request)
    best = sums[candidates].max(initial=0)
    return 0.0 if best == 0 else MAX_SCORE * sums / best


def preferred_taints(request: Request, snapshot: Snapshot, candidates: Mask) -> Scores | float:
    """The fewer untolerated PreferNoSchedule taints, the better; counted once per class."""
    by_class = [
        sum(
            taint[2] == "PreferNoSchedule" and not tolerates(request.spec.tolerations, taint)
            for taint in taints
        )
        for taints in snapshot.taint_classes
    ]
    if not any(by_class):
        return MAX_SCORE
    counts = np.array(by_class)[snapshot.taint_class]
    most = counts[candidates].max(initial=0)
    return MAX_SCORE if most == 0 else MAX_SCORE * (most - counts) / most


def image_locality(request: Request, snapshot: Snapshot, candidates: Mask) -> Scores | float:
    """The larger the pod's images that a node has, the better; what few nodes have counts less."""
    images = snapshot.images
    known = [name for name in request.images if images.nodes(name)]
    if not known:
        return 0.0
    sums, nodes = np.zeros(len(candidates)), np.count_nonzero(snapshot.present)
    for name in known:
        sums += images.sizes(name, len(candidates)) * (images.nodes(name) / nodes)
    most = MOST_PER_CONTAINER * len(request.spec.init_containers + request.spec.containers)
    scores: Scores = MAX_SCORE * (np.clip(sums, LEAST_WORTH, most) - LEAST_WORTH)
    return scores / (most - LEAST_WORTH)


SCORES: tuple[tuple[str, float, Score], ...] = (
    ("NodeResourcesFit", 1.0, least_allocated()),
    ("NodeResourcesBalancedAllocation", 1.0, balanced_allocation()),
    ("SelectorSpread", 2.0, owner_spread),
    ("NodeAffinity", 2.0, preferred_affinity),
    ("TaintToleration", 3.0, preferred_taints),
    ("PodTopologySpread", 2.0, spread_preferred),
    ("InterPodAffinity", 2.0, preferred_neighbours),
    ("ImageLocality", 1.0, image_locality),
)
"""Name, weight, function. Names and weights are those of Kubernetes' default profile."""
