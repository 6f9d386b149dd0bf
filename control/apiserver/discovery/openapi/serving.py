"""`/openapi/v3` and `/openapi/v2`: finished documents from disk, with URLs that name their hash.

Clients read these before step 1 of a pod's walk. The documents are made once per version of the
code, by a process of its own that starts with the server, and kept in its state directory; requests
that come earlier wait for it. The index names each document with its hash, so that clients may keep
a document for ever and re-read only the index. Only compressed documents are kept in memory.

There is no complete v2 document: the one served is empty, which is all that older clients need to
go on; they ask the server for validation instead.
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
from control.apiserver.discovery.openapi.generate import file_name
from control.apiserver.discovery.version import GIT_VERSION
from control.apiserver.http import responses
from control.apiserver.http.negotiation import JSON, parse_accept
from control.apiserver.http.query import Query

log = logging.getLogger(__name__)

_GENERATOR = "control.apiserver.discovery.openapi.generate"
_ROOT = Path(__file__).resolve().parents[4]
_FOR_EVER = "public, immutable, max-age=31536000"
_V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_V2 = {"swagger": "2.0", "info": {"title": "Kubernetes", "version": GIT_VERSION}, "paths": {}}


@dataclass(frozen=True, slots=True)
class _Finished:
    """One document, compressed, and the hash of what is inside."""

    compressed: bytes
    digest: str


class OpenApi:
    """Makes the documents if need be, and serves them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._documents: dict[str, _Finished] = {}
        self._index: Document | None = None
        self._ready = asyncio.Event()
        self._v2 = Document.of(_V2)
        self._v2_protobuf = Document(v2_protobuf(), _V2_PROTOBUF)

    async def run(self) -> None:
        """Make the documents available; ends when they are."""
        directory = self._directory / await asyncio.to_thread(source_digest)
        if not directory.exists():
            await asyncio.to_thread(_clear, self._directory)
            argv = [sys.executable, "-P", "-m", _GENERATOR, str(directory)]
            await run_async(argv, env={"PYTHONPATH": str(_ROOT)}, timeout=120)
        self._documents = await asyncio.to_thread(_load, directory)
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
                return self._serve_v2(http)
            case ["v3"]:
                await self._wait()
                assert self._index is not None
                return self._index.respond(http, cache="no-cache, private")
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

    def _serve_v2(self, http: web.BaseRequest) -> web.StreamResponse:
        wanted = parse_accept(http.headers.get("Accept", ""))
        protobuf = any("proto-openapi" in media_type for media_type, _ in wanted)
        return (self._v2_protobuf if protobuf else self._v2).respond(http)


def _respond(http: web.BaseRequest, document: _Finished, wanted: str) -> web.StreamResponse:
    etag = f'"{document.digest}"'
    headers = {"Etag": etag, "Vary": "Accept, Accept-Encoding"}
    if wanted and wanted != document.digest:
        # The client's index is of another version: lead it to what there is now.
        location = f"{http.path}?hash={document.digest}"
        return web.Response(status=301, headers={"Location": location})
    headers["Cache-Control"] = _FOR_EVER if wanted else "no-cache, private"
    if etag in http.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = JSON
    if "gzip" in http.headers.get("Accept-Encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return web.Response(body=document.compressed, headers=headers)
    return web.Response(body=_decompress(document.compressed), headers=headers)


def _load(directory: Path) -> dict[str, _Finished]:
    found = {}
    for group, version in group_versions():
        path = f"apis/{group}/{version}" if group else f"api/{version}"
        compressed = (directory / f"{file_name(path)}.json.gz").read_bytes()
        digest = hashlib.sha512(_decompress(compressed)).hexdigest().upper()
        found[path] = _Finished(compressed, digest)
    return found


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


def v2_protobuf() -> bytes:
    """The empty v2 document as a message: swagger = 1, info = 2 {title = 1, version = 2}, paths = 8."""
    info = _field(1, b"Kubernetes") + _field(2, GIT_VERSION.encode())
    return _field(1, b"2.0") + _field(2, info) + _field(8, b"")


def _field(number: int, value: bytes) -> bytes:
    assert len(value) < 128  # one byte of length is enough for what stands here
    return bytes((number << 3 | 2, len(value))) + value
