"""StatefulSets end to end, down to pods that fake agents run."""

from typing import Any

import pytest

from api import errors, objects
from api.apps import ControllerRevision, StatefulSet
from api.client import PatchType
from api.core import Event, PersistentVolumeClaim, Pod
from api.objects import Key
from api.pods import is_ready
from control.controllers.workloads import ordinals
from tests.integration.controllers.conftest import Plane, eventually
from tests.unit.controllers.making import stateful_set


async def made(plane: Plane, **more: Any) -> StatefulSet:
    owner = stateful_set(**more)
    owner.metadata.uid = ""
    await plane.agents.add_node("n1")
    for claim in owner.spec.volume_claim_templates:
        for number in range((owner.spec.replicas or 1) + 2):  # claims may be made anew
            await plane.add_volume(f"{claim.metadata.name}-{number}")
    return await plane.client.create(owner)


async def settled(plane: Plane, replicas: int, *, updated: int | None = None) -> StatefulSet:
    """The StatefulSet, once so many pods are available (and so many of the present template)."""

    async def done() -> StatefulSet | None:
        found = await plane.client.get(StatefulSet, "web", "default")
        status = found.status
        counts = (status.replicas, status.ready_replicas, status.available_replicas)
        current = status.observed_generation == found.metadata.generation
        new = status.updated_replicas == (replicas if updated is None else updated)
        return found if counts == (replicas,) * 3 and current and new else None

    found = await eventually(done)
    assert found is not None
    return found


async def names(plane: Plane) -> list[str]:
    return sorted(pod.metadata.name for pod in await plane.pods())


async def claims(plane: Plane) -> dict[str, PersistentVolumeClaim]:
    found = (await plane.client.list(PersistentVolumeClaim, "default")).items
    return {one.metadata.name: one for one in found}


async def change(plane: Plane, **spec: Any) -> None:
    await plane.client.patch(StatefulSet, "web", "default", {"spec": spec})


def image(name: str) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "c", "image": name}]}}


async def images(plane: Plane) -> dict[str, str]:
    return {pod.metadata.name: pod.spec.containers[0].image for pod in await plane.pods()}


def note_order(plane: Plane) -> list[str]:
    """What comes (`+name`), is ready (`name`), and is gone (`-name`), as it happens."""
    order: list[str] = []

    def told(old: Pod | None, new: Pod | None) -> None:
        if old is None and new is not None:
            order.append(f"+{new.metadata.name}")
        elif new is None and old is not None:
            order.append(f"-{old.metadata.name}")
        elif new is not None and old is not None and is_ready(new) and not is_ready(old):
            order.append(new.metadata.name)

    plane.agents.pods.subscribe(told)
    return order


async def came_about(order: list[str], *wanted: str) -> None:
    """Wait until so much has happened: just this, in this order."""

    async def all_of_it() -> bool:
        return len(order) >= len(wanted)

    await eventually(all_of_it)
    assert order == list(wanted)


async def test_pods_come_and_go_in_order(plane: Plane) -> None:
    order = note_order(plane)
    await made(plane, replicas=3)
    done = await settled(plane, 3)
    assert done.status.current_revision == done.status.update_revision
    await came_about(order, "+web-0", "web-0", "+web-1", "web-1", "+web-2", "web-2")
    first = (await plane.pods())[0]
    assert (first.spec.hostname, first.spec.subdomain) == ("web-0", "web")
    assert first.metadata.labels["statefulset.kubernetes.io/pod-name"] == "web-0"
    assert first.metadata.labels["apps.kubernetes.io/pod-index"] == "0"
    assert first.metadata.labels["controller-revision-hash"] == done.status.update_revision
    order.clear()
    await change(plane, replicas=1)
    await settled(plane, 1)
    await came_about(order, "-web-2", "-web-1")

    async def told() -> bool:
        events = {event.message for event in (await plane.client.list(Event, "default")).items}
        return {
            "create Pod web-0 in StatefulSet web successful",
            "delete Pod web-2 in StatefulSet web successful",
        } <= events

    await eventually(told)


async def test_parallel_waits_for_nobody(plane: Plane) -> None:
    plane.agents.hold = True
    await made(plane, replicas=3, podManagementPolicy="Parallel")

    async def all_there() -> bool:
        return await names(plane) == ["web-0", "web-1", "web-2"]

    await eventually(all_there)
    plane.agents.hold = False
    await settled(plane, 3)


async def test_a_lost_pod_comes_back_under_its_name_and_with_its_claims(plane: Plane) -> None:
    await made(plane, replicas=2, claims=("data",))
    await settled(plane, 2)
    before = await claims(plane)
    assert sorted(before) == ["data-web-0", "data-web-1"]
    assert before["data-web-1"].metadata.labels == {"app": "web"}
    pod = await plane.client.get(Pod, "web-1", "default")
    (volume,) = [v for v in pod.spec.volumes if v.persistent_volume_claim]
    assert volume.persistent_volume_claim is not None
    assert (volume.name, volume.persistent_volume_claim.claim_name) == ("data", "data-web-1")
    await plane.client.delete(Pod, "web-1", "default")

    async def back() -> bool:
        found = await plane.client.get(Pod, "web-1", "default")
        return found.metadata.uid != pod.metadata.uid

    await eventually(back)
    await settled(plane, 2)
    after = await claims(plane)
    assert {n: c.metadata.uid for n, c in after.items()} == {
        n: c.metadata.uid for n, c in before.items()
    }


async def test_no_second_pod_while_the_first_cannot_be_reached(plane: Plane) -> None:
    await made(plane, replicas=1)
    await settled(plane, 1)
    plane.agents.silent.add("n1")
    await plane.client.delete(Pod, "web-0", "default")
    first = await plane.client.get(Pod, "web-0", "default")
    assert first.metadata.deletion_timestamp
    controller = plane.controller("statefulset-controller")
    for _ in range(3):
        await controller.reconcile(Key("default", "web"))
    (still,) = await plane.pods()
    assert still.metadata.uid == first.metadata.uid
    await plane.client.delete(Pod, "web-0", "default", grace_period_seconds=0)
    plane.agents.silent.clear()
    await settled(plane, 1)


async def test_a_failed_pod_is_made_anew(plane: Plane) -> None:
    await made(plane, replicas=1)
    await settled(plane, 1)
    first = await plane.client.get(Pod, "web-0", "default")
    plane.agents.silent.add("n1")
    body = {"status": {"phase": "Failed"}}
    await plane.client.patch(
        Pod, "web-0", "default", body, patch_type=PatchType.STRATEGIC, subresource="status"
    )

    async def told() -> bool:
        events = (await plane.client.list(Event, "default")).items
        return any(event.reason == "RecreatingFailedPod" for event in events)

    await eventually(told)
    plane.agents.silent.clear()

    async def anew() -> bool:
        return (await plane.client.get(Pod, "web-0", "default")).metadata.uid != first.metadata.uid

    await eventually(anew)  # the status told before says nothing of the pod that is to come
    await settled(plane, 1)


async def test_an_update_goes_down_to_the_partition_and_on(plane: Plane) -> None:
    order = note_order(plane)
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    await made(plane, replicas=3, updateStrategy=rolling)
    await settled(plane, 3)
    order.clear()
    await change(plane, template=image("web:2"))
    halfway = await settled(plane, 3, updated=1)
    assert await images(plane) == {"web-0": "web:1", "web-1": "web:1", "web-2": "web:2"}
    assert halfway.status.current_revision != halfway.status.update_revision
    assert halfway.status.current_replicas == 2
    await plane.client.delete(Pod, "web-0", "default")
    await eventually(lambda: _comes_back(plane, "web-0", "web:1"))

    async def ready_again() -> bool:
        return order[-1:] == ["web-0"]

    await eventually(ready_again)  # the status may still be that of before
    await settled(plane, 3, updated=1)
    order.clear()
    await change(plane, updateStrategy={"rollingUpdate": {"partition": 0}})
    done = await settled(plane, 3)
    await came_about(order, "-web-1", "+web-1", "web-1", "-web-0", "+web-0", "web-0")
    assert set((await images(plane)).values()) == {"web:2"}

    async def over() -> bool:
        found = await plane.client.get(StatefulSet, "web", "default")
        return found.status.current_revision == done.status.update_revision

    await eventually(over)


async def _comes_back(plane: Plane, name: str, with_image: str) -> bool:
    found = await plane.client.get(Pod, name, "default")
    return found.spec.containers[0].image == with_image and not found.metadata.deletion_timestamp


async def test_several_at_once_where_several_may_be_missing(plane: Plane) -> None:
    await made(plane, replicas=4, updateStrategy={"rollingUpdate": {"maxUnavailable": 2}})
    await settled(plane, 4)
    lowest = 4

    def watch(old: Pod | None, new: Pod | None) -> None:
        nonlocal lowest
        there = [pod for pod in plane.agents.pods.items() if not pod.metadata.deletion_timestamp]
        lowest = min(lowest, sum(map(is_ready, there)))

    plane.agents.pods.subscribe(watch)
    await change(plane, template=image("web:2"))
    await settled(plane, 4)
    assert lowest == 2
    assert set((await images(plane)).values()) == {"web:2"}


async def test_the_first_ordinal_may_be_another(plane: Plane) -> None:
    """Moving it makes pods at one end and ends those at the other, as when a set moves elsewhere."""
    await made(plane, replicas=2, ordinals={"start": 3}, minReadySeconds=1)
    await settled(plane, 2)
    assert await names(plane) == ["web-3", "web-4"]
    await change(plane, ordinals={"start": 4})

    async def moved() -> bool:
        return await names(plane) == ["web-4", "web-5"]

    await eventually(moved)
    await settled(plane, 2)


async def test_on_delete_waits(plane: Plane) -> None:
    await made(plane, replicas=2, updateStrategy={"type": "OnDelete"})
    await settled(plane, 2)
    await change(plane, template=image("web:2"))
    await settled(plane, 2, updated=0)
    await plane.client.delete(Pod, "web-0", "default")
    await settled(plane, 2, updated=1)
    assert await images(plane) == {"web-0": "web:2", "web-1": "web:1"}


async def test_history_has_its_limit_and_a_former_state_its_revision(plane: Plane) -> None:
    await made(plane, replicas=1, revisionHistoryLimit=1)
    await settled(plane, 1)
    for name in ("web:2", "web:3", "web:2"):
        await change(plane, template=image(name))
        await settled(plane, 1)

    async def kept() -> bool:
        found = (await plane.client.list(ControllerRevision, "default")).items
        return sorted(one.revision for one in found) == [3, 4]

    await eventually(kept)


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
async def test_claims_of_pods_that_are_not_wanted(plane: Plane, policy: str) -> None:
    retention = {"whenScaled": policy, "whenDeleted": "Retain"}
    await made(plane, replicas=2, claims=("data",), persistentVolumeClaimRetentionPolicy=retention)
    await settled(plane, 2)
    first = await claims(plane)
    await change(plane, replicas=1)
    await settled(plane, 1)

    async def as_wanted() -> bool:
        kept = {"data-web-0"} | ({"data-web-1"} if policy == "Retain" else set())
        return set(await claims(plane)) == kept

    await eventually(as_wanted)
    await change(plane, replicas=2)
    await settled(plane, 2)
    second = await claims(plane)
    same = second["data-web-1"].metadata.uid == first["data-web-1"].metadata.uid
    assert same == (policy == "Retain")


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
async def test_claims_of_a_set_that_is_deleted(plane: Plane, policy: str) -> None:
    retention = {"whenScaled": "Retain", "whenDeleted": policy}
    await made(plane, replicas=1, claims=("data",), persistentVolumeClaimRetentionPolicy=retention)
    await settled(plane, 1)
    await plane.client.delete(StatefulSet, "web", "default")

    async def gone() -> bool:
        history = (await plane.client.list(ControllerRevision, "default")).items
        left = set(await claims(plane)) == ({"data-web-0"} if policy == "Retain" else set())
        return left and not history and not await plane.pods()

    await eventually(gone)


async def test_a_claim_on_its_way_out_is_waited_for(plane: Plane) -> None:
    (leaving,) = ordinals.new_claims(stateful_set(claims=("data",)), 0)
    leaving.metadata.finalizers = ["example.com/keep"]
    await plane.client.create(leaving)
    await plane.client.delete(PersistentVolumeClaim, "data-web-0", "default")
    await made(plane, replicas=1, claims=("data",))
    why = "create Pod web-0 in StatefulSet web failed error: pvc data-web-0 is being deleted"

    async def told() -> bool:
        events = (await plane.client.list(Event, "default")).items
        return why in {event.message for event in events}

    await eventually(told)
    assert not await plane.pods()
    free = {"metadata": {"finalizers": None}}
    await plane.client.patch(PersistentVolumeClaim, "data-web-0", "default", free)
    await settled(plane, 1)


async def test_orphans_are_taken_over_with_their_history(plane: Plane) -> None:
    await made(plane, replicas=2)
    await settled(plane, 2)
    before = {pod.metadata.uid for pod in await plane.pods()}
    await plane.client.delete(StatefulSet, "web", "default", propagation_policy="Orphan")

    async def orphaned() -> bool:
        try:
            await plane.client.get(StatefulSet, "web", "default")
        except errors.ApiError as error:
            free = [objects.controller_of(pod) is None for pod in await plane.pods()]
            return errors.is_not_found(error) and all(free)
        return False

    await eventually(orphaned)
    owner = stateful_set(replicas=2)
    owner.metadata.uid = ""
    again = await plane.client.create(owner)
    await settled(plane, 2)
    assert {pod.metadata.uid for pod in await plane.pods()} == before
    (revision,) = (await plane.client.list(ControllerRevision, "default")).items
    reference = objects.controller_of(revision)
    assert reference is not None
    assert reference.uid == again.metadata.uid


async def test_a_second_look_writes_nothing(plane: Plane) -> None:
    await made(plane, replicas=2, claims=("data",))
    await settled(plane, 2)
    name = "statefulset-controller"
    kinds = (StatefulSet, ControllerRevision, PersistentVolumeClaim, Pod)
    before = await plane.at_rest(name, *kinds)
    assert await plane.controller(name).reconcile(Key("default", "web")) is None
    assert await plane.versions(*kinds) == before
