"""The Progressing condition: what counts as a rollout under way, stuck, or long over."""

from datetime import timedelta

import msgspec
import pytest

from api import conditions, timestamps
from api.apps import Deployment, DeploymentCondition, ReplicaSet, ReplicaSetCondition
from base.clock import FakeClock
from control.controllers.workloads import rollout
from control.controllers.workloads.progress import not_created, seconds_until_deadline, status_of
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


def test_a_template_that_comes_back_is_found() -> None:
    told = _told(deployment(), "ReplicaSetUpdated", "web-2")
    back = replica_set("web-1", created="2026-01-01T00:00:00Z")
    left = replica_set("web-2", size=3, created="2026-01-02T00:00:00Z")
    found = _progressing(told, back, left)
    assert (found.status, found.reason, found.message) == (
        "True",
        "FoundNewReplicaSet",
        'Found new replica set "web-1"',
    )


def test_progress_moves_the_deadline_and_the_lack_of_it_is_told() -> None:
    wanted = deployment(replicas=3, progressDeadlineSeconds=60)
    told = _told(wanted, "ReplicaSetUpdated", "web-1", replicas=3, updated_replicas=3)
    new = replica_set("web-1", size=3, available=0)
    assert _progressing(told, new, later=60).last_update_time == timestamps.format(NOW)
    late = _progressing(told, new, later=61)
    assert (late.status, late.reason, late.message) == (
        "False",
        "ProgressDeadlineExceeded",
        'ReplicaSet "web-1" has timed out progressing.',
    )
    new.status.available_replicas = 1
    moved = _progressing(told, new, later=61)
    assert (moved.reason, moved.message) == (
        "ReplicaSetUpdated",
        'ReplicaSet "web-1" is progressing.',
    )
    assert moved.last_update_time == timestamps.format(NOW + timedelta(seconds=61))
    new.status.available_replicas = 3
    done = _progressing(told, new, later=62)
    assert (done.reason, done.message) == (
        "NewReplicaSetAvailable",
        'ReplicaSet "web-1" has successfully progressed.',
    )


@pytest.mark.parametrize("seconds", [None, rollout.UNLIMITED])
def test_without_a_deadline_nothing_is_said_of_progress(seconds: int | None) -> None:
    told = _told(deployment(progressDeadlineSeconds=seconds), "ReplicaSetUpdated", "web-1")
    told.spec.progress_deadline_seconds = seconds
    status = status_of(told, replica_set("web-1"), [], NOW)
    assert [condition.type for condition in status.conditions] == ["Available"]
    assert seconds_until_deadline(told, status, NOW) is None
    assert not_created(told, "no", NOW) == told.status


def test_a_pause_does_not_hide_a_missed_deadline() -> None:
    for reason, expected in (
        ("ReplicaSetUpdated", "DeploymentPaused"),
        ("ProgressDeadlineExceeded", "ProgressDeadlineExceeded"),
    ):
        paused = _told(deployment(paused=True), reason, "web-1")
        assert _progressing(paused, replica_set("web-1")).reason == expected
    paused = _told(deployment(paused=True), "DeploymentPaused", "web-1")
    resumed = msgspec.structs.replace(
        paused, spec=msgspec.structs.replace(paused.spec, paused=False)
    )
    found = _progressing(resumed, replica_set("web-1"))
    assert (found.status, found.reason, found.message) == (
        "Unknown",
        "DeploymentResumed",
        "Deployment is resumed",
    )


def test_a_replica_set_that_cannot_be_made_is_told() -> None:
    wanted = deployment()
    status = not_created(wanted, 'Failed to create new replica set "web-1": no', NOW)
    (condition,) = status.conditions
    assert (condition.type, condition.status, condition.reason, condition.message) == (
        "Progressing",
        "False",
        "ReplicaSetCreateError",
        'Failed to create new replica set "web-1": no',
    )


def _failing(name: str, message: str) -> ReplicaSet:
    made = replica_set(name, size=1)
    made.status.conditions = [
        ReplicaSetCondition(
            type="ReplicaFailure", status="True", reason="FailedCreate", message=message
        )
    ]
    return made


def test_what_the_new_set_fails_at_comes_before_what_old_ones_do() -> None:
    sets = _failing("new", "quota"), _failing("old", "webhook")
    status = status_of(deployment(), sets[0], [sets[1]], NOW)
    failure = conditions.find(status.conditions, "ReplicaFailure")
    assert failure is not None
    assert (failure.status, failure.reason, failure.message) == ("True", "FailedCreate", "quota")
    failed = msgspec.structs.replace(deployment(), status=status)
    well = status_of(failed, replica_set("new"), [], NOW)
    assert conditions.find(well.conditions, "ReplicaFailure") is None
