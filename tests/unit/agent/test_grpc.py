"""gRPC's health question, over real loopback sockets: what serves, what does not, and what is no gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.containers.fake import FakeRuntime
from agent.containers.records import ContainerId
from agent.probes import grpc
from agent.probes.handlers import Target, Verdict, ask
from api.core import GRPCAction, Probe
from base.clock import FakeClock
from tests.unit.agent.builders import container

Headers = list[tuple[str, str]]
OK: Headers = [("grpc-status", "0")]
GRPC: Headers = [(":status", "200"), ("content-type", "application/grpc")]


class Health:
    """A server of HTTP/2 that answers every call alike."""

    def __init__(
        self, body: bytes = b"", *, headers: Headers = GRPC, trailers: Headers | None = OK
    ) -> None:
        self.body = body
        self.headers = headers
        self.trailers = trailers
        self.asked: list[tuple[dict[str, str], bytes]] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        connection.initiate_connection()
        headers: dict[str, str] = {}
        body = b""
        while True:
            writer.write(connection.data_to_send())
            received = await reader.read(65536)
            if not received:
                break
            for event in connection.receive_data(received):
                match event:
                    case RequestReceived():
                        headers = {str(name): str(value) for name, value in event.headers}
                    case DataReceived():
                        body += event.data
                    case StreamEnded():
                        self.asked.append((headers, body))
                        self.answer(connection, event.stream_id)
        writer.close()

    def answer(self, connection: H2Connection, stream: int) -> None:
        if self.trailers is None:  # nothing but headers
            connection.send_headers(stream, self.headers, end_stream=True)
            return
        connection.send_headers(stream, self.headers)
        for start in range(0, len(self.body), 8192):
            connection.send_data(stream, self.body[start : start + 8192])
        connection.send_headers(stream, self.trailers, end_stream=True)


@asynccontextmanager
async def serving(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any],
) -> AsyncIterator[int]:
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def probe(port: int, *, service: str = "", timeout: float = 60.0) -> Verdict:
    action = GRPCAction(port=port, service=service)
    target = Target(container=container(), id=ContainerId("x"), ip="127.0.0.1")
    return await ask(Probe(grpc=action), target, FakeRuntime(FakeClock()), timeout=timeout)


def message(status: int) -> bytes:
    return grpc.framed(bytes([8, status]) if status else b"")


async def test_what_serves_passes() -> None:
    health = Health(message(1))
    async with serving(health) as port:
        assert await probe(port) == Verdict(passed=True, message="service healthy")
        assert (await probe(port, service="shop.Cart")).passed
    (headers, first), (_, second) = health.asked
    assert headers[":path"] == "/grpc.health.v1.Health/Check"
    assert headers["content-type"] == "application/grpc"
    assert headers["te"] == "trailers"
    assert headers[":authority"] == f"127.0.0.1:{port}"
    assert headers["user-agent"].startswith("kube-probe/")
    assert first == b"\0\0\0\0\0"
    assert second == b"\0\0\0\0\x0b\n\x09shop.Cart"


@pytest.mark.parametrize(
    ("health", "said"),
    [
        (Health(message(0)), 'service unhealthy (responded with "UNKNOWN")'),
        (Health(message(2)), 'service unhealthy (responded with "NOT_SERVING")'),
        (Health(message(3)), 'service unhealthy (responded with "SERVICE_UNKNOWN")'),
        (Health(message(9)), 'service unhealthy (responded with "9")'),
        (
            Health(trailers=[("grpc-status", "5"), ("grpc-message", "unknown%20service")]),
            "error: health rpc probe failed: rpc error: code = NotFound desc = unknown service",
        ),
        (
            Health(headers=[*GRPC, ("grpc-status", "12"), ("grpc-message", "no")], trailers=None),
            "error: this server does not implement the grpc health protocol "
            "(grpc.health.v1.Health): no",
        ),
        (
            Health(headers=[(":status", "404"), ("content-type", "text/plain")], trailers=None),
            "code = Unimplemented desc = unexpected HTTP status code received from server: 404",
        ),
        (
            Health(headers=[(":status", "503")], trailers=None),
            "code = Unavailable desc = unexpected HTTP status code",
        ),
        (Health(b"\0\0\0"), "code = Internal desc = the answer is no message of gRPC"),
        (Health(b"\1\0\0\0\2\x08\1"), "the answer is no message of gRPC"),
        (Health(grpc.framed(b"what?")), "the answer is no HealthCheckResponse"),
        (Health(b"x" * (grpc.MAX_ANSWER + 1)), "the answer is too large"),
        (Health(message(1), trailers=[("grpc-status", "99")]), "code = 99"),
        (Health(message(1), trailers=[("other", "x")]), "code = Unknown"),
    ],
)
async def test_what_does_not_serve(health: Health, said: str) -> None:
    async with serving(health) as port:
        verdict = await probe(port)
    assert not verdict.passed
    assert not verdict.unknown
    assert said in verdict.message


async def test_nobody_listens() -> None:
    async with serving(Health()) as port:
        pass
    verdict = await probe(port)
    assert verdict.message == (
        f'error: failed to connect service at "127.0.0.1:{port}": '
        f"dial tcp 127.0.0.1:{port}: connect: connection refused"
    )


async def test_a_server_that_says_nothing() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with serving(silent) as port:
        verdict = await probe(port, timeout=0.5)
    assert verdict.message.startswith("timeout: health rpc did not complete within 0.5s (asked ")


async def test_a_server_that_hangs_up() -> None:
    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    async with serving(rude) as port:
        verdict = await probe(port)
    assert "code = Unavailable" in verdict.message or "reset" in verdict.message


async def test_a_web_server_of_the_old_kind() -> None:
    async def old(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with serving(old) as port:
        verdict = await probe(port)
    assert not verdict.passed
    assert "it does not speak HTTP/2" in verdict.message


@settings(deadline=None, max_examples=50)
@given(said=st.binary(max_size=80), greets=st.booleans())
def test_whatever_a_server_says_is_a_verdict(said: bytes, greets: bool) -> None:
    """Never an error of ours, and never a pass."""

    async def run() -> Verdict:
        async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = H2Connection(H2Configuration(client_side=False))
            connection.initiate_connection()
            await reader.read(100)
            writer.write((connection.data_to_send() if greets else b"") + said)
            writer.close()

        async with serving(odd) as port:
            return await probe(port)

    verdict = asyncio.run(run())
    assert not verdict.passed
    assert not verdict.unknown


@given(st.text())
def test_any_name_of_a_service_can_be_asked_for(name: str) -> None:
    sent = grpc.request(name)
    encoded = name.encode()
    assert sent.endswith(encoded)
    assert len(sent) - len(encoded) == (0 if not encoded else 2 if len(encoded) < 128 else 3)
