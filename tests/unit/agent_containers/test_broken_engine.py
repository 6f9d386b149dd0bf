"""An engine that breaks off in the middle of a word, or does not answer for one of its containers."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import tarfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import uvloop

from agent.containers import engine_json
from agent.containers import runtime as engine
from agent.containers.errors import EngineError, EngineUnavailable, NotRunning, PullError
from agent.containers.records import ContainerId, ContainerState, EventKind, PullProgress
from agent.containers.runtime import DockerRuntime
from base.clock import SystemClock

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
LABELS = {"pod": "web"}


def inspected(id: str) -> object:
    return {
        "Id": id,
        "Name": f"/{id}",
        "Image": "sha256:1",
        "Created": "2026-01-01T00:00:00Z",
        "State": {"Status": "running", "Pid": 7},
        "Config": {"Image": "app:1", "Labels": LABELS},
    }


def listed(id: str) -> dict[str, object]:
    facts: dict[str, object] = {
        "Id": id,
        "Names": [f"/{id}"],
        "Image": "app:1",
        "ImageID": "sha256:1",
    }
    return facts | {"State": "running", "Labels": LABELS, "Created": 1767225600}


class Engine:
    """As much of an engine as the tests need, on a socket of its own."""

    def __init__(self) -> None:
        self.hung: set[str] = set()
        self.containers = ["a", "b"]
        self.questions = 0
        self.events = b""
        self.refuses: list[bytes] = []
        """What comes instead of events, once each."""
        self.orders: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.progress = 0
        self.archive = b""
        self._open: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            await self._answer(head.split()[1].decode().partition("?")[0], writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self._open.discard(writer)
            writer.close()

    def close(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _answer(self, path: str, writer: asyncio.StreamWriter) -> None:
        if path.endswith("/version"):
            return self._json(writer, {"ApiVersion": "1.41", "MinAPIVersion": "1.12"})
        if path.endswith("/containers/json"):
            return self._json(writer, [listed(id) for id in self.containers])
        if path.endswith("/images/create"):
            writer.write(b"HTTP/1.0 200 OK\r\n\r\n")
            for _ in range(self.progress):
                writer.write(b'{"status": "Downloading"}\n')
                await asyncio.sleep(0.25)
            await asyncio.Event().wait()
        if path.endswith("/events"):
            if self.refuses:
                writer.write(self.refuses.pop())
                return None
            writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + self.events)
            return None
        if path.endswith("/archive"):
            self.questions += 1
            head = b"HTTP/1.0 200 OK\r\nX-Docker-Container-Path-Stat: e30=\r\n\r\n"
            writer.write(head + self.archive)
            return await writer.drain()
        if path.endswith("/_ping"):
            writer.write(b"HTTP/1.0 200 OK\r\n\r\nOK")
            return None
        id = path.split("/")[-2]
        if path.endswith(("/kill", "/start")):
            await self.gate.wait()
            self.orders.append(id)
            writer.write(b"HTTP/1.0 204 No Content\r\n\r\n")
            return None
        if id == "torn":
            writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\n" + b'{"Id": "to')
            return None
        if id == "wordy":
            refusal = json.dumps({"message": "x" * 100_000 + " is not running"}).encode()
            writer.write(b"HTTP/1.0 409 Conflict\r\n\r\n" + refusal)
            return await writer.drain()
        if id in self.hung:
            self.questions += 1
            await asyncio.Event().wait()
        return self._json(writer, inspected(id))

    def _json(self, writer: asyncio.StreamWriter, answer: object) -> None:
        body = json.dumps(answer).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
        writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)


@pytest.fixture
async def broken(tmp_path: Path) -> AsyncIterator[tuple[Engine, DockerRuntime]]:
    served = Engine()
    server = await asyncio.start_unix_server(served.serve, tmp_path / "engine")
    runtime = DockerRuntime(f"unix://{tmp_path}/engine", clock=SystemClock(), workers=2)
    yield served, runtime
    served.close()
    server.close()
    await runtime.close()


@pytest.mark.parametrize("words", [b'{"timeNano": 1, "Act', b'{"timeNano": 1}\n{"', b"\xff\n"])
async def test_events_that_break_off(broken: tuple[Engine, DockerRuntime], words: bytes) -> None:
    broken[0].events = words
    kinds = []
    async with asyncio.timeout(60), aclosing(broken[1].events()) as events:
        async for event in events:
            kinds.append(event.kind)
            if event.kind is EventKind.ENGINE_LOST:
                break
    assert kinds == [EventKind.ENGINE_BACK, EventKind.ENGINE_LOST]


class Still(SystemClock):
    """No time passes; after so many pauses the next one lasts for ever."""

    def __init__(self, pauses: int = 1000) -> None:
        self.pauses_left = pauses

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.pauses_left -= 1
        if self.pauses_left < 0:
            await asyncio.Event().wait()


REFUSAL = b'HTTP/1.0 500 Internal Server Error\r\n\r\n{"message": "no events today"}'


@pytest.mark.parametrize(
    "answer",
    [
        REFUSAL,
        b"HTTP/1.0 404 Not Found\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n[]\n",
        b'HTTP/1.0 200 OK\r\n\r\n{"message": "gone"}\n',
        b'HTTP/1.0 200 OK\r\n\r\n{"timeNano": 1, "Action": "die", "Actor": "web"}\n',
    ],
)
async def test_events_that_are_refused_are_asked_for_again(
    broken: tuple[Engine, DockerRuntime],
    answer: bytes,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An engine without room answers 500 for a while. It is told once, and the agent lives on."""
    served, runtime = broken
    monkeypatch.setattr(runtime, "_clock", Still())
    served.refuses = [answer] * 5
    served.events = b'{"timeNano": 7, "Action": "die", "Actor": {"ID": "a"}}\n'
    kinds = []
    async with asyncio.timeout(60), aclosing(runtime.events()) as events:
        async for event in events:
            kinds.append(event.kind)
            if event.id == "a":
                break
    assert kinds[-2:] == [EventKind.ENGINE_BACK, EventKind.DIED]
    marks = kinds[:-1]
    assert all(one is not other for one, other in pairwise(marks)), marks
    assert runtime.statistics()["reconnects"] == 5
    told = [record for record in caplog.records if "are not heard" in record.getMessage()]
    assert len(told) == 1


async def test_an_event_that_cannot_be_read_is_not_asked_for_for_ever(
    broken: tuple[Engine, DockerRuntime], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine keeps its last events, and tells them to whoever asks for those since a moment."""
    served, runtime = broken
    monkeypatch.setattr(runtime, "_clock", Still())
    told = [b'{"timeNano": 1, "Action": "die", "Actor": {"ID": "a"}}\n', b'"what?"\n']
    request, heard = runtime._socket.request, []

    def asked(method: str, path: str, **more: Any) -> AbstractAsyncContextManager[Any]:
        if "since" in more.get("query", {}):
            served.events = told[1]
        elif path == "/events":
            served.events = b"".join(told)
            told[0] = told[0].replace(b'"a"', b'"b"')
        return request(method, path, **more)

    monkeypatch.setattr(runtime._socket, "request", asked)
    async with asyncio.timeout(60), aclosing(runtime.events()) as events:
        async for event in events:
            heard.append(event.id)
            if event.id == "b":
                break
    assert [id for id in heard if id] == ["a", "b"]


async def test_an_event_stream_that_ends_at_once_is_not_asked_for_in_circles(
    broken: tuple[Engine, DockerRuntime], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broken[1], "_clock", clock := Still(pauses=1))
    kinds = []

    async def listen() -> None:
        async with aclosing(broken[1].events()) as events:
            async for event in events:
                kinds.append(event.kind)

    listening = asyncio.ensure_future(listen())
    async with asyncio.timeout(60):
        while not clock.pauses_left < 0:
            await asyncio.sleep(0.01)
    listening.cancel()
    assert kinds == [EventKind.ENGINE_BACK, EventKind.ENGINE_LOST] * 2


async def test_a_container_that_hangs_holds_up_nobody_else(
    broken: tuple[Engine, DockerRuntime], monkeypatch: pytest.MonkeyPatch
) -> None:
    """RELIABILITY: an `inspect` that never answers must not stop other pods."""
    monkeypatch.setattr(engine, "LIST_PATIENCE", 0.2)
    served, runtime = broken
    served.hung.add("a")
    asking = [asyncio.ensure_future(runtime.inspect(ContainerId("a"))) for _ in range(20)]
    async with asyncio.timeout(60):
        record = await runtime.inspect(ContainerId("b"))
        found = {r.id: r for r in await runtime.list_containers(labels=LABELS)}
    assert record.pid == 7
    assert served.questions == 1, "one question at a time about one container"
    assert set(found) == {"a", "b"}, "what cannot be looked at is there all the same"
    assert found[ContainerId("a")].state is ContainerState.RUNNING
    assert found[ContainerId("a")].labels == LABELS
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)


async def test_a_size_that_breaks_off_or_never_comes_is_a_failure_like_any_other(
    broken: tuple[Engine, DockerRuntime], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Housekeeping asks one container after the other."""
    monkeypatch.setattr(engine, "SIZE_PATIENCE", 0.2)
    served, runtime = broken
    served.hung.add("a")
    async with asyncio.timeout(60):
        for id in ("torn", "a"):
            with pytest.raises(EngineUnavailable):
                await runtime.disk_usage(ContainerId(id))
        monkeypatch.setattr(engine, "SIZE_PATIENCE", 60)
        assert await runtime.disk_usage(ContainerId("b")) == 0


def test_how_a_container_ended_is_told_by_the_list_in_words() -> None:
    """Else a pod that failed would have succeeded, for as long as nobody can look at it."""
    item = listed("a") | {"State": "exited", "Status": "Exited (137) 2 hours ago"}
    assert engine_json.listed_container(item).exit_code == 137
    assert engine_json.listed_container(listed("a")).exit_code == 0


async def test_a_probe_of_a_container_that_hangs_takes_one_place_however_often_it_asks(
    broken: tuple[Engine, DockerRuntime],
) -> None:
    """Each probe gives up after its timeout; the engine does not."""
    served, runtime = broken
    served.hung |= {"a", "c", "d"}
    for _ in range(8):
        for id in served.hung:
            answer = await runtime.exec(ContainerId(id), ["true"], timeout=0.02)
            assert answer.timed_out
    async with asyncio.timeout(60):
        assert (await runtime.inspect(ContainerId("b"))).pid == 7
        await runtime.image("app:1")
    await until(lambda: served.questions >= 3)
    assert served.questions == 3


async def test_an_order_goes_on_when_nobody_waits_for_it_any_more(
    broken: tuple[Engine, DockerRuntime],
) -> None:
    """Its place is taken until the engine has answered: else more than that many would run at once."""
    served, runtime = broken
    served.gate.clear()
    orders = [asyncio.ensure_future(runtime.kill(ContainerId(name))) for name in ("x", "y", "z")]
    async with asyncio.timeout(60):
        while runtime.statistics()["pending"] < 3:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        orders[0].cancel()
        await asyncio.gather(orders[0], return_exceptions=True)
        assert served.orders == []
        served.gate.set()
        await asyncio.gather(*orders[1:])
    assert sorted(served.orders[:2]) == ["x", "y"], "two places, and the third order waits"
    assert served.orders[2] == "z"


async def test_an_answer_that_breaks_off(broken: tuple[Engine, DockerRuntime]) -> None:
    with pytest.raises(EngineUnavailable, match="broke off"):
        await broken[1].inspect(ContainerId("torn"))


async def test_a_long_refusal_is_read_to_its_end(broken: tuple[Engine, DockerRuntime]) -> None:
    with pytest.raises(NotRunning, match="^x{100000} is not running$"):
        await broken[1].inspect(ContainerId("wordy"))


async def test_an_engine_that_is_not_there(tmp_path: Path) -> None:
    runtime = DockerRuntime(f"unix://{tmp_path}/nothing", clock=SystemClock())
    with pytest.raises(EngineUnavailable, match="cannot connect to the Docker Engine at unix://"):
        await runtime.info()
    assert runtime.statistics()["failures"] == 2
    assert runtime.statistics()["pending"] == 0
    await runtime.close()


async def test_a_pull_that_stops_in_the_middle_is_given_up(
    broken: tuple[Engine, DockerRuntime], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PULL_PATIENCE", 1.5)
    served, runtime = broken
    served.progress = 8  # for longer than the patience
    steps: list[PullProgress] = []
    with pytest.raises(PullError, match="no progress"):
        async with asyncio.timeout(60):
            await runtime.pull("app:1", progress=steps.append)
    assert len(steps) == 8


async def test_a_file_of_an_image_that_is_larger_than_any(
    broken: tuple[Engine, DockerRuntime], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies in an image is its author's word."""
    monkeypatch.setattr(engine_json, "LARGEST_ARCHIVE", 4096)
    broken[0].archive = bytes(100_000)
    with pytest.raises(EngineError, match="is larger than 4096 bytes"):
        await broken[1].read_file(ContainerId("a"), "/etc/passwd")


async def test_links_of_an_image_that_lead_in_a_circle(
    broken: tuple[Engine, DockerRuntime],
) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as opened:
        link = tarfile.TarInfo("passwd")
        link.type, link.linkname = tarfile.SYMTYPE, "x/passwd"
        opened.addfile(link)
    broken[0].archive = packed.getvalue()
    async with asyncio.timeout(60):
        assert await broken[1].read_file(ContainerId("a"), "/etc/passwd") is None
    assert broken[0].questions < 20


@pytest.mark.parametrize("length", [0, 100, 600])
async def test_a_file_that_breaks_off(broken: tuple[Engine, DockerRuntime], length: int) -> None:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        member = tarfile.TarInfo("passwd")
        member.size = 2000
        archive.addfile(member, io.BytesIO(b"x" * 2000))
    broken[0].archive = held.getvalue()[:length]
    with pytest.raises(EngineUnavailable, match="broke off an archive"):
        await broken[1].read_file(ContainerId("b"), "/etc/passwd")


class Deaf:
    """Takes connections and the heads of requests, and reads nothing more."""

    def __init__(self, path: Path, answer: bytes = b"") -> None:
        self._answer = answer
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._taken: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._taken.append(connection)
            head = connection.recv(4096)
            if b"/version" in head:
                version = b'{"ApiVersion": "1.41", "MinAPIVersion": "1.12"}'
                connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + version)
                connection.shutdown(socket.SHUT_RDWR)
            elif self._answer:
                connection.sendall(self._answer)
                connection.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._taken:
            connection.close()


def sockets() -> int:
    held = 0
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            held += str(link.readlink()).startswith("socket:")
    return held


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.0 500 Internal Server Error\r\n\r\n",
        b'HTTP/1.0 200 OK\r\n\r\n{"error": "no space left on device"}\n',
    ],
)
def test_a_call_that_failed_holds_no_descriptor(tmp_path: Path, answer: bytes, loop: str) -> None:
    """What was not sent yet must not keep the connection: the engine may never read it."""

    async def calls() -> None:
        runtime = DockerRuntime(f"unix://{tmp_path}/engine", clock=SystemClock())
        held = sockets()
        for _ in range(3):
            loading = asyncio.ensure_future(runtime.load_image(bytes(8 * 2**20)))
            done, _ = await asyncio.wait({loading}, timeout=30 if answer else 0.3)
            loading.cancel()
            await asyncio.wait({loading})
            if answer:
                assert done, "a refusal is heard, whatever is still to be sent"
        # The other ends are ours, too, and one more of them told the version of the API.
        await until(lambda: sockets() <= held + 4)
        await runtime.close()

    deaf = Deaf(tmp_path / "engine", answer)
    factory = uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(calls())
    deaf.close()
