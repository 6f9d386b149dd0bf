"""DOC core/namespace."""

from typing import Annotated

from msgspec import field

from api.core.pod import ConditionStatus
from api.meta import ObjectMeta
from api.struct import LIST_ATOMIC, ApiStruct, Time, enum, list_map, patch, pb, type_meta

FinalizerName = Annotated[str, enum("kubernetes")]
NamespaceConditionType = Annotated[
    str,
    enum(
        "NamespaceDeletionDiscoveryFailure",
        "NamespaceDeletionContentFailure",
        "NamespaceDeletionGroupVersionParsingFailure",
        "NamespaceContentRemaining",
        "NamespaceFinalizersRemaining",
    ),
]
NamespacePhase = Annotated[str, enum("Active", "Terminating")]


class NamespaceSpec(ApiStruct, kw_only=True):
    """DOC NamespaceSpec."""

    finalizers: Annotated[list[FinalizerName], pb(1), LIST_ATOMIC] = []


class NamespaceCondition(ApiStruct, kw_only=True):
    """DOC NamespaceCondition."""

    type: Annotated[NamespaceConditionType, pb(1)]
    status: Annotated[ConditionStatus, pb(2)]
    last_transition_time: Annotated[Time | None, pb(4)] = None
    reason: Annotated[str, pb(5)] = ""
    message: Annotated[str, pb(6)] = ""


class NamespaceStatus(ApiStruct, kw_only=True):
    """DOC NamespaceStatus."""

    phase: Annotated[NamespacePhase, pb(1)] = ""
    conditions: Annotated[
        list[NamespaceCondition], pb(2), patch("merge", key="type"), list_map("type")
    ] = []


class Namespace(ApiStruct, kw_only=True):
    """DOC Namespace."""

    api_version: str = type_meta("v1")
    kind: str = type_meta("Namespace")
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    spec: Annotated[NamespaceSpec, pb(2)] = field(default_factory=NamespaceSpec)
    status: Annotated[NamespaceStatus, pb(3)] = field(default_factory=NamespaceStatus)
