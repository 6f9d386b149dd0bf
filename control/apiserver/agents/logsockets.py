"""`pods/log` over WebSocket: the same bytes as over HTTP, in messages.

For clients, such as browsers, that can read a stream no other way. There are no channels: each message is
the next piece of the log, in a binary message, or as text in base64 (`base64.binary.k8s.io`). A client
that offers no protocol gets binary ones. As in Kubernetes the first message is empty, so that the client
of a silent container knows that it is connected.

Concurrency: one task writes and waits for its client; another reads, because only who reads hears that
the client has gone.
"""

from __future__ import annotations

import asyncio
import base64

import aiohttp
from aiohttp import web

from api import errors

_BINARY = "binary.k8s.io"
_BASE64 = "base64.binary.k8s.io"
_KNOWN = (_BINARY, _BASE64)


def negotiate(http: web.BaseRequest) -> str | None:
    """The protocol of a WebSocket request, which may have no name; None for any other request."""
    if http.headers.get("Upgrade", "").lower() != "websocket":
        return None
    lines = http.headers.getall("Sec-WebSocket-Protocol", [])
    offered = [name.strip() for line in lines for name in line.split(",") if name.strip()]
    if not offered:
        return ""
    for name in offered:
        if name in _KNOWN:
            return name
    raise errors.bad_request(
        f"unable to upgrade: none of {offered} is known here, only {', '.join(_KNOWN)}"
    )


async def send(
    http: web.BaseRequest, answer: aiohttp.ClientResponse, protocol: str
) -> web.StreamResponse:
    """Answer the request with what the agent sends."""
    socket = web.WebSocketResponse(protocols=[protocol] if protocol else [], compress=False)
    await socket.prepare(http)
    try:
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(_until_gone(socket))
            await _pass_on(answer, socket, text=protocol == _BASE64)
            listening.cancel()
        await socket.close()
    except* (ConnectionError, aiohttp.ClientError):
        # The client went away; or the agent did, and then a log must not look complete.
        if http.transport is not None:
            http.transport.abort()
    return socket


async def _until_gone(socket: web.WebSocketResponse) -> None:
    """What the client says means nothing here; its end ends the other task, too."""
    async for _ in socket:
        pass
    raise ConnectionResetError("the client is gone")


async def _pass_on(
    answer: aiohttp.ClientResponse, socket: web.WebSocketResponse, *, text: bool
) -> None:
    await _message(socket, b"", text=text)
    async for piece in answer.content.iter_any():
        await _message(socket, piece, text=text)


async def _message(socket: web.WebSocketResponse, data: bytes, *, text: bool) -> None:
    if text:
        await socket.send_str(base64.b64encode(data).decode())
    else:
        await socket.send_bytes(data)
