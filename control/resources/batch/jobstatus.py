"""What the status of a Job may say: figures that add up, and ends that stay ends. Walk step 1.

Whoever looks after a Job (`spec.managedBy`) is held to these rules of the API reference, so that
everybody who waits for the Job can rely on them.
"""

from collections.abc import Iterator

from api import conditions, indexset, timestamps
from api.batch import Job, JobStatus
from api.fielderrors import ErrorKind, FieldError, Path, duplicate, invalid, required
from control.resources.batch.jobspec import is_indexed
from control.resources.checks import check_non_negative

_ENDS = ("Failed", "Complete", "FailureTarget", "SuccessCriteriaMet")
_NOT_TOGETHER = (
    ("Complete", "Failed"),
    ("Complete", "FailureTarget"),
    ("SuccessCriteriaMet", "Failed"),
    ("SuccessCriteriaMet", "FailureTarget"),
)
_FIRST = (("Failed", "FailureTarget"), ("Complete", "SuccessCriteriaMet"))
"""Each end is announced by another condition, while pods are still being let go."""


def holds(job: Job, type_: str) -> bool:
    """Whether the Job reports this condition as true."""
    return conditions.is_true(job.status.conditions, type_)


def is_finished(job: Job) -> bool:
    """Whether it has come to its end, good or bad."""
    return holds(job, "Complete") or holds(job, "Failed")


def status_errors(new: Job, old: Job) -> Iterator[FieldError]:
    """Every error of the change of a status."""
    path, status = Path("status"), new.status
    for name, value in (
        ("active", status.active),
        ("succeeded", status.succeeded),
        ("failed", status.failed),
        ("ready", status.ready),
        ("terminating", status.terminating),
    ):
        yield from check_non_negative(path.child(name), value)
    yield from _uncounted_errors(status, path.child("uncountedTerminatedPods"))
    if status.ready is not None and status.ready > status.active:
        yield invalid(path.child("ready"), status.ready, "cannot set more ready pods than active")
    yield from _condition_errors(new, old, path.child("conditions"))
    yield from _time_errors(new, old, path)
    yield from _index_errors(new, path)
    if is_finished(new):
        yield from _finished_errors(status, path)
    for name, now, before in (
        ("failed", status.failed, old.status.failed),
        ("succeeded", status.succeeded, old.status.succeeded),
    ):
        elastic = name == "succeeded" and is_indexed(new.spec)  # fewer indexes, fewer successes
        if now < before and not elastic:
            yield invalid(path.child(name), now, f"cannot decrease the {name} counter")


def _uncounted_errors(status: JobStatus, path: Path) -> Iterator[FieldError]:
    if status.uncounted_terminated_pods is None:
        return
    seen: set[str] = set()
    for name in ("succeeded", "failed"):
        for number, uid in enumerate(getattr(status.uncounted_terminated_pods, name)):
            where = path.child(name).index(number)
            if not uid:
                yield invalid(where, uid, "must not be empty")
            elif uid in seen:
                yield duplicate(where, uid)
            seen.add(uid)


def _condition_errors(new: Job, old: Job, path: Path) -> Iterator[FieldError]:
    for one, other in _NOT_TOGETHER:
        if holds(new, one) and holds(new, other):
            shown = "Failed=true" if other == "Failed" else f"{other}=true"
            yield _invalid(path, f"cannot set {one}=True and {shown} conditions")
    for end, first in _FIRST:
        if holds(new, end) and not holds(new, first):
            words = f"cannot set {end}=True condition without the {first}=true condition"
            yield _invalid(path, words)
    for type_ in _ENDS:
        if holds(old, type_) and not holds(new, type_):
            what = "" if type_ == "SuccessCriteriaMet" else "terminal "
            yield _invalid(path, f"cannot disable the {what}{type_}=True condition")


def _time_errors(new: Job, old: Job, path: Path) -> Iterator[FieldError]:
    started, completed = new.status.start_time, new.status.completion_time
    where = path.child("completionTime")
    if completed and not holds(new, "Complete"):
        words = "cannot set completionTime when there is no Complete=True condition"
        yield invalid(where, completed, words)
    elif holds(new, "Complete") and not completed:
        yield required(where, "completionTime is required for Complete jobs")
    if started and completed and timestamps.parse(completed) < timestamps.parse(started):
        yield invalid(where, completed, "completionTime cannot be set before startTime")
    if completed and old.status.completion_time and completed != old.status.completion_time:
        yield invalid(where, completed, "completionTime cannot be mutated")
    before = old.status.start_time
    resumed = holds(old, "Suspended")
    if before and started != before and not new.spec.suspend and not resumed:
        yield required(path.child("startTime"), "startTime cannot be removed for unsuspended job")


def _index_errors(new: Job, path: Path) -> Iterator[FieldError]:
    status, completions = new.status, new.spec.completions
    done, where = status.completed_indexes, path.child("completedIndexes")
    if done and not is_indexed(new.spec):
        words = "cannot set non-empty completedIndexes when non-indexed completion mode"
        yield invalid(where, done, words)
    failed = status.failed_indexes
    if failed is not None and new.spec.backoff_limit_per_index is None:
        words = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        yield invalid(path.child("failedIndexes"), failed, words)
    if completions is None or not is_indexed(new.spec):
        return
    sound = True
    for name, text in (("completedIndexes", done), ("failedIndexes", failed or "")):
        try:
            indexset.count(text, completions)
        except ValueError as error:
            sound = False
            yield invalid(path.child(name), text, f"error parsing {name}: {error}")
    if sound and failed:
        both = indexset.parse(done, completions).common(indexset.parse(failed, completions))
        if both:
            words = "failedIndexes and completedIndexes overlap"
            yield invalid(path.child("failedIndexes"), failed, words)


def _finished_errors(status: JobStatus, path: Path) -> Iterator[FieldError]:
    if status.active > 0:
        yield invalid(path.child("active"), status.active, "active>0 is invalid for finished job")
    if not status.start_time:
        yield required(path.child("startTime"), "startTime is required for finished job")
    if status.terminating:
        words = "terminating>0 is invalid for finished job"
        yield invalid(path.child("terminating"), status.terminating, words)
    uncounted = status.uncounted_terminated_pods
    if uncounted is not None and (uncounted.succeeded or uncounted.failed):
        words = "uncountedTerminatedPods needs to be empty for finished job"
        yield invalid(path.child("uncountedTerminatedPods"), uncounted, words)


def _invalid(path: Path, words: str) -> FieldError:
    return FieldError(ErrorKind.INVALID, str(path), f"Invalid value: {words}")
