"""What a pod says about other pods, read once: which pods, in which places, how strongly.

Affinity, anti-affinity and spread constraints of a PodSpec become values that can be compared and
counted by (`control/scheduler/census.py`). The rules are those of the API's documentation of
PodAffinityTerm and TopologySpreadConstraint. Pure.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from api.core import Pod, PodAffinityTerm, TopologySpreadConstraint
from api.meta import LabelSelector
from api.selectors import NOTHING, Operator, Requirement, Selector, from_label_selector


@dataclass(frozen=True, slots=True)
class PodSet:
    """Pods of some namespaces whose labels are selected; `leaving` ones count only if so said."""

    namespaces: frozenset[str]
    namespace_selector: Selector
    selector: Selector
    leaving: bool = True

    def matches(
        self,
        namespace: str,
        labels: Mapping[str, str],
        leaving: bool,
        namespaces: Mapping[str, Mapping[str, str]],
    ) -> bool:
        """Whether a pod is of the set. `namespaces`: the labels of each, by name."""
        if leaving and not self.leaving:
            return False
        if namespace not in self.namespaces and not self._selects(namespace, namespaces):
            return False
        return self.selector.matches(labels)

    def _selects(self, namespace: str, namespaces: Mapping[str, Mapping[str, str]]) -> bool:
        chooses = self.namespace_selector
        return not chooses.nothing and chooses.matches(namespaces.get(namespace, {}))


@dataclass(frozen=True, slots=True)
class Term:
    """Pods that should be near or far: in the same place by `topology_key`, a label of nodes.

    `weight` is 0 for what is required, positive for what attracts, negative for what repels.
    """

    pods: PodSet
    topology_key: str
    weight: int = 0


@dataclass(frozen=True, slots=True)
class Spread:
    """One topology spread constraint. `itself`: whether the pod is among those it counts."""

    pods: PodSet
    topology_key: str
    max_skew: int
    min_domains: int
    hard: bool
    honor_affinity: bool
    honor_taints: bool
    itself: bool


@dataclass(frozen=True, slots=True)
class PodTerms:
    """All that one pod says about others. `near` and `far` must hold, `preferred` counts."""

    near: tuple[Term, ...] = ()
    far: tuple[Term, ...] = ()
    preferred: tuple[Term, ...] = ()
    spread: tuple[Spread, ...] = ()


NO_TERMS = PodTerms()


def terms_of(
    pod: Pod,
    defaults: Sequence[TopologySpreadConstraint] = (),
    siblings: PodSet | None = None,
) -> PodTerms:
    """The terms of a pod. `defaults`: spread constraints for `siblings` if it has none of its own."""
    affinity, constraints = pod.spec.affinity, pod.spec.topology_spread_constraints
    spread = tuple(_spread(pod, one, _counted(pod, one)) for one in constraints)
    if not constraints and siblings is not None:
        spread = tuple(_spread(pod, one, siblings) for one in defaults)
    near = affinity.pod_affinity if affinity else None
    far = affinity.pod_anti_affinity if affinity else None
    if near is None and far is None and not spread:
        return NO_TERMS
    required_near = near.required_during_scheduling_ignored_during_execution if near else []
    required_far = far.required_during_scheduling_ignored_during_execution if far else []
    preferred = [
        *(near.preferred_during_scheduling_ignored_during_execution if near else []),
        *(far.preferred_during_scheduling_ignored_during_execution if far else []),
    ]
    attracting = len(near.preferred_during_scheduling_ignored_during_execution) if near else 0
    return PodTerms(
        near=tuple(_term(pod, term) for term in required_near),
        far=tuple(_term(pod, term) for term in required_far),
        preferred=tuple(
            _term(pod, one.pod_affinity_term, one.weight if at < attracting else -one.weight)
            for at, one in enumerate(preferred)
        ),
        spread=spread,
    )


def _term(pod: Pod, term: PodAffinityTerm, weight: int = 0) -> Term:
    own = not term.namespaces and term.namespace_selector is None
    chosen = PodSet(
        namespaces=frozenset([pod.metadata.namespace] if own else term.namespaces),
        namespace_selector=(
            NOTHING
            if term.namespace_selector is None
            else from_label_selector(term.namespace_selector)
        ),
        selector=_selector(
            term.label_selector,
            pod.metadata.labels,
            (term.match_label_keys, Operator.IN),
            (term.mismatch_label_keys, Operator.NOT_IN),
        ),
    )
    return Term(chosen, term.topology_key, weight)


def siblings_of(pod: Pod, selector: Selector) -> PodSet:
    """Pods of a pod's namespace that are selected, but for those that are being deleted."""
    return PodSet(frozenset([pod.metadata.namespace]), NOTHING, selector, leaving=False)


def _counted(pod: Pod, constraint: TopologySpreadConstraint) -> PodSet:
    keys = (constraint.match_label_keys, Operator.IN)
    return siblings_of(pod, _selector(constraint.label_selector, pod.metadata.labels, keys))


def _spread(pod: Pod, constraint: TopologySpreadConstraint, chosen: PodSet) -> Spread:
    return Spread(
        chosen,
        constraint.topology_key,
        constraint.max_skew,
        constraint.min_domains or 1,
        hard=constraint.when_unsatisfiable == "DoNotSchedule",
        honor_affinity=constraint.node_affinity_policy != "Ignore",
        honor_taints=constraint.node_taints_policy == "Honor",
        itself=chosen.selector.matches(pod.metadata.labels),
    )


def _selector(
    selector: LabelSelector | None,
    labels: Mapping[str, str],
    *narrowings: tuple[Iterable[str], Operator],
) -> Selector:
    """A selector with the pod's own values of some labels added; labels it lacks add nothing."""
    wanted = from_label_selector(selector)
    if wanted.nothing:
        return wanted
    added = tuple(_narrowed(labels, narrowings))
    return Selector((*wanted.requirements, *added)) if added else wanted


def _narrowed(
    labels: Mapping[str, str], narrowings: Iterable[tuple[Iterable[str], Operator]]
) -> Iterator[Requirement]:
    for keys, operator in narrowings:
        for key in keys:
            if key in labels:
                yield Requirement(key, operator, (labels[key],))
