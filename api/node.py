"""Ways to run containers, by name (group `node.k8s.io`).

What a pod's `runtimeClassName` refers to; looked up when the pod is created, step 1 of its walk.
"""

from typing import Annotated

from msgspec import field

from api.core.scheduling import Toleration
from api.meta import ObjectMeta
from api.struct import ATOMIC, LIST_ATOMIC, ApiStruct, Quantity, pb, type_meta


class Overhead(ApiStruct, kw_only=True):
    """What a pod costs beside its containers."""

    pod_fixed: Annotated[dict[str, Quantity], pb(1)] = {}
    """The amount of each resource, for any pod of the class."""


class Scheduling(ApiStruct, kw_only=True):
    """Where pods of a class can run."""

    node_selector: Annotated[dict[str, str], pb(1), ATOMIC] = {}
    """Labels of the nodes that have the runtime. They are added to those that the pod asks for."""
    tolerations: Annotated[list[Toleration], pb(2), LIST_ATOMIC] = []
    """Tolerations that its pods get beside their own."""


class RuntimeClass(ApiStruct, kw_only=True):
    """A way to run containers, which pods ask for by name."""

    api_version: str = type_meta("node.k8s.io/v1")
    """Group and version of this schema: `node.k8s.io/v1`."""
    kind: str = type_meta("RuntimeClass")
    """Name of this schema: `RuntimeClass`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    handler: Annotated[str, pb(2)]
    """What the container runtime of the nodes calls it. It never changes."""
    overhead: Annotated[Overhead | None, pb(3)] = None
    """What pods of this class cost beside their containers. They get it when they are created."""
    scheduling: Annotated[Scheduling | None, pb(4)] = None
    """Where pods of this class can run. Anywhere, if nothing is said."""
