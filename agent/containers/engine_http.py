"""What is said to the Docker Engine, and what it answers: HTTP on its socket (steps 4 and 5).

As much HTTP as that takes, from asyncio (docs/decisions/engine-socket.md says why):
- everything is asked for in HTTP/1.0, so that the engine does not chunk its answer: the body is what
  follows the headers, up to the end of the connection;
- exec and attach ask for an upgrade, after which the connection is a pipe in both directions, each of
  which can be closed alone.

One connection per question or conversation, owned by whoever opened it; nothing is pooled or shared.
Connecting to a socket of the same machine is cheap, and a connection that nobody has used for a while
may be gone when it is needed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing, asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from agent.containers.engine_json import failure, pull_failure, pull_progress
from agent.containers.errors import EngineError, EngineUnavailable, RuntimeFailure
from agent.containers.records import PullProgress

HEADER_TIMEOUT = 60.0
"""Seconds until the engine must have begun to answer."""
LAST_WORDS = 10.0
"""Seconds for what is still to be sent when a conversation ends."""
TRANSFERS = 3
"""Images that are imported or loaded at a time; who asks for pulls knows how many (`pulls`)."""
CHUNK = 64 * 1024
Query = Mapping[str, str | int] | Sequence[tuple[str, str | int]]
Translate = Callable[[int, str], RuntimeFailure]
"""From status and message of a refusal to our error."""

LINE_LIMIT = 1024 * 1024
"""Bytes of the longest line of JSON that an engine may send."""


@dataclass(frozen=True)
class EngineAddress:
    """Where an engine listens: a Unix socket or a TCP port."""

    path: str = ""
    host: str = ""
    port: int = 0

    @classmethod
    def parse(cls, url: str) -> EngineAddress:
        parts = urlsplit(url)
        if parts.scheme == "unix" and parts.path:
            return cls(path=parts.path)
        if parts.scheme in ("tcp", "http") and parts.hostname:
            return cls(host=parts.hostname, port=parts.port or 2375)
        raise EngineError(
            f"not an engine's address: {url}", hint="Expected unix:///path or tcp://host:port."
        )

    def __str__(self) -> str:
        return f"unix://{self.path}" if self.path else f"tcp://{self.host}:{self.port}"

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            if self.path:
                return await asyncio.open_unix_connection(self.path, limit=LINE_LIMIT)
            return await asyncio.open_connection(self.host, self.port, limit=LINE_LIMIT)
        except OSError as error:
            raise EngineUnavailable(
                f"cannot connect to the Docker Engine at {self}: {error.strerror or error}",
                hint="Is the Docker Engine running? See `systemctl status docker`.",
            ) from error


@dataclass(frozen=True)
class Connection:
    """An answer whose headers have been read; the body is still to come."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def abort(self) -> None:
        """Be done with it, whatever was not sent yet: an engine may never read that, and till then a
        connection that was merely closed holds its descriptor."""
        self.writer.transport.abort()

    async def close(self) -> None:
        """Close it once what was written is sent, if that does not take for ever."""
        self.writer.close()
        try:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(LAST_WORDS):
                    await self.writer.wait_closed()
        finally:
            self.abort()


class EngineSocket:
    """Requests to the engine at `address`; `prefix` is asked for the API version's part of the path."""

    def __init__(self, address: EngineAddress, prefix: Callable[[], Awaitable[str]]) -> None:
        self._address = address
        self._prefix = prefix
        self._transfers = asyncio.Semaphore(TRANSFERS)
        self.opened = 0

    async def open(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        upgrade: bool = False,
        header_timeout: float | None = HEADER_TIMEOUT,
        translate: Translate = failure,
    ) -> Connection:
        """Send a request and read the headers of the answer. A refusal is raised as our error."""
        target = await self._prefix() + path + (f"?{urlencode(query)}" if query else "")
        head = _head(method, target, headers or {}, length=len(body), upgrade=upgrade)
        reader, writer = await self._address.connect()
        self.opened += 1
        connection = Connection(reader, writer)
        try:
            with _translated(f"{method} {path}"):
                async with asyncio.timeout(header_timeout):
                    # Not waited for: an engine that refuses a body need not read it to its end.
                    writer.write(head + body)
                    status = _status(await reader.readuntil(b"\r\n\r\n"))
                if status >= 400:
                    # Up to the end, unless the connection was to last.
                    said = await reader.read(CHUNK if upgrade else -1)
                    raise translate(status, _message(said))
        except BaseException:
            connection.abort()
            raise
        return connection

    @asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        header_timeout: float | None = HEADER_TIMEOUT,
        translate: Translate = failure,
    ) -> AsyncIterator[asyncio.StreamReader]:
        """The body of an answer, as it comes; the connection lasts as long as the block."""
        connection = await self.open(
            method,
            path,
            query=query,
            body=body,
            headers=headers,
            header_timeout=header_timeout,
            translate=translate,
        )
        try:
            with _translated(f"{method} {path}"):
                yield connection.reader
        finally:
            connection.abort()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: object = None,
        translate: Translate = failure,
        patience: float,
    ) -> Any:
        """A short question with a JSON answer, None for an empty one, within `patience` seconds."""
        sent = b"" if body is None else msgspec.json.encode(body)
        kind = {} if body is None else {"Content-Type": "application/json"}
        with _translated(f"{method} {path}"):
            async with (
                asyncio.timeout(patience),
                self.request(
                    method,
                    path,
                    query=query,
                    body=sent,
                    headers=kind,
                    header_timeout=None,
                    translate=translate,
                ) as answer,
            ):
                said = await answer.read()
        try:
            return msgspec.json.decode(said) if said.strip() else None
        except msgspec.DecodeError as error:  # a killed engine ends in the middle of a word
            raise EngineUnavailable(f"the Docker Engine broke off {method} {path}") from error

    async def wait(self, method: str, path: str, *, query: Query = ()) -> None:
        """A request that is answered once something has happened, however long that takes."""
        async with self.request(method, path, query=query, header_timeout=None) as body:
            await body.read()

    async def transfer(
        self,
        path: str,
        *,
        query: Query,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        progress: Callable[[PullProgress], None] | None = None,
        patience: float | None = None,
    ) -> None:
        """A POST answered by a stream of progress, with the failure, if any, as its last word. Raises
        TimeoutError when there is none for `patience` seconds, its turn not counted."""
        kind = {"Content-Type": "application/x-tar"} if body else {}
        sent = {**kind, **(headers or {})}
        now = asyncio.get_running_loop().time
        async with (
            self._transfers if body else nullcontext(),
            asyncio.timeout(patience) as left,
            self.request(
                "POST", path, query=query, body=body, headers=sent, header_timeout=None
            ) as answer,
            aclosing(json_lines(answer)) as messages,
        ):
            async for message in messages:
                left.reschedule(None if patience is None else now() + patience)
                if "error" in message:
                    raise pull_failure(str(message["error"]))
                if progress is not None:
                    progress(pull_progress(message))

    async def answers(self) -> bool:
        """Whether an engine answers at all."""
        try:
            async with self.request("GET", "/_ping") as body:
                return bool(await body.read(CHUNK))
        except RuntimeFailure:
            return False


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """The socket's errors as ours."""
    try:
        yield
    except TimeoutError as error:
        raise EngineUnavailable(f"the Docker Engine did not answer {what} in time") from error
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise EngineUnavailable(f"the Docker Engine broke off {what}: {error}") from error


async def json_lines(reader: asyncio.StreamReader) -> AsyncGenerator[dict[str, Any], None]:
    """The objects of a stream with one object per line, which is how the engine reports progress."""
    try:
        while line := await reader.readline():
            if line.strip():
                yield json.loads(line)
    except ValueError as error:  # a killed engine ends in the middle of a line
        raise EngineUnavailable(f"the Docker Engine broke off a message: {error}") from error


def _head(
    method: str, target: str, headers: Mapping[str, str], *, length: int, upgrade: bool
) -> bytes:
    fields = {"Host": "docker", "Content-Length": str(length), **headers}
    if upgrade:
        fields |= {"Connection": "Upgrade", "Upgrade": "tcp"}
    lines = [f"{method} {target} HTTP/{'1.1' if upgrade else '1.0'}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _status(head: bytes) -> int:
    parts = head.split(b" ", 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/") or not parts[1].isdigit():
        raise EngineError(f"this is not a Docker Engine: it answered {head[:60]!r}")
    return int(parts[1])


def _message(body: bytes) -> str:
    """The `message` of an error's body; an upgrade request gets it chunked or as plain text."""
    text = body.decode(errors="replace")
    start, end = text.find("{"), text.rfind("}")
    try:
        return str(json.loads(text[start : end + 1])["message"])
    except (ValueError, KeyError):
        return text
