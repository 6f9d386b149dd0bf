"""Budgets for disruptions of pods, and the polite way to end one (group `policy`).

A drain ends a pod's walk (step 7) only if the budgets of its application allow it.
"""

from typing import Annotated

from msgspec import field

from api.meta import Condition, DeleteOptions, LabelSelector, ObjectMeta
from api.struct import (
    ApiStruct,
    Int32,
    Int64,
    IntOrString,
    Time,
    always,
    enum,
    list_map,
    patch,
    pb,
    type_meta,
)

UnhealthyPodEvictionPolicyType = Annotated[str, enum("IfHealthyBudget", "AlwaysAllow")]


class PodDisruptionBudgetSpec(ApiStruct, kw_only=True):
    """How many of which pods must stay."""

    min_available: Annotated[IntOrString | None, pb(1)] = None
    """How many must stay healthy, as a number or percentage. Not together with `maxUnavailable`."""
    selector: Annotated[LabelSelector | None, pb(2), patch("replace")] = None
    """The pods. An empty one selects all of the namespace, none at all selects no pod."""
    max_unavailable: Annotated[IntOrString | None, pb(3)] = None
    """How many may be missing, as a number or percentage. Not together with `minAvailable`."""
    unhealthy_pod_eviction_policy: Annotated[UnhealthyPodEvictionPolicyType | None, pb(4)] = None
    """When pods that run but are not ready may be evicted: `AlwaysAllow`, or (the default)
    `IfHealthyBudget`, which is when enough others are healthy."""


class PodDisruptionBudgetStatus(ApiStruct, kw_only=True):
    """What the budget allows at the moment."""

    observed_generation: Annotated[Int64, pb(1)] = 0
    """The generation of the spec that the figures are for."""
    disrupted_pods: Annotated[dict[str, Time | None], pb(2)] = {}
    """Pods whose eviction was granted and that are not seen to be deleted yet, with the moment."""
    disruptions_allowed: Annotated[Int32, pb(3)] = always(0)
    """How many pods may be evicted now."""
    current_healthy: Annotated[Int32, pb(4)] = always(0)
    """How many are healthy."""
    desired_healthy: Annotated[Int32, pb(5)] = always(0)
    """How many must be."""
    expected_pods: Annotated[Int32, pb(6)] = always(0)
    """How many pods are counted."""
    conditions: Annotated[list[Condition], pb(7), patch("merge", key="type"), list_map("type")] = []
    """`DisruptionAllowed`, with the reason."""


class PodDisruptionBudget(ApiStruct, kw_only=True):
    """A promise to an application that not too many of its pods are ended at a time on purpose."""

    api_version: str = type_meta("policy/v1")
    """Group and version of this schema: `policy/v1`."""
    kind: str = type_meta("PodDisruptionBudget")
    """Name of this schema: `PodDisruptionBudget`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Its name, labels and the like."""
    spec: Annotated[PodDisruptionBudgetSpec, pb(2)] = field(default_factory=PodDisruptionBudgetSpec)
    """What is promised."""
    status: Annotated[PodDisruptionBudgetStatus, pb(3)] = field(
        default_factory=PodDisruptionBudgetStatus
    )
    """What it allows at the moment; written by its controller, and by evictions."""


class Eviction(ApiStruct, kw_only=True):
    """A request to delete a pod if its budgets allow it, posted to the pod's `eviction`."""

    api_version: str = type_meta("policy/v1")
    """Group and version of this schema: `policy/v1`."""
    kind: str = type_meta("Eviction")
    """Name of this schema: `Eviction`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name and namespace of the pod."""
    delete_options: Annotated[DeleteOptions | None, pb(2)] = None
    """How it is to be deleted."""
