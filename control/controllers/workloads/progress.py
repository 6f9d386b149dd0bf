"""How far a rollout got: the pure part of a Deployment's status and conditions.

Reasons and messages are those that `kubectl rollout status` and people look for.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from api import conditions, timestamps
from api.apps import Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet
from control.controllers.workloads import rollout


def is_complete(deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet]) -> bool:
    """All pods run the present template and are available, and no old ones are left."""
    wanted = deployment.spec.replicas or 0
    return (
        new is not None
        and new.status.replicas == wanted
        and new.status.available_replicas == wanted
        and rollout.size(new) == wanted
        and all(rs.status.replicas == 0 for rs in old)
    )


def status_of(
    deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet], now: datetime
) -> DeploymentStatus:
    """Counts over all ReplicaSets, and the conditions Available, Progressing, ReplicaFailure."""
    sets = [*old, *([new] if new is not None else [])]
    total = sum(rs.status.replicas for rs in sets)
    available = sum(rs.status.available_replicas for rs in sets)
    wanted_total = sum(rollout.size(rs) for rs in sets)
    status = DeploymentStatus(
        observed_generation=deployment.metadata.generation,
        replicas=total,
        updated_replicas=new.status.replicas if new is not None else 0,
        ready_replicas=sum(rs.status.ready_replicas for rs in sets),
        available_replicas=available,
        unavailable_replicas=max(0, wanted_total - available),
        collision_count=deployment.status.collision_count,
        conditions=list(deployment.status.conditions),
    )
    failure = _failure([*([new] if new is not None else []), *old])
    for condition in (
        _available(deployment, available),
        _progressing(deployment, new, old, status, now),
        failure,
    ):
        if condition is not None:
            status.conditions = _put(status.conditions, condition, now)
    if failure is None:
        status.conditions = conditions.remove(status.conditions, "ReplicaFailure")
    if not rollout.has_deadline(deployment):
        status.conditions = conditions.remove(status.conditions, "Progressing")
    return status


def not_created(deployment: Deployment, message: str, now: datetime) -> DeploymentStatus:
    """The status when the ReplicaSet of the present template could not be made."""
    if not rollout.has_deadline(deployment):
        return deployment.status
    condition = _moved("False", "ReplicaSetCreateError", message)
    told = _put(list(deployment.status.conditions), condition, now)
    return msgspec.structs.replace(deployment.status, conditions=told)


def seconds_until_deadline(
    deployment: Deployment, status: DeploymentStatus, now: datetime
) -> float | None:
    """When to look again for the progress deadline; None when nothing is under way."""
    seconds = deployment.spec.progress_deadline_seconds
    progressing = conditions.find(status.conditions, "Progressing")
    if (
        deployment.spec.paused
        or seconds is None
        or progressing is None
        or not progressing.last_update_time
    ):
        return None
    if progressing.reason in ("NewReplicaSetAvailable", "ProgressDeadlineExceeded"):
        return None
    due = timestamps.parse(progressing.last_update_time) + timedelta(seconds=seconds + 1)
    return max(1.0, (due - now).total_seconds())


def _available(deployment: Deployment, available: int) -> DeploymentCondition:
    minimum = (deployment.spec.replicas or 0) - rollout.max_unavailable(deployment)
    if available >= minimum:
        return DeploymentCondition(
            type="Available",
            status="True",
            reason="MinimumReplicasAvailable",
            message="Deployment has minimum availability.",
        )
    return DeploymentCondition(
        type="Available",
        status="False",
        reason="MinimumReplicasUnavailable",
        message="Deployment does not have minimum availability.",
    )


def _progressing(
    deployment: Deployment,
    new: ReplicaSet | None,
    old: Sequence[ReplicaSet],
    status: DeploymentStatus,
    now: datetime,
) -> DeploymentCondition | None:
    """The Progressing condition, or None to leave what is there.

    A pause hides no deadline that was missed: what was wrong before it still is.
    """
    known = conditions.find(deployment.status.conditions, "Progressing")
    if deployment.spec.paused:
        told = known is not None and known.reason in (
            "DeploymentPaused",
            "ProgressDeadlineExceeded",
        )
        return None if told else _moved("Unknown", "DeploymentPaused", "Deployment is paused")
    name = new.metadata.name if new is not None else ""
    if is_complete(deployment, new, old):
        text = f'ReplicaSet "{name}" has successfully progressed.'
        return _moved("True", "NewReplicaSetAvailable", text)
    if known is not None and known.reason == "DeploymentPaused":
        return _moved("Unknown", "DeploymentResumed", "Deployment is resumed")
    if known is None or _is_of_another(known, name):
        if new is not None and any(_is_later(rs, new) for rs in old):
            return _moved("True", "FoundNewReplicaSet", f'Found new replica set "{name}"')
        return _moved("True", "NewReplicaSetCreated", f'Created new replica set "{name}"')
    if known.reason == "NewReplicaSetAvailable" and status.replicas == status.updated_replicas:
        return None  # complete is complete: pods that break or are added later are no rollout
    if _has_moved(deployment.status, status) or known.reason == "NewReplicaSetAvailable":
        return _moved("True", "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.')
    if rollout.progress_deadline_passed(
        known.last_update_time, deployment.spec.progress_deadline_seconds, timestamps.format(now)
    ):
        text = f'ReplicaSet "{name}" has timed out progressing.'
        return _moved("False", "ProgressDeadlineExceeded", text)
    return None


def _is_of_another(known: DeploymentCondition, name: str) -> bool:
    """Whether the condition is about an earlier template, whose deadline is not this one's."""
    about_a_set = known.reason not in ("DeploymentPaused", "DeploymentResumed")
    return bool(name) and about_a_set and f'"{name}"' not in known.message


def _is_later(one: ReplicaSet, other: ReplicaSet) -> bool:
    """Whether one was made after the other, which then is a template that has come back."""
    times = (one.metadata.creation_timestamp or "", other.metadata.creation_timestamp or "")
    return times[0] > times[1]


def _has_moved(before: DeploymentStatus, after: DeploymentStatus) -> bool:
    """More updated pods, fewer old ones, or more that are ready or available."""
    return (
        after.updated_replicas > before.updated_replicas
        or after.replicas - after.updated_replicas < before.replicas - before.updated_replicas
        or after.ready_replicas > before.ready_replicas
        or after.available_replicas > before.available_replicas
    )


def _failure(sets: Sequence[ReplicaSet]) -> DeploymentCondition | None:
    for rs in sets:
        failed = conditions.find(rs.status.conditions, "ReplicaFailure")
        if failed is not None and failed.status == "True":
            return DeploymentCondition(
                type="ReplicaFailure", status="True", reason=failed.reason, message=failed.message
            )
    return None


def _moved(status: str, reason: str, message: str) -> DeploymentCondition:
    return DeploymentCondition(type="Progressing", status=status, reason=reason, message=message)


def _put(
    known: list[DeploymentCondition], new: DeploymentCondition, now: datetime
) -> list[DeploymentCondition]:
    """Replace the condition; `lastUpdateTime` moves when anything of it changed or progressed."""
    text = timestamps.format(now)
    old = conditions.find(known, new.type)
    same = old is not None and (old.status, old.reason, old.message) == (
        new.status,
        new.reason,
        new.message,
    )
    if same and old is not None and new.reason != "ReplicaSetUpdated":
        return known
    stamped = msgspec.structs.replace(new, last_update_time=text)
    return conditions.put(known, stamped, now=text)
