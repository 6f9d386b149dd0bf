"""Logs that only the engine can read (what a person reads after step 5).

That is so of containers with another log driver than json-file, and of an engine on another machine. The
engine answers over a connection of its own, in its own order and with its own count of what a line
is (pieces of 16 KiB); a driver that cannot be read is refused in the engine's words.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from agent.containers import engine_http
from agent.containers.engine_http import EngineSocket
from agent.containers.records import Channel, ContainerRecord, LogOptions
from agent.containers.streams import Demultiplexer


async def read(
    socket: EngineSocket, record: ContainerRecord, options: LogOptions
) -> AsyncGenerator[tuple[Channel, bytes], None]:
    """The container's log; with `follow` until it has ended. Raises NotFound."""
    query: dict[str, str | int] = {
        "stdout": int(options.stream is not Channel.STDERR),
        "stderr": int(options.stream is not Channel.STDOUT),
        "follow": int(options.follow),
        "timestamps": int(options.timestamps),
        "tail": "all" if options.tail_lines is None else options.tail_lines,
    }
    if options.since is not None:
        query["since"] = f"{options.since.timestamp():.6f}"
    frames = None if record.tty else Demultiplexer()
    async with socket.request("GET", f"/containers/{record.id}/logs", query=query) as body:
        while data := await body.read(engine_http.CHUNK):
            if frames is None:
                yield Channel.STDOUT, data
            else:
                for piece in frames.feed(data):
                    yield piece
