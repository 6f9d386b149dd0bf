"""Every request's way through the server: resolve, authenticate, authorise, handle, answer.

Serves step 1 of the pod's walk. Each step is a function that passes on or raises an ApiError, which
becomes a Status. Whatever else is raised is our mistake: it is logged with the request's Audit-Id,
the client gets a 500 that names it, and the server goes on.

Concurrency: one coroutine per request on the event loop, cancelled when its client goes away, except
that a write which has reached the store is durable or not, whoever still listens.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from api import errors
from api.errors import ApiError
from api.meta import StatusDetails
from api.scheme import Catalogue
from base import uuids
from base.clock import Clock
from control.apiserver.fairness.gate import Gate, Ticket
from control.apiserver.fairness.levels import seats
from control.apiserver.http import responses, routing
from control.apiserver.http.aggregation import Foreign
from control.apiserver.http.context import ApiRequest
from control.apiserver.http.draining import Draining
from control.apiserver.http.exchange import METHODS, Exchange
from control.apiserver.http.metrics import HttpMetrics
from control.apiserver.http.origins import check_origin
from control.apiserver.http.query import Query
from control.apiserver.removed import refusing
from control.apiserver.removed import table as removed
from control.auth.authentication import Authenticator
from control.auth.authorization import Access, Authorizer, refusal
from control.auth.user import AUTHENTICATED, User

log = logging.getLogger(__name__)

ResourceHandler = Callable[[ApiRequest], Awaitable[web.StreamResponse]]
PathHandler = Callable[[web.BaseRequest, list[str], Query], Awaitable[web.StreamResponse]]

_MAX_AUDIT_ID = 64
# A client that asks to act with somebody else's rights must never act with its own instead.
_IMPERSONATION = ("Impersonate-User", "Impersonate-Group", "Impersonate-Uid")
# Subresources that last as long as they like.
_STREAMS = frozenset({"log", "exec", "attach", "portforward", "proxy"})
_SORTED_BY = ("X-Kubernetes-PF-FlowSchema-UID", "X-Kubernetes-PF-PriorityLevel-UID")
_MANIFEST_SECONDS = 5.0
REQUEST_TIMEOUT = 60.0
"""Seconds until a request that is no stream is given up, or earlier if its client says so (`timeout`);
its write may still happen."""


class Pipeline:
    """The handler of the HTTP server."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        resources: ResourceHandler,
        paths: Mapping[str, PathHandler],
        foreign: Foreign,
        authenticator: Authenticator,
        authorizer: Authorizer,
        clock: Clock,
        metrics: HttpMetrics,
        gate: Gate,
        draining: Draining,
        width: Callable[[ApiRequest], int],
        slow_request: float,
        max_body: int,
    ) -> None:
        self._catalogue = catalogue
        self._resources = resources
        self._paths = paths
        self._foreign = foreign
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._clock = clock
        self._metrics = metrics
        self._gate = gate
        self._width = width
        self._draining = draining
        self._slow = slow_request
        self._max_body = max_body

    async def __call__(self, http: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        exchange = Exchange(
            http=http,
            audit_id=_audit_id(http.headers.get("Audit-ID", "")),
            started=self._clock.monotonic(),
            ticket=Ticket(self._gate),
            verb=http.method if http.method in METHODS else "other",
        )
        try:
            response = await self._answer(exchange)
            self._draining.mark(response)
            if isinstance(response, responses.Pieces):
                await response.send(http)  # holds its seats: writing is most of its work
        finally:
            exchange.ticket.release()
        self._observe(exchange, response)
        return response

    async def _answer(self, exchange: Exchange) -> web.StreamResponse:
        """The response of whatever became of the request, an error included."""
        http, audit_id = exchange.http, exchange.audit_id
        try:
            response = await self._serve(exchange)
        except ApiError as error:
            response = responses.status_response(error, http.headers.get("Accept", ""))
            responses.add_warnings(response.headers, exchange.warnings)
            if http.content.exception() is not None:
                response.force_close()  # nobody can tell where the next request begins
        except (ConnectionError, web.PayloadAccessError):
            raise  # the client is gone; aiohttp closes the connection
        except Exception as error:
            log.exception("request failed: %s %s (%s)", http.method, _path(http), audit_id)
            response = responses.status_response(
                errors.internal(f"{type(error).__name__} (Audit-Id {audit_id})")
            )
        if not response.prepared:
            response.headers["Audit-Id"] = audit_id
            for name, uid in zip(_SORTED_BY, exchange.sorted_by, strict=True):
                if uid:
                    response.headers[name] = uid
            response.headers["Server"] = responses.SERVER
            response.headers.setdefault("Cache-Control", responses.UNKEPT)
            if http.content.exception() is not None or not http.content.is_eof():
                response.force_close()  # nobody has read to where the next request begins
            if responses.wants_pretty(http, http.raw_path.partition("?")[2]):
                responses.prettify(response)
            response = await responses.finish(http, response)
        return response

    async def _serve(self, exchange: Exchange) -> web.StreamResponse:
        http = exchange.http
        path, _, raw_query = http.raw_path.partition("?")
        query = Query(raw_query)
        parts = routing.segments(path)
        check_origin(http)
        user = await self._authenticate(http)
        target = routing.resolve(parts, self._catalogue)
        if target is None:
            verb = http.method.lower()
            book = self._gate.book
            flow = book.flow(user, verb=verb, path=path, peer=_peer(http))
            exchange.sorted_by = book.uids(flow)
            await self._gate.enter(exchange.ticket, flow, 1)
            await _refuse_removed(http, parts, user)
            return await self._serve_path(exchange, path, parts, query, user)
        watch = target.watch or (http.method == "GET" and query.flag("watch"))
        verb = routing.verb(http.method, target, watch=watch)
        if not verb:
            raise errors.method_not_allowed(target.resource, http.method.lower())
        if verb == "watch":
            self._draining.refuse()
        exchange.resolve(
            target,
            verb,
            connect=target.subresource in _STREAMS,
            dry_run=query.has("dryRun"),
        )
        request = ApiRequest(
            http=http,
            target=target,
            verb=verb,
            query=query,
            user=user,
            audit_id=exchange.audit_id,
            max_body=self._max_body,
            ticket=exchange.ticket,
        )
        exchange.warnings = request.call.warnings
        await self._enter(exchange, request)
        await self._authorize(_access(user, verb, target, query))
        response = await self._handle(exchange, request)
        if request.call.warnings and not response.prepared:
            responses.add_warnings(response.headers, request.call.warnings)
        return response

    async def _enter(self, exchange: Exchange, request: ApiRequest) -> None:
        """Wait for the request's turn. Streams into pods have none: they only pass through."""
        if exchange.verb == "CONNECT":
            return
        target = request.target
        plural, subresource = target.resource.plural, target.subresource
        book = self._gate.book
        flow = book.flow(
            request.user,
            verb=request.verb,
            group=target.resource.group,
            resource=f"{plural}/{subresource}" if subresource else plural,
            namespace=target.namespace,
            peer=_peer(exchange.http),
        )
        exchange.sorted_by = book.uids(flow)
        await self._gate.enter(exchange.ticket, flow, seats(request.verb, self._width(request)))

    async def _handle(self, exchange: Exchange, request: ApiRequest) -> web.StreamResponse:
        self._metrics.begin(exchange)
        try:
            if exchange.long_running:
                return await self._resources(request)
            allowed = request.query.timeout(REQUEST_TIMEOUT)
            async with asyncio.timeout(allowed):
                return await self._resources(request)
        except TimeoutError:
            raise errors.timeout(
                f"request did not complete within {allowed:g} s; it may still take effect"
            ) from None
        finally:
            self._metrics.end(exchange)

    async def _serve_path(
        self,
        exchange: Exchange,
        path: str,
        parts: list[str],
        query: Query,
        user: User,
    ) -> web.StreamResponse:
        http = exchange.http
        query.timeout(REQUEST_TIMEOUT)
        await self._authorize(Access(user=user, verb=http.method.lower(), path=path))
        handler = self._paths.get(parts[0])
        if handler is not None:
            exchange.path = f"/{parts[0]}"
        if error := self._foreign(parts):
            raise error
        reads = http.method in ("GET", "HEAD")
        if handler is None or (parts[0] in ("api", "apis") and not reads):
            return responses.page_not_found()
        if not reads:
            return responses.text_response("405 method not allowed\n", code=405)
        return await handler(http, parts, query)

    async def _authenticate(self, http: web.BaseRequest) -> User:
        transport = http.transport
        if transport is None:
            raise ConnectionResetError("the client is gone")
        for name in _IMPERSONATION:
            if name in http.headers:
                raise errors.forbidden(
                    None, "", f"{name}: impersonation is not served yet, and must not be ignored"
                )
        tls = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        return await self._authenticator.authenticate(
            certificate, http.headers.get("Authorization", "")
        )

    async def _authorize(self, access: Access) -> None:
        decision = await self._authorizer.authorize(access)
        if not decision.allowed:
            raise forbidden(access, decision.reason)

    def _observe(self, exchange: Exchange, response: web.StreamResponse) -> None:
        seconds = self._clock.monotonic() - exchange.started
        size = response.content_length if isinstance(response, web.Response) else 0
        if isinstance(response, responses.Pieces):
            size = response.size
        self._metrics.observe(exchange, response.status, seconds, size or 0)
        if seconds > self._slow and not exchange.long_running:
            http = exchange.http
            log.warning("slow request: %s %s took %.3f s", http.method, _path(http), seconds)


def _peer(http: web.BaseRequest) -> str:
    """The client's address, without its port."""
    return http.remote or ""


async def _refuse_removed(http: web.BaseRequest, parts: list[str], user: User) -> None:
    """Raises what to write instead, for a version that Kubernetes has ended."""
    found = removed.find(parts)
    if found is not None and AUTHENTICATED in user.groups:
        raise refusing.refuse(found, await _manifest(http))


async def _manifest(http: web.BaseRequest) -> bytes:
    """What was sent, if it is short and comes soon: the answer is the same, only less to the point."""
    if not http.can_read_body or not 0 < (http.content_length or 0) <= refusing.MOST_READ:
        return b""
    try:
        async with asyncio.timeout(_MANIFEST_SECONDS):
            return await http.read()
    except (TimeoutError, web.HTTPRequestEntityTooLarge, web.RequestPayloadError):
        return b""


def _path(http: web.BaseRequest) -> str:
    """For the log: without the query, and as it was sent, so that it stays one line."""
    return http.raw_path.partition("?")[0]


def _audit_id(given: str) -> str:
    """The client's own, or a UUID: not the kernel's, for it need not be unguessable, and is slow."""
    if 0 < len(given) <= _MAX_AUDIT_ID and given.isprintable():
        return given
    return uuids.spelled(random.getrandbits(128))


def _access(user: User, verb: str, target: routing.Target, query: Query) -> Access:
    # Opening a stream into a container is a way to change things, whatever the method is (GET for
    # WebSocket, POST for SPDY): both ask for `create`. Logs are only read.
    if target.subresource in ("exec", "attach", "portforward"):
        verb = "create"
    namespace = target.namespace
    if target.resource.plural == "namespaces" and not namespace:
        namespace = target.name
    return Access(
        user=user,
        verb=verb,
        group=target.resource.group,
        resource=target.resource.plural,
        subresource=target.subresource,
        namespace=namespace,
        name=target.name,
        field_selector=query.text("fieldSelector"),
    )


def forbidden(access: Access, reason: str) -> ApiError:
    """403 in Kubernetes' words."""
    error = errors.forbidden(None, "", "")
    error.status.message = error.message = refusal(access, reason)
    if not access.path:
        error.status.details = StatusDetails(
            group=access.group, kind=access.resource, name=access.name
        )
    return error
