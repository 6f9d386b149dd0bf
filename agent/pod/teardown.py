"""What to do next for a pod that is to end (step 7 of the pod's walk). Pure.

A deleted pod loses its containers gracefully (main containers together, then sidecars in reverse
order, whose preStop hooks run from the beginning), then all that it has on the node, and only then
its API object. A pod that finished by itself gives back its sandbox and keeps its dead containers,
for their logs, until it is deleted.
"""

from __future__ import annotations

from agent.pod.actions import (
    Action,
    DeletePod,
    Plan,
    ReleaseSandbox,
    RunPreStop,
    StopContainer,
    TearDown,
)
from agent.pod.observed import Hook, PodObserved, Seen, sidecars
from api.core import Pod

DEFAULT_GRACE = 30.0
LEAST_GRACE = 2.0
"""Seconds that every program gets between the signal and KILL: also of a pod whose deletion was forced, and
after a preStop hook or main containers that have used up the whole grace period."""


def pod_grace(pod: Pod) -> float:
    """Seconds the pod's containers get to end: as its deletion says, or else its spec."""
    for seconds in (
        pod.metadata.deletion_grace_period_seconds,
        pod.spec.termination_grace_period_seconds,
    ):
        if seconds is not None:
            return float(seconds)
    return DEFAULT_GRACE


def plan_deletion(pod: Pod, observed: PodObserved) -> Plan:
    """End the containers, clean up the node, remove the object."""
    if observed.torn_down:
        if observed.removed or observed.deleted:
            return Plan(done=True)
        return Plan(actions=(DeletePod(),))
    stops = _stops(pod, observed, pod_grace(pod))
    if _alive(observed):
        return Plan(actions=tuple(stops))
    if _makes(observed):
        return Plan()
    return Plan(actions=(TearDown(),))


def plan_finished(pod: Pod, observed: PodObserved) -> Plan:
    """End what still runs (sidecars, or all after a deadline), then give back the sandbox."""
    evicted = observed.eviction
    stops = _stops(pod, observed, pod_grace(pod) if evicted is None else evicted.grace)
    if _alive(observed):
        return Plan(actions=tuple(stops))
    released = observed.released and not observed.sandboxes
    if released or _makes(observed):
        return Plan()
    return Plan(actions=(ReleaseSandbox(),))


def _makes(observed: PodObserved) -> bool:
    """Whether something is being made now: it is taken down when it is there."""
    return any(
        key.startswith(("container/", "sandbox", "network", "volumes")) for key in observed.busy
    )


def _alive(observed: PodObserved) -> bool:
    return any(seen.alive for made in observed.containers.values() for seen in made)


def _stops(pod: Pod, observed: PodObserved, grace: float) -> list[Action]:
    beside = [c.name for c in sidecars(pod)]
    left = grace - observed.stopping_for
    if observed.ends_in is not None:
        left = min(left, observed.ends_in)
    left = max(LEAST_GRACE, left)
    hooks = _early_hooks(pod, observed, left)
    mains = [
        _stop(name, seen, grace=left)
        for name, made in observed.containers.items()
        if name not in beside
        for seen in made
        if seen.alive
    ]
    # Whoever is being stopped is alive until Docker says otherwise, so sidecars wait for them.
    if mains:
        return [*mains, *hooks]
    for name in reversed(beside):
        if (seen := observed.alive(name)) is not None:
            others = [hook for hook in hooks if hook.container != name]
            if seen.pre_stop is Hook.RUNNING:
                return [*others]
            return [_stop(name, seen, grace=left), *others]
    return []


def _early_hooks(pod: Pod, observed: PodObserved, left: float) -> list[RunPreStop]:
    """preStop hooks of sidecars: they learn of the pod's end with all others (KEP-753), though their
    signal comes later."""
    found = []
    for container in sidecars(pod):
        seen, hooks = observed.alive(container.name), container.lifecycle
        if seen is None or hooks is None or hooks.pre_stop is None:
            continue
        if seen.pre_stop is Hook.NONE:
            found.append(RunPreStop(container=container.name, id=seen.id, grace=left))
    return found


def _stop(name: str, seen: Seen, *, grace: float) -> StopContainer:
    return StopContainer(
        container=name, id=seen.id, grace=grace, message=f"Stopping container {name}"
    )
