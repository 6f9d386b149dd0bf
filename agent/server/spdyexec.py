"""exec and attach over SPDY: what kubectl before 1.30 speaks, and later ones when WebSocket fails.

For whoever looks into a running pod, after step 5 of its walk. The client opens one stream for each of
stdin, stdout and stderr that it asked for, one for the error, and since version 3 of the protocol one
for the terminal's size. The end of stdin is its stream's FIN in every version; how the process ended
is told on the error stream: as a Status since version 4, before that as text, and nothing for success.

Concurrency: one task feeds stdin, one the terminal sizes, and the session itself sends output and then
the end. Nothing is buffered beyond a stream's own bounds.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

from aiohttp import web

from agent.containers.errors import RuntimeFailure
from agent.containers.interface import Stream
from agent.containers.records import Channel as Output
from agent.server import handshake, spdyserver
from agent.server.links import Disconnected, RawLink, TakenOver
from agent.server.remotecommand import Wanted
from agent.server.spdyserver import SpdyConnection, SpdyStream, StreamReset
from api import streams
from api.streams import Protocol
from base.clock import Clock

# By number. Up to 3 the error stream carries text; from 3 on there is a stream for the size.
VERSIONS = {
    "channel.k8s.io": 1,
    **{f"v{number}.channel.k8s.io": number for number in (2, 3, 4, 5)},
}
CREATION_SECONDS = 30.0
"""For the client to open the streams that it asked for."""
_MAX_SIZE_TEXT = 1024


async def serve(
    request: web.Request,
    wanted: Wanted,
    connect: Callable[[], Awaitable[Stream]],
    clock: Clock,
) -> web.StreamResponse:
    """Answer the request with a session on the stream that `connect` opens."""
    # A client that offers nothing is older than the header, and speaks the first version.
    name = handshake.choose(handshake.offered(request) or ["channel.k8s.io"], list(VERSIONS))
    link = RawLink(request, handshake.answer(name))

    async def work(connection: SpdyConnection) -> None:
        await converse(connection, name, wanted, connect)

    await spdyserver.serve(link, clock, work)
    return TakenOver()


async def converse(
    connection: SpdyConnection,
    name: str,
    wanted: Wanted,
    connect: Callable[[], Awaitable[Stream]],
) -> None:
    """One session in the version of that name."""
    opened = await _open(connection, wanted, VERSIONS[name])
    session = _Session(opened, Protocol(name, status=VERSIONS[name] >= 4))
    try:
        stream = await connect()
    except RuntimeFailure as error:
        await session.end(streams.error_message(session.protocol, error.message))
    else:
        await session.run(stream)


async def _open(connection: SpdyConnection, wanted: Wanted, version: int) -> dict[str, SpdyStream]:
    """The session's streams by type, once the client has opened them all."""
    named = ("stdin", wanted.stdin), ("stdout", wanted.stdout), ("stderr", wanted.stderr)
    missing = {"error", *(name for name, asked in named if asked)}
    if wanted.tty and version >= 3:
        missing.add("resize")
    made: dict[str, SpdyStream] = {}
    try:
        async with asyncio.timeout(CREATION_SECONDS):
            while missing:
                stream = await connection.accept()
                kind = stream.headers.get("streamtype", "")
                if kind not in missing:
                    stream.reset()
                    continue
                missing.remove(kind)
                made[kind] = stream
    except TimeoutError:
        raise Disconnected(f"the client did not open {', '.join(sorted(missing))}") from None
    return made


class _Session:
    def __init__(self, opened: dict[str, SpdyStream], protocol: Protocol) -> None:
        self._opened = opened
        self.protocol = protocol

    async def run(self, stream: Stream) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                feeding = [
                    group.create_task(feed(stream, self._opened[kind]))
                    for kind, feed in (("stdin", _feed), ("resize", _resize))
                    if kind in self._opened
                ]
                message = await self._drain(stream)
                for task in feeding:
                    task.cancel()
            await self.end(message)
        finally:
            await stream.close()

    async def end(self, message: bytes | str | None) -> None:
        """All output is sent: close it, and say how it went."""
        for kind in ("stdout", "stderr"):
            if kind in self._opened:
                self._opened[kind].finish()
        error = self._opened["error"]
        if isinstance(message, bytes) and message[1:]:
            await _write(error, message[1:])  # without the channel's number
        error.finish()

    async def _drain(self, stream: Stream) -> bytes | str | None:
        """Output to the client; how the process ended."""
        try:
            while (piece := await stream.read()) is not None:
                channel, data = piece
                kind = "stderr" if channel is Output.STDERR else "stdout"
                if data and kind in self._opened:
                    await _write(self._opened[kind], data)
            return streams.exit_message(self.protocol, await stream.exit_code())
        except RuntimeFailure as error:
            return streams.error_message(self.protocol, error.message)


async def _write(stream: SpdyStream, data: bytes) -> None:
    try:
        await stream.write(data)
    except StreamReset:
        pass  # the client does not want this one any more; the others go on


async def _feed(stream: Stream, stdin: SpdyStream) -> None:
    try:
        while data := await stdin.read():
            await stream.write(data)
    except StreamReset:
        pass  # for the process this is an end like any other
    await stream.close_stdin()


async def _resize(stream: Stream, sizes: SpdyStream) -> None:
    """The client writes one JSON object after the other, each with a line's end."""
    text = b""
    try:
        while data := await sizes.read():
            *lines, text = (text + data).split(b"\n")
            for line in (*lines, text):
                if size := streams.terminal_size(line):
                    await stream.resize(width=size[0], height=size[1])
            text = text[:_MAX_SIZE_TEXT] if not _complete(text) else b""
    except StreamReset:
        pass


def _complete(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
