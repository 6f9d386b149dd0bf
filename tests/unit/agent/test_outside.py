"""Paths that users name may hang: whoever looks at them waits alone, and not for ever."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agent.volumes.mounts import KernelMounter
from agent.volumes.outside import DoesNotAnswer, Outside
from api.core import HostPathVolumeSource, LocalVolumeSource, Volume
from tests.unit.agent.builders import container, make_pod
from tests.unit.agent.node import Node
from tests.unit.agent.test_persistent import World as Claims
from tests.unit.agent.test_persistent import volume
from tests.unit.agent.test_volumes import World


class Server:
    """A file server that is away until `back`."""

    def __init__(self) -> None:
        self.back = threading.Event()
        self.asked = 0

    def look(self, *_: object, **__: object) -> str:
        self.asked += 1
        assert self.back.wait(60)
        return "answer"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    yield server
    server.back.set()


async def test_who_waits_is_told_and_who_asks_again_joins(server: Server) -> None:
    outside = Outside(patience=0.02)
    for _ in range(3):
        with pytest.raises(DoesNotAnswer, match="has not answered within 0.02 s"):
            await outside.do("a", server.look)
    assert server.asked == 1 and outside.hanging() == 1
    outside._patience = 60  # the others' threads may take their time to begin
    assert await outside.do("b", lambda: 7) == 7, "others go on"
    server.back.set()
    while outside.hanging():
        await asyncio.sleep(0.001)
    assert await outside.do("a", lambda: pytest.fail("it is done")) == "answer"
    assert await outside.do("a", lambda: "anew") == "anew"


@pytest.mark.parametrize("fails", [False, True])
async def test_what_came_late_is_not_told_for_ever(server: Server, fails: bool) -> None:
    """The folder that was missing then may have been made since."""

    def look() -> str:
        server.look()
        if fails:
            raise FileNotFoundError("it was not there")
        return "as it was"

    outside = Outside(patience=0.02, kept=0.05)
    with pytest.raises(DoesNotAnswer):
        await outside.do("a", look)
    server.back.set()
    async with asyncio.timeout(60):
        while outside._under_way:
            await asyncio.sleep(0.001)
    outside._patience = 60
    assert await outside.do("a", lambda: "as it is") == "as it is"


async def test_errors_are_the_callers() -> None:
    def fails() -> None:
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        await Outside().do("a", fails)


async def test_threads_are_bounded_and_daemons(server: Server) -> None:
    outside = Outside(patience=0.01, most=2)
    for key in ("a", "b"):
        with pytest.raises(DoesNotAnswer):
            await outside.do(key, server.look)
    with pytest.raises(DoesNotAnswer, match="2 calls to file systems hang"):
        await outside.do("c", server.look)
    hanging = [t for t in threading.enumerate() if t.name.startswith("outside ")]
    assert len(hanging) == 2 and all(thread.daemon for thread in hanging)
    server.back.set()
    while outside.hanging():
        await asyncio.sleep(0.001)
    outside._patience = 60
    assert await outside.do("c", lambda: 1) == 1, "there is room again"


async def test_many_at_once_wait_for_each_other() -> None:
    """A hundred pods that an agent finds after a restart look at their volumes in the same moment."""
    outside, lock = Outside(patience=60, most=2), threading.Lock()
    running, most = 0, 0

    def look(n: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.001)
        with lock:
            running -= 1
        return n

    found = await asyncio.gather(*(outside.do(str(n), partial(look, n)) for n in range(40)))
    assert found == list(range(40)) and most <= 2
    again = await asyncio.gather(*(outside.do("same", partial(look, 7)) for _ in range(20)))
    assert set(again) == {7}


async def test_a_path_that_hangs_blocks_neither_the_loop_nor_the_agents_own_work(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of them than the agent has threads for its own files."""
    mounter = KernelMounter(patience=0.05)
    monkeypatch.setattr(Path, "exists", server.look)
    waiting: list[asyncio.Task[Any]] = []
    for n in range(9):
        world = World(tmp_path / str(n))
        world.volumes._mounter = mounter
        source = HostPathVolumeSource(path=f"/away/{n}", type="Directory")
        waiting.append(asyncio.ensure_future(world.set_up(host_path=source)))
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        assert await mounter.aside(lambda: 1) == 1
        results = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(result) for result in results} == {DoesNotAnswer}
    assert 'MountVolume.SetUp failed for volume "v"' in str(results[0])


async def test_a_device_is_looked_at_outside(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = Claims(tmp_path)
    claims.objects.volumes["pv"] = volume(volume_mode="Block", local=LocalVolumeSource(path="/d"))
    claims.volumes._mounter = KernelMounter(patience=0.02)
    monkeypatch.setattr(Path, "exists", server.look)
    with pytest.raises(DoesNotAnswer):
        async with asyncio.timeout(60):
            await claims.set_up()


async def test_deaths_are_told_while_the_disk_takes_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(tmp_path)
    await node.boot()
    node.api.put(make_pod(container(), volumes=[Volume(name="v")]))
    await node.run(5)
    stuck = asyncio.Event()
    aside = node.mounter.aside

    async def slow(work: Any) -> Any:
        await stuck.wait()
        return await aside(work)

    monkeypatch.setattr(node.mounter, "aside", slow)
    (web,) = node.containers("web")
    await node.runtime.kill(web.id, signal="SIGKILL")
    await node.run(15)
    (again,) = (each for each in node.containers("web") if each.running)
    assert again.id != web.id and node.api.pod().status.container_statuses[0].restart_count == 1
    stuck.set()
    await node.run(1)
    assert (tmp_path / "pods" / node.api.pod().metadata.uid / "deaths.json").exists()
    await node.kill()
