"""Evictions by the node lifecycle controller, at moments that no cluster can be brought to at will."""

from datetime import timedelta
from typing import Any

import pytest

from api import objects, timestamps
from api.coordination import Lease
from api.core import Node, NodeCondition, Pod, Taint
from api.meta import ObjectMeta
from base.clock import FakeClock
from base.tasks import TaskGuard
from control.controllers.context import Context, Informers
from control.controllers.nodes import health
from control.controllers.nodes.health import UNREACHABLE
from control.controllers.nodes.lifecycle import LEASE_NAMESPACE, NodeLifecycleController
from tests.unit.scheduler.making import node, pod


class Client:
    """Notes which pods are deleted."""

    def __init__(self) -> None:
        self.deleted: list[str] = []

    async def patch(self, *_: Any, **__: Any) -> None:
        """What is said of a pod is of no interest here."""

    async def delete(self, type_: type, name: str, *_: Any, **__: Any) -> None:
        self.deleted.append(name)


def a_controller(clock: FakeClock, client: Client, guard: TaskGuard) -> NodeLifecycleController:
    informers = Informers(client, clock)  # type: ignore[arg-type]
    return NodeLifecycleController(
        Context(
            client=client,  # type: ignore[arg-type]
            informers=informers,
            clock=clock,
            ca=None,  # type: ignore[arg-type]
            guard=guard,
        )
    )


async def test_after_a_restart_nobody_goes_before_all_nodes_were_looked_at() -> None:
    """Who is cut off was so before, too: only a look at every node tells whether it is that."""
    clock, client = FakeClock(), Client()
    silent = node("n1")
    silent.status.conditions = [NodeCondition(type="Ready", status="Unknown")]
    added = timestamps.format(clock.now() - timedelta(hours=1))
    silent.spec.taints = [Taint(key=UNREACHABLE, effect="NoExecute", time_added=added)]
    placed = pod("p", nodeName="n1")
    async with TaskGuard("test") as guard:
        controller = a_controller(clock, client, guard)
        context, informers = controller.context, controller.context.informers
        informers.of(Node)._put(objects.key(silent), silent)
        informers.of(Pod)._put(objects.key(placed), placed)

        assert await controller.reconcile(objects.key(placed)) == context.nodes.monitor_period
        assert not client.deleted

        controller._zones.survey([silent])
        assert await controller.reconcile(objects.key(placed)) == context.nodes.monitor_grace
        assert not client.deleted

        well = node("n2", labels={"topology.kubernetes.io/zone": "other"})
        controller._zones.survey([silent, well])
        assert await controller.reconcile(objects.key(placed)) is None
        assert client.deleted == ["p"]


async def test_nodes_that_are_well_cost_no_second_look_until_they_fall_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = FakeClock()
    looked: list[str] = []
    wanted_taints = health.wanted_taints

    def counting(node: Node, now: str, *, evicts: bool) -> list[Taint]:
        looked.append(node.metadata.name)
        return wanted_taints(node, now, evicts=evicts)

    monkeypatch.setattr(health, "wanted_taints", counting)
    async with TaskGuard("test") as guard:
        controller = a_controller(clock, Client(), guard)
        nodes, leases = (controller.context.informers.of(kind) for kind in (Node, Lease))
        for name in ("n1", "n2"):
            one = node(name)
            one.status.conditions = [NodeCondition(type="Ready", status="True")]
            nodes._put(objects.key(one), one)
        told: list[str] = []

        async def mark_unknown(node: Node, now: str) -> Node:
            told.append(node.metadata.name)
            return node

        monkeypatch.setattr(controller, "_mark_unknown", mark_unknown)

        async def look() -> list[str]:
            looked.clear()
            await controller._look_at_each(nodes.items())
            return looked

        assert await look() == ["n1", "n2"]
        assert await look() == []
        clock.advance(30)
        renewed = Lease(metadata=ObjectMeta(name="n1", namespace=LEASE_NAMESPACE))
        renewed.spec.renew_time = "2026-01-01T00:00:30.000000Z"
        leases._put(objects.key(renewed), renewed)
        assert await look() == ["n1"], "its Lease is another"
        assert await look() == []
        clock.advance(15)
        assert await look() == ["n2"]
        assert told == ["n2"], "45 seconds without a sign of life"
        changed = objects.copy(nodes.get("n1"))
        changed.status.conditions = [NodeCondition(type="Ready", status="False")]
        nodes._put(objects.key(changed), changed)
        assert "n1" in await look(), "whoever changes is looked at, whatever it was before"
