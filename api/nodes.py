"""Rules about nodes that several sides need: which node fits a selector, what it offers, its state.

Serves the scheduler's filters and scores, the node controller, and whoever looks for an address.
Pure functions over typed values. Amounts are in the units of `api.resources`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from api import conditions
from api.core.node import Node
from api.core.pod import PodSpec
from api.core.scheduling import (
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    PreferredSchedulingTerm,
)
from api.resources import Amounts, amounts

ZONE = "topology.kubernetes.io/zone"
"""The label that says in which zone a node is."""
REGION = "topology.kubernetes.io/region"

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)


def is_ready(node: Node) -> bool:
    """The agent reports it ready, lately enough for the node controller."""
    return conditions.is_true(node.status.conditions, "Ready")


def zone_of(node: Node | None) -> str:
    """The zone that the node is in; empty where that is not known."""
    return node.metadata.labels.get(ZONE, "") if node is not None else ""


def allocatable(node: Node) -> Amounts:
    """What pods may request in total."""
    return amounts(node.status.allocatable or node.status.capacity)


def address(node: Node, *kinds: str) -> str:
    """The first address of the first kind it has; `InternalIP` unless said otherwise."""
    for kind in kinds or ("InternalIP",):
        for candidate in node.status.addresses:
            if candidate.type == kind:
                return candidate.address
    return ""


def matches_required(spec: PodSpec, node: Node) -> bool:
    """Whether the pod may run there by its nodeSelector and its required node affinity."""
    labels = node.metadata.labels
    for name, value in spec.node_selector.items():
        if labels.get(name) != value:
            return False
    affinity = spec.affinity.node_affinity if spec.affinity else None
    required = affinity.required_during_scheduling_ignored_during_execution if affinity else None
    return required is None or matches_selector(required, node)


def preference(spec: PodSpec, node: Node) -> int:
    """The weights of the preferred node affinity terms that the node meets, summed."""
    affinity = spec.affinity.node_affinity if spec.affinity else None
    if affinity is None:
        return 0
    return preferred(affinity.preferred_during_scheduling_ignored_during_execution, node)


def preferred(terms: Iterable[PreferredSchedulingTerm], node: Node) -> int:
    """The weights of those that the node meets, summed."""
    return sum(term.weight for term in terms if matches_term(term.preference, node))


def matches_selector(selector: NodeSelector, node: Node) -> bool:
    """Whether any term matches; a selector without terms matches nothing."""
    return any(matches_term(term, node) for term in selector.node_selector_terms)


def matches_term(term: NodeSelectorTerm, node: Node) -> bool:
    """Whether all requirements of the term hold; a term without any matches nothing."""
    if not term.match_expressions and not term.match_fields:
        return False
    labels = node.metadata.labels
    fields = {"metadata.name": node.metadata.name}
    return all(matches_requirement(item, labels) for item in term.match_expressions) and all(
        matches_requirement(item, fields) for item in term.match_fields
    )


def matches_requirement(requirement: NodeSelectorRequirement, values: Mapping[str, str]) -> bool:
    """Whether one requirement holds for a node's labels (or fields)."""
    value = values.get(requirement.key)
    match requirement.operator:
        case "In":
            return value in requirement.values
        case "NotIn":
            return value is None or value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt":
            return _compares(requirement, value)
        case _:
            return False  # validation refuses any other


def _compares(requirement: NodeSelectorRequirement, value: str | None) -> bool:
    bound = requirement.values[0] if len(requirement.values) == 1 else ""
    if value is None or not _INTEGER.fullmatch(value) or not _INTEGER.fullmatch(bound):
        return False
    if requirement.operator == "Gt":
        return int(value) > int(bound)
    return int(value) < int(bound)


def named_nodes(spec: PodSpec) -> frozenset[str] | None:
    """The nodes that the pod's required affinity names one by one (DaemonSet pods do), or None.

    A superset of those that match: a caller asks `matches_required` of these instead of all.
    """
    affinity = spec.affinity.node_affinity if spec.affinity else None
    required = affinity.required_during_scheduling_ignored_during_execution if affinity else None
    if required is None or not required.node_selector_terms:
        return None
    named: set[str] = set()
    for term in required.node_selector_terms:
        fields = [item for item in term.match_fields if item.operator == "In"]
        if not fields:
            return None
        named.update(fields[0].values)
    return frozenset(named)
