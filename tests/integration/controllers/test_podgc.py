"""Pods that no agent will ever finish, over the real store and registry."""

import msgspec
import pytest

from api import conditions
from api.core import Node, Pod
from api.errors import is_not_found
from base.errors import PodwrightError
from control.controllers.nodes.podgc import PodGcController
from tests.integration.controllers.conftest import GRACE, Plane, eventually
from tests.unit.scheduler.making import pod

HELD = ["example.com/hold"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control.controllers.nodes.podgc.QUARANTINE_SECONDS", 0.2)
    monkeypatch.setattr("control.controllers.nodes.podgc.PERIOD_SECONDS", 0.1)


@pytest.fixture
def grace() -> float:
    return GRACE


def collector(plane: Plane) -> PodGcController:
    return next(c for c in plane.manager.controllers if isinstance(c, PodGcController))


async def running(plane: Plane, name: str, *, finalizers: list[str] | None = None) -> Pod:
    """A pod that runs on n1, the only node."""
    made = pod(name)
    made.metadata.finalizers = finalizers or []
    await plane.client.create(made)

    async def runs() -> Pod | None:
        found = await plane.client.get(Pod, name, "default")
        return found if found.status.phase == "Running" else None

    found = await eventually(runs)
    assert found is not None
    return found


async def is_gone(plane: Plane, name: str) -> bool:
    try:
        await plane.client.get(Pod, name, "default")
    except PodwrightError as error:
        return is_not_found(error)
    return False


async def let_go(plane: Plane, name: str) -> None:
    await plane.client.patch(Pod, name, "default", {"metadata": {"finalizers": None}})
    await eventually(lambda: is_gone(plane, name))


async def test_a_pod_of_a_deleted_node_fails_and_goes(plane: Plane) -> None:
    """It is marked Failed before it goes: whoever holds it by a finalizer can count it."""
    await plane.agents.add_node("n1")
    await running(plane, "held", finalizers=HELD)
    await running(plane, "free")
    plane.agents.silent.add("n1")
    await plane.client.delete(Node, "n1")

    async def marked() -> bool:
        found = await plane.client.get(Pod, "held", "default")
        told = conditions.find(found.status.conditions, "DisruptionTarget")
        return (
            found.status.phase == "Failed"
            and found.metadata.deletion_timestamp is not None
            and told is not None
            and (told.reason, told.message) == ("DeletionByPodGC", "PodGC: node no longer exists")
        )

    await eventually(marked)
    await eventually(lambda: is_gone(plane, "free"))
    await let_go(plane, "held")


async def test_a_pod_that_was_deleted_before_it_had_a_node(plane: Plane) -> None:
    made = pod("early", schedulingGates=[{"name": "example.com/wait"}])
    made.metadata.finalizers = HELD
    await plane.client.create(made)
    await plane.client.delete(Pod, "early", "default")

    async def failed() -> bool:
        found = await plane.client.get(Pod, "early", "default")
        assert conditions.find(found.status.conditions, "DisruptionTarget") is None
        return found.status.phase == "Failed"

    await eventually(failed)
    await let_go(plane, "early")


async def test_a_node_out_of_service_lets_its_terminating_pods_go(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await running(plane, "web")
    plane.agents.silent.add("n1")

    async def unreachable() -> bool:
        found = await plane.client.get(Node, "n1")
        return not conditions.is_true(found.status.conditions, "Ready")

    await eventually(unreachable)
    await plane.client.delete(Pod, "web", "default")
    await collector(plane)._sweep()
    assert not await is_gone(plane, "web"), "nobody has said that the node is off"
    node = await plane.client.get(Node, "n1")
    taint = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown"}
    taints = [*msgspec.to_builtins(node.spec.taints), {**taint, "effect": "NoExecute"}]
    await plane.client.patch(Node, "n1", "", {"spec": {"taints": taints}})
    await eventually(lambda: is_gone(plane, "web"))


async def test_finished_pods_beyond_the_limit_go(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane.agents.ends = lambda pod: {"phase": "Succeeded"}
    await plane.agents.add_node("n1")
    for name in ("a", "b", "c"):
        await plane.client.create(pod(name))

    async def finished() -> bool:
        return [p.status.phase for p in await plane.pods()] == ["Succeeded"] * 3

    await eventually(finished)
    monkeypatch.setattr("control.controllers.nodes.podgc.MAX_TERMINATED", 1)
    await eventually(lambda: is_gone(plane, "a"))
    await eventually(lambda: is_gone(plane, "b"))
    assert not await is_gone(plane, "c")
