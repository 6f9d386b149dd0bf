"""The pure part of a StatefulSet: which pod is made, deleted or updated next. Walk step 1.

Rules from the StatefulSet concept page. `OrderedReady`: a pod is made when all before it are
available; pods too many end one by one from the highest ordinal, when all the others are available;
an update follows when nothing is left to make or to end. `Parallel` waits for nobody but in updates.
Updates go from the highest ordinal down to the partition, with `maxUnavailable` pods missing at a
time. The partition counts from the first ordinal. Pods below it are made from the current revision,
all others from the update revision.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from api import intstr, pods
from api.apps import StatefulSet, StatefulSetStatus
from api.core import Pod
from control.controllers.workloads import ordinals
from control.controllers.workloads.history import hash_of


@dataclass(frozen=True, slots=True)
class View:
    """A StatefulSet and its pods: those it wants by ordinal, and those too many, the highest first.

    `current` and `update` name revisions. `stale` are ordinals whose claims belong to a pod that is
    gone, and go with it: their pods cannot be made yet.
    """

    owner: StatefulSet
    wanted: Mapping[int, Pod | None]
    condemned: Sequence[Pod]
    current: str
    update: str
    stale: Collection[int]
    now: datetime

    def available(self, pod: Pod) -> bool:
        """Running, ready for as long as the set asks, and not on its way out."""
        return _is_running(pod) and not pod.metadata.deletion_timestamp and self.is_settled(pod)

    def is_settled(self, pod: Pod) -> bool:
        """Ready for as long as the set asks."""
        seconds = self.owner.spec.min_ready_seconds
        return pods.is_available(pod, min_ready_seconds=seconds, now=self.now)

    def is_updated(self, pod: Pod) -> bool:
        """Whether the pod is of the update revision."""
        return hash_of(pod.metadata.labels) == self.update

    @property
    def in_order(self) -> bool:
        """Whether pods wait for each other."""
        return self.owner.spec.pod_management_policy != "Parallel"


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next: ordinals to make, pods to delete, and pods that ended, to be made anew."""

    create: tuple[int, ...] = ()
    delete: tuple[Pod, ...] = ()
    ended: tuple[Pod, ...] = ()


def look(
    owner: StatefulSet,
    mine: Sequence[Pod],
    *,
    current: str,
    update: str,
    stale: Collection[int],
    now: datetime,
) -> View:
    """Sort the pods by their ordinals."""
    by_number = {ordinals.number_of(owner, pod.metadata.name): pod for pod in mine}
    wanted = {number: by_number.pop(number, None) for number in ordinals.numbers(owner)}
    rest = sorted(
        ((number, pod) for number, pod in by_number.items() if number is not None),
        key=lambda one: -one[0],
    )
    return View(owner, wanted, [pod for _, pod in rest], current, update, stale, now)


def plan(view: View) -> Step:
    """The next step."""
    create: list[int] = []
    ended: list[Pod] = []
    for number, pod in view.wanted.items():
        if pod is None:
            if number not in view.stale:
                create.append(number)
        elif pods.is_terminal(pod):
            if not pod.metadata.deletion_timestamp:
                ended.append(pod)
        elif view.available(pod):
            continue
        if view.in_order:  # whatever follows waits for this one
            return Step(tuple(create), (), tuple(ended))
    delete = _too_many(view)
    if not view.in_order or not view.condemned:
        delete += _outdated(view)
    return Step(tuple(create), tuple(delete), tuple(ended))


def _too_many(view: View) -> list[Pod]:
    """Pods that a smaller set does not want: all at once, or the highest when it is its turn.

    A broken one is ended out of turn only if no lower one is broken: that may be why.
    """
    if not view.in_order:
        return [pod for pod in view.condemned if not pod.metadata.deletion_timestamp]
    for first in view.condemned[:1]:
        below = view.condemned[1:]
        waits = not view.available(first) and not all(map(view.available, below))
        return [] if first.metadata.deletion_timestamp or waits else [first]
    return []


def _outdated(view: View) -> list[Pod]:
    """Pods to be made anew from the update revision, as many as may be missing."""
    if view.owner.spec.update_strategy.type != "RollingUpdate":
        return []
    first = _first_updated(view.owner)
    candidates = [
        pod
        for number, pod in sorted(view.wanted.items(), reverse=True)
        if pod is not None and number >= first and not view.is_updated(pod) and pods.is_active(pod)
    ]
    chosen = {pod.metadata.name for pod in candidates}
    missing = sum(
        pod is None or not (pod.metadata.name in chosen or view.available(pod))
        for pod in view.wanted.values()
    )
    return candidates[: max(0, _most_missing(view.owner) - missing)]


def _most_missing(owner: StatefulSet) -> int:
    """At least one: a percentage of few pods would never let an update begin."""
    rolling = owner.spec.update_strategy.rolling_update
    if rolling is None or rolling.max_unavailable is None:
        return 1
    return max(1, intstr.resolve(rolling.max_unavailable, owner.spec.replicas or 0, round_up=True))


def _first_updated(owner: StatefulSet) -> int:
    """The first ordinal that gets the update revision."""
    rolling = owner.spec.update_strategy.rolling_update
    return ordinals.numbers(owner).start + (rolling.partition or 0 if rolling else 0)


def revision_for(view: View, number: int) -> str:
    """The revision that a new pod is made from."""
    rolls = view.owner.spec.update_strategy.type == "RollingUpdate"
    return view.current if rolls and number < _first_updated(view.owner) else view.update


def status_of(view: View, collisions: int | None) -> StatefulSetStatus:
    """The counts, and the current revision: the update revision, once every pod follows it."""
    owner, wanted = view.owner, view.owner.spec.replicas or 0
    mine = [*(pod for pod in view.wanted.values() if pod is not None), *view.condemned]
    staying = [hash_of(pod.metadata.labels) for pod in mine if not pods.is_terminating(pod)]
    running = [pod for pod in mine if _is_running(pod)]
    status = StatefulSetStatus(
        observed_generation=owner.metadata.generation,
        replicas=len(mine),
        ready_replicas=len(running),
        available_replicas=sum(view.is_settled(pod) for pod in running),
        current_replicas=staying.count(view.current),
        updated_replicas=staying.count(view.update),
        current_revision=view.current,
        update_revision=view.update,
        collision_count=collisions,
        conditions=owner.status.conditions,
    )
    counts = (status.updated_replicas, status.ready_replicas, status.replicas)
    if owner.spec.update_strategy.type == "RollingUpdate" and counts == (wanted,) * 3:
        status.current_replicas = status.updated_replicas
        status.current_revision = status.update_revision
    return status


def _is_running(pod: Pod) -> bool:
    return pod.status.phase == "Running" and pods.is_ready(pod)
