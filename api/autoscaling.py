"""The `scale` subresource: the size of any workload in one common form (group `autoscaling`).

Used by `kubectl scale` and autoscalers; it sets how many pods set out on the walk.
"""

from typing import Annotated

from msgspec import field

from api.meta import ObjectMeta
from api.struct import ApiStruct, Int32, pb, type_meta


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
