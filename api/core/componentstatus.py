"""ComponentStatus: whether a part of the control plane is well (core group, deprecated, read-only)."""

from typing import Annotated

from msgspec import field

from api.core.pod import ConditionStatus
from api.meta import ObjectMeta
from api.struct import ApiStruct, enum, list_map, patch, pb, type_meta

ComponentConditionType = Annotated[str, enum("Healthy")]


class ComponentCondition(ApiStruct, kw_only=True):
    """Whether a component is well."""

    type: Annotated[ComponentConditionType, pb(1)]
    """`Healthy`."""
    status: Annotated[ConditionStatus, pb(2)]
    """`True`, `False` or `Unknown`."""
    message: Annotated[str, pb(3)] = ""
    """What the component says."""
    error: Annotated[str, pb(4)] = ""
    """What went wrong when it was asked."""


class ComponentStatus(ApiStruct, kw_only=True):
    """Whether a component of the control plane is well. Deprecated: read `/readyz?verbose`
    instead."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("ComponentStatus")
    """Name of this schema: `ComponentStatus`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    conditions: Annotated[
        list[ComponentCondition], pb(2), patch("merge", key="type"), list_map("type")
    ] = []
    """What is known of it."""
