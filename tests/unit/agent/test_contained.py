"""A bug that one pod trips is that pod's trouble: the agent goes on, and tells of it."""

from __future__ import annotations

from typing import Any

import pytest

from agent.effects import performing
from agent.pod import actions, worker
from agent.probes import runner
from api.core import ExecAction, Pod, Probe
from tests.unit.agent.builders import container, make_pod
from tests.unit.agent.node import Node


def failing(times: int, real: Any) -> Any:
    """`real`, after it has raised what nobody expects so many times."""
    left = times

    def call(*args: Any, **more: Any) -> Any:
        nonlocal left
        left -= 1
        if left >= 0:
            raise LookupError("nobody thought of this")
        return real(*args, **more)

    return call


def confessions(node: Node) -> int:
    return node.recorder.reasons().count("AgentError")


async def test_a_bug_in_an_effect_is_a_failure_with_a_back_off(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = actions.CreateContainer
    monkeypatch.setitem(performing._EFFECTS, create, failing(2, performing._EFFECTS[create]))
    node.api.put(make_pod())
    await node.run(0.5)
    assert node.names() == ["POD"]
    waiting = node.api.pod().status.container_statuses[0].state.waiting
    assert waiting is not None
    assert "nobody thought of this" in waiting.message
    await node.run(30)
    assert node.names() == ["POD", "web"]
    assert confessions(node) == 2


async def test_a_bug_in_the_loop_ends_the_worker_and_another_takes_over(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.api.put(make_pod())
    await node.run(1)
    before = [record.id for record in node.containers()]
    monkeypatch.setattr(worker, "plan", failing(3, worker.plan))
    node.manager.wake_all("nothing")
    await node.run(30)
    assert [record.id for record in node.containers()] == before, "containers do not notice"
    assert node.manager.statistics()["worker_crashes"] == 3
    assert confessions(node) == 3
    node.api.remove(Pod, "pod", "ns")
    await node.run(60)
    assert node.names() == []
    assert node.manager.workers == {}


async def test_a_pod_whose_start_trips_a_bug_does_not_hold_up_another(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = worker.plan

    def plan(pod: Any, observed: Any, **more: Any) -> Any:
        if pod.metadata.name == "odd":
            raise LookupError("nobody thought of this")
        return real(pod, observed, **more)

    monkeypatch.setattr(worker, "plan", plan)
    odd = make_pod()
    odd.metadata.name, odd.metadata.uid = "odd", "uid-of-odd"
    node.api.put(odd)
    node.api.put(make_pod())
    await node.run(10)
    assert node.names() == ["POD", "web"]


async def test_a_bug_in_a_probe_counts_as_unknown(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "ask", failing(1000, runner.ask))
    probe = Probe(exec=ExecAction(command=["true"]), period_seconds=1, failure_threshold=1)
    node.api.put(make_pod(container(liveness_probe=probe)))
    await node.run(20)
    (status,) = node.api.pod().status.container_statuses
    assert status.restart_count == 0
