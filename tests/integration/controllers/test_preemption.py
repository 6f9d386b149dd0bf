"""Pods of higher priority first, and in the place of others: from the class to the node."""

from __future__ import annotations

from typing import Any

import msgspec

from api import conditions
from api.core import Event, Pod
from api.meta import LabelSelector, ObjectMeta
from api.policy import PodDisruptionBudget, PodDisruptionBudgetSpec
from api.scheduling import PriorityClass
from tests.integration.controllers.conftest import Plane, eventually

HIGH, LOW = 1000, 1


async def classes(plane: Plane) -> None:
    for name, value in (("high", HIGH), ("low", LOW)):
        await plane.client.create(PriorityClass(metadata=ObjectMeta(name=name), value=value))


async def start(plane: Plane, name: str, class_: str, cpu: str = "1", **more: Any) -> Pod:
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}
    wanted = msgspec.convert(
        {
            "metadata": {"name": name, "namespace": "default", "labels": more.pop("labels", {})},
            "spec": {"containers": [container], "priorityClassName": class_, **more},
        },
        type=Pod,
    )
    return await plane.client.create(wanted)


async def running(plane: Plane, *names: str) -> None:
    """Wait until these and no others are on nodes."""

    async def placed() -> bool:
        found = {one.metadata.name for one in await plane.pods() if one.spec.node_name}
        assert found == set(names), found
        return True

    await eventually(placed)


async def test_the_more_important_is_placed_first_when_room_comes(plane: Plane) -> None:
    await classes(plane)
    for name, class_ in (("first", "low"), ("second", "high"), ("third", "low")):
        await start(plane, name, class_)

    async def refused() -> bool:
        return all(one.status.conditions for one in await plane.pods())

    await eventually(refused)
    await plane.agents.add_node("n1", cpu="1")
    await running(plane, "second")


async def test_the_less_important_makes_room_and_is_told_why(plane: Plane) -> None:
    await classes(plane)
    await plane.agents.add_node("n1", cpu="2")
    for name in ("a", "b"):
        await start(plane, name, "low")
    await running(plane, "a", "b")
    seen: list[Pod] = []
    plane.agents.pods.subscribe(lambda old, new: seen.append(new) if new is not None else None)
    high = await start(plane, "high", "high")
    await start(plane, "late", "low", "500m")  # must not slip into what is being vacated

    async def replaced() -> str:
        found = {one.metadata.name for one in await plane.pods() if one.spec.node_name}
        assert "high" in found and len(found) == 2, found
        return next(iter({"a", "b"} - found))

    gone = await eventually(replaced)
    entry = plane.manager.scheduler.last_decision(high)
    assert entry is not None and entry.decision.node == "n1" and entry.room is None
    assert gone == "b"  # the last of equals
    told = [
        conditions.find(one.status.conditions, "DisruptionTarget")
        for one in seen
        if one.metadata.name == gone
    ]
    (reason,) = {(one.reason, one.message) for one in told if one is not None}
    assert reason == (
        "PreemptionByScheduler",
        "default-scheduler: preempting to accommodate a higher priority pod",
    )
    assert "n1" in {one.status.nominated_node_name for one in seen if one.metadata.name == "high"}

    async def said() -> bool:
        events = (await plane.client.list(Event, "default")).items
        words = f"Preempted by pod {high.metadata.uid} on node n1"
        return any(
            one.reason == "Preempted" and one.message == words and one.involved_object.name == gone
            for one in events
        )

    await eventually(said)
    late = await plane.client.get(Pod, "late", "default")
    assert not late.spec.node_name


async def test_budgets_choose_whom_it_hits(plane: Plane) -> None:
    await classes(plane)
    guarded = {"app": "guarded"}
    budget = PodDisruptionBudget(
        metadata=ObjectMeta(name="b", namespace="default"),
        spec=PodDisruptionBudgetSpec(selector=LabelSelector(match_labels=guarded), min_available=1),
    )
    await plane.client.create(budget)  # allows nothing: it counts no healthy pod
    await plane.agents.add_node("n1", cpu="2")
    await start(plane, "other", "low")
    await running(plane, "other")
    await start(plane, "guarded", "low", labels=guarded)
    await running(plane, "other", "guarded")
    await start(plane, "high", "high")
    await running(plane, "high", "guarded")


async def test_a_pod_that_never_preempts_waits_its_turn(plane: Plane) -> None:
    await classes(plane)
    patient = PriorityClass(
        metadata=ObjectMeta(name="patient"), value=HIGH, preemption_policy="Never"
    )
    await plane.client.create(patient)
    await plane.agents.add_node("n1", cpu="1")
    await start(plane, "a", "low")
    await running(plane, "a")
    await start(plane, "waits", "patient")

    async def told() -> bool:
        found = await plane.client.get(Pod, "waits", "default")
        scheduled = conditions.find(found.status.conditions, "PodScheduled")
        return scheduled is not None and scheduled.message == (
            "0/1 nodes are available: 1 Insufficient cpu. "
            "preemption: not eligible due to preemptionPolicy=Never."
        )

    await eventually(told)
    await running(plane, "a")
    await plane.client.delete(Pod, "a", "default")
    await running(plane, "waits")
