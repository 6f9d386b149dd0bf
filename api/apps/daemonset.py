"""DaemonSet: one pod on each node that is fit for it (group `apps`).

Its controller makes pods that already say on which node they belong (walk steps 1 and 2).
"""

from typing import Annotated

from msgspec import field

from api.core.pod import ConditionStatus, PodTemplateSpec
from api.meta import LabelSelector, ObjectMeta
from api.struct import (
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

DaemonSetUpdateStrategyType = Annotated[str, enum("RollingUpdate", "OnDelete")]


class RollingUpdateDaemonSet(ApiStruct, kw_only=True):
    """How far a rolling update may go at a time. One of the values is zero, the other is not."""

    max_unavailable: Annotated[IntOrString | None, pb(1)] = None
    """How many nodes may be without an available pod, as a number or percentage (rounded up).
    Default: 1."""
    max_surge: Annotated[IntOrString | None, pb(2)] = None
    """How many nodes may have an old and a new pod at once, as a number or percentage (rounded
    up). Default: 0."""


class DaemonSetUpdateStrategy(ApiStruct, kw_only=True):
    """How old pods are replaced by new ones."""

    type: Annotated[DaemonSetUpdateStrategyType, pb(1)] = ""
    """`RollingUpdate` replaces them little by little; `OnDelete` waits until somebody deletes
    them. Default: RollingUpdate."""
    rolling_update: Annotated[RollingUpdateDaemonSet | None, pb(2)] = None
    """Bounds of a rolling update."""


class DaemonSetSpec(ApiStruct, kw_only=True):
    """Which pods should run on the nodes, and how they are replaced."""

    selector: Annotated[LabelSelector | None, pb(1)]
    """Labels by which it knows its pods. Must match the template's and cannot be changed."""
    template: Annotated[PodTemplateSpec, pb(2)]
    """Pattern of the pods. One runs on each node that its node selector and affinity allow. Any
    change of it starts a rollout."""
    update_strategy: Annotated[DaemonSetUpdateStrategy, pb(3)] = field(
        default_factory=DaemonSetUpdateStrategy
    )
    """How old pods are replaced."""
    min_ready_seconds: Annotated[Int32, pb(4)] = 0
    """Seconds that a pod must have been ready to count as available. Default: 0."""
    revision_history_limit: Annotated[Int32 | None, pb(6)] = None
    """How many old states are kept to go back to. Default: 10."""


class DaemonSetCondition(ApiStruct, kw_only=True):
    """One aspect of a DaemonSet."""

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


class DaemonSetStatus(ApiStruct, kw_only=True):
    """On how many nodes its pods run."""

    current_number_scheduled: Annotated[Int32, pb(1)] = always(0)
    """Nodes that have a pod and should have one."""
    number_misscheduled: Annotated[Int32, pb(2)] = always(0)
    """Nodes that have a pod and should not."""
    desired_number_scheduled: Annotated[Int32, pb(3)] = always(0)
    """Nodes that should have a pod."""
    number_ready: Annotated[Int32, pb(4)] = always(0)
    """Nodes that should have a pod and have a ready one."""
    observed_generation: Annotated[Int64, pb(5)] = 0
    """The `metadata.generation` that the controller has acted on."""
    updated_number_scheduled: Annotated[Int32, pb(6)] = 0
    """Nodes whose pod follows the current template."""
    number_available: Annotated[Int32, pb(7)] = 0
    """Nodes whose pod has been ready for `minReadySeconds`."""
    number_unavailable: Annotated[Int32, pb(8)] = 0
    """Nodes that should have an available pod and do not."""
    collision_count: Annotated[Int32 | None, pb(9)] = None
    """How often the name of a new ControllerRevision was already taken."""
    conditions: Annotated[
        list[DaemonSetCondition], pb(10), patch("merge", key="type"), list_map("type")
    ] = []
    """Its state."""


class DaemonSet(ApiStruct, kw_only=True):
    """Runs a copy of a pod on each node, or on each node of a kind."""

    api_version: str = type_meta("apps/v1")
    """Group and version of this schema: `apps/v1`."""
    kind: str = type_meta("DaemonSet")
    """Name of this schema: `DaemonSet`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[DaemonSetSpec, pb(2)]
    """The wanted state."""
    status: Annotated[DaemonSetStatus, pb(3)] = field(default_factory=DaemonSetStatus)
    """The observed state. Set by the cluster, ignored in other writes."""
