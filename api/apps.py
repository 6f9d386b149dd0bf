"""DOC apps."""

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

DeploymentStrategyType = Annotated[str, enum("Recreate", "RollingUpdate")]
DeploymentConditionType = Annotated[str, enum("Available", "Progressing", "ReplicaFailure")]
ReplicaSetConditionType = Annotated[str, enum("ReplicaFailure")]


class RollingUpdateDeployment(ApiStruct, kw_only=True):
    """DOC RollingUpdateDeployment."""

    max_unavailable: Annotated[IntOrString | None, pb(1)] = None
    max_surge: Annotated[IntOrString | None, pb(2)] = None


class DeploymentStrategy(ApiStruct, kw_only=True):
    """DOC DeploymentStrategy."""

    type: Annotated[DeploymentStrategyType, pb(1)] = ""
    rolling_update: Annotated[RollingUpdateDeployment | None, pb(2)] = None


class DeploymentSpec(ApiStruct, kw_only=True):
    """DOC DeploymentSpec."""

    replicas: Annotated[Int32 | None, pb(1)] = None
    selector: Annotated[LabelSelector | None, pb(2)]
    template: Annotated[PodTemplateSpec, pb(3)]
    strategy: Annotated[DeploymentStrategy, pb(4), patch("retainKeys")] = field(
        default_factory=DeploymentStrategy
    )
    min_ready_seconds: Annotated[Int32, pb(5)] = 0
    revision_history_limit: Annotated[Int32 | None, pb(6)] = None
    paused: Annotated[bool, pb(7)] = False
    progress_deadline_seconds: Annotated[Int32 | None, pb(9)] = None


class DeploymentCondition(ApiStruct, kw_only=True):
    """DOC DeploymentCondition."""

    type: Annotated[DeploymentConditionType, pb(1)]
    status: Annotated[ConditionStatus, pb(2)]
    last_update_time: Annotated[Time | None, pb(6)] = None
    last_transition_time: Annotated[Time | None, pb(7)] = None
    reason: Annotated[str, pb(4)] = ""
    message: Annotated[str, pb(5)] = ""


class DeploymentStatus(ApiStruct, kw_only=True):
    """DOC DeploymentStatus."""

    observed_generation: Annotated[Int64, pb(1)] = 0
    replicas: Annotated[Int32, pb(2)] = 0
    updated_replicas: Annotated[Int32, pb(3)] = 0
    ready_replicas: Annotated[Int32, pb(7)] = 0
    available_replicas: Annotated[Int32, pb(4)] = 0
    unavailable_replicas: Annotated[Int32, pb(5)] = 0
    terminating_replicas: Annotated[Int32 | None, pb(9)] = None
    conditions: Annotated[
        list[DeploymentCondition], pb(6), patch("merge", key="type"), list_map("type")
    ] = []
    collision_count: Annotated[Int32 | None, pb(8)] = None


class Deployment(ApiStruct, kw_only=True):
    """DOC Deployment."""

    api_version: str = type_meta("apps/v1")
    kind: str = type_meta("Deployment")
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    spec: Annotated[DeploymentSpec, pb(2)]
    status: Annotated[DeploymentStatus, pb(3)] = field(default_factory=DeploymentStatus)


class ReplicaSetSpec(ApiStruct, kw_only=True):
    """DOC ReplicaSetSpec."""

    replicas: Annotated[Int32 | None, pb(1)] = None
    min_ready_seconds: Annotated[Int32, pb(4)] = 0
    selector: Annotated[LabelSelector | None, pb(2)]
    template: Annotated[PodTemplateSpec, pb(3)]


class ReplicaSetCondition(ApiStruct, kw_only=True):
    """DOC ReplicaSetCondition."""

    type: Annotated[ReplicaSetConditionType, pb(1)]
    status: Annotated[ConditionStatus, pb(2)]
    last_transition_time: Annotated[Time | None, pb(3)] = None
    reason: Annotated[str, pb(4)] = ""
    message: Annotated[str, pb(5)] = ""


class ReplicaSetStatus(ApiStruct, kw_only=True):
    """DOC ReplicaSetStatus."""

    replicas: Annotated[Int32, pb(1)] = always(0)
    fully_labeled_replicas: Annotated[Int32, pb(2)] = 0
    ready_replicas: Annotated[Int32, pb(4)] = 0
    available_replicas: Annotated[Int32, pb(5)] = 0
    terminating_replicas: Annotated[Int32 | None, pb(7)] = None
    observed_generation: Annotated[Int64, pb(3)] = 0
    conditions: Annotated[
        list[ReplicaSetCondition], pb(6), patch("merge", key="type"), list_map("type")
    ] = []


class ReplicaSet(ApiStruct, kw_only=True):
    """DOC ReplicaSet."""

    api_version: str = type_meta("apps/v1")
    kind: str = type_meta("ReplicaSet")
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    spec: Annotated[ReplicaSetSpec, pb(2)]
    status: Annotated[ReplicaSetStatus, pb(3)] = field(default_factory=ReplicaSetStatus)
