"""The machine's clock is set a day ahead, or an hour back: nothing that was to last a while notices.

Grace periods, back-offs, deadlines and probes are measured by a clock that cannot be set.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.containers.script import Script
from api.core import Pod
from tests.unit.agent.builders import container, make_pod, probe
from tests.unit.agent.node import Node

JUMPS = pytest.mark.parametrize("jump", [86400.0, -3600.0], ids=["a day ahead", "an hour back"])


def restarts(node: Node) -> int:
    return node.api.pod().status.container_statuses[0].restart_count


@JUMPS
async def test_a_grace_period_lasts_as_long_as_it_should(tmp_path: Path, jump: float) -> None:
    node = Node(tmp_path, scripts={"web": Script(ignores_term=True)})
    await node.boot()
    node.api.put(make_pod())
    await node.run(5)
    node.api.delete_gracefully("pod", "ns", stamp="2026-01-01T00:00:35Z", grace=30)
    await node.run(10)
    node.clock.jump(jump)
    await node.run(19)
    assert "web" in node.names(), "it has a second left"
    await node.run(2)
    assert node.names() == []
    assert (Pod, "ns", "pod") not in node.api.objects
    await node.kill()


@JUMPS
async def test_a_crash_loop_keeps_its_pace(tmp_path: Path, jump: float) -> None:
    node = Node(tmp_path, scripts={"web": Script(run_for=1, exit_code=1)})
    await node.boot()
    node.api.put(make_pod())
    await node.run(25)  # at 1, 12 and 33 s, and so on
    assert restarts(node) == 2
    node.clock.jump(jump)
    await node.run(7)
    assert restarts(node) == 2
    await node.run(4)
    assert restarts(node) == 3
    await node.kill()


@JUMPS
async def test_what_runs_goes_on(tmp_path: Path, jump: float) -> None:
    node = Node(tmp_path)
    await node.boot()
    node.api.put(make_pod(container(liveness_probe=probe(), readiness_probe=probe())))
    await node.run(30)
    before = [record.id for record in node.containers()]
    node.clock.jump(jump)
    await node.run(120)
    assert [record.id for record in node.containers()] == before
    assert restarts(node) == 0
    ready = [c.status for c in node.api.pod().status.conditions if c.type == "Ready"]
    assert ready == ["True"]
    await node.kill()


@JUMPS
async def test_a_deadline_counts_what_has_passed(tmp_path: Path, jump: float) -> None:
    node = Node(tmp_path)
    await node.boot()
    node.api.put(make_pod(policy="Never", active_deadline_seconds=600))
    await node.run(60)
    node.clock.jump(jump)
    await node.run(60)
    assert node.api.pod().status.phase == "Running"
    await node.run(500)
    assert node.api.pod().status.phase == "Failed"
    assert node.api.pod().status.reason == "DeadlineExceeded"
    await node.kill()
