"""Names outside of the cluster: asked of the node's own resolvers, on behalf of pods.

Each question goes over a fresh socket (its random port is half of the protection against forged
answers) to one resolver after another until one answers usefully. Equal questions in flight share
one exchange; that also breaks loops: should a resolver of the node send its questions back to us,
the returned question finds the first in flight, waits with it, and both fail after the deadline,
instead of one question becoming thousands.

resolv.conf is read again when it changes (a laptop moves, DHCP renews). Our own address in it is
left out: it would be the shortest loop of all.

Concurrency: one event loop. At most `MAX_IN_FLIGHT` different questions at once; the next ones are
refused at once, so that an unreachable resolver cannot fill the memory with waiting questions.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path

from base.errors import TemporaryError
from netplugin.dns import message, resolvconf
from netplugin.dns.message import Query
from netplugin.namespaces import Namespace, run_inside

log = logging.getLogger(__name__)

MAX_IN_FLIGHT = 500
TIMEOUT = 2.0
"""Seconds that one resolver has; with two rounds over two resolvers it stays near the 5 s after
which the C library asks again by itself."""
ROUNDS = 2
DEADLINE = 6.0
PORT = 53

_Question = tuple[bytes, bool, bool]


class NoAnswerError(TemporaryError):
    """No resolver answered usefully."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the resolvers' addresses come from."""

    fixed: tuple[str, ...] = ()
    """`address` or `address:port`; empty: those of the file."""
    file: Path
    own: IPv4Address
    """Our own address, never asked."""


class Upstream:
    """Asks the node's resolvers."""

    def __init__(self, source: Source, *, namespace: Namespace = None) -> None:
        self._source = source
        self._namespace = namespace
        self._read: tuple[float, tuple[tuple[str, int], ...]] = (-1.0, ())
        self._in_flight: dict[_Question, asyncio.Future[bytes]] = {}
        self._asked = 0
        self._failed = 0
        self._shared = 0

    async def ask(self, query: Query, *, tcp: bool) -> bytes:
        """A resolver's answer, under the query's id and question."""
        key = (query.question.lower(), query.edns, tcp)
        running = self._in_flight.get(key)
        if running is not None:
            self._shared += 1
            return message.readdressed(await asyncio.shield(running), query)
        if len(self._in_flight) >= MAX_IN_FLIGHT:
            self._failed += 1
            raise NoAnswerError(f"{MAX_IN_FLIGHT} questions are waiting for an upstream resolver")
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._in_flight[key] = future
        try:
            async with asyncio.timeout(DEADLINE):
                answer = await self._ask_all(query, tcp=tcp)
        except (NoAnswerError, TimeoutError) as error:
            self._failed += 1
            failure = NoAnswerError(f"no upstream resolver answered for {query.name}")
            future.set_exception(failure)
            future.exception()  # seen, also when nobody shares it
            raise failure from error
        except BaseException:
            future.set_exception(NoAnswerError(f"the question for {query.name} was given up"))
            future.exception()
            raise
        else:
            future.set_result(answer)
            return message.readdressed(answer, query)
        finally:
            del self._in_flight[key]

    def resolvers(self) -> tuple[tuple[str, int], ...]:
        """Whom we ask, in order."""
        if self._source.fixed:
            return _usable(self._source.fixed, self._source.own)
        try:
            changed = self._source.file.stat().st_mtime
            if changed == self._read[0]:
                return self._read[1]
            text = self._source.file.read_text()
        except OSError:
            return ()
        else:
            conf = resolvconf.parse(text)
            self._read = (changed, _usable(conf.nameservers, self._source.own))
            log.info("upstream resolvers: %s", self._read[1] or "none")
            return self._read[1]

    def statistics(self) -> dict[str, float]:
        return {
            "asked": self._asked,
            "failed": self._failed,
            "shared": self._shared,
            "in_flight": len(self._in_flight),
        }

    async def _ask_all(self, query: Query, *, tcp: bool) -> bytes:
        exchange = _over_tcp if tcp else _over_udp
        last: bytes | None = None
        for _ in range(ROUNDS):
            for resolver in self.resolvers():
                answer = await self._ask_one(exchange, resolver, query)
                if answer is not None and message.rcode(answer) != message.SERVER_FAILURE:
                    return answer
                last = answer or last
        if last is None:
            raise NoAnswerError("no upstream resolver answered")
        return last

    async def _ask_one(
        self,
        exchange: Callable[[socket.socket, bytes], Awaitable[bytes]],
        resolver: tuple[str, int],
        query: Query,
    ) -> bytes | None:
        ident = secrets.randbelow(0x10000)
        packet = message.ask(ident, query.question, edns=query.edns)
        self._asked += 1
        kind = socket.SOCK_STREAM if exchange is _over_tcp else socket.SOCK_DGRAM
        with run_inside(self._namespace, lambda: socket.socket(socket.AF_INET, kind)) as sock:
            sock.setblocking(False)
            try:
                async with asyncio.timeout(TIMEOUT):
                    await asyncio.get_running_loop().sock_connect(sock, resolver)
                    while True:
                        answer = await exchange(sock, packet)
                        if message.answers_question(answer, ident, query.question):
                            return answer
                        packet = b""  # a stray or forged packet: go on listening
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                log.debug("resolver %s: %r", resolver, error)
                return None


async def _over_udp(sock: socket.socket, packet: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    if packet:
        await loop.sock_sendall(sock, packet)
    return await loop.sock_recv(sock, 65535)


async def _over_tcp(sock: socket.socket, packet: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    if packet:
        await loop.sock_sendall(sock, len(packet).to_bytes(2, "big") + packet)
    length = int.from_bytes(await _exactly(sock, 2), "big")
    return await _exactly(sock, length)


async def _exactly(sock: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        piece = await asyncio.get_running_loop().sock_recv(sock, count - len(received))
        if not piece:
            raise asyncio.IncompleteReadError(received, count)
        received += piece
    return received


def _usable(servers: Sequence[str], own: IPv4Address) -> tuple[tuple[str, int], ...]:
    found = []
    for server in servers:
        address, _, port = server.partition(":")
        try:
            if IPv4Address(address) != own:
                found.append((address, int(port or PORT)))
        except (AddressValueError, ValueError):
            log.debug("upstream resolver %s is not an IPv4 address", server)
    return tuple(found)
