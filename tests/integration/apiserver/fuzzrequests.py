"""Requests for the fuzzing of the API, a client that sends them as they are, and what must hold of answers.

A request is drawn from the paths, verbs and parameters of the server's OpenAPI documents, then perhaps
bent. Nothing here goes through an HTTP library: those would mend or refuse what is to be sent.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import msgspec

from tests.integration.apiserver.fuzzbodies import NAMES, TEXTS, Bodies

METHODS = ("get", "put", "post", "patch", "delete")
# Their answers come from others, or would be sent there.
_ABROAD = ("proxy", "exec", "attach", "portforward", "log", "why")
# What these say would be called, or would refuse everything from then on.
_FAR_REACHING = ("admissionregistration.k8s.io", "apiregistration.k8s.io")
_VERSIONS = (
    "0",
    "1",
    "5",
    "00",
    "-1",
    "x",
    "1e3",
    "99999999999999999999",
    "9223372036854775807",
    "٣",
    "",
)
_TOKENS = (
    "",
    "x",
    "e30",
    "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJhIn0",
    "%00",
    "A" * 3000,
)
_SELECTORS = (
    "", "a=b", "a!=b", "a in (b,c)", "!a", "a notin (b)", "a=b,c", "metadata.name=a", "status.phase=Running",
    "spec.nodeName=", "a in (", "(((", "a==", "=b", "a=b=c", "x" * 400, ",", "\x00",
    "a in (b" + ",b" * 500 + ")", "metadata.name!=a", "no.such=1", "é=ü",
)  # fmt: skip
_ACCEPTS = (
    "application/json", "application/yaml", "*/*", "", "application/json;as=Table;v=v1;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", "application/vnd.kubernetes.protobuf",
    "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json",
    "text/html, */*;q=0.1",
    "application/json;as=Table;v=v9;g=x", "application/json;q=x", ";;;", "a/b;c=" + "d" * 2000,
    "application/yaml;as=Table;v=v1;g=meta.k8s.io", "application/json;stream=watch",
)  # fmt: skip


@dataclass
class Request:
    """One request, as it goes over the wire."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    chunked: bool = False

    def wire(self) -> bytes:
        lines = [f"{self.method} {self.target} HTTP/1.1", "Host: fuzz"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.chunked:
            lines.append("Transfer-Encoding: chunked")
        elif self.body or self.method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {len(self.body)}")
        head = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"
        return head + (_chunks(self.body) if self.chunked else self.body)


@dataclass(frozen=True)
class Operation:
    """One verb of one path of a document."""

    method: str
    path: str
    parameters: tuple[dict[str, Any], ...]
    schema: dict[str, Any]
    gvk: dict[str, str]


def operations(document: dict[str, Any]) -> list[Operation]:
    """All that a document offers, but for what leaves this machine."""
    found = []
    for path, item in document["paths"].items():
        if path.rpartition("/")[2] in _ABROAD or "{path}" in path:
            continue
        shared = item.get("parameters", [])
        for method in METHODS:
            if (spec := item.get(method)) is not None:
                content = spec.get("requestBody", {}).get("content", {})
                schema = content.get("application/json", {}).get("schema", {})
                if not schema and method == "patch":
                    answer = spec["responses"].get("200", {}).get("content", {})
                    schema = answer.get("application/json", {}).get("schema", {})
                found.append(
                    Operation(
                        method,
                        path,
                        (*shared, *spec.get("parameters", [])),
                        schema,
                        spec.get("x-kubernetes-group-version-kind", {}),
                    )
                )
    return found


class Requests:
    """Draws requests; the same source gives the same ones again."""

    def __init__(self, source: random.Random, found: list[Operation], bodies: Bodies) -> None:
        self._random = source
        self._operations = found
        self._bodies = bodies

    def draw(self) -> Request:
        operation = self._random.choice(self._operations)
        method = operation.method.upper()
        chance = self._bodies.chance
        if chance(3):
            method = self._random.choice(
                ("GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW")
            )
        query = self._query(operation)
        rarely = operation.method == "delete" and chance(50 if "{name}" in operation.path else 90)
        if (_reaches_far(operation) or rarely) and method != "GET":
            query["dryRun"] = "All"  # else hardly anything would be there
        request = Request(method, self._path(operation), {"Accept": self._accept()})
        if query:
            request.target += "?" + "&".join(
                f"{name}={_escaped(value)}" for name, value in query.items()
            )
        if chance(2):
            request.target += self._random.choice(
                ("&&&", "?", "&=", "&%", "&a=%ff", "#x", "&" + "a=b&" * 1500)
            )
        if method in ("POST", "PUT", "PATCH") or (method == "DELETE" and chance(40)):
            self._fill(request, operation)
        return request

    def _path(self, operation: Operation) -> str:
        path = operation.path
        for name in ("namespace", "name"):
            choices = ("fuzz", "fuzz", "fuzz", "default") if name == "namespace" else NAMES
            value = self._random.choice(choices)
            if self._bodies.chance(6):
                value = self._random.choice(TEXTS) or "x"
            path = path.replace(f"{{{name}}}", quote(value, safe=""), 1)
        if self._bodies.chance(3):
            bend = self._random.choice(
                ("//", "/%2e%2e", "/%00", "/%", "/%ff", "/" + "x" * 3000, "/status", ";a")
            )
            at = self._random.randrange(1, len(path))
            path = path[:at] + bend + path[at:]
        return path

    def _query(self, operation: Operation) -> dict[str, str]:
        query = {}
        for parameter in operation.parameters:
            if parameter.get("in") == "query" and self._bodies.chance(12):
                query[parameter["name"]] = self._value(parameter["name"])
        # Whatever follows `watch=false` makes it mean yes, and then it must end.
        if "watch" in query or "/watch/" in operation.path:
            query = {**query, "timeoutSeconds": "1"}
        return query

    def _value(self, name: str) -> str:
        if self._bodies.chance(10):
            return self._random.choice(TEXTS)
        known: dict[str, tuple[str, ...]] = {
            "resourceVersion": _VERSIONS,
            "resourceVersionMatch": ("Exact", "NotOlderThan", "", "x"),
            "continue": _TOKENS,
            "labelSelector": _SELECTORS,
            "fieldSelector": _SELECTORS,
            "dryRun": ("All", "All", "", "x"),
            "fieldValidation": ("Strict", "Warn", "Ignore", "x"),
            "propagationPolicy": ("Foreground", "Background", "Orphan", "x"),
            "watch": ("true", "1", "false"),
            "limit": ("1", "2", "0", "500", "-1", "x", "9" * 30, "9" * 5000, "²", "٣"),
        }
        return self._random.choice(
            known.get(name, ("true", "false", "0", "1", "-1", "9" * 30, "x", "fuzz"))
        )

    def _accept(self) -> str:
        return "application/json" if self._bodies.chance(70) else self._random.choice(_ACCEPTS)

    def _fill(self, request: Request, operation: Operation) -> None:
        bodies, chance = self._bodies, self._bodies.chance
        if request.method == "PATCH":
            request.body, content_type = bodies.patch(operation.schema, operation.gvk)
        elif request.method == "DELETE":
            tree: Any = {"kind": "DeleteOptions", "apiVersion": "v1"}
            if chance(50):
                tree |= {
                    "propagationPolicy": bodies.text(),
                    "gracePeriodSeconds": bodies.anything(4),
                }
            request.body, content_type = bodies.written(tree)
        else:
            tree = bodies.object(operation.schema, operation.gvk)
            if chance(40):
                tree = bodies.spoil(tree)
            request.body, content_type = bodies.written(tree)
        if content_type:
            request.headers["Content-Type"] = content_type
        request.chunked = chance(10)
        if chance(3):
            request.headers["Content-Encoding"] = self._random.choice(
                ("gzip", "deflate", "br", "x")
            )
            if chance(50):
                request.body = gzip.compress(request.body)
        if chance(1):
            request.body += b" " * 3_200_000


def _reaches_far(operation: Operation) -> bool:
    """Whether it must not be kept: it would be called, or all further requests would end there."""
    gone = operation.method == "delete" and operation.gvk.get("kind") == "Namespace"
    return gone or operation.gvk.get("group") in _FAR_REACHING


def _escaped(value: str) -> str:
    return quote(value, safe="")


def _chunks(body: bytes) -> bytes:
    size = max(1, len(body) // 3)
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    code: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """A connection that is opened anew whenever the server has closed it."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._port = port
        self._context = context
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: Request) -> Answer:
        """As clients do: once more where a connection that was kept has been closed meanwhile."""
        kept = self._streams is not None
        try:
            return await self._exchange(request)
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            self.close()
            if not kept or getattr(error, "partial", b""):
                raise
            return await self._exchange(request)

    async def _exchange(self, request: Request) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection(
                "127.0.0.1", self._port, ssl=self._context, limit=1 << 26
            )
        reader, writer = self._streams
        sending = asyncio.ensure_future(self._write(writer, request.wire()))
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            answer = await self._body(reader, head, request.method)
        finally:
            sending.cancel()
        # Who is refused before all was sent can say no more on this connection.
        closing = answer.headers.get("connection", "").lower() == "close"
        if closing or head.startswith(b"HTTP/1.0") or not sending.done():
            self.close()
        return answer

    async def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    async def _body(self, reader: asyncio.StreamReader, head: bytes, method: str) -> Answer:
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)
        }
        code = int(status.split()[1])
        if method == "HEAD" or code in (204, 304):
            return Answer(code, headers, b"")
        if headers.get("transfer-encoding", "") != "chunked":
            return Answer(code, headers, await reader.readexactly(int(headers["content-length"])))
        pieces = []
        while size := int(await reader.readline(), 16):
            pieces.append((await reader.readexactly(size + 2))[:-2])
        await reader.readexactly(2)
        return Answer(code, headers, b"".join(pieces))

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


# 501: what is not served yet, and says so. 504: a version that is not there yet.
_SERVER_ERRORS = (501, 504)
# Of a custom object that does not say how many there are: a 500 in Kubernetes, too.
_NO_REPLICAS = b"the spec replicas field"
# Of a control plane that runs nothing but its API server: nobody is there who could say why.
_NO_REPORTS = b"runs no controllers and no scheduler"
# To a read that waited for a version of the future while its definition was changed: it is to come again.
_MADE_ANEW = b"are no longer served here"
_EXPECTED = (_NO_REPLICAS, _NO_REPORTS, _MADE_ANEW)


def fault(request: Request, answer: Answer) -> str:
    """What is wrong with an answer, or ""."""
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if any(words in answer.body for words in _EXPECTED):
        return ""
    if request.method == "HEAD" and "/scale" in request.target:
        return ""
    if answer.code >= 500 and answer.code not in _SERVER_ERRORS:
        return "an error of the server's"
    if request.method == "HEAD" or answer.code in (204, 304):
        return ""
    try:
        if kind == "application/json" and answer.code == 200 and "watch" in request.target:
            indented = answer.body.startswith(b"{\n")  # for people, and no watch after all
            events = [answer.body] if indented else answer.body.splitlines()
            tree = [json.loads(event) for event in events]
        elif kind == "application/json":
            tree = json.loads(answer.body)
        elif kind == "application/yaml":
            tree = msgspec.yaml.decode(answer.body)
        else:
            return "" if answer.code < 400 or kind == "text/plain" else "an error that is no Status"
    except (ValueError, msgspec.DecodeError) as error:
        return f"a body that cannot be read: {error}"
    return _status_fault(answer, tree) if answer.code >= 400 else ""


def _status_fault(answer: Answer, tree: Any) -> str:
    if (
        not isinstance(tree, dict)
        or tree.get("kind") != "Status"
        or tree.get("status") != "Failure"
    ):
        return "an error that is no Status"
    if tree.get("code") != answer.code:
        return f"a Status of {tree.get('code')}"
    if not tree.get("reason") or not tree.get("message"):
        return "a Status that gives no reason"
    return ""
