"""Which volume a claim may have, and the best of them. Walk step 3. Pure.

The rules are those that Kubernetes documents under "Persistent Volumes: Binding": a volume has one
claim at most; it must be large enough and of the same class and mode, allow all the ways of mounting
that are asked for, and carry the labels of the claim's selector. Of those that do, the smallest. A volume
that names the claim itself is kept for it, whatever its class.
"""

from collections.abc import Callable, Iterable

from api import quantity
from api.core import PersistentVolume, PersistentVolumeClaim
from api.selectors import from_label_selector
from api.storage import StorageClass
from control.resources.core.persistentvolume import CLASS_BEFORE, STORAGE
from control.resources.core.persistentvolumeclaim import class_of

SELECTED_NODE = "volume.kubernetes.io/selected-node"
"""The node that the scheduler has chosen for the first pod of a claim that waits for it."""

Reaches = Callable[[PersistentVolume], bool]


def best(
    claim: PersistentVolumeClaim,
    volumes: Iterable[PersistentVolume],
    *,
    only_kept: bool = False,
    reaches: Reaches = lambda volume: True,
) -> PersistentVolume | None:
    """The volume for a claim. `only_kept`: none but one that names it; `reaches`: those in reach."""
    able = [one for one in volumes if is_large_enough(one, claim) and reaches(one)]
    kept = [one for one in able if is_kept_for(one, claim)]
    if kept or only_kept:
        return min(kept, key=_size_and_name, default=None)
    free = (one for one in able if is_free(one) and suits(one, claim))
    return min(free, key=_size_and_name, default=None)


def is_kept_for(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """Whether the volume names this claim; one without a UID may mean a claim that was not there yet."""
    reference, metadata = volume.spec.claim_ref, claim.metadata
    return (
        reference is not None
        and (reference.namespace, reference.name) == (metadata.namespace, metadata.name)
        and reference.uid in ("", metadata.uid)
    )


def is_free(volume: PersistentVolume) -> bool:
    """Whether anybody may have it."""
    return volume.spec.claim_ref is None and volume.status.phase == "Available"


def is_large_enough(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """Large enough, of the same mode, and not on its way out."""
    wanted = claim.spec.resources.requests.get(STORAGE, "0")
    return (
        not volume.metadata.deletion_timestamp
        and quantity.compare(volume.spec.capacity.get(STORAGE, "0"), wanted) >= 0
        and (volume.spec.volume_mode or "Filesystem") == (claim.spec.volume_mode or "Filesystem")
    )


def suits(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """Class, ways of mounting, labels and attributes are those that are asked for."""
    selector = claim.spec.selector
    return (
        class_of_volume(volume) == (class_of(claim) or "")
        and set(claim.spec.access_modes) <= set(volume.spec.access_modes)
        and (selector is None or from_label_selector(selector).matches(volume.metadata.labels))
        and (volume.spec.volume_attributes_class_name or "")
        == (claim.spec.volume_attributes_class_name or "")
    )


def class_of_volume(volume: PersistentVolume) -> str:
    """The class that the volume is of."""
    named = volume.metadata.annotations.get(CLASS_BEFORE)
    return volume.spec.storage_class_name if named is None else named


def waits_for_pod(claim: PersistentVolumeClaim, class_: StorageClass | None) -> bool:
    """Whether the claim is bound only when the scheduler knows where its first pod is to run."""
    return (
        class_ is not None
        and class_.volume_binding_mode == "WaitForFirstConsumer"
        and SELECTED_NODE not in claim.metadata.annotations
    )


def _size_and_name(volume: PersistentVolume) -> tuple[int, str]:
    return quantity.parse(volume.spec.capacity.get(STORAGE, "0")).nano, volume.metadata.name
