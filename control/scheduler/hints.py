"""What has changed in the cluster, and which of the pods that were refused it could help. Walk step 3.

Kubernetes calls them queueing hints: a refused pod is tried again when something changed that could let it
be placed, and for nothing else. A change on one node (it came, it has more, a pod left it) helps a pod that
this node could take now: that is tried out, on that node alone. What pods say about each other reaches
further: there it is enough that a pod which came or went is one of those that count, or that places were
drawn anew. A claim helps the pods that name it, a volume or a class those that could be placed with it.

`Changes` collects, `Hints` judges what was collected against the cluster as it is by then. Pure.
Size: one entry per node, claim and sort of pod that changed since the last look.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from control.scheduler.census import Carries
from control.scheduler.filters import feasible
from control.scheduler.request import Request
from control.scheduler.rules import Filter
from control.scheduler.snapshot import Snapshot
from control.scheduler.storage import ClaimKey
from control.scheduler.terms import PodTerms

_NEIGHBOURS = frozenset({Filter.POD_TOPOLOGY_SPREAD, Filter.INTER_POD_AFFINITY})
_VOLUMES = frozenset({Filter.VOLUME_BINDING, Filter.VOLUME_ZONE, Filter.NODE_VOLUME_LIMITS})

Traits = tuple[str, frozenset[tuple[str, str]], bool, PodTerms]
"""What other pods see of one."""


@dataclass(slots=True)
class Changes:
    """Since the last look: nodes that may take more, labels of places that were drawn anew, and the rest."""

    nodes: set[str] = field(default_factory=set)
    places: set[str] = field(default_factory=set)
    pods: dict[Traits, Request] = field(default_factory=dict)
    claims: set[ClaimKey] = field(default_factory=set)
    storage: bool = False
    namespaces: bool = False

    def pod(self, request: Request, *, left: str = "") -> None:
        """A pod came, went, or is another one now; it may have left a node."""
        traits = frozenset(request.labels.items())
        self.pods[request.namespace, traits, request.leaving, request.terms] = request
        if left:
            self.nodes.add(left)
            # What only one pod may have is free now for pods on any node, not on this one alone.
            self.claims.update((request.namespace, name) for name in request.claims)

    def node(self, name: str, labels: Iterable[str]) -> None:
        """A node came, went, or has other labels, taints or amounts."""
        self.nodes.add(name)
        self.places.update(labels)


class Hints:
    """Whom some changes could help."""

    def __init__(self, changes: Changes, snapshot: Snapshot) -> None:
        self._changes = changes
        self._snapshot = snapshot
        self._known: tuple[int, NDArray[np.intp]] = (-1, np.empty(0, dtype=np.intp))

    def help(self, request: Request, rejected_by: frozenset[Filter]) -> bool:
        """Whether a pod is worth another try that these filters refused, or none, for lack of nodes."""
        changes = self._changes
        if not rejected_by:
            return bool(changes.nodes)
        if any((request.namespace, name) in changes.claims for name in request.claims):
            return True
        if rejected_by & _NEIGHBOURS and self._neighbours(request):
            return True
        if self.could_take(request):
            return True
        if not (changes.storage and request.claims and rejected_by & _VOLUMES):
            return False
        return bool(feasible(request, self._snapshot).any())

    def _neighbours(self, request: Request) -> bool:
        changes, terms = self._changes, request.terms
        hard = [spread for spread in terms.spread if spread.hard]
        places = {one.topology_key for one in (*terms.near, *terms.far)}
        places |= {spread.topology_key for spread in hard}
        places |= {
            term.topology_key
            for sort, term, _ in self._snapshot.census.concerning(request)
            if sort is Carries.FAR
        }
        if changes.namespaces or changes.places & places:
            return True
        counts = [term.pods for term in (*terms.near, *terms.far)]
        counts += [spread.pods for spread in hard]
        contains = self._snapshot.census.contains
        return any(
            any(contains((pods,), other) for pods in counts)
            or any(contains((term.pods,), request) for term in other.terms.far)
            for other in changes.pods.values()
        )

    def could_take(self, request: Request) -> bool:
        """Whether one of the nodes that have changed could take the pod now."""
        snapshot, rows = self._snapshot, self._rows()
        if not rows.size:
            return False
        demand = snapshot.needs(request)
        free = snapshot.allocatable[rows] - snapshot.taken[rows]
        rows = rows[((free >= demand) | (demand == 0)).all(axis=1)]
        if not rows.size:
            return False
        here = np.zeros_like(snapshot.present)
        here[rows] = True
        return bool(feasible(request, snapshot, here).any())

    def _rows(self) -> NDArray[np.intp]:
        """The rows of the nodes that have changed, as far as they are there."""
        snapshot = self._snapshot
        if self._known[0] != snapshot.shape_version:
            found = [snapshot.index(name) for name in self._changes.nodes]
            rows = np.array(sorted(row for row in found if row is not None), dtype=np.intp)
            self._known = (snapshot.shape_version, rows)
        return self._known[1]
