"""Claims get volumes and volumes outlive them, through the whole control plane: the books' examples."""

from __future__ import annotations

from typing import Any

import msgspec

from api.client import PatchType
from api.core import Event, PersistentVolume, PersistentVolumeClaim
from api.meta import ObjectMeta
from api.storage import StorageClass
from tests.integration.controllers.conftest import Plane, eventually

DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true"}


async def volume(plane: Plane, name: str, size: str = "1Gi", **spec: Any) -> PersistentVolume:
    body = {
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": f"/data/{name}"},
            **spec,
        },
    }
    return await plane.client.create(msgspec.convert(body, type=PersistentVolume))


async def claim(plane: Plane, name: str = "data", size: str = "1Gi", **spec: Any) -> None:
    body = {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
            "storageClassName": "",
            **spec,
        },
    }
    await plane.client.create(msgspec.convert(body, type=PersistentVolumeClaim))


async def phases(plane: Plane, **wanted: str) -> None:
    """Wait until volumes and claims are in these phases, by name."""

    async def reached() -> bool:
        found = {
            one.metadata.name: one.status.phase
            for type_ in (PersistentVolume, PersistentVolumeClaim)
            for one in (await plane.client.list(type_)).items
        }
        assert {name: found.get(name) for name in wanted} == wanted, found
        return True

    await eventually(reached)


async def test_a_claim_is_bound_to_the_smallest_volume_and_leaves_it_released(
    plane: Plane,
) -> None:
    await volume(plane, "large", "9Gi")
    await volume(plane, "small", "2Gi")
    await phases(plane, large="Available", small="Available")
    await claim(plane)
    await phases(plane, data="Bound", small="Bound", large="Available")

    bound = await plane.client.get(PersistentVolumeClaim, "data", "default")
    assert bound.spec.volume_name == "small"
    assert bound.status.capacity == {"storage": "2Gi"}
    taken = await plane.client.get(PersistentVolume, "small")
    assert taken.spec.claim_ref is not None and taken.spec.claim_ref.uid == bound.metadata.uid
    assert taken.status.last_phase_transition_time

    await plane.client.delete(PersistentVolumeClaim, "data", "default")
    await phases(plane, small="Released")
    await claim(plane, "again", "1Gi")
    await phases(plane, again="Bound", large="Bound", small="Released")
    await plane.client.patch(
        PersistentVolume, "small", "", {"spec": {"claimRef": None}}, patch_type=PatchType.MERGE
    )
    await phases(plane, small="Available")


async def test_a_claim_waits_until_a_volume_comes(plane: Plane) -> None:
    await claim(plane)

    async def told() -> bool:
        events = (await plane.client.list(Event, "default")).items
        words = "no persistent volumes available for this claim and no storage class is set"
        return any(one.reason == "FailedBinding" and one.message == words for one in events)

    await eventually(told)
    await volume(plane, "late")
    await phases(plane, data="Bound", late="Bound")
    await plane.client.delete(PersistentVolume, "late")
    await phases(plane, data="Lost")


async def test_two_that_are_made_for_each_other(plane: Plane) -> None:
    reference = {"namespace": "default", "name": "data"}
    await volume(plane, "kept", "5Gi", claimRef=reference)
    await volume(plane, "small")
    await phases(plane, kept="Available", small="Available")
    await claim(plane, "other")
    await phases(plane, other="Bound", small="Bound", kept="Available")
    await claim(plane, "data", volumeName="kept")
    await phases(plane, data="Bound", kept="Bound")


async def test_many_claims_at_once_never_share_a_volume(plane: Plane) -> None:
    for number in range(8):
        await volume(plane, f"v{number}")
    for number in range(10):
        await claim(plane, f"c{number}")

    async def bound() -> bool:
        claims = (await plane.client.list(PersistentVolumeClaim)).items
        return sum(one.status.phase == "Bound" for one in claims) == 8

    await eventually(bound)
    claims = (await plane.client.list(PersistentVolumeClaim)).items
    names = [one.spec.volume_name for one in claims if one.spec.volume_name]
    assert sorted(names) == [f"v{number}" for number in range(8)]


async def test_a_provisioner_outside_is_asked_and_a_default_class_may_come_late(
    plane: Plane,
) -> None:
    await claim(plane, storageClassName=None)
    made = StorageClass(
        metadata=ObjectMeta(name="fast", annotations=DEFAULT), provisioner="example.com/disk"
    )
    await plane.client.create(made)

    async def asked() -> PersistentVolumeClaim | None:
        found = await plane.client.get(PersistentVolumeClaim, "data", "default")
        annotations = found.metadata.annotations
        known = annotations.get("volume.kubernetes.io/storage-provisioner") == "example.com/disk"
        return found if found.spec.storage_class_name == "fast" and known else None

    waiting = await eventually(asked)
    assert waiting is not None
    reference = {"namespace": "default", "name": "data", "uid": waiting.metadata.uid}
    await volume(
        plane, "pvc-1", storageClassName="fast", claimRef=reference,
        persistentVolumeReclaimPolicy="Delete",
    )  # fmt: skip
    await phases(plane, data="Bound")


async def test_what_nobody_here_can_delete_fails_and_says_so(plane: Plane) -> None:
    await volume(plane, "disk", persistentVolumeReclaimPolicy="Delete")
    await claim(plane)
    await phases(plane, data="Bound", disk="Bound")
    await plane.client.delete(PersistentVolumeClaim, "data", "default")
    await phases(plane, disk="Failed")
    found = await plane.client.get(PersistentVolume, "disk")
    assert "no deletable volume plugin matched" in found.status.message
