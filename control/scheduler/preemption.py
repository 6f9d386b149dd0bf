"""Preemption: which pods of lower priority have to go so that a pod fits on a node. Walk step 3.

Whom it may hit and what is spared, Kubernetes documents under "Pod Priority and Preemption" and words
in its DefaultPreemption plugin:

- A node comes into question if the pod would fit once all pods of lower priority were gone from it;
  what other pods than those refuse (a taint, a missing label) no preemption cures.
- Of these pods as many as possible are spared, the most important first; before all others those
  whose disruption budget would be violated. Budgets are heeded as far as possible, no further.
- Of several nodes the one with the fewest violated budgets; then with the least important of most
  important victims; then with the smallest sum of priorities; the fewest victims; and last the one
  whose most important victims have run for the shortest time.

Pure: a node is tried by taking pods out of the snapshot and putting them back. Most pods ask for
amounts and ports alone, which is arithmetic on one node; only those that mind their neighbours are
tried with the filters. At 5,000 nodes not all of them are tried: the first tenth that would do (the
profile says which share).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from api.policy import PodDisruptionBudget
from api.selectors import Selector, from_label_selector
from control.scheduler.census import Carries
from control.scheduler.decide import DEFAULT, Decision, worded
from control.scheduler.filters import PORTS_TAKEN, filters_of, shortage
from control.scheduler.interpod import NOT_NEAR
from control.scheduler.profile import Profile
from control.scheduler.reachable import in_use
from control.scheduler.request import Request
from control.scheduler.rules import Filter
from control.scheduler.snapshot import PODS, TOO_MUCH, Snapshot
from control.scheduler.spreading import NO_LABEL
from control.scheduler.verdict import Refusal

NEVER = "not eligible due to preemptionPolicy=Never."
LEAVING = "not eligible due to a terminating pod on the nominated node."
NOT_HELPFUL = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"

_OF_NEIGHBOURS = (
    Filter.VOLUME_RESTRICTIONS,
    Filter.NODE_VOLUME_LIMITS,
    Filter.POD_TOPOLOGY_SPREAD,
    Filter.INTER_POD_AFFINITY,
)
_CURABLE = (Filter.NODE_PORTS, Filter.NODE_RESOURCES_FIT, *_OF_NEIGHBOURS)
_INCURABLE = (NOT_NEAR, NO_LABEL)
_LIFT = 1 << 31
"""Added to each priority before they are summed up: more victims are worse even below zero."""

Started = Callable[[Request], str]
"""When a pod has started, as a timestamp that sorts; later than any other when it has not."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A disruption budget as far as victims are concerned."""

    namespace: str
    selector: Selector
    disrupted: frozenset[str]
    allowed: int

    def counts(self, pod: Request) -> bool:
        """Whether one pod less counts, and has not been counted already."""
        return (
            pod.namespace == self.namespace
            and pod.name not in self.disrupted
            and self.selector.matches(pod.labels)
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """A node, and the pods that have to leave it; the most important first."""

    node: str
    victims: tuple[Request, ...]
    violations: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What preemption can do for a pod, or in words why nothing."""

    choice: Choice | None
    message: str = ""


def budget_of(pdb: PodDisruptionBudget) -> Budget:
    """What a budget allows at the moment."""
    return Budget(
        pdb.metadata.namespace,
        from_label_selector(pdb.spec.selector),
        frozenset(pdb.status.disrupted_pods),
        pdb.status.disruptions_allowed,
    )


def preempt(
    request: Request,
    snapshot: Snapshot,
    decision: Decision,
    budgets: Iterable[Budget],
    started: Started,
    first: int = 0,
    profile: Profile = DEFAULT,
) -> Outcome:
    """Find room for a pod that `decision` found none for.

    `first`: the row where the search begins; it ends when the profile has enough nodes that would do.
    """
    if request.spec.preemption_policy == "Never":
        return Outcome(None, NEVER)
    total = int(snapshot.present.sum())
    rows = _curable(request, snapshot, decision)
    enough = profile.tries(total)
    found: list[Choice] = []
    refused: Counter[str] = Counter({NOT_HELPFUL: total - len(rows)})
    if not any(priority < request.priority for priority in snapshot.priorities):
        refused[NO_VICTIMS] = len(rows)
        return Outcome(None, worded(total, +refused))
    wish, known = wish_of(request, snapshot), list(budgets)
    place = int(np.searchsorted(rows, first)) if len(rows) else 0
    for row in (*rows[place:], *rows[:place]):
        if len(found) >= enough:
            break
        choice = victims_on(row, wish, snapshot, known, started)
        if isinstance(choice, Choice):
            found.append(choice)
        else:
            refused.update(choice)
    if found:
        return Outcome(best(found, started))
    return Outcome(None, worded(total, +refused))


def is_expected(request: Request, snapshot: Snapshot, node: str, decision: Decision) -> bool:
    """Whether less important pods are just leaving a node that this one waits for, and not in vain."""
    row = snapshot.index(node)
    hopeless = any(
        row in refusal.rows and not _is_curable(filter_, refusal)
        for filter_, refusal in decision.refusals
    )
    return not hopeless and is_being_vacated(request, snapshot, node)


def is_being_vacated(request: Request, snapshot: Snapshot, node: str) -> bool:
    """Whether less important pods are just leaving a node."""
    row = snapshot.index(node)
    return row is not None and any(
        pod.leaving and pod.priority < request.priority for pod in snapshot.row(row).pods.values()
    )


def best(choices: Sequence[Choice], started: Started) -> Choice:
    """The node that is chosen; the first of equal ones."""
    costs = [_cost(choice) for choice in choices]
    least = min(costs)
    cheapest = [one for one, cost in zip(choices, costs, strict=True) if cost == least]
    return max(cheapest, key=lambda choice: _youngest(choice, started))


def _cost(choice: Choice) -> tuple[int, int, int, int]:
    priorities = [victim.priority for victim in choice.victims]
    lifted = sum(priority + _LIFT for priority in priorities)
    return choice.violations, max(priorities), lifted, len(priorities)


def _youngest(choice: Choice, started: Started) -> str:
    most = max(victim.priority for victim in choice.victims)
    return min(started(victim) for victim in choice.victims if victim.priority == most)


def violating(pods: Iterable[Request], budgets: Sequence[Budget]) -> set[str]:
    """The UIDs of pods that would exceed a budget if all of them went in this order."""
    left = [budget.allowed for budget in budgets]
    found = set()
    for pod in pods:
        for number, budget in enumerate(budgets):
            if budget.counts(pod):
                left[number] -= 1
                if left[number] < 0:
                    found.add(pod.uid)
    return found


def _curable(request: Request, snapshot: Snapshot, decision: Decision) -> Sequence[int]:
    """Nodes that were refused for something that pods leave with, in the order of their rows."""
    rows = [refusal.rows for filter_, refusal in decision.refusals if _is_curable(filter_, refusal)]
    if not rows:
        return ()
    joined = np.sort(np.concatenate(rows))
    here = np.zeros_like(snapshot.present)
    here[joined] = True
    for filter_, check in filters_of(request):
        if filter_ in (Filter.VOLUME_BINDING, Filter.VOLUME_ZONE):
            here = check(request, snapshot, here).passes
    joined = np.flatnonzero(here)
    enough = (snapshot.allocatable[joined] >= snapshot.needs(request)).all(axis=1)
    return [int(row) for row in joined[enough]]


def _is_curable(filter_: Filter, refusal: Refusal) -> bool:
    """Whether it could be gone together with some pods."""
    return filter_ in _CURABLE and not set(refusal.reasons) & set(_INCURABLE)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a pod needs of a node, as plain numbers: of which resource how much.

    `minds`: whether it matters to the pod, or to pods that run, who is where, or has which volume.
    """

    request: Request
    names: tuple[str, ...]
    columns: tuple[int, ...]
    needs: tuple[int, ...]
    minds: bool

    def amounts(self, pod: Request) -> list[int]:
        """How much of the same another pod has taken."""
        taken = pod.resources
        return [1 if name == PODS else min(taken.get(name, 0), TOO_MUCH) for name in self.names]


def wish_of(request: Request, snapshot: Snapshot) -> Wish:
    """What the pod needs."""
    demand = snapshot.needs(request)
    wanted = [(name, at) for name, at in snapshot.resources.items() if demand[at] > 0]
    terms = request.terms
    minds = bool(
        terms.near
        or terms.far
        or any(spread.hard for spread in terms.spread)
        or any(sort is Carries.FAR for sort, *_ in snapshot.census.concerning(request))
        or request.disks
        or in_use(request, snapshot)
        or (request.claims and snapshot.storage.limits)
    )
    return Wish(
        request,
        tuple(name for name, _ in wanted),
        tuple(at for _, at in wanted),
        tuple(int(demand[at]) for _, at in wanted),
        minds,
    )


def victims_on(
    row: int, wish: Wish, snapshot: Snapshot, budgets: Sequence[Budget], started: Started
) -> Choice | tuple[str, ...]:
    """Who would have to leave a node, or why that would not help."""
    mine = wish.request.priority
    pods = [pod for pod in snapshot.row(row).pods.values() if pod.priority < mine]
    if not pods:
        return (NO_VICTIMS,)
    pods.sort(key=lambda pod: (-pod.priority, started(pod), pod.namespace, pod.name))
    over = violating(pods, budgets)
    room = Room(wish, snapshot, row, pods)
    try:
        room.empty()
        if lacks := room.lacks():
            return lacks
        spared = {
            pod.uid
            for pod in sorted(pods, key=lambda pod: pod.uid not in over)
            if room.takes_back(pod)
        }
    finally:
        room.restore()
    victims = tuple(pod for pod in pods if pod.uid not in spared)
    return Choice(snapshot.name(row), victims, sum(pod.uid in over for pod in victims))


class Room:
    """What a node has for a pod while some of its pods are thought away.

    Amounts and ports are counted here; the snapshot is touched only for a pod that minds neighbours.
    """

    def __init__(self, wish: Wish, snapshot: Snapshot, row: int, pods: Sequence[Request]) -> None:
        self._wish = wish
        self._snapshot = snapshot
        self._row = row
        self._name = snapshot.name(row)
        self._amounts = {pod.uid: wish.amounts(pod) for pod in pods}
        self._pods = pods
        self._free = [
            int(snapshot.allocatable[row, column] - snapshot.taken[row, column])
            for column in wish.columns
        ]
        self._ports = Counter(snapshot.row(row).host_ports)

    def empty(self) -> None:
        """Think all of the pods away."""
        for pod in self._pods:
            self._put(pod, -1)

    def restore(self) -> None:
        """Put back into the snapshot whatever was taken out of it."""
        for pod in self._pods if self._wish.minds else ():
            self._snapshot.add_pod(pod, self._name)

    def lacks(self) -> tuple[str, ...]:
        """Why the pod does not fit now; empty when it does."""
        wish = self._wish
        if short := [
            shortage(name)
            for name, free, need in zip(wish.names, self._free, wish.needs, strict=True)
            if free < need
        ]:
            return tuple(short)
        wanted = wish.request.host_ports
        if Filter.NODE_PORTS in wish.request.rules.skips:
            wanted = frozenset()
        if wanted and any(port.conflicts(taken) for port in wanted for taken in self._ports):
            return (PORTS_TAKEN,)
        return self._unwelcome() if wish.minds else ()

    def takes_back(self, pod: Request) -> bool:
        """Let a pod stay after all, if that leaves enough."""
        self._put(pod, 1)
        if not self.lacks():
            return True
        self._put(pod, -1)
        return False

    def _put(self, pod: Request, sign: int) -> None:
        for at, amount in enumerate(self._amounts[pod.uid]):
            self._free[at] -= sign * amount
        for port in pod.host_ports:
            self._ports[port] += sign
            if not self._ports[port]:
                del self._ports[port]
        if self._wish.minds and sign > 0:
            self._snapshot.add_pod(pod, self._name)
        elif self._wish.minds:
            self._snapshot.remove_pod(pod.uid)

    def _unwelcome(self) -> tuple[str, ...]:
        here = np.zeros_like(self._snapshot.present)
        here[self._row] = True
        for filter_, check in filters_of(self._wish.request):
            if filter_ not in _OF_NEIGHBOURS:
                continue
            for refusal in check(self._wish.request, self._snapshot, here).refusals:
                return refusal.reasons
        return ()
