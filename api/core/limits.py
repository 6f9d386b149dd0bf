"""Bounds and defaults for what pods and claims of a namespace ask for.

They are looked at when such an object is created (step 1 of the pod's walk).
"""

from typing import Annotated

from msgspec import field

from api.meta import ObjectMeta
from api.struct import LIST_ATOMIC, ApiStruct, Quantity, enum, pb, type_meta

LimitType = Annotated[str, enum("Pod", "Container", "PersistentVolumeClaim")]


class LimitRangeItem(ApiStruct, kw_only=True):
    """Bounds and defaults for one type of thing."""

    type: Annotated[LimitType, pb(1)]
    """What is bounded: each `Container`, each `Pod` as a whole, or each `PersistentVolumeClaim`."""
    max: Annotated[dict[str, Quantity], pb(2)] = {}
    """The most that may be asked for, by resource. What is bounded here has to be said."""
    min: Annotated[dict[str, Quantity], pb(3)] = {}
    """The least that must be asked for, by resource."""
    default: Annotated[dict[str, Quantity], pb(4)] = {}
    """Limits for containers that say none. Default: `max`."""
    default_request: Annotated[dict[str, Quantity], pb(5)] = {}
    """Requests for containers that say none. Default: `default`, else `min`."""
    max_limit_request_ratio: Annotated[dict[str, Quantity], pb(6)] = {}
    """How many times as large as its request a limit may be, by resource."""


class LimitRangeSpec(ApiStruct, kw_only=True):
    """The bounds."""

    limits: Annotated[list[LimitRangeItem], pb(1), LIST_ATOMIC]
    """One entry for each type of thing."""


class LimitRange(ApiStruct, kw_only=True):
    """Bounds and defaults for the amounts that pods, their containers and claims of a namespace
    ask for."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("LimitRange")
    """Name of this schema: `LimitRange`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[LimitRangeSpec, pb(2)] = field(
        default_factory=lambda: LimitRangeSpec(limits=[])
    )
    """The bounds."""
