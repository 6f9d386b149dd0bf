"""Whether a Job is at its end, and why.

An end is announced by a condition of its own, `SuccessCriteriaMet` or `FailureTarget`, and holds from
then on; `Complete` or `Failed` follow when all pods are gone and counted.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from api import conditions, indexset, pods, timestamps
from api.batch import Job, JobCondition
from control.controllers.workloads.jobs.failures import judge
from control.controllers.workloads.jobs.view import View, has_failed, is_indexed

SUCCESS = "SuccessCriteriaMet"
FAILURE = "FailureTarget"


@dataclass(frozen=True, slots=True)
class Ending:
    """What the Job is bound for; `announced` once its status says so."""

    type: str
    reason: str
    message: str
    announced: bool = False

    @property
    def final(self) -> str:
        """The condition with which the Job is over."""
        return "Complete" if self.type == SUCCESS else "Failed"


ENOUGH = Ending(SUCCESS, "CompletionsReached", "Reached expected number of succeeded pods")


def is_finished(job: Job) -> bool:
    """Whether the Job is over."""
    return any(conditions.is_true(job.status.conditions, type_) for type_ in ("Complete", "Failed"))


def finish(job: Job) -> JobCondition | None:
    """The condition with which the Job is over, if it is."""
    ends = (one for one in job.status.conditions if one.type in ("Complete", "Failed"))
    return next((one for one in ends if one.status == "True"), None)


def verdict(view: View, now: datetime) -> Ending | None:
    """Why the Job must end before its pods say so by their number; None if it need not."""
    return (
        _announced(view.job)
        or _by_failure_policy(view)
        or _by_limits(view, now)
        or _by_indexes(view)
        or _by_success_policy(view)
    )


def has_enough(view: View, active: int) -> bool:
    """Whether the Job is complete with so many pods still running.

    Without `completions` one success is enough, once the other pods have ended, too.
    """
    wanted = view.job.spec.completions
    return active == 0 and view.succeeded >= (1 if wanted is None else wanted)


def seconds_to_deadline(job: Job, started: str | None, now: datetime) -> float | None:
    """How long the Job may still run; None without a limit, or while it does not."""
    limit = job.spec.active_deadline_seconds
    if limit is None or not started or job.spec.suspend:
        return None
    return (timestamps.parse(started) + timedelta(seconds=limit) - now).total_seconds()


def _announced(job: Job) -> Ending | None:
    for type_ in (SUCCESS, FAILURE):
        known = conditions.find(job.status.conditions, type_)
        if known is not None and known.status == "True":
            return Ending(type_, known.reason, known.message, announced=True)
    return None


def _by_failure_policy(view: View) -> Ending | None:
    policy = view.job.spec.pod_failure_policy
    for pod in view.pods if policy is not None else ():
        if has_failed(view.job.spec, pod) and (message := judge(policy, pod).message):
            return Ending(FAILURE, "PodFailurePolicy", message)
    return None


def _by_limits(view: View, now: datetime) -> Ending | None:
    job = view.job
    if view.failed > (job.spec.backoff_limit or 0) or _restarts_too_often(view):
        words = "Job has reached the specified backoff limit"
        return Ending(FAILURE, "BackoffLimitExceeded", words)
    left = seconds_to_deadline(job, job.status.start_time, now)
    if left is not None and left <= 0:
        words = "Job was active longer than specified deadline"
        return Ending(FAILURE, "DeadlineExceeded", words)
    return None


def _restarts_too_often(view: View) -> bool:
    """Restarts of containers in place count as failures of pods do."""
    spec = view.job.spec
    if spec.template.spec.restart_policy != "OnFailure":
        return False
    restarts = sum(
        status.restart_count
        for pod in view.pods
        if not pods.is_terminal(pod)
        for status in (*pod.status.init_container_statuses, *pod.status.container_statuses)
    )
    return restarts >= max(spec.backoff_limit or 0, 1)


def _by_indexes(view: View) -> Ending | None:
    spec, failed = view.job.spec, len(view.given_up)
    if spec.backoff_limit_per_index is None or not failed:
        return None
    if spec.max_failed_indexes is not None and failed > spec.max_failed_indexes:
        words = "Job has exceeded the specified maximal number of failed indexes"
        return Ending(FAILURE, "MaxFailedIndexesExceeded", words)
    if failed + len(view.completed) >= (spec.completions or 0):
        return Ending(FAILURE, "FailedIndexes", "Job has failed indexes")
    return None


def _by_success_policy(view: View) -> Ending | None:
    spec = view.job.spec
    if spec.success_policy is None or not is_indexed(spec):
        return None
    for number, rule in enumerate(spec.success_policy.rules):
        done, needed = len(view.completed), rule.succeeded_count
        if rule.succeeded_indexes is not None:
            named = indexset.parse(rule.succeeded_indexes, spec.completions or 0)
            done = named.common(view.completed)
            needed = len(named) if needed is None else needed
        if needed is not None and done >= needed:
            return Ending(SUCCESS, "SuccessPolicy", f"Matched rules at index {number}")
    return None
