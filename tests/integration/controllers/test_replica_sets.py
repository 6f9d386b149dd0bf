"""ReplicaSets and their pods: who is taken in, who is let go, who goes first, and what fails."""

from __future__ import annotations

from api import objects
from api.apps import ReplicaSet
from api.core import Event, Pod, ResourceQuota, ResourceQuotaSpec
from api.meta import ObjectMeta
from control.controllers.claims import adopt, release
from control.controllers.workloads.ranking import DELETION_COST
from tests.integration.controllers.conftest import Plane, eventually
from tests.unit.controllers.making import replica_set
from tests.unit.scheduler.making import pod

WEB = {"app": "web"}


async def make(plane: Plane, name: str = "web", size: int = 3) -> ReplicaSet:
    rs = replica_set(name, size=size)
    rs.metadata.uid = ""
    return await plane.client.create(rs)


async def has(plane: Plane, name: str = "web", *, size: int) -> bool:
    """Whether the set has so many pods, all available, and says so."""
    status = (await plane.client.get(ReplicaSet, name, "default")).status
    counts = (status.replicas, status.ready_replicas, status.available_replicas)
    return counts == (size,) * 3 == (len(await owned(plane, name)),) * 3


async def owned(plane: Plane, name: str = "web") -> list[Pod]:
    controlled = [(objects.controller_of(pod), pod) for pod in await plane.pods()]
    return [pod for owner, pod in controlled if owner is not None and owner.name == name]


async def test_a_pod_that_was_there_first_is_counted(plane: Plane) -> None:
    """Three of the template and one of another image; when that one goes it is replaced."""
    await plane.agents.add_node("n1")
    await plane.client.create(pod("orphan", labels={**WEB, "more": "labels"}))
    await make(plane, size=4)
    await eventually(lambda: has(plane, size=4))
    images = sorted(one.spec.containers[0].image for one in await plane.pods())
    assert images == ["i", "web:1", "web:1", "web:1"]
    await plane.client.delete(Pod, "orphan", "default")

    async def all_of_the_template() -> bool:
        pods = await owned(plane)
        return [one.spec.containers[0].image for one in pods] == ["web:1"] * 4

    await eventually(all_of_the_template)


async def test_a_pod_that_comes_later_is_too_many(plane: Plane) -> None:
    """It is adopted, and as the youngest on the same node the first to go."""
    await plane.agents.add_node("n1")
    await make(plane, size=2)
    await eventually(lambda: has(plane, size=2))
    before = {one.metadata.name for one in await plane.pods()}
    await plane.client.create(pod("orphan", labels=WEB))

    async def told() -> bool:
        events = (await plane.client.list(Event, "default")).items
        return "Deleted pod: orphan" in {event.message for event in events}

    await eventually(told)
    await eventually(lambda: has(plane, size=2))
    assert {one.metadata.name for one in await plane.pods()} == before


async def test_pods_of_others_and_other_labels_are_left_alone(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    other = await make(plane, "other", size=1)
    await eventually(lambda: has(plane, "other", size=1))
    (theirs,) = await owned(plane, "other")
    await make(plane, size=1)
    await eventually(lambda: has(plane, size=1))
    (mine,) = await owned(plane)
    labels = {"metadata": {"labels": {"seen": "yes"}}}
    await plane.client.patch(Pod, mine.metadata.name, "default", labels)
    for name in ("web", "other"):
        await plane.client.patch(ReplicaSet, name, "default", {"spec": {"replicas": 2}})
        await eventually(lambda name=name: has(plane, name, size=2))  # type: ignore[misc]
    assert mine.metadata.uid in {one.metadata.uid for one in await owned(plane)}
    assert theirs.metadata.uid in {one.metadata.uid for one in await owned(plane, "other")}
    assert other.metadata.uid


async def test_another_template_is_for_later_pods(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await make(plane, size=1)
    await eventually(lambda: has(plane, size=1))
    body = {
        "spec": {
            "replicas": 2,
            "template": {"spec": {"containers": [{"name": "c", "image": "web:2"}]}},
        }
    }
    await plane.client.patch(ReplicaSet, "web", "default", body)
    await eventually(lambda: has(plane, size=2))
    images = sorted(one.spec.containers[0].image for one in await plane.pods())
    assert images == ["web:1", "web:2"]


async def test_another_set_takes_over_what_was_left_behind(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await make(plane, size=2)
    await eventually(lambda: has(plane, size=2))
    before = {one.metadata.uid for one in await plane.pods()}
    await plane.client.delete(ReplicaSet, "web", "default", propagation_policy="Orphan")

    async def alone() -> bool:
        return not await owned(plane) and not (await plane.client.list(ReplicaSet, "default")).items

    await eventually(alone)
    rs = replica_set("next", size=2)
    rs.metadata.uid = ""
    rs.spec.template.spec.containers[0].image = "web:2"
    await plane.client.create(rs)
    await eventually(lambda: has(plane, "next", size=2))
    assert {one.metadata.uid for one in await plane.pods()} == before


async def test_the_cheapest_goes_first(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await make(plane, size=3)
    await eventually(lambda: has(plane, size=3))
    names = sorted(one.metadata.name for one in await plane.pods())
    for name, cost in zip(names, ("10", "-10", "0"), strict=True):
        body = {"metadata": {"annotations": {DELETION_COST: cost}}}
        await plane.client.patch(Pod, name, "default", body)

    async def known() -> bool:
        shown = [plane.agents.pods.get(name, "default") for name in names]
        return all(one is not None and DELETION_COST in one.metadata.annotations for one in shown)

    await eventually(known)
    for left in ([names[0], names[2]], [names[0]]):
        body = {"spec": {"replicas": len(left)}}
        await plane.client.patch(ReplicaSet, "web", "default", body)

        async def gone(left: list[str] = left) -> bool:
            return sorted(one.metadata.name for one in await plane.pods()) == left

        await eventually(gone)


async def test_a_quota_is_run_into_a_few_times_and_not_hundreds(plane: Plane) -> None:
    """What has room is made; the status says why the rest is not, until it is."""
    await plane.agents.add_node("n1")
    metadata = ObjectMeta(name="q", namespace="default")
    spec = ResourceQuotaSpec(hard={"pods": "3"})
    await plane.client.create(ResourceQuota(metadata=metadata, spec=spec))
    await make(plane, size=100)

    async def refused() -> bool:
        status = (await plane.client.get(ReplicaSet, "web", "default")).status
        told = [(c.type, c.status, c.reason) for c in status.conditions]
        return (
            told == [("ReplicaFailure", "True", "FailedCreate")]
            and "exceeded quota: q" in status.conditions[0].message
            and status.replicas == 3
        )

    async def told() -> list[Event]:
        events = (await plane.client.list(Event, "default")).items
        return [event for event in events if event.reason == "FailedCreate"]

    await eventually(refused)
    failed = await eventually(told)
    assert sum(event.count or 1 for event in failed) <= 20
    assert all("Error creating: pods " in event.message for event in failed)
    body = {"spec": {"hard": {"pods": "200"}}}
    await plane.client.patch(ResourceQuota, "q", "default", body)
    await eventually(lambda: has(plane, size=100))

    async def said_no_longer() -> bool:
        return not (await plane.client.get(ReplicaSet, "web", "default")).status.conditions

    await eventually(said_no_longer)


async def test_a_pod_that_vanishes_while_it_is_adopted_is_no_trouble(plane: Plane) -> None:
    rs = await make(plane, size=0)
    gone = await plane.client.create(pod("gone", labels={"app": "nobody"}))
    await plane.client.delete(Pod, "gone", "default")
    assert await adopt(plane.client, rs, [gone]) == []
    await release(plane.client, rs, [gone])
