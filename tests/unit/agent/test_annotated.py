"""The agent alone, over a fake API, a fake engine and a clock: what a pod does stands in its annotations."""

from __future__ import annotations

import pytest

from agent.containers.behaviour import PREFIX
from api import objects
from api.core import Container, ContainerStatus, Pod
from tests.unit.agent.builders import container, make_pod
from tests.unit.agent.node import Node


def annotated(said: dict[str, str], *containers: Container, policy: str = "Always") -> Pod:
    pod = make_pod(*containers, policy=policy)
    pod.metadata.annotations = {PREFIX + key: text for key, text in said.items()}
    return pod


def annotate(node: Node, said: dict[str, str]) -> None:
    """As `kubectl annotate --overwrite` does."""
    pod = objects.copy(node.api.pod())
    pod.metadata.annotations = {PREFIX + key: text for key, text in said.items()}
    node.api.put(pod)


def status(node: Node, name: str = "web") -> ContainerStatus:
    return next(s for s in node.api.pod().status.container_statuses if s.name == name)


async def test_a_container_that_fails_runs_again(node: Node) -> None:
    node.api.put(
        annotated({"web.run-for": "3s", "web.exit-code": "5"}, container(), container("db"))
    )
    await node.run(2)
    assert status(node).restart_count == 0 and status(node).state.running is not None
    await node.run(2)
    last = status(node).last_state.terminated
    assert (last.exit_code, last.reason, status(node).restart_count) == (5, "Error", 1)
    assert status(node).state.running is not None
    await node.run(3)
    waiting = status(node).state.waiting
    assert waiting.reason == "CrashLoopBackOff" and waiting.message.startswith("back-off 10s")
    await node.run(3600)
    assert status(node).restart_count > 10
    assert status(node, "db").restart_count == 0 and status(node, "db").ready


async def test_a_failing_job_that_is_mended_succeeds(node: Node) -> None:
    node.api.put(annotated({"run-for": "1s", "exit-code": "1"}, policy="OnFailure"))
    await node.run(1.5)
    assert node.api.pod().status.phase == "Running"
    annotate(node, {"run-for": "1s", "exit-code": "0"})
    await node.run(30)
    end = status(node).state.terminated
    assert (node.api.pod().status.phase, end.exit_code) == ("Succeeded", 0)
    # The one that ran when the annotation changed ends as it began.
    assert status(node).restart_count == 2
    assert node.names() == []


async def test_a_job_that_may_not_run_again_fails(node: Node) -> None:
    node.api.put(annotated({"run-for": "1s", "exit-code": "9"}, policy="Never"))
    await node.run(60)
    assert node.api.pod().status.phase == "Failed"
    assert (status(node).state.terminated.exit_code, status(node).restart_count) == (9, 0)


async def test_a_start_error_backs_off_until_it_is_mended(node: Node) -> None:
    node.api.put(annotated({"web.start-error": 'exec: "nope": not found'}))
    await node.run(5)
    last = status(node).last_state.terminated
    assert (last.reason, last.exit_code) == ("ContainerCannotRun", 128)
    assert 'exec: "nope": not found' in last.message
    assert status(node).state.waiting.reason == "CrashLoopBackOff"
    message = 'Error: failed to start container "web": exec: "nope": not found'
    assert node.recorder.messages("Failed") == [message] * 2  # the first restart is immediate
    annotate(node, {})
    await node.run(4)
    assert status(node).state.waiting.reason == "CrashLoopBackOff"
    await node.run(4)
    assert status(node).ready


@pytest.mark.parametrize(("ignore_term", "seconds"), [("true", 10.0), ("false", 0.0)])
async def test_term_and_the_grace_period(node: Node, ignore_term: str, seconds: float) -> None:
    node.api.put(annotated({"web.ignore-term": ignore_term}))
    await node.run()
    node.api.delete_gracefully("pod", "ns", stamp="2026-01-01T00:01:00Z", grace=10)
    if seconds:
        await node.run(seconds - 0.5)
        assert node.names() == ["POD", "web"]
    await node.run(1)
    assert (Pod, "ns", "pod") not in node.api.objects
    assert node.containers("web") == [] and node.names() == []


async def test_a_slow_pull_is_seen_while_it_lasts(node: Node) -> None:
    node.runtime.registry["slow:1"] = None
    slow = container("slow", image="slow:1")
    node.api.put(annotated({"slow.slow-pull": "40s"}, container(), slow))
    await node.run(39)
    assert (node.api.pod().status.phase, status(node).ready) == ("Pending", True)
    waiting = status(node, "slow").state.waiting
    assert waiting.reason == "ContainerCreating"
    assert node.recorder.messages("Pulling") == [
        'Pulling image "slow:1"',
        'Pulling image "slow:1": the registry has not answered yet',
    ]
    await node.run(2)
    assert (node.api.pod().status.phase, status(node, "slow").ready) == ("Running", True)


async def test_annotations_that_cannot_be_used_are_told_of(node: Node) -> None:
    node.api.put(annotated({"web.run-for": "soon", "wbe.exit-code": "1"}))
    await node.run(1.5)
    waiting = status(node).state.waiting
    assert waiting.reason == "CreateContainerError"
    assert f"metadata.annotations[{PREFIX}web.run-for]" in waiting.message
    assert f"metadata.annotations[{PREFIX}wbe.exit-code]" in waiting.message
    annotate(node, {"web.run-for": "1h"})
    await node.run(30)
    assert status(node).ready
