"""gRPC's health question, `grpc.health.v1.Health/Check`, for probes (steps 4 and 5 of the pod's walk).

One unary call on a connection of its own, without TLS, as Kubernetes asks it ("gRPC Health Checking
Protocol", "gRPC over HTTP2"). HTTP/2 itself is the business of `h2`; here are only the frame of a gRPC
message, its two fields, and what the trailers mean. At most 16 KB of an answer are read. Failures are
named in the words that people search for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

import h2.events as events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import H2Error, ProtocolError

from agent.probes import http
from api.codec.wire import encoded_varint

MAX_ANSWER = 16 * 1024
_PATH = "/grpc.health.v1.Health/Check"
_PIECE = 16 * 1024

_STATUSES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
_SERVING = 1

_CODES = (
    "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound",
    "AlreadyExists", "PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted",
    "OutOfRange", "Unimplemented", "Internal", "Unavailable", "DataLoss", "Unauthenticated",
)  # fmt: skip
_OF_HTTP = {
    400: "Internal", 401: "Unauthenticated", 403: "PermissionDenied", 404: "Unimplemented",
    429: "Unavailable", 502: "Unavailable", 503: "Unavailable", 504: "Unavailable",
}  # fmt: skip
"""What an answer without a gRPC status means, by its HTTP status."""


class GrpcFailure(Exception):
    """The service is not healthy, or nobody knows; the message says why."""


@dataclass(slots=True)
class _Answer:
    headers: dict[str, str] = field(default_factory=dict)
    trailers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


async def check(host: str, port: int, service: str, *, timeout: float) -> None:
    """Ask once; returns if the service says that it serves. Raises GrpcFailure."""
    address = f"{http.bracketed(host)}:{port}"
    connected = False
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(host, port)
            connected = True
            try:
                answer = await _call(reader, writer, address, service, timeout)
            finally:
                writer.transport.abort()
    except TimeoutError:
        raise GrpcFailure(_too_late(address, timeout, connected)) from None
    except UnicodeError:  # not a host name at all
        raise GrpcFailure(http.no_such_host(host)) from None
    except OSError as error:
        what = "read" if connected else "connect"
        why = f"dial tcp {address}: {what}: {http.words(error)}"
        raise GrpcFailure(f'error: failed to connect service at "{address}": {why}') from None
    except H2Error as error:
        why = f"it does not speak HTTP/2: {str(error) or type(error).__name__}"
        raise GrpcFailure(f'error: failed to connect service at "{address}": {why}') from None
    judge(answer.headers, answer.trailers, answer.body)


def _too_late(address: str, timeout: float, connected: bool) -> str:
    if connected:
        return f"timeout: health rpc did not complete within {timeout:g}s"
    why = "context deadline exceeded"
    return f'timeout: failed to connect service "{address}" within {timeout:g}s: {why}'


async def _call(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    address: str,
    service: str,
    timeout: float,
) -> _Answer:
    connection = H2Connection(H2Configuration(client_side=True))
    connection.initiate_connection()
    stream = connection.get_next_available_stream_id()
    headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", _PATH),
        (":authority", address),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", http.AGENT),
        ("grpc-timeout", f"{int(timeout * 1000)}m"),
    ]
    connection.send_headers(stream, headers)
    connection.send_data(stream, framed(request(service)), end_stream=True)
    answer = _Answer()
    while True:
        if to_send := connection.data_to_send():
            writer.write(to_send)
            await writer.drain()
        received = await reader.read(_PIECE)
        if not received:
            raise GrpcFailure(_failed("Unavailable", "error reading from server: EOF"))
        if received.startswith(b"HTTP/1"):  # which would pass for the length of a very long frame
            raise ProtocolError(f"it answers {received[:12].decode('latin-1')}")
        if _take(connection, connection.receive_data(received), answer):
            return answer


def _take(connection: H2Connection, happened: Iterable[events.Event], answer: _Answer) -> bool:
    """Note what has come. True at the end of the answer."""
    for event in happened:
        match event:
            case events.ResponseReceived():
                answer.headers.update(_named(event.headers))
            case events.TrailersReceived():
                answer.trailers.update(_named(event.headers))
            case events.DataReceived():
                answer.body += event.data or b""
                if len(answer.body) > MAX_ANSWER:
                    raise GrpcFailure(_failed("ResourceExhausted", "the answer is too large"))
                size = event.flow_controlled_length or 0
                connection.acknowledge_received_data(size, event.stream_id or 1)
            case events.StreamEnded():
                return True
            case events.StreamReset():
                why = f"stream terminated by RST_STREAM with error code: {event.error_code}"
                raise GrpcFailure(_failed("Unavailable", why))
            case events.ConnectionTerminated():
                raise GrpcFailure(_failed("Unavailable", "the server has closed the connection"))
    return False


def _named(headers: Iterable[tuple[str | bytes, str | bytes]] | None) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in headers or ()}


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def request(service: str) -> bytes:
    """A HealthCheckRequest: the service is field 1; an empty one asks about the server as a whole."""
    name = service.encode()
    return b"\n" + encoded_varint(len(name)) + name if name else b""


def framed(message: bytes) -> bytes:
    """A message as gRPC sends it: not compressed, and how long it is."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def judge(headers: Mapping[str, str], trailers: Mapping[str, str], body: bytes) -> None:
    """What an answer means. Raises GrpcFailure unless it is that the service serves."""
    told = trailers if "grpc-status" in trailers else headers  # headers: there is nothing but them
    if "grpc-status" not in told:
        code = int(headers.get(":status", "0")) if headers.get(":status", "").isdigit() else 0
        why = f"unexpected HTTP status code received from server: {code}"
        raise GrpcFailure(_failed(_OF_HTTP.get(code, "Unknown"), why))
    number = told["grpc-status"]
    name = _CODES[int(number)] if number.isdecimal() and int(number) < len(_CODES) else number
    message = unquote(told.get("grpc-message", ""))
    if name == "Unimplemented":
        protocol = "the grpc health protocol (grpc.health.v1.Health)"
        raise GrpcFailure(f"error: this server does not implement {protocol}: {message}")
    if name != "OK":
        raise GrpcFailure(_failed(name, message))
    status = _status(body)
    if status != _SERVING:
        shown = _STATUSES[status] if status < len(_STATUSES) else str(status)
        raise GrpcFailure(f'service unhealthy (responded with "{shown}")')


def _status(body: bytes) -> int:
    """The field 1 of a HealthCheckResponse; 0 where it is left out."""
    length = int.from_bytes(body[1:5], "big")
    message = body[5 : 5 + length]
    if len(body) < 5 or body[0] or len(message) < length:
        raise GrpcFailure(_failed("Internal", "the answer is no message of gRPC"))
    if not message:
        return 0
    if len(message) != 2 or message[0] != 0x08 or message[1] > 0x7F:
        raise GrpcFailure(_failed("Internal", "the answer is no HealthCheckResponse"))
    return message[1]


def _failed(code: str, why: str) -> str:
    return f"error: health rpc probe failed: rpc error: code = {code} desc = {why}"
