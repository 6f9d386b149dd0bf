"""Controllers of workloads whose writes are lost, or whose answers are: they must not care."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

from api import errors, objects, pods
from api.apps import DaemonSet, Deployment, StatefulSet
from api.client import Client
from api.core import Pod
from tests.integration.controllers.conftest import Plane, eventually
from tests.unit.controllers.making import daemon_set, stateful_set

WRITES = frozenset({"create", "update", "patch", "delete"})


class Unreliable:
    """A client of whose writes a third fails: half of those after they were done."""

    def __init__(self, client: Client, source: random.Random) -> None:
        self._client = client
        self._source = source

    def __getattr__(self, name: str) -> Any:
        method: Callable[..., Awaitable[Any]] = getattr(self._client, name)
        if name not in WRITES:
            return method

        async def call(*arguments: Any, **more: Any) -> Any:
            dice = self._source.random()
            if dice < 1 / 6:
                raise errors.unavailable("the request was lost")
            answer = await method(*arguments, **more)
            if dice < 1 / 3:
                raise errors.unavailable("the answer was lost")
            return answer

        return call


def disturb(plane: Plane) -> None:
    """Let the controllers of workloads work over a client that loses things."""
    source = random.Random(7)
    for controller in plane.manager.controllers:
        if controller.name.endswith(("set-controller", "deployment-controller")):
            unreliable: Any = Unreliable(plane.client, source)
            controller.client = unreliable
            histories = getattr(controller, "_histories", None)
            if histories is not None:
                histories._client = unreliable


async def test_a_stateful_set_gets_there(plane: Plane) -> None:
    disturb(plane)
    await plane.agents.add_node("n1")
    for number in range(3):
        await plane.add_volume(f"data-{number}")
    owner = stateful_set(replicas=3, claims=("data",))
    owner.metadata.uid = ""
    await plane.client.create(owner)
    await eventually(lambda: _all_run(plane, ["web-0", "web-1", "web-2"], "web:1"))
    await _change(plane, StatefulSet, "web", "web:2")
    await eventually(lambda: _all_run(plane, ["web-0", "web-1", "web-2"], "web:2"))
    await plane.client.patch(StatefulSet, "web", "default", {"spec": {"replicas": 1}})
    await eventually(lambda: _all_run(plane, ["web-0"], "web:2"))


async def _all_run(plane: Plane, names: list[str], image: str) -> bool:
    pods = await plane.pods()
    found = await plane.client.get(StatefulSet, "web", "default")
    return (
        sorted(pod.metadata.name for pod in pods) == names
        and {pod.spec.containers[0].image for pod in pods} == {image}
        and found.status.updated_replicas == found.status.available_replicas == len(names)
        and found.status.current_revision == found.status.update_revision
    )


async def _change(plane: Plane, kind: type[Any], name: str, image: str) -> None:
    body = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}
    await plane.client.patch(kind, name, "default", body)


async def test_a_daemon_set_gets_there(plane: Plane) -> None:
    disturb(plane)
    nodes = [f"n{number}" for number in range(4)]
    for name in nodes:
        await plane.agents.add_node(name)
    owner = daemon_set()
    owner.metadata.uid = ""
    await plane.client.create(owner)
    for image in ("log:1", "log:2"):
        await _change(plane, DaemonSet, "log", image)

        async def one_each(image: str = image) -> bool:
            pods = await plane.pods()
            status = (await plane.client.get(DaemonSet, "log", "default")).status
            return (
                sorted(pod.spec.node_name for pod in pods) == nodes
                and {pod.spec.containers[0].image for pod in pods} == {image}
                and status.updated_number_scheduled == status.number_available == len(nodes)
            )

        await eventually(one_each)


async def test_a_deployment_gets_there(plane: Plane) -> None:
    disturb(plane)
    await plane.agents.add_node("n1")
    await plane.deploy(replicas=4)
    await plane.complete("web", replicas=4)
    most, fewest = 0, 4

    def watch(old: Pod | None, new: Pod | None) -> None:
        nonlocal most, fewest
        found = [pod for pod in plane.agents.pods.items() if pods.is_active(pod)]
        most = max(most, len(found))
        fewest = min(fewest, sum(pods.is_ready(pod) for pod in found))

    plane.agents.pods.subscribe(watch)
    await _change(plane, Deployment, "web", "web:2")
    await plane.complete("web", replicas=4)
    assert fewest >= 3 and most <= 5, "the bounds hold whatever is lost"

    async def only_new() -> bool:
        mine = [pod for pod in await plane.pods() if objects.controller_of(pod) is not None]
        return [pod.spec.containers[0].image for pod in mine] == ["web:2"] * 4

    await eventually(only_new)
