"""Rollouts as people see them: what the events say, and what becomes of one that is disturbed."""

from __future__ import annotations

from typing import Any

from api import conditions, objects
from api.apps import Deployment, ReplicaSet
from api.core import Event, ResourceQuota, ResourceQuotaSpec
from api.meta import ObjectMeta
from tests.integration.controllers.conftest import Plane, eventually
from tests.unit.controllers.making import rolling


def image(name: str, **more: Any) -> dict[str, Any]:
    """A change of the template, with others of the spec."""
    return {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": name}]}}, **more}}


async def change(plane: Plane, body: dict[str, Any]) -> None:
    await plane.client.patch(Deployment, "web", "default", body)


async def sets(plane: Plane) -> dict[str, ReplicaSet]:
    """The ReplicaSets by the image they run."""
    found = (await plane.client.list(ReplicaSet, "default")).items
    return {rs.spec.template.spec.containers[0].image: rs for rs in found}


async def progressing(plane: Plane) -> str:
    found = await plane.client.get(Deployment, "web", "default")
    condition = conditions.find(found.status.conditions, "Progressing")
    return condition.reason if condition is not None else ""


async def test_a_rollout_that_is_overtaken_gives_way(plane: Plane) -> None:
    """Its pods that never served go at once; those that serve stay as long as they are needed."""
    await plane.agents.add_node("n1")
    await plane.deploy(replicas=4, strategy=rolling(1, 1))
    await plane.complete("web", replicas=4)
    nowhere = image("web:2")
    nowhere["spec"]["template"]["spec"]["nodeSelector"] = {"there": "none"}
    await change(plane, nowhere)

    async def under_way() -> bool:
        found = await sets(plane)
        return [found[f"web:{n}"].spec.replicas for n in (1, 2)] == [3, 2]

    await eventually(under_way)
    there = image("web:3")
    there["spec"]["template"]["spec"]["nodeSelector"] = None
    await change(plane, there)
    done = await plane.complete("web", replicas=4)
    assert (await sets(plane))["web:2"].spec.replicas == 0
    assert done.metadata.annotations["deployment.kubernetes.io/revision"] == "3"

    async def only_the_last() -> bool:
        return {pod.spec.containers[0].image for pod in await plane.pods()} == {"web:3"}

    await eventually(only_the_last)
    assert await progressing(plane) == "NewReplicaSetAvailable"


async def test_scaling_amid_a_rollout_is_shared(plane: Plane) -> None:
    """The Deployment page's own example: 8 of the old and 5 of the new become 11 and 7."""
    await plane.agents.add_node("n1")
    await plane.deploy(replicas=10, strategy=rolling(3, 2))
    await plane.complete("web", replicas=10)
    plane.agents.hold = True
    await change(plane, image("web:2"))

    async def sized(old: int, new: int) -> bool:
        found = await sets(plane)
        return [found[f"web:{n}"].spec.replicas for n in (1, 2)] == [old, new]

    await eventually(lambda: sized(8, 5))
    await change(plane, {"spec": {"replicas": 15}})
    await eventually(lambda: sized(11, 7))
    plane.agents.hold = False
    await plane.complete("web", replicas=15)
    await eventually(lambda: sized(0, 15))


async def test_a_rollout_that_stands_still_says_so_until_it_moves(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await plane.deploy(replicas=2, progressDeadlineSeconds=1)
    await plane.complete("web", replicas=2)
    plane.agents.hold = True
    await change(plane, image("web:2"))

    async def stuck() -> bool:
        return await progressing(plane) == "ProgressDeadlineExceeded"

    await eventually(stuck)
    await change(plane, {"spec": {"paused": True}})
    await plane.clock.sleep(0.3)
    assert await stuck(), "a pause hides nothing"
    await change(plane, {"spec": {"paused": False}})
    plane.agents.hold = False
    await plane.complete("web", replicas=2)
    assert await progressing(plane) == "NewReplicaSetAvailable"


async def test_going_back_finds_the_old_set(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await plane.deploy(replicas=1)
    await plane.complete("web", replicas=1)
    await plane.clock.sleep(1.1)  # sets are told apart by the second in which they were made
    await change(plane, image("web:2"))
    await plane.complete("web", replicas=1)
    plane.agents.hold = True
    await change(plane, image("web:1"))
    seen = set()

    async def found() -> bool:
        seen.add(await progressing(plane))
        return (await sets(plane))["web:1"].spec.replicas == 1

    await eventually(found)
    assert "NewReplicaSetCreated" not in seen
    plane.agents.hold = False
    await plane.complete("web", replicas=1)
    annotations = {name: rs.metadata.annotations for name, rs in (await sets(plane)).items()}
    been = "deployment.kubernetes.io/revision-history"
    assert annotations["web:1"].get(been) == "1"
    assert annotations["web:1"]["deployment.kubernetes.io/revision"] == "3"
    assert been not in annotations["web:2"]


async def test_a_replica_set_that_may_not_be_made_is_told(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await plane.deploy(replicas=1)
    await plane.complete("web", replicas=1)
    metadata = ObjectMeta(name="q", namespace="default")
    spec = ResourceQuotaSpec(hard={"count/replicasets.apps": "1"})
    await plane.client.create(ResourceQuota(metadata=metadata, spec=spec))

    async def counted() -> bool:
        found = await plane.client.get(ResourceQuota, "q", "default")
        return found.status.used == {"count/replicasets.apps": "1"}

    await eventually(counted)
    await change(plane, image("web:2"))

    async def refused() -> bool:
        found = await plane.client.get(Deployment, "web", "default")
        told = conditions.find(found.status.conditions, "Progressing")
        events = (await plane.client.list(Event, "default")).items
        return (
            told is not None
            and (told.status, told.reason) == ("False", "ReplicaSetCreateError")
            and told.message.startswith('Failed to create new replica set "web-')
            and "exceeded quota: q" in told.message
            and told.message in {e.message for e in events if e.reason == "ReplicaSetCreateError"}
        )

    await eventually(refused)
    await plane.client.delete(ResourceQuota, "q", "default")
    await plane.complete("web", replicas=1)
    assert await progressing(plane) == "NewReplicaSetAvailable"


async def test_a_pod_is_to_be_ready_for_a_while(plane: Plane) -> None:
    """Until then it counts as ready, not as available, and the rollout does not go on."""
    await plane.agents.add_node("n1")
    await plane.deploy(replicas=2, strategy=rolling(1, 0))
    await plane.complete("web", replicas=2)
    await change(plane, image("web:2", minReadySeconds=500))

    async def waiting() -> bool:
        new = (await sets(plane)).get("web:2")
        return new is not None and (new.status.ready_replicas, new.status.available_replicas) == (
            1,
            0,
        )

    await eventually(waiting)
    assert (await sets(plane))["web:1"].spec.replicas == 2
    await change(plane, {"spec": {"minReadySeconds": 1}})
    await plane.complete("web", replicas=2)


async def test_history_is_cut_while_a_deployment_is_paused(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await plane.deploy(replicas=1)
    for number in (1, 2, 3):
        await change(plane, image(f"web:{number}"))
        await plane.complete("web", replicas=1)
    assert sorted(await sets(plane)) == ["web:1", "web:2", "web:3"]
    await change(plane, {"spec": {"paused": True, "revisionHistoryLimit": 1}})

    async def cut() -> bool:
        return sorted(await sets(plane)) == ["web:2", "web:3"]

    await eventually(cut)


async def test_a_deployment_that_waits_for_its_sets_to_go_still_counts(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await plane.deploy(replicas=2)
    await plane.complete("web", replicas=2)
    (rs,) = (await sets(plane)).values()
    held = {"metadata": {"finalizers": ["example.com/hold"]}}
    await change(plane, held)
    await plane.client.delete(Deployment, "web", "default", propagation_policy="Orphan")

    async def orphaned() -> bool:
        found = await plane.client.get(ReplicaSet, rs.metadata.name, "default")
        return objects.controller_of(found) is None

    await eventually(orphaned)

    async def counts_none() -> bool:
        found = await plane.client.get(Deployment, "web", "default")
        return found.status.replicas == 0

    await eventually(counts_none)
    assert len(await plane.pods()) == 2, "and does nothing to what it has let go"
    await change(plane, {"metadata": {"finalizers": None}})
