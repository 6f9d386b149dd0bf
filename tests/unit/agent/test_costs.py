"""What pods cost in calls, steps and writes: counted, so that it does not grow unseen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from agent.containers.errors import EngineUnavailable
from agent.containers.records import ContainerId, ContainerRecord
from agent.effects.volumes import TOGETHER
from agent.resources.systemd import SystemdError
from api.core import (
    ConfigMap,
    ConfigMapVolumeSource,
    Container,
    Pod,
    ResourceRequirements,
    Volume,
)
from api.meta import ObjectMeta
from tests.unit.agent.builders import container, make_pod
from tests.unit.agent.node import FakeCgroups, Node

PODS = 20


def pods(number: int = PODS, *containers: Container) -> list[Pod]:
    made = []
    for index in range(number):
        pod = make_pod(*containers)
        pod.metadata.name, pod.metadata.uid = f"pod-{index}", f"uid-{index:04}"
        made.append(pod)
    return made


async def full(directory: Path, *containers: Container) -> Node:
    """A node on which all pods run."""
    node = Node(directory)
    await node.boot()
    for pod in pods(PODS, *containers):
        node.api.put(pod)
    await node.run(5)
    assert len(node.containers()) == 2 * PODS
    return node


def steps(node: Node) -> int:
    return int(sum(worker.statistics()["steps"] for worker in node.manager.workers.values()))


async def test_a_start_is_four_orders_and_three_questions(tmp_path: Path) -> None:
    node = Node(tmp_path)
    await node.boot()
    node.runtime.questions.clear()
    node.api.put(make_pod())
    await node.run(5)
    orders = [method for method, _ in node.runtime.calls]
    assert orders == ["create", "start", "create", "start"] or orders == [
        *("create", "create", "start", "start")
    ]
    assert node.runtime.questions == {"image": 1, "inspect": 2}
    assert steps(node) <= 8


async def test_many_starts_cost_as_much_each(tmp_path: Path) -> None:
    node = await full(tmp_path)
    assert len(node.runtime.calls) == 4 * PODS
    assert node.runtime.questions["inspect"] == 2 * PODS
    assert steps(node) <= 8 * PODS


async def test_nothing_is_done_while_nothing_happens(tmp_path: Path) -> None:
    node = await full(tmp_path)
    node.runtime.questions.clear()
    before, calls, told = steps(node), len(node.runtime.calls), len(node.api.bodies)
    await node.run(600)
    assert len(node.runtime.calls) == calls
    assert len(node.api.bodies) == told
    assert node.runtime.questions == {"list_containers": 10}, "the relist, once a minute"
    assert steps(node) - before <= 10 * PODS


async def test_a_restart_asks_for_the_list_and_for_nothing_it_has_told(tmp_path: Path) -> None:
    """A hundred pods are two hundred containers: each question more is a third of a second."""
    node = await full(tmp_path)
    await node.kill()
    node.runtime.questions.clear()
    calls, told = len(node.runtime.calls), len(node.api.bodies)
    await node.boot()
    await node.run(5)
    assert node.runtime.questions == {"list_containers": 2}, (
        "at the start, and with the API's own list"
    )
    assert (len(node.runtime.calls), len(node.api.bodies)) == (calls, told)
    assert steps(node) <= 3 * PODS


async def test_what_happens_between_list_and_worker_is_seen(tmp_path: Path) -> None:
    """The engine's list says running, and the API has not said yet which pods there are."""
    node = await full(tmp_path)
    await node.kill()
    node.runtime.questions.clear()
    await node.boot(api=None)
    victim = next(r for r in node.containers("web") if "pod-7_" in r.name)
    node.runtime.end(victim.id, exit_code=9)
    await node.run(1)
    await node.reach_api()
    await node.run(5)
    status = node.api.pod("pod-7").status.container_statuses[0]
    assert status.restart_count == 1
    assert node.runtime.questions["inspect"] <= 3, "the one that died, and its successor"


async def test_what_only_the_list_told_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that was busy when the agent started did not say how a program had ended."""
    node = Node(tmp_path)
    await node.boot()
    node.api.put(make_pod(policy="Never"))
    await node.run(5)
    await node.kill()
    (web,) = node.containers("web")
    node.runtime.end(web.id, exit_code=9)
    told_in_words(node, monkeypatch)
    await node.boot()
    await node.run(5)
    status = node.api.pod().status
    assert status.phase == "Failed"
    ended = status.container_statuses[0].state.terminated
    assert ended is not None and ended.exit_code == 9


def told_in_words(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's list says neither when a container ran nor how it ended."""
    whole = node.runtime.list_containers

    async def vague(*, labels: Mapping[str, str]) -> list[ContainerRecord]:
        found = await whole(labels=labels)
        little = {"in_force": None, "exit_code": 0, "started_at": None, "finished_at": None}
        return [replace(record, **little) for record in found]  # type: ignore[arg-type]

    monkeypatch.setattr(node.runtime, "list_containers", vague)


def answers_for_nothing(node: Node) -> Callable[[], None]:
    """The engine does not answer for single containers; the result ends that."""
    whole = node.runtime.inspect

    async def hangs(id: ContainerId) -> ContainerRecord:
        raise EngineUnavailable("the Docker Engine did not answer in time")

    def answer() -> None:
        node.runtime.inspect = whole  # type: ignore[method-assign]

    node.runtime.inspect = hangs  # type: ignore[method-assign]
    return answer


@pytest.mark.parametrize("policy", ["Never", "OnFailure"])
async def test_how_a_container_ended_is_not_made_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    """Nobody can say that a pod succeeded while the engine does not say how its program ended."""
    node = Node(tmp_path)
    await node.boot()
    node.api.put(make_pod(policy=policy))
    await node.run(20)
    await node.kill()
    (web,) = node.containers("web")
    node.runtime.end(web.id, exit_code=9)
    told_in_words(node, monkeypatch)
    answer = answers_for_nothing(node)
    before, there = node.api.pod().status, len(node.containers("POD"))
    await node.boot()
    await node.run(30)
    assert node.api.pod().status == before, "what was told last stands"
    assert node.containers("web") == [node.runtime._containers[web.id].record]
    assert len(node.containers("POD")) == there
    answer()
    await node.run(30)
    status = node.api.pod().status
    if policy == "Never":
        ended = status.container_statuses[0].state.terminated
        assert status.phase == "Failed" and ended is not None and ended.exit_code == 9
    else:
        last = status.container_statuses[0].last_state.terminated
        assert status.phase == "Running" and last is not None and last.exit_code == 9
        assert (
            last.started_at and last.finished_at and status.container_statuses[0].restart_count == 1
        )
    (worker,) = node.manager.workers.values()
    assert [death.exit_code for death in worker.context.memory.deaths] == [9]
    await node.kill()


async def test_a_pod_can_be_deleted_while_nobody_knows_how_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(tmp_path)
    await node.boot()
    node.api.put(make_pod(policy="Never"))
    await node.run(5)
    await node.kill()
    (web,) = node.containers("web")
    node.runtime.end(web.id, exit_code=9)
    told_in_words(node, monkeypatch)
    answers_for_nothing(node)
    await node.boot()
    await node.run(5)
    node.api.delete_gracefully("pod", "ns", stamp="2026-01-01T00:01:00Z", grace=1)
    await node.run(60)
    assert not node.containers() and not node.containers("web")
    await node.kill()


async def test_what_runs_has_started_when_it_was_told_to_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(tmp_path)
    await node.boot()
    node.api.put(make_pod())
    await node.run(20)
    await node.kill()
    told_in_words(node, monkeypatch)
    answers_for_nothing(node)
    before = node.api.pod().status
    assert before.container_statuses[0].state.running is not None
    await node.boot()
    await node.run(30)
    assert node.api.pod().status == before
    await node.kill()


async def test_volumes_of_one_source_ask_for_it_together(tmp_path: Path) -> None:
    node = Node(tmp_path)
    await node.boot()
    node.api.put(ConfigMap(metadata=ObjectMeta(name="shown", namespace="ns"), data={"a": "1"}))
    source = ConfigMapVolumeSource(name="shown")
    for pod in pods():
        pod.spec.volumes = [Volume(name="v", config_map=source)]
        node.api.put(pod)
        await node.run(1.5)
    node.api.calls.clear()
    await node.run(120)
    asked = [call for call in node.api.calls if call[0] == "get"]
    assert len(asked) <= 2 * 30 / TOGETHER + 2, f"{2 * PODS} looks"
    assert len(asked) >= 12


async def test_the_burstable_class_is_weighed_when_its_weight_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not with each status that comes back from the API, and not pod by pod over all pods."""
    weights: list[int] = []
    monkeypatch.setattr(
        FakeCgroups, "set_class_shares", lambda self, *, burstable: weights.append(burstable)
    )
    asks = ResourceRequirements(requests={"cpu": "500m"})
    node = Node(tmp_path)
    await node.boot()
    for pod in pods(2, container(resources=asks)):
        node.api.put(pod)
        await node.run(1)
    assert weights == [512, 1024]
    for pod in pods(5)[2:]:
        node.api.put(pod)
    await node.run(5)
    assert weights == [512, 1024]
    await node.run(60)
    assert weights == [512, 1024, 1024], "once a minute, whatever else has written there"
    node.api.delete_gracefully("pod-0", "ns", stamp="2026-01-01T00:01:00Z", grace=1)
    await node.run(60)
    assert weights[3] == 512


async def test_a_class_that_cannot_be_weighed_is_tried_again_once_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A systemd that hangs holds up the agent for seconds with each try."""
    tries: list[int] = []

    def hangs(self: FakeCgroups, *, burstable: int) -> None:
        tries.append(burstable)
        raise SystemdError("systemd cannot be asked: timed out")

    monkeypatch.setattr(FakeCgroups, "set_class_shares", hangs)
    node = Node(tmp_path)
    await node.boot()
    node.api.put(make_pod(container(resources=ResourceRequirements(requests={"cpu": "500m"}))))
    await node.run(30)
    assert tries == [512]
    await node.run(60)
    assert tries == [512, 512]
