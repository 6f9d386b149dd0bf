"""What a Job's status says next: the three steps of counting, and the conditions.

Pure: every function takes a status and gives another, for the controller to write.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import msgspec

from api import conditions, pods, timestamps
from api.batch import JobCondition, JobStatus, UncountedTerminatedPods
from api.core import Pod
from control.controllers.workloads.jobs.failures import is_counted
from control.controllers.workloads.jobs.verdict import FAILURE, SUCCESS, Ending
from control.controllers.workloads.jobs.view import (
    View,
    has_failed,
    has_place,
    index_of,
    is_indexed,
    is_tracked,
)

MAX_UNCOUNTED = 500
"""UIDs in a status at a time: they take 20 KB, and other Jobs want a turn."""


@dataclass(frozen=True, slots=True)
class Counting:
    """The status with what has ended noted down, the pods to let go then, and whether that is all."""

    status: JobStatus
    let_go: tuple[Pod, ...]
    everything: bool


def note(view: View, ending: Ending | None) -> Counting:
    """Step 1: write down who has ended, and who is to be let go once that is written."""
    status = settle(view.job.status, {p.metadata.uid for p in view.pods if is_tracked(p)})
    uncounted = status.uncounted_terminated_pods or UncountedTerminatedPods()
    succeeded, failed = list(uncounted.succeeded), list(uncounted.failed)
    let_go: list[Pod] = []
    everything = True
    for pod in view.pods:
        if not is_tracked(pod) or not _may_go(view, pod, ending):
            continue
        if len(let_go) >= MAX_UNCOUNTED or len(succeeded) + len(failed) >= MAX_UNCOUNTED:
            everything = False
            break
        let_go.append(pod)
        if pod.metadata.uid in view.noted:
            continue
        if pod.status.phase == "Succeeded":
            if not is_indexed(view.job.spec):
                succeeded.append(pod.metadata.uid)
        elif _counts_as_failed(view, pod, ending):
            failed.append(pod.metadata.uid)
    status.uncounted_terminated_pods = UncountedTerminatedPods(succeeded=succeeded, failed=failed)
    if is_indexed(view.job.spec):
        status.completed_indexes = str(view.completed)
        status.succeeded = len(view.completed)
        if view.job.spec.backoff_limit_per_index is not None:
            status.failed_indexes = str(view.given_up)
    return Counting(status, tuple(let_go), everything)


def settle(status: JobStatus, held: Collection[str]) -> JobStatus:
    """Step 3: count those noted whose pods are no longer held by the finalizer."""
    uncounted = status.uncounted_terminated_pods or UncountedTerminatedPods()
    succeeded = [uid for uid in uncounted.succeeded if uid in held]
    failed = [uid for uid in uncounted.failed if uid in held]
    return msgspec.structs.replace(
        status,
        succeeded=status.succeeded + len(uncounted.succeeded) - len(succeeded),
        failed=status.failed + len(uncounted.failed) - len(failed),
        uncounted_terminated_pods=UncountedTerminatedPods(succeeded=succeeded, failed=failed),
    )


def is_settled(status: JobStatus) -> bool:
    """Whether every pod that is noted is counted."""
    uncounted = status.uncounted_terminated_pods
    return uncounted is None or not (uncounted.succeeded or uncounted.failed)


def with_figures(status: JobStatus, view: View, *, made: int, ended: Collection[Pod]) -> JobStatus:
    """The pods there are, after so many were made and these were told to end."""
    gone = {pod.metadata.uid for pod in ended}
    left = [pod for pod in view.active if pod.metadata.uid not in gone]
    return msgspec.structs.replace(
        status,
        active=len(left) + made,
        ready=sum(map(pods.is_ready, left)),
        terminating=len(view.terminating) + len(view.active) - len(left),
    )


def announce(status: JobStatus, ending: Ending, now: datetime) -> JobStatus:
    """Say what the Job is bound for."""
    return _with(status, ending.type, "True", ending.reason, ending.message, now)


def conclude(status: JobStatus, ending: Ending, now: datetime) -> JobStatus:
    """Say that the Job is over."""
    done = _with(status, ending.final, "True", ending.reason, ending.message, now)
    if ending.type == SUCCESS:
        done.completion_time = timestamps.format(now)
    return done


def start(status: JobStatus, *, suspended: bool, now: datetime) -> JobStatus:
    """The time at which the Job began: when it is first looked after, unless it is suspended."""
    if status.start_time or suspended:
        return status
    return msgspec.structs.replace(status, start_time=timestamps.format(now))


def suspend(status: JobStatus, now: datetime) -> JobStatus:
    """Say that the Job is held back."""
    return _with(status, "Suspended", "True", "JobSuspended", "Job suspended", now)


def resume(status: JobStatus, now: datetime) -> JobStatus:
    """Say that it no longer is, if it was. It begins anew, and so does its deadline."""
    if not conditions.is_true(status.conditions, "Suspended"):
        return status
    resumed = _with(status, "Suspended", "False", "JobResumed", "Job resumed", now)
    resumed.start_time = timestamps.format(now)
    return resumed


def _may_go(view: View, pod: Pod, ending: Ending | None) -> bool:
    """Whether the pod need not be kept: it has ended, or nobody will ask for its outcome."""
    if view.job.metadata.deletion_timestamp or ending is not None:
        return True
    if pod.status.phase == "Succeeded":
        return True
    if not has_failed(view.job.spec, pod):
        return False
    if view.job.spec.backoff_limit_per_index is None:
        return True
    return view.replaceable.get(index_of(pod)) is not pod


def _counts_as_failed(view: View, pod: Pod, ending: Ending | None) -> bool:
    """A pod that is ended with its Job has failed, too, unless the Job was a success."""
    spec = view.job.spec
    cut_off = ending is not None and ending.type == FAILURE
    if not has_place(spec, pod) or not (cut_off or has_failed(spec, pod)):
        return False
    return is_counted(spec.pod_failure_policy, pod)


def _with(
    status: JobStatus, type_: str, value: str, reason: str, message: str, now: datetime
) -> JobStatus:
    stamp = timestamps.format(now)
    known = conditions.find(status.conditions, type_)
    if known is not None and (known.status, known.reason, known.message) == (
        value,
        reason,
        message,
    ):
        return status
    made = JobCondition(
        type=type_, status=value, reason=reason, message=message, last_probe_time=stamp
    )
    told = conditions.put(status.conditions, made, now=stamp)
    return msgspec.structs.replace(status, conditions=told)
