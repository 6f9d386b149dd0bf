"""One HTTP GET and its answer, for probes and hooks (steps 4 and 5 of the pod's walk).

A client of a page, because what a probe needs is what HTTP libraries hide: no connection is kept,
no cookie, no proxy, no certificate checked (pods have their own), at most 10 KB read, and a failure
named in the words that people search for. Redirects are followed on the same host only.
"""

from __future__ import annotations

import asyncio
import functools
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote, urljoin, urlsplit

MAX_BODY = 10 * 1024
MAX_REDIRECTS = 10
AGENT = "kube-probe/1.34"

_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, kw_only=True)
class Get:
    """What is asked for."""

    scheme: str
    host: str
    port: int
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def url(self) -> str:
        return f"{self.scheme.lower()}://{bracketed(self.host)}:{self.port}{self.path}"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    body: str = ""
    url: str = ""
    """Where it came from, after redirects."""
    location: str = ""
    elsewhere: bool = False
    """It redirects to another host, which a probe does not ask."""


class HttpFailure(Exception):
    """No answer; the message says why in Go's words."""


async def get(request: Get) -> Answer:
    """Ask, following redirects. Raises HttpFailure. The caller sets the time limit."""
    first = request.url
    for _ in range(MAX_REDIRECTS):
        answer = await _once(request, first)
        if answer.status not in _REDIRECTS or not answer.location:
            return answer
        try:
            following = _redirected(request, answer.location)
        except ValueError as error:  # whoever is probed may write anything there
            words = f"failed to parse Location header {answer.location!r}: {error}"
            raise HttpFailure(f'Get "{first}": {words}') from error
        if following is None:
            return replace(answer, elsewhere=True)
        request = following
    raise HttpFailure(f'Get "{first}": stopped after {MAX_REDIRECTS} redirects')


def _redirected(request: Get, location: str) -> Get | None:
    """What to ask next; None when it is on another host. Raises ValueError."""
    target = urlsplit(urljoin(request.url, location))
    if (target.hostname or "").lower() != request.host.lower():
        return None
    scheme = target.scheme or request.scheme
    path = escaped((target.path or "/") + (f"?{target.query}" if target.query else ""))
    port = target.port or (443 if scheme == "https" else 80)
    headers = request.headers
    if urlsplit(location).scheme:  # it names the host itself
        headers = tuple((name, value) for name, value in headers if name.lower() != "host")
    return replace(request, scheme=scheme, port=port, path=path, headers=headers)


async def _once(request: Get, url: str) -> Answer:
    address = f"{bracketed(request.host)}:{request.port}"
    try:
        reader, writer = await asyncio.open_connection(
            request.host, request.port, ssl=_unverified() if _secure(request) else None
        )
    except ssl.SSLError as error:
        raise HttpFailure(f'Get "{url}": tls: {error.reason or error}') from error
    except OSError as error:
        raise HttpFailure(f'Get "{url}": dial tcp {address}: connect: {words(error)}') from error
    except ValueError as error:  # not a host name at all
        raise HttpFailure(f'Get "{url}": {no_such_host(request.host)}') from error
    try:
        writer.write(_request(request, address))
        await writer.drain()
        return await _answer(reader, request.url)
    except (asyncio.IncompleteReadError, OSError) as error:
        reason = "EOF" if isinstance(error, asyncio.IncompleteReadError) else words(error)
        raise HttpFailure(f'Get "{url}": {reason}') from error
    except (ValueError, asyncio.LimitOverrunError) as error:
        raise HttpFailure(f'Get "{url}": net/http: malformed HTTP response') from error
    finally:
        writer.transport.abort()


def _request(request: Get, address: str) -> bytes:
    wanted = [(name, value) for name, value in request.headers if name.lower() != "host"]
    hosts = [value for name, value in request.headers if name.lower() == "host" and value]
    given = {name.lower() for name, _ in wanted}
    ours = {"User-Agent": AGENT, "Accept": "*/*", "Connection": "close"}
    headers = [("Host", hosts[0] if hosts else address)]
    headers += [(name, value) for name, value in ours.items() if name.lower() not in given]
    # An empty value takes a header of ours away, as in Kubernetes; a name may come more than once.
    headers += [(n, v) for n, v in wanted if v or n.lower() not in ("user-agent", "accept")]
    lines = [f"GET {request.path or '/'} HTTP/1.1"]
    lines += [f"{name}: {_clean(value)}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


async def _answer(reader: asyncio.StreamReader, url: str) -> Answer:
    status_line = (await _line(reader)).split(" ", 2)
    if len(status_line) < 2 or not status_line[0].startswith("HTTP/"):
        raise ValueError(status_line[0])
    status = int(status_line[1])
    headers = await _headers(reader)
    body = b""
    if status not in (204, 304):
        body = await _body(reader, headers)
    return Answer(
        status=status,
        url=url,
        body=body.decode("utf-8", "replace"),
        location=headers.get("location", ""),
    )


async def _headers(reader: asyncio.StreamReader) -> dict[str, str]:
    headers: dict[str, str] = {}
    while line := await _line(reader):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return headers


async def _line(reader: asyncio.StreamReader) -> str:
    """A line without its end, which may be a bare newline: CGI scripts write that, and Go reads it."""
    return (await reader.readuntil(b"\n")).rstrip(b"\r\n").decode("latin-1")


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    """The beginning of the body. Its end does not matter to a probe, so an early one is no error."""
    wanted = MAX_BODY
    if headers.get("content-length", "").isdigit():
        wanted = min(wanted, int(headers["content-length"]))
    body = b""
    try:
        while len(body) < wanted and (piece := await reader.read(wanted - len(body))):
            body += piece
            if headers.get("transfer-encoding") == "chunked" and body.endswith(b"0\r\n\r\n"):
                break
    except ConnectionError:
        pass
    return body


def _secure(request: Get) -> bool:
    return request.scheme.lower() == "https"


@functools.cache  # making one takes longer than asking
def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _clean(value: str) -> str:
    return value.replace("\r", " ").replace("\n", " ")


def escaped(path: str) -> str:
    """What a request can carry of a path: no spaces, no line ends, and no fragment."""
    return quote(path.partition("#")[0], safe="/?%:@!$&'()*+,;=[]~", errors="replace")


def bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def no_such_host(host: str) -> str:
    return f"dial tcp: lookup {host}: no such host"


def words(error: BaseException) -> str:
    """`connection refused`: what strerror(3) says, in small letters as Go prints it."""
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
        # asyncio puts the address into it: "Connect call failed ('10.0.0.1', 80)".
        if error.errno and "call failed" in text:
            text = os.strerror(error.errno)
        return text[:1].lower() + text[1:]
    return str(error) or type(error).__name__
