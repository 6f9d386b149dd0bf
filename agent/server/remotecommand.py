"""exec and attach over WebSocket: between a client's messages and a process in a container.

Three tasks per session, in one task group: one feeds stdin and terminal sizes, one sends output and, at
the end, how the process ended, and one ends a session in which nothing happens for hours. Nothing is
buffered: a client that does not read stops the process, a process that does not read stops the client. A
client that goes away ends the session; its process lives on with its stdin closed, for the engine cannot
kill what it was asked to exec.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import WSMsgType, web

from agent.containers.errors import RuntimeFailure
from agent.containers.interface import Stream
from agent.containers.records import Channel as Output
from agent.server import handshake
from agent.server.links import Disconnected
from agent.server.spdyserver import IDLE_SECONDS, PING_SECONDS
from api import errors, streams
from api.streams import Channel, FrameError, Protocol
from base.clock import Clock

log = logging.getLogger(__name__)

MESSAGE_LIMIT = 8 * 2**20
"""Bytes of one message from a client. kubectl sends 32 KiB; libraries send what they are given."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which streams the client asked for."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool

    @classmethod
    def of(cls, request: web.Request) -> Wanted:
        """The kubelet's names of the parameters, and those of the API server."""

        def has(*names: str) -> bool:
            return any(request.query.get(name, "") in ("1", "true") for name in names)

        wanted = cls(
            stdin=has("input", "stdin"),
            stdout=has("output", "stdout"),
            # A terminal has one output; the API says that stderr is then not asked for.
            stderr=has("error", "stderr") and not has("tty"),
            tty=has("tty"),
        )
        if not (wanted.stdin or wanted.stdout or wanted.stderr):
            raise errors.bad_request("you must specify at least 1 of stdin, stdout, stderr")
        return wanted


def negotiate(request: web.Request) -> Protocol:
    """The subprotocol of a WebSocket request; a precise refusal of everything else."""
    known = ", ".join(streams.PROTOCOLS)
    if not handshake.is_websocket(request):
        raise errors.bad_request("unable to upgrade: missing upgrade headers in request")
    names = handshake.subprotocols(request)
    protocol = streams.negotiate(names)
    if protocol is None:
        raise errors.bad_request(f"unable to upgrade: none of {names} is known here, only {known}")
    return protocol


async def serve(
    request: web.Request,
    wanted: Wanted,
    protocol: Protocol,
    connect: Callable[[], Awaitable[Stream]],
    clock: Clock,
) -> web.WebSocketResponse:
    """Answer the request with a session on the stream that `connect` opens."""
    socket = web.WebSocketResponse(
        protocols=[protocol.name], max_msg_size=MESSAGE_LIMIT, compress=False
    )
    await socket.prepare(request)
    session = Session(socket, protocol, wanted, clock)
    try:
        stream = await connect()
    except RuntimeFailure as error:
        await session.send(streams.error_message(protocol, error.message))
    else:
        await session.run(stream)
    await socket.close()
    return socket


class Session:
    """Between one client and one process."""

    def __init__(
        self, socket: web.WebSocketResponse, protocol: Protocol, wanted: Wanted, clock: Clock
    ) -> None:
        self._socket = socket
        self._protocol = protocol
        self._wanted = wanted
        self._clock = clock
        self._active = clock.monotonic()

    async def run(self, stream: Stream) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                others = [
                    group.create_task(self._feed(stream)),
                    group.create_task(self._keep()),
                ]
                await self._drain(stream)
                for task in others:
                    task.cancel()
        except* Disconnected as gone:
            log.debug("stream session ended early: %s", gone.exceptions[0])
        finally:
            await stream.close()

    async def send(self, message: bytes | str | None) -> None:
        try:
            if isinstance(message, str):
                await self._socket.send_str(message)
            elif message is not None:
                await self._socket.send_bytes(message)
        except ConnectionError as error:
            raise Disconnected(str(error)) from error

    async def _keep(self) -> None:
        """PING, and end what is not used."""
        while True:
            await self._clock.sleep(PING_SECONDS)
            if self._clock.monotonic() - self._active > IDLE_SECONDS:
                raise Disconnected("nothing happened for too long")
            try:
                await self._socket.ping()
            except ConnectionError as error:
                raise Disconnected(str(error)) from error

    async def _drain(self, stream: Stream) -> None:
        """Output to the client, then the end."""
        wanted = self._wanted
        await self.send(
            streams.greeting(self._protocol, stdout=wanted.stdout, stderr=wanted.stderr)
        )
        while (piece := await stream.read()) is not None:
            self._active = self._clock.monotonic()
            channel, data = piece
            asked = wanted.stderr if channel is Output.STDERR else wanted.stdout
            if asked and data:
                await self.send(self._protocol.encode(channel, data))
        try:
            message = streams.exit_message(self._protocol, await stream.exit_code())
        except RuntimeFailure as error:
            message = streams.error_message(self._protocol, error.message)
        await self.send(message)

    async def _feed(self, stream: Stream) -> None:
        """The client's messages to the process, until the client is gone."""
        async for message in self._socket:
            if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
                break
            self._active = self._clock.monotonic()
            try:
                channel, data = self._protocol.decode(message.data)
            except FrameError as error:
                raise Disconnected(str(error)) from error
            await self._accept(stream, channel, data)
        raise Disconnected("the client closed the connection")

    async def _accept(self, stream: Stream, channel: Channel, data: bytes) -> None:
        if channel is Channel.STDIN and self._wanted.stdin and data:
            await stream.write(data)
        elif channel is Channel.CLOSE and data[:1] == bytes([Channel.STDIN]):
            await stream.close_stdin()
        elif channel is Channel.RESIZE and (size := streams.terminal_size(data)):
            await stream.resize(width=size[0], height=size[1])
