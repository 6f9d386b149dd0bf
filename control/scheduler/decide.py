"""One decision: filter, score, choose, and say why. Pure but for the tie-breaking chance passed in.

A `Decision` keeps every node's verdict, so that the question "why?" is answered from what was
decided and not from a guess afterwards. It keeps them as arrays over the snapshot's rows; names and
words are put to them when somebody asks.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from control.scheduler.filters import Check, feasible, filters_of
from control.scheduler.fitting import Scores
from control.scheduler.profile import Profile
from control.scheduler.request import Request
from control.scheduler.rules import Filter
from control.scheduler.snapshot import Mask, Snapshot
from control.scheduler.verdict import Refusal

Choose = Callable[[Sequence[int]], int]
"""Picks one of several that are as good (`random.choice`, or the first in a test)."""

Away = Callable[[], AbstractContextManager[None]]
"""Takes pods out of the snapshot for a while."""

NO_NODES = "no nodes available to schedule pods"
DEFAULT = Profile()
EXPLAINED = 5
"""Of how many of the best nodes every single score is kept."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A node that can run the pod: its total, and what each score added to it."""

    node: str
    total: float
    parts: dict[str, float]


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a pod goes, or why nowhere.

    `refusals` has, per filter, the nodes it refused, as rows of `names`; `rows` and `sums` the
    nodes that can run the pod with their weighted sums; `best` the chosen node and those next to it.
    """

    node: str | None
    message: str
    names: tuple[str, ...] = ()
    refusals: tuple[tuple[Filter, Refusal], ...] = ()
    rows: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, dtype=np.intp))
    sums: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, dtype=np.float32))
    best: tuple[Scored, ...] = ()
    nothing_to_try: bool = False

    @property
    def rejected_by(self) -> frozenset[Filter]:
        """The filters that refused at least one node: only what they read can help the pod."""
        return frozenset(filter_ for filter_, _ in self.refusals)

    @property
    def refused(self) -> dict[str, tuple[str, ...]]:
        """The reasons of each node that cannot run the pod, by node name."""
        return {
            self.names[row]: refusal.reasons for _, refusal in self.refusals for row in refusal.rows
        }

    @property
    def scores(self) -> dict[str, float]:
        """The weighted sum of each node that can."""
        return {
            self.names[row]: float(value) for row, value in zip(self.rows, self.sums, strict=True)
        }

    @property
    def size(self) -> int:
        """How many nodes it has something about."""
        return len(self.rows) + sum(len(refusal.rows) for _, refusal in self.refusals)


def decide(
    request: Request,
    snapshot: Snapshot,
    choose: Choose,
    profile: Profile = DEFAULT,
    nominated: str = "",
    away: Away | None = None,
) -> Decision:
    """Choose a node for the pod, spreading fairly over equal scores.

    `nominated`: the node that others have left for it; if it fits there, no other is looked at. `away`
    takes out of the snapshot who only waits for a node: pods that this one must be near have to be there.
    """
    candidates = snapshot.present
    total = int(np.count_nonzero(candidates))
    if total == 0:
        return Decision(None, NO_NODES, nothing_to_try=True)
    names = snapshot.names()
    own = _alone(nominated, request, snapshot) if nominated else None
    if own is not None:
        candidates = own
    refusals: list[tuple[Filter, Refusal]] = []
    candidates = _filtered(filters_of(request), request, snapshot, candidates, refusals)
    if away is not None and request.terms.near and np.count_nonzero(candidates):
        with away():
            again = [one for one in filters_of(request) if one[0] is Filter.INTER_POD_AFFINITY]
            candidates = _filtered(again, request, snapshot, candidates, refusals)
    if not np.count_nonzero(candidates):
        if own is not None:
            return decide(request, snapshot, choose, profile, away=away)
        message = unavailable_message(total, [refusal for _, refusal in refusals])
        return Decision(None, message, names, tuple(refusals))
    if (enough := profile.enough(total)) < total:
        candidates = _some(candidates, enough, choose)
    rows = np.flatnonzero(candidates)
    parts = [
        (name, weight, score(request, snapshot, candidates))
        for name, weight, score in profile.scores
    ]
    sums = _summed(parts, len(candidates))[rows]
    equal = rows[sums > sums.max() - 1e-9]
    chosen = int(equal[choose(range(len(equal)))])
    return Decision(
        names[chosen],
        "",
        names,
        tuple(refusals),
        rows,
        sums.astype(np.float32),
        _best(names, rows, sums, parts, chosen),
    )


def _filtered(
    filters: Sequence[tuple[Filter, Check]],
    request: Request,
    snapshot: Snapshot,
    candidates: Mask,
    refusals: list[tuple[Filter, Refusal]],
) -> Mask:
    """The candidates that pass; why the others do not is added to the refusals."""
    for name, check in filters:
        verdict = check(request, snapshot, candidates)
        if verdict.passes is candidates:
            continue
        refusals += [(name, refusal) for refusal in verdict.refusals]
        candidates = verdict.passes
        if not np.count_nonzero(candidates):
            break
    return candidates


_Parts = Sequence[tuple[str, float, Scores | float]]


def _summed(parts: _Parts, rows: int) -> Scores:
    """The weighted sums of all scores by row; most are the same for all nodes."""
    sums, everywhere = np.zeros(rows), 0.0
    for _, weight, values in parts:
        if isinstance(values, float):
            everywhere += weight * values
        else:
            sums += values if weight == 1.0 else weight * values
    return sums + everywhere


def _part(weight: float, values: Scores | float, row: int) -> float:
    return weight * (values if isinstance(values, float) else float(values[row]))


def _alone(node: str, request: Request, snapshot: Snapshot) -> Mask | None:
    """This node and no other, if the pod fits there."""
    row = snapshot.index(node)
    if row is None:
        return None
    here = np.zeros_like(snapshot.present)
    here[row] = True
    return here if feasible(request, snapshot, here).any() else None


def _some(candidates: Mask, enough: int, choose: Choose) -> Mask:
    """So many of the nodes that can run the pod, beginning anywhere, that all have their turn."""
    rows = np.flatnonzero(candidates)
    if len(rows) <= enough:
        return candidates
    first = choose(range(len(rows)))
    some = np.zeros_like(candidates)
    some[np.roll(rows, -first)[:enough]] = True
    return some


def _best(
    names: tuple[str, ...],
    rows: NDArray[np.intp],
    sums: NDArray[np.float64],
    parts: _Parts,
    chosen: int,
) -> tuple[Scored, ...]:
    """The chosen node first, then the next best, each with its single scores."""
    left = sums.copy()
    order = [int(np.searchsorted(rows, chosen))]
    while len(order) < min(EXPLAINED, len(rows)):
        left[order[-1]] = -np.inf
        order.append(int(left.argmax()))
    found = [(int(rows[place]), float(sums[place])) for place in order]
    return tuple(
        Scored(names[row], total, {name: _part(by, values, row) for name, by, values in parts})
        for row, total in found
    )


def unavailable_message(total: int, refusals: Sequence[Refusal]) -> str:
    """`0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable.`"""
    if why := next((refusal.reasons[0] for refusal in refusals if refusal.of_pod), ""):
        return f"0/{total} nodes are available: {why}."
    counts: Counter[str] = Counter()
    for refusal in refusals:
        for reason in refusal.reasons:
            counts[reason] += len(refusal.rows)
    return worded(total, counts)


def worded(total: int, counts: Mapping[str, int]) -> str:
    """How many nodes refused for which reason."""
    parts = sorted(f"{count} {reason}" for reason, count in counts.items())
    return f"0/{total} nodes are available: {', '.join(parts)}."
