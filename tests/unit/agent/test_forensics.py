"""Why containers died: the words for every kind of end, and what an agent finds and keeps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.containers.records import Channel, ContainerId, ContainerRecord, ContainerState, ImageId
from agent.containers.script import Script
from agent.pod import names
from agent.pod.forensics import Scene, cause, death, differences, others
from agent.pod.lookup import Pods
from agent.pod.observed import KilledFor
from api.core import (
    ConfigMap,
    ConfigMapVolumeSource,
    Container,
    ExecAction,
    Lifecycle,
    LifecycleHandler,
    Pod,
    ResourceRequirements,
    Volume,
    VolumeMount,
)
from api.meta import ObjectMeta
from api.why import Death
from tests.unit.agent.builders import NOW, UID, container, make_pod
from tests.unit.agent.node import Node
from tests.unit.agent.test_worker import Health, exec_probe, web

MIB = 1024 * 1024


def ended(exit_code: int = 1, name: str = "web", **fields: Any) -> ContainerRecord:
    made = ContainerRecord(
        id=ContainerId("c1"),
        name="k8s_web",
        image="app:1",
        image_id=ImageId("sha256:1"),
        labels={
            names.CONTAINER_NAME: name,
            names.CONTAINER_TYPE: names.CONTAINER,
            names.RESTART_COUNT: "2",
        },
        state=ContainerState.EXITED,
        created_at=NOW,
        started_at=NOW,
        finished_at=NOW + timedelta(seconds=3),
        exit_code=exit_code,
    )
    return replace(made, **fields)


ENDS: list[tuple[ContainerRecord, Mapping[str, Any], str]] = [
    (ended(1), {}, "its program ended with exit code 1"),
    (ended(0), {}, "its program ended with exit code 0"),
    (ended(137), {}, "signal SIGKILL ended it, which this agent did not send"),
    (ended(139), {}, "signal SIGSEGV ended it, which this agent did not send"),
    (ended(255), {}, "its program ended with exit code 255"),
    (
        ended(127, error='exec: "nope": not found'),
        {},
        'it could not be started: exec: "nope": not found',
    ),
    (
        ended(137, oom_killed=True),
        {"limit": 64 * MIB, "peak": 64 * MIB + MIB // 2},
        "the kernel killed it for want of memory: its limit is 64Mi; the pod had 64.5Mi at most",
    ),
    (
        ended(137, oom_killed=True),
        {},
        "the kernel killed it for want of memory: it has no limit of its own, "
        "so the pod's or the node's memory was used up",
    ),
    # A child was killed, and the program ended well by itself.
    (ended(0, oom_killed=True), {"limit": MIB}, "its program ended with exit code 0"),
    (
        ended(143),
        {"killed_for": KilledFor.LIVENESS, "complaint": "HTTP probe failed with statuscode: 500"},
        "the agent ended it because its liveness probe failed: "
        "HTTP probe failed with statuscode: 500",
    ),
    (
        ended(137),
        {"killed_for": KilledFor.RESIZED},
        "the agent ended it to give it other amounts",
    ),
]


@pytest.mark.parametrize(("record", "facts", "words"), ENDS)
def test_every_end_has_its_words(
    record: ContainerRecord, facts: Mapping[str, Any], words: str
) -> None:
    assert cause(Scene(record=record, **facts)) == words


def test_every_reason_of_ours_has_words() -> None:
    for reason in KilledFor:
        assert cause(Scene(record=ended(), killed_for=reason)).startswith("the agent ended it")


def test_what_is_kept_of_a_death() -> None:
    scene = Scene(
        record=ended(137, oom_killed=True),
        limit=64 * MIB,
        peak=MIB,
        last_lines=["a"],
        changes=["b"],
    )
    found = death(scene)
    assert (found.container, found.restart_count, found.exit_code) == ("web", 2, 137)
    assert (found.signal, found.out_of_memory) == ("SIGKILL", True)
    assert (found.memory_limit, found.memory_peak) == ("64Mi", "1Mi")
    assert (found.last_lines, found.changes) == (["a"], ["b"])
    assert found.finished_at == "2026-01-01T12:00:03Z"
    assert msgspec.json.decode(msgspec.json.encode(found), type=Death) == found


def labelled(pod: Pod, **labels: str) -> Pod:
    pod.metadata.labels = labels
    return pod


CHANGES = [
    (make_pod(container()), make_pod(container()), []),
    (
        make_pod(container()),
        make_pod(container(image="app:2")),
        ["image of web was changed from app:1 to app:2"],
    ),
    (
        make_pod(container()),
        make_pod(container(resources=ResourceRequirements(limits={"cpu": "1"}))),
        ["resources of web were changed"],
    ),
    (
        make_pod(container()),
        labelled(make_pod(container()), a="b"),
        ["labels of the pod were changed"],
    ),
    (make_pod(container()), make_pod(container(), container("two")), ["container two was added"]),
]


@pytest.mark.parametrize(("before", "after", "told"), CHANGES)
def test_what_somebody_changed(before: Pod, after: Pod, told: list[str]) -> None:
    assert list(differences(before, after)) == told


def test_neighbours_that_died_before() -> None:
    found = [
        death(Scene(record=ended(1, name="db", finished_at=NOW + timedelta(seconds=at))))
        for at in (1, 5, -1000)
    ]
    assert list(others(found, ended(1), within=60)) == [
        "2 s before: container db died: its program ended with exit code 1"
    ]
    assert list(others(found, ended(1, name="db"), within=60)) == []


# With an agent.


async def started(
    directory: Path, *scripts: Script, spec: Container | None = None, **pod: Any
) -> Node:
    node = Node(directory, scripts={"web": list(scripts)})
    await node.boot()
    node.api.put(make_pod(spec or container(), **pod))
    await node.run(0.5)
    return node


def deaths(node: Node) -> list[Death]:
    return list(Pods(node.manager).deaths("ns", "pod"))


async def test_a_crash_is_kept_with_its_last_lines(tmp_path: Path) -> None:
    log = tuple((Channel.STDERR, f"line {number}\n".encode()) for number in range(30))
    node = await started(tmp_path, Script(run_for=2, exit_code=3, log=log), Script())
    await node.run(3)
    (found,) = deaths(node)
    assert (found.container, found.exit_code, found.restart_count) == ("web", 3, 0)
    assert found.cause == "its program ended with exit code 3"
    assert found.last_lines == [f"line {number}" for number in range(20, 30)]
    last = web(node).last_state.terminated
    assert (last.reason, last.message) == ("Error", "its program ended with exit code 3")
    assert "line" not in last.message, "who may see the pod need not be allowed to read its log"
    assert node.recorder.messages("ContainerDied") == [
        "Container web died: its program ended with exit code 3"
    ]
    await node.kill()


async def test_a_lost_sandbox_is_named_as_the_reason(tmp_path: Path) -> None:
    node = await started(tmp_path, Script(term_exit_code=143))
    node.runtime.end(node.runtime.by_name("POD").id, exit_code=137)
    await node.run(3)
    (found,) = deaths(node)
    assert found.cause == "the agent ended it because its pod's sandbox was gone"
    assert node.recorder.messages("ContainerDied") == [], "nobody else did"
    assert web(node).restart_count == 1
    assert web(node).state.running is not None
    await node.kill()


async def test_want_of_memory_tells_limit_and_peak(tmp_path: Path) -> None:
    limits = ResourceRequirements(limits={"memory": "64Mi"})
    spec = container(resources=limits)
    node = await started(tmp_path, Script(run_for=1, oom=True), Script(), spec=spec)
    directory = node.manager.agent.cgroups.directory(UID, "Burstable", "memory")
    directory.mkdir(parents=True, exist_ok=True)
    for file in ("memory.peak", "memory.max_usage_in_bytes"):  # of either version
        (directory / file).write_text(str(60 * MIB))
    await node.run(2)
    (found,) = deaths(node)
    assert found.out_of_memory and found.memory_limit == "64Mi"
    last = web(node).last_state.terminated
    assert last.reason == "OOMKilled"
    assert last.message == (
        "the kernel killed it for want of memory: its limit is 64Mi; the pod had 60.0Mi at most"
    )
    await node.kill()


async def test_a_liveness_probe_with_its_question_and_answer(tmp_path: Path) -> None:
    probe = exec_probe(period_seconds=1, failure_threshold=2)
    spec = container(liveness_probe=probe)
    node = await started(tmp_path, Script(exec=Health(False)), Script(), spec=spec)
    await node.run(3)
    (found,) = deaths(node)
    assert found.cause == (
        "the agent ended it because its liveness probe failed: "
        'no good (command "check" exited with 1)'
    )
    assert node.recorder.messages("ContainerDied") == [], "Unhealthy and Killing have said it"
    await node.kill()


async def test_a_hook_with_its_command(tmp_path: Path) -> None:
    hook = LifecycleHandler(exec=ExecAction(command=["hook"]))
    spec = container(lifecycle=Lifecycle(post_start=hook))
    node = await started(tmp_path, Script(exec=Health(False)), Script(exec=Health()), spec=spec)
    await node.run(1)
    (found,) = deaths(node)
    assert found.cause.startswith("the agent ended it because its postStart hook failed: Exec")
    await node.kill()


async def test_what_changed_just_before(tmp_path: Path) -> None:
    settings = ConfigMap(metadata=ObjectMeta(name="s", namespace="ns"), data={"k": "v1"})
    node = Node(tmp_path, scripts={"web": [Script(run_for=100, exit_code=1), Script()]})
    await node.boot()
    node.api.put(settings)
    mount = VolumeMount(name="config", mount_path="/etc/s")
    volume = Volume(name="config", config_map=ConfigMapVolumeSource(name="s"))
    pod = make_pod(container(volume_mounts=[mount]), volumes=[volume])
    node.api.put(pod)
    await node.run(10)
    node.api.put(ConfigMap(metadata=settings.metadata, data={"k": "v2"}))
    await node.run(80)
    node.api.put(labelled(deepcopy(node.api.pod()), a="b"))
    node.runtime.lose_engine()
    await node.run(1)
    node.runtime.recover_engine()
    await node.run(15)
    (found,) = deaths(node)
    assert found.changes[0].endswith("s before: the container engine went away")
    assert found.changes[1].endswith("s before: labels of the pod were changed")
    assert found.changes[2].endswith("s before: volume config got new contents")
    assert len(found.changes) == 3
    await node.kill()


async def test_what_was_found_survives_the_agent(tmp_path: Path) -> None:
    node = await started(tmp_path, Script(run_for=1, exit_code=3), Script())
    await node.run(2)
    before = deaths(node)
    assert len(before) == 1
    await node.kill()
    await node.boot()
    await node.run(1)
    assert deaths(node) == before
    assert len(node.recorder.messages("ContainerDied")) == 1, "each death is told once"
    # From now on, "just before" includes the agent's own end.
    node.runtime.end(next(r.id for r in node.containers("web") if r.running), exit_code=4)
    await node.run(1)
    assert [one.exit_code for one in deaths(node)] == [4, 3]
    assert deaths(node)[0].changes[-1].endswith("the agent was started anew")
    await node.kill()


async def test_a_file_that_cannot_be_read_holds_nothing_up(tmp_path: Path) -> None:
    node = await started(tmp_path, Script())
    (node.directory / "pods" / UID / "deaths.json").write_text("{")
    await node.kill()
    await node.boot()
    await node.run(1)
    assert deaths(node) == [] and web(node).ready
    await node.kill()


async def test_the_end_of_a_pod_and_of_its_work_is_no_death(tmp_path: Path) -> None:
    node = await started(tmp_path, Script(run_for=1), policy="OnFailure")
    await node.run(3)
    assert deaths(node) == []
    await node.kill()


async def test_an_end_that_leads_to_a_restart_is_one(tmp_path: Path) -> None:
    node = await started(tmp_path, Script(run_for=1), Script())
    await node.run(3)
    (found,) = deaths(node)
    assert found.exit_code == 0
    assert web(node).last_state.terminated.message == ""
    assert node.recorder.messages("ContainerDied") == []
    await node.kill()


async def test_the_last_ten_are_kept(tmp_path: Path) -> None:
    node = await started(tmp_path, Script(run_for=1, exit_code=1))
    await node.run(3600)
    found = deaths(node)
    assert len(found) == 10
    counts = [one.restart_count for one in found]
    assert counts == sorted(counts, reverse=True)
    written = json.loads((node.directory / "pods" / UID / "deaths.json").read_text())
    assert len(written) == 10
    await node.kill()
