"""How much of what a namespace may have, and how much of it is taken.

Every creation is charged to the quotas of its namespace, in the transaction that writes the object
(step 1 of the pod's walk).
"""

from typing import Annotated

from msgspec import field

from api.meta import ObjectMeta
from api.struct import LIST_ATOMIC, ApiStruct, Quantity, enum, pb, type_meta

ResourceQuotaScope = Annotated[
    str,
    enum(
        "Terminating",
        "NotTerminating",
        "BestEffort",
        "NotBestEffort",
        "PriorityClass",
        "CrossNamespacePodAffinity",
        "VolumeAttributesClass",
    ),
]
ScopeSelectorOperator = Annotated[str, enum("In", "NotIn", "Exists", "DoesNotExist")]


class ScopedResourceSelectorRequirement(ApiStruct, kw_only=True):
    """One requirement on the pods or claims that a quota counts."""

    scope_name: Annotated[ResourceQuotaScope, pb(1)]
    """The scope that the requirement is about."""
    operator: Annotated[ScopeSelectorOperator, pb(2)]
    """How the scope relates to the values: `In`, `NotIn`, `Exists` or `DoesNotExist`. Scopes
    without values know only `Exists`."""
    values: Annotated[list[str], pb(3), LIST_ATOMIC] = []
    """The values for `In` and `NotIn`, such as names of priority classes."""


class ScopeSelector(ApiStruct, kw_only=True):
    """Requirements that all hold for what a quota counts."""

    match_expressions: Annotated[list[ScopedResourceSelectorRequirement], pb(1), LIST_ATOMIC] = []
    """The requirements."""


class ResourceQuotaSpec(ApiStruct, kw_only=True):
    """What a namespace may have."""

    hard: Annotated[dict[str, Quantity], pb(1)] = {}
    """The most of each resource: an amount such as `requests.cpu`, or a number of objects such as
    `pods` or `count/deployments.apps`."""
    scopes: Annotated[list[ResourceQuotaScope], pb(2), LIST_ATOMIC] = []
    """Properties that pods must have to be counted, such as `BestEffort` or `Terminating`.
    Everything is counted if nothing is said."""
    scope_selector: Annotated[ScopeSelector | None, pb(3)] = None
    """Further such properties, with values."""


class ResourceQuotaStatus(ApiStruct, kw_only=True):
    """What a namespace has."""

    hard: Annotated[dict[str, Quantity], pb(1)] = {}
    """The bounds that the usage was counted against."""
    used: Annotated[dict[str, Quantity], pb(2)] = {}
    """How much of each is taken."""


class ResourceQuota(ApiStruct, kw_only=True):
    """Sets how much a namespace may have of amounts and numbers of objects. What would exceed it
    is refused."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("ResourceQuota")
    """Name of this schema: `ResourceQuota`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[ResourceQuotaSpec, pb(2)] = field(default_factory=ResourceQuotaSpec)
    """What the namespace may have."""
    status: Annotated[ResourceQuotaStatus, pb(3)] = field(default_factory=ResourceQuotaStatus)
    """What it has; written with each creation, and by its controller."""
