"""The cluster in arrays: what every node has, and what its pods have taken.

Kept up to date change by change from the informers, never rebuilt: a decision reads whole columns
(free CPU of all nodes in one subtraction), so it costs nearly the same at 10 nodes and at 5,000.
Rows are nodes, columns are resources; a removed node's row is reused. What does not fit an array
(labels, taints, host ports) is grouped: nodes with equal taints share a class, so a toleration is
checked once per class and not once per node.

Single-threaded, on the event loop, like its owner the scheduler. Invariant: for every row, taken
equals the sum of the requests of the pods recorded on it (a property test rebuilds and compares).
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from api import nodes
from api.core import Node, Taint
from api.pods import HostPort
from control.scheduler.census import Census, Owners
from control.scheduler.columns import Columns
from control.scheduler.disks import Disk
from control.scheduler.images import Images
from control.scheduler.request import Request
from control.scheduler.rules import Filter, Rules
from control.scheduler.storage import ClaimKey, Lack, Picks, Storage

Mask = NDArray[np.bool_]
Amounts = NDArray[np.int64]

PODS = "pods"
FIRST_ROWS = 16
MAX_RULES = 256
"""Different node selectors and affinities for which nodes are remembered at a time."""
TOO_MUCH = 1 << 53
"""More than any machine has (8 PiB, or as many milli-CPU); no sum of such amounts overflows a row."""
CONDITION_TAINTS = {
    ("Ready", "False"): "node.kubernetes.io/not-ready",
    ("Ready", "Unknown"): "node.kubernetes.io/unreachable",
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
}

TaintKey = tuple[str, str, str]
"""(key, value, effect)."""


@dataclass(slots=True)
class Row:
    """What the arrays cannot hold of one node."""

    name: str
    node: Node | None
    taints: tuple[TaintKey, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    pods: dict[str, Request] = field(default_factory=dict)
    host_ports: Counter[HostPort] = field(default_factory=Counter)
    disks: Counter[Disk] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Domains:
    """The cluster divided by one label: `ids` by row (-1: the node has no such label), and values.

    `bins` are the same numbers, one higher, so that nodes without the label are counted apart.
    """

    ids: NDArray[np.int32]
    values: tuple[str, ...]
    bins: NDArray[np.intp]

    @property
    def known(self) -> Mask:
        """The nodes that have the label."""
        mask: Mask = self.ids >= 0
        return mask

    def sums(self, counts: NDArray[np.int32], where: Mask) -> NDArray[np.float64]:
        """The sum of `counts` over the rows of each domain, as far as `where` holds."""
        weights = np.where(where, counts, 0)
        sums: NDArray[np.float64] = np.bincount(
            self.bins, weights=weights, minlength=len(self.values) + 1
        ).astype(np.float64, copy=False)
        return sums[1:]

    def spread(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each row gets when every domain has its sum: 0 without the label."""
        return np.append(sums, 0.0)[self.ids]


class Snapshot:
    """Nodes and their pods, as the scheduler sees them now (assumed bindings included)."""

    def __init__(self) -> None:
        self.rows: list[Row | None] = []
        self.resources: dict[str, int] = {"cpu": 0, "memory": 1, PODS: 2, "ephemeral-storage": 3}
        # Columns are contiguous: they are what a decision reads.
        shape = (FIRST_ROWS, len(self.resources))
        self.allocatable: Amounts = np.zeros(shape, dtype=np.int64, order="F")
        self.inverse: NDArray[np.float64] = np.zeros(shape, order="F")
        """One over `allocatable`, for scores: a product costs a third of a quotient. 0: there is none."""
        self.taken: Amounts = np.zeros(shape, dtype=np.int64, order="F")
        self.likely_use: Amounts = np.zeros((FIRST_ROWS, 2), dtype=np.int64, order="F")
        """Of CPU and memory; unlike `taken`, pods without requests count (`Request.likely_use`)."""
        self.columns = Columns()
        """What follows from the arrays above, by row."""
        self.present: Mask = np.zeros(FIRST_ROWS, dtype=np.bool_)
        self.unschedulable: Mask = np.zeros(FIRST_ROWS, dtype=np.bool_)
        self.taint_class: NDArray[np.int32] = np.zeros(FIRST_ROWS, dtype=np.int32)
        self.taint_classes: list[tuple[TaintKey, ...]] = [()]
        self.shape_version = 0
        """Grows when a node comes, goes, or changes its name or labels: cached masks end then."""
        self.census = Census(FIRST_ROWS)
        self.owners = Owners(FIRST_ROWS)
        self.storage = Storage()
        self.images = Images()
        self.claims_used: Counter[ClaimKey] = Counter()
        """How many pods on nodes use each claim."""
        self.priorities: Counter[int] = Counter()
        """How many pods of each priority there are on all nodes."""
        self._names: tuple[int, tuple[str, ...]] = (-1, ())
        self._domains: dict[str, Domains] = {}
        self._reachable: dict[bytes, Mask] = {}
        self._enforced: dict[Rules, Mask] = {}
        self._preference: dict[bytes, NDArray[np.float64]] = {}
        self._class_of: dict[tuple[TaintKey, ...], int] = {(): 0}
        self._by_name: dict[str, int] = {}
        self._free: list[int] = []
        self._placed: dict[str, int] = {}

    def statistics(self) -> dict[str, float]:
        """Sizes, for metrics and debugging."""
        return {
            "nodes": int(self.present.sum()),
            "pods": len(self._placed),
            "resources": len(self.resources),
            "taint_classes": len(self.taint_classes),
            **self.columns.statistics(),
            **self.census.statistics(),
            **self.images.statistics(),
        }

    def index(self, name: str) -> int | None:
        """The row of a node that exists."""
        row = self._by_name.get(name)
        return row if row is not None and self.present[row] else None

    def name(self, row: int) -> str:
        """The node's name in a row."""
        return self.row(row).name

    def row(self, number: int) -> Row:
        """A row in use.

        Raises:
            LookupError: the row is free, which a caller that got it from a mask never sees.
        """
        row = self.rows[number]
        if row is None:
            raise LookupError(f"row {number} is free")
        return row

    def node(self, number: int) -> Node:
        """The node of a row that is present."""
        node = self.row(number).node
        if node is None:
            raise LookupError(f"row {number} has no node")
        return node

    def names(self) -> tuple[str, ...]:
        """The names by row, empty for a free one; a new tuple whenever one of them changes."""
        if self._names[0] != self.shape_version:
            self._reshape()
            names = tuple(row.name if row is not None else "" for row in self.rows)
            self._names = (self.shape_version, names)
        return self._names[1]

    def domains(self, topology_key: str) -> Domains:
        """The places that a label of nodes makes of the cluster."""
        self.names()
        known = self._domains.get(topology_key)
        if known is None:
            known = self._domains[topology_key] = self._divide(topology_key)
        return known

    def reachable(self, request: Request) -> Mask:
        """The nodes that the pod's nodeSelector and required node affinity allow; not to be changed."""
        if not request.node_rule:
            return self.present
        self.names()
        known = self._reachable.get(request.node_rule)
        if known is None:
            if len(self._reachable) >= MAX_RULES:
                self._reachable.clear()
            known = self._reachable[request.node_rule] = self._reach(request)
        return known

    def enforced(self, rules: Rules) -> Mask:
        """The nodes that a profile's own required affinity allows; not to be changed."""
        self.names()
        known = self._enforced.get(rules)
        if known is None:
            known = self._enforced[rules] = self.present.copy()
            if rules.required is not None:
                for row in np.flatnonzero(known):
                    known[row] = nodes.matches_selector(rules.required, self.node(int(row)))
        return known

    def preference(self, request: Request) -> NDArray[np.float64]:
        """By row, the weights of the pod's preferred node affinity terms that the node meets, summed."""
        self.names()
        known = self._preference.get(request.node_preference)
        if known is None:
            if len(self._preference) >= MAX_RULES:
                self._preference.clear()
            known = np.zeros(len(self.present))
            for row in np.flatnonzero(self.present) if request.node_preference else ():
                node = self.node(int(row))
                known[row] = nodes.preference(request.spec, node)
                known[row] += nodes.preferred(request.rules.preferred, node)
            self._preference[request.node_preference] = known
        return known

    def _reshape(self) -> None:
        """What was derived from the nodes' names and labels is no longer true."""
        self._domains.clear()
        self._reachable.clear()
        self._enforced.clear()
        self._preference.clear()

    def _divide(self, topology_key: str) -> Domains:
        ids = np.full(len(self.present), -1, dtype=np.int32)
        known: dict[str, int] = {}
        for number in np.flatnonzero(self.present):
            value = self.row(int(number)).labels.get(topology_key)
            if value is not None:
                ids[number] = known.setdefault(value, len(known))
        return Domains(ids, tuple(known), ids.astype(np.intp) + 1)

    def _reach(self, request: Request) -> Mask:
        named = nodes.named_nodes(request.spec)
        rows: Iterable[int]
        if named is None:
            rows = (int(number) for number in np.flatnonzero(self.present))
        else:
            rows = [row for row in map(self.index, sorted(named)) if row is not None]
        mask = np.zeros(len(self.present), dtype=np.bool_)
        for row in rows:
            mask[row] = nodes.matches_required(request.spec, self.node(row))
        return mask

    def set_node(self, node: Node) -> bool:
        """Record a node as it is now.

        Returns:
            Whether anything that placement reads has changed (heartbeats alone do not).
        """
        number = self._row_of(node.metadata.name)
        row = self.row(number)
        allocatable = np.minimum(self._amounts(nodes.allocatable(node)), TOO_MUCH - 1)
        taints = effective_taints(node)
        labels = node.metadata.labels
        reshaped = not self.present[number] or row.labels != labels
        changed = (
            reshaped
            or bool((self.allocatable[number] != allocatable).any())
            or row.taints != taints
            or bool(self.unschedulable[number]) != node.spec.unschedulable
        )
        row.node, row.labels, row.taints = node, labels, taints
        self.present[number] = True
        self.allocatable[number] = allocatable
        self.inverse[number] = 0.0
        np.divide(1.0, allocatable, out=self.inverse[number], where=allocatable > 0)
        self.columns.touch(number)
        self.unschedulable[number] = node.spec.unschedulable
        self.taint_class[number] = self._taint_class(taints)
        self.images.set(number, node.status.images)
        self.shape_version += reshaped
        return changed

    def remove_node(self, name: str) -> None:
        """Forget a node; pods still recorded on it keep its row until they are gone."""
        number = self._by_name.get(name)
        if number is None or not self.present[number]:
            return
        self.present[number] = False
        self.row(number).node = None
        self.images.set(number, ())
        self.shape_version += 1
        self._release(number)

    def add_pod(self, request: Request, node_name: str) -> None:
        """Record a pod on a node, moving it when it was recorded elsewhere."""
        self.remove_pod(request.uid)
        demand = self.demand(request)  # before anything else: a new resource widens the arrays
        number = self._row_of(node_name)
        row = self.row(number)
        row.pods[request.uid] = request
        row.host_ports.update(request.host_ports)
        row.disks.update(request.disks)
        if request.owner:
            self.owners.add(request.owner, number)
        self.census.add(request, number)
        self.priorities[request.priority] += 1
        for claim in request.claims:
            self.claims_used[request.namespace, claim] += 1
        self.taken[number] += demand
        self.likely_use[number] += np.minimum(request.likely_use, TOO_MUCH)
        self.columns.touch(number)
        self._placed[request.uid] = number

    def remove_pod(self, uid: str) -> bool:
        """Forget a pod; returns whether it was recorded."""
        number = self._placed.pop(uid, None)
        if number is None:
            return False
        row = self.row(number)
        request = row.pods.pop(uid)
        row.host_ports -= Counter(request.host_ports)
        row.disks -= Counter(request.disks)
        if request.owner:
            self.owners.add(request.owner, number, -1)
        self.census.remove(request, number)
        for claim in request.claims:
            self.claims_used[request.namespace, claim] -= 1
            if not self.claims_used[request.namespace, claim]:
                del self.claims_used[request.namespace, claim]
        self.priorities[request.priority] -= 1
        if not self.priorities[request.priority]:
            del self.priorities[request.priority]
        self.taken[number] -= self.demand(request)
        self.likely_use[number] -= np.minimum(request.likely_use, TOO_MUCH)
        self.columns.touch(number)
        self._release(number)
        return True

    def pick_volumes(self, request: Request, node_name: str) -> Picks:
        """Take what a pod's waiting claims get on its node; nobody else is offered it from now on."""
        number = self.index(node_name)
        if number is None or not request.claims:
            return {}
        found = self.storage.choose(request, self.node(number))
        picks: Picks = {} if isinstance(found, Lack) else found
        self.storage.assume(picks)
        return picks

    def placed_on(self, uid: str) -> str | None:
        """The node a pod is recorded on."""
        number = self._placed.get(uid)
        return None if number is None else self.name(number)

    def recorded(self, uid: str) -> Request | None:
        """A pod as it is recorded."""
        number = self._placed.get(uid)
        return None if number is None else self.row(number).pods[uid]

    def demand(self, request: Request) -> Amounts:
        """A request as a row of amounts; every pod takes one of `pods`."""
        return self._amounts({**request.resources, PODS: 1})

    def needs(self, request: Request) -> Amounts:
        """What of it a node must have left: all of it, unless the pod's profile says otherwise."""
        demand, rules = self.demand(request), request.rules
        if Filter.NODE_RESOURCES_FIT in rules.skips:
            demand[:] = 0
        for name in rules.passed_over(request.resources):
            demand[self.resources[name]] = 0
        return demand

    def _amounts(self, values: dict[str, int]) -> Amounts:
        for name in values:
            if name not in self.resources:
                self._add_resource(name)
        amounts = np.zeros(len(self.resources), dtype=np.int64)
        for name, value in values.items():
            amounts[self.resources[name]] = min(value, TOO_MUCH)
        return amounts

    def _add_resource(self, name: str) -> None:
        self.resources[name] = len(self.resources)
        column = np.zeros((len(self.present), 1), dtype=np.int64)
        self.allocatable = np.hstack([self.allocatable, column])
        self.inverse = np.hstack([self.inverse, column.astype(np.float64)])
        self.taken = np.hstack([self.taken, column])

    def _row_of(self, name: str) -> int:
        number = self._by_name.get(name)
        if number is not None:
            return number
        if self._free:
            number = self._free.pop()
            self.rows[number] = Row(name, None)
        else:
            number = len(self.rows)
            self.rows.append(Row(name, None))
            if number >= len(self.present):
                self._grow()
        self._by_name[name] = number
        self.shape_version += 1
        return number

    def _grow(self) -> None:
        # By a quarter and not by all: a decision reads free rows like others.
        more = max(FIRST_ROWS, len(self.present) // 4)
        self.allocatable = np.pad(self.allocatable, ((0, more), (0, 0)))
        self.inverse = np.pad(self.inverse, ((0, more), (0, 0)))
        self.taken = np.pad(self.taken, ((0, more), (0, 0)))
        self.likely_use = np.pad(self.likely_use, ((0, more), (0, 0)))
        self.present = np.pad(self.present, (0, more))
        self.unschedulable = np.pad(self.unschedulable, (0, more))
        self.taint_class = np.pad(self.taint_class, (0, more))
        self.census.grow(len(self.present))
        self.owners.grow(len(self.present))
        self.columns.clear()
        self.shape_version += 1

    def _release(self, number: int) -> None:
        """Free a row that has neither a node nor pods."""
        row = self.row(number)
        if self.present[number] or row.pods:
            return
        del self._by_name[row.name]
        self.rows[number] = None
        self.allocatable[number] = 0
        self.inverse[number] = 0.0
        self.taken[number] = 0
        self.likely_use[number] = 0
        self.columns.touch(number)
        self.unschedulable[number] = False
        self.taint_class[number] = 0
        self.shape_version += 1
        self._free.append(number)

    def _taint_class(self, taints: tuple[TaintKey, ...]) -> int:
        known = self._class_of.get(taints)
        if known is None:
            known = self._class_of[taints] = len(self.taint_classes)
            self.taint_classes.append(taints)
        return known


def effective_taints(node: Node) -> tuple[TaintKey, ...]:
    """The node's taints, and those its conditions imply.

    The node lifecycle controller writes the implied ones to the node a moment later; until then
    no pod may slip onto a node that has already said it is not ready.
    """
    taints = {(t.key, t.value, t.effect) for t in _scheduling_taints(node.spec.taints)}
    known = {key for key, _, effect in taints if effect == "NoSchedule"}
    ready = False
    for condition in node.status.conditions:
        ready = ready or condition.type == "Ready"
        key = CONDITION_TAINTS.get((condition.type, condition.status))
        if key is not None and key not in known:
            taints.add((key, "", "NoSchedule"))
    if not ready and CONDITION_TAINTS["Ready", "False"] not in known:
        taints.add((CONDITION_TAINTS["Ready", "False"], "", "NoSchedule"))
    return tuple(sorted(taints))


def _scheduling_taints(taints: Iterable[Taint]) -> Iterator[Taint]:
    return (taint for taint in taints if taint.effect)
