"""Which pods and claims a quota with scopes counts. Walk step 1.

Pure. As Kubernetes documents scopes: all of them must hold; one in `scopes` is short for a requirement
that it `Exists`; a quota with any scope counts nothing but pods, or claims if it is
`VolumeAttributesClass`.
"""

from __future__ import annotations

from collections.abc import Collection

from api.core import (
    PersistentVolumeClaim,
    Pod,
    ResourceQuotaSpec,
    ScopedResourceSelectorRequirement,
)
from api.pods import QosClass, affinity_terms, qos_class

PRIORITY_CLASS = "PriorityClass"
CLAIM_ATTRIBUTES = "VolumeAttributesClass"


def counts(quota: ResourceQuotaSpec, obj: object) -> bool:
    """Whether the object is in every scope."""
    terms = quota.scope_selector.match_expressions if quota.scope_selector else []
    if isinstance(obj, Pod):
        return all(_has(obj, scope) for scope in quota.scopes) and all(
            _pod_meets(obj, term) for term in terms
        )
    if isinstance(obj, PersistentVolumeClaim):
        return all(_claim_has(obj, scope) for scope in quota.scopes) and all(
            _claim_meets(obj, term) for term in terms
        )
    return not quota.scopes and not terms


def _pod_meets(pod: Pod, term: ScopedResourceSelectorRequirement) -> bool:
    if term.scope_name != PRIORITY_CLASS:
        return _has(pod, term.scope_name)
    name = pod.spec.priority_class_name
    return _meets([name] if name else [], term)


def _claim_has(claim: PersistentVolumeClaim, scope: str) -> bool:
    return scope == CLAIM_ATTRIBUTES and bool(_attribute_classes(claim))


def _claim_meets(claim: PersistentVolumeClaim, term: ScopedResourceSelectorRequirement) -> bool:
    return term.scope_name == CLAIM_ATTRIBUTES and _meets(_attribute_classes(claim), term)


def _attribute_classes(claim: PersistentVolumeClaim) -> set[str]:
    """Those it wants, has, and is on the way to."""
    status = claim.status
    on_the_way = status.modify_volume_status
    found = (
        claim.spec.volume_attributes_class_name,
        status.current_volume_attributes_class_name,
        on_the_way.target_volume_attributes_class_name if on_the_way else None,
    )
    return {name for name in found if name}


def _meets(names: Collection[str], term: ScopedResourceSelectorRequirement) -> bool:
    if term.operator == "Exists":
        return bool(names)
    if term.operator == "DoesNotExist":
        return not names
    listed = any(name in term.values for name in names)
    return (
        listed if term.operator == "In" else not names or any(n not in term.values for n in names)
    )


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
        return any(
            term.namespaces or term.namespace_selector is not None for term in affinity_terms(pod)
        )
    return False  # VolumeAttributesClass is for claims, and what is unknown counts nothing


def _is_bounded(pod: Pod) -> bool:
    """It ends by itself: the scope means the pod's deadline, not its deletion."""
    seconds = pod.spec.active_deadline_seconds
    return seconds is not None and seconds >= 0
