"""Work that ends: Job and CronJob (group `batch`).

Their controllers make the pods that start the walk, until enough of them have succeeded.
"""

from typing import Annotated

from msgspec import field

from api.core.pod import ConditionStatus, PodConditionType, PodTemplateSpec
from api.core.references import ObjectReference
from api.meta import LabelSelector, ObjectMeta
from api.struct import (
    LIST_ATOMIC,
    LIST_SET,
    ApiStruct,
    Int32,
    Int64,
    Time,
    enum,
    patch,
    pb,
    type_meta,
)

PodFailurePolicyOnExitCodesOperator = Annotated[str, enum("In", "NotIn")]
PodFailurePolicyAction = Annotated[str, enum("FailJob", "FailIndex", "Ignore", "Count")]
CompletionMode = Annotated[str, enum("NonIndexed", "Indexed")]
PodReplacementPolicy = Annotated[str, enum("TerminatingOrFailed", "Failed")]
JobConditionType = Annotated[
    str, enum("Suspended", "Complete", "Failed", "FailureTarget", "SuccessCriteriaMet")
]
ConcurrencyPolicy = Annotated[str, enum("Allow", "Forbid", "Replace")]


class PodFailurePolicyOnExitCodesRequirement(ApiStruct, kw_only=True):
    """Which exit codes of a failed pod's containers a rule is about."""

    container_name: Annotated[str | None, pb(1)] = None
    """The container, or init container, whose code counts. Any of them if nothing is said."""
    operator: Annotated[PodFailurePolicyOnExitCodesOperator, pb(2)]
    """`In`: one of the values; `NotIn`: none of them. A code of 0 never matches."""
    values: Annotated[list[Int32], pb(3), LIST_SET]
    """The codes, in ascending order, at most 255 of them. 0 is not possible with `In`."""


class PodFailurePolicyOnPodConditionsPattern(ApiStruct, kw_only=True):
    """A condition of a failed pod that a rule is about."""

    type: Annotated[PodConditionType, pb(1)]
    """The condition's type, such as `DisruptionTarget`."""
    status: Annotated[ConditionStatus, pb(2)]
    """The status that it must have. Default: True."""


class PodFailurePolicyRule(ApiStruct, kw_only=True):
    """What to do about a pod that failed in a certain way."""

    action: Annotated[PodFailurePolicyAction, pb(1)]
    """`FailJob` ends the Job, `FailIndex` gives up the pod's index, `Ignore` makes a new pod and
    does not count the failure, `Count` counts it as if there was no rule."""
    on_exit_codes: Annotated[PodFailurePolicyOnExitCodesRequirement | None, pb(2)] = None
    """Exit codes that the rule is about."""
    on_pod_conditions: Annotated[
        list[PodFailurePolicyOnPodConditionsPattern], pb(3), LIST_ATOMIC
    ] = []
    """Conditions of the pod that the rule is about, of which one must be there. At most 20."""


class PodFailurePolicy(ApiStruct, kw_only=True):
    """What becomes of the Job when pods fail in ways that one knows about."""

    rules: Annotated[list[PodFailurePolicyRule], pb(1), LIST_ATOMIC]
    """Tried in order; the first that matches decides. If none does, the failure counts. At most
    20."""


class SuccessPolicyRule(ApiStruct, kw_only=True):
    """Indexes that are enough for the Job to have succeeded."""

    succeeded_indexes: Annotated[str | None, pb(1)] = None
    """Indexes that must have succeeded, as numbers and ranges: `1,3-5,7`."""
    succeeded_count: Annotated[Int32 | None, pb(2)] = None
    """How many indexes must have succeeded, of `succeededIndexes` where they are given."""


class SuccessPolicy(ApiStruct, kw_only=True):
    """When an Indexed Job has succeeded although not all indexes have."""

    rules: Annotated[list[SuccessPolicyRule], pb(1), LIST_ATOMIC]
    """Tried in order; the first that is met ends the Job. At most 20."""


class JobSpec(ApiStruct, kw_only=True):
    """What pods to run, how many at a time, and when it is enough."""

    parallelism: Annotated[Int32 | None, pb(1)] = None
    """How many pods may run at a time. Default: 1."""
    completions: Annotated[Int32 | None, pb(2)] = None
    """How many pods must succeed. If it is left out and `parallelism` is given, the success of any
    pod ends the Job. Default: 1 if both are left out."""
    active_deadline_seconds: Annotated[Int64 | None, pb(3)] = None
    """Seconds, from its start or resumption, after which a Job that still runs fails."""
    pod_failure_policy: Annotated[PodFailurePolicy | None, pb(11)] = None
    """What is done about pods that fail in known ways. Needs a `restartPolicy` of Never. If
    nothing is said, each failure counts against `backoffLimit`."""
    success_policy: Annotated[SuccessPolicy | None, pb(16)] = None
    """When an Indexed Job counts as succeeded before all indexes have. If nothing is said, it
    needs all of them."""
    backoff_limit: Annotated[Int32 | None, pb(7)] = None
    """How many pods may fail before the Job does. Default: 6, or 2147483647 with
    `backoffLimitPerIndex`."""
    backoff_limit_per_index: Annotated[Int32 | None, pb(12)] = None
    """How many pods of one index may fail before that index is given up. Only with the completion
    mode Indexed and a `restartPolicy` of Never. Cannot be changed."""
    max_failed_indexes: Annotated[Int32 | None, pb(13)] = None
    """How many indexes may be given up before the Job fails. If nothing is said, the others are
    run to their ends."""
    selector: Annotated[LabelSelector | None, pb(4)] = None
    """Labels by which it knows its pods. Usually left out: a unique one is made."""
    manual_selector: Annotated[bool | None, pb(5)] = None
    """Take `selector` and the template's labels as they are given, and make none. To be unique is
    then up to you. Default: false."""
    template: Annotated[PodTemplateSpec, pb(6)]
    """Pattern of the pods. Its `restartPolicy` must be `Never` or `OnFailure`."""
    ttl_seconds_after_finished: Annotated[Int32 | None, pb(8)] = None
    """Seconds after its end until the Job is deleted together with its pods. If nothing is said,
    it stays."""
    completion_mode: Annotated[CompletionMode | None, pb(9)] = None
    """`NonIndexed`: pods are alike, and enough of them must succeed. `Indexed`: each pod has a
    number from 0 to `completions` - 1, and one of each number must succeed. Default:
    NonIndexed."""
    suspend: Annotated[bool | None, pb(10)] = None
    """Run no pods and end those that run. Starting again resets `status.startTime`. Default:
    false."""
    pod_replacement_policy: Annotated[PodReplacementPolicy | None, pb(14)] = None
    """When a pod is replaced: `TerminatingOrFailed`, as soon as its deletion has begun, or
    `Failed`, once it has ended. Default: TerminatingOrFailed; with a `podFailurePolicy` only
    Failed is possible."""
    managed_by: Annotated[str | None, pb(15)] = None
    """Which controller looks after the Job. The one built in does where nothing or
    `kubernetes.io/job-controller` is said. Cannot be changed."""


class JobCondition(ApiStruct, kw_only=True):
    """One aspect of a Job."""

    type: Annotated[JobConditionType, pb(1)]
    """`Complete` and `Failed` are its ends, `SuccessCriteriaMet` and `FailureTarget` say that it
    is bound for them, `Suspended` that it is held back."""
    status: Annotated[ConditionStatus, pb(2)]
    """`True`, `False` or `Unknown`."""
    last_probe_time: Annotated[Time | None, pb(3)] = None
    """When it was last looked at."""
    last_transition_time: Annotated[Time | None, pb(4)] = None
    """When `status` last changed."""
    reason: Annotated[str, pb(5)] = ""
    """Why, in one word."""
    message: Annotated[str, pb(6)] = ""
    """Why, in a sentence."""


class UncountedTerminatedPods(ApiStruct, kw_only=True):
    """Pods that have ended and are not yet in the Job's figures: they are written down here, then
    let go, then counted."""

    succeeded: Annotated[list[str], pb(1), LIST_SET] = []
    """UIDs of those that succeeded."""
    failed: Annotated[list[str], pb(2), LIST_SET] = []
    """UIDs of those that failed."""


class JobStatus(ApiStruct, kw_only=True):
    """How far a Job has got."""

    conditions: Annotated[list[JobCondition], pb(1), patch("merge", key="type"), LIST_ATOMIC] = []
    """Its state."""
    start_time: Annotated[Time | None, pb(2)] = None
    """When the Job was first looked after, or last resumed."""
    completion_time: Annotated[Time | None, pb(3)] = None
    """When it was found to be complete. Not set on Jobs that fail."""
    active: Annotated[Int32, pb(4)] = 0
    """Pods that are pending or running and not being deleted."""
    succeeded: Annotated[Int32, pb(5)] = 0
    """Pods that have succeeded."""
    failed: Annotated[Int32, pb(6)] = 0
    """Pods that have failed."""
    terminating: Annotated[Int32 | None, pb(11)] = None
    """Pods that are being deleted and have not ended yet."""
    completed_indexes: Annotated[str, pb(7)] = ""
    """Indexes that have succeeded, as numbers and ranges: `1,3-5,7`."""
    failed_indexes: Annotated[str | None, pb(10)] = None
    """Indexes that were given up, as numbers and ranges. Only with `backoffLimitPerIndex`."""
    uncounted_terminated_pods: Annotated[UncountedTerminatedPods | None, pb(8)] = None
    """Pods that have ended but are not in the figures yet."""
    ready: Annotated[Int32 | None, pb(9)] = None
    """Active pods that are ready."""


class Job(ApiStruct, kw_only=True):
    """Runs pods until so many of them have succeeded, and makes new ones for those that fail."""

    api_version: str = type_meta("batch/v1")
    """Group and version of this schema: `batch/v1`."""
    kind: str = type_meta("Job")
    """Name of this schema: `Job`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[JobSpec, pb(2)]
    """The wanted state."""
    status: Annotated[JobStatus, pb(3)] = field(default_factory=JobStatus)
    """The observed state. Set by the cluster, ignored in other writes."""


class JobTemplateSpec(ApiStruct, kw_only=True):
    """Pattern of a Job."""

    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Labels and annotations of the Jobs."""
    spec: Annotated[JobSpec, pb(2)]
    """The wanted state."""


class CronJobSpec(ApiStruct, kw_only=True):
    """Which Jobs to make, and when."""

    schedule: Annotated[str, pb(1)]
    """When, in the format of cron: minute, hour, day of month, month, day of week; or `@hourly`,
    `@daily` and the like."""
    time_zone: Annotated[str | None, pb(8)] = None
    """Time zone of the schedule, such as `Europe/Berlin`. If nothing is said, that of the control
    plane."""
    starting_deadline_seconds: Annotated[Int64 | None, pb(2)] = None
    """How late, in seconds, a Job that missed its time may still be made. Any time if nothing is
    said."""
    concurrency_policy: Annotated[ConcurrencyPolicy, pb(3)] = ""
    """What happens if the last Job still runs when the next is due: `Allow` both, `Forbid` the new
    one, or `Replace` the old one. Default: Allow."""
    suspend: Annotated[bool | None, pb(4)] = None
    """Make no further Jobs; those that run are left alone. Default: false."""
    job_template: Annotated[JobTemplateSpec, pb(5)]
    """Pattern of the Jobs."""
    successful_jobs_history_limit: Annotated[Int32 | None, pb(6)] = None
    """How many Jobs that succeeded are kept. Default: 3."""
    failed_jobs_history_limit: Annotated[Int32 | None, pb(7)] = None
    """How many Jobs that failed are kept. Default: 1."""


class CronJobStatus(ApiStruct, kw_only=True):
    """What became of the schedule."""

    active: Annotated[list[ObjectReference], pb(1), LIST_ATOMIC] = []
    """Jobs that are running."""
    last_schedule_time: Annotated[Time | None, pb(4)] = None
    """For which time of the schedule a Job was last made."""
    last_successful_time: Annotated[Time | None, pb(5)] = None
    """When a Job last succeeded."""


class CronJob(ApiStruct, kw_only=True):
    """Makes a Job at each time of a schedule."""

    api_version: str = type_meta("batch/v1")
    """Group and version of this schema: `batch/v1`."""
    kind: str = type_meta("CronJob")
    """Name of this schema: `CronJob`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[CronJobSpec, pb(2)]
    """The wanted state."""
    status: Annotated[CronJobStatus, pb(3)] = field(default_factory=CronJobStatus)
    """The observed state. Set by the cluster, ignored in other writes."""
