"""Upgraded connections, passed on byte by byte between a client and an agent.

For `kubectl exec`, `attach` and `port-forward`. The agent speaks the stream's protocol (SPDY, or
WebSocket with whichever subprotocol the client offered); the API server repeats the client's handshake
to it, gives the agent's answer back, and from then on copies bytes. It need not know the protocol,
nothing is decoded twice, and a protocol that agents learn tomorrow passes today.

Concurrency: one task per direction, each waits for its receiver: a side that does not read stops the
other after one buffer (64 KiB or so). When one side ends, the other is closed; so are both when no byte
passes for IDLE_SECONDS. The end of one direction alone is a matter of the protocols above, which all
have a word for it: TLS, which carries them, cannot close one half.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress

import msgspec
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict

from api import errors
from api.meta import Status
from control.apiserver.http import responses

log = logging.getLogger(__name__)

IDLE_SECONDS = 4 * 3600.0
FLUSH_SECONDS = 5.0
"""For what a client sent before it went away to reach the agent."""

_BUFFER = 64 * 1024
_MAX_HEAD = 64 * 1024
_MAX_ANSWER = 1024 * 1024

# What of the client's handshake is repeated to the agent; never who the client is.
_HANDSHAKE = (
    "Connection",
    "Upgrade",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol",
    "X-Stream-Protocol-Version",
)


class Tunnelled(web.StreamResponse):
    """The response of a request whose connection was taken over: nothing is left to send."""

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


async def tunnel(
    http: web.BaseRequest,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    host: str,
    path: str,
    more: CIMultiDict[str] | None = None,
) -> web.StreamResponse:
    """Hand the request to the agent behind `reader` and `writer`, and stay in between.

    `more`: what else of the client's headers is repeated, for others than agents.
    """
    try:
        writer.write(_request(http, host, path, more or CIMultiDict()))
        await writer.drain()
        head = await _read_head(reader)
        code = _status_code(head)
        if code != 101:
            return await _refused(reader, head, code)
        await _splice(http, reader, writer, head)
        return Tunnelled()
    finally:
        writer.close()
        # An agent that waits for its pod does not take the rest, and would not hear of the end.
        asyncio.get_running_loop().call_later(FLUSH_SECONDS, writer.transport.abort)


def _request(http: web.BaseRequest, host: str, path: str, more: CIMultiDict[str]) -> bytes:
    lines = [f"{http.method} {path} HTTP/1.1", f"Host: {host}"]
    for name in _HANDSHAKE:
        lines += [f"{name}: {value}" for value in http.headers.getall(name, [])]
    known = {"host", *map(str.lower, _HANDSHAKE)}
    lines += [f"{name}: {value}" for name, value in more.items() if name.lower() not in known]
    return "\r\n".join([*lines, "", ""]).encode()


async def _read_head(reader: asyncio.StreamReader) -> bytes:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError) as error:
        raise errors.internal(f"the agent gave no answer that can be read: {error}") from None
    if len(head) > _MAX_HEAD:
        raise errors.internal("the agent's answer is too large")
    return head


def _status_code(head: bytes) -> int:
    parts = head.split(b" ", 2)
    if len(parts) < 2 or not parts[1][:3].isdigit():
        raise errors.internal("the agent's answer is not HTTP")
    return int(parts[1][:3])


async def become(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, host: str, path: str
) -> None:
    """Have the agent turn the connection into one to a pod's port; what it refuses is raised."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: Upgrade", "Upgrade: tcp", "", ""]
    writer.write("\r\n".join(lines).encode())
    head = await _read_head(reader)
    code = _status_code(head)
    if code == 101:
        return
    body = await _body(reader, _headers(head))
    try:
        raise errors.ApiError(msgspec.json.decode(body, type=Status))
    except msgspec.MsgspecError:
        raise errors.unavailable(f"the agent answered {code} to {path}") from None


async def _refused(reader: asyncio.StreamReader, head: bytes, code: int) -> web.StreamResponse:
    """The agent said no: its words are the client's answer."""
    headers = _headers(head)
    body = await _body(reader, headers)
    return responses.json_response(
        body, code=code, content_type=headers.get("content-type", "text/plain")
    )


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    length = headers.get("content-length", "")
    size = min(int(length), _MAX_ANSWER) if length.isdigit() else 0
    return await reader.readexactly(size) if size else b""


def _headers(head: bytes) -> dict[str, str]:
    lines: Iterable[str] = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


class _FromClient:
    """Takes the bytes that aiohttp would otherwise parse; see RequestHandler.set_parser."""

    def __init__(
        self, transport: asyncio.Transport, writer: asyncio.StreamWriter, idle: asyncio.Timeout
    ) -> None:
        self._transport = transport
        self._idle = idle
        self._writer = writer
        self.ended = asyncio.Event()
        self.arrived = asyncio.Event()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        _postpone(self._idle)
        self._writer.write(data)
        if self._writer.transport.get_write_buffer_size() > _BUFFER:
            self._transport.pause_reading()
        self.arrived.set()
        return False, b""

    def feed_eof(self) -> None:
        self.ended.set()
        self.arrived.set()

    async def run(self) -> None:
        """Let the client send on whenever the agent has taken what it sent."""
        while not self.ended.is_set():
            await self.arrived.wait()
            self.arrived.clear()
            await self._writer.drain()
            if not self._transport.is_closing():
                self._transport.resume_reading()


def _postpone(idle: asyncio.Timeout) -> None:
    """Something happened."""
    with suppress(RuntimeError):  # over already: these are the last bytes to arrive
        idle.reschedule(asyncio.get_running_loop().time() + IDLE_SECONDS)


async def _splice(
    http: web.BaseRequest,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    head: bytes,
) -> None:
    transport = http.transport
    if transport is None:
        raise ConnectionResetError("the client is gone")
    try:
        async with asyncio.timeout(IDLE_SECONDS) as idle, asyncio.TaskGroup() as group:
            from_client = _FromClient(transport, writer, idle)
            transport.write(head)
            http.protocol.set_parser(from_client)  # type: ignore[arg-type]
            upwards = group.create_task(from_client.run())
            await _to_client(http, reader, transport, idle)
            upwards.cancel()
    except* TimeoutError:
        log.info("a stream to an agent was idle for too long: %s", http.path)
    except* (ConnectionError, OSError):
        pass  # either side went away, which is how such streams end
    finally:
        transport.close()


async def _to_client(
    http: web.BaseRequest,
    reader: asyncio.StreamReader,
    transport: asyncio.Transport,
    idle: asyncio.Timeout,
) -> None:
    while data := await reader.read(_BUFFER):
        _postpone(idle)
        if transport.is_closing():
            return
        transport.write(data)
        await http.protocol._drain_helper()
