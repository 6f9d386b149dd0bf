"""What the manager counts."""

from __future__ import annotations

from datetime import timedelta

from agent.containers.records import EventKind, RuntimeEvent
from tests.unit.agent.builders import make_pod
from tests.unit.agent.node import Node


async def test_how_late_the_engine_tells_is_counted(node: Node) -> None:
    node.api.put(make_pod())
    await node.run(1)
    before = node.manager.statistics()
    (web,) = node.containers("web")
    told = RuntimeEvent(
        kind=EventKind.DIED,
        time=node.clock.now() - timedelta(seconds=3),
        id=web.id,
        name=web.name,
        labels=web.labels,
    )
    node.runtime._tell(told)
    node.runtime._wake()
    await node.run(0.1)
    after = node.manager.statistics()
    assert after["engine_events"] == before["engine_events"] + 1
    late = after["engine_events_late_seconds"] - before["engine_events_late_seconds"]
    assert 3.0 <= late < 4.0
