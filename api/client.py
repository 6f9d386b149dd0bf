"""The API over HTTP: `HttpClient`, and the names of the interface it answers.

Serves every step of the pod's walk that happens outside the control plane: the agent, the command
line and the tests. What a client can do is said in `api.interface`, and may be imported from here.

Concurrency: one event loop; a client may be shared by any number of tasks. Each watch holds one
connection; everything else shares `CONNECTIONS`, and waits for one in order. (A burst of requests
would otherwise open as many, each with a TLS handshake and its buffers on both sides.) Watches have a
pool of their own, so they cannot starve requests. Nothing is retried; a watch that breaks is opened
again by the informer.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from api import errors, kubeconfig, objects
from api.interface import Client, Listed, PatchType, WatchEvent, delete_options
from api.meta import ListMeta, Status, StatusDetails
from api.scheme import Resource, resource_of
from api.struct import ApiStruct
from base.errors import TemporaryError

__all__ = ["Client", "HttpClient", "Listed", "PatchType", "WatchEvent", "delete_options"]

T = TypeVar("T", bound=ApiStruct)

CONNECTIONS = 8
"""For requests; watches come on top."""
REQUEST_TIMEOUT = 30.0
CONNECT_TIMEOUT = 10.0
# The server ends a watch at its timeout; one that is still open so much later is dead.
WATCH_GRACE = 30.0
# A peer that vanished without a word is noticed after 15 + 3 x 5 seconds of silence.
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)


class _ListBody(msgspec.Struct, Generic[T]):
    metadata: ListMeta
    items: list[T]


class _EventBody(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _Bookmark(msgspec.Struct):
    metadata: ListMeta


class _TypeName(msgspec.Struct):
    kind: str = ""


class HttpClient:
    """A `Client` over HTTP(S)."""

    def __init__(
        self,
        server: str,
        *,
        ssl_context: ssl.SSLContext | None = None,
        token: Callable[[], str] | str | None = None,
        tls_server_name: str = "",
        user_agent: str = "podwright",
    ) -> None:
        self.server = server.rstrip("/")
        self._ssl_context = ssl_context
        self._token = token
        self._tls_server_name = tls_server_name or None
        self._user_agent = user_agent
        self._sessions: dict[int, aiohttp.ClientSession] = {}
        self._requests = 0
        self._failures = 0
        self._watches = 0

    @classmethod
    def from_kubeconfig(
        cls, path: Path | str, *, context: str = "", user_agent: str = "podwright"
    ) -> HttpClient:
        """A client as a kubeconfig file describes it."""
        access = kubeconfig.load(path, context=context)
        return cls(
            access.server,
            ssl_context=access.ssl_context,
            token=access.token,
            tls_server_name=access.tls_server_name,
            user_agent=user_agent,
        )

    def __repr__(self) -> str:
        return f"HttpClient({self.server!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection. Safe to call twice."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    def statistics(self) -> dict[str, float]:
        return {
            "requests": self._requests,
            "failures": self._failures,
            "watches": self._watches,
        }

    async def get(
        self, type_: type[T], name: str, namespace: str = "", *, resource_version: str = ""
    ) -> T:
        path = _named(type_, name).path(namespace, name)
        return _decode(await self.raw("GET", path, _query(resourceVersion=resource_version)), type_)

    async def list(
        self,
        type_: type[T],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_: str = "",
        resource_version: str = "",
    ) -> Listed[T]:
        query = {
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "limit": str(limit or ""),
            "continue": continue_,
            "resourceVersion": resource_version,
        }
        answer = await self.raw("GET", resource_of(type_).path(namespace), _query(**query))
        body = _decode(answer, _ListBody[type_])  # type: ignore[valid-type]
        for item in body.items:
            objects.forget_owners(item)
        return Listed(body.items, body.metadata.resource_version, body.metadata.continue_)

    async def create(self, obj: T, *, namespace: str = "", dry_run: bool = False) -> T:
        path = resource_of(type(obj)).path(namespace or objects.meta(obj).namespace)
        query = _query(dryRun="All" if dry_run else "")
        return _decode(await self.raw("POST", path, query, msgspec.json.encode(obj)), type(obj))

    async def create_subresource(
        self,
        type_: type[ApiStruct],
        name: str,
        namespace: str,
        subresource: str,
        body: ApiStruct,
    ) -> Any:
        path = _named(type_, name).path(namespace, name, subresource)
        answer = await self.raw("POST", path, {}, msgspec.json.encode(body))
        is_status = _decode(answer, _TypeName).kind == "Status"
        return _decode(answer, Status if is_status else type(body))

    async def update(self, obj: T, *, subresource: str = "") -> T:
        metadata = objects.meta(obj)
        resource = _named(type(obj), metadata.name)
        path = resource.path(metadata.namespace, metadata.name, subresource)
        return _decode(await self.raw("PUT", path, {}, msgspec.json.encode(obj)), type(obj))

    async def patch(
        self,
        type_: type[T],
        name: str,
        namespace: str,
        body: Any,
        *,
        patch_type: PatchType = PatchType.MERGE,
        subresource: str = "",
    ) -> T:
        path = _named(type_, name).path(namespace, name, subresource)
        manager = self._user_agent if patch_type is PatchType.APPLY else ""
        answer = await self.raw(
            "PATCH",
            path,
            _query(fieldManager=manager),
            msgspec.json.encode(body),
            content_type=patch_type.value,
        )
        return _decode(answer, type_)

    async def delete(
        self,
        type_: type[ApiStruct],
        name: str,
        namespace: str = "",
        *,
        grace_period_seconds: int | None = None,
        propagation_policy: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> None:
        options = delete_options(
            grace_period_seconds=grace_period_seconds,
            propagation_policy=propagation_policy,
            uid=uid,
            resource_version=resource_version,
        )
        path = _named(type_, name).path(namespace, name)
        await self.raw("DELETE", path, {}, msgspec.json.encode(options))

    async def watch(
        self,
        type_: type[T],
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        timeout: float | None = None,
    ) -> AsyncIterator[WatchEvent[T]]:
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "timeoutSeconds": str(int(timeout)) if timeout is not None else "",
        }
        limits = aiohttp.ClientTimeout(
            total=None if timeout is None else timeout + WATCH_GRACE,
            sock_connect=CONNECT_TIMEOUT,
        )
        url = self._url(resource_of(type_).path(namespace), _query(**query))
        # No compression: it would hold events back until its buffer is full.
        headers = {**self._headers(), "Accept-Encoding": "identity"}
        self._requests += 1
        self._watches += 1
        try:
            async with self._open(0).get(
                url, headers=headers, timeout=limits, server_hostname=self._tls_server_name
            ) as response:
                _keep_alive(response)
                if response.status >= 400:
                    raise _api_error(response, await response.read())
                async for line in _lines(response.content):
                    yield _event(line, type_)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self._failures += 1
            raise self._unreachable(error) from error
        finally:
            self._watches -= 1

    async def raw(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        timeout: float = REQUEST_TIMEOUT,
    ) -> bytes:
        """One request, whole answer: for what has no method of its own (`/readyz`, `/version`)."""
        headers = {**self._headers(), "Accept": accept}
        if body is not None:
            headers["Content-Type"] = content_type
        limits = aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT_TIMEOUT)
        url = self._url(path, query or {})
        self._requests += 1
        try:
            async with self._open(CONNECTIONS).request(
                method,
                url,
                data=body,
                headers=headers,
                timeout=limits,
                server_hostname=self._tls_server_name,
            ) as response:
                answer = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self._failures += 1
            raise self._unreachable(error) from error
        if response.status >= 400:
            raise _api_error(response, answer)
        return answer

    def _open(self, limit: int) -> aiohttp.ClientSession:
        """The session with so many connections; 0: any number."""
        session = self._sessions.get(limit)
        if session is None:
            tls = self._ssl_context
            if tls is None and self.server.startswith("https:"):
                tls = ssl.create_default_context()  # never a library's default: see base.lean
            connector = aiohttp.TCPConnector(limit=limit, ssl=tls or True)
            session = self._sessions[limit] = aiohttp.ClientSession(connector=connector)
        return session

    def _url(self, path: str, query: Mapping[str, str]) -> URL:
        url = URL(self.server + quote(path), encoded=True)
        return url.with_query(query) if query else url

    def _headers(self) -> dict[str, str]:
        headers = {"User-Agent": self._user_agent, "Accept": "application/json"}
        if self._token is not None:
            token = self._token if isinstance(self._token, str) else self._token()
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _unreachable(self, error: BaseException) -> TemporaryError:
        why = str(error) or type(error).__name__
        if isinstance(error, TimeoutError):
            why = "no answer in time"
        hint = ""
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            hint = "the server's certificate is not signed by the CA we were given"
        return TemporaryError(f"cannot reach the API at {self.server}: {why}", hint=hint)


def _named(type_: type[ApiStruct], name: str) -> Resource:
    """The resource; an empty name would silently address the whole collection."""
    if not name:
        raise ValueError(f"a {type_.__name__} without a name cannot be addressed")
    return resource_of(type_)


def _query(**parameters: str) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if value}


D = TypeVar("D")


_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def _decoder(type_: type[D]) -> msgspec.json.Decoder[D]:
    decoder = _decoders.get(type_)
    if decoder is None:
        decoder = _decoders[type_] = msgspec.json.Decoder(type_)
    return decoder


def _decode(body: bytes | msgspec.Raw, type_: type[D]) -> D:
    try:
        return _decoder(type_).decode(body)
    except msgspec.DecodeError as error:  # a ValidationError is one
        name = getattr(type_, "__name__", str(type_))
        raise TemporaryError(
            f"the API sent something that is not a {name}: {error}",
            hint="is a proxy in between, or is the server of another version?",
        ) from error


def _event(line: bytes, type_: type[T]) -> WatchEvent[T]:
    event = _decode(line, _EventBody)
    if event.type == "ERROR":
        raise errors.ApiError(_decode(event.object, Status))
    if event.type == "BOOKMARK":
        revision = _decode(event.object, _Bookmark).metadata.resource_version
        return WatchEvent(event.type, None, revision)
    obj = _decode(event.object, type_)
    objects.forget_owners(obj)
    return WatchEvent(event.type, obj, objects.meta(obj).resource_version)


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length: StreamReader's own refuses those longer than its buffer."""
    rest: list[bytes] = []
    async for chunk in content.iter_any():
        *complete, tail = chunk.split(b"\n")
        for line in complete:
            whole = b"".join([*rest, line])
            rest.clear()
            if whole.strip():
                yield whole
        if tail:
            rest.append(tail)


def _keep_alive(response: aiohttp.ClientResponse) -> None:
    """A watch mostly listens, so only TCP itself can notice that the server is gone."""
    connection = response.connection
    transport = connection.transport if connection is not None else None
    handle = transport.get_extra_info("socket") if transport is not None else None
    if handle is not None:
        for level, option, value in _KEEPALIVE:
            handle.setsockopt(level, option, value)


_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    410: "Gone",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


def _api_error(response: aiohttp.ClientResponse, body: bytes) -> errors.ApiError:
    """The Status of the answer, or one made up for an answer that has none."""
    try:
        status = msgspec.json.decode(body, type=Status)
    except msgspec.DecodeError:
        status = Status(status="Success")
    if status.status != "Failure":
        text = body[:200].decode("utf-8", "replace").strip() or str(response.reason)
        status = Status(
            status="Failure",
            message=f"the server answered {response.status}: {text}",
            reason=_REASONS.get(response.status, ""),
        )
    if not status.code:
        status.code = response.status
    wait = response.headers.get("Retry-After", "")
    if wait.isdigit() and status.details is None:
        status.details = StatusDetails(retry_after_seconds=int(wait))
    return errors.ApiError(status)
