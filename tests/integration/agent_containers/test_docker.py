"""What only a real engine can show: namespaces, cgroups, mounts, live streams, a restart of the engine."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from agent.containers import logs
from agent.containers.engine_json import timestamp
from agent.containers.errors import EngineUnavailable
from agent.containers.interface import Stream
from agent.containers.records import (
    Channel,
    ContainerCreate,
    ContainerId,
    EventKind,
    LogOptions,
    Mount,
)
from agent.containers.runtime import DockerRuntime
from base.clock import SystemClock
from tests.engine import BUSYBOX, Engine
from tests.patience import eventually

DEADLINE = 60.0


def spec(engine: Engine, name: str, *shell: str, **fields: object) -> ContainerCreate:
    base = ContainerCreate(
        name=name,
        image=BUSYBOX,
        command=("sh", "-c", " ".join(shell)) if shell else ("sleep", "1000"),
        cgroup_parent=engine.cgroup_parent,
    )
    return replace(base, **fields)  # type: ignore[arg-type]


async def run(runtime: DockerRuntime, wanted: ContainerCreate) -> ContainerId:
    id = await runtime.create(wanted)
    await runtime.start(id)
    return id


async def output(runtime: DockerRuntime, id: ContainerId, *argv: str) -> str:
    result = await runtime.exec(id, argv, timeout=DEADLINE)
    assert result.exit_code == 0, result
    return result.output.decode().strip()


async def read_all(stream: Stream) -> dict[Channel, bytes]:
    found = {Channel.STDOUT: b"", Channel.STDERR: b""}
    async with asyncio.timeout(DEADLINE):
        while piece := await stream.read():
            found[piece[0]] += piece[1]
    return found


async def test_containers_of_a_pod_share_what_they_should(
    runtime: DockerRuntime, engine: Engine
) -> None:
    sandbox = await run(runtime, spec(engine, "sandbox", hostname="my-pod", ipc_mode="shareable"))
    shared = f"container:{sandbox}"
    app = await run(
        runtime, spec(engine, "app", network_mode=shared, ipc_mode=shared, pid_mode=shared)
    )
    for namespace in ("net", "ipc", "pid"):
        link = f"/proc/self/ns/{namespace}"
        assert await output(runtime, app, "readlink", link) == await output(
            runtime, sandbox, "readlink", link
        )
    assert await output(runtime, app, "hostname") == "my-pod"
    assert await output(runtime, app, "ls", "/sys/class/net") == "lo"


async def test_limits_reach_the_cgroup(runtime: DockerRuntime, engine: Engine) -> None:
    id = await run(
        runtime,
        spec(
            engine,
            "limited",
            cpu_shares=512,
            cpu_quota=20000,
            cpu_period=100000,
            memory=32 * 2**20,
            oom_score_adj=500,
        ),
    )
    record = await runtime.inspect(id)
    groups = {
        kind: path
        for line in Path("/proc", str(record.pid), "cgroup").read_text().splitlines()
        for _, kinds, path in [line.split(":", 2)]
        for kind in kinds.split(",")
    }
    assert all(f"/{engine.cgroup_parent}/" in path for path in groups.values())
    if (await runtime.info()).cgroup_version == 1:
        memory = Path("/sys/fs/cgroup/memory" + groups["memory"])
        assert (memory / "memory.limit_in_bytes").read_text().strip() == str(32 * 2**20)
        cpu = Path("/sys/fs/cgroup/cpu" + groups["cpu"])
        assert (cpu / "cpu.shares").read_text().strip() == "512"
        assert (cpu / "cpu.cfs_quota_us").read_text().strip() == "20000"
    else:
        own = Path("/sys/fs/cgroup" + groups[""])
        assert (own / "memory.max").read_text().strip() == str(32 * 2**20)
        assert (own / "memory.swap.max").read_text().strip() == "0"
        assert (own / "cpu.weight").read_text().strip() == "20"
        assert (own / "cpu.max").read_text().split() == ["20000", "100000"]
    assert Path("/proc", str(record.pid), "oom_score_adj").read_text().strip() == "500"


async def test_an_oom_kill_is_told(runtime: DockerRuntime, engine: Engine) -> None:
    greedy = "x=a; while true; do x=$x$x; done"
    id = await run(runtime, spec(engine, "greedy", greedy, memory=16 * 2**20))
    ended = await runtime.wait(id)
    assert (ended.exit_code, ended.oom_killed) == (137, True)


async def test_mounts(runtime: DockerRuntime, engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "a:b").write_text("hello")
    mounts = (
        Mount(source=str(tmp_path), target="/data"),
        Mount(source=str(tmp_path / "a:b"), target="/etc/hosts", read_only=True),
        # Where there is no SELinux, the engine does all the same but for the labels.
        Mount(source=str(tmp_path), target="/labelled", relabel=True),
        Mount(source=str(tmp_path), target="/fixed", relabel=True, read_only=True),
        # All that the engine keeps lies below it.
        Mount(source="/", target="/host", read_only=True),
    )
    id = await run(
        runtime, spec(engine, "mounted", mounts=mounts, tmpfs={"/scratch": "size=65536"})
    )
    assert await output(runtime, id, "cat", "/etc/hosts") == "hello"
    assert "proc" in await output(runtime, id, "ls", "/host")
    await output(runtime, id, "touch", "/data/new", "/scratch/x")
    assert (tmp_path / "new").exists()
    await output(runtime, id, "mv", "/labelled/new", "/labelled/newer")
    assert await output(runtime, id, "ls", "/fixed") == "a:b\nnewer"
    assert (await runtime.exec(id, ["touch", "/fixed/x"], timeout=DEADLINE)).exit_code != 0
    refused = await runtime.exec(id, ["sh", "-c", "echo no > /etc/hosts"], timeout=DEADLINE)
    assert refused.exit_code != 0


async def test_a_command_that_has_had_its_time_is_ended(
    runtime: DockerRuntime, engine: Engine
) -> None:
    """With its children: else a probe that hangs fills its container with processes."""
    id = await run(runtime, spec(engine, "hanging"))
    for argv in (["sleep", "4242"], ["sh", "-c", "sleep 4242 & sleep 4242; true"]):
        assert (await runtime.exec(id, argv, timeout=1.0)).timed_out
    look = "ps -o args | grep -c '[s]leep 4242'; true"

    async def none_left() -> bool:
        return await output(runtime, id, "sh", "-c", look) == "0"

    await eventually(none_left)
    assert (await runtime.inspect(id)).running


async def test_output_of_exec_is_whole_and_apart(runtime: DockerRuntime, engine: Engine) -> None:
    id = await run(runtime, spec(engine, "talker"))
    for _ in range(5):  # output that comes together with the headers must not be lost
        stream = await runtime.exec_stream(
            id,
            ["sh", "-c", "echo out; echo err >&2; seq 20000; exit 7"],
            stdin=False,
            stdout=True,
            stderr=True,
            tty=False,
        )
        found = await read_all(stream)
        numbers = b"".join(b"%d\n" % n for n in range(1, 20001))
        assert found == {Channel.STDOUT: b"out\n" + numbers, Channel.STDERR: b"err\n"}
        assert await stream.exit_code() == 7
        await stream.close()


async def test_stdin_can_be_closed_alone(runtime: DockerRuntime, engine: Engine) -> None:
    id = await run(runtime, spec(engine, "reader"))
    stream = await runtime.exec_stream(
        id, ["md5sum"], stdin=True, stdout=True, stderr=True, tty=False
    )
    for _ in range(64):
        await stream.write(b"\0" * 16384)
    await stream.close_stdin()
    await stream.close_stdin()
    found = await read_all(stream)
    assert found[Channel.STDOUT].startswith(b"b6d81b360a5672d80c27430f39153e2c")  # 1 MiB of zeros
    assert await stream.exit_code() == 0
    await stream.close()


async def test_a_terminal_has_a_size(runtime: DockerRuntime, engine: Engine) -> None:
    id = await run(runtime, spec(engine, "terminal"))
    stream = await runtime.exec_stream(id, ["sh"], stdin=True, stdout=True, stderr=False, tty=True)
    await stream.resize(width=97, height=31)
    await stream.write(b"stty size; exit 5\n")
    assert b"31 97" in (await read_all(stream))[Channel.STDOUT]
    assert await stream.exit_code() == 5
    await stream.close()


async def test_attach_talks_to_process_one(runtime: DockerRuntime, engine: Engine) -> None:
    wanted = spec(engine, "attached", "read line; echo got $line; exit 3", stdin=True)
    id = await run(runtime, wanted)
    stream = await runtime.attach_stream(id, stdin=True, stdout=True, stderr=True)
    await stream.write(b"hello\n")
    assert (await read_all(stream))[Channel.STDOUT] == b"got hello\n"
    await runtime.wait(id)
    assert await stream.exit_code() == 3
    await stream.close()


async def test_stdin_ends_with_the_first_who_attaches_where_that_is_wanted(
    runtime: DockerRuntime, engine: Engine
) -> None:
    """`stdinOnce`; otherwise who leaves takes nothing along, and the next one goes on."""
    ids = [
        await run(runtime, spec(engine, name, "exec cat", stdin=True, stdin_once=once))
        for name, once in (("once", True), ("often", False))
    ]
    for id in ids:
        stream = await runtime.attach_stream(id, stdin=True, stdout=True, stderr=False)
        await stream.write(b"hello\n")
        async with asyncio.timeout(DEADLINE):
            assert await stream.read() == (Channel.STDOUT, b"hello\n")
        await stream.close()
    async with asyncio.timeout(DEADLINE):
        assert (await runtime.wait(ids[0])).exit_code == 0
    stream = await runtime.attach_stream(ids[1], stdin=True, stdout=True, stderr=False)
    await stream.write(b"again\n")
    async with asyncio.timeout(DEADLINE):
        assert await stream.read() == (Channel.STDOUT, b"again\n")
    await stream.close()


async def test_following_a_log(runtime: DockerRuntime, engine: Engine, tmp_path: Path) -> None:
    """Line by line while it runs, both outputs, and the end with the container."""
    shared = Mount(source=str(tmp_path), target="/gate")
    script = "echo one; until test -e /gate/open; do sleep 0.02; done; echo two >&2"
    id = await run(runtime, spec(engine, "logging", script, mounts=(shared,)))
    pieces = logs.read(runtime, id, LogOptions(follow=True))
    async with asyncio.timeout(DEADLINE):
        assert await anext(pieces) == b"one\n"
        (tmp_path / "open").touch()
        assert [piece async for piece in pieces] == [b"two\n"]


async def test_logs_since_a_moment(runtime: DockerRuntime, engine: Engine) -> None:
    id = await run(runtime, spec(engine, "early", "echo early; sleep 0.2; echo late"))
    await runtime.wait(id)
    stamps = [piece async for piece in logs.read(runtime, id, LogOptions(timestamps=True))]
    lines = b"".join(stamps).splitlines()
    late = timestamp(lines[1].split()[0].decode())
    found = [piece async for piece in logs.read(runtime, id, LogOptions(since=late))]
    assert b"".join(found) == b"late\n"


async def test_a_lost_follower_leaves_nothing_behind(
    runtime: DockerRuntime, engine: Engine
) -> None:
    id = await run(runtime, spec(engine, "silent", "echo one; sleep 1000"))
    pieces = logs.read(runtime, id, LogOptions(follow=True))
    assert await anext(pieces) == b"one\n"
    following = asyncio.create_task(anext(pieces, b""))
    await asyncio.sleep(0)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await pieces.aclose()
    told = runtime.statistics()
    assert (told["log_readers"], told["log_directories_watched"]) == (0, 0)


async def test_many_at_once(runtime: DockerRuntime, engine: Engine) -> None:
    """More calls than workers: all get their turn, and no stop waits for another."""
    ids = await asyncio.gather(
        *(run(runtime, spec(engine, f"many-{n}", "trap 'exit 0' TERM; sleep 1000 & wait"))
          for n in range(12))
    )  # fmt: skip
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*(runtime.stop(id, grace=20) for id in ids))
    codes = [(await runtime.inspect(id)).exit_code for id in ids]
    assert codes == [0] * 12


async def test_a_missing_engine() -> None:
    runtime = DockerRuntime("unix:///nonexistent/docker.sock", clock=SystemClock())
    with pytest.raises(EngineUnavailable, match="Docker Engine"):
        await runtime.info()
    with pytest.raises(EngineUnavailable):
        await runtime.wait(ContainerId("a"))
    first = await anext(runtime.events())
    assert first.kind is EventKind.ENGINE_LOST
    await runtime.close()


async def test_a_restart_of_the_engine_is_told(runtime: DockerRuntime, engine: Engine) -> None:
    id = await run(runtime, spec(engine, "survivor"))
    events = runtime.events()
    async with asyncio.timeout(3 * DEADLINE):
        assert (await anext(events)).kind is EventKind.ENGINE_BACK
        await asyncio.to_thread(engine.daemons.kill)
        while (await anext(events)).kind is not EventKind.ENGINE_LOST:
            pass
        with pytest.raises(EngineUnavailable):
            await runtime.inspect(id)
        await asyncio.to_thread(engine.daemons.start)
        while (await anext(events)).kind is not EventKind.ENGINE_BACK:
            pass
    assert not (await runtime.inspect(id)).running
    assert (await runtime.list_containers(labels={}))[0].id == id
    await events.aclose()
