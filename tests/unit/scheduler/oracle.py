"""A slow and obvious scheduler: what the documentation says, node by node and pod by pod.

It answers for pods' terms about each other and for images, and knows nothing of arrays, groups or caches.
"""

import math
from dataclasses import dataclass, field
from typing import Any

from api import nodes, pods
from api.core import Node, Pod, PodAffinityTerm, TopologySpreadConstraint
from api.selectors import from_label_selector


@dataclass
class Cluster:
    """Nodes, the pods on each, and the labels of namespaces."""

    nodes: list[Node]
    placed: list[tuple[Pod, str]] = field(default_factory=list)
    namespaces: dict[str, dict[str, str]] = field(default_factory=dict)

    def label(self, node_name: str, key: str) -> str | None:
        for node in self.nodes:
            if node.metadata.name == node_name:
                return node.metadata.labels.get(key)
        return None

    def share(self, one: str, other: str, key: str) -> bool:
        value = self.label(one, key)
        return value is not None and value == self.label(other, key)


def is_about(term: PodAffinityTerm, carrier: Pod, other: Pod, cluster: Cluster) -> bool:
    """Whether a term of `carrier` is about `other`."""
    namespace = other.metadata.namespace
    if not term.namespaces and term.namespace_selector is None:
        here = namespace == carrier.metadata.namespace
    else:
        here = namespace in term.namespaces or (
            term.namespace_selector is not None
            and from_label_selector(term.namespace_selector).matches(
                cluster.namespaces.get(namespace, {})
            )
        )
    if not here or term.label_selector is None:
        return False
    mine, theirs = carrier.metadata.labels, other.metadata.labels
    return (
        from_label_selector(term.label_selector).matches(theirs)
        and all(theirs.get(k) == mine[k] for k in term.match_label_keys if k in mine)
        and all(theirs.get(k) != mine[k] for k in term.mismatch_label_keys if k in mine)
    )


def required(pod: Pod, sort: str) -> list[PodAffinityTerm]:
    rules: Any = getattr(pod.spec.affinity, sort) if pod.spec.affinity else None
    return rules.required_during_scheduling_ignored_during_execution if rules else []


def preferred(pod: Pod) -> list[tuple[int, PodAffinityTerm]]:
    found = []
    for sort, sign in (("pod_affinity", 1), ("pod_anti_affinity", -1)):
        rules: Any = getattr(pod.spec.affinity, sort) if pod.spec.affinity else None
        for one in rules.preferred_during_scheduling_ignored_during_execution if rules else []:
            found.append((sign * one.weight, one.pod_affinity_term))
    return found


def refusal(pod: Pod, node: str, cluster: Cluster) -> str:
    """Why pods keep this one off a node; empty if they do not."""
    near = required(pod, "pod_affinity")
    companions = [
        where
        for other, where in cluster.placed
        if near and all(is_about(term, pod, other, cluster) for term in near)
    ]
    counted = any(
        cluster.label(where, term.topology_key) is not None for where in companions for term in near
    )
    alone = not counted and all(is_about(term, pod, pod, cluster) for term in near)
    for term in near:
        if cluster.label(node, term.topology_key) is None:
            return "node(s) didn't match pod affinity rules"
        if not alone and not any(
            cluster.share(node, where, term.topology_key) for where in companions
        ):
            return "node(s) didn't match pod affinity rules"
    for term in required(pod, "pod_anti_affinity"):
        for other, where in cluster.placed:
            if is_about(term, pod, other, cluster) and cluster.share(
                node, where, term.topology_key
            ):
                return "node(s) didn't match pod anti-affinity rules"
    for other, where in cluster.placed:
        for term in required(other, "pod_anti_affinity"):
            if is_about(term, other, pod, cluster) and cluster.share(
                node, where, term.topology_key
            ):
                return "node(s) didn't satisfy existing pods anti-affinity rules"
    return ""


def preference(pod: Pod, node: str, cluster: Cluster) -> int:
    """The sum of the weights of all pods' preferences that a node would meet."""
    total = 0
    for other, where in cluster.placed:
        for weight, term in preferred(pod):
            if is_about(term, pod, other, cluster):
                total += weight * cluster.share(node, where, term.topology_key)
        for weight, term in preferred(other):
            if is_about(term, other, pod, cluster):
                total += weight * cluster.share(node, where, term.topology_key)
        for term in required(other, "pod_affinity"):
            if is_about(term, other, pod, cluster):
                total += cluster.share(node, where, term.topology_key)
    return total


def counts(constraint: TopologySpreadConstraint, pod: Pod, other: Pod) -> bool:
    """Whether a constraint of `pod` counts `other`."""
    mine, theirs = pod.metadata.labels, other.metadata.labels
    return (
        constraint.label_selector is not None
        and other.metadata.namespace == pod.metadata.namespace
        and not other.metadata.deletion_timestamp
        and from_label_selector(constraint.label_selector).matches(theirs)
        and all(theirs.get(k) == mine[k] for k in constraint.match_label_keys if k in mine)
    )


def places(
    constraint: TopologySpreadConstraint, of_sort: list[Any], pod: Pod, cluster: Cluster
) -> dict[str, int]:
    """The pods that count, by place; only places with a node that counts."""
    found: dict[str, int] = {}
    for node in cluster.nodes:
        name, labels = node.metadata.name, node.metadata.labels
        if any(one.topology_key not in labels for one in of_sort):
            continue
        if constraint.node_affinity_policy != "Ignore" and not nodes.matches_required(
            pod.spec, node
        ):
            continue
        if constraint.node_taints_policy == "Honor" and not all(
            pods.tolerates(pod.spec.tolerations, taint) for taint in node.spec.taints
        ):
            continue
        here = sum(counts(constraint, pod, other) for other, on in cluster.placed if on == name)
        place = labels[constraint.topology_key]
        found[place] = found.get(place, 0) + here
    return found


def skew(pod: Pod, node: str, cluster: Cluster) -> str:
    """Why the hard spread constraints keep the pod off a node; empty if they do not."""
    hard = [
        one
        for one in pod.spec.topology_spread_constraints
        if one.when_unsatisfiable == "DoNotSchedule"
    ]
    for one in hard:
        words = "node(s) didn't match pod topology spread constraints"
        place = cluster.label(node, one.topology_key)
        if place is None:
            return f"{words} (missing required label)"
        found = places(one, hard, pod, cluster)
        least = 0 if len(found) < (one.min_domains or 1) else min(found.values())
        itself = one.label_selector is not None and from_label_selector(one.label_selector).matches(
            pod.metadata.labels
        )
        if found.get(place, 0) + itself - least > one.max_skew:
            return words
    return ""


def unevenness(pod: Pod, node: str, candidates: list[str], cluster: Cluster) -> float | None:
    """What the soft spread constraints have against a node; None if it lacks a label."""
    soft = [
        one
        for one in pod.spec.topology_spread_constraints
        if one.when_unsatisfiable == "ScheduleAnyway"
    ]
    labelled = [
        name
        for name in candidates
        if all(cluster.label(name, one.topology_key) is not None for one in soft)
    ]
    if node not in labelled:
        return None
    cost = 0.0
    for one in soft:
        place = cluster.label(node, one.topology_key)
        known = {cluster.label(name, one.topology_key) for name in labelled}
        found = places(one, soft, pod, cluster)
        cost += found.get(place or "", 0) * math.log(len(known) + 2) + one.max_skew - 1
    return float(round(cost))


def locality(pod: Pod, node: str, cluster: Cluster) -> float:
    """What a node's images are worth to a pod, 0 to 100; names are written in full."""

    def size(name: str, on: Node) -> int | None:
        return next((one.size_bytes for one in on.status.images if name in one.names), None)

    (here,) = (one for one in cluster.nodes if one.metadata.name == node)
    containers = [*pod.spec.init_containers, *pod.spec.containers]
    total = 0.0
    for container in containers:
        having = sum(size(container.image, one) is not None for one in cluster.nodes)
        total += (size(container.image, here) or 0) * having / len(cluster.nodes)
    least, most = 23 * 2**20, 1000 * 2**20 * len(containers)
    return 100 * (min(max(total, least), most) - least) / (most - least)
