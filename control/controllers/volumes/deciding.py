"""What becomes of a claim and of a volume, as the two are now. Walk step 3. Pure.

A binding is written down on both sides: the volume names the claim, with its UID, and the claim names
the volume. The volume is written first; whatever is found half done is finished. Annotations tell
what was decided here from what a user wrote, as in Kubernetes: only the former is ever taken back.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from api.core import PersistentVolume, PersistentVolumeClaim
from api.storage import StorageClass
from control.controllers.volumes.matching import best, is_kept_for, waits_for_pod
from control.resources.core.persistentvolumeclaim import class_of

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
PROVISIONER = "volume.kubernetes.io/storage-provisioner"
PROVISIONER_BEFORE = "volume.beta.kubernetes.io/storage-provisioner"
_IN_TREE = "kubernetes.io/"
"""Provisioners of this domain were part of Kubernetes; there are none here."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event."""

    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Bind:
    """The claim gets this volume, or has it already."""

    volume: PersistentVolume


@dataclass(frozen=True, slots=True)
class Wait:
    """The claim waits. `provisioner`: who is asked to make a volume for it."""

    told: Told | None = None
    provisioner: str = ""


@dataclass(frozen=True, slots=True)
class Lose:
    """The claim's volume is gone, and what was on it."""

    told: Told


def of_claim(
    claim: PersistentVolumeClaim,
    volumes: Mapping[str, PersistentVolume],
    class_: StorageClass | None,
) -> Bind | Wait | Lose:
    """The next step for a claim. `volumes`: by name, all that it may have; `class_`: its own."""
    completed = BIND_COMPLETED in claim.metadata.annotations
    name = claim.spec.volume_name
    if not name and not completed:
        return _search(claim, volumes, class_)
    volume = volumes.get(name)
    if volume is None:
        return _gone(name) if completed else Wait()
    if volume.spec.claim_ref is None or is_kept_for(volume, claim):
        return Bind(volume)
    if completed:
        words = "Two claims are bound to the same volume, this one is bound incorrectly"
        return Lose(Told("Warning", "ClaimMisbound", words))
    words = f'volume "{name}" already bound to a different claim.'
    return Wait(Told("Warning", "FailedBinding", words))


def _gone(name: str) -> Lose:
    what = "its PersistentVolume" if name else "reference to PersistentVolume"
    words = f"Bound claim has lost {what}. Data on the volume is lost!"
    return Lose(Told("Warning", "ClaimLost", words))


def _search(
    claim: PersistentVolumeClaim,
    volumes: Mapping[str, PersistentVolume],
    class_: StorageClass | None,
) -> Bind | Wait:
    if claim.metadata.deletion_timestamp:
        return Wait()
    name = class_of(claim)
    delayed = waits_for_pod(claim, class_)
    found = best(claim, volumes.values(), only_kept=delayed)
    if found is not None:
        return Bind(found)
    if delayed:
        words = "waiting for first consumer to be created before binding"
        return Wait(Told("Normal", "WaitForFirstConsumer", words))
    if not name:
        words = "no persistent volumes available for this claim and no storage class is set"
        return Wait(Told("Normal", "FailedBinding", words))
    if class_ is None:
        words = f'storageclass.storage.k8s.io "{name}" not found'
        return Wait(Told("Warning", "ProvisioningFailed", words))
    return _provision(class_.provisioner)


def _provision(provisioner: str) -> Wait:
    if provisioner.startswith(_IN_TREE):
        words = f"no volume plugin matched name: {provisioner}"
        return Wait(Told("Warning", "ProvisioningFailed", words))
    words = (
        "Waiting for a volume to be created either by the external provisioner "
        f"'{provisioner}' or manually by the system administrator. If volume creation is delayed, "
        "please verify that the provisioner is running and correctly registered."
    )
    return Wait(Told("Normal", "ExternalProvisioning", words), provisioner)


@dataclass(frozen=True, slots=True)
class Phase:
    """What the volume's status is to say."""

    phase: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Free:
    """The claim has another volume: this one is anybody's again, or (`kept`) still waits for it."""

    kept: bool


@dataclass(frozen=True, slots=True)
class AskClaim:
    """Its claim is to say what it has: look at that first."""


def of_volume(
    volume: PersistentVolume, claim: PersistentVolumeClaim | None
) -> Phase | Free | AskClaim:
    """The next step for a volume. `claim`: the one that it names, if it is there."""
    reference = volume.spec.claim_ref
    if reference is None or not reference.uid:
        return Phase("Available")
    if claim is None or claim.metadata.uid != reference.uid:
        return _reclaim(volume)
    if not claim.spec.volume_name:
        return AskClaim()
    if claim.spec.volume_name == volume.metadata.name:
        return Phase("Bound")
    return Free(kept=BOUND_BY_CONTROLLER not in volume.metadata.annotations)


def _reclaim(volume: PersistentVolume) -> Phase:
    """Its claim is gone: what the policy wants, as far as somebody here can do it.

    What a provisioner has made, it deletes itself when it sees the volume released.
    """
    policy = volume.spec.persistent_volume_reclaim_policy
    if policy == "Retain" or PROVISIONED_BY in volume.metadata.annotations:
        return Phase("Released")
    deeds = {"Delete": ("deleter", "deletable"), "Recycle": ("recycler", "recyclable")}
    who, able = deeds.get(policy, deeds["Delete"])
    words = (
        f'error getting {who} volume plugin for volume "{volume.metadata.name}": '
        f"no {able} volume plugin matched"
    )
    return Phase("Failed", words)
