"""Deployments, StatefulSets and DaemonSets: never too many pods, never too few by their own hand.

Bounds are those of the API reference: not more than replicas + maxSurge, and while pods are replaced
not fewer available than replicas - maxUnavailable. Computed here anew and not taken from the
controllers, which are what is judged.

Two things are no fault of a controller, and are allowed for. A change of the bounds takes effect when
the controller has seen it: until what was asked for before is over, the wider bound counts. And pods
that become unavailable by themselves, or are taken by others (preemption, a lost node), lower what can
be expected, until as many are available again as there should be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
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
    count: int = 0
    lost: int = 0
    """Pods that became unavailable through nobody's decision about replicas."""


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
            owner = self._owner_of(step.object)
            if owner is not None:
                yield from self._judge(owner, step)
        elif isinstance(step.object, ReplicaSet):
            owner = self._world.owner(step.object)
            if owner is not None:
                self._narrow(owner)

    def _owner_of(self, pod: Pod) -> Deployment | StatefulSet | None:
        owner = self._world.owner(pod)
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
        self._narrow(owner)

    def _narrow(self, owner: Deployment | StatefulSet) -> None:
        """Let only the newest bounds count, once everything that was asked before is over."""
        watched = self._watched.get(owner.metadata.uid)
        if watched is None or not self._is_caught_up(owner):
            return
        asked = bounds_of(owner)
        active = self._world.active_pods(owner.metadata.uid)
        if len(active) <= asked.most:
            watched.bounds.most = asked.most
        if _available(owner, active, None) >= asked.least:
            watched.bounds.least = asked.least

    def _is_caught_up(self, owner: Deployment | StatefulSet) -> bool:
        if (owner.status.observed_generation or 0) < owner.metadata.generation:
            return False
        sets = [one for one in self._world.owned(owner.metadata.uid) if isinstance(one, ReplicaSet)]
        return all(one.status.observed_generation >= one.metadata.generation for one in sets)

    def _judge(self, owner: Deployment | StatefulSet, step: Step) -> Iterator[str]:
        watched = self._watched.get(owner.metadata.uid)
        if watched is None:
            return
        active = self._world.active_pods(owner.metadata.uid)
        name = f"{type(owner).__name__} {owner.metadata.namespace}/{owner.metadata.name}"
        if len(active) > watched.bounds.most and len(active) > watched.count:
            yield f"{name}: {len(active)} pods, where there may be {watched.bounds.most}"
        watched.count = len(active)
        available = _available(owner, active, step.at)
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

    def step(self, step: Step) -> Iterator[str]:
        """What is wrong after a change."""
        pod = step.new
        if not isinstance(pod, Pod) or (step.old is not None and pods.is_active(step.old)):
            return
        owner = self._world.owner(pod)
        if not isinstance(owner, DaemonSet) or not pods.is_active(pod):
            return
        counts = Counter(map(node_of, self._world.active_pods(owner.metadata.uid)))
        most = 2 if _surges(owner) else 1
        if counts[node_of(pod)] > most:
            name = f"DaemonSet {owner.metadata.namespace}/{owner.metadata.name}"
            yield f"{name}: {counts[node_of(pod)]} pods on {node_of(pod)}, where there may be {most}"


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
        for field in term.match_fields:
            if field.key == "metadata.name" and field.values:
                return field.values[0]
    return pod.spec.node_name


def _given(value: int | str | None) -> int | str:
    return 0 if value is None else value


def _surges(owner: DaemonSet) -> bool:
    rolling = owner.spec.update_strategy.rolling_update
    return rolling is not None and rolling.max_surge not in (None, 0, "0%")


def _available(owner: Any, active: list[Pod], at: float | None) -> int:
    """Pods that are available; `at` None: that are ready."""
    seconds = owner.spec.min_ready_seconds if at is not None else 0
    now = BEGINNING + timedelta(seconds=at or 0.0)
    return sum(pods.is_available(pod, min_ready_seconds=seconds, now=now) for pod in active)


def _was_available(pod: Pod | None) -> bool:
    return pod is not None and pods.is_active(pod) and pods.is_ready(pod)


def _is_taken(step: Step) -> bool:
    """Whether somebody decided that this pod has to go, who had the number of pods in mind."""
    pod: Pod = step.object
    leaves = step.new is None or pods.is_terminating(pod)
    return leaves and pods.condition(pod, "DisruptionTarget") is None
