"""Autoscalers of workloads by any metric (group `autoscaling`, version v2, in which they are kept).

How many pods of a workload set out on the walk, decided by what the present ones need.
"""

from typing import Annotated

from msgspec import field

from api.core.pod import ConditionStatus
from api.core.resources import ResourceName
from api.meta import LabelSelector, ObjectMeta
from api.struct import (
    LIST_ATOMIC,
    ApiStruct,
    Int32,
    Int64,
    Quantity,
    Time,
    always,
    enum,
    list_map,
    patch,
    pb,
    type_meta,
)

MetricTargetType = Annotated[str, enum("Utilization", "Value", "AverageValue")]
MetricSourceType = Annotated[
    str, enum("Object", "Pods", "Resource", "ContainerResource", "External")
]
HPAScalingPolicyType = Annotated[str, enum("Pods", "Percent")]
ScalingPolicySelect = Annotated[str, enum("Max", "Min", "Disabled")]
HorizontalPodAutoscalerConditionType = Annotated[
    str, enum("ScalingActive", "AbleToScale", "ScalingLimited")
]


class CrossVersionObjectReference(ApiStruct, kw_only=True):
    """An object in the autoscaler's namespace."""

    kind: Annotated[str, pb(1)]
    """Kind of the object, such as `Deployment`."""
    name: Annotated[str, pb(2)]
    """Name of the object."""
    api_version: Annotated[str, pb(3)] = ""
    """Group and version of the object, such as `apps/v1`."""


class MetricTarget(ApiStruct, kw_only=True):
    """The wanted value of a metric. Of the three numbers, the one that the type names counts."""

    type: Annotated[MetricTargetType, pb(1)]
    """`Utilization`, `Value` or `AverageValue`."""
    value: Annotated[Quantity | None, pb(2)] = None
    """Wanted value of the metric as a whole."""
    average_value: Annotated[Quantity | None, pb(3)] = None
    """Wanted value per pod."""
    average_utilization: Annotated[Int32 | None, pb(4)] = None
    """Wanted use per pod, in percent of what the pods request. Only for resources."""


class MetricIdentifier(ApiStruct, kw_only=True):
    """Which metric is meant."""

    name: Annotated[str, pb(1)]
    """Name of the metric."""
    selector: Annotated[LabelSelector | None, pb(2)] = None
    """Which of the series of that name count. Left out: all."""


class ObjectMetricSource(ApiStruct, kw_only=True):
    """A metric of one object, such as the requests per second of an Ingress."""

    described_object: Annotated[CrossVersionObjectReference, pb(1)]
    """The object."""
    target: Annotated[MetricTarget, pb(2)]
    """The wanted value."""
    metric: Annotated[MetricIdentifier, pb(3)]
    """The metric."""


class PodsMetricSource(ApiStruct, kw_only=True):
    """A metric of each pod of the workload, averaged over them."""

    metric: Annotated[MetricIdentifier, pb(1)]
    """The metric."""
    target: Annotated[MetricTarget, pb(2)]
    """The wanted value, which must be an average."""


class ResourceMetricSource(ApiStruct, kw_only=True):
    """The use of CPU or memory by the pods of the workload."""

    name: Annotated[ResourceName, pb(1)]
    """Name of the resource, such as `cpu`."""
    target: Annotated[MetricTarget, pb(2)]
    """The wanted average, or the wanted use in percent of the requests."""


class ContainerResourceMetricSource(ApiStruct, kw_only=True):
    """The use of CPU or memory by one container of each pod."""

    name: Annotated[ResourceName, pb(1)]
    """Name of the resource, such as `cpu`."""
    target: Annotated[MetricTarget, pb(2)]
    """The wanted average, or the wanted use in percent of the requests."""
    container: Annotated[str, pb(3)]
    """Name of the container."""


class ExternalMetricSource(ApiStruct, kw_only=True):
    """A metric of something outside the cluster, such as the length of a queue."""

    metric: Annotated[MetricIdentifier, pb(1)]
    """The metric."""
    target: Annotated[MetricTarget, pb(2)]
    """The wanted value, of all or per pod."""


class MetricSpec(ApiStruct, kw_only=True):
    """One metric to scale by. Exactly the field that the type names is set."""

    type: Annotated[MetricSourceType, pb(1)]
    """`Resource`, `ContainerResource`, `Pods`, `Object` or `External`."""
    object: Annotated[ObjectMetricSource | None, pb(2)] = None
    """A metric of one object."""
    pods: Annotated[PodsMetricSource | None, pb(3)] = None
    """A metric of each pod."""
    resource: Annotated[ResourceMetricSource | None, pb(4)] = None
    """CPU or memory of the pods."""
    container_resource: Annotated[ContainerResourceMetricSource | None, pb(7)] = None
    """CPU or memory of one container in the pods."""
    external: Annotated[ExternalMetricSource | None, pb(5)] = None
    """A metric from outside the cluster."""


class HPAScalingPolicy(ApiStruct, kw_only=True):
    """A limit to what may change in a period."""

    type: Annotated[HPAScalingPolicyType, pb(1)]
    """`Pods` or `Percent`: what the value counts."""
    value: Annotated[Int32, pb(2)]
    """How much may change in the period. Greater than zero."""
    period_seconds: Annotated[Int32, pb(3)]
    """Length of the period that is looked back on: 1 to 1800 seconds."""


class HPAScalingRules(ApiStruct, kw_only=True):
    """How fast the size may change in one direction."""

    stabilization_window_seconds: Annotated[Int32 | None, pb(3)] = None
    """How far to look back for other recommendations, 0 to 3600 seconds, so that the size does not
    flap. 0 for growth and 300 for shrinking, if not set."""
    select_policy: Annotated[ScalingPolicySelect | None, pb(1)] = None
    """Which policy counts when there are several: `Max`, which is the default, `Min`, or
    `Disabled` to forbid the direction."""
    policies: Annotated[list[HPAScalingPolicy], pb(2), LIST_ATOMIC] = []
    """The limits. At least one; left out with its rules, growth may double or add 4 pods and
    shrinking may take all, each within 15 seconds."""
    tolerance: Annotated[Quantity | None, pb(4)] = None
    """How far the metric may be off before anything changes, as a fraction. 0.1 if not set."""


class HorizontalPodAutoscalerBehavior(ApiStruct, kw_only=True):
    """How fast the size may change."""

    scale_up: Annotated[HPAScalingRules | None, pb(1)] = None
    """Rules of growth."""
    scale_down: Annotated[HPAScalingRules | None, pb(2)] = None
    """Rules of shrinking."""


class HorizontalPodAutoscalerSpec(ApiStruct, kw_only=True):
    """What to scale, between which sizes, and by what."""

    scale_target_ref: Annotated[CrossVersionObjectReference, pb(1)]
    """The workload, which must have a `scale` subresource."""
    min_replicas: Annotated[Int32 | None, pb(2)] = None
    """The size below which it never shrinks. 1 if not set."""
    max_replicas: Annotated[Int32, pb(3)]
    """The size above which it never grows. Not less than `minReplicas`."""
    metrics: Annotated[list[MetricSpec], pb(4), LIST_ATOMIC] = []
    """What to scale by. Of several metrics the one counts that asks for most pods. 80 % of the
    requested CPU if there is none."""
    behavior: Annotated[HorizontalPodAutoscalerBehavior | None, pb(5)] = None
    """How fast the size may change in each direction."""


class MetricValueStatus(ApiStruct, kw_only=True):
    """The present value of a metric."""

    value: Annotated[Quantity | None, pb(1)] = None
    """Value of the metric as a whole."""
    average_value: Annotated[Quantity | None, pb(2)] = None
    """Value per pod."""
    average_utilization: Annotated[Int32 | None, pb(3)] = None
    """Use per pod, in percent of what the pods request."""


class ObjectMetricStatus(ApiStruct, kw_only=True):
    """Present value of a metric of one object."""

    metric: Annotated[MetricIdentifier, pb(1)]
    """The metric."""
    current: Annotated[MetricValueStatus, pb(2)] = field(default_factory=MetricValueStatus)
    """The present value."""
    described_object: Annotated[CrossVersionObjectReference, pb(3)]
    """The object."""


class PodsMetricStatus(ApiStruct, kw_only=True):
    """Present value of a metric of each pod."""

    metric: Annotated[MetricIdentifier, pb(1)]
    """The metric."""
    current: Annotated[MetricValueStatus, pb(2)] = field(default_factory=MetricValueStatus)
    """The present value."""


class ResourceMetricStatus(ApiStruct, kw_only=True):
    """Present use of CPU or memory."""

    name: Annotated[ResourceName, pb(1)]
    """Name of the resource."""
    current: Annotated[MetricValueStatus, pb(2)] = field(default_factory=MetricValueStatus)
    """The present value."""


class ContainerResourceMetricStatus(ApiStruct, kw_only=True):
    """Present use of CPU or memory by one container of each pod."""

    name: Annotated[ResourceName, pb(1)]
    """Name of the resource."""
    current: Annotated[MetricValueStatus, pb(2)] = field(default_factory=MetricValueStatus)
    """The present value."""
    container: Annotated[str, pb(3)]
    """Name of the container."""


class ExternalMetricStatus(ApiStruct, kw_only=True):
    """Present value of a metric from outside the cluster."""

    metric: Annotated[MetricIdentifier, pb(1)]
    """The metric."""
    current: Annotated[MetricValueStatus, pb(2)] = field(default_factory=MetricValueStatus)
    """The present value."""


class MetricStatus(ApiStruct, kw_only=True):
    """Present value of one metric. The field that the type names is set."""

    type: Annotated[MetricSourceType, pb(1)]
    """`Resource`, `ContainerResource`, `Pods`, `Object` or `External`."""
    object: Annotated[ObjectMetricStatus | None, pb(2)] = None
    """A metric of one object."""
    pods: Annotated[PodsMetricStatus | None, pb(3)] = None
    """A metric of each pod."""
    resource: Annotated[ResourceMetricStatus | None, pb(4)] = None
    """CPU or memory of the pods."""
    container_resource: Annotated[ContainerResourceMetricStatus | None, pb(7)] = None
    """CPU or memory of one container in the pods."""
    external: Annotated[ExternalMetricStatus | None, pb(5)] = None
    """A metric from outside the cluster."""


class HorizontalPodAutoscalerCondition(ApiStruct, kw_only=True):
    """One fact about an autoscaler."""

    type: Annotated[HorizontalPodAutoscalerConditionType, pb(1)]
    """`ScalingActive`, `AbleToScale` or `ScalingLimited`."""
    status: Annotated[ConditionStatus, pb(2)]
    """`True`, `False` or `Unknown`."""
    last_transition_time: Annotated[Time | None, pb(3)] = None
    """When it changed last."""
    reason: Annotated[str, pb(4)] = ""
    """Why, in one word."""
    message: Annotated[str, pb(5)] = ""
    """Why, in a sentence."""


class HorizontalPodAutoscalerStatus(ApiStruct, kw_only=True):
    """What an autoscaler sees and wants."""

    observed_generation: Annotated[Int64 | None, pb(1)] = None
    """Newest generation of the autoscaler that was acted on."""
    last_scale_time: Annotated[Time | None, pb(2)] = None
    """When it changed the size last."""
    current_replicas: Annotated[Int32, pb(3)] = 0
    """Size of the workload as it was last seen."""
    desired_replicas: Annotated[Int32, pb(4)] = always(0)
    """Size that was last wanted."""
    current_metrics: Annotated[list[MetricStatus], pb(5), LIST_ATOMIC] = field(default_factory=list)
    """Present value of each metric."""
    conditions: Annotated[
        list[HorizontalPodAutoscalerCondition], pb(6), patch("merge", key="type"), list_map("type")
    ] = []
    """Whether it can scale, does, and what limits it."""


class HorizontalPodAutoscaler(ApiStruct, kw_only=True):
    """Changes the size of a workload so that a metric stays near its target."""

    api_version: str = type_meta("autoscaling/v2")
    """Group and version of this schema: `autoscaling/v2`."""
    kind: str = type_meta("HorizontalPodAutoscaler")
    """Name of this schema: `HorizontalPodAutoscaler`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[HorizontalPodAutoscalerSpec, pb(2)]
    """What to scale, between which sizes, and by what."""
    status: Annotated[HorizontalPodAutoscalerStatus, pb(3)] = field(
        default_factory=HorizontalPodAutoscalerStatus
    )
    """The observed state. Set by the cluster, ignored in other writes."""
