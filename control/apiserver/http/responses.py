"""Answers: bytes that are ready, Status objects, plain text; compressed when that is worth it.

Serves step 1 of the pod's walk. Bodies are already encoded when they come here. A large answer is
compressed only for clients that ask, off the event loop, at the level where speed is best.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterable

import msgspec
from aiohttp import web
from multidict import CIMultiDict

from api.errors import ApiError
from api.meta import Status, StatusDetails
from control.apiserver.http.negotiation import JSON, YAML, negotiate

_ENCODER = msgspec.json.Encoder()
_GZIP_FROM = 128 * 1024
_GZIP_LEVEL = 1
_PIECES_FROM = 1024 * 1024
_READ_BY_PEOPLE = ("curl", "Wget", "Mozilla/5.0")
_YES = ("1", "t", "true")
_GZIP_WINDOW = 31  # a gzip header around the deflate stream

SERVER = "podwright"
UNKEPT = "no-cache, private"
"""Nobody between us and the client keeps answers: they hold what only this client may see."""
_MOST_WARNINGS = 64
_MOST_WARNED = 4096
_LONGEST_WARNING = 256
STREAM_CHUNK = 256 * 1024
_YAML_IN_THREAD = 16 * 1024
STALL_SECONDS = 30.0


def json_response(body: bytes, *, code: int = 200, content_type: str = JSON) -> web.Response:
    """Bytes that are JSON already."""
    return web.Response(body=body, status=code, headers={"Content-Type": content_type})


def text_response(text: str, *, code: int = 200) -> web.Response:
    return web.Response(
        body=text.encode(),
        status=code,
        headers={
            "Content-Type": "text/plain; charset=utf-8",
            "X-Content-Type-Options": "nosniff",
        },
    )


def page_not_found() -> web.Response:
    """What Kubernetes answers for paths at which nothing is served: not a Status."""
    return text_response("404 page not found\n", code=404)


def status_response(error: ApiError, accept: str = "") -> web.Response:
    """An error, as clients expect it: in YAML for who asked for that."""
    body, media_type = _ENCODER.encode(error.status), JSON
    form = negotiate(accept)
    if form is not None and form.media_type == YAML and len(body) < _YAML_IN_THREAD:
        body, media_type = _yaml(body), YAML
    response = json_response(body, code=error.code, content_type=media_type)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    if error.code == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="podwright"'
    return response


def success_status(details: StatusDetails) -> bytes:
    return _ENCODER.encode(Status(status="Success", details=details))


def encode(value: object) -> bytes:
    return _ENCODER.encode(value)


def add_warnings(headers: CIMultiDict[str], warnings: Iterable[str]) -> None:
    """`Warning: 299 - "text"`, one header each; control characters cannot stand in a header.

    Many are cut, and of very many some are told: clients refuse an answer of more than a hundred
    headers (Python's), or whose headers are large. The limits of the text are Kubernetes'.
    """
    texts = list(warnings)
    longest = None if sum(map(len, texts)) <= _MOST_WARNED else _LONGEST_WARNING
    written = 0
    for text in texts[:_MOST_WARNINGS]:
        if written >= _MOST_WARNED:
            break
        clean = "".join(char if char.isprintable() else " " for char in text[:longest])
        quoted = clean.replace("\\", "\\\\").replace('"', '\\"')
        headers.add("Warning", f'299 - "{quoted}"')
        written += len(clean)


class Pieces(web.StreamResponse):
    """An answer that is made while it is sent: at no time is more of it in memory than one piece.

    A client that does not take a piece within STALL_SECONDS is dropped.
    """

    def __init__(self, pieces: AsyncIterator[bytes], content_type: str) -> None:
        super().__init__(headers={"Content-Type": content_type})
        self._pieces = pieces
        self.size = 0

    async def send(self, http: web.BaseRequest) -> None:
        """Headers, every piece, the end."""
        packed = "gzip" in http.headers.get("Accept-Encoding", "")
        if packed:
            self.headers["Content-Encoding"] = "gzip"
            self.headers["Vary"] = "Accept-Encoding"
        await self.prepare(http)
        if http.method != "HEAD":
            try:
                await self._send_all(packed)
            except TimeoutError:
                if http.transport is not None:
                    http.transport.abort()
                raise ConnectionResetError("the client does not read its answer") from None
        await self.write_eof()

    async def _send_all(self, packed: bool) -> None:
        compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW) if packed else None
        async for piece in self._pieces:
            self.size += len(piece)
            if compressor is not None:
                piece = await asyncio.to_thread(compressor.compress, piece)
            await self._take(piece)
            await asyncio.sleep(0)  # a client that reads fast makes nobody wait but itself
        if compressor is not None:
            await self._take(compressor.flush())

    async def _take(self, piece: bytes) -> None:
        if piece:
            async with asyncio.timeout(STALL_SECONDS):
                await self.write(piece)


def wants_pretty(http: web.BaseRequest, query: str) -> bool:
    """Whether people will read the answer: they say so, or use a browser, curl or wget."""
    at = query.find("pretty=")
    if at >= 0:
        value = query[at + 7 :].partition("&")[0]
        return value.lower() in _YES
    return http.headers.get("User-Agent", "").startswith(_READ_BY_PEOPLE)


def prettify(response: web.StreamResponse) -> None:
    """Indent a JSON answer that is in memory: what is sent in pieces, or kept by its hash, stays."""
    if not isinstance(response, web.Response) or response.headers.get("Content-Type") != JSON:
        return
    body = response.body
    if isinstance(body, bytes) and "ETag" not in response.headers:
        response.body = msgspec.json.format(body, indent=2) + b"\n"


async def finish(request: web.BaseRequest, response: web.StreamResponse) -> web.StreamResponse:
    """Compress a large answer for a client that asked for it; send a very large one in pieces."""
    if not isinstance(response, web.Response) or response.prepared:
        return response
    body = response.body
    if not isinstance(body, bytes) or len(body) < _GZIP_FROM:
        return response
    if "Content-Encoding" not in response.headers and "gzip" in request.headers.get(
        "Accept-Encoding", ""
    ):
        body = response.body = await asyncio.to_thread(compress, body)
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Vary"] = "Accept-Encoding"
    if len(body) > _PIECES_FROM:
        response.body = _pieces(body)
    return response


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    """The writer waits after each piece until the client has taken it: encrypting tens of megabytes
    in one go would hold the loop, and the connection's buffer would hold them a second time."""
    view = memoryview(body)
    for start in range(0, len(body), STREAM_CHUNK):
        yield bytes(view[start : start + STREAM_CHUNK])
        await asyncio.sleep(0)


def compress(body: bytes, level: int = _GZIP_LEVEL) -> bytes:
    compressor = zlib.compressobj(level, zlib.DEFLATED, _GZIP_WINDOW)
    return compressor.compress(body) + compressor.flush()


async def as_media_type(body: bytes, media_type: str) -> bytes:
    """The JSON bytes in the encoding the client asked for."""
    if media_type != YAML:
        return body
    if len(body) < _YAML_IN_THREAD:
        return _yaml(body)
    return await asyncio.to_thread(_yaml, body)


def _yaml(body: bytes) -> bytes:
    encoded: bytes = msgspec.yaml.encode(msgspec.json.decode(body))
    return encoded
