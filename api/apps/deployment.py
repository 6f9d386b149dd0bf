"""Deployment: equal pods that are replaced step by step when their template changes (group `apps`).

Its controller makes ReplicaSets, which make the pods that start the walk.
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
    enum,
    list_map,
    patch,
    pb,
    type_meta,
)

DeploymentStrategyType = Annotated[str, enum("Recreate", "RollingUpdate")]
DeploymentConditionType = Annotated[str, enum("Available", "Progressing", "ReplicaFailure")]


class RollingUpdateDeployment(ApiStruct, kw_only=True):
    """How far a rolling update may depart from the wanted number of pods. Both values cannot be
    zero."""

    max_unavailable: Annotated[IntOrString | None, pb(1)] = None
    """How many pods may be missing, as a number or percentage (rounded down). Default: 25%."""
    max_surge: Annotated[IntOrString | None, pb(2)] = None
    """How many pods may exist beyond the wanted number, as a number or percentage (rounded up).
    Default: 25%."""


class DeploymentStrategy(ApiStruct, kw_only=True):
    """How old pods are replaced by new ones."""

    type: Annotated[DeploymentStrategyType, pb(1)] = ""
    """`RollingUpdate` replaces them little by little; `Recreate` ends all old ones first. Default:
    RollingUpdate."""
    rolling_update: Annotated[RollingUpdateDeployment | None, pb(2)] = None
    """Bounds of a rolling update."""


class DeploymentSpec(ApiStruct, kw_only=True):
    """Which pods should run, how many, and how they are replaced."""

    replicas: Annotated[Int32 | None, pb(1)] = None
    """Number of pods. Default: 1."""
    selector: Annotated[LabelSelector | None, pb(2)]
    """Labels by which it knows its pods. Must match the template's and cannot be changed."""
    template: Annotated[PodTemplateSpec, pb(3)]
    """Pattern of the pods. Any change of it starts a rollout."""
    strategy: Annotated[DeploymentStrategy, pb(4), patch("retainKeys")] = field(
        default_factory=DeploymentStrategy
    )
    """How old pods are replaced."""
    min_ready_seconds: Annotated[Int32, pb(5)] = 0
    """Seconds that a pod must have been ready to count as available. Default: 0."""
    revision_history_limit: Annotated[Int32 | None, pb(6)] = None
    """How many old ReplicaSets are kept to go back to. Default: 10."""
    paused: Annotated[bool, pb(7)] = False
    """Hold back changes of the template. Default: false."""
    progress_deadline_seconds: Annotated[Int32 | None, pb(9)] = None
    """Seconds without progress after which the rollout is reported as failed. Default: 600."""


class DeploymentCondition(ApiStruct, kw_only=True):
    """One aspect of a rollout."""

    type: Annotated[DeploymentConditionType, pb(1)]
    """`Available`, `Progressing` or `ReplicaFailure`."""
    status: Annotated[ConditionStatus, pb(2)]
    """`True`, `False` or `Unknown`."""
    last_update_time: Annotated[Time | None, pb(6)] = None
    """When it was last written."""
    last_transition_time: Annotated[Time | None, pb(7)] = None
    """When `status` last changed."""
    reason: Annotated[str, pb(4)] = ""
    """Why, in one word."""
    message: Annotated[str, pb(5)] = ""
    """Why, in a sentence."""


class DeploymentStatus(ApiStruct, kw_only=True):
    """How far a rollout has got."""

    observed_generation: Annotated[Int64, pb(1)] = 0
    """The `metadata.generation` that the controller has acted on."""
    replicas: Annotated[Int32, pb(2)] = 0
    """Pods that exist."""
    updated_replicas: Annotated[Int32, pb(3)] = 0
    """Pods that follow the current template."""
    ready_replicas: Annotated[Int32, pb(7)] = 0
    """Pods that are ready."""
    available_replicas: Annotated[Int32, pb(4)] = 0
    """Pods that have been ready for `minReadySeconds`."""
    unavailable_replicas: Annotated[Int32, pb(5)] = 0
    """Pods that are still missing to be complete."""
    terminating_replicas: Annotated[Int32 | None, pb(9)] = None
    """Pods that are being deleted."""
    conditions: Annotated[
        list[DeploymentCondition], pb(6), patch("merge", key="type"), list_map("type")
    ] = []
    """State of the rollout."""
    collision_count: Annotated[Int32 | None, pb(8)] = None
    """How often the name of a new ReplicaSet was already taken."""


class Deployment(ApiStruct, kw_only=True):
    """Keeps a number of equal pods running and replaces them step by step when their template
    changes."""

    api_version: str = type_meta("apps/v1")
    """Group and version of this schema: `apps/v1`."""
    kind: str = type_meta("Deployment")
    """Name of this schema: `Deployment`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[DeploymentSpec, pb(2)]
    """The wanted state."""
    status: Annotated[DeploymentStatus, pb(3)] = field(default_factory=DeploymentStatus)
    """The observed state. Set by the cluster, ignored in other writes."""
