"""The ways of preemption that Kubernetes' own suites walk: whom it hits, what is nominated, what is left."""

from __future__ import annotations

from collections import Counter

import msgspec

from api import conditions
from api.apps import ReplicaSet
from api.core import Node, PersistentVolumeClaim, Pod
from api.meta import ObjectMeta
from api.scheduling import PriorityClass
from tests.integration.controllers.conftest import Plane, eventually
from tests.integration.controllers.test_predicates import HOST, change, on, start

FOO = "example.com/foo"


async def classes(plane: Plane, **values: int) -> None:
    for name, value in values.items():
        await plane.client.create(PriorityClass(metadata=ObjectMeta(name=name), value=value))


async def offer(plane: Plane, name: str, number: str) -> None:
    """So many of an extended resource on a node, as a device plugin would."""
    for status in ({"capacity": {FOO: number}}, {"allocatable": {FOO: number}}):
        await change(plane, Node, name, {"status": status}, subresource="status")


async def gone(plane: Plane, *names: str) -> None:
    async def without() -> bool:
        return not {one.metadata.name for one in await plane.pods()} & set(names)

    await eventually(without)


async def nominated(plane: Plane, name: str) -> str:
    return (await plane.client.get(Pod, name, "default")).status.nominated_node_name


async def test_a_critical_pod_of_the_system_takes_the_place_of_the_least_important(
    plane: Plane,
) -> None:
    await classes(plane, low=1, medium=100)
    for name in ("n1", "n2"):
        await plane.agents.add_node(name, labels={HOST: name})
        await offer(plane, name, "5")
    for number, class_ in enumerate(("low", "medium")):
        asked = {FOO: "3"}
        await start(
            plane, class_, requests=asked, limits=asked, priorityClassName=class_,
            nodeSelector={HOST: f"n{number + 1}"},
        )  # fmt: skip
    await on(plane, "low", "medium")
    critical = {"requests": {FOO: "3"}, "limits": {FOO: "3"}, "namespace": "kube-system"}
    await start(plane, "critical", priorityClassName="system-cluster-critical", **critical)
    assert await on(plane, "critical", namespace="kube-system") == ["n1"]
    await gone(plane, "low")
    assert await on(plane, "medium") == ["n2"]


async def test_replica_sets_of_four_priorities_on_one_node(plane: Plane) -> None:
    """The path of Kubernetes' conformance suite: the more important ones displace, one after the other."""
    await classes(plane, p1=1, p2=2, p3=3, p4=4)
    await plane.agents.add_node("n1")
    await offer(plane, "n1", "1000")

    async def run(number: int, replicas: int, each: str) -> None:
        labels = {"name": f"p{number}"}
        asked = {FOO: each}
        container = {"name": "c", "image": "i", "resources": {"requests": asked, "limits": asked}}
        body = {
            "metadata": {"name": f"p{number}", "namespace": "default"},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [container], "priorityClassName": f"p{number}"},
                },
            },
        }
        await plane.client.create(msgspec.convert(body, type=ReplicaSet))

    async def placed(**expected: int) -> None:
        async def found() -> bool:
            names = [
                one.metadata.labels["name"] for one in await plane.pods() if one.spec.node_name
            ]
            assert Counter(names) == expected, names
            return True

        await eventually(found)

    await run(1, 1, "200")
    await run(2, 1, "300")
    await run(3, 1, "450")
    await placed(p1=1, p2=1, p3=1)
    await run(4, 1, "500")
    await placed(p3=1, p4=1)
    waiting = [one for one in await plane.pods() if not one.spec.node_name]
    assert {one.metadata.labels["name"] for one in waiting} == {"p1", "p2"}


async def test_what_stands_in_the_way_of_an_even_spread_goes(plane: Plane) -> None:
    """With room for both, who goes is who makes the skew."""
    await classes(plane, low=1, high=100)
    for name in ("n1", "n2"):
        await plane.agents.add_node(name, cpu="4", labels={HOST: name})
    web = {"app": "web"}
    for name, class_, node in (
        ("high-0", "high", "n1"), ("low-0", "low", "n2"), ("low-1", "low", "n2"), ("low-2", "low", "n2"),
    ):  # fmt: skip
        await start(
            plane, name, labels=web, requests={"cpu": "1"}, priorityClassName=class_,
            nodeSelector={HOST: node},
        )  # fmt: skip
    await on(plane, "high-0", "low-0", "low-1", "low-2")
    spread = {
        "maxSkew": 1,
        "topologyKey": HOST,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": web},
    }
    await start(
        plane, "filler", requests={"cpu": "3"}, priorityClassName="high", nodeSelector={HOST: "n1"}
    )
    await on(plane, "filler")
    for number in (1, 2):
        await start(
            plane, f"high-{number}", labels=web, requests={"cpu": "1"}, priorityClassName="high",
            topologySpreadConstraints=[spread],
        )  # fmt: skip
    assert await on(plane, "high-1") == ["n2"]

    async def few() -> bool:
        left = Counter(
            one.spec.node_name
            for one in await plane.pods()
            if one.metadata.labels == web and one.spec.node_name
        )
        assert left["n1"] == 1 and left["n2"] == 2, left
        return True

    await eventually(few)


async def test_a_claim_for_one_pod_goes_to_the_more_important(plane: Plane) -> None:
    await classes(plane, low=1, high=100)
    await plane.agents.add_node("n1")
    await plane.add_volume("pv", accessModes=["ReadWriteOncePod"])
    claim = {
        "metadata": {"name": "data", "namespace": "default"},
        "spec": {
            "accessModes": ["ReadWriteOncePod"],
            "storageClassName": "",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    await plane.client.create(msgspec.convert(claim, type=PersistentVolumeClaim))
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
    await start(plane, "low", priorityClassName="low", volumes=volumes)
    await on(plane, "low")
    await start(plane, "equal", priorityClassName="low", volumes=volumes)

    async def told() -> bool:
        one = await plane.client.get(Pod, "equal", "default")
        found = conditions.find(one.status.conditions, "PodScheduled")
        return found is not None and "ReadWriteOncePod access mode already in-use" in found.message

    await eventually(told)
    await start(plane, "high", priorityClassName="high", volumes=volumes)
    assert await on(plane, "high") == ["n1"]
    await gone(plane, "low")


async def test_a_nomination_ends_when_somebody_more_important_takes_the_place(plane: Plane) -> None:
    await classes(plane, low=1, medium=50, high=100)
    await plane.agents.add_node("n1", cpu="1")
    plane.agents.silent.add("nobody")
    await start(plane, "low", requests={"cpu": "1"}, priorityClassName="low")
    await on(plane, "low")
    # It takes long to end: its node is waited for meanwhile.
    plane.agents.silent.add("n1")
    await start(plane, "medium", requests={"cpu": "1"}, priorityClassName="medium")

    async def waits(name: str) -> bool:
        return await nominated(plane, name) == "n1"

    await eventually(lambda: waits("medium"))
    await start(plane, "high", requests={"cpu": "1"}, priorityClassName="high")
    plane.agents.silent.discard("n1")
    assert await on(plane, "high") == ["n1"]

    async def ended() -> bool:
        return not await nominated(plane, "medium")

    await eventually(ended)


async def test_a_nomination_ends_with_its_node(plane: Plane) -> None:
    await classes(plane, low=1, high=100)
    await plane.agents.add_node("n1", cpu="1", labels={HOST: "n1"})
    await start(plane, "low", requests={"cpu": "1"}, priorityClassName="low")
    await on(plane, "low")
    plane.agents.silent.add("n1")
    await start(plane, "high", requests={"cpu": "1"}, priorityClassName="high")

    async def waits() -> bool:
        return await nominated(plane, "high") == "n1"

    await eventually(waits)
    await change(plane, Node, "n1", {"spec": {"unschedulable": True}})
    await plane.client.delete(Pod, "low", "default", grace_period_seconds=0)

    async def ended() -> bool:
        return not await nominated(plane, "high")

    await eventually(ended)
    await plane.agents.add_node("n2", cpu="1")
    assert await on(plane, "high") == ["n2"]
