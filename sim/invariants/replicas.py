"""Deployments, StatefulSets and DaemonSets: never too many pods, never too few by their own hand.

Bounds are those of the API reference: not more than replicas + maxSurge, and while pods are replaced
not fewer available than replicas - maxUnavailable. Computed here anew and not taken from the
controllers, which are what is judged.

Three things are no fault of a controller, and are allowed for. A change of the bounds takes effect when
the controller has seen it: until what was asked for before is over, the wider bound counts. A Deployment
that is made smaller in the middle of a rollout shrinks its sets in proportion, whichever of them has the
available pods (concept "Proportional scaling"): until as many are available as there should be, any
number will do. And pods that become unavailable by themselves, or are taken by others (preemption, a lost
node), lower what can be expected, until as many are available again as there should be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from api import intstr, pods
from api.apps import DaemonSet, Deployment, ReplicaSet, StatefulSet
from api.core import Pod
from sim.history import Step
from sim.invariants.world import World
from sim.loop import BEGINNING


@dataclass
class _Bounds:
    """How many pods there may be, and how many must be available."""

    most: int
    least: int


@dataclass
class _Watched:
    """What is remembered of one Deployment or StatefulSet."""

    bounds: _Bounds
    active: dict[str, Pod] = field(default_factory=dict)
    """Pods that are here to stay, by UID."""
    ready: int = 0
    lost: int = 0
    """Pods that became unavailable through nobody's decision about replicas."""

    def put(self, pod: Pod) -> None:
        """Follow a pod that is there."""
        self.take(pod.metadata.uid)
        if pods.is_active(pod):
            self.active[pod.metadata.uid] = pod
            self.ready += pods.is_ready(pod)

    def take(self, uid: str) -> None:
        """A pod is not, or no longer, one of these."""
        known = self.active.pop(uid, None)
        self.ready -= known is not None and pods.is_ready(known)


class Replicas:
    """Judges the pods of Deployments and StatefulSets."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._watched: dict[str, _Watched] = {}

    def step(self, step: Step) -> Iterator[str]:
        """What is wrong after a change."""
        if isinstance(step.object, Deployment | StatefulSet):
            self._follow(step.object, gone=step.new is None)
        elif isinstance(step.object, Pod):
            yield from self._follow_pod(step)
        elif isinstance(step.object, ReplicaSet):
            for owner in filter(None, (self._above(step.old), self._above(step.new))):
                if self._above(step.old) is not self._above(step.new):
                    self._recount(owner)
                self._narrow(owner)

    def _above(self, one: ReplicaSet | None) -> Any | None:
        return None if one is None else self._world.owner(one)

    def _owner_of(self, pod: Pod | None) -> Deployment | StatefulSet | None:
        owner = None if pod is None else self._world.owner(pod)
        if isinstance(owner, ReplicaSet):
            owner = self._world.owner(owner)
        return owner if isinstance(owner, Deployment | StatefulSet) else None

    def _follow(self, owner: Deployment | StatefulSet, *, gone: bool) -> None:
        uid = owner.metadata.uid
        if gone:
            self._watched.pop(uid, None)
            return
        asked = bounds_of(owner)
        watched = self._watched.setdefault(uid, _Watched(asked))
        watched.bounds.most = max(watched.bounds.most, asked.most)
        watched.bounds.least = min(watched.bounds.least, asked.least)
        if asked.most < watched.bounds.most and self._rolls(owner):
            watched.bounds.least = 0
        self._narrow(owner)

    def _recount(self, owner: Any) -> None:
        """A whole ReplicaSet came or went."""
        watched = self._watched.get(owner.metadata.uid)
        if watched is None:
            return
        for uid in list(watched.active):
            watched.take(uid)
        for pod in self._world.active_pods(owner.metadata.uid):
            watched.put(pod)

    def _narrow(self, owner: Deployment | StatefulSet) -> None:
        """Let only the newest bounds count, once everything that was asked before is over."""
        watched = self._watched.get(owner.metadata.uid)
        if watched is None or not self._is_caught_up(owner):
            return
        asked = bounds_of(owner)
        if len(watched.active) <= asked.most:
            watched.bounds.most = asked.most
        if watched.ready >= asked.least:
            watched.bounds.least = asked.least

    def _rolls(self, owner: Deployment | StatefulSet) -> bool:
        """Whether several sets of a Deployment have pods."""
        owned = self._world.owned(owner.metadata.uid)
        return sum(isinstance(one, ReplicaSet) and bool(one.spec.replicas) for one in owned) > 1

    def _is_caught_up(self, owner: Deployment | StatefulSet) -> bool:
        if (owner.status.observed_generation or 0) < owner.metadata.generation:
            return False
        if isinstance(owner, StatefulSet):
            return True
        sets = [one for one in self._world.owned(owner.metadata.uid) if isinstance(one, ReplicaSet)]
        return all(one.status.observed_generation >= one.metadata.generation for one in sets)

    def _follow_pod(self, step: Step) -> Iterator[str]:
        before, after = self._owner_of(step.old), self._owner_of(step.new)
        if before is not None and before is not after:
            watched = self._watched.get(before.metadata.uid)
            if watched is not None:
                watched.take(step.object.metadata.uid)
        owner = after or before
        watched = None if owner is None else self._watched.get(owner.metadata.uid)
        if owner is not None and watched is not None:
            count = len(watched.active)
            if after is not None:
                watched.put(step.new)
            yield from self._judge(owner, watched, step, count)

    def _judge(self, owner: Any, watched: _Watched, step: Step, before: int) -> Iterator[str]:
        name = f"{type(owner).__name__} {owner.metadata.namespace}/{owner.metadata.name}"
        count = len(watched.active)
        if count > watched.bounds.most and count > before:
            yield f"{name}: {count} pods, where there may be {watched.bounds.most}"
        available = _available(owner, watched, step.at)
        if available >= bounds_of(owner).least:
            watched.lost = 0
        if not _was_available(step.old):
            return
        if not _is_taken(step):
            watched.lost += not _was_available(step.new)
            return
        least = watched.bounds.least - watched.lost
        if available < least and not owner.metadata.deletion_timestamp:
            yield f"{name}: {available} pods available, where there must be {least}"


class Daemons:
    """Judges the pods of DaemonSets: one on each node, and one more while it is replaced."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._on: dict[tuple[str, str], set[str]] = defaultdict(set)
        """Pods that are here to stay, by DaemonSet and node."""

    def step(self, step: Step) -> Iterator[str]:
        """What is wrong after a change."""
        if not isinstance(step.object, Pod):
            return
        pod = step.object
        owner = self._world.owner(pod)
        if not isinstance(owner, DaemonSet):
            return
        here = self._on[owner.metadata.uid, node_of(pod)]
        if step.new is None or not pods.is_active(pod):
            here.discard(pod.metadata.uid)
            return
        came = pod.metadata.uid not in here
        here.add(pod.metadata.uid)
        most = 2 if _surges(owner) else 1
        if came and len(here) > most:
            name = f"DaemonSet {owner.metadata.namespace}/{owner.metadata.name}"
            yield f"{name}: {len(here)} pods on {node_of(pod)}, where there may be {most}"


def bounds_of(owner: Deployment | StatefulSet) -> _Bounds:
    """What the API reference says."""
    wanted = owner.spec.replicas or 0
    if isinstance(owner, StatefulSet):
        # One is replaced at a time, unless maxUnavailable says more.
        rolling = owner.spec.update_strategy.rolling_update
        value = rolling.max_unavailable if rolling is not None else None
        missing = intstr.resolve(1 if value is None else value, wanted, round_up=True)
        return _Bounds(wanted, wanted - max(1, missing))
    of_deployment = owner.spec.strategy.rolling_update
    if owner.spec.strategy.type == "Recreate" or of_deployment is None:
        return _Bounds(wanted, 0)
    surge = intstr.resolve(_given(of_deployment.max_surge), wanted, round_up=True)
    missing = intstr.resolve(_given(of_deployment.max_unavailable), wanted, round_up=False)
    return _Bounds(wanted + surge, wanted - (missing or (0 if surge else 1)))


def node_of(pod: Pod) -> str:
    """The node a daemon is meant for; it says so before it is placed."""
    affinity = pod.spec.affinity
    required = (
        affinity.node_affinity.required_during_scheduling_ignored_during_execution
        if affinity is not None and affinity.node_affinity is not None
        else None
    )
    for term in required.node_selector_terms if required is not None else ():
        for one in term.match_fields:
            if one.key == "metadata.name" and one.values:
                return one.values[0]
    return pod.spec.node_name


def _given(value: int | str | None) -> int | str:
    return 0 if value is None else value


def _surges(owner: DaemonSet) -> bool:
    rolling = owner.spec.update_strategy.rolling_update
    return rolling is not None and rolling.max_surge not in (None, 0, "0%")


def _available(owner: Any, watched: _Watched, at: float) -> int:
    if not owner.spec.min_ready_seconds:
        return watched.ready
    now = BEGINNING + timedelta(seconds=at)
    seconds = owner.spec.min_ready_seconds
    return sum(
        pods.is_available(pod, min_ready_seconds=seconds, now=now)
        for pod in watched.active.values()
    )


def _was_available(pod: Pod | None) -> bool:
    return pod is not None and pods.is_active(pod) and pods.is_ready(pod)


def _is_taken(step: Step) -> bool:
    """Whether somebody decided that this pod has to go, who had the number of pods in mind."""
    pod: Pod = step.object
    leaves = step.new is None or pods.is_terminating(pod)
    return leaves and pods.condition(pod, "DisruptionTarget") is None
