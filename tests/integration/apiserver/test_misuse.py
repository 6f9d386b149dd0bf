"""Requests that mean one thing and look like another, or ask for more than there is."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import socket
from typing import Any

import pytest
from aiohttp import web

from base import pki
from base.clock import SystemClock
from control.apiserver.http import server as server_module
from control.apiserver.http.server import ApiServer
from tests.integration.apiserver.conftest import Api, Server
from tests.patience import DEADLINE

PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""],
)
async def test_a_web_page_cannot_write_with_its_visitors_certificate(
    api: Api, content_type: str
) -> None:
    """What a page of any origin may send without asking first is refused; curl sends no Origin."""
    body = b'{"metadata": {"name": "forged"}}'
    foreign = {"Origin": "https://evil.example"}
    code, status = await api.post(MAPS, body, content_type=content_type, headers=foreign)
    assert (code, status["reason"]) == (415, "UnsupportedMediaType")
    assert (await api.get(f"{MAPS}/forged"))[0] == 404
    # Browsers ask before every other method, whatever its body: a page of our own may use them.
    assert (await api.delete(f"{MAPS}/forged", headers=foreign))[0] == 404


async def test_curl_may_still_send_what_it_sends_by_default(api: Api) -> None:
    body = b"metadata: {name: by-curl}\n"
    code, _ = await api.post(MAPS, body, content_type="application/x-www-form-urlencoded")
    assert code == 201


async def test_who_asks_before_sending_is_invited(api: Api) -> None:
    """As curl does with a large body; this client would wait for ever."""
    body = {"metadata": {"name": "invited"}}
    async with asyncio.timeout(DEADLINE):
        async with api.session.post(api.url + MAPS, json=body, expect100=True) as answer:
            assert answer.status == 201


async def test_a_web_page_cannot_open_streams(api: Api) -> None:
    handshake = {
        "Origin": "https://evil.example",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": base64.b64encode(b"0" * 16).decode(),
        "Sec-WebSocket-Version": "13",
    }
    path = f"{PODS}/none/exec?command=id&stdout=true"
    code, status = await api.get(path, headers=handshake)
    assert (code, status["reason"]) == (403, "Forbidden")
    for near in ("http://localhost:3000", "https://localhost", "http://localhost.evil.example", ""):
        code, _ = await api.get(path, headers={**handshake, "Origin": near})
        assert code == 403, near
    # As the official Python client says it, and as Go's clients do, which must name one.
    for own in (api.url, "http://localhost"):
        assert (await api.get(path, headers={**handshake, "Origin": own}))[0] == 404


async def test_a_watch_of_a_subresource_is_no_way_to_write(api: Api) -> None:
    template = {
        "metadata": {"labels": {"app": "w"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "w"}}, "template": template}
    await api.post(DEPLOYMENTS, {"metadata": {"name": "w"}, "spec": spec})
    code, answer = await api.get(f"{DEPLOYMENTS}/w/scale?watch=true")
    assert (code, answer["kind"]) == (200, "Scale")
    code, _ = await api.get(f"{PODS}/none/binding?watch=true")
    assert code == 405


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_objects_of_namespaces_are_made_and_deleted_inside_one(api: Api, method: str) -> None:
    for path in ("/api/v1/configmaps", "/api/v1/namespaces//configmaps"):
        body = {"metadata": {"name": "nowhere", "namespace": "default"}}
        assert (await api.request(method, path, body))[0] == 405


@pytest.mark.parametrize("seconds", [10**12, 2**63 - 1, 2**70])
async def test_a_grace_period_beyond_the_calendar(api: Api, seconds: int) -> None:
    pod = {
        "metadata": {"name": "patient"},
        "spec": {"nodeName": "none", "containers": [{"name": "c", "image": "i"}]},
    }
    await api.post(PODS, pod)
    code, _ = await api.delete(f"{PODS}/patient?gracePeriodSeconds={seconds}")
    assert code in (200, 400, 422)
    code, _ = await api.delete(f"{PODS}/patient?gracePeriodSeconds=0")
    assert code == 200
    assert (await api.get(f"{PODS}/patient"))[0] == 404


def _token(**fields: Any) -> str:
    whole = {"v": "meta.k8s.io/v1", "rv": 1, "start": "a", **fields}
    return base64.urlsafe_b64encode(json.dumps(whole).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "token",
    [
        _token(rv=-5),
        _token(rv=0),
        _token(rv=2**70),
        _token(v="meta.k8s.io/v9"),
        _token(start="../secrets/"),
        _token(start="\x00"),
        _token(start="\ud800"),
        "%00",
        "x" * 5000,
    ],
)
async def test_tampered_continue_tokens(api: Api, token: str) -> None:
    code, answer = await api.get(f"{MAPS}?limit=1&continue={token}")
    assert code in (200, 400, 410, 504), answer
    if code == 200:
        assert answer["kind"] == "ConfigMapList"


@pytest.mark.parametrize("digits", ["9223372036854775808", "-" + "9" * 30, "9" * 5000], ids=len)
async def test_numbers_that_no_one_can_hold(api: Api, digits: str) -> None:
    code, answer = await api.get(f"{MAPS}?limit={digits}")
    assert (code, answer["reason"]) == (400, "BadRequest")
    assert "limit" in answer["message"] and "out of range" in answer["message"]


@pytest.mark.parametrize("limit", [2**31, 2**63 - 1])
async def test_limits_beyond_every_list(api: Api, limit: int) -> None:
    code, first = await api.get(f"{MAPS}?limit={limit}")
    assert code == 200
    revision = first["metadata"]["resourceVersion"]
    code, _ = await api.get(
        f"{MAPS}?limit={limit}&resourceVersion={revision}&resourceVersionMatch=Exact"
    )
    assert code == 200


async def test_a_small_body_that_unpacks_to_much_is_refused(api: Api) -> None:
    bomb = gzip.compress(b" " * 200_000_000)
    packed = {"Content-Encoding": "gzip"}
    code, status = await api.post(MAPS, bomb, headers=packed)
    assert code in (400, 413, 415), status


async def test_a_connection_that_asks_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may connect: what they do not use must not be kept for them."""
    monkeypatch.setattr(server_module, "HEADER_SECONDS", 1.0)
    ca = pki.create_ca("test", clock=SystemClock())
    pair = pki.issue(
        ca, common_name="x", ip_addresses=["127.0.0.1"], server=True, clock=SystemClock()
    )

    async def answer(http: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="ok")

    pipeline: Any = answer
    served = ApiServer(pipeline, pki.server_context(pair, ca_pem=ca.cert_pem), max_body=1000)
    sock = socket.create_server(("127.0.0.1", 0))
    await served.listen([sock])
    context = pki.client_context(ca_pem=ca.cert_pem)
    try:
        address = sock.getsockname()

        async def silent(said: bytes) -> None:
            reader, writer = await asyncio.open_connection(*address, ssl=context)
            writer.write(said)
            async with asyncio.timeout(DEADLINE):
                assert await reader.read() == b""
            writer.close()

        await asyncio.gather(silent(b""), silent(b"GET / HTTP/1.1\r\nHost: x\r\n"))
        reader, writer = await asyncio.open_connection(*address, ssl=context)
        for pause in (1.2, 0.0):  # longer than a silent one may live
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await reader.readuntil(b"ok")
            await asyncio.sleep(pause)
        writer.close()
    finally:
        await served.close(0.1)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("deflate", b"{}" * 500), ("br", b"{}"), ("gzip", b"{}"), ("deflate", b"[" * 100_000)],
)
async def test_a_broken_encoding_costs_the_connection_and_no_more(
    api: Api, encoding: str, body: bytes
) -> None:
    """Nobody can tell where the next request begins: the client need not wait to find that out."""
    async with asyncio.timeout(25):  # three times a connection lingers is more
        for path in (MAPS, "/nowhere", MAPS):
            code, answer = await api.post(path, body, headers={"Content-Encoding": encoding})
            assert code in (400, 404, 415), answer
            if code == 400:
                assert answer["kind"] == "Status" and answer["reason"] == "BadRequest"
            assert (await api.get(MAPS))[0] == 200


async def test_what_is_not_http_gets_a_status(server: Server) -> None:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", server.port, ssl=server.context(), server_hostname="127.0.0.1"
    )
    writer.write(b"BREW /api HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 400 " in head and b"application/json" in head
    assert json.loads(body)["reason"] == "BadRequest"
    assert "Traceback" not in server.log()[-2000:]


async def test_timeouts_of_clients(api: Api) -> None:
    for path in (PODS, "/apis/apps/v1", "/version"):
        code, status = await api.get(f"{path}?timeout=invalid")
        assert code == 400 and "invalid timeout specified" in status["message"], path
        for sound in ("1s", "3600s", ""):
            assert (await api.get(f"{path}?timeout={sound}"))[0] == 200
    # What is waited for will not come.
    code, status = await api.get(f"{PODS}?resourceVersion=999999999&timeout=20ms")
    assert (code, status["reason"]) == (504, "Timeout")
    assert "request did not complete within 0.02 s" in status["message"]
