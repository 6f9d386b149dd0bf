"""Scores about amounts: how full a pod would make a node, and whether that is good. Pure, to 0..100.

Formulas are those of Kubernetes' plugins NodeResourcesFit, with its three strategies, and
NodeResourcesBalancedAllocation: a node counts the resources that it has, an extended one only for pods
that ask for it; CPU and memory count as pods are likely to use them (`Request.likely_use`).
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from control.scheduler.columns import Rows
from control.scheduler.request import Request
from control.scheduler.snapshot import TOO_MUCH, Mask, Snapshot

Scores = NDArray[np.float64]
Score = Callable[[Request, Snapshot, Mask], Scores | float]
"""By row, of which only those of candidates count, or what all nodes get."""

MAX_SCORE = 100.0
MAX_UTILIZATION = 100.0
MAX_POINT = 10.0
"""The best that a point of a shape can say."""
_LIKELY = ("cpu", "memory")
_OWN = (*_LIKELY, "ephemeral-storage")


@dataclass(frozen=True, slots=True)
class Weight:
    """How much a resource counts."""

    resource: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Point:
    """What a utilization in percent is worth, up to 10; between two points it is interpolated."""

    utilization: float
    score: float


CPU_AND_MEMORY = (Weight("cpu"), Weight("memory"))


def least_allocated(weights: Sequence[Weight] = CPU_AND_MEMORY) -> Score:
    """The more is left after the pod, the better."""
    return partial(_weighed, weights, lambda used: MAX_SCORE * (1.0 - np.minimum(used, 1.0)))


def most_allocated(weights: Sequence[Weight] = CPU_AND_MEMORY) -> Score:
    """The less is left, the better: pods are packed."""
    return partial(_weighed, weights, lambda used: MAX_SCORE * np.minimum(used, 1.0))


def requested_to_capacity(
    shape: Sequence[Point], weights: Sequence[Weight] = CPU_AND_MEMORY
) -> Score:
    """As the shape says; what it calls worthless does not count."""
    utilizations = [point.utilization for point in shape]
    scores = [point.score * MAX_SCORE / MAX_POINT for point in shape]

    def valued(used: Scores) -> Scores:
        percent = np.minimum(used, 1.0) * MAX_UTILIZATION
        values: Scores = np.interp(percent, utilizations, scores)
        return values

    return partial(_weighed, weights, valued, worthless=True)


def balanced_allocation(weights: Sequence[Weight] = CPU_AND_MEMORY) -> Score:
    """Resources should fill evenly: 100 less the deviation of their used fractions."""
    return partial(_balanced, tuple(weight.resource for weight in weights))


def _weighed(
    weights: Sequence[Weight],
    value: Callable[[Scores], Scores],
    request: Request,
    snapshot: Snapshot,
    candidates: Mask,
    *,
    worthless: bool = False,
) -> Scores:
    """The mean of what each resource's use is worth, as far as it counts."""

    def compute(rows: Rows) -> Scores:
        present = snapshot.present[rows]
        total, weighed = np.zeros(len(present)), np.zeros(len(present))
        everywhere = 0.0
        for one in weights:
            found = _used(one.resource, request, snapshot, rows)
            if found is None:
                continue
            values, counts = value(found[0]), found[1]
            if worthless:
                counts = counts & (values > 0)
            if (counts | ~present).all():
                total += one.weight * values
                everywhere += one.weight
            else:
                total += np.where(counts, one.weight * values, 0.0)
                weighed += one.weight * counts
        weighed += everywhere
        scores: Scores = np.divide(total, weighed, out=np.zeros(len(total)), where=weighed > 0)
        return scores

    return snapshot.columns.get((value, tuple(weights), _asked(request)), compute)


def _balanced(
    resources: tuple[str, ...], request: Request, snapshot: Snapshot, candidates: Mask
) -> Scores:
    def compute(rows: Rows) -> Scores:
        present = snapshot.present[rows]
        every = (_used(name, request, snapshot, rows) for name in resources)
        found = [one for one in every if one is not None]
        used = [np.minimum(fraction, 1.0) for fraction, _ in found]
        if len(used) == 2 and all((counts | ~present).all() for _, counts in found):
            scores: Scores = MAX_SCORE * (1.0 - np.abs(used[0] - used[1]) / 2.0)
            return scores
        if not used:
            return np.full(len(present), MAX_SCORE)
        counts = np.array([counts for _, counts in found])
        number = np.maximum(counts.sum(axis=0), 1)
        mean = np.where(counts, used, 0.0).sum(axis=0) / number
        deviation = np.sqrt((np.where(counts, used - mean, 0.0) ** 2).sum(axis=0) / number)
        scores = MAX_SCORE * (1.0 - deviation)
        return scores

    return snapshot.columns.get((resources, _asked(request)), compute)


def _asked(request: Request) -> Hashable:
    """All that these scores read of a pod."""
    return frozenset(request.resources.items())


def _used(
    resource: str, request: Request, snapshot: Snapshot, rows: Rows
) -> tuple[Scores, Mask] | None:
    """The used fraction with the pod by node, above 1 where it is overcommitted, and where it counts."""
    column = snapshot.resources.get(resource)
    wanted = request.resources.get(resource, 0)
    if column is None or (not wanted and resource not in _OWN):
        return None
    if resource in _LIKELY:
        place = _LIKELY.index(resource)
        taken, wanted = snapshot.likely_use[rows, place], request.likely_use[place]
    else:
        taken = snapshot.taken[rows, column]
    inverse = snapshot.inverse[rows, column]
    used: Scores = (taken + min(wanted, TOO_MUCH)) * inverse
    return used, inverse > 0
