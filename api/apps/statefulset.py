"""StatefulSet: pods with names and storage of their own, made and replaced in order (group `apps`).

Pod `web-2` is always called so, and always gets the claims that were made for it (walk step 1).
"""

from typing import Annotated

from msgspec import field

from api.core.persistence import PersistentVolumeClaim
from api.core.pod import ConditionStatus, PodTemplateSpec
from api.meta import LabelSelector, ObjectMeta
from api.struct import (
    LIST_ATOMIC,
    ApiStruct,
    Int32,
    Int64,
    IntOrString,
    Time,
    always,
    enum,
    list_map,
    patch,
    pb,
    type_meta,
)

StatefulSetUpdateStrategyType = Annotated[str, enum("RollingUpdate", "OnDelete")]
PersistentVolumeClaimRetentionPolicyType = Annotated[str, enum("Retain", "Delete")]
PodManagementPolicyType = Annotated[str, enum("OrderedReady", "Parallel")]


class RollingUpdateStatefulSetStrategy(ApiStruct, kw_only=True):
    """How far a rolling update goes."""

    partition: Annotated[Int32 | None, pb(1)] = None
    """Pods from this ordinal on are updated, those below keep the old template. Default: 0."""
    max_unavailable: Annotated[IntOrString | None, pb(2)] = None
    """How many pods may be unavailable during the update, as a number or percentage (rounded up).
    Default: 1."""


class StatefulSetUpdateStrategy(ApiStruct, kw_only=True):
    """How old pods are replaced by new ones."""

    type: Annotated[StatefulSetUpdateStrategyType, pb(1)] = ""
    """`RollingUpdate` replaces them from the highest ordinal down; `OnDelete` waits until somebody
    deletes them. Default: RollingUpdate."""
    rolling_update: Annotated[RollingUpdateStatefulSetStrategy | None, pb(2)] = None
    """Bounds of a rolling update."""


class StatefulSetPersistentVolumeClaimRetentionPolicy(ApiStruct, kw_only=True):
    """What becomes of the claims that were made from `volumeClaimTemplates`."""

    when_deleted: Annotated[PersistentVolumeClaimRetentionPolicyType, pb(1)] = ""
    """When the StatefulSet is deleted: `Retain` or `Delete` them. Default: Retain."""
    when_scaled: Annotated[PersistentVolumeClaimRetentionPolicyType, pb(2)] = ""
    """When their pod is no longer wanted: `Retain` or `Delete` them. Default: Retain."""


class StatefulSetOrdinals(ApiStruct, kw_only=True):
    """How the pods are numbered."""

    start: Annotated[Int32, pb(1)]
    """Number of the first pod. Default: 0."""


class StatefulSetSpec(ApiStruct, kw_only=True):
    """Which pods should run, how many, and with which storage."""

    replicas: Annotated[Int32 | None, pb(1)] = None
    """Number of pods. Default: 1."""
    selector: Annotated[LabelSelector | None, pb(2)]
    """Labels by which it knows its pods. Must match the template's and cannot be changed."""
    template: Annotated[PodTemplateSpec, pb(3)]
    """Pattern of the pods; each is named after the StatefulSet and its ordinal. Any change of it
    starts a rollout."""
    volume_claim_templates: Annotated[list[PersistentVolumeClaim], pb(4), LIST_ATOMIC] = []
    """Claims that each pod gets for itself. One replaces the template's volume of the same name."""
    service_name: Annotated[str, pb(5)]
    """The headless Service that gives the pods their names in DNS. Cannot be changed."""
    pod_management_policy: Annotated[PodManagementPolicyType, pb(6)] = ""
    """`OrderedReady` makes one pod after the other, `Parallel` all at once. Default: OrderedReady."""
    update_strategy: Annotated[StatefulSetUpdateStrategy, pb(7)] = field(
        default_factory=StatefulSetUpdateStrategy
    )
    """How old pods are replaced."""
    revision_history_limit: Annotated[Int32 | None, pb(8)] = None
    """How many old states are kept to go back to. Default: 10."""
    min_ready_seconds: Annotated[Int32, pb(9)] = 0
    """Seconds that a pod must have been ready to count as available. Default: 0."""
    persistent_volume_claim_retention_policy: Annotated[
        StatefulSetPersistentVolumeClaimRetentionPolicy | None, pb(10)
    ] = None
    """What becomes of the claims of pods that are gone. Default: they are kept."""
    ordinals: Annotated[StatefulSetOrdinals | None, pb(11)] = None
    """How the pods are numbered. Default: from 0."""


class StatefulSetCondition(ApiStruct, kw_only=True):
    """One aspect of a StatefulSet."""

    type: Annotated[str, pb(1)]
    """Which aspect."""
    status: Annotated[ConditionStatus, pb(2)]
    """`True`, `False` or `Unknown`."""
    last_transition_time: Annotated[Time | None, pb(3)] = None
    """When `status` last changed."""
    reason: Annotated[str, pb(4)] = ""
    """Why, in one word."""
    message: Annotated[str, pb(5)] = ""
    """Why, in a sentence."""


class StatefulSetStatus(ApiStruct, kw_only=True):
    """How far a rollout has got."""

    observed_generation: Annotated[Int64, pb(1)] = 0
    """The `metadata.generation` that the controller has acted on."""
    replicas: Annotated[Int32, pb(2)] = always(0)
    """Pods that exist."""
    ready_replicas: Annotated[Int32, pb(3)] = 0
    """Pods that are ready."""
    current_replicas: Annotated[Int32, pb(4)] = 0
    """Pods of the revision `currentRevision`."""
    updated_replicas: Annotated[Int32, pb(5)] = 0
    """Pods of the revision `updateRevision`."""
    current_revision: Annotated[str, pb(6)] = ""
    """The ControllerRevision of the pods that are not updated yet."""
    update_revision: Annotated[str, pb(7)] = ""
    """The ControllerRevision that pods are updated to."""
    collision_count: Annotated[Int32 | None, pb(9)] = None
    """How often the name of a new ControllerRevision was already taken."""
    conditions: Annotated[
        list[StatefulSetCondition], pb(10), patch("merge", key="type"), list_map("type")
    ] = []
    """Its state."""
    available_replicas: Annotated[Int32, pb(11)] = always(0)
    """Pods that have been ready for `minReadySeconds`."""


class StatefulSet(ApiStruct, kw_only=True):
    """Keeps pods that are not alike: each has a stable name and its own storage, and they start
    and end in order."""

    api_version: str = type_meta("apps/v1")
    """Group and version of this schema: `apps/v1`."""
    kind: str = type_meta("StatefulSet")
    """Name of this schema: `StatefulSet`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[StatefulSetSpec, pb(2)]
    """The wanted state."""
    status: Annotated[StatefulSetStatus, pb(3)] = field(default_factory=StatefulSetStatus)
    """The observed state. Set by the cluster, ignored in other writes."""
