"""Columns that follow from each node's amounts alone, kept up to date row by row. Walk step 3.

The replicas of one workload ask for the same, and between two decisions about them a node or two have
changed. What those decisions compute of every node (whether it has room, how full it would be) is kept
under what was asked for, and computed again only for the rows that have changed since.

Single-threaded, part of the snapshot. Invariant: a column equals one that is computed anew (a property
test compares). Size: KEPT columns of eight bytes a node; the least recently used goes first.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

KEPT = 64
REMEMBERED_CHANGES = 4096
"""Changes of rows; a column that has missed more is computed anew."""

Rows = NDArray[np.intp] | slice
"""Some rows, or all of them."""

Compute = Callable[[Rows], NDArray[Any]]
"""The values of some rows, from their amounts alone."""

ALL = slice(None)


class _Column:
    __slots__ = ("seen", "values")

    def __init__(self, values: NDArray[Any], seen: int) -> None:
        self.values = values
        self.seen = seen


class Columns:
    """Columns by what they say, and which rows have changed."""

    def __init__(self) -> None:
        self._columns: OrderedDict[Hashable, _Column] = OrderedDict()
        self._changed: list[int] = []
        self._forgotten = 0
        self._computed = 0

    def statistics(self) -> dict[str, float]:
        """Sizes, and how often a whole column had to be computed."""
        return {"columns": len(self._columns), "columns_computed": self._computed}

    def touch(self, row: int) -> None:
        """The amounts of a row have changed."""
        self._changed.append(row)
        if len(self._changed) > 2 * REMEMBERED_CHANGES:
            del self._changed[:REMEMBERED_CHANGES]
            self._forgotten += REMEMBERED_CHANGES

    def clear(self) -> None:
        """There are more rows than before."""
        self._columns.clear()

    def get(self, key: Hashable, compute: Compute) -> NDArray[Any]:
        """The column as it is now; not to be changed, and true until the next change."""
        now = self._forgotten + len(self._changed)
        column = self._columns.get(key)
        if column is None or column.seen < max(self._forgotten, now - REMEMBERED_CHANGES):
            self._computed += 1
            column = self._columns[key] = _Column(compute(ALL), now)
            if len(self._columns) > KEPT:
                self._columns.popitem(last=False)
        elif column.seen < now:
            rows = np.array(list(set(self._changed[column.seen - self._forgotten :])))
            column.values[rows] = compute(rows)
            column.seen = now
        self._columns.move_to_end(key)
        return column.values
