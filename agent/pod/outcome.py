"""Whether a pod has finished for good, and how (steps 4 and 7 of the pod's walk). Pure.

Plan and status must agree on this in every case: a plan that starts what the status calls finished
would run a job twice. So it is worked out once for both.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.pod.observed import (
    PodObserved,
    may_restart,
    one_shot_inits,
    wanted_restart,
)
from api.core import Pod

DEADLINE_EXCEEDED = "DeadlineExceeded"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of a pod: `Succeeded` or `Failed`."""

    phase: str
    reason: str = ""
    message: str = ""


def outcome(pod: Pod, observed: PodObserved) -> Outcome | None:
    """How the pod ended; None while it has not. An end that was ever reported stands."""
    said = pod.status
    if said.phase in ("Succeeded", "Failed"):
        return Outcome(phase=said.phase, reason=said.reason, message=said.message)
    if (gone := observed.eviction) is not None:
        return Outcome(phase="Failed", reason=gone.reason, message=gone.message)
    if (refused := observed.refusal) is not None and refused.rejected and not observed.sandboxes:
        return Outcome(phase="Failed", reason=refused.reason, message=refused.told)
    if deadline_in(pod, observed) == 0.0:
        return Outcome(
            phase="Failed",
            reason=DEADLINE_EXCEEDED,
            message="Pod was active on the node longer than the specified deadline",
        )
    ended = _containers_outcome(pod, observed)
    if ended is None and _cannot_go_on(pod, observed):
        return Outcome(phase="Failed")
    return ended


def deadline_in(pod: Pod, observed: PodObserved) -> float | None:
    """Seconds until activeDeadlineSeconds is over; 0 when it is, None when there is none."""
    limit = pod.spec.active_deadline_seconds
    return None if limit is None else max(0.0, limit - observed.active_for)


def _cannot_go_on(pod: Pod, observed: PodObserved) -> bool:
    """An init container failed for good, or the sandbox died after containers had run in it."""
    for init in one_shot_inits(pod):
        seen = observed.newest(init.name)
        if seen is None or not seen.ended or seen.succeeded:
            continue
        if not wanted_restart(pod, init, seen):
            return True
    if any(may_restart(pod, container) for container in pod.spec.containers):
        return False
    lost = observed.sandbox is None or not (
        observed.sandbox.running or observed.sandbox.state.value == "created"
    )
    ran = any(made and not made[0].unstarted for made in observed.containers.values())
    return lost and ran and not any(s.alive for made in observed.containers.values() for s in made)


def _containers_outcome(pod: Pod, observed: PodObserved) -> Outcome | None:
    ends = []
    for container in pod.spec.containers:
        seen = observed.newest(container.name)
        if seen is None or not seen.ended or wanted_restart(pod, container, seen):
            return None
        ends.append(seen)
    succeeded = all(seen.succeeded for seen in ends)
    return Outcome(phase="Succeeded" if succeeded else "Failed")
