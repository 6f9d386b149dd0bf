"""ReplicaSet: so many pods of one template (group `apps`).

Its controller makes the pods that start the walk, and new ones for those that are lost.
"""

from typing import Annotated

from msgspec import field

from api.core.pod import ConditionStatus, PodTemplateSpec
from api.meta import LabelSelector, ObjectMeta
from api.struct import (
    ApiStruct,
    Int32,
    Int64,
    Time,
    always,
    enum,
    list_map,
    patch,
    pb,
    type_meta,
)

ReplicaSetConditionType = Annotated[str, enum("ReplicaFailure")]


class ReplicaSetSpec(ApiStruct, kw_only=True):
    """Which pods should run, and how many."""

    replicas: Annotated[Int32 | None, pb(1)] = None
    """Number of pods. Default: 1."""
    min_ready_seconds: Annotated[Int32, pb(4)] = 0
    """Seconds that a pod must have been ready to count as available. Default: 0."""
    selector: Annotated[LabelSelector | None, pb(2)]
    """Labels by which it knows its pods. Must match the template's and cannot be changed."""
    template: Annotated[PodTemplateSpec, pb(3)]
    """Pattern of the pods. A change has no effect on pods that exist."""


class ReplicaSetCondition(ApiStruct, kw_only=True):
    """One aspect of a ReplicaSet."""

    type: Annotated[ReplicaSetConditionType, pb(1)]
    """`ReplicaFailure`: pods could not be made or deleted."""
    status: Annotated[ConditionStatus, pb(2)]
    """`True`, `False` or `Unknown`."""
    last_transition_time: Annotated[Time | None, pb(3)] = None
    """When `status` last changed."""
    reason: Annotated[str, pb(4)] = ""
    """Why, in one word."""
    message: Annotated[str, pb(5)] = ""
    """Why, in a sentence."""


class ReplicaSetStatus(ApiStruct, kw_only=True):
    """How many of the pods are there."""

    replicas: Annotated[Int32, pb(1)] = always(0)
    """Pods that exist."""
    fully_labeled_replicas: Annotated[Int32, pb(2)] = 0
    """Pods that have all labels of the template."""
    ready_replicas: Annotated[Int32, pb(4)] = 0
    """Pods that are ready."""
    available_replicas: Annotated[Int32, pb(5)] = 0
    """Pods that have been ready for `minReadySeconds`."""
    terminating_replicas: Annotated[Int32 | None, pb(7)] = None
    """Pods that are being deleted."""
    observed_generation: Annotated[Int64, pb(3)] = 0
    """The `metadata.generation` that the controller has acted on."""
    conditions: Annotated[
        list[ReplicaSetCondition], pb(6), patch("merge", key="type"), list_map("type")
    ] = []
    """Its state."""


class ReplicaSet(ApiStruct, kw_only=True):
    """Keeps a number of equal pods running. Usually made by a Deployment, one for each version of
    its template."""

    api_version: str = type_meta("apps/v1")
    """Group and version of this schema: `apps/v1`."""
    kind: str = type_meta("ReplicaSet")
    """Name of this schema: `ReplicaSet`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[ReplicaSetSpec, pb(2)]
    """The wanted state."""
    status: Annotated[ReplicaSetStatus, pb(3)] = field(default_factory=ReplicaSetStatus)
    """The observed state. Set by the cluster, ignored in other writes."""
