"""Port-forward: connections of a client to ports of a pod.

For whoever looks into a running pod, after step 5 of its walk. Three ways to say it, one way to do it:
SPDY, SPDY inside WebSocket messages, and WebSocket with two channels per port. SPDY opens a pair of
streams for each connection, `data` and `error`, told apart by `requestID`, as many as it likes; in the
WebSocket form each port of the query is connected to once.

Concurrency: one task per connection, and within it one for each direction; each waits for its receiver.
A connection that cannot be made is told on its error stream; the others go on.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from aiohttp import web

from agent.server import handshake, portchannels, spdyserver
from agent.server.dial import PIECE, Dial, Unreachable
from agent.server.links import RawLink, SocketLink, TakenOver
from agent.server.spdyserver import SpdyConnection, SpdyStream, StreamReset
from api import errors
from api.spdy import Reason
from base.clock import Clock

PROTOCOL = "portforward.k8s.io"
TUNNELLED = f"SPDY/3.1+{PROTOCOL}"
PAIR_SECONDS = 30.0
"""Between the two streams of a pair."""
MESSAGE_LIMIT = 2**20
"""Bytes of one WebSocket message with SPDY in it. kubectl sends 32 KiB."""


@dataclass
class _Pair:
    port: int
    streams: dict[str, SpdyStream] = field(default_factory=dict)
    complete: asyncio.Event = field(default_factory=asyncio.Event)


async def serve(request: web.Request, dial: Dial, clock: Clock) -> web.StreamResponse:
    """Answer the request in whichever of the three ways it asks for."""

    async def work(connection: SpdyConnection) -> None:
        await forward(connection, dial)

    if handshake.is_spdy(request):
        # A client that offers nothing is older than the header; there is only one protocol.
        offered = handshake.offered(request)
        name = handshake.choose(offered, [PROTOCOL]) if offered else ""
        await spdyserver.serve(RawLink(request, handshake.answer(name)), clock, work)
        return TakenOver()
    if not handshake.is_websocket(request):
        raise errors.bad_request("unable to upgrade: missing upgrade headers in request")
    offered = handshake.subprotocols(request)
    name = handshake.choose(offered, [TUNNELLED, *portchannels.PROTOCOLS]) if offered else ""
    if name != TUNNELLED:
        return await portchannels.serve(request, name, dial, clock)
    socket = web.WebSocketResponse(protocols=[name], max_msg_size=MESSAGE_LIMIT, compress=False)
    await socket.prepare(request)
    await spdyserver.serve(SocketLink(socket), clock, work)
    return socket


async def forward(connection: SpdyConnection, dial: Dial) -> None:
    """Serve the pairs of a SPDY client until it is gone."""
    pairs: dict[str, _Pair] = {}
    async with asyncio.TaskGroup() as group:
        while True:
            stream = await connection.accept()
            kind, port, key = _meaning(stream)
            pair = pairs.get(key)
            if not port or (pair and (pair.port != port or kind in pair.streams)):
                stream.reset(Reason.PROTOCOL_ERROR)
                continue
            if pair is None:
                pair = pairs[key] = _Pair(port)
                group.create_task(_serve_pair(pairs, key, pair, dial))
            pair.streams[kind] = stream
            if len(pair.streams) == 2:
                pair.complete.set()


def _meaning(stream: SpdyStream) -> tuple[str, int, str]:
    """(error or data, port, which pair); port 0 when it makes no sense."""
    kind, text = stream.headers.get("streamtype", ""), stream.headers.get("port", "")
    # Clients before requestID open the error stream first and the data stream right after it.
    former = stream.number - 2 if kind == "data" else stream.number
    key = stream.headers.get("requestid", "") or f"stream {former}"
    if kind not in ("error", "data") or not (text.isascii() and text.isdigit() and len(text) < 6):
        return kind, 0, key
    return kind, int(text) if 0 < int(text) < 2**16 else 0, key


async def _serve_pair(pairs: dict[str, _Pair], key: str, pair: _Pair, dial: Dial) -> None:
    try:
        async with asyncio.timeout(PAIR_SECONDS):
            await pair.complete.wait()
    except TimeoutError:
        for stream in pair.streams.values():
            stream.reset()
        return
    finally:
        del pairs[key]  # the client may count from the beginning again
    data, error = pair.streams["data"], pair.streams["error"]
    try:
        await _copy(*await dial(pair.port), data, error)
    except Unreachable as failure:
        await _tell(error, str(failure))
    data.finish()
    error.finish()


async def _tell(error: SpdyStream, text: str) -> None:
    try:
        await error.write(text.encode())
    except StreamReset:
        pass  # nobody wants to know


async def _copy(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    data: SpdyStream,
    error: SpdyStream,
) -> None:
    """Both directions, until both have ended or either breaks."""
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_upwards(data, writer))
            while piece := await reader.read(PIECE):
                await data.write(piece)
            data.finish()
            # kubectl waits for this before it hangs up on its own client, who may wait for just that.
            error.finish()
        writer.close()
        await writer.wait_closed()  # until the pod has read the last of it
    except* StreamReset:
        pass  # the program at the client's end is gone
    except* OSError:
        data.reset()  # the pod's end broke off, which is not the same as its end
    finally:
        writer.transport.abort()


async def _upwards(data: SpdyStream, writer: asyncio.StreamWriter) -> None:
    while piece := await data.read():
        writer.write(piece)
        await writer.drain()
    writer.write_eof()
