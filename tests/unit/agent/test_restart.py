"""An agent that is killed at any moment and starts again: nothing stops, doubles or leaks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from agent.containers.records import ContainerId, ContainerRecord
from agent.containers.script import Script
from agent.pod import checkpoint
from agent.pod.checkpoint import Checkpoints
from agent.pod.lookup import Pods
from api import objects
from api.core import (
    EnvVar,
    EnvVarSource,
    ExecAction,
    Pod,
    Probe,
    Secret,
    SecretKeySelector,
)
from api.errors import ApiError
from api.meta import ObjectMeta
from base.clock import FakeClock
from base.files import atomic_write
from tests.unit.agent.builders import UID, container, make_pod
from tests.unit.agent.node import Node


def condition(node: Node, kind: str = "Ready") -> str:
    return next(c.status for c in node.api.pod().status.conditions if c.type == kind)


def sole(node: Node, name: str) -> ContainerId:
    """The one container of this name, running or not."""
    found = node.containers(name)
    assert len(found) == 1, found
    return found[0].id


async def settled(tmp_path: Path, pod: Pod, **runtime: object) -> Node:
    node = Node(tmp_path, **runtime)
    await node.boot()
    node.api.put(pod)
    await node.run(5)
    await node.manager.agent.checkpoints.flush()
    return node


async def test_running_containers_are_adopted(tmp_path: Path) -> None:
    node = await settled(tmp_path, make_pod())
    before = (sole(node, "POD"), sole(node, "web"))
    calls, patches = len(node.runtime.calls), len(node.api.bodies)
    await node.kill()
    await node.boot()
    await node.run(120)
    assert (sole(node, "POD"), sole(node, "web")) == before
    assert len(node.runtime.calls) == calls, "no container was touched"
    assert len(node.api.bodies) == patches, "nothing new is told"
    assert condition(node) == "True"
    assert node.api.pod().status.container_statuses[0].restart_count == 0


async def test_readiness_is_not_forgotten(tmp_path: Path) -> None:
    probe = Probe(exec=ExecAction(command=["check"]), period_seconds=10)
    node = await settled(tmp_path, make_pod(container(readiness_probe=probe)))
    assert condition(node) == "True"
    patches = len(node.api.bodies)
    await node.kill()
    await node.boot()
    await node.run(60)
    assert len(node.api.bodies) == patches


async def test_a_crash_while_the_agent_was_away(tmp_path: Path) -> None:
    node = await settled(tmp_path, make_pod())
    await node.kill()
    node.runtime.end(sole(node, "web"), exit_code=9)
    await node.boot()
    await node.run(5)
    status = node.api.pod().status.container_statuses[0]
    assert status.restart_count == 1
    assert status.last_state.terminated is not None
    assert status.last_state.terminated.exit_code == 9
    assert condition(node) == "True"


async def test_the_crash_loop_goes_on_where_it_was(tmp_path: Path) -> None:
    node = await settled(tmp_path, make_pod(), scripts={"web": Script(run_for=1, exit_code=1)})
    await node.run(100)  # 1, 11, 21 and 41 s apart: the next waits for 80 s
    count = node.api.pod().status.container_statuses[0].restart_count
    assert count == 4
    await node.kill()
    await node.boot()
    await node.run(30)
    assert node.api.pod().status.container_statuses[0].restart_count == count
    await node.run(50)
    assert node.api.pod().status.container_statuses[0].restart_count == count + 1


async def test_deleted_while_the_agent_was_away(tmp_path: Path) -> None:
    node = await settled(tmp_path, make_pod())
    await node.kill()
    node.api.delete_gracefully("pod", "ns", stamp="2026-01-01T00:01:00Z", grace=30)
    await node.boot()
    await node.run(1)
    assert node.containers() == []
    assert (Pod, "ns", "pod") not in node.api.objects


async def test_removed_while_the_agent_was_away(tmp_path: Path) -> None:
    node = await settled(tmp_path, make_pod())
    await node.kill()
    node.api.remove(Pod, "pod", "ns")
    await node.boot()
    await node.run(5)
    assert node.runtime._containers == {}
    assert node.network.attached == {}
    assert node.manager.workers == {}


# Without the control plane.


async def test_pods_live_on_without_the_control_plane(tmp_path: Path) -> None:
    node = await settled(tmp_path, make_pod())
    node.api.down = True
    await node.kill()
    await node.boot(api=False)
    node.runtime.end(sole(node, "web"), exit_code=1)
    await node.run(5)
    assert node.names() == ["POD", "web"], "it restarts without anybody's leave"
    await node.reach_api()
    await node.run(15)
    assert node.api.pod().status.container_statuses[0].restart_count == 1
    assert condition(node) == "True"


async def test_cut_off_for_ten_minutes(tmp_path: Path) -> None:
    """Everything goes on; then what was replaced or deleted meanwhile ends, and nothing else."""
    node = await settled(tmp_path, named("stays"))
    for name in ("replaced", "leaving"):
        node.api.put(named(name))
    await node.run(5)
    node.api.down = True
    node.api._watchers.clear()
    node.api.remove(Pod, "replaced", "ns")
    node.api.delete_gracefully("leaving", "ns", stamp="2026-01-01T00:01:00Z", grace=1)
    await node.run(60)
    (stays,) = (each for each in node.containers("web") if "_stays_" in each.name)
    node.runtime.end(stays.id, exit_code=1)
    await node.run(540)
    assert node.names() == ["POD"] * 3 + ["web"] * 3, "nobody ended anything"
    await node.reach_api()
    await node.run(60)
    assert [pod.metadata.name for pod in node.api.pods()] == ["stays"]
    assert node.names() == ["POD", "web"]
    (status,) = node.api.pod("stays").status.container_statuses
    assert (status.restart_count, status.ready) == (1, True)
    assert len(node.network.attached) == 1
    await node.kill()


def named(name: str) -> Pod:
    pod = make_pod()
    pod.metadata.name, pod.metadata.uid = name, f"uid-{name}"
    return pod


async def killed_before_it_wrote(node: Node, change: Callable[[], object]) -> None:
    """The agent hears of a change right after it has written what was before, and is killed; then it
    finds no control plane."""
    checkpoints = node.manager.agent.checkpoints
    await checkpoints.flush()
    checkpoints.save(node.api.pod())
    checkpoints._noted.clear()  # its turn to write comes in a second
    change()
    await node.run(0.5)
    await node.kill()
    node.api.down = True
    await node.boot(api=False)
    await node.run(60)


async def test_a_pod_that_was_being_deleted_does_not_come_back(tmp_path: Path) -> None:
    slow = {"slow": Script(term_seconds=20)}
    node = await settled(tmp_path, make_pod(container(), container("slow")), scripts=slow)
    (web,) = node.containers("web")
    stamp = "2026-01-01T00:01:00Z"
    await killed_before_it_wrote(
        node, lambda: node.api.delete_gracefully("pod", "ns", stamp=stamp, grace=30)
    )
    assert [each.id for each in node.containers("web")] in ([], [web.id])
    assert node.names() == []
    await node.reach_api()
    await node.run(15)
    assert not node.api.pods()
    await node.kill()


async def test_a_container_that_was_replaced_is_not_replaced_back(tmp_path: Path) -> None:
    node = await settled(tmp_path, make_pod(), images=["app:1", "app:2", "pause:1"])
    (before,) = node.containers("web")
    await killed_before_it_wrote(node, lambda: node.api.put(make_pod(container(image="app:2"))))
    made = {each.id: each.running for each in node.containers("web") if each.id != before.id}
    assert list(made.values()) == [True]
    await node.kill()


async def test_an_older_version_that_is_just_written_does_not_hide_the_newer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, begun, go = Checkpoints(tmp_path, clock=FakeClock()), Event(), Event()
    found: list[Pod] = []

    def write(path: Path, data: bytes, mode: int, *, durable: bool = True) -> None:
        if not durable or found:
            atomic_write(path, data, mode, durable=durable)
            return
        begun.set()
        assert go.wait(30)
        atomic_write(path, data, mode)
        found.extend(Checkpoints(tmp_path, clock=FakeClock()).load())

    monkeypatch.setattr(checkpoint, "atomic_write", write)
    kept.save(make_pod())
    writing = asyncio.create_task(kept.flush())
    assert await asyncio.to_thread(begun.wait, 30)
    kept.save(make_pod(deleted=True), at_once=True)
    go.set()
    await writing
    assert [pod.metadata.deletion_timestamp is None for pod in found] == [False]
    (pod,) = Checkpoints(tmp_path, clock=FakeClock()).load()
    assert pod.metadata.deletion_timestamp is not None
    assert len(list(tmp_path.iterdir())) == 1, "the file that was ahead is not needed any more"
    kept.save(make_pod(deleted=True), at_once=True)
    kept.remove(UID)
    assert list(tmp_path.iterdir()) == []


async def test_nothing_is_ended_before_the_api_has_spoken(tmp_path: Path) -> None:
    node = await settled(tmp_path, make_pod())
    await node.run(5)
    await node.kill()
    for file in (tmp_path / "checkpoints").iterdir():
        file.unlink()
    node.api.down = True
    await node.boot(api=False)
    await node.run(300)
    assert node.names() == ["POD", "web"]
    await node.reach_api()
    await node.run(15)
    assert node.names() == ["POD", "web"], "the API does know it"
    assert sole(node, "POD") and sole(node, "web")


async def test_a_secret_that_cannot_be_read_holds_up_only_new_containers(tmp_path: Path) -> None:
    ref = SecretKeySelector(name="password", key="p")
    env = [EnvVar(name="P", value_from=EnvVarSource(secret_key_ref=ref))]
    node = Node(tmp_path)
    await node.boot()
    secret = Secret(metadata=ObjectMeta(name="password", namespace="ns"), data={"p": b"hunter2"})
    node.api.put(secret)
    node.api.put(make_pod(container("a", env=env), container("b")))
    await node.run(5)
    node.api.down = True
    await node.kill()
    await node.boot(api=False)
    await node.run(5)
    assert node.names() == ["POD", "a", "b"], "running containers are kept"
    node.runtime.end(node.containers("a")[0].id, exit_code=1)
    await node.run(15)
    assert node.names() == ["POD", "b"]
    assert any("cannot be read" in words for words in node.recorder.messages("Failed"))
    await node.reach_api()
    await node.run(15)
    assert node.names() == ["POD", "a", "b"]


async def test_secrets_are_never_on_disk(tmp_path: Path) -> None:
    ref = SecretKeySelector(name="password", key="p")
    env = [EnvVar(name="P", value_from=EnvVarSource(secret_key_ref=ref))]
    node = Node(tmp_path)
    await node.boot()
    secret = Secret(metadata=ObjectMeta(name="password", namespace="ns"), data={"p": b"hunter2"})
    node.api.put(secret)
    node.api.put(make_pod(container(env=env)))
    await node.run(5)
    assert node.names() == ["POD", "web"]
    await node.manager.agent.checkpoints.flush()
    assert list((tmp_path / "checkpoints").glob("*.json"))
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert b"hunter2" not in path.read_bytes(), path


async def test_a_broken_checkpoint_is_set_aside(tmp_path: Path) -> None:
    node = await settled(tmp_path, make_pod())
    await node.kill()
    (tmp_path / "checkpoints" / f"{UID}.json").write_text('{"half')
    await node.boot()
    await node.run(5)
    assert node.names() == ["POD", "web"]
    assert (tmp_path / "checkpoints" / f"{UID}.broken").exists()


async def test_a_checkpoint_that_is_written_as_its_pod_goes_does_not_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a next agent without the control plane would start a pod that was deleted."""
    node = await settled(tmp_path, make_pod())
    checkpoints, entered, leave = node.manager.agent.checkpoints, Event(), Event()

    def slow_write(path: Path, *arguments: Any) -> None:
        entered.set()
        leave.wait(10)
        atomic_write(path, *arguments)

    monkeypatch.setattr("agent.pod.checkpoint.atomic_write", slow_write)
    checkpoints.save(node.api.pod())
    writing = asyncio.create_task(checkpoints.flush())
    while not entered.is_set():
        await asyncio.sleep(0)
    checkpoints.remove(UID)
    leave.set()
    await writing
    assert list((tmp_path / "checkpoints").iterdir()) == []
    await node.kill()


async def test_a_deleted_pod_has_no_checkpoint(tmp_path: Path) -> None:
    node = await settled(tmp_path, make_pod())
    node.api.delete_gracefully("pod", "ns", stamp="2026-01-01T00:01:00Z", grace=1)
    await node.run(5)
    await node.manager.agent.checkpoints.flush()
    assert node.manager.workers == {}
    assert list((tmp_path / "checkpoints").iterdir()) == []
    await node.kill()


async def test_orphans_of_another_node_are_not_ours(tmp_path: Path) -> None:
    node = await settled(tmp_path, make_pod())
    await node.kill()
    for kept in node.runtime._containers.values():
        labels = {**kept.record.labels, "io.podwright.node": "elsewhere"}
        kept.record = type(kept.record)(**{**vars(kept.record), "labels": labels})
    node.api.remove(Pod, "pod", "ns")
    await node.boot()
    await node.run(200)
    assert node.names() == ["POD", "web"]


async def test_stray_cgroups_and_directories_are_removed(tmp_path: Path) -> None:
    node = Node(tmp_path)
    (tmp_path / "pods" / "ghost" / "volumes").mkdir(parents=True)
    await node.boot()
    (tmp_path / "cgroup" / "cpu" / "test" / "kubepods" / "podghost").mkdir()
    await node.manager.relist()
    assert list((tmp_path / "pods").iterdir()) == []
    assert not list((tmp_path / "cgroup").glob("**/podghost"))


@pytest.mark.parametrize("again", [False, True], ids=["same agent", "next agent"])
async def test_dead_containers_that_somebody_removed_stay_counted(
    tmp_path: Path, again: bool
) -> None:
    """`docker container prune` on a node of a crash loop."""
    node = Node(tmp_path, scripts={"web": Script(run_for=1, exit_code=3)})
    await node.boot()
    node.api.put(make_pod())
    await node.run(40)
    before = node.api.pod().status.container_statuses[0]
    assert before.restart_count == 3 and before.state.waiting is not None
    if again:
        await node.kill()
    for record in node.containers("web"):
        await node.runtime.remove(record.id)
    if again:
        await node.boot()
    counts = set()
    for _ in range(100):
        await node.run(1)
        now = node.api.pod().status.container_statuses[0]
        counts.add(now.restart_count)
        assert now.last_state.terminated is None or now.last_state.terminated.exit_code == 3
    assert min(counts) >= 3, "a count never goes back"
    assert 4 in counts
    await node.kill()


@pytest.mark.parametrize("again", [False, True], ids=["same agent", "next agent"])
async def test_how_a_finished_pod_ended_is_not_forgotten_with_its_containers(
    tmp_path: Path, again: bool
) -> None:
    """A Job's verdict may hang on the exit code."""
    node = Node(tmp_path, scripts={"web": Script(run_for=1, exit_code=42)})
    await node.boot()
    node.api.put(make_pod(policy="Never"))
    await node.run(20)
    before = node.api.pod().status
    assert before.phase == "Failed"
    if again:
        await node.kill()
    await node.runtime.remove(sole(node, "web"))
    if again:
        await node.boot()
    await node.run(100)
    assert node.api.pod().status == before
    assert node.containers("web") == []
    ended = node.api.pod().status.container_statuses[0].state.terminated
    assert ended is not None and ended.exit_code == 42
    with pytest.raises(ApiError, match="is gone: the container was removed"):
        Pods(node.manager).find("ns", "pod", "web")
    await node.kill()


async def test_an_init_container_that_is_through_need_not_be_there(tmp_path: Path) -> None:
    node = Node(tmp_path, scripts={"init": Script(run_for=1)})
    await node.boot()
    node.api.put(make_pod(inits=[container("init")]))
    await node.run(20)
    before = node.api.pod().status.init_container_statuses
    await node.runtime.remove(sole(node, "init"))
    await node.run(100)
    await node.kill()
    await node.boot()
    await node.run(20)
    assert node.api.pod().status.init_container_statuses == before
    assert node.containers("init") == []
    await node.kill()


async def test_a_running_container_that_somebody_removed(tmp_path: Path) -> None:
    node = await settled(tmp_path, make_pod())
    phases = []
    node.api.subscribe(Pod, lambda old, new: phases.append(new.status.phase))
    await node.runtime.remove(sole(node, "web"))
    await node.run(20)
    status = node.api.pod().status.container_statuses[0]
    assert status.state.running is not None and status.restart_count == 1
    assert set(phases) == {"Running"}, "a phase never goes back"
    await node.kill()


async def test_a_stray_directory_that_cannot_go_does_not_end_the_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(tmp_path)
    stray = tmp_path / "pods" / "long-gone"
    stray.mkdir(parents=True)
    monkeypatch.setattr(node.mounter, "unmount", lambda target: None)  # it is busy
    node.mounter.mounted[str(stray)] = "tmpfs"
    await node.boot()
    await node.run(61)
    assert stray.is_dir()
    monkeypatch.undo()
    await node.run(60)
    assert not stray.exists()
    await node.kill()


async def test_a_lost_event_is_made_up_for_by_the_relist(tmp_path: Path) -> None:
    node = await settled(tmp_path, make_pod())
    heard = node.manager._note
    node.manager._note = lambda event: None  # type: ignore[method-assign]
    node.runtime.end(sole(node, "web"), exit_code=1)
    await node.run(30)
    assert node.names() == ["POD"]
    node.manager._note = heard  # type: ignore[method-assign]
    await node.run(60)
    assert node.names() == ["POD", "web"]


async def test_an_engine_that_was_away(tmp_path: Path) -> None:
    node = await settled(tmp_path, make_pod())
    node.runtime.lose_engine()
    await node.run(90)
    assert condition(node) == "True", "what is not known is not told"
    for kept in list(node.runtime._containers.values()):
        node.runtime.unreachable = False
        node.runtime.end(kept.record.id, exit_code=255)
        node.runtime.unreachable = True
    node.runtime.recover_engine()
    await node.run(30)
    assert node.names() == ["POD", "web"]
    assert condition(node) == "True"


async def test_events_do_not_wait_for_a_list_that_takes_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await settled(tmp_path, make_pod())

    async def hang(*, labels: object) -> list[ContainerRecord]:
        await node.clock.sleep(3600)
        return []

    monkeypatch.setattr(node.runtime, "list_containers", hang)
    node.runtime.lose_engine()
    node.runtime.recover_engine()
    await node.run(1)
    node.runtime.end(sole(node, "web"), exit_code=1)
    await node.run(5)
    assert node.names() == ["POD", "web"], "its end was heard, and it was started again"
    await node.kill()


async def test_a_status_that_somebody_changed_is_put_right(tmp_path: Path) -> None:
    node = await settled(tmp_path, make_pod())
    pod = objects.copy(node.api.pod())
    for c in pod.status.conditions:
        if c.type == "Ready":
            c.status = "False"
    node.api.put(pod)
    await node.run(2)
    assert condition(node) == "True"


# Killed at any moment.


class Steps:
    """Counts the engine's changes, and ends the agent after so many of them."""

    def __init__(self, node: Node, limit: int) -> None:
        self.left = limit
        for name in ("create", "start", "kill", "remove"):
            setattr(node.runtime, name, self._counted(getattr(node.runtime, name)))

    def _counted(self, method):  # type: ignore[no-untyped-def]
        async def call(*args, **kwargs):  # type: ignore[no-untyped-def]
            if self.left == 0:
                await FakeClock().sleep(1)  # the process is dead: it never comes back from here
            self.left -= 1
            return await method(*args, **kwargs)

        return call


@pytest.mark.parametrize("limit", range(12))
async def test_killed_while_a_pod_starts(tmp_path: Path, limit: int) -> None:
    node = Node(tmp_path)
    await node.boot()
    steps = Steps(node, limit)
    node.api.put(make_pod(container("a"), container("b")))
    await node.run(1)
    await node.kill()
    steps.left = -1
    await node.boot()
    await node.run(30)
    assert node.names() == ["POD", "a", "b"]
    for name in ("POD", "a", "b"):
        sole(node, name)
    statuses = node.api.pod().status.container_statuses
    assert [s.restart_count for s in statuses] == [0, 0]
    assert len(node.network.attached) == 1


@pytest.mark.parametrize("limit", range(12))
async def test_killed_while_a_pod_ends(tmp_path: Path, limit: int) -> None:
    node = await settled(tmp_path, make_pod(container("a"), container("b")))
    steps = Steps(node, limit)
    node.api.delete_gracefully("pod", "ns", stamp="2026-01-01T00:01:00Z", grace=30)
    await node.run(1)
    await node.kill()
    steps.left = -1
    await node.boot()
    await node.run(40)
    assert node.runtime._containers == {}
    assert node.network.attached == {}
    assert (Pod, "ns", "pod") not in node.api.objects
    assert node.manager.workers == {}


async def test_a_finalizer_keeps_the_object_and_nothing_else(tmp_path: Path) -> None:
    node = await settled(tmp_path, make_pod())
    pod = objects.copy(node.api.pod())
    pod.metadata.finalizers = ["example.org/wait"]
    node.api.put(pod)
    deleted = node.api.delete

    async def refuse(type_, name, namespace="", **options):  # type: ignore[no-untyped-def]
        """The API keeps an object that has finalizers."""
        if node.api.pod().metadata.finalizers:
            return
        await deleted(type_, name, namespace, **options)

    node.api.delete = refuse  # type: ignore[method-assign]
    node.api.delete_gracefully("pod", "ns", stamp="2026-01-01T00:01:00Z", grace=1)
    await node.run(10)
    assert node.runtime._containers == {}
    touched = objects.copy(node.api.pod())
    touched.metadata.labels = {"a": "b"}
    node.api.put(touched)
    await node.run(10)
    assert node.manager.workers == {}
    node.api.remove(Pod, "pod", "ns")
    await node.run(1)
    assert node.manager._finished == set()
