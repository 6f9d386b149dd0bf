"""What a filter says: which nodes pass, and why the others do not."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from control.scheduler.snapshot import Mask


@dataclass(frozen=True, slots=True)
class Lacking:
    """Resources that refused nodes have too little of: `free` is by node, then by resource."""

    resources: tuple[str, ...]
    needed: tuple[int, ...]
    free: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nodes that were refused for the same reasons; `rows` in ascending order.

    `of_pod`: the reason is in the pod and not in the nodes, so that counting them says nothing.
    """

    reasons: tuple[str, ...]
    rows: NDArray[np.intp]
    lacking: Lacking | None = None
    of_pod: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one filter found: `passes` over all rows, and why it refused the other candidates."""

    passes: Mask
    refusals: tuple[Refusal, ...] = ()


def verdict(candidates: Mask, passes: Mask, reason: str) -> Verdict:
    """A verdict with one reason for all that do not pass."""
    rows = missing(candidates, passes)
    return Verdict(passes, (Refusal((reason,), rows),)) if rows.size else Verdict(candidates)


def missing(candidates: Mask, passes: Mask) -> NDArray[np.intp]:
    """The candidates that do not pass; `passes` holds none but candidates."""
    if np.count_nonzero(candidates) == np.count_nonzero(passes):  # most often, and fast
        return NONE
    return np.flatnonzero(candidates & ~passes)


NONE = np.empty(0, dtype=np.intp)
