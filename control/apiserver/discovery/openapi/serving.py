"""`/openapi/v3` and `/openapi/v2`: finished documents from disk, with URLs that name their hash.

Clients read these before step 1 of a pod's walk. The documents are made once per version of the
code, by a process of its own that starts with the server, and kept in its state directory; requests
that come earlier wait for it. The index names each document with its hash, so that clients may keep
a document for ever and re-read only the index. Only compressed documents are kept in memory.

What definitions add (`publish`) changes the index at once; the documents in which it stands, among
them all of v2, are made in a thread when somebody asks, one at a time, and kept until it changes again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import shutil
import sys
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

import api
from api import errors
from api.scheme import group_versions
from base.process import run_async
from control.apiserver.custom.definition import Definition
from control.apiserver.discovery.documents import Document
from control.apiserver.discovery.openapi import published
from control.apiserver.discovery.openapi.files import (
    COMMON,
    V2_DEFINITIONS,
    V2_END,
    V2_PATHS,
    V2_PROTOBUF,
    file_name,
)
from control.apiserver.discovery.openapi.published import Published
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
        self._pieces: dict[str, bytes] = {}
        self._salt = ""
        self._published = Published()
        self._index: Document | None = None
        self._made: dict[str, _Finished] = {}
        self._making = asyncio.Lock()
        self._ready = asyncio.Event()

    async def run(self) -> None:
        """Make the documents available; ends when they are."""
        self._salt = await asyncio.to_thread(source_digest)
        directory = self._directory / self._salt
        if not directory.exists():
            await asyncio.to_thread(_clear, self._directory)
            argv = [sys.executable, "-P", "-m", _GENERATOR, str(directory)]
            await run_async(argv, env={"PYTHONPATH": str(_ROOT)}, timeout=120)
        self._documents = await asyncio.to_thread(_load_v3, directory)
        self._pieces = await asyncio.to_thread(_load_pieces, directory)
        self._ready.set()

    def publish(self, definitions: Mapping[str, Definition]) -> None:
        """Show these definitions from now on, and no others."""
        self._published.replace(definitions)
        self._index = None
        for name in (JSON, _PROTOBUF):
            self._made.pop(name, None)
        for path in self._made.keys() - set(self._published.paths):
            del self._made[path]

    async def serve(
        self, http: web.BaseRequest, parts: list[str], query: Query
    ) -> web.StreamResponse:
        """Everything below `/openapi`."""
        match parts[1:]:
            case ["v2"]:
                await self._wait()
                return _respond(http, await self._v2(_v2_type(http)))
            case ["v3"]:
                await self._wait()
                return self._whole_index().respond(http, cache=_PRIVATE)
            case ["v3", *rest]:
                await self._wait()
                document = await self._v3("/".join(rest))
                if document is None:
                    return responses.page_not_found()
                return _respond(http, document, query.text("hash"))
        return responses.page_not_found()

    def _whole_index(self) -> Document:
        if self._index is None:
            digests = {path: document.digest for path, document in self._documents.items()}
            for path in self._published.paths:
                digests[path] = self._digest(path)
            paths = {
                path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
                for path, digest in digests.items()
            }
            self._index = Document.of({"paths": paths})
        return self._index

    def _digest(self, path: str) -> str:
        known = self._documents.get(path)
        return self._published.digest(path, self._salt + (known.digest if known else ""))

    async def _v3(self, path: str) -> _Finished | None:
        several, base = self._published.at(path), self._documents.get(path)
        if not several:
            return base

        def make() -> bytes:
            known = _decompress(base.compressed) if base is not None else None
            return published.newer(path, several, _decompress(self._pieces[COMMON]), known)

        return await self._finish(path, make, JSON, digest=self._digest(path))

    async def _v2(self, content_type: str) -> _Finished:
        several, pieces = self._published.everything, self._pieces

        def as_json() -> bytes:
            paths, definitions = published.older(several)
            begin, middle = _decompress(pieces[V2_PATHS]), _decompress(pieces[V2_DEFINITIONS])
            return b"".join((begin, paths, middle, definitions, V2_END))

        def as_message() -> bytes:
            return _decompress(pieces[V2_PROTOBUF]) + published.older_message(several)

        make = as_message if content_type == _PROTOBUF else as_json
        return await self._finish(content_type, make, content_type)

    async def _finish(
        self, name: str, make: Callable[[], bytes], content_type: str, *, digest: str = ""
    ) -> _Finished:
        """A document from memory, or made now; what was made of older definitions is not kept."""
        async with self._making:
            known = self._made.get(name)
            if known is not None and digest in ("", known.digest):
                return known
            before = self._published.everything
            made = await asyncio.to_thread(_compressed, make, content_type, digest)
            if before == self._published.everything:
                self._made[name] = made
            return made

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


def _load_pieces(directory: Path) -> dict[str, bytes]:
    names = (V2_PATHS, V2_DEFINITIONS, V2_PROTOBUF, COMMON)
    return {name: (directory / name).read_bytes() for name in names}


def _compressed(make: Callable[[], bytes], content_type: str, digest: str) -> _Finished:
    body = make()
    digest = digest or hashlib.sha512(body).hexdigest().upper()
    return _Finished(responses.compress(body), digest, content_type)


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
