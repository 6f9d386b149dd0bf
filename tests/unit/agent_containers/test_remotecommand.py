"""A session of exec over WebSocket: which ends when nothing happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import WSMessage, WSMsgType

from agent.containers.records import Channel as Output
from agent.server.remotecommand import Session, Wanted
from agent.server.spdyserver import IDLE_SECONDS
from api import streams
from base.clock import FakeClock

HOUR = 3600.0


class Client:
    """The client's end: says what it is told to, and keeps what it gets."""

    def __init__(self) -> None:
        self.says: asyncio.Queue[bytes] = asyncio.Queue()
        self.heard: list[bytes] = []
        self.pings = 0

    def __aiter__(self) -> AsyncIterator[WSMessage]:
        return self._messages()

    async def _messages(self) -> AsyncIterator[WSMessage]:
        while True:
            yield WSMessage(WSMsgType.BINARY, await self.says.get(), None)

    async def send_bytes(self, data: bytes) -> None:
        self.heard.append(data)

    async def ping(self) -> None:
        self.pings += 1


class Process:
    """A process that prints what it is told to."""

    def __init__(self) -> None:
        self.prints: asyncio.Queue[tuple[Output, bytes] | None] = asyncio.Queue()
        self.typed: list[bytes] = []
        self.closed = False

    async def read(self) -> tuple[Output, bytes] | None:
        return await self.prints.get()

    async def write(self, data: bytes) -> None:
        self.typed.append(data)

    async def exit_code(self) -> int:
        return 0

    async def close(self) -> None:
        self.closed = True


def session(clock: FakeClock) -> tuple[Client, Process, asyncio.Task[None]]:
    client: Any = Client()
    process: Any = Process()
    protocol = streams.negotiate(["v5.channel.k8s.io"])
    assert protocol is not None
    wanted = Wanted(stdin=True, stdout=True, stderr=True, tty=False)
    running = asyncio.create_task(Session(client, protocol, wanted, clock).run(process))
    return client, process, running


async def test_a_session_in_which_nothing_happens_ends() -> None:
    clock = FakeClock()
    client, process, running = session(clock)
    await clock.run_for(IDLE_SECONDS - HOUR)
    assert not running.done() and client.pings > 100
    process.prints.put_nowait((Output.STDOUT, b"still here"))
    await clock.run_for(IDLE_SECONDS - HOUR)
    client.says.put_nowait(b"\x00so am I")
    await clock.run_for(IDLE_SECONDS - HOUR)
    assert not running.done(), "words of either keep it"
    await clock.run_for(HOUR + 60.0)
    assert running.done() and process.closed
    assert process.typed == [b"so am I"] and b"\x01still here" in client.heard


async def test_the_end_of_the_process_ends_it_at_once() -> None:
    clock = FakeClock()
    client, process, running = session(clock)
    process.prints.put_nowait(None)
    await clock.run_for(0.1)
    assert running.done() and process.closed
    assert client.heard[-1][:1] == b"\x03" and b"Success" in client.heard[-1]
