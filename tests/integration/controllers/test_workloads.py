"""Deployments and ReplicaSets end to end, down to pods that fake agents run."""

import pytest

from api import errors, objects
from api.apps import Deployment, ReplicaSet
from api.core import Event, Pod, ReplicationController
from tests.integration.controllers.conftest import Plane, eventually
from tests.unit.controllers.making import replication_controller, rolling


async def test_a_deployment_comes_up_and_says_so(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await plane.deploy(replicas=3)
    done = await plane.complete("web", replicas=3)
    told = {c.type: (c.status, c.reason) for c in done.status.conditions}
    assert told["Available"] == ("True", "MinimumReplicasAvailable")
    assert told["Progressing"] == ("True", "NewReplicaSetAvailable")
    (rs,) = (await plane.client.list(ReplicaSet, "default")).items
    pods = await plane.pods()
    assert {p.spec.node_name for p in pods} == {"n1"}
    assert all(p.metadata.name.startswith(f"{rs.metadata.name}-") for p in pods)
    assert len({p.metadata.labels["pod-template-hash"] for p in pods}) == 1

    async def scaled() -> bool:
        events = (await plane.client.list(Event, "default")).items
        wanted = f"Scaled up replica set {rs.metadata.name} from 0 to 3"
        return wanted in {event.message for event in events}

    assert await eventually(scaled)


async def test_a_rolling_update_keeps_its_bounds(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await plane.deploy(replicas=4, strategy=rolling(1, 1))
    await plane.complete("web", replicas=4)
    low, high = 4, 4

    def watch(old: Pod | None, new: Pod | None) -> None:
        nonlocal low, high
        active = [p for p in plane.agents.pods.items() if not p.metadata.deletion_timestamp]
        ready = [
            p
            for p in active
            if any(c.type == "Ready" and c.status == "True" for c in p.status.conditions)
        ]
        low, high = min(low, len(ready)), max(high, len(active))

    plane.agents.pods.subscribe(watch)
    body = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "web:2"}]}}}}
    await plane.client.patch(Deployment, "web", "default", body)
    await plane.complete("web", replicas=4)
    assert {p.spec.containers[0].image for p in await plane.pods()} <= {"web:1", "web:2"}
    assert (low, high) == (3, 5)
    sets = (await plane.client.list(ReplicaSet, "default")).items
    revisions = {rs.metadata.annotations["deployment.kubernetes.io/revision"] for rs in sets}
    assert revisions == {"1", "2"}


async def test_going_back_to_an_old_template_reuses_its_replica_set(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await plane.deploy(replicas=2)
    await plane.complete("web", replicas=2)
    for image in ("web:2", "web:1"):
        body = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}
        await plane.client.patch(Deployment, "web", "default", body)
        done = await plane.complete("web", replicas=2)
    assert done.metadata.annotations["deployment.kubernetes.io/revision"] == "3"
    assert len((await plane.client.list(ReplicaSet, "default")).items) == 2


async def test_recreate_never_runs_both(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await plane.deploy(replicas=2, strategy={"type": "Recreate"})
    await plane.complete("web", replicas=2)
    both = []

    def watch(old: Pod | None, new: Pod | None) -> None:
        images = {p.spec.containers[0].image for p in plane.agents.pods.items()}
        both.append(len(images) > 1)

    plane.agents.pods.subscribe(watch)
    body = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "web:2"}]}}}}
    await plane.client.patch(Deployment, "web", "default", body)
    await plane.complete("web", replicas=2)
    assert not any(both)


async def test_a_paused_deployment_waits(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await plane.deploy(replicas=1)
    await plane.complete("web", replicas=1)
    template = {"spec": {"containers": [{"name": "c", "image": "web:2"}]}}
    await plane.client.patch(
        Deployment, "web", "default", {"spec": {"paused": True, "template": template}}
    )

    async def told() -> bool:
        found = await plane.client.get(Deployment, "web", "default")
        return any(c.reason == "DeploymentPaused" for c in found.status.conditions)

    await eventually(told)
    assert len((await plane.client.list(ReplicaSet, "default")).items) == 1
    await plane.client.patch(Deployment, "web", "default", {"spec": {"paused": False}})
    await plane.complete("web", replicas=1)
    assert len((await plane.client.list(ReplicaSet, "default")).items) == 2


async def test_a_deleted_pod_is_replaced_and_an_orphan_adopted(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await plane.deploy(replicas=2)
    await plane.complete("web", replicas=2)
    (victim, other) = await plane.pods()
    await plane.client.delete(Pod, victim.metadata.name, "default")
    await plane.complete("web", replicas=2)
    body = {"metadata": {"labels": {"app": "released"}}}
    await plane.client.patch(Pod, other.metadata.name, "default", body)

    async def released() -> bool:
        found = await plane.client.get(Pod, other.metadata.name, "default")
        return objects.controller_of(found) is None and len(await plane.pods()) == 3

    assert await eventually(released)


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
async def test_deleting_a_deployment_takes_everything(plane: Plane, policy: str) -> None:
    await plane.agents.add_node("n1")
    await plane.deploy(replicas=2)
    await plane.complete("web", replicas=2)
    order: list[str] = []
    plane.agents.pods.subscribe(lambda old, new: order.append("pod") if new is None else None)
    await plane.client.delete(Deployment, "web", "default", propagation_policy=policy)

    async def gone() -> bool:
        deployments = (await plane.client.list(Deployment, "default")).items
        sets = (await plane.client.list(ReplicaSet, "default")).items
        pods = await plane.pods()
        if policy == "Foreground" and pods:
            assert deployments, "in the foreground the owner goes last"
        return not (deployments or sets or pods)

    assert await eventually(gone)


async def test_orphaning_leaves_the_pods_for_the_next_owner(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await plane.deploy(replicas=2)
    await plane.complete("web", replicas=2)
    before = {p.metadata.uid for p in await plane.pods()}
    await plane.client.delete(Deployment, "web", "default", propagation_policy="Orphan")

    async def orphaned() -> bool:
        sets = (await plane.client.list(ReplicaSet, "default")).items
        gone = False
        try:
            await plane.client.get(Deployment, "web", "default")
        except errors.ApiError as error:
            gone = errors.is_not_found(error)
        return gone and all(objects.controller_of(rs) is None for rs in sets)

    await eventually(orphaned)
    await plane.deploy(replicas=2)
    await plane.complete("web", replicas=2)
    assert {p.metadata.uid for p in await plane.pods()} == before


async def test_a_paused_deployment_can_be_scaled_up_from_nothing(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await plane.deploy(replicas=1)
    await plane.complete("web", replicas=1)
    await plane.client.patch(Deployment, "web", "default", {"spec": {"replicas": 0}})
    await plane.complete("web", replicas=0)
    change = {"spec": {"paused": True, "replicas": 2}}
    await plane.client.patch(Deployment, "web", "default", change)
    await plane.complete("web", replicas=2)


async def test_a_replication_controller_keeps_its_pods(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    rc = await plane.client.create(replication_controller(replicas=2))

    async def ready(replicas: int) -> bool:
        found = await plane.client.get(ReplicationController, "web", "default")
        status = found.status
        counts = (status.replicas, status.ready_replicas, status.available_replicas)
        return counts == (replicas,) * 3 and len(await plane.pods()) == replicas

    await eventually(lambda: ready(2))
    (first, _) = await plane.pods()
    owner = objects.controller_of(first)
    assert owner is not None
    assert (owner.api_version, owner.kind, owner.uid) == (
        "v1",
        "ReplicationController",
        rc.metadata.uid,
    )
    await plane.client.patch(ReplicationController, "web", "default", {"spec": {"replicas": 1}})
    await eventually(lambda: ready(1))
    await plane.client.delete(ReplicationController, "web", "default")

    async def gone() -> bool:
        return not await plane.pods()

    await eventually(gone)


async def test_a_new_selector_lets_go_of_every_pod(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await plane.client.create(replication_controller(replicas=1))

    async def owned(number: int) -> bool:
        pods = await plane.pods()
        return (
            len(pods) == number and sum(objects.controller_of(pod) is not None for pod in pods) == 1
        )

    await eventually(lambda: owned(1))
    labels = {"app": "other"}
    body = {"spec": {"selector": labels, "template": {"metadata": {"labels": labels}}}}
    await plane.client.patch(ReplicationController, "web", "default", body)
    await eventually(lambda: owned(2))


async def test_a_replica_set_that_is_not_selected_any_more_is_let_go(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await plane.deploy(replicas=1)
    await plane.complete("web", replicas=1)
    (first,) = (await plane.client.list(ReplicaSet, "default")).items
    body = {"metadata": {"labels": {"app": "other"}}}
    await plane.client.patch(ReplicaSet, first.metadata.name, "default", body)

    async def replaced() -> bool:
        sets = (await plane.client.list(ReplicaSet, "default")).items
        owned = [rs.metadata.name for rs in sets if objects.controller_of(rs) is not None]
        return len(sets) == 2 and len(owned) == 1 and first.metadata.name not in owned

    await eventually(replaced)
    done = await plane.complete("web", replicas=1)
    assert done.status.collision_count == 1
