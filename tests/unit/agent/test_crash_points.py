"""An agent killed before each single thing it does to the world, in every step of a pod's life.

Whatever the moment: the next agent finishes what was begun. Nothing runs twice, nothing is restarted
for it, and what a pod leaves behind is nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from agent.containers.script import Script
from api import objects
from api.core import (
    ConfigMap,
    ConfigMapVolumeSource,
    Container,
    EmptyDirVolumeSource,
    EnvVar,
    EnvVarSource,
    ExecAction,
    Lifecycle,
    LifecycleHandler,
    Pod,
    ResourceRequirements,
    Secret,
    SecretKeySelector,
    SecretVolumeSource,
    Volume,
    VolumeMount,
)
from api.meta import ObjectMeta
from api.pods import condition
from tests.crashpoints import Crashed, CrashPoints
from tests.leftovers import memory
from tests.thorough import LONG
from tests.unit.agent.builders import container, make_pod, sidecar
from tests.unit.agent.node import Node

STAMP = "2026-01-01T00:01:00Z"
SCRIPTS = {"setup": Script(run_for=0.2)}


def full_pod(name: str = "pod") -> Pod:
    """A pod whose start and end has every kind of effect."""
    hook = LifecycleHandler(exec=ExecAction(command=["hook"]))
    secret = SecretKeySelector(name="password", key="p")
    web = container(
        "web",
        env=[EnvVar(name="P", value_from=EnvVarSource(secret_key_ref=secret))],
        lifecycle=Lifecycle(post_start=hook, pre_stop=hook),
        volume_mounts=[
            VolumeMount(name="text", mount_path="/text"),
            VolumeMount(name="text", mount_path="/a", sub_path="a"),
            VolumeMount(name="memory", mount_path="/memory"),
        ],
    )
    pod = make_pod(
        web,
        container("other", volume_mounts=[VolumeMount(name="secret", mount_path="/secret")]),
        inits=[container("setup"), sidecar("side")],
        volumes=[
            Volume(name="text", config_map=ConfigMapVolumeSource(name="text")),
            Volume(name="secret", secret=SecretVolumeSource(secret_name="password")),
            Volume(name="memory", empty_dir=EmptyDirVolumeSource(medium="Memory")),
        ],
    )
    pod.metadata.name, pod.metadata.uid = name, f"{name}-uid"
    return pod


FULL = ["POD", "other", "side", "web"]
"""What runs of it."""


async def fresh(directory: Path) -> Node:
    """A node with what the pods refer to, and nothing else."""
    node = Node(directory, scripts=dict(SCRIPTS))
    await node.boot()
    meta = ObjectMeta(name="text", namespace="ns")
    node.api.put(ConfigMap(metadata=meta, data={"a": "b", "c": "d"}))
    meta = ObjectMeta(name="password", namespace="ns")
    node.api.put(Secret(metadata=meta, data={"p": b"hunter2"}))
    await node.run(1)
    return node


OWN = {"pods", "log", "log/pods", "log/containers"}
"""What the agent makes when it first needs it, and keeps."""


def left(node: Node) -> set[str]:
    """All that pods have on a node: files, mounts, containers, addresses."""
    files = {str(path.relative_to(node.directory)) for path in node.directory.rglob("*")}
    return (
        (files - OWN)
        | {f"mount {path}" for path in node.mounter.mounted}
        | {f"container {kept.record.name}" for kept in node.runtime._containers.values()}
        | {f"address {address}" for address in node.network.attached.values()}
    )


def restarts(node: Node, name: str = "pod") -> list[int]:
    status = node.api.pod(name).status
    every = (*status.init_container_statuses, *status.container_statuses)
    return [one.restart_count for one in every]


def starts(node: Node) -> Counter[str]:
    """How often each container was started; the name ends with the number of its restarts."""
    return Counter(name for verb, name in node.runtime.calls if verb == "start")


Step = Callable[[Node], Awaitable[None]]


class Story:
    """One step of a pod's life: what comes before it, what sets it off, what holds after it."""

    def __init__(self, before: Step, *begin: Callable[[Node], None], after: Step) -> None:
        self.before, self.begin, self.after = before, begin, after


async def nothing(node: Node) -> None:
    pass


async def settled(node: Node) -> None:
    node.api.put(full_pod())
    await node.run(10)
    assert node.names() == FULL
    await node.manager.agent.checkpoints.flush()


async def settled_small(node: Node) -> None:
    node.api.put(make_pod(container(resources=ResourceRequirements(limits={"cpu": "1"}))))
    await node.run(10)


async def settled_job(node: Node) -> None:
    node.runtime.scripts["work"] = Script(run_for=60)
    node.api.put(make_pod(Container(name="work", image="app:1"), policy="Never"))
    await node.run(10)


def start(node: Node) -> None:
    node.api.put(full_pod())


async def runs_once(node: Node) -> None:
    assert node.names() == FULL
    assert restarts(node) == [0] * 4
    assert set(starts(node).values()) == {1}, starts(node)
    assert len(node.network.attached) == 1
    assert node.api.pod().status.phase == "Running"


def end(node: Node) -> None:
    node.api.delete_gracefully("pod", "ns", stamp=STAMP, grace=30)


async def is_gone(node: Node) -> None:
    assert not [key for key in node.api.objects if key[0] is Pod]
    assert node.manager.workers == {}


def crash(node: Node) -> None:
    (web,) = node.containers("web")
    node.runtime.end(web.id, exit_code=3)


async def restarted_once(node: Node) -> None:
    assert node.names() == FULL
    assert restarts(node) == [0, 0, 1, 0]
    (status, _) = node.api.pod().status.container_statuses
    assert status.last_state.terminated is not None
    assert status.last_state.terminated.exit_code == 3


def start_next(node: Node) -> None:
    node.api.put(full_pod("next"))


async def updated(node: Node) -> None:
    assert [key[2] for key in node.api.objects if key[0] is Pod] == ["next"]
    assert node.names() == FULL
    assert restarts(node, "next") == [0] * 4
    assert set(starts(node).values()) == {1}, starts(node)


def finish(node: Node) -> None:
    (work,) = node.containers("work")
    node.runtime.end(work.id, exit_code=0)


async def succeeded(node: Node) -> None:
    assert node.api.pod().status.phase == "Succeeded"
    assert node.containers() == []
    assert node.network.attached == {}, "its address is free"
    assert set(starts(node).values()) == {1}, starts(node)


def evict(node: Node) -> None:
    node.manager.workers["pod-uid"].evict("the node is short of memory", 5)


async def evicted_or_untouched(node: Node) -> None:
    assert set(starts(node).values()) == {1}, "nothing of it comes back"
    status = node.api.pod().status
    if status.phase == "Running":
        assert node.names() == FULL
        assert not any(verb == "kill" for verb, _ in node.runtime.calls)
    else:
        assert (status.phase, status.reason) == ("Failed", "Evicted")
        assert condition(node.api.pod(), "DisruptionTarget") is not None
        assert node.containers() == []


def resize(node: Node) -> None:
    pod = objects.copy(node.api.pod())
    pod.spec.containers[0].resources = ResourceRequirements(limits={"cpu": "2"})
    node.api.put(pod)


async def resized(node: Node) -> None:
    (web,) = node.containers("web")
    assert web.running and web.in_force.cpu_quota == 200_000
    assert restarts(node) == [0]


STORIES = {
    "start": Story(nothing, start, after=runs_once),
    "delete": Story(settled, end, after=is_gone),
    # A rolling update on one node: the next pod comes as the one before it goes.
    "update": Story(settled, start_next, end, after=updated),
    "restart": Story(settled, crash, after=restarted_once),
    "finish": Story(settled_job, finish, after=succeeded),
    "evict": Story(settled, evict, after=evicted_or_untouched),
    "resize": Story(settled_small, resize, after=resized),
}
EVERY = {
    "start": {"runtime.create", "runtime.start", "runtime.exec", "network.attach", "mounter.tmpfs"}
    | {"mounter.bind", "api.patch", "open", "os.mkdir", "os.rename", "os.symlink", "os.chmod"},
    "delete": {"runtime.exec", "runtime.kill", "runtime.remove", "network.detach", "api.delete"}
    | {"mounter.unmount", "os.remove", "os.rmdir"},
    "update": {"runtime.create", "runtime.remove", "network.attach", "network.detach"},
    "restart": {"runtime.create", "runtime.start"},
    "finish": {"network.detach", "runtime.remove"},
    "evict": {"open", "os.rename", "runtime.exec", "runtime.kill", "api.patch"},
    "resize": {"runtime.update"},
}
"""Kinds of effects that a story must have, or it proves less than it says."""


async def told(directory: Path, story: Story, at: int | None) -> tuple[Node, CrashPoints, set[str]]:
    """Tell a story, with the agent killed before effect number `at`, and start the next agent."""
    node = await fresh(directory)
    bare = left(node)
    await story.before(node)
    points = CrashPoints(directory, at=at)
    points.watch_node(node)
    with points.watching_files():
        for change in story.begin:
            with suppress(Crashed):  # the API has it all the same
                change(node)
        for _ in range(80):
            if points.dead:
                break
            await node.clock.run_for(0.5)
        await node.kill()
    points.revive()
    if at is not None:
        await node.boot()
        await node.run(90)
    return node, points, bare


def chosen(effects: Sequence[str]) -> list[tuple[int, str]]:
    """All of them in the long run; else of equal neighbours (one more file, one more link) the first."""
    firsts: dict[object, tuple[int, str]] = {}
    for at, effect in enumerate(effects):
        before = effects[at - 1] if at else ""
        firsts.setdefault(at if LONG else (before, effect), (at, effect))
    return list(firsts.values())


@pytest.fixture(autouse=True)
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thing after another, the same each time; and no thread outlives its agent."""

    async def at_once(work: Callable[..., Any], *arguments: Any) -> Any:
        return work(*arguments)

    monkeypatch.setattr(asyncio, "to_thread", at_once)
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # no power is lost here


@pytest.mark.parametrize("name", list(STORIES))
async def test_killed_before_every_effect(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")
    with memory() as place:
        await kill_before_every_effect(place, name)


async def kill_before_every_effect(place: Path, name: str) -> None:
    story = STORIES[name]
    node, points, _ = await told(place / "whole", story, None)
    await story.after(node)
    assert set(points.names) >= EVERY[name]
    for at, effect in chosen(points.names):
        node, reached, bare = await told(place / str(at), story, at)
        try:
            await story.after(node)
            await cleaned(node, bare)
        except AssertionError as error:
            raise AssertionError(f"killed before number {at}, {effect}: {error}") from error
        finally:
            await node.kill()
        assert len(reached.names) >= at


async def cleaned(node: Node, bare: set[str]) -> None:
    """Delete what there is: nothing of it stays."""
    for key in [key for key in node.api.objects if key[0] is Pod]:
        node.api.delete_gracefully(key[2], "ns", stamp=STAMP, grace=1)
    await node.run(70)
    await is_gone(node)
    assert left(node) - bare == set()
