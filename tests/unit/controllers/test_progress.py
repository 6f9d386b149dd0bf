"""The Progressing condition: what counts as a rollout under way, stuck, or long over."""

from datetime import timedelta

import msgspec

from api import conditions, timestamps
from api.apps import Deployment, DeploymentCondition, ReplicaSet
from base.clock import FakeClock
from control.controllers.workloads.progress import status_of
from tests.unit.controllers.making import deployment, replica_set

NOW = FakeClock().now()


def _progressing(
    wanted: Deployment, new: ReplicaSet, *old: ReplicaSet, later: float = 0.0
) -> DeploymentCondition:
    status = status_of(wanted, new, old, NOW + timedelta(seconds=later))
    found = conditions.find(status.conditions, "Progressing")
    assert found is not None
    return found


def _told(wanted: Deployment, reason: str, name: str, **counts: int) -> Deployment:
    condition = DeploymentCondition(
        type="Progressing",
        status="False" if reason == "ProgressDeadlineExceeded" else "True",
        reason=reason,
        message=f'ReplicaSet "{name}" …',
        last_update_time=timestamps.format(NOW),
    )
    status = msgspec.structs.replace(wanted.status, conditions=[condition], **counts)
    return msgspec.structs.replace(wanted, status=status)


def test_a_new_template_gets_a_new_deadline() -> None:
    """`kubectl rollout status` right after the fix of a failed rollout must not say it failed."""
    failed = _told(deployment(), "ProgressDeadlineExceeded", "web-bad", replicas=4)
    found = _progressing(
        failed, replica_set("web-good"), replica_set("web-bad", size=1), later=700.0
    )
    assert (found.status, found.reason) == ("True", "NewReplicaSetCreated")
    assert found.last_update_time == timestamps.format(NOW + timedelta(seconds=700))


def test_a_pod_that_breaks_later_does_not_begin_a_rollout() -> None:
    done = _told(
        deployment(replicas=3), "NewReplicaSetAvailable", "web-1", replicas=3, updated_replicas=3
    )
    found = _progressing(done, replica_set("web-1", size=3, available=2), later=9999.0)
    assert found.reason == "NewReplicaSetAvailable"


def test_a_new_template_after_a_complete_rollout_progresses() -> None:
    done = _told(
        deployment(replicas=3), "NewReplicaSetAvailable", "web-1", replicas=3, updated_replicas=3
    )
    found = _progressing(done, replica_set("web-2"), replica_set("web-1", size=3, available=3))
    assert found.reason == "NewReplicaSetCreated"
