"""Documents that rarely change: discovery, version, OpenAPI, with ETags and prepared compression.

Clients read these before step 1 of a pod's walk, and keep them: `If-None-Match` is answered with a
304, documents whose URL names their hash are immutable. Each is encoded and compressed once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from control.apiserver.http import responses
from control.apiserver.http.negotiation import JSON

_COMPRESS_FROM = 1024
_BEST = 9


class Document:
    """Bytes with their hash, and compressed when it is asked for the first time."""

    __slots__ = ("_compressed", "body", "content_type", "digest")

    def __init__(self, body: bytes, content_type: str = JSON) -> None:
        self.body = body
        self.content_type = content_type
        self.digest = hashlib.sha512(body).hexdigest().upper()
        self._compressed: bytes | None = None

    @classmethod
    def of(cls, value: Mapping[str, Any], content_type: str = JSON) -> Document:
        return cls(responses.encode(value), content_type)

    @property
    def etag(self) -> str:
        return f'"{self.digest[:64]}"'

    def respond(self, http: web.BaseRequest, *, cache: str = "") -> web.Response:
        """The document, or 304 when the client has it."""
        headers = {"Etag": self.etag, "Vary": "Accept, Accept-Encoding"}
        if cache:
            headers["Cache-Control"] = cache
        if self.etag in http.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        headers["Content-Type"] = self.content_type
        body = self.body
        if len(body) > _COMPRESS_FROM and "gzip" in http.headers.get("Accept-Encoding", ""):
            body = self.compressed()
            headers["Content-Encoding"] = "gzip"
        return web.Response(body=body, headers=headers)

    def compressed(self) -> bytes:
        if self._compressed is None:
            self._compressed = responses.compress(self.body, _BEST)
        return self._compressed
