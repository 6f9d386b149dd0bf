"""What nodes and pods use at the moment (group `metrics.k8s.io`), for `kubectl top` and autoscaling.

Made from what the agents measure when somebody asks, and stored nowhere.
"""

from typing import Annotated

from msgspec import field

from api.meta import ObjectMeta
from api.struct import ApiStruct, Duration, Quantity, Time, patch, pb, type_meta


class NodeMetrics(ApiStruct, kw_only=True):
    """What one node uses."""

    api_version: str = type_meta("metrics.k8s.io/v1beta1")
    """Group and version of this schema: `metrics.k8s.io/v1beta1`."""
    kind: str = type_meta("NodeMetrics")
    """Name of this schema: `NodeMetrics`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """The node's name and labels."""
    timestamp: Annotated[Time | None, pb(2)]
    """The end of the span over which CPU was measured."""
    window: Annotated[Duration, pb(3)]
    """The length of that span."""
    usage: Annotated[dict[str, Quantity], pb(4)]
    """CPU in cores, as the mean of the span; memory that cannot be reclaimed at once."""


class ContainerMetrics(ApiStruct, kw_only=True):
    """What one container uses."""

    name: Annotated[str, pb(1)]
    """The container."""
    usage: Annotated[dict[str, Quantity], pb(2)]
    """CPU in cores, as the mean of the span; memory that cannot be reclaimed at once."""


class PodMetrics(ApiStruct, kw_only=True):
    """What the containers of one pod use."""

    api_version: str = type_meta("metrics.k8s.io/v1beta1")
    """Group and version of this schema: `metrics.k8s.io/v1beta1`."""
    kind: str = type_meta("PodMetrics")
    """Name of this schema: `PodMetrics`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """The pod's name, namespace and labels."""
    timestamp: Annotated[Time | None, pb(2)]
    """The end of the span over which CPU was measured."""
    window: Annotated[Duration, pb(3)]
    """The length of that span."""
    containers: Annotated[list[ContainerMetrics], pb(4), patch("merge", key="name")]
    """Each container that runs."""
