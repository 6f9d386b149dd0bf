"""Classes of priority that pods can name (group `scheduling.k8s.io`).

Which pod the scheduler tries first, and which may push another one off a node.
"""

from typing import Annotated

from msgspec import field

from api.core.pod import PreemptionPolicy
from api.meta import ObjectMeta
from api.struct import ApiStruct, Int32, pb, type_meta


class PriorityClass(ApiStruct, kw_only=True):
    """A name for a priority. Pods refer to it by `priorityClassName`."""

    api_version: str = type_meta("scheduling.k8s.io/v1")
    """Group and version of this schema: `scheduling.k8s.io/v1`."""
    kind: str = type_meta("PriorityClass")
    """Name of this schema: `PriorityClass`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    value: Annotated[Int32, pb(2)]
    """The priority: a larger number goes first. What users make ends at 1000000000."""
    global_default: Annotated[bool, pb(3)] = False
    """Whether pods that name no class get this one. At most one class should say so."""
    description: Annotated[str, pb(4)] = ""
    """For whom it is meant, in words."""
    preemption_policy: Annotated[PreemptionPolicy | None, pb(5)] = None
    """Whether its pods may push out others: `PreemptLowerPriority`, which is the default, or
    `Never`."""
