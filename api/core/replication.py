"""ReplicationController: so many pods of one template, chosen by plain labels (core group).

The ReplicaSet's elder sibling, followed by the same controller (walk step 1).
"""

from typing import Annotated

from msgspec import field

from api.core.pod import ConditionStatus, PodTemplateSpec
from api.meta import ObjectMeta
from api.struct import (
    ATOMIC,
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

ReplicationControllerConditionType = Annotated[str, enum("ReplicaFailure")]


class ReplicationControllerSpec(ApiStruct, kw_only=True):
    """Which pods should run, and how many."""

    replicas: Annotated[Int32 | None, pb(1)] = None
    """Number of pods. Default: 1."""
    min_ready_seconds: Annotated[Int32, pb(4)] = 0
    """Seconds that a pod must have been ready to count as available. Default: 0."""
    selector: Annotated[dict[str, str], pb(2), ATOMIC] = {}
    """Labels by which it knows its pods. Must match the template's. Default: the template's
    labels."""
    template: Annotated[PodTemplateSpec | None, pb(3)] = None
    """Pattern of the pods. A change has no effect on pods that exist."""


class ReplicationControllerCondition(ApiStruct, kw_only=True):
    """One aspect of a ReplicationController."""

    type: Annotated[ReplicationControllerConditionType, pb(1)]
    """`ReplicaFailure`: pods could not be made or deleted."""
    status: Annotated[ConditionStatus, pb(2)]
    """`True`, `False` or `Unknown`."""
    last_transition_time: Annotated[Time | None, pb(3)] = None
    """When `status` last changed."""
    reason: Annotated[str, pb(4)] = ""
    """Why, in one word."""
    message: Annotated[str, pb(5)] = ""
    """Why, in a sentence."""


class ReplicationControllerStatus(ApiStruct, kw_only=True):
    """How many of the pods are there."""

    replicas: Annotated[Int32, pb(1)] = always(0)
    """Pods that exist."""
    fully_labeled_replicas: Annotated[Int32, pb(2)] = 0
    """Pods that have all labels of the template."""
    ready_replicas: Annotated[Int32, pb(4)] = 0
    """Pods that are ready."""
    available_replicas: Annotated[Int32, pb(5)] = 0
    """Pods that have been ready for `minReadySeconds`."""
    observed_generation: Annotated[Int64, pb(3)] = 0
    """The `metadata.generation` that the controller has acted on."""
    conditions: Annotated[
        list[ReplicationControllerCondition], pb(6), patch("merge", key="type"), list_map("type")
    ] = []
    """Its state."""


class ReplicationController(ApiStruct, kw_only=True):
    """Keeps a number of equal pods running. A Deployment does the same and replaces them step by
    step, too."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("ReplicationController")
    """Name of this schema: `ReplicationController`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[ReplicationControllerSpec, pb(2)] = field(
        default_factory=ReplicationControllerSpec
    )
    """The wanted state."""
    status: Annotated[ReplicationControllerStatus, pb(3)] = field(
        default_factory=ReplicationControllerStatus
    )
    """The observed state. Set by the cluster, ignored in other writes."""
