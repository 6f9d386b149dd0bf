"""DaemonSets end to end, down to pods that fake agents run."""

from collections import Counter
from typing import Any

import pytest

from api.apps import ControllerRevision, DaemonSet
from api.client import PatchType
from api.core import Event, Node, Pod
from api.objects import Key
from tests.integration.controllers.conftest import GRACE, Plane, eventually
from tests.unit.controllers.making import daemon_set


async def made(plane: Plane, **more: Any) -> DaemonSet:
    owner = daemon_set(**more)
    owner.metadata.uid = ""
    return await plane.client.create(owner)


async def settled(plane: Plane, nodes: int) -> DaemonSet:
    """The DaemonSet, once it runs its present template on so many nodes."""

    async def done() -> DaemonSet | None:
        found = await plane.client.get(DaemonSet, "log", "default")
        status = found.status
        counts = (
            status.desired_number_scheduled,
            status.current_number_scheduled,
            status.updated_number_scheduled,
            status.number_available,
        )
        current = status.observed_generation == found.metadata.generation
        return found if counts == (nodes,) * 4 and current else None

    found = await eventually(done)
    assert found is not None
    return found


async def placed(plane: Plane) -> Counter[str]:
    return Counter(
        pod.spec.node_name for pod in await plane.pods() if not pod.metadata.deletion_timestamp
    )


async def change_image(plane: Plane, image: str) -> None:
    body = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}
    await plane.client.patch(DaemonSet, "log", "default", body)


async def test_every_node_has_one_and_new_nodes_get_one(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await plane.agents.add_node("n2")
    await plane.client.patch(Node, "n2", "", {"spec": {"unschedulable": True}})
    await made(plane)
    await settled(plane, 2)
    await plane.agents.add_node("n3")
    await settled(plane, 3)
    assert await placed(plane) == {"n1": 1, "n2": 1, "n3": 1}

    async def told() -> bool:
        events = (await plane.client.list(Event, "default")).items
        return sum(event.reason == "SuccessfulCreate" for event in events) == 3

    await eventually(told)


@pytest.fixture
def quick_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control.controllers.nodes.podgc.QUARANTINE_SECONDS", 0.2)
    monkeypatch.setattr("control.controllers.nodes.podgc.PERIOD_SECONDS", 0.1)


@pytest.mark.parametrize("grace", [GRACE])
async def test_a_lost_node_has_its_pod_until_it_is_deleted(
    quick_collection: None, grace: float, plane: Plane
) -> None:
    """Nobody moves it to another node, and nobody evicts it."""
    for name in ("n1", "n2"):
        await plane.agents.add_node(name)
    await made(plane)
    await settled(plane, 2)
    before = {pod.metadata.uid for pod in await plane.pods()}
    plane.agents.silent.add("n1")

    async def counted() -> bool:
        status = (await plane.client.get(DaemonSet, "log", "default")).status
        counts = (status.desired_number_scheduled, status.number_misscheduled, status.number_ready)
        return counts == (1, 1, 1)

    await eventually(counted)
    assert await placed(plane) == {"n1": 1, "n2": 1}
    assert {pod.metadata.uid for pod in await plane.pods()} == before
    await plane.client.delete(Node, "n1")

    async def gone() -> bool:
        return await placed(plane) == {"n2": 1}

    await eventually(gone)


async def test_labels_of_nodes_decide(plane: Plane) -> None:
    await plane.agents.add_node("n1", labels={"disk": "ssd"})
    await plane.agents.add_node("n2")
    await made(plane, pod={"nodeSelector": {"disk": "ssd"}})
    await settled(plane, 1)
    await plane.client.patch(Node, "n2", "", {"metadata": {"labels": {"disk": "ssd"}}})
    await settled(plane, 2)
    await plane.client.patch(Node, "n1", "", {"metadata": {"labels": {"disk": "hdd"}}})

    async def moved() -> bool:
        return await placed(plane) == {"n2": 1}

    await eventually(moved)
    await settled(plane, 1)


async def test_a_lost_pod_is_replaced_on_its_node(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await made(plane)
    await settled(plane, 1)
    (pod,) = await plane.pods()
    await plane.client.delete(Pod, pod.metadata.name, "default")

    async def replaced() -> bool:
        others = [one for one in await plane.pods() if one.metadata.uid != pod.metadata.uid]
        return [one.spec.node_name for one in others] == ["n1"]

    await eventually(replaced)
    await settled(plane, 1)


async def test_a_failed_pod_is_replaced(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await made(plane)
    await settled(plane, 1)
    (pod,) = await plane.pods()
    plane.agents.silent.add("n1")
    body = {"status": {"phase": "Failed"}}
    await plane.client.patch(
        Pod,
        pod.metadata.name,
        "default",
        body,
        patch_type=PatchType.STRATEGIC,
        subresource="status",
    )

    async def leaving() -> bool:
        uids = {each.metadata.uid: each for each in await plane.pods()}
        old = uids.get(pod.metadata.uid)
        return old is None or old.metadata.deletion_timestamp is not None

    await eventually(leaving)
    plane.agents.silent.clear()
    await settled(plane, 1)


async def test_a_rolling_update_keeps_its_bounds_and_its_history(plane: Plane) -> None:
    for number in range(4):
        await plane.agents.add_node(f"n{number}")
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}
    await made(plane, updateStrategy=rolling, revisionHistoryLimit=1)
    await settled(plane, 4)
    lowest, most = 4, 0

    def watch(old: Pod | None, new: Pod | None) -> None:
        nonlocal lowest, most
        active = [p for p in plane.agents.pods.items() if not p.metadata.deletion_timestamp]
        ready = [
            p
            for p in active
            if any(c.status == "True" for c in p.status.conditions if c.type == "Ready")
        ]
        lowest = min(lowest, len(ready))
        most = max(most, *Counter(p.spec.node_name for p in active if p.spec.node_name).values())

    plane.agents.pods.subscribe(watch)
    await change_image(plane, "log:2")
    await settled(plane, 4)
    assert (lowest, most) == (3, 1)
    assert {pod.spec.containers[0].image for pod in await plane.pods()} == {"log:2"}
    await change_image(plane, "log:3")
    await settled(plane, 4)
    await change_image(plane, "log:2")
    await settled(plane, 4)

    async def numbers() -> bool:
        revisions = (await plane.client.list(ControllerRevision, "default")).items
        return sorted(one.revision for one in revisions) == [3, 4]

    await eventually(numbers)


async def test_a_surge_never_leaves_a_node_without(plane: Plane) -> None:
    for number in range(3):
        await plane.agents.add_node(f"n{number}")
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    await made(plane, updateStrategy=rolling)
    await settled(plane, 3)
    lowest = 3

    def watch(old: Pod | None, new: Pod | None) -> None:
        nonlocal lowest
        ready = {
            p.spec.node_name
            for p in plane.agents.pods.items()
            if not p.metadata.deletion_timestamp
            and any(c.status == "True" for c in p.status.conditions if c.type == "Ready")
        }
        lowest = min(lowest, len(ready))

    plane.agents.pods.subscribe(watch)
    await change_image(plane, "log:2")
    await settled(plane, 3)
    assert lowest == 3

    async def one_each() -> bool:
        return await placed(plane) == {"n0": 1, "n1": 1, "n2": 1}

    await eventually(one_each)


async def test_on_delete_updates_what_somebody_deletes(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await plane.agents.add_node("n2")
    await made(plane, updateStrategy={"type": "OnDelete"})
    await settled(plane, 2)
    await change_image(plane, "log:2")
    victim = next(pod for pod in await plane.pods() if pod.spec.node_name == "n1")

    async def updated(number: int) -> bool:
        found = await plane.client.get(DaemonSet, "log", "default")
        return (
            found.status.updated_number_scheduled == number
            and found.status.number_available == 2
            and found.status.observed_generation == found.metadata.generation
        )

    await eventually(lambda: updated(0))
    await plane.client.delete(Pod, victim.metadata.name, "default")
    await eventually(lambda: updated(1))


async def test_deleting_takes_pods_and_history(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await made(plane)
    await settled(plane, 1)
    await plane.client.delete(DaemonSet, "log", "default", propagation_policy="Foreground")

    async def gone() -> bool:
        sets = (await plane.client.list(DaemonSet, "default")).items
        history = (await plane.client.list(ControllerRevision, "default")).items
        return not (sets or history or await plane.pods())

    await eventually(gone)


async def test_a_revision_that_somebody_deletes_is_made_again(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await made(plane)
    await settled(plane, 1)
    before = (await plane.client.list(ControllerRevision, "default")).items[0]
    await plane.client.delete(ControllerRevision, before.metadata.name, "default")

    async def there() -> bool:
        found = (await plane.client.list(ControllerRevision, "default")).items
        return [one.metadata.name for one in found] == [before.metadata.name]

    await eventually(there)


async def test_a_second_look_writes_nothing(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await made(plane)
    await settled(plane, 1)
    name, kinds = "daemonset-controller", (DaemonSet, ControllerRevision, Pod)
    before = await plane.at_rest(name, *kinds)
    assert await plane.controller(name).reconcile(Key("default", "log")) is None
    assert await plane.versions(*kinds) == before
