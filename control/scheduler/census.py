"""How many pods of a given kind run where: counts by node, kept pod by pod. Walk step 3.

Pods with the same namespace and labels form a group; what is asked about ("pods with `app=web` of
this namespace") is a `PodSet`, whose counts are an array over the snapshot's rows. A set is
counted when it is first asked about; from then on each pod that comes or goes adds to or takes
from the sets of its group, which costs a dictionary look-up, whatever the number of pods. The same
holds for the terms that pods on nodes carry themselves, which a new pod has to respect.

Single-threaded, part of the snapshot. Invariant: every array equals a fresh count over all
recorded pods (a property test compares).
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from control.scheduler.request import Request
from control.scheduler.terms import PodSet, Term

Counts = NDArray[np.int32]

MAX_SETS = 512
"""Sets that are counted at a time; each costs four bytes a node."""

_Traits = tuple[str, frozenset[tuple[str, str]], bool]
"""Namespace, labels, and whether the pod is being deleted: pods that are equal in these are one group."""


class Carries(Enum):
    """What a term on a pod that runs means for a pod that comes."""

    NEAR = "near"
    FAR = "far"
    PREFERRED = "preferred"


class Tally:
    """Pods by row, as an array; and how many in all."""

    __slots__ = ("counts", "total")

    def __init__(self, rows: int) -> None:
        self.counts: Counts = np.zeros(rows, dtype=np.int32)
        self.total = 0

    def add(self, row: int, number: int = 1) -> None:
        """More of them on a row; a negative number is fewer."""
        self.counts[row] += number
        self.total += number

    def grow(self, rows: int) -> None:
        """Make room for more rows."""
        self.counts = np.pad(self.counts, (0, rows - len(self.counts)))


@dataclass(slots=True)
class _Group:
    """Pods that no selector tells apart: how many on each row, and which counted sets they are of."""

    namespace: str
    labels: dict[str, str]
    leaving: bool
    rows: Counter[int] = field(default_factory=Counter)
    sets: list[Tally] = field(default_factory=list)


Carried = tuple[Carries, Term]


class Census:
    """Counts of pods by row, for whatever is asked about."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._groups: dict[_Traits, _Group] = {}
        self._sets: OrderedDict[tuple[PodSet, ...], Tally] = OrderedDict()
        self._carried: dict[Carried, Tally] = {}
        self._namespaces: dict[str, Mapping[str, str]] = {}
        self._concerned: dict[_Traits, tuple[Carried, ...]] = {}

    def statistics(self) -> dict[str, float]:
        """Sizes, for metrics and debugging."""
        return {
            "groups": len(self._groups),
            "sets": len(self._sets),
            "carried_terms": len(self._carried),
        }

    def grow(self, rows: int) -> None:
        """Make room for more rows."""
        for tally in (*self._sets.values(), *self._carried.values()):
            tally.grow(rows)
        self._rows = rows

    def set_namespace(self, name: str, labels: Mapping[str, str] | None) -> bool:
        """Record a namespace's labels (None: it is gone); returns whether they have changed."""
        if self._namespaces.get(name) == labels:
            return False
        if labels is None:
            del self._namespaces[name]
        else:
            self._namespaces[name] = labels
        self._concerned.clear()
        for pods in [one for one in self._sets if not _by_name_alone(one)]:
            self._drop(pods)
        return True

    def add(self, request: Request, row: int) -> None:
        """A pod is on a row now."""
        group = self._group(request)
        group.rows[row] += 1
        for tally in group.sets:
            tally.add(row)
        for carried in _carried_by(request):
            carriers = self._carried.get(carried)
            if carriers is None:
                carriers = self._carried[carried] = Tally(self._rows)
                self._concerned.clear()
            carriers.add(row)

    def remove(self, request: Request, row: int) -> None:
        """A pod that was added to a row is gone from it."""
        traits = _traits(request)
        group = self._groups[traits]
        for tally in group.sets:
            tally.add(row, -1)
        group.rows[row] -= 1
        if not group.rows[row]:
            del group.rows[row]
        if not group.rows:
            del self._groups[traits]
        for carried in _carried_by(request):
            carriers = self._carried[carried]
            carriers.add(row, -1)
            if not carriers.total:
                del self._carried[carried]
                self._concerned.clear()

    def count(self, *pods: PodSet) -> Tally:
        """Pods by row that are of all the sets; not to be changed, and true until the next change."""
        tally = self._sets.get(pods)
        if tally is None:
            return self._start(pods)
        self._sets.move_to_end(pods)
        return tally

    def contains(self, pods: Iterable[PodSet], request: Request) -> bool:
        """Whether a pod is of all the sets."""
        return all(
            one.matches(request.namespace, request.labels, request.leaving, self._namespaces)
            for one in pods
        )

    def concerning(self, request: Request) -> Iterator[tuple[Carries, Term, Tally]]:
        """Terms carried by pods on nodes that are about such a pod, and how many carry it where."""
        traits = _traits(request)
        carried = self._concerned.get(traits)
        if carried is None:
            if len(self._concerned) >= MAX_SETS:
                self._concerned.clear()
            carried = self._concerned[traits] = tuple(
                one for one in self._carried if self.contains((one[1].pods,), request)
            )
        for sort, term in carried:
            yield sort, term, self._carried[sort, term]

    def _group(self, request: Request) -> _Group:
        traits = _traits(request)
        group = self._groups.get(traits)
        if group is None:
            group = _Group(request.namespace, request.labels, request.leaving)
            group.sets = [one for pods, one in self._sets.items() if self._is_of(group, pods)]
            self._groups[traits] = group
        return group

    def _is_of(self, group: _Group, pods: tuple[PodSet, ...]) -> bool:
        return all(
            one.matches(group.namespace, group.labels, group.leaving, self._namespaces)
            for one in pods
        )

    def _start(self, pods: tuple[PodSet, ...]) -> Tally:
        while len(self._sets) >= MAX_SETS:
            self._drop(next(iter(self._sets)))
        tally = self._sets[pods] = Tally(self._rows)
        for group in self._groups.values():
            if self._is_of(group, pods):
                group.sets.append(tally)
                for row, number in group.rows.items():
                    tally.add(row, number)
        return tally

    def _drop(self, pods: tuple[PodSet, ...]) -> None:
        tally = self._sets.pop(pods)
        for group in self._groups.values():
            if tally in group.sets:
                group.sets.remove(tally)


class Owners:
    """How many pods of one owner each row has. Owners are many, and few are asked about at a time."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._of: dict[str, Counter[int]] = {}
        self._asked: OrderedDict[str, Tally] = OrderedDict()

    def grow(self, rows: int) -> None:
        """Make room for more rows."""
        for tally in self._asked.values():
            tally.grow(rows)
        self._rows = rows

    def add(self, owner: str, row: int, number: int = 1) -> None:
        """One more pod of the owner is on a row, or with -1 one fewer."""
        rows = self._of.setdefault(owner, Counter())
        rows[row] += number
        if not rows[row]:
            del rows[row]
        if not rows:
            del self._of[owner]
        if owner in self._asked:
            self._asked[owner].add(row, number)

    def count(self, owner: str) -> Tally:
        """The owner's pods by row; not to be changed, and true until the next change."""
        tally = self._asked.get(owner)
        if tally is not None:
            self._asked.move_to_end(owner)
            return tally
        while len(self._asked) >= MAX_SETS:
            self._asked.popitem(last=False)
        tally = self._asked[owner] = Tally(self._rows)
        for row, number in self._of.get(owner, {}).items():
            tally.add(row, number)
        return tally


def _traits(request: Request) -> _Traits:
    return request.namespace, frozenset(request.labels.items()), request.leaving


def _carried_by(request: Request) -> Iterable[Carried]:
    terms = request.terms
    for term in terms.near:
        yield Carries.NEAR, term
    for term in terms.far:
        yield Carries.FAR, term
    for term in terms.preferred:
        yield Carries.PREFERRED, term


def _by_name_alone(pods: tuple[PodSet, ...]) -> bool:
    return all(one.namespace_selector.nothing for one in pods)
