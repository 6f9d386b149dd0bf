"""Validation of where a pod may run: node selectors, affinity, tolerations, topology spread."""

from collections.abc import Iterator, Sequence

from api import validation
from api.core import (
    Affinity,
    NodeAffinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    PodAffinityTerm,
    TaintEffect,
    Toleration,
    TopologySpreadConstraint,
    UnsatisfiableConstraintAction,
)
from api.core.pod import PodSpec
from api.core.scheduling import NodeInclusionPolicy
from api.fielderrors import FieldError, Path, duplicate, forbidden, invalid, not_supported, required
from api.meta import LabelSelector
from control.resources.checks import (
    check_enum,
    check_labels,
    check_selector,
    check_text,
    check_unique,
)

MAX_WEIGHT = 100
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def placement_errors(spec: PodSpec, path: Path) -> Iterator[FieldError]:
    """Everything in the spec that the scheduler reads, except resources and host ports."""
    yield from check_labels(path.child("nodeSelector"), spec.node_selector)
    if spec.node_name:
        yield from check_text(path.child("nodeName"), spec.node_name, validation.dns1123_subdomain)
    if spec.affinity is not None:
        yield from _affinity_errors(spec.affinity, path.child("affinity"))
    for number, toleration in enumerate(spec.tolerations):
        yield from toleration_errors(toleration, path.child("tolerations").index(number))
    yield from spread_errors(
        spec.topology_spread_constraints, path.child("topologySpreadConstraints")
    )
    gates = [
        (path.child("schedulingGates").index(number), gate.name)
        for number, gate in enumerate(spec.scheduling_gates)
    ]
    for where, name in gates:
        yield from check_text(where, name, validation.qualified_name)
    yield from check_unique(path, gates)


def toleration_errors(toleration: Toleration, path: Path) -> Iterator[FieldError]:
    """Operator, key, value and effect of a toleration fit together."""
    if toleration.key:
        yield from check_text(path.child("key"), toleration.key, validation.qualified_name)
    elif toleration.operator != "Exists":
        yield invalid(
            path.child("operator"),
            toleration.operator,
            'operator must be Exists when `key` is empty, which means "match all values and all keys"',
        )
    if toleration.toleration_seconds is not None and toleration.effect != "NoExecute":
        yield invalid(
            path.child("effect"),
            toleration.effect,
            "effect must be 'NoExecute' when `tolerationSeconds` is set",
        )
    if toleration.operator == "Exists":
        if toleration.value:
            yield invalid(
                path.child("value"),
                toleration.value,
                "value must be empty when `operator` is 'Exists'",
            )
    elif toleration.operator in ("", "Equal"):
        for why in validation.label_value(toleration.value):
            yield invalid(path.child("value"), toleration.value, why)
    else:
        yield not_supported(path.child("operator"), toleration.operator, ("Equal", "Exists"))
    yield from check_enum(path.child("effect"), toleration.effect, TaintEffect)


def node_affinity_errors(affinity: NodeAffinity, path: Path) -> Iterator[FieldError]:
    """Which nodes a pod needs, and which it likes."""
    wanted = affinity.required_during_scheduling_ignored_during_execution
    if wanted is not None:
        yield from node_selector_errors(wanted, path.child(_REQUIRED))
    for number, preferred in enumerate(
        affinity.preferred_during_scheduling_ignored_during_execution
    ):
        at = path.child(_PREFERRED).index(number)
        yield from _weight_errors(preferred.weight, at)
        yield from _node_term_errors(preferred.preference, at.child("preference"))


def _affinity_errors(affinity: Affinity, path: Path) -> Iterator[FieldError]:
    if affinity.node_affinity is not None:
        yield from node_affinity_errors(affinity.node_affinity, path.child("nodeAffinity"))
    for name, pods in (
        ("podAffinity", affinity.pod_affinity),
        ("podAntiAffinity", affinity.pod_anti_affinity),
    ):
        if pods is None:
            continue
        where = path.child(name)
        for number, term in enumerate(pods.required_during_scheduling_ignored_during_execution):
            yield from _pod_term_errors(term, where.child(_REQUIRED).index(number))
        for number, weighted in enumerate(
            pods.preferred_during_scheduling_ignored_during_execution
        ):
            at = where.child(_PREFERRED).index(number)
            yield from _weight_errors(weighted.weight, at)
            yield from _pod_term_errors(weighted.pod_affinity_term, at.child("podAffinityTerm"))


def _weight_errors(weight: int, path: Path) -> Iterator[FieldError]:
    if not 1 <= weight <= MAX_WEIGHT:
        yield invalid(path.child("weight"), weight, "must be in the range 1-100")


def node_selector_errors(selector: NodeSelector, path: Path) -> Iterator[FieldError]:
    """A node selector has at least one term."""
    where = path.child("nodeSelectorTerms")
    if not selector.node_selector_terms:
        yield required(where, "must have at least one node selector term")
    for number, term in enumerate(selector.node_selector_terms):
        yield from _node_term_errors(term, where.index(number))


def _node_term_errors(term: NodeSelectorTerm, path: Path) -> Iterator[FieldError]:
    for number, requirement in enumerate(term.match_expressions):
        yield from _requirement_errors(requirement, path.child("matchExpressions").index(number))
    for number, requirement in enumerate(term.match_fields):
        where = path.child("matchFields").index(number)
        if requirement.key != "metadata.name":
            yield invalid(where.child("key"), requirement.key, "not a valid field selector key")
        if requirement.operator not in ("In", "NotIn"):
            yield invalid(
                where.child("operator"), requirement.operator, "not a valid selector operator"
            )
        if len(requirement.values) != 1:
            yield required(
                where.child("values"),
                "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
            )


def _requirement_errors(requirement: NodeSelectorRequirement, path: Path) -> Iterator[FieldError]:
    count = len(requirement.values)
    where = path.child("values")
    match requirement.operator:
        case "In" | "NotIn":
            if count == 0:
                yield required(where, "must be specified when `operator` is 'In' or 'NotIn'")
        case "Exists" | "DoesNotExist":
            if count:
                yield forbidden(
                    where, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                )
        case "Gt" | "Lt":
            if count != 1:
                yield required(
                    where, "must be specified single value when `operator` is 'Lt' or 'Gt'"
                )
        case _:
            yield invalid(
                path.child("operator"), requirement.operator, "not a valid selector operator"
            )
    yield from check_text(path.child("key"), requirement.key, validation.qualified_name)


def _pod_term_errors(term: PodAffinityTerm, path: Path) -> Iterator[FieldError]:
    if term.label_selector is not None:
        yield from check_selector(path.child("labelSelector"), term.label_selector)
    if term.namespace_selector is not None:
        yield from check_selector(path.child("namespaceSelector"), term.namespace_selector)
    match, mismatch = term.match_label_keys, term.mismatch_label_keys
    where = path.child("mismatchLabelKeys")
    yield from _label_key_errors(match, term.label_selector, path.child("matchLabelKeys"))
    yield from _label_key_errors(mismatch, term.label_selector, where)
    for number, key in enumerate(mismatch):
        if key in match:
            words = "exists in both matchLabelKeys and mismatchLabelKeys"
            yield invalid(where.index(number), key, words)
    for number, namespace in enumerate(term.namespaces):
        yield from check_text(
            path.child("namespaces").index(number), namespace, validation.dns1123_label
        )
    if not term.topology_key:
        yield required(path.child("topologyKey"), "can not be empty")
    else:
        yield from check_text(
            path.child("topologyKey"), term.topology_key, validation.qualified_name
        )


def spread_errors(
    constraints: Sequence[TopologySpreadConstraint], path: Path
) -> Iterator[FieldError]:
    """Each constraint by itself, and no two for the same places in the same way."""
    seen = set()
    for number, constraint in enumerate(constraints):
        where = path.index(number)
        if constraint.max_skew <= 0:
            yield invalid(where.child("maxSkew"), constraint.max_skew, "must be greater than zero")
        if not constraint.topology_key:
            yield required(where.child("topologyKey"), "can not be empty")
        yield from check_enum(
            where.child("whenUnsatisfiable"),
            constraint.when_unsatisfiable,
            UnsatisfiableConstraintAction,
            needed=True,
        )
        pair = (constraint.topology_key, constraint.when_unsatisfiable)
        if pair in seen:
            yield duplicate(where, f"{{{pair[0]}, {pair[1]}}}")
        seen.add(pair)
        yield from _domain_errors(constraint, where)
        if constraint.label_selector is not None:
            yield from check_selector(where.child("labelSelector"), constraint.label_selector)
        at = where.child("matchLabelKeys")
        yield from _label_key_errors(constraint.match_label_keys, constraint.label_selector, at)
        named = _keys(constraint.label_selector)
        for place, key in enumerate(constraint.match_label_keys):
            if key in named:
                words = "exists in both matchLabelKeys and labelSelector"
                yield invalid(at.index(place), key, words)


def _label_key_errors(
    keys: Sequence[str], selector: LabelSelector | None, path: Path
) -> Iterator[FieldError]:
    """Labels whose values are the pod's own: they narrow a selector that there must be."""
    if keys and selector is None:
        yield forbidden(path, "must not be specified when labelSelector is not set")
        return
    for number, key in enumerate(keys):
        yield from check_text(path.index(number), key, validation.qualified_name)


def _keys(selector: LabelSelector | None) -> set[str]:
    if selector is None:
        return set()
    return {*selector.match_labels, *(one.key for one in selector.match_expressions)}


def _domain_errors(constraint: TopologySpreadConstraint, path: Path) -> Iterator[FieldError]:
    """Which places count: how many at least, and nodes that the pod could not use anyway."""
    least, action = constraint.min_domains, constraint.when_unsatisfiable
    where = path.child("minDomains")
    if least is not None and least <= 0:
        yield invalid(where, least, "must be greater than zero")
    if least is not None and action != "DoNotSchedule":
        words = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
        yield invalid(where, least, words)
    for name, policy in (
        ("nodeAffinityPolicy", constraint.node_affinity_policy),
        ("nodeTaintsPolicy", constraint.node_taints_policy),
    ):
        yield from check_enum(path.child(name), policy, NodeInclusionPolicy)
