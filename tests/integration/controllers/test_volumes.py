"""Claims get volumes and volumes outlive them, through the whole control plane: the books' examples."""

from __future__ import annotations

from typing import Any

import msgspec

from api import conditions
from api.client import PatchType
from api.core import Event, PersistentVolume, PersistentVolumeClaim, Pod
from api.errors import ApiError, is_not_found
from api.meta import ObjectMeta
from api.storage import (
    CSIDriver,
    CSINode,
    CSIStorageCapacity,
    StorageClass,
    VolumeAttachment,
)
from api.struct import ApiStruct
from control.controllers.volumes.matching import SELECTED_NODE
from tests.integration.controllers.conftest import Plane, eventually

DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true"}


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
    await plane.add_volume("large", "9Gi")
    await plane.add_volume("small", "2Gi")
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
    await plane.add_volume("late")
    await phases(plane, data="Bound", late="Bound")
    await plane.client.delete(PersistentVolume, "late")
    body = {"metadata": {"finalizers": None}}  # it is not protected from those who insist
    await plane.client.patch(PersistentVolume, "late", "", body, patch_type=PatchType.MERGE)
    await phases(plane, data="Lost")


async def test_two_that_are_made_for_each_other(plane: Plane) -> None:
    reference = {"namespace": "default", "name": "data"}
    await plane.add_volume("kept", "5Gi", claimRef=reference)
    await plane.add_volume("small")
    await phases(plane, kept="Available", small="Available")
    await claim(plane, "other")
    await phases(plane, other="Bound", small="Bound", kept="Available")
    await claim(plane, "data", volumeName="kept")
    await phases(plane, data="Bound", kept="Bound")


async def test_many_claims_at_once_never_share_a_volume(plane: Plane) -> None:
    for number in range(8):
        await plane.add_volume(f"v{number}")
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
    await plane.add_volume(
        "pvc-1", storageClassName="fast", claimRef=reference,
        persistentVolumeReclaimPolicy="Delete",
    )  # fmt: skip
    await phases(plane, data="Bound")


async def test_what_nobody_here_can_delete_fails_and_says_so(plane: Plane) -> None:
    await plane.add_volume("disk", persistentVolumeReclaimPolicy="Delete")
    await claim(plane)
    await phases(plane, data="Bound", disk="Bound")
    await plane.client.delete(PersistentVolumeClaim, "data", "default")
    await phases(plane, disk="Failed")
    found = await plane.client.get(PersistentVolume, "disk")
    assert "no deletable volume plugin matched" in found.status.message


async def start(plane: Plane, name: str, *claims: str, ephemeral: str = "") -> None:
    """A pod that mounts claims, and, if its size is said, a volume of its own."""
    volumes = [{"name": one, "persistentVolumeClaim": {"claimName": one}} for one in claims]
    if ephemeral:
        spec = {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": ephemeral}},
            "storageClassName": "",
        }
        template = {"metadata": {"labels": {"kind": "scratch"}}, "spec": spec}
        volumes.append({"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}})
    body = {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [{"name": "c", "image": "i"}], "volumes": volumes},
    }
    await plane.client.create(msgspec.convert(body, type=Pod))


async def gone(plane: Plane, type_: type[ApiStruct], name: str, namespace: str = "") -> None:
    async def is_gone() -> bool:
        try:
            await plane.client.get(type_, name, namespace)
        except ApiError as error:
            return is_not_found(error)
        return False

    await eventually(is_gone)


async def says(plane: Plane, name: str, words: str) -> None:
    """Wait until a pending pod says why."""

    async def told() -> bool:
        found = await plane.client.get(Pod, name, "default")
        scheduled = conditions.find(found.status.conditions, "PodScheduled")
        return scheduled is not None and scheduled.message.startswith(words)

    await eventually(told)


async def node_of(plane: Plane, name: str) -> str:
    async def placed() -> str:
        return (await plane.client.get(Pod, name, "default")).spec.node_name

    return await eventually(placed)


async def test_a_pod_waits_for_its_claim_and_the_claim_for_a_volume(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await start(plane, "p", "data")
    await says(plane, "p", '0/1 nodes are available: persistentvolumeclaim "data" not found.')
    await claim(plane)
    words = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."
    await says(plane, "p", words)
    await plane.add_volume("late")
    assert await node_of(plane, "p") == "n1"


async def test_volumes_of_nodes_take_their_pods_there(plane: Plane) -> None:
    """Local volumes, as the documentation of Kubernetes has them: the class waits for the pod."""
    for name in ("n1", "n2", "n3"):
        await plane.agents.add_node(name, labels={"host": name})
    made = StorageClass(
        metadata=ObjectMeta(name="local"),
        provisioner="kubernetes.io/no-provisioner",
        volume_binding_mode="WaitForFirstConsumer",
    )
    await plane.client.create(made)
    for name in ("n2", "n3"):
        term = {"matchExpressions": [{"key": "host", "operator": "In", "values": [name]}]}
        await plane.add_volume(
            f"disk-{name}", storageClassName="local", hostPath=None,
            local={"path": "/mnt/disk"},
            nodeAffinity={"required": {"nodeSelectorTerms": [term]}},
        )  # fmt: skip
    await phases(plane, **{"disk-n2": "Available", "disk-n3": "Available"})
    for number in range(3):
        await claim(plane, f"c{number}", storageClassName="local")
    await phases(plane, c0="Pending", c1="Pending", c2="Pending")
    for number in range(3):
        await start(plane, f"p{number}", f"c{number}")

    async def bound() -> bool:
        claims = (await plane.client.list(PersistentVolumeClaim)).items
        return sum(one.status.phase == "Bound" for one in claims) == 2

    await eventually(bound)
    waiting = 0
    for number in range(3):
        held = await plane.client.get(PersistentVolumeClaim, f"c{number}", "default")
        if held.status.phase == "Bound":
            assert f"disk-{await node_of(plane, f'p{number}')}" == held.spec.volume_name
        else:
            waiting += 1
            words = "0/3 nodes are available: 3 node(s) didn't find available persistent volumes"
            await says(plane, f"p{number}", words)
    assert waiting == 1


async def test_a_provisioner_is_told_the_node(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    made = StorageClass(
        metadata=ObjectMeta(name="late"),
        provisioner="example.com/disk",
        volume_binding_mode="WaitForFirstConsumer",
    )
    await plane.client.create(made)
    await claim(plane, storageClassName="late")
    await start(plane, "p", "data")

    async def asked() -> PersistentVolumeClaim | None:
        found = await plane.client.get(PersistentVolumeClaim, "data", "default")
        annotations = found.metadata.annotations
        node = annotations.get("volume.kubernetes.io/selected-node")
        provisioner = annotations.get("volume.kubernetes.io/storage-provisioner")
        return found if (node, provisioner) == ("n1", "example.com/disk") else None

    waiting = await eventually(asked)
    assert waiting is not None
    assert not (await plane.client.get(Pod, "p", "default")).spec.node_name
    reference = {"namespace": "default", "name": "data", "uid": waiting.metadata.uid}
    await plane.add_volume("pvc-1", storageClassName="late", claimRef=reference)
    assert await node_of(plane, "p") == "n1"


async def test_an_ephemeral_volume_lives_and_dies_with_its_pod(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await start(plane, "p", ephemeral="1Gi")
    await plane.add_volume("disk", "2Gi")
    assert await node_of(plane, "p") == "n1"
    made = await plane.client.get(PersistentVolumeClaim, "p-scratch", "default")
    (owner,) = made.metadata.owner_references
    assert (owner.kind, owner.name, owner.controller) == ("Pod", "p", True)
    assert (made.metadata.labels, made.spec.volume_name) == ({"kind": "scratch"}, "disk")

    await plane.client.delete(Pod, "p", "default")
    await gone(plane, PersistentVolumeClaim, "p-scratch", "default")
    await phases(plane, disk="Released")


async def test_somebody_elses_claim_is_no_ephemeral_volume(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await claim(plane, "p-scratch")
    await start(plane, "p", ephemeral="1Gi")
    words = (
        '0/1 nodes are available: PVC "default/p-scratch" was not created for pod "default/p" '
        "(pod is not owner)."
    )
    await says(plane, "p", words)
    await plane.client.delete(PersistentVolumeClaim, "p-scratch", "default")
    await plane.add_volume("disk")
    assert await node_of(plane, "p") == "n1"


async def test_what_is_in_use_stays_until_nobody_uses_it(plane: Plane) -> None:
    """As the documentation's example of storage object in use protection."""
    await plane.agents.add_node("n1")
    await plane.add_volume("disk")
    await claim(plane)
    await start(plane, "p", "data")
    assert await node_of(plane, "p") == "n1"
    await plane.client.delete(PersistentVolumeClaim, "data", "default")
    await plane.client.delete(PersistentVolume, "disk")
    await start(plane, "late", "data")
    words = '0/1 nodes are available: persistentvolumeclaim "data" is being deleted.'
    await says(plane, "late", words)
    for type_, name, namespace, finalizer in (
        (PersistentVolumeClaim, "data", "default", "kubernetes.io/pvc-protection"),
        (PersistentVolume, "disk", "", "kubernetes.io/pv-protection"),
    ):
        held: Any = await plane.client.get(type_, name, namespace)
        assert (held.status.phase, held.metadata.finalizers) == ("Bound", [finalizer])
        assert held.metadata.deletion_timestamp

    await plane.client.delete(Pod, "p", "default")
    await gone(plane, PersistentVolumeClaim, "data", "default")
    await gone(plane, PersistentVolume, "disk")
    words = '0/1 nodes are available: persistentvolumeclaim "data" not found.'
    await says(plane, "late", words)


async def test_a_full_node_takes_more_when_its_driver_does(plane: Plane) -> None:
    """The scheduler heeds what the drivers of nodes say, and looks again when they say otherwise."""
    await plane.agents.add_node("n1")
    driver: dict[str, Any] = {"name": "disk.example.com", "nodeID": "n1", "topologyKeys": []}
    limited = {"drivers": [{**driver, "allocatable": {"count": 1}}]}
    body: dict[str, Any] = {"metadata": {"name": "n1"}, "spec": limited}
    await plane.client.create(msgspec.convert(body, type=CSINode))
    for name in ("one", "two"):
        source = {"driver": "disk.example.com", "volumeHandle": name}
        reference = {"namespace": "default", "name": name}
        await plane.add_volume(name, hostPath=None, csi=source, claimRef=reference)
        await claim(plane, name, volumeName=name)
    await phases(plane, one="Bound", two="Bound")
    await start(plane, "first", "one")
    assert await node_of(plane, "first") == "n1"
    await start(plane, "second", "two")
    await says(plane, "second", "0/1 nodes are available: 1 node(s) exceed max volume count.")
    await plane.client.delete(CSINode, "n1")
    assert await node_of(plane, "second") == "n1"


async def test_a_volume_is_made_where_its_driver_has_room(plane: Plane) -> None:
    for name in ("n1", "n2"):
        await plane.agents.add_node(name, labels={"host": name})
    told: dict[str, Any] = {"metadata": {"name": "disk.example.com"}}
    told["spec"] = {"storageCapacity": True}
    await plane.client.create(msgspec.convert(told, type=CSIDriver))
    late = {"provisioner": "disk.example.com", "volumeBindingMode": "WaitForFirstConsumer"}
    body: dict[str, Any] = {"metadata": {"name": "fast"}, **late}
    await plane.client.create(msgspec.convert(body, type=StorageClass))
    await claim(plane, storageClassName="fast")
    await start(plane, "p", "data")
    words = "0/2 nodes are available: 2 node(s) did not have enough free storage."
    await says(plane, "p", words)
    room = {
        "metadata": {"name": "room", "namespace": "default"},
        "storageClassName": "fast",
        "nodeTopology": {"matchLabels": {"host": "n2"}},
        "capacity": "100Gi",
    }
    await plane.client.create(msgspec.convert(room, type=CSIStorageCapacity))

    async def chosen() -> bool:
        found = await plane.client.get(PersistentVolumeClaim, "data", "default")
        return found.metadata.annotations.get(SELECTED_NODE) == "n2"

    await eventually(chosen)


async def test_a_node_takes_another_volume_when_one_is_detached(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    driver = {"name": "disk.example.com", "nodeID": "n1", "topologyKeys": []}
    limited: dict[str, Any] = {"drivers": [{**driver, "allocatable": {"count": 1}}]}
    body: dict[str, Any] = {"metadata": {"name": "n1"}, "spec": limited}
    await plane.client.create(msgspec.convert(body, type=CSINode))
    for name in ("one", "two"):
        source = {"driver": "disk.example.com", "volumeHandle": name}
        reference = {"namespace": "default", "name": name}
        await plane.add_volume(name, hostPath=None, csi=source, claimRef=reference)
    await claim(plane, "two", volumeName="two")
    await phases(plane, two="Bound")
    left = {
        "attacher": "disk.example.com",
        "nodeName": "n1",
        "source": {"persistentVolumeName": "one"},
    }
    body = {"metadata": {"name": "a"}, "spec": left, "status": {"attached": True}}
    await plane.client.create(msgspec.convert(body, type=VolumeAttachment))
    attachments = plane.manager._context.informers.of(VolumeAttachment)

    async def seen() -> bool:
        return attachments.get("a") is not None

    await eventually(seen)
    await start(plane, "p", "two")
    await says(plane, "p", "0/1 nodes are available: 1 node(s) exceed max volume count.")
    await plane.client.delete(VolumeAttachment, "a")
    assert await node_of(plane, "p") == "n1"


async def test_one_pod_alone_has_it(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await plane.add_volume("disk", accessModes=["ReadWriteOncePod"])
    await claim(plane, accessModes=["ReadWriteOncePod"])
    await phases(plane, data="Bound")
    await start(plane, "first", "data")
    assert await node_of(plane, "first") == "n1"
    await start(plane, "second", "data")
    words = "0/1 nodes are available: 1 node(s) unavailable due to PersistentVolumeClaim with"
    await says(plane, "second", words)
    await plane.client.delete(Pod, "first", "default")
    assert await node_of(plane, "second") == "n1"
