"""Which pods a quota with scopes counts. Walk step 1.

Pure. As Kubernetes documents scopes: all of them must hold; one in `scopes` is short for a requirement
that it `Exists`; a quota with any scope counts nothing but pods.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from api.core import Pod, PodAffinityTerm
from api.pods import QosClass, qos_class

PRIORITY_CLASS = "PriorityClass"


class Requirement(Protocol):
    """One line of a `scopeSelector`: a `ScopedResourceSelectorRequirement`."""

    @property
    def scope_name(self) -> str: ...
    @property
    def operator(self) -> str: ...
    @property
    def values(self) -> Sequence[str]: ...


def counts(pod: Pod, scopes: Sequence[str], requirements: Sequence[Requirement] = ()) -> bool:
    """Whether the pod is in every scope."""
    return all(_has(pod, scope) for scope in scopes) and all(
        _meets(pod, requirement) for requirement in requirements
    )


def _meets(pod: Pod, requirement: Requirement) -> bool:
    name, operator = pod.spec.priority_class_name, requirement.operator
    if requirement.scope_name != PRIORITY_CLASS or operator == "Exists":
        return _has(pod, requirement.scope_name)
    if operator == "In":
        return name in requirement.values if name else False
    if operator == "NotIn":
        return not name or name not in requirement.values
    return not name  # DoesNotExist


def _has(pod: Pod, scope: str) -> bool:
    spec = pod.spec
    if scope == "Terminating":
        return _is_bounded(pod)
    if scope == "NotTerminating":
        return not _is_bounded(pod)
    if scope == "BestEffort":
        return qos_class(pod) is QosClass.BEST_EFFORT
    if scope == "NotBestEffort":
        return qos_class(pod) is not QosClass.BEST_EFFORT
    if scope == PRIORITY_CLASS:
        return bool(spec.priority_class_name)
    if scope == "CrossNamespacePodAffinity":
        return any(term.namespaces or term.namespace_selector is not None for term in _terms(pod))
    return False  # VolumeAttributesClass is for claims, and what is unknown counts nothing


def _is_bounded(pod: Pod) -> bool:
    """It ends by itself: the scope means the pod's deadline, not its deletion."""
    seconds = pod.spec.active_deadline_seconds
    return seconds is not None and seconds >= 0


def _terms(pod: Pod) -> Iterator[PodAffinityTerm]:
    affinity = pod.spec.affinity
    if affinity is None:
        return
    for kind in (affinity.pod_affinity, affinity.pod_anti_affinity):
        if kind is not None:
            yield from kind.required_during_scheduling_ignored_during_execution
            for weighted in kind.preferred_during_scheduling_ignored_during_execution:
                yield weighted.pod_affinity_term
