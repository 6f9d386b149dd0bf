"""A client's HTTP request repeated on another connection, and the answer given back.

For `proxy` of pods, services and nodes, after step 5 of a pod's walk. Bodies pass piece by piece in both
directions, whatever their size, and are not decompressed, but for HTML. What proves who the client is (its
Authorization header, impersonation) ends here: it was for the API server, and the other side is whoever
made the pod. A Location that points to the other side is turned to point back through the proxy, and so
are the links of a page of HTML (`control/apiserver/agents/links.py`). An upgrade (WebSocket and others)
becomes a tunnel.

Concurrency: one connection per request, closed with it; each side waits for the other.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

import aiohttp
from aiohttp import web
from aiohttp.client_proto import ResponseHandler
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from api import errors
from control.apiserver.agents.links import READABLE, Links, Readable
from control.apiserver.agents.tunnel import tunnel

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Dial = Callable[[], Awaitable[Streams]]

_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"}
    | {"te", "trailer", "transfer-encoding", "upgrade"}
)
_SECRETS = frozenset({"authorization", "impersonate-user", "impersonate-group", "impersonate-uid"})
_SECRET_PREFIXES = ("impersonate-extra-", "x-remote-")
_ALREADY_OURS = frozenset({"content-length", "audit-id", "server", "date"})
# Others, such as HTTP/2's, are offers that the other side may ignore, and then the request is a plain one.
_UPGRADES = frozenset({"websocket", "spdy/3.1"})
_CORS = "access-control-"
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Destination:
    """The other side: how to reach it, and what it is called in URLs."""

    scheme: str
    host: str
    dial: Dial


async def forward(
    http: web.BaseRequest, destination: Destination, *, path: str, prefix: str, audit_id: str
) -> web.StreamResponse:
    """Answer the request with what the destination answers to `path` (query included)."""
    reader, writer = await destination.dial()
    if destination.scheme == "https":
        await _secure(writer, destination)
    headers = request_headers(http.headers, prefix=prefix, path=path)
    if http.headers.get("Upgrade", "").lower() in _UPGRADES:
        return await tunnel(
            http, reader, writer, host=http.headers.get("Host", ""), path=path, more=headers
        )
    connector = Given(writer)
    url = URL(f"http://{destination.host}{path}", encoded=True)
    try:
        async with aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        ) as session:
            answer = await session.request(
                http.method,
                url,
                headers=headers,
                data=http.content.iter_chunked(_PIECE) if http.can_read_body else None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None),
            )
            async with answer:
                return await _give_back(http, answer, destination, prefix, audit_id)
    except aiohttp.ClientError as error:
        raise unreachable(destination, error) from None
    finally:
        writer.transport.abort()


def unreachable(destination: Destination, error: object) -> errors.ApiError:
    """The other side did not answer in HTTP."""
    return errors.unavailable(f"error trying to reach {destination.host}: {error}")


async def _secure(writer: asyncio.StreamWriter, destination: Destination) -> None:
    """TLS without checks: a pod's certificate is nobody's we know, as in Kubernetes."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        await writer.start_tls(context)
    except (OSError, ssl.SSLError) as error:
        writer.transport.abort()
        raise unreachable(destination, error) from None


class Given(aiohttp.BaseConnector):
    """A connector with one connection, which is open already."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        super().__init__(force_close=True)
        self._writer = writer

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> ResponseHandler:
        protocol = self._factory()
        transport = self._writer.transport
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        cast(asyncio.Transport, transport).resume_reading()
        return protocol


def request_headers(
    headers: CIMultiDictProxy[str] | CIMultiDict[str], *, prefix: str, path: str
) -> CIMultiDict[str]:
    """What of the client's headers the other side gets. Pure."""
    dropped = _HOP | _SECRETS | _connection_options(headers)
    kept: CIMultiDict[str] = CIMultiDict()
    for name, value in headers.items():
        lower = name.lower()
        if lower in dropped or lower.startswith(_SECRET_PREFIXES):
            continue
        kept.add(name, value)
    kept["X-Forwarded-Host"] = headers.get("Host", "")
    kept["X-Forwarded-Proto"] = "https"
    kept["X-Forwarded-Uri"] = prefix + path.partition("?")[0]
    return kept


def _connection_options(headers: CIMultiDictProxy[str] | CIMultiDict[str]) -> frozenset[str]:
    """Headers that the sender says are for the next hop alone."""
    return frozenset(
        option.strip().lower()
        for value in headers.getall("Connection", [])
        for option in value.split(",")
    )


def response_headers(
    headers: CIMultiDictProxy[str] | CIMultiDict[str], destination: Destination, prefix: str
) -> CIMultiDict[str]:
    """What of the answer's headers the client gets. Pure."""
    dropped = _HOP | _ALREADY_OURS | _connection_options(headers)
    kept: CIMultiDict[str] = CIMultiDict()
    for name, value in headers.items():
        lower = name.lower()
        # A pod must not open the API's own origin to other sites.
        if lower in dropped or lower.startswith(_CORS):
            continue
        if lower in ("location", "content-location"):
            value = through_proxy(value, destination, prefix)
        kept.add(name, value)
    return kept


def through_proxy(location: str, destination: Destination, prefix: str) -> str:
    """A URL of the other side as the client can follow it; others stay as they are. Pure."""
    parts = urlsplit(location)
    if parts.netloc and parts.netloc != destination.host:
        return location
    if not parts.netloc and not parts.path.startswith("/"):
        return location  # relative to where the client is: that goes through the proxy already
    path = parts.path if parts.path.startswith("/") else "/" + parts.path
    if not parts.netloc and (path == prefix or path.startswith(prefix + "/")):
        return location  # the other side knows where it stands (X-Forwarded-Uri)
    return urlunsplit(("", "", prefix + path, parts.query, parts.fragment))


async def _give_back(
    http: web.BaseRequest,
    answer: aiohttp.ClientResponse,
    destination: Destination,
    prefix: str,
    audit_id: str,
) -> web.StreamResponse:
    headers = response_headers(answer.headers, destination, prefix)
    headers["Audit-Id"] = audit_id
    rewritten = has_links(answer.status, answer.headers)
    if rewritten:
        headers.popall("Content-Encoding", None)
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    length = answer.headers.get("Content-Length", "")
    if length.isdigit() and not rewritten:
        response.content_length = int(length)
    await response.prepare(http)
    if http.method != "HEAD":
        try:
            async for piece in _pieces(answer, destination, prefix, rewritten=rewritten):
                if piece:
                    await response.write(piece)
        except (aiohttp.ClientError, zlib.error):
            # An answer that breaks off must not look complete.
            if http.transport is not None:
                http.transport.abort()
            return response
    await response.write_eof()
    return response


async def _pieces(
    answer: aiohttp.ClientResponse, destination: Destination, prefix: str, *, rewritten: bool
) -> AsyncIterator[bytes]:
    if not rewritten:
        async for piece in answer.content.iter_any():
            yield piece
        return
    links = Links(lambda url: link(url, destination, prefix))
    readable = Readable(_encoding(answer.headers))
    async for piece in answer.content.iter_any():
        for plain in readable.pieces(piece):
            yield links.feed(plain)
    yield links.close()


def has_links(status: int, headers: CIMultiDictProxy[str] | CIMultiDict[str]) -> bool:
    """Whether the answer is a page of HTML that can be read here, and a whole one. Pure."""
    media_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return media_type == "text/html" and status != 206 and _encoding(headers) in READABLE


def _encoding(headers: CIMultiDictProxy[str] | CIMultiDict[str]) -> str:
    return ", ".join(headers.getall("Content-Encoding", [])).strip().lower()


def link(url: str, destination: Destination, prefix: str) -> str:
    """As `through_proxy`, for what stands in a page: there a bare `#top` or nonsense may be. Pure."""
    try:
        return through_proxy(url, destination, prefix) if url else url
    except ValueError:
        return url


def with_query(path: str, raw_query: str) -> str:
    return f"{path}?{raw_query}" if raw_query else path
