"""What to do next for a pod that is to end (step 7 of the pod's walk). Pure.

A deleted pod loses its containers gracefully (main containers together, then sidecars in reverse
order), then all that it has on the node, and only then its API object. A pod that finished by
itself gives back its sandbox and keeps its dead containers, for their logs, until it is deleted.
"""

from __future__ import annotations

from agent.pod.actions import (
    Action,
    DeletePod,
    Plan,
    PrepareVolumes,
    ReleaseSandbox,
    StopContainer,
    TearDown,
)
from agent.pod.observed import PodObserved, Seen, sidecars
from api.core import Pod

DEFAULT_GRACE = 30.0
SIDECAR_GRACE = 2.0
"""Seconds a sidecar gets when the main containers have used up the whole grace period."""


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
    # A forced deletion gives 0; the node still lets a program see its TERM.
    grace = max(1.0, pod_grace(pod)) if observed.removed else pod_grace(pod)
    stops = _stops(pod, observed, grace)
    if stops:
        return Plan(actions=tuple(stops))
    if any(
        key.startswith(("container/", "sandbox", "network", "volumes")) for key in observed.busy
    ):
        return Plan()  # what is being made now is taken down when it is there
    return Plan(actions=(TearDown(),))


def plan_finished(pod: Pod, observed: PodObserved) -> Plan:
    """End what still runs (sidecars, or all after a deadline), then give back the sandbox."""
    evicted = observed.eviction
    stops = _stops(pod, observed, pod_grace(pod) if evicted is None else evicted.grace)
    if stops:
        return Plan(actions=tuple(stops))
    if observed.sandboxes and PrepareVolumes.key not in observed.busy:
        return Plan(actions=(ReleaseSandbox(),))
    return Plan()


def _stops(pod: Pod, observed: PodObserved, grace: float) -> list[Action]:
    beside = [c.name for c in sidecars(pod)]
    left = max(0.0, grace - observed.stopping_for)
    mains = [
        _stop(name, seen, grace=left)
        for name, made in observed.containers.items()
        if name not in beside
        for seen in made
        if seen.alive
    ]
    # Whoever is being stopped is alive until Docker says otherwise, so sidecars wait for them.
    if mains:
        return list(mains)
    for name in reversed(beside):
        if (seen := observed.alive(name)) is not None:
            return [_stop(name, seen, grace=max(SIDECAR_GRACE, left) if grace else 0.0)]
    return []


def _stop(name: str, seen: Seen, *, grace: float) -> StopContainer:
    return StopContainer(
        container=name, id=seen.id, grace=grace, message=f"Stopping container {name}"
    )
