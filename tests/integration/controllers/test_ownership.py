"""Owners and dependents in unusual company, over the real store and registry."""

from typing import Any

import msgspec
import pytest

from api import errors
from api.apps import ReplicaSet
from api.core import ConfigMap, Event, Namespace, ObjectReference, PersistentVolume, Pod
from api.meta import ObjectMeta, OwnerReference
from control.controllers.lifecycle.garbage import GarbageCollector
from tests.integration.controllers.conftest import Plane, eventually
from tests.unit.controllers.making import replica_set


def _owned_by(owner: ConfigMap, *, blocks: bool = True) -> OwnerReference:
    return OwnerReference(
        api_version="v1",
        kind="ConfigMap",
        name=owner.metadata.name,
        uid=owner.metadata.uid,
        block_owner_deletion=blocks,
    )


async def _make(plane: Plane, name: str, *owners: OwnerReference) -> ConfigMap:
    metadata = ObjectMeta(name=name, namespace="default", owner_references=list(owners))
    return await plane.client.create(ConfigMap(metadata=metadata))


async def _gone(plane: Plane, name: str) -> bool:
    try:
        await plane.client.get(ConfigMap, name, "default")
    except errors.ApiError as error:
        return errors.is_not_found(error)
    return False


async def test_an_owner_of_a_kind_that_expires_is_looked_for_like_any_other(plane: Plane) -> None:
    """Events have no informer in the collector's graph; they must not bring it down."""
    owner = OwnerReference(
        api_version="events.k8s.io/v1", kind="Event", name="none", uid="no-such-uid"
    )
    await _make(plane, "child", owner)
    await eventually(lambda: _gone(plane, "child"))


async def test_a_circle_of_owners_is_deleted_in_the_foreground(plane: Plane) -> None:
    one = await _make(plane, "one")
    two = await _make(plane, "two", _owned_by(one))
    back = {"metadata": {"ownerReferences": [{**_reference(two), "blockOwnerDeletion": True}]}}
    await plane.client.patch(ConfigMap, "one", "default", back)
    await plane.client.delete(ConfigMap, "one", "default", propagation_policy="Foreground")
    await eventually(lambda: _gone(plane, "one"))
    await eventually(lambda: _gone(plane, "two"))


async def test_what_owns_itself_does_not_wait_for_itself(plane: Plane) -> None:
    alone = await _make(plane, "alone")
    back = {"ownerReferences": [{**_reference(alone), "blockOwnerDeletion": True}]}
    await plane.client.patch(ConfigMap, "alone", "default", {"metadata": back})
    await plane.client.delete(ConfigMap, "alone", "default", propagation_policy="Foreground")
    await eventually(lambda: _gone(plane, "alone"))


def _reference(owner: ConfigMap) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": owner.metadata.name,
        "uid": owner.metadata.uid,
    }


@pytest.mark.parametrize("change", ["reference removed", "no longer blocks"])
async def test_an_owner_in_the_foreground_sees_that_nothing_blocks_it_any_more(
    plane: Plane, change: str
) -> None:
    owner = await _make(plane, "owner")
    child = await _make(plane, "child", _owned_by(owner))
    keep = {"metadata": {"finalizers": ["example.com/wait"]}}
    await plane.client.patch(ConfigMap, child.metadata.name, "default", keep)
    await plane.client.delete(ConfigMap, "owner", "default", propagation_policy="Foreground")

    async def child_is_leaving() -> bool:
        found = await plane.client.get(ConfigMap, "child", "default")
        return found.metadata.deletion_timestamp is not None

    await eventually(child_is_leaving)
    assert not await _gone(plane, "owner")
    reference = {**_reference(owner), "blockOwnerDeletion": False}
    owners = None if change == "reference removed" else [reference]
    await plane.client.patch(
        ConfigMap, "child", "default", {"metadata": {"ownerReferences": owners}}
    )
    await eventually(lambda: _gone(plane, "owner"))


async def test_adoption_keeps_other_owners(plane: Plane) -> None:
    friend = await _make(plane, "friend")
    pod = Pod(
        metadata=ObjectMeta(
            name="loner",
            namespace="default",
            labels={"app": "web"},
            owner_references=[_owned_by(friend, blocks=False)],
        ),
        spec=replica_set("any").spec.template.spec,
    )
    await plane.client.create(pod)
    rs = replica_set("web", size=1)
    rs.metadata.uid = ""
    await plane.client.create(rs)

    async def adopted() -> bool:
        found = await plane.client.get(Pod, "loner", "default")
        kinds = {owner.kind for owner in found.metadata.owner_references}
        return kinds == {"ConfigMap", "ReplicaSet"}

    await eventually(adopted)
    assert len(await plane.pods()) == 1
    stored = await plane.client.get(ReplicaSet, "web", "default")
    assert stored.spec.replicas == 1


@pytest.mark.parametrize("policy", ["Foreground", "Orphan"])
async def test_an_event_has_no_dependents_to_wait_for(plane: Plane, policy: str) -> None:
    """The collector does not follow Events: a finalizer of its own would stay for good."""
    about = ObjectReference(kind="Pod", namespace="default", name="p")
    metadata = ObjectMeta(name="happened", namespace="default")
    await plane.client.create(
        Event(
            metadata=metadata,
            involved_object=about,
            reporting_component="test",
            reporting_instance="",
        )
    )
    await plane.client.delete(Event, "happened", "default", propagation_policy=policy)
    with pytest.raises(errors.ApiError) as caught:
        await plane.client.get(Event, "happened", "default")
    assert errors.is_not_found(caught.value)


async def _complaints(plane: Plane, namespace: str) -> list[str]:
    events = (await plane.client.list(Event, namespace)).items
    told = [event for event in events if event.reason == "OwnerRefInvalidNamespace"]
    return [f"{event.type} {event.involved_object.name}: {event.message}" for event in told]


async def test_an_owner_in_another_namespace_is_none(plane: Plane) -> None:
    await plane.client.create(Namespace(metadata=ObjectMeta(name="shop")))
    metadata = ObjectMeta(name="abroad", namespace="shop")
    owner = await plane.client.create(ConfigMap(metadata=metadata))
    await _make(plane, "child", _owned_by(owner))
    await eventually(lambda: _gone(plane, "child"))
    where = f"[v1/ConfigMap, namespace: default, name: abroad, uid: {owner.metadata.uid}]"

    async def told() -> bool:
        return await _complaints(plane, "default") == [
            f'Warning child: ownerRef {where} does not exist in namespace "default"'
        ]

    await eventually(told)


def _volume(name: str, *owners: dict[str, object]) -> PersistentVolume:
    body: dict[str, Any] = {
        "metadata": {"name": name, "ownerReferences": list(owners)},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/data"},
        },
    }
    return msgspec.convert(body, type=PersistentVolume)


async def test_an_object_of_the_cluster_is_not_collected_for_an_owner_in_a_namespace(
    plane: Plane,
) -> None:
    """The reference does not say where the owner is, so it cannot be found to be gone."""
    owner = await _make(plane, "owner")
    space = await plane.client.create(Namespace(metadata=ObjectMeta(name="space")))
    reference = {**_reference(owner), "kind": "Namespace", "name": "space"}
    await plane.client.create(_volume("stays", _reference(owner)))
    await plane.client.create(_volume("goes", {**reference, "uid": space.metadata.uid}))

    async def told() -> bool:
        return any(text.startswith("Warning stays: ") for text in await _complaints(plane, ""))

    await eventually(told)
    await plane.client.delete(ConfigMap, "owner", "default")
    await plane.client.delete(Namespace, "space")

    async def left() -> bool:
        volumes = (await plane.client.list(PersistentVolume)).items
        return [volume.metadata.name for volume in volumes] == ["stays"]

    await eventually(left)


async def test_a_reference_that_is_not_there_any_more_is_taken_away(plane: Plane) -> None:
    """One of two owners goes, and the other is replaced by a namesake: then nothing keeps it."""
    one, two = await _make(plane, "one"), await _make(plane, "two")
    await _make(plane, "child", _owned_by(one), _owned_by(two))
    await plane.client.delete(ConfigMap, "one", "default")

    async def owned_by_two() -> bool:
        found = await plane.client.get(ConfigMap, "child", "default")
        return [owner.name for owner in found.metadata.owner_references] == ["two"]

    await eventually(owned_by_two)
    await plane.client.delete(ConfigMap, "two", "default")
    await _make(plane, "two")
    await eventually(lambda: _gone(plane, "child"))


async def test_an_owner_of_an_unknown_kind_keeps_its_dependents(plane: Plane) -> None:
    unknown = OwnerReference(api_version="example.com/v1", kind="Widget", name="w", uid="u")
    gone = OwnerReference(api_version="v1", kind="ConfigMap", name="none", uid="u2")
    await _make(plane, "kept", unknown, gone)
    await _make(plane, "probe", gone)
    await eventually(lambda: _gone(plane, "probe"))
    found = await plane.client.get(ConfigMap, "kept", "default")
    assert len(found.metadata.owner_references) == 2


async def test_nobody_goes_in_the_foreground_before_every_kind_was_listed(plane: Plane) -> None:
    collector = next(c for c in plane.manager.controllers if c.name == "garbage-collector")
    assert isinstance(collector, GarbageCollector)
    await _make(plane, "owner")
    collector._informers[ConfigMap]._synced.clear()
    await plane.client.delete(ConfigMap, "owner", "default", propagation_policy="Foreground")

    async def tried() -> bool:
        return collector.statistics()["reconcile_failures"] > 0

    await eventually(tried)
    assert not await _gone(plane, "owner")
    collector._informers[ConfigMap]._synced.set()
    await eventually(lambda: _gone(plane, "owner"))


async def test_a_dependent_that_changed_is_judged_again(plane: Plane) -> None:
    """It has found another owner while the collector still sees the one that is gone."""
    collector = next(c for c in plane.manager.controllers if c.name == "garbage-collector")
    assert isinstance(collector, GarbageCollector)
    stays = await _make(plane, "stays")
    seen = await _make(plane, "child")
    adopted = {"metadata": {"ownerReferences": [_reference(stays)]}}
    await plane.client.patch(ConfigMap, "child", "default", adopted)
    with pytest.raises(errors.ApiError) as caught:
        await collector._delete(seen, "Background")
    assert errors.is_conflict(caught.value)
