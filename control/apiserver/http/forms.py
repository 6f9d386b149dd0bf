"""The forms of an object on the wire: itself, a row of a Table, or only its metadata.

Serves step 1 of the pod's walk: `kubectl get` asks for Tables, so that the server decides what is
printed; controllers of others ask for metadata alone. Objects come in as bytes with their
resourceVersion; metadata goes out as the very bytes that came in.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, Protocol

import msgspec

from api import errors
from api.scheme import Resource
from base.clock import Clock
from control.apiserver.http.negotiation import Form, Shape
from control.apiserver.http.query import Query
from control.apiserver.registry.codecs import Codec
from control.apiserver.registry.reading import Page
from control.resources.columns import AGE, NAME
from control.resources.strategy import Column, Strategy

_ENCODER = msgspec.json.Encoder()
_PIECE = 256 * 1024
_SLICE = 100  # rows made at once: a few milliseconds


class _WithMetadata(msgspec.Struct, gc=False):
    metadata: msgspec.Raw


_METADATA = msgspec.json.Decoder(_WithMetadata)


class Presented(Protocol):
    """What a presenter must know of a kind: a `Version`, mostly."""

    resource: Resource
    rules: Strategy[Any]
    codec: Codec


def included(query: Query) -> str:
    """What of each object a Table shows: `includeObject`. Raises 400."""
    include = query.text("includeObject")
    if include not in ("", "None", "Metadata", "Object"):
        raise errors.bad_request(
            f'includeObject: Unsupported value: "{include}": '
            "supported values: None, Metadata, Object"
        )
    return include


class Presenter:
    """Turns an object's bytes into one form. `include`: `None`, `Metadata` or `Object`.

    The bytes are of the version that is served already.
    """

    __slots__ = ("_clock", "_columns", "_form", "_include", "_version")

    def __init__(self, version: Presented, form: Form, include: str, clock: Clock) -> None:
        self._version = version
        self._form = form
        self._include = include or "Metadata"
        self._clock = clock
        self._columns = columns_of(version.rules)

    @property
    def name(self) -> str:
        """What tells this form from others."""
        shape = f"{self._form.shape}/{self._form.version}/{self._include}"
        return f"{self._version.resource.api_version} {shape}"

    @property
    def shape(self) -> Shape:
        return self._form.shape

    @property
    def plain(self) -> bool:
        """The object's own bytes."""
        return self._form.plain

    def one(self, body: bytes, *, definitions: bool = True) -> bytes:
        """An object by itself, as `get` answers and watch events carry it."""
        if self._form.shape is Shape.TABLE:
            revision = _revision(body)
            return self._table(
                [self._row(body)], b'{"resourceVersion":"%b"}' % revision, definitions
            )
        if self._form.shape is Shape.PARTIAL:
            return self._partial(body)
        return body

    def bookmark(self, revision: int, *, initial_end: bool) -> bytes:
        """An object that only says how far a watch has come, in the form of the others.

        Clients of metadata know no other kind than PartialObjectMetadata.
        """
        note = b',"annotations":{"k8s.io/initial-events-end":"true"}' if initial_end else b""
        if self._form.shape is Shape.TABLE:
            return self._table([], b'{"resourceVersion":"%d"}' % revision, False)
        head = self._head("PartialObjectMetadata")
        if self._form.shape is Shape.OBJECT:
            resource = self._version.resource
            head = f'{{"kind":"{resource.kind}","apiVersion":"{resource.api_version}"'.encode()
        return b'%b,"metadata":{"resourceVersion":"%d"%b}}' % (head, revision, note)

    async def many(self, page: Page) -> bytes:
        """A page of objects as `list` answers. Gives the loop back now and then on the way."""
        return b"".join([piece async for piece in self.pieces(page)])

    async def pieces(self, page: Page) -> AsyncIterator[bytes]:
        """The same, piece by piece: what was sent need not be kept, nor made before its turn."""
        metadata = list_metadata(page)
        if self._form.shape is Shape.TABLE:
            columns = _ENCODER.encode(_definitions(self._columns))
            head = b'%b,"metadata":%b,"columnDefinitions":%b,"rows":[' % (
                self._head("Table"),
                metadata,
                columns,
            )
            present: Callable[[bytes], bytes] | None = self._row
        elif self._form.shape is Shape.PARTIAL:
            head = self._head("PartialObjectMetadataList") + b',"metadata":%b,"items":[' % metadata
            present = self._partial
        else:
            head = list_head(self._version.resource) + b',"metadata":%b,"items":[' % metadata
            present = None
        async for piece in _joined(head, page.items, present):
            yield piece

    def _head(self, kind: str) -> bytes:
        return f'{{"kind":"{kind}","apiVersion":"meta.k8s.io/{self._form.version}"'.encode()

    def _partial(self, body: bytes) -> bytes:
        metadata = bytes(_METADATA.decode(body).metadata)
        return b'%b,"metadata":%b}' % (self._head("PartialObjectMetadata"), metadata)

    def _table(self, rows: Sequence[bytes], metadata: bytes, definitions: bool) -> bytes:
        columns = _ENCODER.encode(_definitions(self._columns)) if definitions else b"[]"
        return b'%b,"metadata":%b,"columnDefinitions":%b,"rows":[%b]}' % (
            self._head("Table"),
            metadata,
            columns,
            b",".join(rows),
        )

    def _row(self, body: bytes) -> bytes:
        obj = self._version.codec.decode(body)
        now = self._clock.now()
        cells = _ENCODER.encode([column.cell(obj, now) for column in self._columns])
        if self._include == "None":
            return b'{"cells":%b}' % cells
        shown = body if self._include == "Object" else self._partial(body)
        return b'{"cells":%b,"object":%b}' % (cells, shown)


async def _joined(
    head: bytes, bodies: Sequence[bytes], present: Callable[[bytes], bytes] | None
) -> AsyncIterator[bytes]:
    """A JSON list in pieces of bounded size; nobody waits longer than one slice takes."""
    chunk, size, separator = [head], len(head), b""
    for position, body in enumerate(bodies):
        if present is not None:
            if position and position % _SLICE == 0:
                await asyncio.sleep(0)
            body = present(body)
        chunk += (separator, body)
        separator = b","
        size += len(body) + 1
        if size > _PIECE:
            yield b"".join(chunk)
            chunk, size = [], 0
    chunk.append(b"]}")
    yield b"".join(chunk)


def columns_of(rules: Strategy[Any]) -> tuple[Column[Any], ...]:
    """The kind's columns with NAME in front and AGE at the end, unless the kind places them."""
    own = tuple(rules.columns)
    named = {column.name for column in own}
    first = () if NAME.name in named else (NAME,)
    last = (AGE,) if rules.shows_age and AGE.name not in named else ()
    return (*first, *own, *last)


def _definitions(columns: Iterable[Column[Any]]) -> list[dict[str, Any]]:
    return [
        {
            "name": column.name,
            "type": column.type,
            "format": column.format,
            "description": column.description,
            "priority": column.priority,
        }
        for column in columns
    ]


def list_head(resource: Resource) -> bytes:
    return f'{{"kind":"{resource.kind}List","apiVersion":"{resource.api_version}"'.encode()


def list_metadata(page: Page) -> bytes:
    metadata: dict[str, Any] = {"resourceVersion": str(page.revision)}
    if page.continue_:
        metadata["continue"] = page.continue_
    if page.remaining is not None:
        metadata["remainingItemCount"] = page.remaining
    return _ENCODER.encode(metadata)


class _Version(msgspec.Struct, gc=False):
    resourceVersion: str = ""


class _Versioned(msgspec.Struct, gc=False):
    metadata: _Version


_VERSIONS = msgspec.json.Decoder(_Versioned)


def _revision(body: bytes) -> bytes:
    return _VERSIONS.decode(body).metadata.resourceVersion.encode()
