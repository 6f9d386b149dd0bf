"""One decision: filter, score, choose, and say why. Pure but for the tie-breaking chance passed in.

A `Decision` keeps every node's verdict, so that the question "why?" is answered from what was
decided and not from a guess afterwards.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from control.scheduler.filters import FILTERS, Filter
from control.scheduler.request import Request
from control.scheduler.scores import SCORES
from control.scheduler.snapshot import Snapshot

Choose = Callable[[Sequence[int]], int]
"""Picks one of several rows that score the same (`random.choice`, or the first in a test)."""

NO_NODES = "no nodes available to schedule pods"


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a pod goes, or why nowhere.

    `refused` has the reasons of each node that cannot run it, by node name; `scores` the weighted
    sum of each node that can; `rejected_by` the filters that refused at least one node: only a
    change that one of them reads can make the pod schedulable.
    """

    node: str | None
    message: str
    refused: dict[str, tuple[str, ...]] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    rejected_by: frozenset[Filter] = frozenset()


def decide(request: Request, snapshot: Snapshot, choose: Choose) -> Decision:
    """Choose a node for the pod, spreading fairly over equal scores."""
    candidates = snapshot.present
    total = int(candidates.sum())
    if total == 0:
        return Decision(None, NO_NODES, rejected_by=frozenset(Filter))
    refused: dict[str, tuple[str, ...]] = {}
    rejected_by = set()
    for name, check in FILTERS:
        verdict = check(request, snapshot, candidates)
        for row, reasons in verdict.reasons.items():
            refused[snapshot.name(row)] = reasons
        if verdict.reasons:
            rejected_by.add(name)
        candidates = verdict.passes
        if not candidates.any():
            message = unavailable_message(total, refused)
            return Decision(None, message, refused, {}, frozenset(rejected_by))
    rows = np.flatnonzero(candidates)
    sums = np.zeros(len(rows))
    for _, weight, score in SCORES:
        sums += weight * score(request, snapshot, candidates)[rows]
    best = np.max(sums)
    chosen = choose(
        [int(row) for row, value in zip(rows, sums, strict=True) if best - value < 1e-9]
    )
    scores = {snapshot.name(int(r)): float(v) for r, v in zip(rows, sums, strict=True)}
    return Decision(snapshot.name(chosen), "", refused, scores, frozenset(rejected_by))


def unavailable_message(total: int, refused: dict[str, tuple[str, ...]]) -> str:
    """`0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable.`"""
    counts = Counter(reason for reasons in refused.values() for reason in reasons)
    parts = sorted(f"{count} {reason}" for reason, count in counts.items())
    return f"0/{total} nodes are available: {', '.join(parts)}."
