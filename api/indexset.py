"""Completion indexes of an Indexed Job, kept as ranges: `1,3-5,7`.

Serves step 1 of the pod's walk (validation) and the Job controller. A Job may have 100,000 indexes
and its status names those that are done, so they are ranges in memory as they are on the wire: no
operation here takes longer than there are ranges. Pure values.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IndexSet:
    """Indexes as ranges in ascending order that neither overlap nor touch; both ends belong."""

    ranges: tuple[tuple[int, int], ...] = ()

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.ranges)

    def __contains__(self, index: int) -> bool:
        at = bisect_left(self.ranges, index, key=lambda found: found[1])
        return at < len(self.ranges) and self.ranges[at][0] <= index

    def __or__(self, other: IndexSet) -> IndexSet:
        return _joined([*self.ranges, *other.ranges])

    def with_(self, indexes: Iterable[int]) -> IndexSet:
        """These and further ones."""
        return _joined([*self.ranges, *((index, index) for index in indexes)])

    def missing(self, limit: int) -> Iterator[int]:
        """The indexes below `limit` that are not in it, in ascending order."""
        begin = 0
        for first, last in self.ranges:
            yield from range(begin, min(first, limit))
            begin = last + 1
        yield from range(begin, limit)

    def common(self, other: IndexSet) -> int:
        """How many indexes both have."""
        return len(self) + len(other) - len(self | other)

    def __str__(self) -> str:
        """As the status writes it; two that follow each other are not worth a hyphen."""
        return ",".join(_spelled(first, last) for first, last in self.ranges)


def of(indexes: Iterable[int]) -> IndexSet:
    """The set of these indexes."""
    return IndexSet().with_(indexes)


def parse(text: str, completions: int) -> IndexSet:
    """Read a status: indexes from `completions` on are left out, and so is what is no range.

    A Job can be given fewer completions than it had, and its status must not stop the controller.
    """
    found = []
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        if first.isdecimal() and (not last or last.isdecimal()) and int(first) < completions:
            found.append((int(first), min(int(last or first), completions - 1)))
    return _joined(found)


def count(text: str, completions: int) -> int:
    """How many indexes a text names, checked as strictly as the API checks it.

    Raises:
        ValueError: it is not a list of ranges in ascending order below `completions`.
    """
    total, previous = 0, -1
    for part in text.split(",") if text else ():
        limits = part.split("-")
        if len(limits) > 2:
            raise ValueError(
                f'the fragment "{part}" violates the requirement that an index interval can have '
                "at most two parts separated by '-'"
            )
        numbers = [_number(limit, completions) for limit in limits]
        for number in numbers:
            if previous >= number:
                raise ValueError(f"non-increasing order, previous: {previous}, current: {number}")
            previous = number
        total += numbers[-1] - numbers[0] + 1
    return total


def _number(text: str, completions: int) -> int:
    if not text.isdecimal():
        raise ValueError(f'cannot convert string to integer for index: "{text}"')
    if int(text) >= completions:
        raise ValueError(f'too large index: "{text}"')
    return int(text)


def _joined(ranges: list[tuple[int, int]]) -> IndexSet:
    joined: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        elif first <= last:
            joined.append((first, last))
    return IndexSet(tuple(joined))


def _spelled(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first},{last}" if last == first + 1 else f"{first}-{last}"
