"""Following logs on the disk: promptly, to the last line, and no further."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from agent.containers.errors import EngineUnavailable, NotFound
from agent.containers.logreader import LogReader
from agent.containers.records import LogOptions
from base import dirwatch
from base.clock import SystemClock
from tests.unit.agent_containers.test_logfiles import Engine

DEADLINE = 60.0
FOLLOW = LogOptions(follow=True)


class Container:
    """What the engine says of a container, and how often it was asked."""

    def __init__(self, directory: Path) -> None:
        self.engine = Engine(directory / "id-json.log")
        self.state = directory / "config.v2.json"
        self.alive: bool | Exception = True
        self.asked = 0

    async def running(self) -> bool:
        self.asked += 1
        if isinstance(self.alive, Exception):
            raise self.alive
        return self.alive

    def end(self) -> None:
        """As the engine does: first the last line, then the state, beside it."""
        self.alive = False
        self.state.write_text("{}")


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return Container(tmp_path)


@pytest.fixture
async def reader() -> AsyncIterator[LogReader]:
    reader = LogReader(SystemClock())
    yield reader
    reader.close()


async def read(reader: LogReader, container: Container, options: LogOptions = FOLLOW) -> bytes:
    async with aclosing(reader.read(container.engine.path, options, container.running)) as pieces:
        return b"".join([data async for _, data in pieces])


async def until(condition: object) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.005)


async def test_lines_come_as_they_are_written(reader: LogReader, container: Container) -> None:
    container.engine.lines("one")
    async with (
        asyncio.timeout(DEADLINE),
        aclosing(reader.read(container.engine.path, FOLLOW, container.running)) as pieces,
    ):
        assert (await anext(pieces))[1] == b"one\n"
        for text in (b"two\n", b"three\n"):
            coming = asyncio.ensure_future(anext(pieces))
            await asyncio.sleep(0.05)
            assert not coming.done()
            container.engine.write(text.decode())
            assert (await coming)[1] == text
    assert container.asked == 1, "lines are no reason to ask the engine"


async def test_the_end_comes_with_the_containers(reader: LogReader, container: Container) -> None:
    container.engine.lines("one")
    following = asyncio.create_task(read(reader, container))
    await until(lambda: container.asked)
    container.engine.rotate()
    container.engine.lines("last words")
    container.end()
    async with asyncio.timeout(DEADLINE):
        assert await following == b"one\nlast words\n"


@pytest.mark.parametrize("alive", [False, NotFound("gone")])
async def test_following_what_has_ended(
    reader: LogReader, container: Container, alive: bool | Exception
) -> None:
    container.engine.lines("one", "two")
    container.alive = alive
    async with asyncio.timeout(DEADLINE):
        assert await read(reader, container) == b"one\ntwo\n"


async def test_an_engine_that_is_away_ends_nothing(reader: LogReader, container: Container) -> None:
    container.alive = EngineUnavailable("away")
    following = asyncio.create_task(read(reader, container))
    await until(lambda: container.asked)
    container.engine.lines("one")
    await asyncio.sleep(0.05)
    assert not following.done()
    container.end()
    async with asyncio.timeout(DEADLINE):
        assert await following == b"one\n"


async def test_what_is_there_is_read_before_the_engine_answers(
    reader: LogReader, container: Container
) -> None:
    container.engine.lines("one", "two")
    frozen = asyncio.Event()

    async def running() -> bool:
        await frozen.wait()
        return False

    async with (
        asyncio.timeout(DEADLINE),
        aclosing(reader.read(container.engine.path, FOLLOW, running)) as pieces,
    ):
        assert (await anext(pieces))[1] == b"one\ntwo\n"
        container.engine.lines("three")
        frozen.set()
        assert (await anext(pieces))[1] == b"three\n"
        assert await anext(pieces, None) is None


async def test_a_container_that_is_removed_at_once(reader: LogReader, tmp_path: Path) -> None:
    (tmp_path / "container").mkdir()
    container = Container(tmp_path / "container")
    container.engine.lines("one")
    following = asyncio.create_task(read(reader, container))
    await until(lambda: container.asked)
    container.alive = NotFound("gone")
    container.engine.path.unlink()
    container.engine.path.parent.rmdir()
    async with asyncio.timeout(DEADLINE):
        assert await following == b"one\n"


async def test_a_directory_that_cannot_be_watched_is_looked_at(
    reader: LogReader, container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nothing:
        def inotify_init1(self, flags: int) -> int:
            return -1

    monkeypatch.setattr(dirwatch, "_libc", Nothing())
    following = asyncio.create_task(read(reader, container))
    await until(lambda: container.asked)
    container.engine.lines("one")
    container.end()
    async with asyncio.timeout(DEADLINE):
        assert await following == b"one\n"


async def test_who_does_not_read_reads_no_further(reader: LogReader, container: Container) -> None:
    """A client that stopped reading costs one chunk, however much is written."""
    container.engine.lines(*("x" * 1000 for _ in range(1000)))
    async with aclosing(
        reader.read(container.engine.path, LogOptions(), container.running)
    ) as pieces:
        first = (await anext(pieces))[1]
        assert len(first) < 70_000
        assert reader.statistics()["log_readers"] == 1
    assert reader.statistics()["log_readers"] == 0


async def test_many_followers_take_no_threads_while_nothing_happens(
    reader: LogReader, container: Container
) -> None:
    following = [asyncio.create_task(read(reader, container)) for _ in range(200)]
    await until(lambda: container.asked == 200)
    assert threading.active_count() < 100
    assert reader.statistics()["log_directories_watched"] == 1
    container.engine.lines("one")
    container.end()
    async with asyncio.timeout(DEADLINE):
        assert set(await asyncio.gather(*following)) == {b"one\n"}
    assert reader.statistics()["log_directories_watched"] == 0


async def test_rotation_under_load(reader: LogReader, tmp_path: Path) -> None:
    container = Container(tmp_path)
    container.engine = Engine(tmp_path / "id-json.log", size=30_000, keep=100)

    def write() -> None:
        for number in range(10_000):
            container.engine.lines(str(number))

    following = asyncio.create_task(read(reader, container))
    await asyncio.to_thread(write)
    container.end()
    async with asyncio.timeout(DEADLINE):
        assert (await following).split() == [b"%d" % number for number in range(10_000)]
    assert container.engine.rotations > 10
    assert reader.statistics()["log_gaps"] == 0
