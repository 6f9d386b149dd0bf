"""The listening side: TLS sockets, HTTP connections, and an orderly end.

Serves step 1 of the pod's walk. The low-level server of aiohttp hands every request to the
pipeline: there is no router and no middleware stack on the way. Connections are not limited in
number, since each watch of an HTTP/1.1 client takes one; but one that asks nothing is closed soon.
On the way out the sockets close first, then connections are served until they are silent, then requests
get a moment to end; watches are ended by the server, and their clients resume elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Sequence
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from api import errors
from base import pki
from base.pki import KeyPair
from control.apiserver.http import responses
from control.apiserver.http.pipeline import Pipeline

log = logging.getLogger(__name__)

_BACKLOG = 1024
_KEEPALIVE_SECONDS = 300.0
HEADER_SECONDS = 32.0
"""A connection without one request by then is closed: anybody may connect, known or not."""
DRAIN_SECONDS = 3.0
"""For clients that go on asking to hear that they should leave, at most."""
_QUIET_SECONDS = 0.25
_BAD_REQUEST = 400
_MAX_URL = 64 * 1024  # a label selector may be long


class ApiServer:
    """Serves the pipeline on any number of sockets."""

    def __init__(self, pipeline: Pipeline, context: ssl.SSLContext, *, max_body: int) -> None:
        self._context = context
        self._max_body = max_body
        self._pipeline = pipeline
        self._busy = 0
        self._server = _Http(
            self._serve,
            request_factory=self._request,
            handler_cancellation=True,
            keepalive_timeout=_KEEPALIVE_SECONDS,
            max_line_size=_MAX_URL,
            max_field_size=_MAX_URL,
            access_log=None,
            logger=log,
        )
        self._listeners: list[asyncio.Server] = []
        self._silent: dict[RequestHandler, asyncio.TimerHandle] = {}

    def __repr__(self) -> str:
        return f"ApiServer({len(self._server.connections)} connections)"

    def statistics(self) -> dict[str, float]:
        return {
            "connections": len(self._server.connections),
            "requests": self._server.requests_count,
        }

    def renew(self, pair: KeyPair, ca_pem: bytes) -> None:
        """Present another certificate on every connection made from now on."""
        pki.use_pair(self._context, pair, ca_pem=ca_pem)

    async def listen(self, sockets: Sequence[socket.socket]) -> None:
        """Begin to serve. The sockets belong to the server from now on."""
        loop = asyncio.get_running_loop()
        for sock in sockets:
            self._listeners.append(
                await loop.create_server(
                    self._connection, sock=sock, ssl=self._context, backlog=_BACKLOG
                )
            )

    def _connection(self) -> RequestHandler:
        made = self._server()
        loop = asyncio.get_running_loop()
        self._silent[made] = loop.call_later(HEADER_SECONDS, self._give_up, made)
        return made

    def _give_up(self, connection: RequestHandler) -> None:
        self._silent.pop(connection, None)
        connection.force_close()

    def stop_listening(self) -> None:
        """Take no new connections."""
        for listener in self._listeners:
            listener.close()

    async def drain(self) -> None:
        """Take no new connections; serve those there are until they have gone or fallen silent.

        A request may be on its way on a connection that was silent until now: it gets its answer, and
        with it the word to leave (`Draining`). Whoever stays silent has nothing to lose.
        """
        self.stop_listening()
        loop = asyncio.get_running_loop()
        ends, served = loop.time() + DRAIN_SECONDS, -1
        while self._server.connections and loop.time() < ends:
            if served == self._server.requests_count and not self._busy:
                return
            served = self._server.requests_count
            await asyncio.sleep(_QUIET_SECONDS)

    async def _serve(self, http: web.BaseRequest) -> web.StreamResponse:
        self._busy += 1
        try:
            return await self._pipeline(http)
        finally:
            self._busy -= 1

    async def close(self, grace: float) -> None:
        """Let requests end for `grace` seconds, then cut what is left. Safe to call twice."""
        self.stop_listening()
        self._server.pre_shutdown()  # connections between two requests have nothing to wait for
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._server.shutdown(grace), grace + 1.0)

    def _request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        waiting = self._silent.pop(protocol, None)
        if waiting is not None:
            waiting.cancel()
        _invite(message, protocol)
        return web.BaseRequest(
            message,
            payload,
            protocol,
            writer,
            task,
            asyncio.get_running_loop(),
            client_max_size=self._max_body,
        )


class _Connection(RequestHandler):
    """Anybody may send what is no HTTP: it gets a Status like all mistakes, and no line of the log."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status != _BAD_REQUEST or request.writer.output_size:
            return super().handle_error(request, status, exc, message)
        words = " ".join((message or "").split())
        response = responses.status_response(errors.bad_request(f"this is not HTTP: {words}"))
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        # A body that turned out to be broken after its request was answered.
        if not isinstance(kw.get("exc_info"), web.RequestPayloadError):
            super().log_exception(*args, **kw)


class _Http(web.Server):
    """Makes connections of our kind."""

    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


def _invite(message: RawRequestMessage, protocol: RequestHandler) -> None:
    """Tell a client that asks before it sends a large body to go on: curl waits a second for it."""
    expects = message.headers.get("Expect", "").lower() == "100-continue"
    if expects and message.version >= (1, 1) and protocol.transport is not None:
        protocol.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
