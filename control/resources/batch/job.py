"""Job: pods that run until so many of them have succeeded. Walk step 1."""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from api import timestamps, validation
from api.batch import Job, JobSpec
from api.core import Affinity, PodTemplateSpec
from api.fielderrors import FieldError, Path, invalid, required
from api.meta import LabelSelector
from api.scheme import resource_of
from api.selectors import from_label_selector
from control.resources.apps.replicaset import container_images, container_names
from control.resources.batch.jobspec import default_job_spec, is_indexed, job_spec_errors
from control.resources.batch.jobstatus import holds, status_errors
from control.resources.checks import check_immutable, check_selector
from control.resources.columns import AGE, format_selector, human_duration, since
from control.resources.strategy import Column, Strategy

CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
JOB_NAME = "batch.kubernetes.io/job-name"
OLD_CONTROLLER_UID = "controller-uid"
OLD_JOB_NAME = "job-name"

_STATES = (
    ("Complete", "Complete"),
    ("Failed", "Failed"),
    ("", "Terminating"),
    ("Suspended", "Suspended"),
    ("FailureTarget", "FailureTarget"),
    ("SuccessCriteriaMet", "SuccessCriteriaMet"),
)


class JobStrategy(Strategy[Job]):
    """Its selector is made from its UID, unless it says otherwise; its template never changes."""

    orphans_by_default = (
        "child pods are preserved by default when jobs are deleted; set "
        "propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress "
        "this warning"
    )

    columns = (
        Column("Status", "string", lambda job, now: state(job)),
        Column("Completions", "string", lambda job, now: _completions(job)),
        Column("Duration", "string", lambda job, now: _duration(job, now)),
        AGE,
        Column(
            "Containers",
            "string",
            lambda job, now: container_names(job.spec.template.spec),
            priority=1,
        ),
        Column(
            "Images",
            "string",
            lambda job, now: container_images(job.spec.template.spec),
            priority=1,
        ),
        Column(
            "Selector", "string", lambda job, now: format_selector(job.spec.selector), priority=1
        ),
    )

    def default(self, obj: Job) -> None:
        default_job_spec(obj.spec)
        if not obj.metadata.labels:  # those of the template, with what is added to them below
            obj.metadata.labels = obj.spec.template.metadata.labels

    def prepare_create(self, obj: Job) -> None:
        super().prepare_create(obj)
        shared = obj.metadata.labels is obj.spec.template.metadata.labels
        if not obj.spec.manual_selector:
            _generate_selector(obj)
        if shared:
            obj.metadata.labels = dict(obj.spec.template.metadata.labels)

    def validate(self, obj: Job) -> list[FieldError]:
        return [
            *_generated_errors(obj),
            *job_spec_errors(obj.spec, Path("spec")),
            *_selector_errors(obj.spec, Path("spec")),
            *_hostname_errors(obj),
        ]

    def validate_update(self, new: Job, old: Job) -> list[FieldError]:
        path = Path("spec")
        return [
            *self.validate(new),
            *_completions_errors(new.spec, old.spec, path.child("completions")),
            *_template_errors(new, old, path.child("template")),
            *(
                error
                for name, mine, theirs in (
                    ("selector", new.spec.selector, old.spec.selector),
                    ("completionMode", new.spec.completion_mode, old.spec.completion_mode),
                    ("podFailurePolicy", new.spec.pod_failure_policy, old.spec.pod_failure_policy),
                    (
                        "backoffLimitPerIndex",
                        new.spec.backoff_limit_per_index,
                        old.spec.backoff_limit_per_index,
                    ),
                    ("managedBy", new.spec.managed_by, old.spec.managed_by),
                    ("successPolicy", new.spec.success_policy, old.spec.success_policy),
                )
                for error in check_immutable(path.child(name), mine, theirs)
            ),
        ]

    def validate_subresource(self, subresource: str, new: Job, old: Job) -> list[FieldError]:
        return list(status_errors(new, old))

    def warnings(self, obj: Job) -> list[str]:
        told = super().warnings(obj)
        wrong = validation.dns1123_label(obj.metadata.name)
        if wrong:
            told.append(
                "metadata.name: this is used in Pod names and hostnames, which can result in "
                f"surprising behavior; a DNS label is recommended: [{' '.join(wrong)}]"
            )
        return told

    def fields(self, obj: Job) -> dict[str, str]:
        return {"status.successful": str(obj.status.succeeded)}

    def selectable_fields(self) -> frozenset[str]:
        return super().selectable_fields() | {"status.successful"}


def state(job: Job) -> str:
    """The word for where the Job is."""
    for condition, word in _STATES:
        if holds(job, condition) if condition else job.metadata.deletion_timestamp:
            return word
    return "Running"


def _completions(job: Job) -> str:
    if job.spec.completions is not None:
        return f"{job.status.succeeded}/{job.spec.completions}"
    parallelism = job.spec.parallelism or 0
    return f"{job.status.succeeded}/1" + (f" of {parallelism}" if parallelism > 1 else "")


def _duration(job: Job, now: datetime) -> str:
    if not job.status.start_time:
        return ""
    if not job.status.completion_time:
        return since(job.status.start_time, now)
    ended, began = map(timestamps.parse, (job.status.completion_time, job.status.start_time))
    return human_duration((ended - began).total_seconds())


def _generate_selector(job: Job) -> None:
    """Labels that no other Job's pods have. What the user chose is kept, and refused later."""
    labels, metadata = job.spec.template.metadata.labels, job.metadata
    for key, value in (
        (CONTROLLER_UID, metadata.uid),
        (OLD_CONTROLLER_UID, metadata.uid),
        (JOB_NAME, metadata.name),
        (OLD_JOB_NAME, metadata.name),
    ):
        labels.setdefault(key, value)
    if job.spec.selector is None:
        job.spec.selector = LabelSelector()
    job.spec.selector.match_labels.setdefault(CONTROLLER_UID, metadata.uid)


def _generated_errors(job: Job) -> Iterator[FieldError]:
    """Made selectors belong to this very Job, whatever labels the template had before."""
    if job.spec.manual_selector or job.spec.selector is None:
        return
    labels = job.spec.template.metadata.labels
    where = Path("spec").child("template", "metadata", "labels")
    expected = {
        CONTROLLER_UID: job.metadata.uid,
        JOB_NAME: job.metadata.name,
        OLD_CONTROLLER_UID: job.metadata.uid,
        OLD_JOB_NAME: job.metadata.name,
    }
    for key, value in expected.items():
        if key not in labels:
            yield required(where.key(key), f"must be '{value}'")
        elif labels[key] != value:
            yield invalid(where.key(key), labels, f"must be '{value}'")
    path = Path("spec").child("selector")
    sound = not list(check_selector(path, job.spec.selector))  # else that is said already
    if sound and not from_label_selector(job.spec.selector).matches(expected):
        yield invalid(path, job.spec.selector, "`selector` not auto-generated")


def _selector_errors(spec: JobSpec, path: Path) -> Iterator[FieldError]:
    where = path.child("selector")
    if spec.selector is None:
        yield required(where, "")
        return
    errors = list(check_selector(where, spec.selector))
    yield from errors
    labels = spec.template.metadata.labels
    if not errors and not from_label_selector(spec.selector).matches(labels):
        words = "`selector` does not match template `labels`"
        yield invalid(path.child("template", "metadata", "labels"), labels, words)


def _hostname_errors(job: Job) -> Iterator[FieldError]:
    """Pods of an Indexed Job are called after it and their index; the longest must be a name."""
    if is_indexed(job.spec) and job.spec.completions:
        longest = f"{job.metadata.name}-{job.spec.completions - 1}"
        if validation.dns1123_label(longest):
            words = f"will not able to create pod with invalid DNS label: {longest}"
            yield invalid(Path("metadata").child("name"), job.metadata.name, words)


def _completions_errors(new: JobSpec, old: JobSpec, path: Path) -> Iterator[FieldError]:
    """An Indexed Job can grow and shrink, if all its indexes may run at a time before and after."""
    if not is_indexed(new):
        yield from check_immutable(path, new.completions, old.completions)
    elif new.completions not in (None, old.completions, new.parallelism):
        words = "can only be modified in tandem with spec.parallelism"
        yield invalid(path, new.completions, words)


def _template_errors(new: Job, old: Job, path: Path) -> Iterator[FieldError]:
    mine, theirs = new.spec.template, old.spec.template
    if old.spec.suspend and not old.status.start_time:
        theirs = _placed_as(theirs, mine)
    yield from check_immutable(path, mine, theirs)


def _placed_as(old: PodTemplateSpec, new: PodTemplateSpec) -> PodTemplateSpec:
    """`old` with what may change of a Job that never ran, so that queues can say where it will."""
    metadata = msgspec.structs.replace(
        old.metadata, labels=new.metadata.labels, annotations=new.metadata.annotations
    )
    spec = msgspec.structs.replace(
        old.spec,
        affinity=_with_nodes_of(old.spec.affinity, new.spec.affinity),
        node_selector=new.spec.node_selector,
        tolerations=new.spec.tolerations,
        scheduling_gates=new.spec.scheduling_gates,
    )
    return msgspec.structs.replace(old, metadata=metadata, spec=spec)


def _with_nodes_of(old: Affinity | None, new: Affinity | None) -> Affinity | None:
    changed = msgspec.structs.replace(
        old or Affinity(), node_affinity=new.node_affinity if new is not None else None
    )
    return None if new is None and changed == Affinity() else changed


STRATEGY = JobStrategy(resource_of(Job))
