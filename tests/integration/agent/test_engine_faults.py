"""What happens to an engine and its containers behind the agent's back, on a real engine.

Each cell ends the same: pods run, nothing is there twice, and restarts are counted when something
ended, and only then.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.containers.records import ContainerId
from agent.probes.handlers import ask_exec
from agent.volumes.mounts import KernelMounter
from api.core import (
    ConfigMap,
    ConfigMapVolumeSource,
    Container,
    Pod,
    Volume,
    VolumeMount,
)
from api.meta import ObjectMeta
from local.host import processes
from tests.engine import BUSYBOX, Engine, missing, running_engine
from tests.integration.agent.conftest import DIRECTORY, RealNode
from tests.integration.agent.test_pods import FOREVER, delete, shell
from tests.unit.agent.builders import UID, make_pod

LIVE_RESTORE = "--live-restore"


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """An engine that tests may break."""
    if reason := missing():
        pytest.skip(reason)
    with running_engine(DIRECTORY / "faults", name="pwt-faults") as engine:
        yield engine


def restarts(node: RealNode) -> list[int]:
    return [status.restart_count for status in node.api.pod().status.container_statuses]


async def identities(node: RealNode) -> dict[str, int]:
    """Process ids of what runs."""
    return {record.id: record.pid for record in await node.containers() if record.running}


async def two_run(node: RealNode) -> dict[str, int]:
    """A pod of two containers, which runs; with its sandbox, three."""
    node.api.put(make_pod(shell(FOREVER), shell(FOREVER, "other")))
    await node.until(node.ready)
    found = await identities(node)
    assert len(found) == 3
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_new_daemon_finds_its_containers_running(
    node: RealNode, engine: Engine, number: int
) -> None:
    await asyncio.to_thread(engine.replace_dockerd, signal.SIGTERM, LIVE_RESTORE)
    before = await two_run(node)
    await asyncio.to_thread(engine.replace_dockerd, number)
    # The agent is heard of again: what ends from now on, it notices.
    status = node.status()
    assert status is not None
    assert await identities(node) == before
    assert restarts(node) == [0, 0]
    await node.runtime.kill(status.container_id.rpartition("/")[2])  # type: ignore[arg-type]
    await node.until(lambda: restarts(node) == [1, 0])
    await node.until(node.ready)
    assert len(await identities(node)) == 3
    await delete(node)
    assert await node.containers() == []


async def test_a_daemon_that_takes_its_containers_along(node: RealNode, engine: Engine) -> None:
    await two_run(node)
    argv = Path(f"/proc/{engine.dockerd.pid}/cmdline").read_text()
    option = [f"{LIVE_RESTORE}=false"] if LIVE_RESTORE in argv else []
    await asyncio.to_thread(engine.replace_dockerd, signal.SIGTERM, *option)
    await asyncio.to_thread(engine.replace_dockerd, signal.SIGTERM)
    await node.until(lambda: all(count >= 1 for count in restarts(node)), seconds=60)
    await node.until(node.ready, seconds=60)
    assert len(await identities(node)) == 3
    assert len(node.manager.workers[UID].context.memory.sandboxes()) >= 1
    assert node.phase() == "Running"


async def test_a_daemon_that_hangs_for_a_while(node: RealNode, engine: Engine) -> None:
    before = await two_run(node)
    daemon = engine.dockerd
    daemon.signal(signal.SIGSTOP)
    try:
        node.api.put(another("later", make_pod(shell(FOREVER))))
        await asyncio.sleep(2.0)  # as long as it hangs: there is nothing to wait for
        assert restarts(node) == [0, 0]
    finally:
        daemon.signal(signal.SIGCONT)
    await node.until(lambda: node.api.pod("later").status.phase == "Running")
    assert before.items() <= (await identities(node)).items()
    assert restarts(node) == [0, 0]


async def test_a_container_whose_shim_hangs_holds_up_nobody_else(
    node: RealNode, engine: Engine
) -> None:
    await two_run(node)
    status = node.status("other")
    assert status is not None
    pid = (await node.runtime.inspect(ContainerId(status.container_id.rpartition("/")[2]))).pid
    shim = processes.process(
        int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    )
    assert shim is not None and "shim" in Path(f"/proc/{shim.pid}/cmdline").read_text()
    shim.signal(signal.SIGSTOP)
    try:
        node.api.delete_gracefully("pod", "ns", stamp="2026-01-01T00:00:00Z", grace=1)
        node.api.put(another("later", make_pod(shell(FOREVER))))
        await node.until(lambda: node.api.pod("later").status.phase == "Running")
        node.api.delete_gracefully("later", "ns", stamp="2026-01-01T00:00:00Z", grace=1)
        await node.until(lambda: (Pod, "ns", "later") not in node.api.objects)
        assert not node.gone(), "its container still runs, as far as anybody knows"
    finally:
        shim.signal(signal.SIGCONT)
    await node.until(node.gone, seconds=90)
    await node.until(lambda: node.manager.workers == {})
    assert await node.containers() == []


async def test_containers_removed_by_hand(node: RealNode, engine: Engine) -> None:
    await two_run(node)
    status = node.status()
    assert status is not None
    await asyncio.to_thread(engine.docker, "rm", "-f", status.container_id.rpartition("/")[2])
    await node.until(lambda: restarts(node) == [1, 0])
    await node.until(node.ready)
    assert len(await node.containers()) == 3

    box = node.manager.workers[UID].context.memory.sandboxes()[0]
    await asyncio.to_thread(engine.docker, "rm", "-f", box.id)
    await node.until(lambda: restarts(node) == [2, 1], seconds=60)
    await node.until(node.ready, seconds=60)
    assert len(await identities(node)) == 3


async def test_a_paused_container_fails_its_probe_and_can_be_deleted(
    node: RealNode, engine: Engine
) -> None:
    await two_run(node)
    for name in ("web", "other"):
        status = node.status(name)
        assert status is not None
        id = ContainerId(status.container_id.rpartition("/")[2])
        await asyncio.to_thread(engine.docker, "pause", id)
        verdict = await ask_exec(["true"], id, node.runtime, timeout=5)
        assert (verdict.passed, verdict.unknown) == (False, False)
        assert verdict.message == 'command "true" cannot run: the container is paused'
    await delete(node, grace=2)
    await node.until(lambda: node.manager.workers == {}, seconds=60)
    assert await node.containers() == []


async def test_an_image_removed_while_it_is_used(node: RealNode, engine: Engine) -> None:
    await asyncio.to_thread(engine.docker, "tag", BUSYBOX, "podwright/gone:1")
    spec = Container(name="web", image="podwright/gone:1", command=["sh", "-c", FOREVER])
    node.api.put(make_pod(spec))
    await node.until(node.ready)
    await asyncio.to_thread(engine.docker, "rmi", "podwright/gone:1")
    assert node.ready() and restarts(node) == [0]
    status = node.status()
    assert status is not None
    await node.runtime.kill(status.container_id.rpartition("/")[2])  # type: ignore[arg-type]

    def wanted() -> bool:
        now = node.status()
        waiting = now.state.waiting if now is not None else None
        return waiting is not None and waiting.reason in ("ErrImagePull", "ImagePullBackOff")

    await node.until(wanted, seconds=60)
    await asyncio.to_thread(engine.docker, "tag", BUSYBOX, "podwright/gone:1")
    await node.until(lambda: node.ready() and restarts(node) == [1], seconds=60)


async def test_the_disk_of_the_agent_is_full(node: RealNode, workspace: Path) -> None:
    """What runs goes on, restarts are counted, and a new pod comes when there is room again."""
    await node.kill()
    small = workspace / "small"
    small.mkdir()
    KernelMounter().tmpfs(small, size=512 * 1024)
    node.directory = small
    await node.boot()
    await two_run(node)
    (small / "ballast").write_bytes(
        b"x" * (os.statvfs(small).f_bavail * os.statvfs(small).f_frsize)
    )
    status = node.status()
    assert status is not None
    await node.runtime.kill(status.container_id.rpartition("/")[2])  # type: ignore[arg-type]
    await node.until(lambda: restarts(node) == [1, 0])
    await node.until(node.ready)
    node.api.put(
        ConfigMap(metadata=ObjectMeta(name="text", namespace="ns"), data={"a": "b" * 9000})
    )
    later = with_text("later")
    node.api.put(later)
    await node.until(lambda: any("space left" in str(told) for told in node.recorder.told))
    (small / "ballast").unlink()
    await node.until(lambda: node.api.pod("later").status.phase == "Running", seconds=90)
    assert restarts(node) == [1, 0]
    node.api.delete_gracefully("later", "ns", stamp="2026-01-01T00:00:00Z", grace=1)
    await node.until(lambda: (Pod, "ns", "later") not in node.api.objects)
    await delete(node)


def with_text(name: str) -> Pod:
    mount = VolumeMount(name="text", mount_path="/text")
    volume = Volume(name="text", config_map=ConfigMapVolumeSource(name="text"))
    return another(name, make_pod(shell(FOREVER, volume_mounts=[mount]), volumes=[volume]))


def another(name: str, pod: Pod) -> Pod:
    pod.metadata.name, pod.metadata.uid = name, f"{name}-uid"
    return pod
