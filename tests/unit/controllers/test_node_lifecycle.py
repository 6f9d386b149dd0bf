"""Evictions by the node lifecycle controller, at moments that no cluster can be brought to at will."""

from datetime import timedelta
from typing import Any

from api import objects, timestamps
from api.core import Node, NodeCondition, Pod, Taint
from base.clock import FakeClock
from base.tasks import TaskGuard
from control.controllers.context import Context, Informers
from control.controllers.nodes.health import UNREACHABLE
from control.controllers.nodes.lifecycle import NodeLifecycleController
from tests.unit.scheduler.making import node, pod


class Client:
    """Notes which pods are deleted."""

    def __init__(self) -> None:
        self.deleted: list[str] = []

    async def patch(self, *_: Any, **__: Any) -> None:
        """What is said of a pod is of no interest here."""

    async def delete(self, type_: type, name: str, *_: Any, **__: Any) -> None:
        self.deleted.append(name)


async def test_after_a_restart_nobody_goes_before_all_nodes_were_looked_at() -> None:
    """Who is cut off was so before, too: only a look at every node tells whether it is that."""
    clock, client = FakeClock(), Client()
    silent = node("n1")
    silent.status.conditions = [NodeCondition(type="Ready", status="Unknown")]
    added = timestamps.format(clock.now() - timedelta(hours=1))
    silent.spec.taints = [Taint(key=UNREACHABLE, effect="NoExecute", time_added=added)]
    placed = pod("p", nodeName="n1")
    async with TaskGuard("test") as guard:
        informers = Informers(client, clock)  # type: ignore[arg-type]
        context: Any = Context(
            client=client,  # type: ignore[arg-type]
            informers=informers,
            clock=clock,
            ca=None,  # type: ignore[arg-type]
            guard=guard,
        )
        controller = NodeLifecycleController(context)
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
