"""Port-forward in WebSocket messages: two channels for each port of the query, data and error.

What the official Python client speaks to a pod after step 5 of its walk. The first message of each channel
is its port, two bytes with the lower one first. Each port is connected to once, at the beginning; the
protocol has no word for the end of one of several, so the WebSocket closes with the last of them.

Concurrency: one task reads the client, one per port reads the pod, each waits for its receiver. A port
that does not read stops the client's other ports too, as one WebSocket cannot stop a part of itself.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Sequence

from aiohttp import WSMsgType, web

from agent.server.dial import PIECE, Connected, Dial, Unreachable
from agent.server.links import Disconnected
from api import errors
from base.clock import Clock

log = logging.getLogger(__name__)

PROTOCOLS = ("v4.channel.k8s.io",)
MAX_PORTS = 100
MESSAGE_LIMIT = 8 * 2**20
PING_SECONDS = 30.0


def ports_of(request: web.BaseRequest) -> list[int]:
    """The ports of the query: repeated, or with commas, under the API server's name or the kubelet's."""
    texts = [*request.query.getall("ports", []), *request.query.getall("port", [])]
    words = [word.strip() for text in texts for word in text.split(",")]
    if not words:
        raise errors.bad_request('query parameter "ports" is required')
    if len(words) > MAX_PORTS:
        raise errors.bad_request(f"{len(words)} ports are too many for one connection")
    return [_port(word) for word in words]


def _port(word: str) -> int:
    if word.isascii() and word.isdigit() and len(word) < 6 and 0 < int(word) < 2**16:
        return int(word)
    raise errors.bad_request(f"unable to parse {word!r} as a port")


async def serve(
    request: web.Request, protocol: str, dial: Dial, clock: Clock
) -> web.WebSocketResponse:
    """Answer the request; over when all connections are."""
    ports = ports_of(request)
    socket = web.WebSocketResponse(
        protocols=[protocol] if protocol else [], max_msg_size=MESSAGE_LIMIT, compress=False
    )
    await socket.prepare(request)
    session = _Session(socket, ports)
    try:
        async with asyncio.TaskGroup() as group:
            helpers = [
                group.create_task(session.feed()),
                group.create_task(session.keep(clock)),
            ]
            await session.run(dial)
            for task in helpers:
                task.cancel()
    except* Disconnected as gone:
        log.debug("port-forward ended: %s", gone.exceptions[0])
    await socket.close()
    return socket


class _Session:
    def __init__(self, socket: web.WebSocketResponse, ports: Sequence[int]) -> None:
        self._socket = socket
        self._ports = ports
        self._dialled = [asyncio.get_running_loop().create_future() for _ in ports]  # type: list[asyncio.Future[asyncio.StreamWriter | None]]

    async def run(self, dial: Dial) -> None:
        for index, port in enumerate(self._ports):
            for channel in (2 * index, 2 * index + 1):
                await self._send(channel, struct.pack("<H", port))
        async with asyncio.TaskGroup() as group:
            for index, port in enumerate(self._ports):
                group.create_task(self._serve_port(index, port, dial))

    async def keep(self, clock: Clock) -> None:
        """What is sent to a client that was killed comes to nothing, and that is how it shows."""
        while True:
            await clock.sleep(PING_SECONDS)
            try:
                await self._socket.ping()
            except ConnectionError as error:
                raise Disconnected(str(error)) from error

    async def feed(self) -> None:
        """The client's messages to the pod."""
        async for message in self._socket:
            if message.type is not WSMsgType.BINARY or not message.data:
                break
            index, error = divmod(message.data[0], 2)
            if index >= len(self._ports):
                raise Disconnected(f"there is no channel {message.data[0]}")
            writer = None if error else await self._dialled[index]
            if writer is None:
                continue  # it is over, or was never there: the error channel says so
            try:
                writer.write(message.data[1:])
                await writer.drain()
            except OSError:
                continue  # what reads from the pod notices it too, and ends the port
        raise Disconnected("the client closed the connection")

    async def _serve_port(self, index: int, port: int, dial: Dial) -> None:
        try:
            connected = await dial(port)
        except Unreachable as failure:
            self._dialled[index].set_result(None)
            await self._send(2 * index + 1, str(failure).encode())
            return
        await self._copy(index, connected)

    async def _copy(self, index: int, connected: Connected) -> None:
        reader, writer = connected
        self._dialled[index].set_result(writer)
        try:
            while piece := await reader.read(PIECE):
                await self._send(2 * index, piece)
        except OSError as error:
            await self._send(2 * index + 1, str(error).encode())
        finally:
            writer.transport.abort()

    async def _send(self, channel: int, data: bytes) -> None:
        try:
            await self._socket.send_bytes(bytes([channel]) + data)
        except ConnectionError as error:
            raise Disconnected(str(error)) from error
