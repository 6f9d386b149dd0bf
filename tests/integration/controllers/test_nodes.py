"""Nodes that fall silent: their taints, whose pods go, and at which pace, over the real store."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from api import conditions
from api.core import Event, Node, Taint
from api.nodes import ZONE
from base.clock import SystemClock
from control.controllers.context import NodeSettings
from control.controllers.nodes import health
from control.controllers.nodes.health import NOT_READY, UNREACHABLE
from control.controllers.nodes.lifecycle import NodeLifecycleController
from control.controllers.nodes.zones import Zones
from tests.integration.controllers.conftest import GRACE, Plane, eventually
from tests.unit.scheduler.making import pod

BRIEFLY = [
    {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}
    for key in (UNREACHABLE, NOT_READY)
]
TEMPLATE = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "c", "image": "i"}], "tolerations": BRIEFLY},
}


@pytest.fixture
def grace() -> float:
    return GRACE


def controller(plane: Plane) -> NodeLifecycleController:
    return next(c for c in plane.manager.controllers if isinstance(c, NodeLifecycleController))


def evicting(node: Node) -> set[str]:
    return {taint.key for taint in node.spec.taints if taint.effect == "NoExecute"}


async def test_a_silent_node_loses_its_pods(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await plane.agents.add_node("n2")
    await plane.deploy(replicas=4, template=TEMPLATE)
    await plane.complete("web", replicas=4)
    assert {p.spec.node_name for p in await plane.pods()} == {"n1", "n2"}
    plane.agents.silent.add("n1")

    async def lost() -> bool:
        node = await plane.client.get(Node, "n1")
        ready = conditions.find(node.status.conditions, "Ready")
        assert ready is not None
        taints = {(t.key, t.effect) for t in node.spec.taints}
        return (
            ready.status == "Unknown"
            and ready.reason == "NodeStatusUnknown"
            and taints
            == {
                ("node.kubernetes.io/unreachable", "NoSchedule"),
                ("node.kubernetes.io/unreachable", "NoExecute"),
            }
        )

    await eventually(lost)

    async def replaced() -> bool:
        pods = await plane.pods()
        alive = [p for p in pods if not p.metadata.deletion_timestamp]
        stuck = [p for p in pods if p.metadata.deletion_timestamp]
        reasons = {
            c.reason for p in stuck for c in p.status.conditions if c.type == "DisruptionTarget"
        }
        return (
            [p.spec.node_name for p in alive] == ["n2"] * 4
            and len(stuck) == 2
            and reasons == {"DeletionByTaintManager"}
        )

    assert await eventually(replaced)
    plane.agents.silent.discard("n1")

    async def healed() -> bool:
        node = await plane.client.get(Node, "n1")
        return len(await plane.pods()) == 4 and not node.spec.taints

    # The agent itself says that it is ready again; a heartbeat alone does not make it so.
    node = await plane.client.get(Node, "n1")
    told = [
        msgspec.structs.replace(c, status="True", last_heartbeat_time="2026-01-01T00:00:00Z")
        if c.type == "Ready"
        else c
        for c in node.status.conditions
        if c.type == "Ready"
    ]
    node = msgspec.structs.replace(
        node, status=msgspec.structs.replace(node.status, conditions=told)
    )
    node.metadata.resource_version = ""
    await plane.client.update(node, subresource="status")
    assert await eventually(healed)


@pytest.mark.parametrize("grace", [NodeSettings().monitor_grace])
@pytest.mark.parametrize("jump", [timedelta(days=1), timedelta(hours=-1)])
async def test_a_clock_that_jumps_finds_no_node_silent(
    plane: Plane, jump: timedelta, grace: float
) -> None:
    """Signs of life are as old as our own steady clock says, whatever is written in them."""
    await plane.agents.add_node("n1")
    await plane.agents.add_node("n2")
    await plane.deploy(replicas=2, template=TEMPLATE)
    await plane.complete("web", replicas=2)
    before = {p.metadata.uid for p in await plane.pods()}
    plane.agents.clock = SystemClock()  # the nodes' own clocks are right
    plane.clock.ahead = jump
    looks = controller(plane).statistics()["looks"] + 5
    while controller(plane).statistics()["looks"] < looks:
        for node in (await plane.client.list(Node)).items:
            ready = conditions.find(node.status.conditions, "Ready")
            assert ready is not None and ready.status == "True"
            assert node.spec.taints == []
        await plane.clock.sleep(0.1)
    assert {p.metadata.uid for p in await plane.pods()} == before
    await plane.deploy("later", replicas=2)
    await plane.complete("later", replicas=2)


async def test_nobody_is_evicted_while_every_node_is_silent(plane: Plane) -> None:
    """More likely it is we who are cut off: the nodes go on with their pods."""
    for name in ("n1", "n2"):
        await plane.agents.add_node(name)
    await plane.deploy(replicas=4, template=TEMPLATE)
    await plane.complete("web", replicas=4)
    before = {pod.metadata.uid for pod in await plane.pods()}
    plane.agents.silent |= {"n1", "n2"}

    async def withheld() -> bool:
        nodes = (await plane.client.list(Node)).items
        return [{t.effect for t in node.spec.taints} for node in nodes] == [{"NoSchedule"}] * 2

    await eventually(withheld)
    await eventually(_figures(plane, nodes_waiting_for_eviction=2, zones_disrupted=1))
    await plane.clock.sleep(1.5)
    plane.agents.silent.clear()

    async def ready() -> bool:
        nodes = (await plane.client.list(Node)).items
        return not any(node.spec.taints for node in nodes)

    await eventually(_heard(plane, ready))
    pods = await plane.pods()
    assert {pod.metadata.uid for pod in pods} == before
    assert not any(pod.metadata.deletion_timestamp for pod in pods)


def _figures(plane: Plane, **wanted: int) -> Callable[[], Awaitable[bool]]:
    """The controller's own figures are these."""

    async def same() -> bool:
        told = controller(plane).statistics()
        return {name: told[name] for name in wanted} == wanted

    return same


def _heard(plane: Plane, then: Callable[[], Awaitable[bool]]) -> Callable[[], Awaitable[bool]]:
    """The nodes say they are ready again, as agents do when they are back."""

    async def check() -> bool:
        for node in (await plane.client.list(Node)).items:
            told = [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]
            await plane.client.patch(
                Node,
                node.metadata.name,
                "",
                {"status": {"conditions": told}},
                subresource="status",
            )
        return await then()

    return check


async def test_a_zone_loses_its_nodes_one_by_one(plane: Plane) -> None:
    """Both are kept free of new pods at once; only the first one's pods go, until it is time."""
    for number in range(5):
        await plane.agents.add_node(f"n{number}", labels={ZONE: "a"})
    for name in ("first", "second"):
        await plane.client.create(pod(name, tolerations=BRIEFLY))
    placed = await eventually(lambda: _placed(plane, 2))
    plane.agents.silent |= placed

    async def first_in_turn() -> set[str] | None:
        nodes = [await plane.client.get(Node, name) for name in sorted(placed)]
        told = {node.metadata.name for node in nodes if evicting(node)}
        unheard = all(node.spec.taints and node.spec.taints[0].key == UNREACHABLE for node in nodes)
        return told if unheard and told else None

    first = await eventually(first_in_turn)
    assert first is not None
    assert len(first) == 1
    await eventually(lambda: _doomed(plane, first))
    await eventually(_figures(plane, nodes_waiting_for_eviction=1))
    quick = replace(controller(plane).context.nodes, eviction_rate=100.0)
    controller(plane)._zones = Zones(quick, plane.clock)
    await eventually(lambda: _doomed(plane, placed))


async def _placed(plane: Plane, count: int) -> set[str] | None:
    """The nodes of the running pods, once there are so many."""
    pods = await plane.pods()
    running = {one.spec.node_name for one in pods if one.status.phase == "Running"}
    return running if len(running) == count else None


async def _doomed(plane: Plane, names: set[str] | None) -> bool:
    """Whether just the pods of these nodes are told to go."""
    told = {one.spec.node_name for one in await plane.pods() if one.metadata.deletion_timestamp}
    return told == names


async def test_who_tolerates_the_silence_stays(plane: Plane) -> None:
    """No limit is for ever; a limit counts anew when the node is well in between."""
    for name in ("n1", "n2"):
        await plane.agents.add_node(name)
    forever = [{"operator": "Exists", "effect": "NoExecute"}]
    long = [{**one, "tolerationSeconds": 600} for one in BRIEFLY]
    on_n1 = {"nodeName": "n1"}
    await plane.client.create(pod("stays", tolerations=forever, **on_n1))
    await plane.client.create(pod("waits", tolerations=long, **on_n1))
    await plane.client.create(pod("goes", tolerations=BRIEFLY, **on_n1))
    await eventually(lambda: _running(plane, 3))
    plane.agents.silent.add("n1")

    async def gone() -> bool:
        told = {p.metadata.name for p in await plane.pods() if p.metadata.deletion_timestamp}
        return told == {"goes"}

    await eventually(gone)
    await eventually(_figures(plane, pods_waiting_for_eviction=1))
    plane.agents.silent.discard("n1")

    async def spared() -> bool:
        events = (await plane.client.list(Event, "default")).items
        return [
            (event.involved_object.name, event.message)
            for event in events
            if event.reason == "TaintManagerEviction" and event.message.startswith("Cancelling")
        ] == [("waits", "Cancelling deletion of Pod default/waits")]

    await eventually(_heard(plane, spared))
    await eventually(_figures(plane, pods_waiting_for_eviction=0))


async def _running(plane: Plane, count: int) -> bool:
    return sum(one.status.phase == "Running" for one in await plane.pods()) == count


async def test_an_odd_node_stops_no_look_at_others(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = health.wanted_taints

    def taints(node: Node, now: str, *, evicts: bool) -> list[Taint]:
        if node.metadata.name == "odd":
            raise ValueError("nobody has thought of this")
        return known(node, now, evicts=evicts)

    monkeypatch.setattr(health, "wanted_taints", taints)
    await plane.agents.add_node("odd")
    await plane.agents.add_node("well")
    await plane.client.patch(Node, "well", "", {"spec": {"unschedulable": True}})

    async def tainted() -> bool:
        return bool((await plane.client.get(Node, "well")).spec.taints)

    await eventually(tainted)
