"""Where a pod may run: selectors and affinity, taints and tolerations, spreading.

Read by the scheduler in step 3 of the pod's walk; NoExecute taints also by the node lifecycle
controller, which evicts the pods that do not tolerate them.
"""

from typing import Annotated, ClassVar

from msgspec import field

from api.meta import LabelSelector
from api.struct import LIST_ATOMIC, ApiStruct, Int32, Int64, Time, enum, pb

NodeSelectorOperator = Annotated[str, enum("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")]
TolerationOperator = Annotated[str, enum("Exists", "Equal")]
TaintEffect = Annotated[str, enum("NoSchedule", "PreferNoSchedule", "NoExecute")]
UnsatisfiableConstraintAction = Annotated[str, enum("DoNotSchedule", "ScheduleAnyway")]
NodeInclusionPolicy = Annotated[str, enum("Ignore", "Honor")]


class NodeSelectorRequirement(ApiStruct, kw_only=True):
    """One demand on a node's label or field."""

    key: Annotated[str, pb(1)]
    """Label or field to look at."""
    operator: Annotated[NodeSelectorOperator, pb(2)]
    """`In`, `NotIn`, `Exists`, `DoesNotExist`, `Gt` or `Lt`."""
    values: Annotated[list[str], pb(3), LIST_ATOMIC] = []
    """Values to compare with; exactly one integer for `Gt` and `Lt`, none for `Exists` and
    `DoesNotExist`."""


class NodeSelectorTerm(ApiStruct, kw_only=True):
    """A set of demands that must all hold. One without any demand matches no node."""

    __atomic__: ClassVar[bool] = True

    match_expressions: Annotated[list[NodeSelectorRequirement], pb(1), LIST_ATOMIC] = []
    """Demands on labels."""
    match_fields: Annotated[list[NodeSelectorRequirement], pb(2), LIST_ATOMIC] = []
    """Demands on fields; only `metadata.name` is known."""


class NodeSelector(ApiStruct, kw_only=True):
    """Matches a node if at least one of its terms does."""

    __atomic__: ClassVar[bool] = True

    node_selector_terms: Annotated[list[NodeSelectorTerm], pb(1), LIST_ATOMIC]
    """The terms, at least one."""


class PreferredSchedulingTerm(ApiStruct, kw_only=True):
    """A preference for some nodes with its weight."""

    weight: Annotated[Int32, pb(1)]
    """1 to 100, added to the score of a node that matches."""
    preference: Annotated[NodeSelectorTerm, pb(2)] = field(default_factory=NodeSelectorTerm)
    """Which nodes are preferred."""


class NodeAffinity(ApiStruct, kw_only=True):
    """Ties a pod to nodes by their labels."""

    required_during_scheduling_ignored_during_execution: Annotated[NodeSelector | None, pb(1)] = (
        None
    )
    """Only nodes that match are considered. Later changes of labels evict nobody."""
    preferred_during_scheduling_ignored_during_execution: Annotated[
        list[PreferredSchedulingTerm], pb(2), LIST_ATOMIC
    ] = []
    """Nodes that match score higher."""


class PodAffinityTerm(ApiStruct, kw_only=True):
    """Chooses pods, and the size of the neighbourhood in which they count."""

    label_selector: Annotated[LabelSelector | None, pb(1)] = None
    """Labels of the pods that count; absent means none."""
    namespaces: Annotated[list[str], pb(2), LIST_ATOMIC] = []
    """Namespaces to look in. Default, when `namespaceSelector` is absent too: the pod's own."""
    topology_key: Annotated[str, pb(3)]
    """Node label whose equal values mean the same place, such as `kubernetes.io/hostname`."""
    namespace_selector: Annotated[LabelSelector | None, pb(4)] = None
    """Further namespaces by their labels; an empty selector means all."""
    match_label_keys: Annotated[list[str], pb(5), LIST_ATOMIC] = []
    """Labels whose values are taken from the new pod and must be equal. Needs `labelSelector`."""
    mismatch_label_keys: Annotated[list[str], pb(6), LIST_ATOMIC] = []
    """Labels whose values are taken from the new pod and must differ. Needs `labelSelector`."""


class WeightedPodAffinityTerm(ApiStruct, kw_only=True):
    """A preference for a neighbourhood with its weight."""

    weight: Annotated[Int32, pb(1)]
    """1 to 100, added to the score of a node that matches."""
    pod_affinity_term: Annotated[PodAffinityTerm, pb(2)]
    """Which pods should be near, or far."""


class PodAffinity(ApiStruct, kw_only=True):
    """Puts a pod near other pods."""

    required_during_scheduling_ignored_during_execution: Annotated[
        list[PodAffinityTerm], pb(1), LIST_ATOMIC
    ] = []
    """Only places where pods of each term run are considered."""
    preferred_during_scheduling_ignored_during_execution: Annotated[
        list[WeightedPodAffinityTerm], pb(2), LIST_ATOMIC
    ] = []
    """Places where such pods run score higher."""


class PodAntiAffinity(ApiStruct, kw_only=True):
    """Keeps a pod away from other pods."""

    required_during_scheduling_ignored_during_execution: Annotated[
        list[PodAffinityTerm], pb(1), LIST_ATOMIC
    ] = []
    """Places where pods of any term run are left out."""
    preferred_during_scheduling_ignored_during_execution: Annotated[
        list[WeightedPodAffinityTerm], pb(2), LIST_ATOMIC
    ] = []
    """Places where such pods run score lower."""


class Affinity(ApiStruct, kw_only=True):
    """Rules that tie a pod to nodes or to other pods."""

    node_affinity: Annotated[NodeAffinity | None, pb(1)] = None
    """By labels of nodes."""
    pod_affinity: Annotated[PodAffinity | None, pb(2)] = None
    """Near certain pods."""
    pod_anti_affinity: Annotated[PodAntiAffinity | None, pb(3)] = None
    """Away from certain pods."""


class Toleration(ApiStruct, kw_only=True):
    """Lets a pod run on nodes with a matching taint."""

    key: Annotated[str, pb(1)] = ""
    """Key of the taint; empty, with operator `Exists`, matches every taint."""
    operator: Annotated[TolerationOperator, pb(2)] = ""
    """`Equal` compares the value, `Exists` does not. Default: Equal."""
    value: Annotated[str, pb(3)] = ""
    """Value of the taint; must be empty with `Exists`."""
    effect: Annotated[TaintEffect, pb(4)] = ""
    """Effect of the taint; empty matches all."""
    toleration_seconds: Annotated[Int64 | None, pb(5)] = None
    """How long the pod may stay after a NoExecute taint appears. Default: forever; 0 or less: not
    at all."""


class Taint(ApiStruct, kw_only=True):
    """Keeps pods off a node unless they tolerate it."""

    key: Annotated[str, pb(1)]
    """Key of the taint."""
    value: Annotated[str, pb(2)] = ""
    """Value of the taint."""
    effect: Annotated[TaintEffect, pb(3)]
    """`NoSchedule` keeps new pods away, `PreferNoSchedule` if possible, `NoExecute` also evicts
    those that run."""
    time_added: Annotated[Time | None, pb(4)] = None
    """When a NoExecute taint was added."""


class TopologySpreadConstraint(ApiStruct, kw_only=True):
    """Spreads matching pods evenly over zones, nodes or other places."""

    max_skew: Annotated[Int32, pb(1)]
    """The largest allowed difference between the number of pods in one place and the smallest
    number in any. At least 1."""
    topology_key: Annotated[str, pb(2)]
    """Node label whose equal values mean the same place."""
    when_unsatisfiable: Annotated[UnsatisfiableConstraintAction, pb(3)]
    """`DoNotSchedule` lets the pod wait; `ScheduleAnyway` only lowers the score."""
    label_selector: Annotated[LabelSelector | None, pb(4)] = None
    """Which pods are counted."""
    min_domains: Annotated[Int32 | None, pb(5)] = None
    """If there are fewer places than this, the smallest number counts as 0. Only with
    `DoNotSchedule`. Default: 1."""
    node_affinity_policy: Annotated[NodeInclusionPolicy | None, pb(6)] = None
    """Whether nodes that the pod's own selector and affinity exclude are counted: `Honor` leaves
    them out, `Ignore` counts them. Default: Honor."""
    node_taints_policy: Annotated[NodeInclusionPolicy | None, pb(7)] = None
    """Whether nodes with taints that the pod does not tolerate are left out: `Honor` or `Ignore`.
    Default: Ignore."""
    match_label_keys: Annotated[list[str], pb(8), LIST_ATOMIC] = []
    """Labels whose values are taken from the new pod and added to the selector."""


class PodSchedulingGate(ApiStruct, kw_only=True):
    """A reason not to schedule a pod yet. It may be removed but not added later."""

    name: Annotated[str, pb(1)]
    """Name of the gate."""


class TopologySelectorLabelRequirement(ApiStruct, kw_only=True):
    """Demands that a node label has one of some values."""

    key: Annotated[str, pb(1)]
    """Label to look at."""
    values: Annotated[list[str], pb(2), LIST_ATOMIC]
    """Values that match."""


class TopologySelectorTerm(ApiStruct, kw_only=True):
    """A set of demands on node labels that must all hold."""

    __atomic__: ClassVar[bool] = True

    match_label_expressions: Annotated[
        list[TopologySelectorLabelRequirement], pb(1), LIST_ATOMIC
    ] = []
    """The demands."""
