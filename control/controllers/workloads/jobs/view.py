"""What a Job's pods come to: who runs, who has ended and is not counted yet, which indexes are done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from api import indexset, pods, timestamps
from api.batch import Job, JobSpec, UncountedTerminatedPods
from api.core import Pod
from api.indexset import IndexSet
from control.controllers.workloads.jobs.failures import is_counted, judge

TRACKING = "batch.kubernetes.io/job-tracking"
"""The finalizer that keeps a pod until it is counted."""
COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index"
INDEX_FAILURES = "batch.kubernetes.io/job-index-failure-count"
INDEX_IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A Job and its pods at one moment.

    `counted` are the pods that have been through everything, thousands perhaps; they only tell how
    the last ones fared. `pods` are all others.
    `succeeded` and `failed` are the figures as they will be when all that has ended is counted.
    `replaceable` holds per index the failed pod that must stay until its successor is made, because
    it carries how often the index has failed.
    """

    job: Job
    pods: tuple[Pod, ...]
    counted: tuple[Pod, ...]
    active: tuple[Pod, ...]
    terminating: tuple[Pod, ...]
    noted: frozenset[str]
    succeeded: int
    failed: int
    completed: IndexSet
    given_up: IndexSet
    replaceable: dict[int, Pod]


def look(job: Job, mine: Sequence[Pod]) -> View:
    """Sort the pods of a Job."""
    uncounted = job.status.uncounted_terminated_pods or UncountedTerminatedPods()
    noted = frozenset((*uncounted.succeeded, *uncounted.failed))
    counted = tuple(pod for pod in mine if pods.is_terminal(pod) and not is_tracked(pod))
    mine = [pod for pod in mine if is_tracked(pod) or not pods.is_terminal(pod)]
    active = tuple(pod for pod in mine if pods.is_active(pod))
    fresh = [pod for pod in mine if is_tracked(pod) and pod.metadata.uid not in noted]
    fresh = [pod for pod in fresh if has_place(job.spec, pod)]
    done = [pod for pod in fresh if pod.status.phase == "Succeeded"]
    failed = [pod for pod in fresh if has_failed(job.spec, pod)]
    losses = [pod for pod in failed if is_counted(job.spec.pod_failure_policy, pod)]
    completed, given_up = IndexSet(), IndexSet()
    if is_indexed(job.spec):
        completed = _known(job, job.status.completed_indexes).with_(map(index_of, done))
        given_up = _known(job, job.status.failed_indexes or "")
        given_up = given_up.with_(
            index_of(pod)
            for pod in failed
            if index_of(pod) not in completed and _gives_up(job.spec, pod)
        )
    plain = job.status.succeeded + len(uncounted.succeeded) + len(done)
    return View(
        job=job,
        pods=tuple(sorted(mine, key=lambda pod: (index_of(pod), pod.metadata.name))),
        counted=counted,
        active=active,
        terminating=tuple(pod for pod in mine if _is_terminating(pod)),
        noted=noted,
        succeeded=len(completed) if is_indexed(job.spec) else plain,
        failed=job.status.failed + len(uncounted.failed) + len(losses),
        completed=completed,
        given_up=given_up,
        replaceable=_replaceable(failed, active, completed | given_up),
    )


def is_indexed(spec: JobSpec) -> bool:
    """Whether each pod has a number."""
    return spec.completion_mode == "Indexed"


def is_tracked(pod: Pod) -> bool:
    """Whether the pod is not counted yet."""
    return TRACKING in pod.metadata.finalizers


def waits_for_outcome(spec: JobSpec) -> bool:
    """Whether a pod that is being deleted is neither failed nor replaced before it has ended."""
    return spec.pod_replacement_policy == "Failed" or spec.pod_failure_policy is not None


def has_failed(spec: JobSpec, pod: Pod) -> bool:
    """Whether the pod counts as failed; usually one that is being deleted does already."""
    if pod.status.phase == "Failed":
        return True
    return not waits_for_outcome(spec) and _is_terminating(pod)


def index_of(pod: Pod) -> int:
    """The pod's completion index; -1 if it has none."""
    return max(-1, _number(pod, COMPLETION_INDEX, -1))


def has_place(spec: JobSpec, pod: Pod) -> bool:
    """Whether the pod's index is one of the Job's."""
    return not is_indexed(spec) or 0 <= index_of(pod) < (spec.completions or 0)


def index_failures(pod: Pod) -> tuple[int, int]:
    """How often the pod's index had failed before it: counted and ignored ones."""
    return max(0, _number(pod, INDEX_FAILURES)), max(0, _number(pod, INDEX_IGNORED_FAILURES))


def finished_at(pod: Pod) -> str:
    """When the pod ended, as well as it is known. Such texts can be compared."""
    statuses = (*pod.status.init_container_statuses, *pod.status.container_statuses)
    ends = [status.state.terminated for status in statuses if status.state is not None]
    times = [end.finished_at for end in ends if end is not None and end.finished_at]
    ready = pods.condition(pod, "Ready")
    return (
        max(times, default=None)
        or pod.metadata.deletion_timestamp
        or (ready.last_transition_time if ready is not None else None)
        or pod.metadata.creation_timestamp
        or ""
    )


def seconds_since_end(pod: Pod, now: datetime) -> float:
    """How long ago the pod ended."""
    return (now - timestamps.parse(finished_at(pod))).total_seconds()


def _is_terminating(pod: Pod) -> bool:
    return pods.is_terminating(pod) and not pods.is_terminal(pod)


def _known(job: Job, text: str) -> IndexSet:
    return indexset.parse(text, job.spec.completions or 0)


def _gives_up(spec: JobSpec, pod: Pod) -> bool:
    """Whether this failure was one too many for its index."""
    if spec.backoff_limit_per_index is None:
        return False
    action = judge(spec.pod_failure_policy, pod).action
    if action in ("FailIndex", "Ignore"):
        return action == "FailIndex"
    return index_failures(pod)[0] >= spec.backoff_limit_per_index


def _replaceable(failed: Sequence[Pod], active: Sequence[Pod], settled: IndexSet) -> dict[int, Pod]:
    running = {index_of(pod) for pod in active}
    found: dict[int, Pod] = {}
    for pod in sorted(failed, key=lambda pod: (sum(index_failures(pod)), finished_at(pod))):
        if index_of(pod) not in running and index_of(pod) not in settled:
            found[index_of(pod)] = pod  # the last of several carries the highest figures
    return found


def _number(pod: Pod, annotation: str, otherwise: int = 0) -> int:
    """The number of an annotation; users can write what they like there."""
    text = pod.metadata.annotations.get(annotation, "")
    return int(text) if text.isascii() and text.isdecimal() else otherwise
