"""The pause program as process 1 of real containers."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from agent.containers import pause
from agent.containers.records import ContainerCreate, ContainerId
from agent.containers.runtime import DockerRuntime
from tests.engine import BUSYBOX, Engine

DEADLINE = 60.0


async def sandbox(runtime: DockerRuntime, engine: Engine) -> ContainerId:
    await pause.ensure_image(runtime)
    id = await runtime.create(
        ContainerCreate(
            name="sandbox", image=pause.DEFAULT_IMAGE, cgroup_parent=engine.cgroup_parent
        )
    )
    await runtime.start(id)
    return id


async def test_it_idles_in_almost_no_memory(runtime: DockerRuntime, engine: Engine) -> None:
    record = await runtime.inspect(await sandbox(runtime, engine))
    assert record.running
    status = Path("/proc", str(record.pid), "status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    assert int(fields["VmRSS"].split()[0]) < 1024
    assert fields["Threads"].strip() == "1"


async def test_it_ends_at_once_on_term(runtime: DockerRuntime, engine: Engine) -> None:
    id = await sandbox(runtime, engine)
    started = time.monotonic()
    await runtime.stop(id, grace=30)
    assert time.monotonic() - started < 25
    assert (await runtime.inspect(id)).exit_code == 0


async def test_it_reaps_the_orphans_of_its_pod(runtime: DockerRuntime, engine: Engine) -> None:
    """With a shared process namespace every orphan becomes a child of the pause program."""
    owner = await sandbox(runtime, engine)
    app = await runtime.create(
        ContainerCreate(
            name="app",
            image=BUSYBOX,
            command=("sh", "-c", "for i in $(seq 50); do (sleep 0.01 &) ; done; sleep 1000"),
            cgroup_parent=engine.cgroup_parent,
            pid_mode=f"container:{owner}",
        )
    )
    await runtime.start(app)
    record = await runtime.inspect(app)
    wanted = ["/pause", "sleep"]  # the shell became its last command; of fifty more, nothing
    async with asyncio.timeout(DEADLINE):
        while sorted(processes(record.pid)) != wanted:
            await asyncio.sleep(0.02)


def processes(pid: int) -> list[str]:
    """The programs of all processes in the same process namespace; none for one that has ended."""
    wanted = Path("/proc", str(pid), "ns/pid").stat().st_ino
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "ns/pid").stat().st_ino == wanted:
                words = (process / "cmdline").read_text().split("\0")
                found.append("" if words[:2] == ["sleep", "0.01"] else words[0])
        except OSError:
            continue
    return found
