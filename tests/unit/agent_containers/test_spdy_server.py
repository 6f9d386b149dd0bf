"""SPDY sessions without a network: limits, turns, and every version of exec's protocol."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from agent.containers.errors import RuntimeFailure
from agent.containers.records import Channel as Output
from agent.server import portforward, spdyexec, spdyserver
from agent.server.dial import Connected, Unreachable
from agent.server.remotecommand import Wanted
from agent.server.spdyserver import SpdyConnection, SpdyStream, StreamReset
from api import spdy
from api.spdy import Data, Frame, GoAway, Ping, Reason, RstStream, SynReply, SynStream
from base.clock import FakeClock

DEADLINE = 60.0


class Client:
    """The other end of a link, as a client of SPDY sees it; also the link itself."""

    def __init__(self) -> None:
        self._to_server: asyncio.Queue[bytes] = asyncio.Queue()
        self._to_client: asyncio.Queue[Frame] = asyncio.Queue()
        self._encoder, self._decoder = spdy.Encoder(), spdy.Decoder()
        self.flows = asyncio.Event()
        self.flows.set()
        self.closed = False
        self.stuck = 0

    # What the server calls.

    def send(self, data: bytes) -> None:
        for frame in self._decoder.feed(data):
            self._to_client.put_nowait(frame)

    def waiting(self) -> int:
        return self.stuck

    async def drain(self) -> None:
        await self.flows.wait()

    async def receive(self) -> bytes:
        return await self._to_server.get()

    async def carry(self) -> None:
        return None

    async def close(self) -> None:
        self.closed = True

    # What a test calls.

    def tell(self, *frames: Frame) -> None:
        for frame in frames:
            self.tell_bytes(self._encoder.encode(frame))

    def tell_bytes(self, data: bytes) -> None:
        self._to_server.put_nowait(data)

    def leave(self) -> None:
        self._to_server.put_nowait(b"")

    def unread(self) -> int:
        return self._to_server.qsize()

    async def hear(self) -> Frame:
        async with asyncio.timeout(DEADLINE):
            return await self._to_client.get()

    async def hear_all(self, stream: int) -> bytes:
        """A stream's data up to its FIN; what else is said is passed over."""
        made = b""
        while True:
            frame = await self.hear()
            if isinstance(frame, Data) and frame.stream == stream:
                made += frame.data
                if frame.fin:
                    return made


Work = Callable[[SpdyConnection], Awaitable[None]]


@asynccontextmanager
async def serving(work: Work, clock: FakeClock | None = None) -> AsyncIterator[Client]:
    client = Client()
    task = asyncio.create_task(spdyserver.serve(client, clock or FakeClock(), work))
    try:
        yield client
        client.leave()
        async with asyncio.timeout(DEADLINE):
            await task
        assert client.closed
    finally:
        task.cancel()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def idle(connection: SpdyConnection) -> None:
    await asyncio.Event().wait()


async def echo(connection: SpdyConnection) -> None:
    async def serve(stream: SpdyStream) -> None:
        while data := await stream.read():
            await stream.write(data)
        stream.finish()

    async with asyncio.TaskGroup() as group:
        while True:
            group.create_task(serve(await connection.accept()))


async def test_streams_are_answered_and_closed_by_halves() -> None:
    async with serving(echo) as client:
        client.tell(SynStream(1, {"a": "b"}), Data(1, b"one"), SynStream(3), Data(1, b"", fin=True))
        assert await client.hear() == SynReply(1)
        assert await client.hear_all(1) == b"one"
        client.tell(Data(3, b"x" * 100_000, fin=True))
        assert await client.hear_all(3) == b"x" * 100_000


async def test_ping_is_answered_and_the_rest_is_ignored() -> None:
    async with serving(idle) as client:
        client.tell(spdy.Settings(((1, 2),)), spdy.WindowUpdate(1, 5), Data(77, b"x"))
        client.tell(RstStream(9, 5), GoAway(0), Ping(4), Ping(7))
        assert await client.hear() == Ping(7)


@pytest.mark.parametrize(
    "frames",
    [
        [SynStream(2)],
        [SynStream(3), SynStream(3)],
        [SynStream(3), SynStream(1)],
    ],
)
async def test_streams_that_a_client_cannot_open(frames: list[Frame]) -> None:
    async with serving(idle) as client:
        client.tell(*frames)
        while not isinstance(frame := await client.hear(), GoAway):
            assert isinstance(frame, SynReply)
        assert frame.reason == Reason.PROTOCOL_ERROR


async def test_garbage_ends_the_connection() -> None:
    async with serving(idle) as client:
        client.tell_bytes(b"\x80\x09" + b"x" * 20)
        assert await client.hear() == GoAway(0, Reason.PROTOCOL_ERROR)


async def test_too_many_streams_are_refused_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spdyserver, "STREAMS", 2)
    async with serving(idle) as client:
        client.tell(SynStream(1), SynStream(3), SynStream(5), RstStream(1, 5), SynStream(7))
        heard = [await client.hear() for _ in range(4)]
        assert heard == [
            SynReply(1), SynReply(3), RstStream(5, Reason.REFUSED_STREAM), SynReply(7)
        ]  # fmt: skip


async def test_a_stream_that_nobody_reads_stops_the_client() -> None:
    opened: list[SpdyStream] = []

    async def keep(connection: SpdyConnection) -> None:
        opened.append(await connection.accept())
        await idle(connection)

    async with serving(keep) as client:
        client.tell(SynStream(1), *[Data(1, b"x" * spdyserver.UNREAD)] * 10)
        await settle()
        assert client.unread() >= 7
        opened[0].reset()  # the reader gives it up, which frees the way
        await settle()
        assert client.unread() == 0


async def test_a_client_that_does_not_read_stops_the_writer() -> None:
    written = 0

    async def work(connection: SpdyConnection) -> None:
        nonlocal written
        stream = await connection.accept()
        while True:
            await stream.write(b"x" * 1000)
            written += 1

    async with serving(work) as client:
        client.flows.clear()
        client.tell(SynStream(1))
        await settle()
        assert written == 0


async def test_a_flood_of_pings_ends_the_connection() -> None:
    async with serving(idle) as client:
        client.stuck = spdyserver.CONTROL + 1
        client.tell(Ping(1))
        assert isinstance(await client.hear(), GoAway)


async def test_pings_and_the_end_of_idleness() -> None:
    clock = FakeClock()
    async with serving(idle, clock) as client:
        await settle()
        clock.advance(spdyserver.PING_SECONDS)
        assert await client.hear() == Ping(2)
        client.tell(SynStream(1))
        await settle()
        clock.advance(spdyserver.IDLE_SECONDS + spdyserver.PING_SECONDS)
        await settle()
        assert client.closed


async def test_a_reset_stream_says_so_to_its_reader_and_writer() -> None:
    seen: list[str] = []

    async def work(connection: SpdyConnection) -> None:
        stream = await connection.accept()
        for attempt in (stream.read(), stream.write(b"x")):
            try:
                await attempt
            except StreamReset as error:
                seen.append(str(error))

    async with serving(work) as client:
        client.tell(SynStream(1), RstStream(1, 5))
        assert [await client.hear() for _ in range(2)] == [SynReply(1), GoAway(1)]
    assert len(seen) == 2


# -- exec ----------------------------------------------------------------------------------------


class Process:
    """Repeats what it reads, then ends with 3."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []
        self.closed = False
        self._input: asyncio.Queue[bytes] = asyncio.Queue()

    async def read(self) -> tuple[Output, bytes] | None:
        data = await self._input.get()
        return (Output.STDOUT, data) if data else None

    async def write(self, data: bytes) -> None:
        self._input.put_nowait(data)

    async def close_stdin(self) -> None:
        self._input.put_nowait(b"")

    async def resize(self, *, width: int, height: int) -> None:
        self.sizes.append((width, height))

    async def exit_code(self) -> int | None:
        return 3

    async def close(self) -> None:
        self.closed = True


def exec_work(name: str, process: Process, *, tty: bool = False, fail: bool = False) -> Work:
    wanted = Wanted(stdin=True, stdout=True, stderr=not tty, tty=tty)

    async def connect() -> Process:
        if fail:
            raise RuntimeFailure("no such program")
        return process

    async def work(connection: SpdyConnection) -> None:
        await spdyexec.converse(connection, name, wanted, connect)

    return work


def streams(*kinds: str) -> list[Frame]:
    return [SynStream(2 * n + 1, {"streamtype": kind}) for n, kind in enumerate(kinds)]


@pytest.mark.parametrize("name", list(spdyexec.VERSIONS))
async def test_every_version_of_exec(name: str) -> None:
    process = Process()
    async with serving(exec_work(name, process)) as client:
        client.tell(*streams("error", "stdin", "stdout", "stderr"))
        client.tell(Data(3, b"hello"), Data(3, b"", fin=True))
        assert await client.hear_all(5) == b"hello"
        end = await client.hear_all(1)
    if spdyexec.VERSIONS[name] < 4:
        assert end == b"command terminated with exit code 3"
    else:
        assert json.loads(end)["details"]["causes"][0]["message"] == "3"
    assert process.closed


async def test_sizes_of_a_terminal() -> None:
    process = Process()
    async with serving(exec_work("v4.channel.k8s.io", process, tty=True)) as client:
        client.tell(*streams("error", "stdin", "stdout", "resize", "stderr"))
        client.tell(Data(7, b'{"Width":80,"Height":24}\n{"Width":100,'))
        client.tell(Data(7, b'"Height":40}\n{"Width":-1,"Height":2}\nnonsense\n'))
        await settle()
        client.tell(Data(3, b"", fin=True))
        assert json.loads(await client.hear_all(1))["reason"] == "NonZeroExitCode"
    assert process.sizes == [(80, 24), (100, 40)]


async def test_an_exec_that_cannot_begin() -> None:
    async with serving(exec_work("v4.channel.k8s.io", Process(), fail=True)) as client:
        client.tell(*streams("error", "stdin", "stdout", "stderr"))
        status = json.loads(await client.hear_all(1))
    assert "no such program" in status["message"]


async def test_streams_that_were_not_asked_for_are_refused() -> None:
    async with serving(exec_work("v4.channel.k8s.io", Process())) as client:
        client.tell(*streams("error", "nonsense", "error"))
        heard = [await client.hear() for _ in range(5)]
        assert [frame for frame in heard if isinstance(frame, RstStream)] == [
            RstStream(3, Reason.CANCEL), RstStream(5, Reason.CANCEL)
        ]  # fmt: skip


# -- port-forward --------------------------------------------------------------------------------


async def refuse(port: int) -> Connected:
    raise Unreachable(f"nothing on {port}")


async def forward(connection: SpdyConnection) -> None:
    await portforward.forward(connection, refuse)


def pair(number: int, kind: str, port: str = "80", request: str = "0") -> SynStream:
    return SynStream(number, {"streamtype": kind, "port": port, "requestid": request})


async def test_an_unreachable_port_is_told_on_the_error_stream() -> None:
    async with serving(forward) as client:
        client.tell(pair(1, "error"), Data(1, b"", fin=True), pair(3, "data"))
        assert await client.hear_all(1) == b"nothing on 80"
        # Before requestID, the two streams were told apart by their order.
        client.tell(SynStream(5, {"streamtype": "error", "port": "81"}))
        client.tell(SynStream(7, {"streamtype": "data", "port": "81"}))
        assert await client.hear_all(5) == b"nothing on 81"


@pytest.mark.parametrize(
    "wrong",
    [
        pair(5, "data", port="0"),
        pair(5, "data", port="65536"),
        pair(5, "data", port="x"),
        pair(5, "other"),
        pair(5, "error"),
        pair(5, "data", port="81"),
    ],
)
async def test_streams_that_make_no_pair_are_reset(wrong: SynStream) -> None:
    async with serving(forward) as client:
        client.tell(pair(1, "error"), wrong)
        heard = [await client.hear() for _ in range(3)]
        assert heard[2] == RstStream(5, Reason.PROTOCOL_ERROR)
        client.tell(pair(7, "data"))
        assert await client.hear_all(1) == b"nothing on 80"


async def test_a_stream_without_its_twin_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portforward, "PAIR_SECONDS", 0.0)
    async with serving(forward) as client:
        client.tell(pair(1, "error"))
        assert [await client.hear() for _ in range(2)] == [SynReply(1), RstStream(1, Reason.CANCEL)]
