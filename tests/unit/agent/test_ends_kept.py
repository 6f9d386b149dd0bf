"""The end of a pod outlives the agent, also while the API has not heard of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.containers.script import Script
from agent.effects import eviction
from agent.pod.preemption import MESSAGE
from agent.pod.worker import PodWorker
from api import objects
from api.core import Pod, PodStatus
from api.pods import condition
from base.files import atomic_write
from tests.unit.agent.builders import UID, container, make_pod, sidecar
from tests.unit.agent.node import Node

Decision = Callable[[PodWorker], None]


def evicted(worker: PodWorker) -> None:
    worker.evict("the node is short of memory", 20)


def nothing(worker: PodWorker) -> None:
    pass


DECISIONS: dict[str, tuple[Decision, str]] = {
    "Evicted": (evicted, "the node is short of memory"),
    "Preempting": (PodWorker.preempt, MESSAGE),
    "Terminated": (lambda w: w.terminate("Terminated", "the machine goes", 20), "the machine goes"),
    "DeadlineExceeded": (nothing, "Pod was active on the node longer than the specified deadline"),
}


def starts(node: Node, name: str = "web") -> int:
    return sum(did == "start" and f"_{name}_" in made for did, made in node.runtime.calls)


def disrupted(node: Node) -> bool:
    return condition(node.api.pod(), "DisruptionTarget") is not None


async def next_agent(node: Node, *, api: bool) -> None:
    """An agent that finds the control plane at once, or only after a minute."""
    node.api.down = not api
    await node.kill()
    await node.boot(api=api)
    await node.run(60)
    if not api:
        await node.reach_api()
    await node.run(60)


@pytest.mark.parametrize("api", [True, False], ids=["with the API", "without"])
@pytest.mark.parametrize("heard", [True, False], ids=["start heard", "start unheard"])
@pytest.mark.parametrize("reason", DECISIONS)
async def test_what_was_begun_to_end_ends(
    tmp_path: Path, reason: str, heard: bool, api: bool
) -> None:
    decide, message = DECISIONS[reason]
    slow = {"web": Script(term_seconds=10), "quick": Script()}
    node = Node(tmp_path, scripts=slow)
    await node.boot()
    containers = [container(), container("quick")]
    deadline = 30 if reason == "DeadlineExceeded" else None
    pod = make_pod(*containers, inits=[sidecar()], active_deadline_seconds=deadline)
    node.api.down = not heard
    node.api.put(pod)
    await node.run(29)
    assert node.names() == ["POD", "quick", "side", "web"]
    decide(node.manager.workers[UID])
    await node.run(3)
    assert node.names() == ["POD", "side", "web"], "it is about to end"
    events = len(node.recorder.reasons())
    await next_agent(node, api=api)
    assert node.names() == []
    assert [starts(node, name) for name in ("web", "quick", "side")] == [1, 1, 1]
    told = node.api.pod().status
    assert (told.phase, told.reason, told.message) == ("Failed", reason, message)
    assert disrupted(node) == (reason != "DeadlineExceeded")
    assert reason not in node.recorder.reasons()[events:], "its event was told"
    await node.kill()


@pytest.mark.parametrize("api", [True, False], ids=["with the API", "without"])
@pytest.mark.parametrize("collected", [True, False])
@pytest.mark.parametrize("reason", ["", *DECISIONS])
async def test_an_end_that_the_api_has_not_heard_of_stands(
    tmp_path: Path, reason: str, collected: bool, api: bool
) -> None:
    decide, message = DECISIONS.get(reason, (nothing, ""))
    node = Node(tmp_path, scripts={} if reason else {"web": Script(run_for=20)})
    await node.boot()
    deadline = 30 if reason == "DeadlineExceeded" else None
    node.api.put(make_pod(policy="Always" if reason else "Never", active_deadline_seconds=deadline))
    await node.run(10)
    node.api.down = True
    decide(node.manager.workers[UID])
    await node.run(60)
    assert node.names() == []
    if collected:
        for record in node.containers("web"):
            await node.runtime.remove(record.id)
    told = node.manager.workers[UID].reported
    await next_agent(node, api=api)
    assert starts(node) == 1
    assert node.containers("POD") == []
    status = node.api.pod().status
    phase = "Failed" if reason else "Succeeded"
    assert (status.phase, status.reason, status.message) == (phase, reason, message)
    assert status.container_statuses == told.container_statuses
    assert status.container_statuses[0].state.terminated is not None
    assert disrupted(node) == (reason not in ("", "DeadlineExceeded"))
    patches = len(node.api.bodies)
    await next_agent(node, api=True)
    assert node.api.pod().status == status
    assert len(node.api.bodies) == patches, "nothing new is told"
    await node.kill()


async def test_a_pod_that_was_turned_away_is_not_taken_in(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.allocatable = {"cpu": "0", "memory": "0", "pods": "0"}
    await node.boot()
    node.api.down = True
    node.api.put(make_pod())
    await node.run(20)
    assert node.manager.workers[UID].reported.reason == "OutOfpods"
    node.allocatable = {"cpu": "2", "memory": "4Gi", "pods": "110"}
    await next_agent(node, api=False)
    assert starts(node) == 0
    status = node.api.pod().status
    assert (status.phase, status.reason) == ("Failed", "OutOfpods")
    assert status.container_statuses == []
    await node.kill()


async def test_how_somebody_else_has_ended_it_meanwhile_stands(tmp_path: Path) -> None:
    node = Node(tmp_path, scripts={"web": Script(run_for=20)})
    await node.boot()
    node.api.put(make_pod(policy="Never"))
    await node.run(10)
    node.api.down = True
    await node.run(60)
    await node.kill()
    await node.boot(api=False)
    await node.run(5)
    other = objects.copy(node.api.pod())
    other.status = PodStatus(phase="Failed", reason="NodeLost", start_time=other.status.start_time)
    node.api.put(other)
    await node.reach_api()
    await node.run(60)
    assert (node.api.pod().status.phase, node.api.pod().status.reason) == ("Failed", "NodeLost")
    await node.kill()


async def test_an_end_is_in_a_file_before_anything_is_done_about_it(tmp_path: Path) -> None:
    """And a deletion adds none: it is in the checkpoint anyway."""
    node = Node(tmp_path)
    await node.boot()
    node.api.put(make_pod())
    await node.run(5)
    node.manager.workers[UID].evict("short of memory", 5)
    (file,) = tmp_path.glob(f"pods/*/{eviction.FILE}")
    assert file.stat().st_mode & 0o777 == 0o600
    node.api.delete_gracefully("pod", "ns", stamp="2026-01-01T00:01:00Z", grace=1)
    await node.run(30)
    assert (Pod, "ns", "pod") not in node.api.objects
    assert not list(tmp_path.glob("pods/*"))
    assert not list(tmp_path.glob("checkpoints/*"))
    await node.kill()


@pytest.mark.parametrize("found", ['{"half', "{}"])
async def test_a_decision_that_cannot_be_read_is_none(
    tmp_path: Path, found: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    node = Node(tmp_path)
    await node.boot()
    node.api.put(make_pod())
    await node.run(5)
    atomic_write(tmp_path / "pods" / UID / eviction.FILE, found)
    await next_agent(node, api=True)
    assert node.names() == ["POD", "web"]
    assert "was to end is not known" in caplog.text
    await node.kill()


async def test_a_static_pod_begins_anew_with_the_next_agent(tmp_path: Path) -> None:
    """Nobody would make another one, and its uid is the same after the next start of the machine."""
    node = Node(tmp_path, scripts={"web": Script(term_seconds=10)})
    await node.boot()
    node.manager.set_static({UID: make_pod()})
    await node.run(5)
    node.manager.workers[UID].terminate("Terminated", "the machine shuts down", 20)
    await node.run(30)
    assert node.names() == []
    assert not list(tmp_path.glob("checkpoints/*"))
    await node.kill()
    await node.boot()
    node.manager.set_static({UID: make_pod()})
    await node.run(30)
    assert node.names() == ["POD", "web"]
    await node.kill()
