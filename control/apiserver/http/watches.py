"""Watches over HTTP: one JSON object per line, sent as it happens, for as long as the client wants.

Serves step 2 of the pod's walk. Headers go out at once, because clients wait for them. The encoding
of an event is made once and shared by all watchers of the same form. A write that the client does
not take within a deadline ends its watch: what waits for it is bounded by the subscription (in
events) and by the transport's buffer (in bytes), so a stalled client costs little, for a short time,
and holds up nobody. An error that comes up on the way is sent as an ERROR event, as there can be no
other status code after 200.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from aiohttp import web

from api import errors
from api.errors import ApiError
from api.meta import ListOptions
from api.scheme import Resource
from base.clock import Clock
from control.apiserver.http import responses
from control.apiserver.http.context import ApiRequest
from control.apiserver.http.forms import Presenter
from control.apiserver.http.negotiation import JSON, Shape
from control.apiserver.registry.registry import Registry
from control.apiserver.registry.versions import Version
from control.apiserver.registry.watching import Opened, open_watch
from control.store.errors import CompactedError
from control.store.subscription import CachedEvent, Subscription

BOOKMARK_SECONDS = 60.0
WRITE_DEADLINE = 30.0
"""Seconds a client may take to make room for more."""

# Watches without a timeout end by themselves after half an hour to an hour, as Kubernetes' do, so
# that clients spread over several servers again; the randomness keeps them from coming back at once.
_MIN_TIMEOUT = 1800.0

_END = 0.5  # a bookmark goes out this long before the timeout


class WatchStreams:
    """Serves watches, and knows how many there are."""

    def __init__(self, registry: Registry, clock: Clock, random_source: random.Random) -> None:
        self._registry = registry
        self._clock = clock
        self._random = random_source
        self._open: set[Subscription] = set()
        self._served = 0
        self._stalled = 0
        self._streams: set[_Stream] = set()
        self._ended: Counter[Resource] = Counter()

    def statistics(self) -> dict[str, float]:
        return {"active": len(self._open), "served": self._served, "stalled": self._stalled}

    def events(self) -> Mapping[Resource, int]:
        """Events that were sent, by resource."""
        sent = Counter(self._ended)
        for stream in self._streams:
            sent[stream.resource] += stream.sent
        return sent

    def close(self) -> None:
        """End every watch, politely: clients go on elsewhere, or here after a restart."""
        for subscription in self._open:
            subscription.close("the server is shutting down")

    async def serve(
        self, request: ApiRequest, version: Version, options: ListOptions, presenter: Presenter
    ) -> web.StreamResponse:
        if request.form().media_type != JSON:
            raise errors.not_acceptable((f"{JSON};stream=watch", JSON))
        opened = await open_watch(
            self._registry, version.kind, options, namespace=request.target.namespace
        )
        timeout = options.timeout_seconds or _MIN_TIMEOUT * (1 + self._random.random())
        response = web.StreamResponse(
            headers={
                "Content-Type": JSON,
                "Audit-Id": request.audit_id,
                "Cache-Control": responses.UNKEPT,
                "Server": responses.SERVER,
            }
        )
        responses.add_warnings(response.headers, request.call.warnings)
        response.enable_chunked_encoding()
        self._open.add(opened.subscription)
        self._served += 1
        stream = _Stream(version, presenter, response, options.allow_watch_bookmarks)
        self._streams.add(stream)
        try:
            await response.prepare(request.http)
            await stream.send_initial(opened)
            request.ticket.release()  # from here on it is told what happens, and asks nothing
            await self._send(stream, opened, float(timeout))
            await response.write_eof()
        except TimeoutError:
            self._stalled += 1
            _abort(request.http)
        finally:
            self._open.discard(opened.subscription)
            self._streams.discard(stream)
            self._ended[stream.resource] += stream.sent
            opened.subscription.close()
        return response

    async def _send(self, stream: _Stream, opened: Opened, timeout: float) -> None:
        ends = self._clock.monotonic() + timeout
        bookmark = self._next_bookmark()
        while True:
            now = self._clock.monotonic()
            if now >= ends - _END:
                await stream.bookmark(opened.subscription.progress)
                return
            until = min(ends - _END, bookmark)
            try:
                async with asyncio.timeout(max(0.0, until - now)):
                    events = await opened.subscription.batch()
            except TimeoutError:
                if self._clock.monotonic() >= bookmark:
                    await stream.bookmark(opened.subscription.progress)
                    bookmark = self._next_bookmark()
                continue
            except StopAsyncIteration:
                return  # closed by the server: the client resumes where it was
            except CompactedError:
                await stream.error(
                    errors.expired("The resourceVersion for the provided watch is too old.")
                )
                return
            await stream.send(events)

    def _next_bookmark(self) -> float:
        jitter = 0.75 + self._random.random() / 4
        return self._clock.monotonic() + BOOKMARK_SECONDS * jitter


class _Stream:
    """Frames of one watch, written to its client."""

    def __init__(
        self,
        version: Version,
        presenter: Presenter,
        response: web.StreamResponse,
        bookmarks: bool,
    ) -> None:
        self._version = version
        self._presenter = presenter
        self._response = response
        self._bookmarks = bookmarks
        self._definitions_sent = False
        self.resource = version.resource
        self.sent = 0

    async def send_initial(self, opened: Opened) -> None:
        bodies = await self._version.to_served([item.body for item in opened.initial])
        await self._write_all(self._frame("ADDED", body) for body in bodies)
        if opened.announce_end:
            await self.bookmark(opened.revision, initial_end=True)

    async def send(self, events: Sequence[CachedEvent]) -> None:
        if self._version.conversion is None:
            await self._write_all(map(self._event, events))
            return
        bodies = await self._version.of_events(events)
        await self._write_all(map(self._event, events, bodies))

    async def _write_all(self, frames: Iterable[bytes]) -> None:
        """Join small frames, and never more than a bounded number of bytes."""
        chunk: list[bytes] = []
        size = 0
        for frame in frames:
            self.sent += 1
            chunk.append(frame)
            size += len(frame)
            if size > responses.STREAM_CHUNK:
                await self._write(b"".join(chunk))
                chunk.clear()
                size = 0
        if chunk:
            await self._write(b"".join(chunk))

    async def bookmark(self, revision: int, *, initial_end: bool = False) -> None:
        if not self._bookmarks:
            return
        body = self._presenter.bookmark(revision, initial_end=initial_end)
        await self._write(_line("BOOKMARK", body))

    async def error(self, error: ApiError) -> None:
        await self._write(_line("ERROR", responses.encode(error.status)))

    def _event(self, event: CachedEvent, converted: bytes | None = None) -> bytes:
        if self._presenter.plain and self._version.conversion is None:
            return event.form("", _plain)

        def frame(event: CachedEvent) -> bytes:
            return self._frame(event.type, event.entry.body if converted is None else converted)

        if self._presenter.shape is not Shape.TABLE:
            return event.form(self._presenter.name, frame)
        return frame(event)  # a row holds an age, which does not keep

    def _frame(self, type_: str, body: bytes) -> bytes:
        shown = self._presenter.one(body, definitions=not self._definitions_sent)
        self._definitions_sent = True
        return _line(type_, shown)

    async def _write(self, frames: bytes) -> None:
        async with asyncio.timeout(WRITE_DEADLINE):
            await self._response.write(frames)


def _plain(event: CachedEvent) -> bytes:
    return _line(event.type, event.entry.body)


def _line(type_: str, body: bytes) -> bytes:
    return b'{"type":"%b","object":%b}\n' % (type_.encode(), body)


def _abort(http: web.BaseRequest) -> None:
    """Drop a connection whose client does not read: a polite end would wait for it again."""
    transport = http.transport
    if transport is not None:
        transport.abort()
