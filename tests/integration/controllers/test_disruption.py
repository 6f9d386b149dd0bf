"""Disruption budgets over the real store: figures follow the pods, and evictions follow the figures."""

from __future__ import annotations

import asyncio
from typing import Any

from api import conditions, errors, pods
from api.apps import DaemonSet, Deployment
from api.core import Node, Pod
from api.meta import LabelSelector, ObjectMeta
from api.policy import Eviction, PodDisruptionBudget, PodDisruptionBudgetSpec
from tests.integration.controllers.conftest import Plane, eventually
from tests.unit.controllers.making import daemon_set

WEB = LabelSelector(match_labels={"app": "web"})
FIGURES = tuple[int, int, int, int]


def budget(**spec: Any) -> PodDisruptionBudget:
    return PodDisruptionBudget(
        metadata=ObjectMeta(name="pdb", namespace="default"),
        spec=PodDisruptionBudgetSpec(**{"selector": WEB, **spec}),
    )


async def figures(plane: Plane) -> FIGURES:
    """Expected, desired, healthy, allowed; -1 for all while they are of an older spec."""
    found = await plane.client.get(PodDisruptionBudget, "pdb", "default")
    status = found.status
    if status.observed_generation != found.metadata.generation:
        return (-1, -1, -1, -1)
    return (
        status.expected_pods,
        status.desired_healthy,
        status.current_healthy,
        status.disruptions_allowed,
    )


async def become(plane: Plane, wanted: FIGURES) -> None:
    async def same() -> bool:
        return await figures(plane) == wanted

    try:
        await eventually(same)
    except AssertionError:
        raise AssertionError(f"{await figures(plane)}, not {wanted}") from None


async def web(plane: Plane, replicas: int) -> None:
    await plane.agents.add_node("n1")
    await plane.deploy(replicas=replicas)
    await plane.complete("web", replicas=replicas)


async def evict(plane: Plane, pod: Pod) -> int:
    name = pod.metadata.name
    eviction = Eviction(metadata=ObjectMeta(name=name, namespace="default"))
    try:
        await plane.client.create_subresource(Pod, name, "default", "eviction", eviction)
    except errors.ApiError as error:
        return error.status.code
    return 201


async def test_figures_follow_the_deployment(plane: Plane) -> None:
    await web(plane, 4)
    await plane.client.create(budget(max_unavailable="25%"))
    await become(plane, (4, 3, 4, 1))
    found = await plane.client.get(PodDisruptionBudget, "pdb", "default")
    told = conditions.find(found.status.conditions, "DisruptionAllowed")
    assert told is not None and (told.status, told.reason) == ("True", "SufficientPods")
    await plane.client.patch(Deployment, "web", "default", {"spec": {"replicas": 2}})
    await become(plane, (2, 1, 2, 1))
    await plane.client.patch(PodDisruptionBudget, "pdb", "default", {"spec": {"maxUnavailable": 0}})
    await become(plane, (2, 2, 2, 0))


async def test_a_number_counts_the_pods_there_are(plane: Plane) -> None:
    await plane.client.create(budget(min_available=2))
    await become(plane, (0, 2, 0, 0))
    await web(plane, 3)
    await become(plane, (3, 2, 3, 1))


async def test_everybody_evicts_and_enough_stay(plane: Plane) -> None:
    await web(plane, 5)
    await plane.client.create(budget(min_available="60%"))
    await become(plane, (5, 3, 5, 2))
    await plane.client.patch(Node, "n1", "", {"spec": {"unschedulable": True}})  # no replacement

    async def cordoned() -> bool:
        shown = plane.manager._context.informers.of(Node).get("n1")
        return shown is not None and shown.spec.unschedulable

    await eventually(cordoned)
    answers = await asyncio.gather(*(evict(plane, pod) for pod in await plane.pods()))
    assert sorted(answers) == [201, 201, 429, 429, 429]
    await become(plane, (5, 3, 3, 0))

    async def confirmed() -> bool:
        found = await plane.client.get(PodDisruptionBudget, "pdb", "default")
        return not found.status.disrupted_pods

    await eventually(confirmed)
    active = [pod for pod in await plane.pods() if pods.is_active(pod)]
    running = [pod for pod in active if pod.status.phase == "Running"]
    assert [await evict(plane, pod) for pod in running] == [429, 429, 429]
    await plane.client.patch(Node, "n1", "", {"spec": {"unschedulable": False}})
    await become(plane, (5, 3, 5, 2))


async def test_a_controller_without_a_scale(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    made = daemon_set("web")
    made.metadata.uid = ""
    await plane.client.create(made)
    await plane.client.create(budget(max_unavailable=1))

    async def told() -> bool:
        found = await plane.client.get(PodDisruptionBudget, "pdb", "default")
        condition = conditions.find(found.status.conditions, "DisruptionAllowed")
        assert condition is not None and found.status.disruptions_allowed == 0
        text = "daemonsets.apps does not implement the scale subresource"
        return (condition.reason, condition.message) == ("SyncFailed", text)

    await eventually(told)
    await plane.client.delete(DaemonSet, "web", "default")
