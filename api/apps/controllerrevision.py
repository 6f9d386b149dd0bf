"""ControllerRevision: what a StatefulSet or DaemonSet once looked like, to go back to (group `apps`).

Its data never changes. Two revisions with equal data are the same state.
"""

from typing import Annotated

from msgspec import field

from api.meta import ObjectMeta
from api.struct import ApiStruct, Int64, RawExtension, pb, type_meta


class ControllerRevision(ApiStruct, kw_only=True):
    """A state of a StatefulSet's or DaemonSet's template, kept by its controller for a rollback."""

    api_version: str = type_meta("apps/v1")
    """Group and version of this schema: `apps/v1`."""
    kind: str = type_meta("ControllerRevision")
    """Name of this schema: `ControllerRevision`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    data: Annotated[RawExtension, pb(2)] = None
    """The state, as a patch of the owner. Cannot be changed."""
    revision: Annotated[Int64, pb(3)]
    """Its place in the history; the highest is the latest."""
