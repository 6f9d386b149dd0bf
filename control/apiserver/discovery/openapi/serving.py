"""`/openapi/v3` and `/openapi/v2`: finished documents from disk, with URLs that name their hash.

Clients read these before step 1 of a pod's walk. The documents are made once per version of the
code, by a process of its own that starts with the server, and kept in its state directory; requests
that come earlier wait for it. The index names each document with its hash, so that clients may keep
a document for ever and re-read only the index. Only compressed documents are kept in memory.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import shutil
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

import api
from api import errors
from api.scheme import group_versions
from base.process import run_async
from control.apiserver.discovery.documents import Document
from control.apiserver.discovery.openapi.files import V2_JSON, V2_PROTOBUF, file_name
from control.apiserver.discovery.version import GIT_VERSION
from control.apiserver.http import responses
from control.apiserver.http.negotiation import JSON, parse_accept
from control.apiserver.http.query import Query

log = logging.getLogger(__name__)

_GENERATOR = "control.apiserver.discovery.openapi.generate"
_ROOT = Path(__file__).resolve().parents[4]
_FOR_EVER = "public, immutable, max-age=31536000"
_PRIVATE = "no-cache, private"
_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Finished:
    """One document, compressed, and the hash of what is inside."""

    compressed: bytes
    digest: str
    content_type: str = JSON


class OpenApi:
    """Makes the documents if need be, and serves them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._documents: dict[str, _Finished] = {}
        self._index: Document | None = None
        self._ready = asyncio.Event()
        self._v2: dict[str, _Finished] = {}

    async def run(self) -> None:
        """Make the documents available; ends when they are."""
        directory = self._directory / await asyncio.to_thread(source_digest)
        if not directory.exists():
            await asyncio.to_thread(_clear, self._directory)
            argv = [sys.executable, "-P", "-m", _GENERATOR, str(directory)]
            await run_async(argv, env={"PYTHONPATH": str(_ROOT)}, timeout=120)
        self._documents = await asyncio.to_thread(_load_v3, directory)
        self._v2 = await asyncio.to_thread(_load_v2, directory)
        paths = {
            path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={document.digest}"}
            for path, document in self._documents.items()
        }
        self._index = Document.of({"paths": paths})
        self._ready.set()

    async def serve(
        self, http: web.BaseRequest, parts: list[str], query: Query
    ) -> web.StreamResponse:
        """Everything below `/openapi`."""
        match parts[1:]:
            case ["v2"]:
                await self._wait()
                return _respond(http, self._v2[_v2_type(http)])
            case ["v3"]:
                await self._wait()
                assert self._index is not None
                return self._index.respond(http, cache=_PRIVATE)
            case ["v3", *rest]:
                await self._wait()
                document = self._documents.get("/".join(rest))
                if document is None:
                    return responses.page_not_found()
                return _respond(http, document, query.text("hash"))
        return responses.page_not_found()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(30):
                await self._ready.wait()
        except TimeoutError:
            raise errors.unavailable("the OpenAPI documents are still being made") from None


def _v2_type(http: web.BaseRequest) -> str:
    """Older clients spell the message's type with an `@`, which is why it is only looked for."""
    wanted = parse_accept(http.headers.get("Accept", ""))
    return _PROTOBUF if any("proto-openapi" in name for name, _ in wanted) else JSON


def _respond(http: web.BaseRequest, document: _Finished, wanted: str = "") -> web.StreamResponse:
    etag = f'"{document.digest}"'
    headers = {"Etag": etag, "Vary": "Accept, Accept-Encoding"}
    if wanted and wanted != document.digest:
        # The client's index is of another version: lead it to what there is now.
        location = f"{http.path}?hash={document.digest}"
        return web.Response(status=301, headers={"Location": location})
    headers["Cache-Control"] = _FOR_EVER if wanted else _PRIVATE
    if etag in http.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = document.content_type
    if "gzip" in http.headers.get("Accept-Encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return web.Response(body=document.compressed, headers=headers)
    return web.Response(body=_decompress(document.compressed), headers=headers)


def _load_v3(directory: Path) -> dict[str, _Finished]:
    paths = (
        f"apis/{group}/{version}" if group else f"api/{version}"
        for group, version in group_versions()
    )
    return {path: _finished(directory / file_name(path), JSON) for path in paths}


def _load_v2(directory: Path) -> dict[str, _Finished]:
    files = {JSON: V2_JSON, _PROTOBUF: V2_PROTOBUF}
    return {type_: _finished(directory / name, type_) for type_, name in files.items()}


def _finished(path: Path, content_type: str) -> _Finished:
    """A document from disk. What is inside is hashed piece by piece: it is never wholly in memory."""
    compressed = path.read_bytes()
    digest, inflating = hashlib.sha512(), zlib.decompressobj(31)
    rest = compressed
    while rest and not inflating.eof:
        digest.update(inflating.decompress(rest, _PIECE))
        rest = inflating.unconsumed_tail
    digest.update(inflating.flush())
    return _Finished(compressed, digest.hexdigest().upper(), content_type)


def _decompress(compressed: bytes) -> bytes:
    return zlib.decompress(compressed, 31)


def _clear(directory: Path) -> None:
    """Documents of other versions, and halves of an interrupted start."""
    if directory.exists():
        shutil.rmtree(directory)
    directory.mkdir(parents=True)


def source_digest() -> str:
    """Tells one version of the types and of the generator from another, without parsing them."""
    digest = hashlib.sha256(GIT_VERSION.encode())
    assert api.__file__ is not None
    for root in (Path(api.__file__).parent, Path(__file__).parent):
        for path in sorted(root.rglob("*.py")):
            facts = path.stat()
            digest.update(f"{path.name} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]
