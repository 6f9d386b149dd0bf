"""Which volume a claim gets, and what becomes of the two: decisions without a store."""

from __future__ import annotations

from typing import Any

import pytest

from api.core import PersistentVolume, PersistentVolumeClaim
from api.storage import StorageClass
from control.controllers.volumes import binding
from control.controllers.volumes.deciding import (
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    PROVISIONED_BY,
    AskClaim,
    Bind,
    Free,
    Lose,
    Phase,
    Wait,
    of_claim,
    of_volume,
)
from control.controllers.volumes.matching import SELECTED_NODE, best
from control.resources.core.persistentvolumeclaim import class_of
from tests.unit.resources.examples import REMOVE, complete

CLAIM, VOLUME, CLASS = "PersistentVolumeClaim", "PersistentVolume", "StorageClass"
MINE = {"namespace": "default", "name": "data"}


def claim(**change: Any) -> PersistentVolumeClaim:
    """Of class `fast`, one GiB, ReadWriteOnce."""
    base = {"metadata.uid": "claim-1", "spec.selector": REMOVE}
    made: PersistentVolumeClaim = complete(CLAIM, base | _paths(change))
    return made


def volume(name: str = "share", size: str = "10Gi", **change: Any) -> PersistentVolume:
    base = {"metadata.name": name, "metadata.uid": name, "spec.capacity.storage": size}
    made: PersistentVolume = complete(VOLUME, base | _paths(change))
    made.status.phase = "Available"
    return made


def class_(**change: Any) -> StorageClass:
    made: StorageClass = complete(CLASS, _paths(change))
    return made


def _paths(change: dict[str, Any]) -> dict[str, Any]:
    return {path.replace("__", "."): value for path, value in change.items()}


def found(wanted: PersistentVolumeClaim, *volumes: PersistentVolume) -> str:
    volume = best(wanted, volumes)
    return "" if volume is None else volume.metadata.name


def test_the_smallest_that_is_large_enough() -> None:
    volumes = [volume("large", "8Gi"), volume("small", "2Gi"), volume("tiny", "1Mi")]
    assert found(claim(), *volumes) == "small"


@pytest.mark.parametrize(
    ("wanted", "offered"),
    [
        ({}, {"size": "1Mi"}),
        ({}, {"spec__storageClassName": "slow"}),
        ({"spec__storageClassName": ""}, {}),
        ({"spec__accessModes": ["ReadOnlyMany"]}, {}),
        ({"spec__volumeMode": "Block"}, {}),
        ({"spec__selector": {"matchLabels": {"tier": "gold"}}}, {}),
        ({}, {"spec__claimRef": {"namespace": "default", "name": "other"}}),
        ({}, {"spec__claimRef": {**MINE, "uid": "earlier"}}),
        ({}, {"metadata__deletionTimestamp": "2026-01-01T00:00:00Z"}),
    ],
)
def test_what_does_not_fit(wanted: dict[str, Any], offered: dict[str, Any]) -> None:
    assert found(claim(**wanted), volume(**offered)) == ""


def test_labels_and_classes_by_annotation() -> None:
    gold = volume(metadata__labels={"tier": "gold"})
    assert found(claim(spec__selector={"matchLabels": {"tier": "gold"}}), gold) == "share"
    old = {"volume.beta.kubernetes.io/storage-class": "old"}
    assert found(claim(metadata__annotations=old), volume(metadata__annotations=old)) == "share"


def test_one_that_was_left_behind_is_nobodys() -> None:
    left = volume()
    left.status.phase = "Released"
    assert found(claim(), left) == ""


def test_one_that_is_kept_for_the_claim_goes_first_whatever_its_class() -> None:
    kept = volume("kept", "90Gi", spec__storageClassName="other", spec__claimRef=MINE)
    assert found(claim(), volume("small", "1Gi"), kept) == "kept"
    assert best(claim(), [volume(), kept], only_kept=True) is kept
    assert best(claim(), [volume()], only_kept=True) is None


def step(
    wanted: PersistentVolumeClaim, *volumes: PersistentVolume, **classes: StorageClass
) -> Bind | Wait | Lose:
    class_ = classes.get(class_of(wanted) or "")
    return of_claim(wanted, {one.metadata.name: one for one in volumes}, class_)


def test_a_free_volume_is_bound() -> None:
    free = volume()
    assert step(claim(), free) == Bind(free)
    assert isinstance(step(claim(metadata__deletionTimestamp="2026-01-01T00:00:00Z"), free), Wait)


@pytest.mark.parametrize(
    ("change", "classes", "reason", "words"),
    [
        ({"spec__storageClassName": ""}, {}, "FailedBinding", "no storage class is set"),
        ({"spec__storageClassName": REMOVE}, {}, "FailedBinding", "no storage class is set"),
        ({}, {}, "ProvisioningFailed", 'storageclass.storage.k8s.io "fast" not found'),
        (
            {},
            {"provisioner": "kubernetes.io/no-provisioner"},
            "ProvisioningFailed",
            "no volume plugin matched name: kubernetes.io/no-provisioner",
        ),
        ({}, {"provisioner": "example.com/nfs"}, "ExternalProvisioning", "'example.com/nfs'"),
        (
            {},
            {"volumeBindingMode": "WaitForFirstConsumer"},
            "WaitForFirstConsumer",
            "waiting for first consumer to be created before binding",
        ),
    ],
)
def test_why_a_claim_waits(
    change: dict[str, Any], classes: dict[str, Any], reason: str, words: str
) -> None:
    known = {"fast": class_(**classes)} if classes else {}
    found = step(claim(**change), volume(size="1Mi"), **known)
    assert isinstance(found, Wait) and found.told is not None
    assert found.told.reason == reason and words in found.told.message
    assert found.provisioner == ("example.com/nfs" if reason == "ExternalProvisioning" else "")


def test_a_claim_that_waits_for_its_pod_is_bound_when_the_node_is_known() -> None:
    late, free = class_(volumeBindingMode="WaitForFirstConsumer"), volume()
    assert isinstance(step(claim(), free, fast=late), Wait)
    chosen = claim(metadata__annotations={SELECTED_NODE: "n1"})
    assert step(chosen, free, fast=late) == Bind(free)
    kept = volume("kept", spec__claimRef=MINE)
    assert step(claim(), free, kept, fast=late) == Bind(kept)


def test_a_claim_that_names_its_volume() -> None:
    named = claim(spec__volumeName="share")
    assert step(named) == Wait()
    assert step(named, volume(size="1Mi")) == Bind(volume(size="1Mi"))
    other = volume(spec__claimRef={"namespace": "default", "name": "other", "uid": "x"})
    found = step(named, other)
    assert isinstance(found, Wait) and found.told is not None
    assert found.told.message == 'volume "share" already bound to a different claim.'


@pytest.mark.parametrize(
    ("name", "volumes", "words"),
    [
        ("share", [], "Bound claim has lost its PersistentVolume."),
        ("", [], "Bound claim has lost reference to PersistentVolume."),
        (
            "share",
            [volume(spec__claimRef={"namespace": "default", "name": "other", "uid": "x"})],
            "Two claims are bound to the same volume",
        ),
    ],
)
def test_what_is_lost(name: str, volumes: list[PersistentVolume], words: str) -> None:
    bound = claim(metadata__annotations={BIND_COMPLETED: "yes"})
    bound.spec.volume_name = name
    found = step(bound, *volumes)
    assert isinstance(found, Lose) and found.told.message.startswith(words)


def test_a_binding_is_finished_and_then_leaves_nothing_to_write() -> None:
    wanted, free = claim(), volume()
    body = binding.volume_binding(wanted, free)
    assert body["spec"]["claimRef"]["uid"] == "claim-1"
    assert body["metadata"]["annotations"] == {BOUND_BY_CONTROLLER: "yes"}
    kept = volume(spec__claimRef=MINE)
    assert "metadata" not in binding.volume_binding(wanted, kept)
    taken = volume(spec__claimRef={**MINE, "uid": "claim-1"})
    assert binding.volume_binding(wanted, taken) == {}
    assert binding.claim_binding(wanted, taken)["spec"] == {"volumeName": "share"}
    named = claim(spec__volumeName="share")
    notes = binding.claim_binding(named, taken)["metadata"]["annotations"]
    assert notes == {BIND_COMPLETED: "yes"}
    named.metadata.annotations = notes
    assert binding.claim_binding(named, taken) == {}
    assert binding.bound_status(named, taken) == {
        "phase": "Bound",
        "capacity": {"storage": "10Gi"},
        "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
    }
    named.status.phase, named.status.access_modes = "Bound", taken.spec.access_modes
    assert binding.bound_status(named, taken) == {}


@pytest.mark.parametrize(
    ("change", "wanted", "expected"),
    [
        ({}, None, Phase("Available")),
        ({"spec__claimRef": MINE}, claim(), Phase("Available")),
        ({"spec__claimRef": {**MINE, "uid": "claim-1"}}, claim(), AskClaim()),
        (
            {"spec__claimRef": {**MINE, "uid": "claim-1"}},
            claim(spec__volumeName="share"),
            Phase("Bound"),
        ),
        ({"spec__claimRef": {**MINE, "uid": "earlier"}}, claim(), Phase("Released")),
        ({"spec__claimRef": {**MINE, "uid": "claim-1"}}, None, Phase("Released")),
        (
            {"spec__claimRef": {**MINE, "uid": "claim-1"}},
            claim(spec__volumeName="other"),
            Free(kept=True),
        ),
        (
            {
                "spec__claimRef": {**MINE, "uid": "claim-1"},
                "metadata__annotations": {BOUND_BY_CONTROLLER: "yes"},
            },
            claim(spec__volumeName="other"),
            Free(kept=False),
        ),
        (
            {
                "spec__claimRef": {**MINE, "uid": "claim-1"},
                "spec__persistentVolumeReclaimPolicy": "Delete",
                "metadata__annotations": {PROVISIONED_BY: "example.com/nfs"},
            },
            None,
            Phase("Released"),
        ),
        (
            {
                "spec__claimRef": {**MINE, "uid": "claim-1"},
                "spec__persistentVolumeReclaimPolicy": "Delete",
            },
            None,
            Phase(
                "Failed",
                'error getting deleter volume plugin for volume "share": '
                "no deletable volume plugin matched",
            ),
        ),
    ],
)
def test_phases(change: dict[str, Any], wanted: Any, expected: Any) -> None:
    assert of_volume(volume(**change), wanted) == expected
