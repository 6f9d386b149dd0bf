"""Byte streams to a client: a connection taken over from HTTP, or binary WebSocket messages.

Below SPDY, for exec, attach and port-forward after step 5 of a pod's walk. SPDY does not care which of
the two carries it: kubectl sends it raw, and since 1.31 port-forward's inside WebSocket.

Concurrency: `send` never waits, so that frames leave in the order in which they were made, whoever
made them; whoever sends much waits in `drain` until the client has taken enough. One reader, which
stops the client when it does not read: what arrived and is not yet read is BUFFER bytes at most, and
one piece of the transport's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Protocol

from aiohttp import WSMsgType, web
from aiohttp.abc import AbstractStreamWriter

BUFFER = 64 * 1024


class Disconnected(Exception):
    """The client went away, or broke the protocol."""


class Link(Protocol):
    """Bytes to and from one client."""

    def send(self, data: bytes) -> None:
        """Queue; dropped when the client is gone."""

    def waiting(self) -> int:
        """Bytes sent that the client has not taken."""

    async def drain(self) -> None:
        """Wait until the client has taken most of what was sent. Raises Disconnected."""

    async def receive(self) -> bytes:
        """The next bytes; empty at the end."""

    async def carry(self) -> None:
        """Do the sending, until cancelled or closed; at once over for a link that needs none."""

    async def close(self) -> None:
        """Send what waits, then hang up. May be called twice."""


class TakenOver(web.StreamResponse):
    """The response of a request whose connection no longer speaks HTTP: nothing is left to send."""

    def __init__(self) -> None:
        super().__init__(status=101)
        self.force_close()

    @property
    def prepared(self) -> bool:
        return True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


class RawLink:
    """The request's own connection."""

    def __init__(self, request: web.BaseRequest, headers: Mapping[str, str]) -> None:
        if request.transport is None:
            raise Disconnected("the client is gone")
        self._transport: asyncio.Transport = request.transport
        self._protocol = request.protocol
        self._arrived = bytearray()
        self._ended = False
        self._news = asyncio.Event()
        lines = [f"{name}: {value}" for name, value in headers.items()]
        head = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", *lines, "", ""]
        self._transport.write("\r\n".join(head).encode())
        self._protocol.set_parser(self)  # type: ignore[arg-type]

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Called by aiohttp instead of its HTTP parser."""
        self._arrived += data
        if len(self._arrived) > BUFFER:
            self._transport.pause_reading()
        self._news.set()
        return False, b""

    def feed_eof(self) -> None:
        self._ended = True
        self._news.set()

    def send(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def waiting(self) -> int:
        return self._transport.get_write_buffer_size()

    async def drain(self) -> None:
        try:
            await self._protocol._drain_helper()
        except ConnectionError as error:
            raise Disconnected(str(error)) from error

    async def receive(self) -> bytes:
        while not self._arrived and not self._ended:
            self._news.clear()
            await self._news.wait()
        data = bytes(self._arrived)
        self._arrived.clear()
        if not self._transport.is_closing():
            self._transport.resume_reading()
        return data

    async def carry(self) -> None:
        return None

    async def close(self) -> None:
        self._transport.close()


class SocketLink:
    """The binary messages of a WebSocket; where one ends means nothing."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        self._queue: deque[bytes] = deque()
        self._size = 0
        self._gone = False
        self._more = asyncio.Event()
        self._less = asyncio.Event()

    def send(self, data: bytes) -> None:
        if not self._gone:
            self._queue.append(data)
            self._size += len(data)
            self._more.set()

    def waiting(self) -> int:
        return self._size

    async def drain(self) -> None:
        while self._size > BUFFER and not self._gone:
            self._less.clear()
            await self._less.wait()
        if self._gone:
            raise Disconnected("the client is gone")

    async def receive(self) -> bytes:
        while True:
            message = await self._socket.receive()
            if message.type is not WSMsgType.BINARY:
                return b""
            if message.data:
                return bytes(message.data)

    async def carry(self) -> None:
        while not self._gone:
            await self._flush()
            self._more.clear()
            await self._more.wait()

    async def close(self) -> None:
        await self._flush()
        self._gone = True
        self._less.set()
        self._more.set()
        await self._socket.close()

    async def _flush(self) -> None:
        while self._queue:
            data = self._queue.popleft()
            try:
                await self._socket.send_bytes(data)
            except ConnectionError:
                self._gone = True
                self._queue.clear()
                self._size = 0
            else:
                self._size -= len(data)
            self._less.set()
