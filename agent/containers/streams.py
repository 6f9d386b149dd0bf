"""The engine's multiplexed streams: exec, attach and logs of containers without a terminal.

Each frame is a header of eight bytes (stream number, three zeros, length in network order) and that
many bytes. `Demultiplexer` is pure; `HijackedStream` is the `Stream` of exec and attach.

A frame's payload is passed on as it arrives, never collected: a frame is as long as the container's
write, and a reader that does not read holds back the container, not our memory.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress

from agent.containers.engine_http import CHUNK, Connection
from agent.containers.errors import RuntimeFailure
from agent.containers.records import Channel

HEADER = struct.Struct(">BxxxL")


class Demultiplexer:
    """Bytes in, pieces of (channel, bytes) out, however the bytes are cut."""

    def __init__(self) -> None:
        self._header = b""
        self._channel = Channel.STDOUT
        self._left = 0

    def feed(self, data: bytes) -> Iterator[tuple[Channel, bytes]]:
        at = 0
        while at < len(data):
            if self._left == 0:
                wanted = HEADER.size - len(self._header)
                self._header += data[at : at + wanted]
                at += wanted
                self._begin_frame()
                continue
            piece = data[at : at + self._left]
            at += len(piece)
            self._left -= len(piece)
            yield self._channel, piece

    def _begin_frame(self) -> None:
        if len(self._header) < HEADER.size:
            return
        number, self._left = HEADER.unpack(self._header)
        self._header = b""
        # 3 is the engine's own error, which belongs where a person looks for errors.
        self._channel = Channel.STDOUT if number in (0, 1) else Channel.STDERR


class HijackedStream:
    """A connection that the engine has turned into a pipe to a process."""

    def __init__(
        self,
        connection: Connection,
        *,
        tty: bool,
        resize: Callable[[int, int], Awaitable[None]],
        exit_code: Callable[[], Awaitable[int | None]],
    ) -> None:
        self._connection = connection
        self._frames = None if tty else Demultiplexer()
        self._pieces: deque[tuple[Channel, bytes]] = deque()
        self._resize = resize
        self._exit_code = exit_code

    async def read(self) -> tuple[Channel, bytes] | None:
        while not self._pieces:
            try:
                data = await self._connection.reader.read(CHUNK)
            except ConnectionError:
                return None
            if not data:
                return None
            if self._frames is None:
                return Channel.STDOUT, data
            self._pieces.extend(self._frames.feed(data))
        return self._pieces.popleft()

    async def write(self, data: bytes) -> None:
        with suppress(ConnectionError, RuntimeError):  # RuntimeError: after close_stdin (uvloop)
            self._connection.writer.write(data)
            await self._connection.writer.drain()

    async def close_stdin(self) -> None:
        with suppress(OSError, RuntimeError):
            if self._connection.writer.can_write_eof():
                self._connection.writer.write_eof()

    async def resize(self, *, width: int, height: int) -> None:
        with suppress(RuntimeFailure):
            await self._resize(width, height)

    async def exit_code(self) -> int | None:
        return await self._exit_code()

    async def close(self) -> None:
        await self._connection.close()
