"""Owners and dependents in unusual company, over the real store and registry."""

import pytest

from api import errors
from api.apps import ReplicaSet
from api.core import ConfigMap, Event, ObjectReference, Pod
from api.meta import ObjectMeta, OwnerReference
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
    owner = OwnerReference(api_version="v1", kind="Event", name="none", uid="no-such-uid")
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
