"""A scope for names. A pod is created in one (step 1 of its walk) and ends with it at the latest."""

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
    """What holds a deleted namespace back."""

    finalizers: Annotated[list[FinalizerName], pb(1), LIST_ATOMIC] = []
    """Names of those who must act before it disappears. Set by the server."""


class NamespaceCondition(ApiStruct, kw_only=True):
    """Something that delays the deletion."""

    type: Annotated[NamespaceConditionType, pb(1)]
    """What it is about."""
    status: Annotated[ConditionStatus, pb(2)]
    """`True`, `False` or `Unknown`."""
    last_transition_time: Annotated[Time | None, pb(4)] = None
    """When `status` last changed."""
    reason: Annotated[str, pb(5)] = ""
    """Why, in one word."""
    message: Annotated[str, pb(6)] = ""
    """Why, in a sentence: which objects are left, for example."""


class NamespaceStatus(ApiStruct, kw_only=True):
    """Whether it is in use or being emptied."""

    phase: Annotated[NamespacePhase, pb(1)] = ""
    """`Active`, or `Terminating` once deletion was asked for; nothing new can be made in it then.
    """
    conditions: Annotated[
        list[NamespaceCondition], pb(2), patch("merge", key="type"), list_map("type")
    ] = []
    """What delays the deletion."""


class Namespace(ApiStruct, kw_only=True):
    """A scope in which names are unique. Deleting it deletes everything in it."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("Namespace")
    """Name of this schema: `Namespace`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[NamespaceSpec, pb(2)] = field(default_factory=NamespaceSpec)
    """The wanted state."""
    status: Annotated[NamespaceStatus, pb(3)] = field(default_factory=NamespaceStatus)
    """The observed state. Set by the cluster, ignored in other writes."""
