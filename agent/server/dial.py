"""Connecting to a port of a pod from inside its network namespace.

For port-forward, after step 5 of a pod's walk: the connection goes to the pod's loopback, as if the
client's program ran in the pod. A thread makes the socket there, and a socket stays in the namespace
it was made in. Pods of the node's network have a sandbox in the node's namespace, so nothing differs
for them.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence

from base.errors import PodwrightError
from netplugin.namespaces import run_inside

CONNECT_SECONDS = 30.0
Place = tuple[socket.AddressFamily, str]
_LOOPBACKS: Sequence[Place] = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
PIECE = 64 * 1024

Connected = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Dial = Callable[[int], Awaitable[Connected]]


class Unreachable(Exception):
    """The pod does not answer on that port; says why, for a person."""


def dialler(pod: str, pid: Callable[[], Awaitable[int]], address: str = "") -> Dial:
    """Connects to ports of the pod's loopback, or of one address, as seen from inside the pod.

    `pid` is a process of the pod, as it is now.
    """
    places = [(_family(address), address)] if address else _LOOPBACKS

    async def dial(port: int) -> Connected:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await _connect(await pid(), places, port)
        except (OSError, TimeoutError, PodwrightError) as error:
            why = _reason(error, address or "127.0.0.1")
            raise Unreachable(f"error forwarding port {port} to pod {pod}: {why}") from error

    return dial


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


async def _connect(pid: int, places: Sequence[Place], port: int) -> Connected:
    refused: OSError | None = None
    for family, host in places:
        made = await asyncio.to_thread(
            run_inside, pid, lambda family=family: socket.socket(family, socket.SOCK_STREAM)
        )
        try:
            made.setblocking(False)
            await asyncio.get_running_loop().sock_connect(made, (host, port))
            return await asyncio.open_connection(sock=made, limit=PIECE)
        except OSError as error:
            made.close()
            # What the person asked for is the first; the second is for servers of IPv6 only.
            refused = refused or error
        except BaseException:
            made.close()
            raise
    assert refused is not None
    raise refused


def _reason(error: Exception, address: str) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.errno:
        # asyncio's own text is for programmers: "[Errno 111] Connect call failed ('127.0.0.1', 9)".
        return f"failed to connect to {address} in the pod: {os.strerror(error.errno)}"
    return str(error)
