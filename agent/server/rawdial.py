"""A connection to one port of a pod as bare bytes: the API server's proxy to pods and services.

After step 5 of a pod's walk. The API server speaks HTTP with the pod itself; here is only the way. The
pod is dialled before the upgrade is accepted, so that a refusal is an answer and not a broken stream.
What the pod says is passed on once it was asked something: a program that answers everybody alike and
hangs up (`nc -l < page`) would else have ended the connection before the request is on its way.

Concurrency: one task per direction, each waits for its receiver; both end with either side.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiohttp import web

from agent.server.dial import PIECE, Dial, Unreachable
from agent.server.links import Disconnected, RawLink, TakenOver
from api import errors

PROTOCOL = "tcp"


async def serve(request: web.Request, dial: Dial) -> web.StreamResponse:
    """Connect to the port of the path, and become that connection."""
    text = request.match_info["port"]
    port = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    if not 0 < port < 2**16:
        raise errors.bad_request(f"port {text!r} is not a number between 1 and 65535")
    if request.headers.get("Upgrade", "").lower() != PROTOCOL:
        raise errors.bad_request(f"unable to upgrade: expected Upgrade: {PROTOCOL}")
    try:
        reader, writer = await dial(port)
    except Unreachable as failure:
        raise errors.unavailable(str(failure)) from None
    try:
        link = RawLink(request, {"Upgrade": PROTOCOL})
        async with asyncio.TaskGroup() as group:
            asked = asyncio.Event()
            upwards = group.create_task(_upwards(link, writer, asked))
            await asked.wait()
            await _downwards(reader, link)
            upwards.cancel()
        await link.close()
    except* Disconnected:
        pass  # the API server's client went away
    finally:
        writer.transport.abort()
    return TakenOver()


async def _downwards(reader: asyncio.StreamReader, link: RawLink) -> None:
    with suppress(OSError):  # the pod broke off: the end, as far as we know
        while piece := await reader.read(PIECE):
            link.send(piece)
            await link.drain()


async def _upwards(link: RawLink, writer: asyncio.StreamWriter, asked: asyncio.Event) -> None:
    try:
        with suppress(OSError, Disconnected):
            while piece := await link.receive():
                writer.write(piece)
                asked.set()
                await writer.drain()
            writer.transport.abort()  # nobody is left who wants an answer
    finally:
        asked.set()
