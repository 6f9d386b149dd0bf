"""Which pods of a Job to make and which to end, and what a new one looks like."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from api import objects
from api.batch import Job
from api.core import EnvVar, Pod
from api.core.container import Container, EnvVarSource
from api.core.volume import ObjectFieldSelector
from api.meta import ObjectMeta
from control.controllers.workloads.jobs.failures import delay_after, is_counted
from control.controllers.workloads.jobs.view import (
    COMPLETION_INDEX,
    INDEX_FAILURES,
    INDEX_IGNORED_FAILURES,
    TRACKING,
    View,
    finished_at,
    has_place,
    index_failures,
    index_of,
    is_indexed,
    seconds_since_end,
    waits_for_outcome,
)
from control.controllers.workloads.ranking import deletion_order

MAX_BURST = 500
INDEX_VARIABLE = "JOB_COMPLETION_INDEX"
_NAME_PREFIX = 58  # of a generated name, which has five characters more


@dataclass(frozen=True, slots=True)
class Plan:
    """Pods to make (by index; -1 where there are none) or to end, never both.

    `wait`: seconds until more may be made.
    """

    create: tuple[int, ...] = ()
    dismiss: tuple[Pod, ...] = ()
    wait: float | None = None


def plan(view: View, now: datetime) -> Plan:
    """Compare the pods there are with those there should be."""
    spec, active = view.job.spec, view.active
    if spec.suspend:
        return Plan(dismiss=active)
    wanted = _wanted(view)
    surplus = _surplus(view, max(0, len(active) - wanted), now)
    if surplus:
        return Plan(dismiss=surplus[:MAX_BURST])
    leaving = len(view.terminating) if waits_for_outcome(spec) else 0
    missing = min(wanted - len(active) - leaving, MAX_BURST)
    if missing <= 0:
        return Plan()
    if spec.backoff_limit_per_index is not None:
        return _per_index(view, missing, now)
    wait = seconds_of_backoff(view, now)
    if wait > 0:
        return Plan(wait=wait)
    if is_indexed(spec):
        return Plan(create=tuple(islice(_free_indexes(view), missing)))
    return Plan(create=(-1,) * missing)


def seconds_of_backoff(view: View, now: datetime) -> float:
    """How long to wait because pods have failed one after the other, since one last succeeded.

    It is seen from the pods that are still there: one that was deleted is not waited for.
    """
    ended = (*view.counted, *view.pods)
    failed = [pod for pod in ended if pod.status.phase == "Failed"]
    if not failed:
        return 0.0
    done = (finished_at(pod) for pod in ended if pod.status.phase == "Succeeded")
    last = max(done, default="")
    row = [pod for pod in failed if finished_at(pod) > last]
    if not row:
        return 0.0
    return delay_after(len(row)) - seconds_since_end(max(row, key=finished_at), now)


def pod_for(job: Job, index: int, predecessor: Pod | None) -> Pod:
    """A new pod of the Job. The server completes its name."""
    template = objects.copy(job.spec.template)
    metadata = ObjectMeta(
        generate_name=f"{job.metadata.name}-",
        namespace=job.metadata.namespace,
        labels=template.metadata.labels,
        annotations=template.metadata.annotations,
        finalizers=list(dict.fromkeys((*template.metadata.finalizers, TRACKING))),
        owner_references=[objects.controller_reference(job)],
    )
    pod = Pod(metadata=metadata, spec=template.spec)
    if is_indexed(job.spec):
        _give_index(pod, job, index)
    if job.spec.backoff_limit_per_index is not None:
        metadata.annotations.update(_failures_after(job, predecessor))
    return pod


def _wanted(view: View) -> int:
    """How many pods should be running."""
    spec = view.job.spec
    parallelism = spec.parallelism or 0
    if spec.completions is not None:
        return max(0, min(spec.completions - view.succeeded, parallelism))
    return len(view.active) if view.succeeded else parallelism


def _surplus(view: View, at_least: int, now: datetime) -> tuple[Pod, ...]:
    """Pods without a place, all but one of each index, and as many more as there are too many."""
    if not at_least and not is_indexed(view.job.spec):
        return ()
    rest = deletion_order(view.active, now)
    if is_indexed(view.job.spec):
        # The last in the order is furthest along: of several with one index it is the one to stay.
        kept = {index_of(pod): pod.metadata.uid for pod in rest if has_place(view.job.spec, pod)}
        surplus = [pod for pod in rest if kept.get(index_of(pod)) != pod.metadata.uid]
        rest = [pod for pod in rest if kept.get(index_of(pod)) == pod.metadata.uid]
    else:
        surplus = []
    return (*surplus, *rest[: max(0, at_least - len(surplus))])


def _free_indexes(view: View) -> Iterator[int]:
    """Indexes that nobody works on and that are neither done nor given up."""
    busy: Sequence[Pod] = view.active
    if waits_for_outcome(view.job.spec):
        busy = (*busy, *view.terminating)
    indexes = (index_of(pod) for pod in busy)
    taken = (view.completed | view.given_up).with_(index for index in indexes if index >= 0)
    return taken.missing(view.job.spec.completions or 0)


def _per_index(view: View, missing: int, now: datetime) -> Plan:
    """Each index waits for itself."""
    due: list[int] = []
    waits: list[float] = []
    for index in _free_indexes(view):
        if len(due) == missing:
            break
        failed = view.replaceable.get(index)
        wait = 0.0
        if failed is not None:
            delay = delay_after(sum(index_failures(failed)) + 1)
            wait = delay - seconds_since_end(failed, now)
        if wait <= 0:
            due.append(index)
        else:
            waits.append(wait)
    return Plan(create=tuple(due), wait=min(waits, default=None))


def _give_index(pod: Pod, job: Job, index: int) -> None:
    suffix = f"-{index}-"
    pod.metadata.generate_name = job.metadata.name[: _NAME_PREFIX - len(suffix)] + suffix
    pod.metadata.annotations[COMPLETION_INDEX] = str(index)
    pod.metadata.labels[COMPLETION_INDEX] = str(index)
    pod.spec.hostname = f"{job.metadata.name}-{index}"
    for container in (*pod.spec.init_containers, *pod.spec.containers):
        _give_variable(container)


def _give_variable(container: Container) -> None:
    if all(variable.name != INDEX_VARIABLE for variable in container.env):
        path = f"metadata.labels['{COMPLETION_INDEX}']"
        source = EnvVarSource(field_ref=ObjectFieldSelector(api_version="v1", field_path=path))
        container.env.append(EnvVar(name=INDEX_VARIABLE, value_from=source))


def _failures_after(job: Job, predecessor: Pod | None) -> dict[str, str]:
    """How often the index has failed, for the pod that tries next."""
    if predecessor is None:
        return {INDEX_FAILURES: "0"}
    counted, ignored = index_failures(predecessor)
    if is_counted(job.spec.pod_failure_policy, predecessor):
        counted += 1
    else:
        ignored += 1
    found = {INDEX_FAILURES: str(counted)}
    return {**found, INDEX_IGNORED_FAILURES: str(ignored)} if ignored else found
