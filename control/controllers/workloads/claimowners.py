"""Which claims of a StatefulSet go with it, or with their pod. Pure; walk step 7.

`persistentVolumeClaimRetentionPolicy` says what becomes of claims when the set is deleted
(`whenDeleted`) and when their pod is no longer wanted (`whenScaled`). To delete them is left to the
garbage collector: a claim is given the set, or the pod that leaves, as its owner, and goes with it.
A claim that another controller owns is none of ours, whatever its name.
"""

from api import objects
from api.apps import StatefulSet
from api.core import PersistentVolumeClaim, Pod
from api.meta import OwnerReference


def is_foreign(claim: PersistentVolumeClaim, owner: StatefulSet, pod_name: str) -> bool:
    """Whether somebody else controls the claim."""
    return any(
        one.controller and not _is_ours(one, owner, pod_name)
        for one in claim.metadata.owner_references
    )


def is_stale(claim: PersistentVolumeClaim, pod_name: str, pod_uid: str) -> bool:
    """Whether the claim goes with a former pod of that name: it may vanish at any moment."""
    return any(
        one.kind == "Pod" and one.name == pod_name and one.uid != pod_uid
        for one in claim.metadata.owner_references
    )


def owners_of(
    claim: PersistentVolumeClaim, owner: StatefulSet, pod: Pod, *, wanted: bool
) -> list[OwnerReference]:
    """The claim's owners as the policy says; `wanted`: the set still wants this pod."""
    policy = owner.spec.persistent_volume_claim_retention_policy
    with_set = policy is not None and policy.when_deleted == "Delete"
    with_pod = policy is not None and policy.when_scaled == "Delete" and not wanted
    others = [
        one
        for one in claim.metadata.owner_references
        if not _is_ours(one, owner, pod.metadata.name)
    ]
    if with_pod:
        return [*others, objects.controller_reference(pod)]
    if with_set:
        return [*others, objects.controller_reference(owner)]
    return others


def _is_ours(one: OwnerReference, owner: StatefulSet, pod_name: str) -> bool:
    if one.kind == "StatefulSet":
        return one.uid == owner.metadata.uid
    return one.kind == "Pod" and one.name == pod_name
