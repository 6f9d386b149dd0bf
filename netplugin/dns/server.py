"""The DNS server of a node: UDP and TCP on the cluster's DNS address (step 6 of the pod's walk).

Names of the cluster are answered from the zone, right in the packet's own callback: the work is a
few dictionary look-ups and packing, and the packed answer is kept until the zone changes, because
pods ask the same few names again and again, five times each with a search path. Everything else goes
to the node's resolvers in a task of its own, guarded.

Concurrency: one event loop. Queues: answers kept, at most `MAX_KEPT`; questions upstream are bounded
in `upstream`; TCP connections at most `MAX_CONNECTIONS`, each closed after `IDLE` seconds of silence.
Invariant: an answer is made from one zone, never from two.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from ipaddress import IPv4Address
from typing import Any

from base.errors import PermanentError
from base.tasks import TaskGuard
from netplugin.dns import message
from netplugin.dns.message import MalformedError, Query
from netplugin.dns.upstream import NoAnswerError, Upstream
from netplugin.dns.zone import Answer, Zone
from netplugin.namespaces import Namespace, run_inside

log = logging.getLogger(__name__)

MAX_KEPT = 10_000
MAX_CONNECTIONS = 200
MAX_TCP = 65535
IDLE = 10.0


class DnsServer:
    """Answers on one address."""

    def __init__(
        self,
        *,
        address: IPv4Address,
        domain: str,
        nothing: Zone,
        upstream: Upstream,
        guard: TaskGuard,
        shuffle: random.Random,
        port: int = 53,
        namespace: Namespace = None,
    ) -> None:
        """`nothing` is an empty zone: until the first real one, its names are not yet known."""
        self._address = address
        self._port = port
        self._domain = domain
        self._zone = nothing
        self._loaded = False
        self._upstream = upstream
        self._guard = guard
        self._shuffle = shuffle
        self._namespace = namespace
        self._kept: dict[tuple[bytes, bool, bool], bytes] = {}
        # by question, EDNS and whether recursion was desired, which the answer repeats
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._connections = 0
        self._counts = {"queries": 0, "kept_hits": 0, "failures": 0, "malformed": 0}

    async def start(self) -> None:
        """Listen. The address must be on a link of the node."""
        loop = asyncio.get_running_loop()
        try:
            udp, tcp = run_inside(self._namespace, self._sockets)
        except OSError as error:
            raise PermanentError(
                f"cannot answer names on {self._address}:{self._port}: {error.strerror}",
                hint="Another DNS server may be listening on all addresses of this machine; "
                "bind it to particular ones.",
            ) from error
        self._udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=udp)
        self._tcp = await asyncio.start_server(self._serve_connection, sock=tcp)
        log.info("answering names on %s:%d", self._address, self._port)

    async def stop(self) -> None:
        """Safe to call twice."""
        if self._udp is not None:
            self._udp.close()
            self._udp = None
        if self._tcp is not None:
            self._tcp.close()
            self._tcp = None

    def set_zone(self, zone: Zone) -> None:
        """Answer from this zone from now on."""
        self._zone = zone
        self._loaded = True
        self._kept.clear()

    def statistics(self) -> dict[str, float]:
        own: dict[str, float] = {**self._counts, "kept": len(self._kept)}
        own["connections"] = self._connections
        own |= {f"zone_{name}": value for name, value in self._zone.statistics().items()}
        own |= {f"upstream_{name}": value for name, value in self._upstream.statistics().items()}
        return own

    def answer_now(self, packet: bytes, *, tcp: bool) -> bytes | Query | None:
        """The answer if it can be known at once, the question if it must be asked upstream, or None
        for what deserves no answer."""
        self._counts["queries"] += 1
        try:
            query = message.read(packet)
        except MalformedError as error:
            self._counts["malformed"] += 1
            return None if error.rcode is None else message.error(packet, error.rcode)
        key = (query.question.lower(), query.edns, query.recursion)
        kept = self._kept.get(key)
        if kept is not None and (tcp or len(kept) <= query.limit):
            self._counts["kept_hits"] += 1
            return message.readdressed(kept, query)
        if not self._zone.owns(query.name):
            return query
        if not self._loaded:  # not "no such name": the client shall ask again
            return message.failure(query, message.SERVER_FAILURE)
        if not query.plain:
            return message.failure(query, message.NO_SUCH_NAME)
        found = self._zone.answer(query.name, query.kind_name)
        if found.chase:
            return query
        try:
            whole = message.answer(query, self._shuffled(found), domain=self._domain)
        except MalformedError:
            return message.failure(query, message.SERVER_FAILURE)
        # Several addresses are given in a new order each time, because most clients take the first.
        if len(found.records) < 2 and len(self._kept) < MAX_KEPT:
            self._kept[key] = whole
        return _fitting(whole, query, tcp=tcp)

    async def answer_later(self, query: Query, *, tcp: bool) -> bytes:
        """The answer with the help of other resolvers."""
        try:
            if self._zone.owns(query.name):
                return _fitting(await self._chase(query), query, tcp=tcp)
            return await self._upstream.ask(query, tcp=tcp)
        except NoAnswerError as error:
            self._counts["failures"] += 1
            log.debug("%s", error)
            return message.failure(query, message.SERVER_FAILURE)

    async def _chase(self, query: Query) -> bytes:
        """An ExternalName: our CNAME together with what it leads to."""
        found = self._zone.answer(query.name, query.kind_name)
        try:
            if not found.chase:  # the zone has changed since
                return message.answer(query, found, domain=self._domain)
            question = message.question_for(found.chase, query.kind)
            onward = message.read(message.ask(query.id, question, edns=True))
            chased = await self._upstream.ask(onward, tcp=False)
            if message.is_truncated(chased):
                chased = await self._upstream.ask(onward, tcp=True)
            return message.answer(query, found, domain=self._domain, chased=chased)
        except MalformedError as error:
            raise NoAnswerError(f"{found.chase} cannot be resolved: {error}") from error

    def _shuffled(self, found: Answer) -> Answer:
        if len(found.records) < 2:
            return found
        records = self._shuffle.sample(found.records, len(found.records))
        return Answer(found.outcome, tuple(records), found.additional)

    def datagram(self, packet: bytes, peer: Any) -> None:
        """A UDP packet came."""
        answer = self.answer_now(packet, tcp=False)
        if isinstance(answer, Query):
            self._guard.start(self._answer_datagram(answer, peer), name=f"dns {answer.name}")
        elif answer is not None:
            self._send(answer, peer)

    async def _answer_datagram(self, query: Query, peer: Any) -> None:
        self._send(await self.answer_later(query, tcp=False), peer)

    def _send(self, packet: bytes, peer: Any) -> None:
        if self._udp is not None and not self._udp.is_closing():
            self._udp.sendto(packet, peer)

    async def _serve_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self._connections >= MAX_CONNECTIONS:
            writer.close()
            return
        self._connections += 1
        try:
            while True:
                async with asyncio.timeout(IDLE):
                    length = int.from_bytes(await reader.readexactly(2), "big")
                    packet = await reader.readexactly(length)
                answer = self.answer_now(packet, tcp=True)
                if isinstance(answer, Query):
                    answer = await self.answer_later(answer, tcp=True)
                if answer is None:
                    return
                writer.write(len(answer).to_bytes(2, "big") + answer)
                async with asyncio.timeout(IDLE):
                    await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return  # the client is gone, or silent for too long
        finally:
            self._connections -= 1
            writer.close()

    def _sockets(self) -> tuple[socket.socket, socket.socket]:
        place = (str(self._address), self._port)
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            udp.bind(place)
            tcp = socket.create_server(place, backlog=64)
        except OSError:
            udp.close()
            raise
        tcp.setblocking(False)
        return udp, tcp


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._server.datagram(data, addr)


def _fitting(whole: bytes, query: Query, *, tcp: bool) -> bytes:
    fits = len(whole) <= (MAX_TCP if tcp else query.limit)
    return whole if fits else message.truncated(whole, query)
