"""DOC core/scheduling."""

from typing import Annotated

from msgspec import field

from api.meta import LabelSelector
from api.struct import LIST_ATOMIC, ApiStruct, Int32, Int64, Time, enum, pb

NodeSelectorOperator = Annotated[str, enum("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")]
TolerationOperator = Annotated[str, enum("Exists", "Equal")]
TaintEffect = Annotated[str, enum("NoSchedule", "PreferNoSchedule", "NoExecute")]
UnsatisfiableConstraintAction = Annotated[str, enum("DoNotSchedule", "ScheduleAnyway")]
NodeInclusionPolicy = Annotated[str, enum("Ignore", "Honor")]


class NodeSelectorRequirement(ApiStruct, kw_only=True):
    """DOC NodeSelectorRequirement."""

    key: Annotated[str, pb(1)]
    operator: Annotated[NodeSelectorOperator, pb(2)]
    values: Annotated[list[str], pb(3), LIST_ATOMIC] = []


class NodeSelectorTerm(ApiStruct, kw_only=True):
    """DOC NodeSelectorTerm."""

    match_expressions: Annotated[list[NodeSelectorRequirement], pb(1), LIST_ATOMIC] = []
    match_fields: Annotated[list[NodeSelectorRequirement], pb(2), LIST_ATOMIC] = []


class NodeSelector(ApiStruct, kw_only=True):
    """DOC NodeSelector."""

    node_selector_terms: Annotated[list[NodeSelectorTerm], pb(1), LIST_ATOMIC]


class PreferredSchedulingTerm(ApiStruct, kw_only=True):
    """DOC PreferredSchedulingTerm."""

    weight: Annotated[Int32, pb(1)]
    preference: Annotated[NodeSelectorTerm, pb(2)] = field(default_factory=NodeSelectorTerm)


class NodeAffinity(ApiStruct, kw_only=True):
    """DOC NodeAffinity."""

    required_during_scheduling_ignored_during_execution: Annotated[NodeSelector | None, pb(1)] = (
        None
    )
    preferred_during_scheduling_ignored_during_execution: Annotated[
        list[PreferredSchedulingTerm], pb(2), LIST_ATOMIC
    ] = []


class PodAffinityTerm(ApiStruct, kw_only=True):
    """DOC PodAffinityTerm."""

    label_selector: Annotated[LabelSelector | None, pb(1)] = None
    namespaces: Annotated[list[str], pb(2), LIST_ATOMIC] = []
    topology_key: Annotated[str, pb(3)]
    namespace_selector: Annotated[LabelSelector | None, pb(4)] = None
    match_label_keys: Annotated[list[str], pb(5), LIST_ATOMIC] = []
    mismatch_label_keys: Annotated[list[str], pb(6), LIST_ATOMIC] = []


class WeightedPodAffinityTerm(ApiStruct, kw_only=True):
    """DOC WeightedPodAffinityTerm."""

    weight: Annotated[Int32, pb(1)]
    pod_affinity_term: Annotated[PodAffinityTerm, pb(2)]


class PodAffinity(ApiStruct, kw_only=True):
    """DOC PodAffinity."""

    required_during_scheduling_ignored_during_execution: Annotated[
        list[PodAffinityTerm], pb(1), LIST_ATOMIC
    ] = []
    preferred_during_scheduling_ignored_during_execution: Annotated[
        list[WeightedPodAffinityTerm], pb(2), LIST_ATOMIC
    ] = []


class PodAntiAffinity(ApiStruct, kw_only=True):
    """DOC PodAntiAffinity."""

    required_during_scheduling_ignored_during_execution: Annotated[
        list[PodAffinityTerm], pb(1), LIST_ATOMIC
    ] = []
    preferred_during_scheduling_ignored_during_execution: Annotated[
        list[WeightedPodAffinityTerm], pb(2), LIST_ATOMIC
    ] = []


class Affinity(ApiStruct, kw_only=True):
    """DOC Affinity."""

    node_affinity: Annotated[NodeAffinity | None, pb(1)] = None
    pod_affinity: Annotated[PodAffinity | None, pb(2)] = None
    pod_anti_affinity: Annotated[PodAntiAffinity | None, pb(3)] = None


class Toleration(ApiStruct, kw_only=True):
    """DOC Toleration."""

    key: Annotated[str, pb(1)] = ""
    operator: Annotated[TolerationOperator, pb(2)] = ""
    value: Annotated[str, pb(3)] = ""
    effect: Annotated[TaintEffect, pb(4)] = ""
    toleration_seconds: Annotated[Int64 | None, pb(5)] = None


class Taint(ApiStruct, kw_only=True):
    """DOC Taint."""

    key: Annotated[str, pb(1)]
    value: Annotated[str, pb(2)] = ""
    effect: Annotated[TaintEffect, pb(3)]
    time_added: Annotated[Time | None, pb(4)] = None


class TopologySpreadConstraint(ApiStruct, kw_only=True):
    """DOC TopologySpreadConstraint."""

    max_skew: Annotated[Int32, pb(1)]
    topology_key: Annotated[str, pb(2)]
    when_unsatisfiable: Annotated[UnsatisfiableConstraintAction, pb(3)]
    label_selector: Annotated[LabelSelector | None, pb(4)] = None
    min_domains: Annotated[Int32 | None, pb(5)] = None
    node_affinity_policy: Annotated[NodeInclusionPolicy | None, pb(6)] = None
    node_taints_policy: Annotated[NodeInclusionPolicy | None, pb(7)] = None
    match_label_keys: Annotated[list[str], pb(8), LIST_ATOMIC] = []


class PodSchedulingGate(ApiStruct, kw_only=True):
    """DOC PodSchedulingGate."""

    name: Annotated[str, pb(1)]


class TopologySelectorLabelRequirement(ApiStruct, kw_only=True):
    """DOC TopologySelectorLabelRequirement."""

    key: Annotated[str, pb(1)]
    values: Annotated[list[str], pb(2), LIST_ATOMIC]


class TopologySelectorTerm(ApiStruct, kw_only=True):
    """DOC TopologySelectorTerm."""

    match_label_expressions: Annotated[
        list[TopologySelectorLabelRequirement], pb(1), LIST_ATOMIC
    ] = []
