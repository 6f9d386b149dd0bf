"""A SPDY connection seen from its server: streams that the client opens, each a duplex of bytes.

Between a link and what is done with the streams (exec, attach, port-forward), after step 5 of a pod's
walk. SPDY's own windows are not kept, as no client of Kubernetes has ever kept them: a stream that is
not read stops the whole connection once UNREAD bytes of it wait, as it does in a kubelet.

Concurrency: `serve` owns a task that reads the link, one that sends PING and watches for idleness, one
that carries the link, and runs `work`; the end of any ends all. A PING every half minute is how a
client that was killed while nobody could read from it is noticed: what is sent to it comes to nothing.

Bounds: STREAMS streams, UNREAD bytes of each (and one piece more), CONTROL bytes of replies that the
client does not take. Beyond them a stream is refused, the client waits, or the connection ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping

from agent.server.links import Disconnected, Link
from api import spdy
from api.spdy import Reason, SpdyError
from base.clock import Clock

log = logging.getLogger(__name__)

STREAMS = 4096
UNREAD = 128 * 1024
CONTROL = 4 * 2**20
PIECE = 32 * 1024
"""Bytes of a data frame that we send: small, so that streams take turns."""
PING_SECONDS = 30.0
IDLE_SECONDS = 4 * 3600.0
"""Without a stream opened and without data; the kubelet's streamingConnectionIdleTimeout."""
LINGER_SECONDS = 5.0
"""For the client to hang up after the end; sooner, what is under way to it could be lost."""


class StreamReset(Exception):
    """This stream has ended before its time; the connection lives on."""


class SpdyStream:
    """One stream. One reader and one writer at a time."""

    def __init__(
        self, connection: SpdyConnection, number: int, headers: Mapping[str, str], *, ended: bool
    ) -> None:
        self.number = number
        self.headers = headers
        self._connection = connection
        self._arrived: deque[bytes] = deque()
        self._unread = 0
        self._ended = ended
        self._finished = False
        self._was_reset = False
        self._news = asyncio.Event()

    async def read(self) -> bytes:
        """The next bytes; empty when the client has closed its half. Raises StreamReset."""
        while not self._arrived:
            if self._was_reset:
                raise StreamReset(f"stream {self.number} was reset")
            if self._ended:
                return b""
            self._news.clear()
            await self._news.wait()
        data = self._arrived.popleft()
        self._unread -= len(data)
        self._connection.taken()
        return data

    async def write(self, data: bytes) -> None:
        """Send, and wait while the client does not take it. Raises StreamReset, Disconnected."""
        for at in range(0, len(data), PIECE):
            if self._was_reset or self._finished:
                raise StreamReset(f"stream {self.number} is closed")
            self._connection.send(spdy.Data(self.number, data[at : at + PIECE]))
            await self._connection.drain()

    def finish(self) -> None:
        """Close our half. May be called twice."""
        if not self._finished and not self._was_reset:
            self._finished = True
            self._connection.send(spdy.Data(self.number, b"", fin=True))
            self._forget_if_over()

    def reset(self, reason: Reason = Reason.CANCEL) -> None:
        """End both halves and drop what was not read. May be called twice."""
        if not self._was_reset and not (self._ended and self._finished):
            self._connection.send(spdy.RstStream(self.number, reason))
        self.drop()

    # What the connection calls.

    @property
    def full(self) -> bool:
        return self._unread > UNREAD

    def feed(self, data: bytes, *, fin: bool) -> None:
        if data and not self._ended:
            self._arrived.append(data)
            self._unread += len(data)
        if fin:
            self._ended = True
            self._forget_if_over()
        self._news.set()

    def drop(self) -> None:
        self._was_reset = True
        self._arrived.clear()
        self._unread = 0
        self._news.set()
        self._connection.forget(self)

    def _forget_if_over(self) -> None:
        if self._ended and self._finished:
            self._connection.forget(self)


class SpdyConnection:
    """The streams of one client."""

    def __init__(self, link: Link, clock: Clock) -> None:
        self._link = link
        self._clock = clock
        self._encoder, self._decoder = spdy.Encoder(), spdy.Decoder()
        self._streams: dict[int, SpdyStream] = {}
        self._opened: asyncio.Queue[SpdyStream] = asyncio.Queue()
        self._taken = asyncio.Event()
        self._last = 0
        self._active = clock.monotonic()
        self._discarding = False

    async def accept(self) -> SpdyStream:
        """The next stream that the client opens. It has its reply already."""
        return await self._opened.get()

    def statistics(self) -> dict[str, float]:
        return {"streams": float(len(self._streams)), "waiting": float(self._link.waiting())}

    def send(self, frame: spdy.Frame) -> None:
        if isinstance(frame, spdy.Data):
            self._active = self._clock.monotonic()
        elif self._link.waiting() > CONTROL:
            raise SpdyError("the client asks for answers that it does not read")
        self._link.send(self._encoder.encode(frame))

    async def drain(self) -> None:
        await self._link.drain()

    def taken(self) -> None:
        self._taken.set()

    def forget(self, stream: SpdyStream) -> None:
        self._streams.pop(stream.number, None)
        self._taken.set()

    def discard(self) -> None:
        """From now on what arrives is read and dropped."""
        self._discarding = True
        for stream in list(self._streams.values()):
            stream.drop()

    async def read(self) -> None:
        """Take what the client sends, until it has gone. Raises Disconnected, SpdyError."""
        while data := await self._link.receive():
            for frame in self._decoder.feed(data):
                self._take(frame)
            # Not before the next piece: who reads that piece would have to read this one first.
            while any(stream.full for stream in self._streams.values()):
                self._taken.clear()
                await self._taken.wait()
        raise Disconnected("the client closed the connection")

    async def keep(self) -> None:
        """PING, and end what is not used. Raises Disconnected."""
        number = 0
        while True:
            await self._clock.sleep(PING_SECONDS)
            if self._clock.monotonic() - self._active > IDLE_SECONDS:
                raise Disconnected("nothing happened for too long")
            number = (number + 2) % 2**31  # even, as the server's are
            self.send(spdy.Ping(number))

    def _take(self, frame: spdy.Frame) -> None:
        match frame:
            case spdy.Data(number, data, fin):
                self._active = self._clock.monotonic()
                # Of no known stream: it was under way when we ended the stream.
                if (stream := self._streams.get(number)) is not None:
                    stream.feed(data, fin=fin)
            case spdy.SynStream(number, headers, fin):
                self._open(number, headers, fin)
            case spdy.RstStream(number, _):
                if (stream := self._streams.get(number)) is not None:
                    stream.drop()
            case spdy.Ping(number) if number % 2:
                self.send(frame)
            case spdy.GoAway():
                pass  # it opens no more streams; those that are open go on
            case _:
                pass  # settings, windows, answers to our PING, later headers: nothing to do

    def _open(self, number: int, headers: Mapping[str, str], fin: bool) -> None:
        if number % 2 == 0 or number <= self._last:
            raise SpdyError(f"a client cannot open stream {number} after {self._last}")
        self._last = number
        self._active = self._clock.monotonic()
        if self._discarding or len(self._streams) >= STREAMS:
            self.send(spdy.RstStream(number, Reason.REFUSED_STREAM))
            return
        stream = SpdyStream(self, number, headers, ended=fin)
        self._streams[number] = stream
        self.send(spdy.SynReply(number))
        self._opened.put_nowait(stream)

    def say_goodbye(self, reason: int = 0) -> None:
        self._link.send(self._encoder.encode(spdy.GoAway(self._last, reason)))


async def serve(
    link: Link, clock: Clock, work: Callable[[SpdyConnection], Awaitable[None]]
) -> None:
    """Speak SPDY on the link while `work` lasts or until the client is gone; then hang up."""
    connection = SpdyConnection(link, clock)
    try:
        async with asyncio.TaskGroup() as group:
            carrying = group.create_task(link.carry())
            reading = group.create_task(connection.read())
            keeping = group.create_task(connection.keep())
            await work(connection)
            connection.say_goodbye()
            connection.discard()
            async with asyncio.timeout(LINGER_SECONDS):
                await asyncio.wait([reading])
            keeping.cancel()
            carrying.cancel()
    except* (Disconnected, TimeoutError) as gone:
        log.debug("SPDY connection ended: %s", gone.exceptions[0])
    except* SpdyError as broken:
        log.info("SPDY connection ended: %s", broken.exceptions[0])
        connection.say_goodbye(Reason.PROTOCOL_ERROR)
    finally:
        connection.discard()
        await link.close()
