"""The `scale` subresource and the older form of autoscalers (group `autoscaling`, version v1).

A Scale is the size of any workload in one common form, used by `kubectl scale` and autoscalers; it
sets how many pods set out on the walk. Autoscalers are kept as `api.autoscalingv2` says them.
"""

from typing import Annotated

from msgspec import field

from api.meta import ObjectMeta
from api.struct import ApiStruct, Int32, Int64, Time, always, pb, type_meta


class ScaleSpec(ApiStruct, kw_only=True):
    """The wanted size."""

    replicas: Annotated[Int32, pb(1)] = 0
    """Number of pods."""


class ScaleStatus(ApiStruct, kw_only=True):
    """The present size."""

    replicas: Annotated[Int32, pb(1)]
    """Pods that exist."""
    selector: Annotated[str, pb(2)] = ""
    """Selector of the pods, as text."""


class Scale(ApiStruct, kw_only=True):
    """The size of a workload."""

    api_version: str = type_meta("autoscaling/v1")
    """Group and version of this schema: `autoscaling/v1`."""
    kind: str = type_meta("Scale")
    """Name of this schema: `Scale`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[ScaleSpec, pb(2)] = field(default_factory=ScaleSpec)
    """The wanted state."""
    status: Annotated[ScaleStatus, pb(3)]
    """The observed state. Set by the cluster, ignored in other writes."""


class CrossVersionObjectReference(ApiStruct, kw_only=True):
    """An object in the autoscaler's namespace."""

    kind: Annotated[str, pb(1)]
    """Kind of the object, such as `Deployment`."""
    name: Annotated[str, pb(2)]
    """Name of the object."""
    api_version: Annotated[str, pb(3)] = ""
    """Group and version of the object, such as `apps/v1`."""


class HorizontalPodAutoscalerSpec(ApiStruct, kw_only=True):
    """What to scale, between which sizes, and by how much CPU."""

    scale_target_ref: Annotated[CrossVersionObjectReference, pb(1)]
    """The workload, which must have a `scale` subresource."""
    min_replicas: Annotated[Int32 | None, pb(2)] = None
    """The size below which it never shrinks. 1 if not set."""
    max_replicas: Annotated[Int32, pb(3)]
    """The size above which it never grows. Not less than `minReplicas`."""
    target_cpu_utilization_percentage: Annotated[Int32 | None, pb(4)] = None
    """Wanted use of CPU, in percent of what the pods request. 80 if there is no other metric."""


class HorizontalPodAutoscalerStatus(ApiStruct, kw_only=True):
    """What an autoscaler sees and wants."""

    observed_generation: Annotated[Int64 | None, pb(1)] = None
    """Newest generation of the autoscaler that was acted on."""
    last_scale_time: Annotated[Time | None, pb(2)] = None
    """When it changed the size last."""
    current_replicas: Annotated[Int32, pb(3)] = always(0)
    """Size of the workload as it was last seen."""
    desired_replicas: Annotated[Int32, pb(4)] = always(0)
    """Size that was last wanted."""
    current_cpu_utilization_percentage: Annotated[Int32 | None, pb(5)] = None
    """Present use of CPU, in percent of what the pods request."""


class HorizontalPodAutoscaler(ApiStruct, kw_only=True):
    """Changes the size of a workload so that its use of CPU stays near a target."""

    api_version: str = type_meta("autoscaling/v1")
    """Group and version of this schema: `autoscaling/v1`."""
    kind: str = type_meta("HorizontalPodAutoscaler")
    """Name of this schema: `HorizontalPodAutoscaler`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[HorizontalPodAutoscalerSpec, pb(2)]
    """What to scale, between which sizes, and by how much CPU."""
    status: Annotated[HorizontalPodAutoscalerStatus, pb(3)] = field(
        default_factory=HorizontalPodAutoscalerStatus
    )
    """The observed state. Set by the cluster, ignored in other writes."""
