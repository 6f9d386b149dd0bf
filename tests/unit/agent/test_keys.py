"""Keys and requests that a child makes: what it made fits, its errors are ours, the agent stays small."""

from __future__ import annotations

import asyncio
import socket

import pytest

from agent.node import keys
from base import pki, tls
from base.clock import SystemClock
from base.errors import TemporaryError
from base.process import Completed
from base.tls import PkiError

CLOCK = SystemClock()


async def test_a_request_becomes_the_certificate_it_asks_for() -> None:
    request = await keys.make_request(
        common_name="system:node:n1",
        organizations=("system:nodes",),
        dns_names=("n1",),
        ip_addresses=("192.0.2.1",),
    )
    ca = pki.create_ca("podwright", clock=CLOCK)
    cert = pki.sign_csr(ca, request.csr_pem, server=True, clock=CLOCK)
    facts = pki.read_certificate(cert)
    assert facts.subject.common_name == "system:node:n1"
    assert facts.subject.organizations == ("system:nodes",)
    assert tls.life(cert).names == {"n1", "192.0.2.1"}
    assert tls.matches_key(tls.KeyPair(cert, request.key_pem))
    again = await keys.make_request(common_name="n1", key_pem=request.key_pem)
    assert again.key_pem == request.key_pem


async def test_errors_of_the_child_are_ours() -> None:
    with pytest.raises(PkiError, match="cannot be named in a certificate"):
        await keys.make_request(common_name="x" * 65)
    with pytest.raises(PkiError, match="private key cannot be read"):
        await keys.make_request(common_name="x", key_pem=b"nonsense")


async def test_the_ca_is_found_by_its_hash() -> None:
    ca = pki.create_ca("podwright", clock=CLOCK)
    pair = pki.issue(ca, common_name="x", ip_addresses=["127.0.0.1"], server=True, clock=CLOCK)

    async def nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    context = tls.server_context(pair, ca_pem=ca.cert_pem)
    server = await asyncio.start_server(nothing, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    try:
        assert await keys.fetch_ca("127.0.0.1", port, pki.ca_hash(ca.cert_pem)) == ca.cert_pem
        with pytest.raises(PkiError, match="presents no CA with the hash") as refused:
            await keys.fetch_ca("127.0.0.1", port, "sha256:" + "0" * 64)
        assert "Either the hash is of another cluster" in refused.value.hint
    finally:
        server.close()


async def test_a_child_that_is_too_slow_is_no_reason_to_give_up_joining(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keys, "PATIENCE", 0.001)
    with pytest.raises(TemporaryError, match="did not end within"):
        await keys.fetch_ca("127.0.0.1", 1, "sha256:" + "0" * 64)


async def test_no_key_is_told_of_a_child_that_was_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def killed(*_: object, **__: object) -> Completed:
        return Completed(argv=(), returncode=-9, stdout=b'{"key_pem": "private"}', stderr=b"")

    monkeypatch.setattr(keys, "run_async", killed)
    with pytest.raises(TemporaryError) as told:
        await keys.make_request(common_name="n1")
    assert "private" not in str(told.value)


async def test_a_server_that_is_not_there_may_come_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TemporaryError, match=f"certificates of 127.0.0.1:{port}"):
        await keys.fetch_ca("127.0.0.1", port, "sha256:" + "0" * 64)
