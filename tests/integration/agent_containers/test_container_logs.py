"""Logs as a real engine writes them: rotated under load, compressed, with lines of any length, by other
drivers."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import pytest

from agent.containers.errors import EngineError
from agent.containers.records import (
    Channel,
    ContainerCreate,
    ContainerId,
    LogLimits,
    LogOptions,
)
from agent.containers.runtime import DockerRuntime
from tests.engine import BUSYBOX, Engine

DEADLINE = 120.0
LINES = 60_000


async def run(runtime: DockerRuntime, engine: Engine, shell: str, **fields: object) -> ContainerId:
    wanted = ContainerCreate(
        name="logging",
        image=BUSYBOX,
        command=("sh", "-c", shell),
        cgroup_parent=engine.cgroup_parent,
    )
    id = await runtime.create(replace(wanted, **fields))  # type: ignore[arg-type]
    await runtime.start(id)
    return id


async def read(runtime: DockerRuntime, id: ContainerId, **options: object) -> bytes:
    wanted = LogOptions(**options)  # type: ignore[arg-type]
    async with asyncio.timeout(DEADLINE), aclosing(runtime.logs(id, wanted)) as pieces:
        return b"".join([data async for _, data in pieces])


async def test_rotation_under_load(runtime: DockerRuntime, engine: Engine) -> None:
    """Followers, from the first line and from the middle, and readers of the end, while files turn."""
    limits = LogLimits(max_size=50_000, max_files=500)
    command = f"sleep 0.3; seq {LINES}; sleep 0.1; echo end"
    id = await run(runtime, engine, command, log_limits=limits)
    following = asyncio.create_task(read(runtime, id, follow=True))
    late: list[asyncio.Task[bytes]] = []
    while not following.done():
        some = [int(line) for line in (await read(runtime, id, tail_lines=2000)).split()[:-1]]
        assert some == list(range(some[0], some[0] + len(some))) if some else True
        late.append(asyncio.create_task(read(runtime, id, follow=True, tail_lines=100)))
        await asyncio.sleep(0.1)
    expected = [b"%d" % number for number in range(1, LINES + 1)] + [b"end"]
    assert (await following).split() == expected
    for found in await asyncio.gather(*late):
        lines = found.split()
        assert lines == expected[len(expected) - len(lines) :]
    record = await runtime.inspect(id)
    directory = record.log_path.rpartition("/")[0]
    assert engine.docker("logs", id).split()[-1] == "end"
    assert runtime.statistics()["log_gaps"] == 0
    assert directory


async def test_the_disk_holds_no_more_than_it_may(runtime: DockerRuntime, engine: Engine) -> None:
    limits = LogLimits(max_size=20_000, max_files=3)
    id = await run(runtime, engine, "seq 5000", log_limits=limits)
    await runtime.wait(id)
    lines = (await read(runtime, id)).split()
    assert lines[-1] == b"5000" and 0 < len(lines) < 1000
    assert lines == [b"%d" % number for number in range(int(lines[0]), 5001)]


async def test_a_line_longer_than_a_piece(runtime: DockerRuntime, engine: Engine) -> None:
    shell = "head -c 100000 /dev/zero | tr '\\0' x; echo; echo short; printf unfinished"
    id = await run(runtime, engine, shell)
    await runtime.wait(id)
    stamped = (await read(runtime, id, timestamps=True)).splitlines()
    assert [len(line.split(b" ", 1)[1]) for line in stamped] == [100_000, 5, 10]
    assert await read(runtime, id, tail_lines=2) == b"short\nunfinished"
    assert len(await read(runtime, id, tail_lines=3)) == 100_000 + len("\nshort\nunfinished")


async def test_an_engine_that_hangs_holds_up_no_reader(
    runtime: DockerRuntime, engine: Engine
) -> None:
    id = await run(runtime, engine, "echo one; echo two; sleep 1000")
    while await read(runtime, id) != b"one\ntwo\n":
        await asyncio.sleep(0.02)
    engine.dockerd.signal(signal.SIGSTOP)
    try:
        assert await read(runtime, id) == b"one\ntwo\n"
        async with aclosing(runtime.logs(id, LogOptions(follow=True))) as pieces:
            async with asyncio.timeout(DEADLINE):
                assert (await anext(pieces))[1] == b"one\ntwo\n"
    finally:
        engine.dockerd.signal(signal.SIGCONT)


@pytest.fixture
async def odd(runtime: DockerRuntime, engine: Engine) -> AsyncIterator[DockerRuntime]:
    """Containers of this test have a driver, or options, that an agent never asks for."""
    yield runtime
    engine.docker("rm", "-f", "odd")


def odd_container(engine: Engine, shell: str, *options: str) -> ContainerId:
    wanted = ["--name=odd", f"--cgroup-parent={engine.cgroup_parent}", "--network=none", *options]
    return ContainerId(engine.docker("run", "-d", *wanted, BUSYBOX, "sh", "-c", shell))


async def test_compressed_files(odd: DockerRuntime, engine: Engine) -> None:
    options = ("max-size=20k", "max-file=30", "compress=true")
    id = odd_container(engine, "seq 5000", *(f"--log-opt={option}" for option in options))
    await odd.wait(id)
    expected = [b"%d" % number for number in range(1, 5001)]
    assert (await read(odd, id)).split() == expected
    assert (await read(odd, id, tail_lines=3000)).split() == expected[-3000:]


async def test_another_driver_is_asked_through_the_engine(
    odd: DockerRuntime, engine: Engine
) -> None:
    id = odd_container(engine, "echo one; sleep 0.2; echo two >&2", "--log-driver=local")
    await odd.wait(id)
    assert await read(odd, id, follow=True) == b"one\ntwo\n"
    assert await read(odd, id, tail_lines=1) == b"two\n"
    assert await read(odd, id, stream=Channel.STDOUT) == b"one\n"


async def test_a_driver_that_cannot_be_read_says_so(odd: DockerRuntime, engine: Engine) -> None:
    id = odd_container(engine, "echo one", "--log-driver=none")
    with pytest.raises(EngineError, match="does not support reading"):
        await read(odd, id)
