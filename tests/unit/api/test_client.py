"""HttpClient against a server that answers what the test wants."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from api import errors
from api.client import CONNECTIONS, HttpClient, PatchType
from api.core import ConfigMap, Pod
from api.core.pod import Binding
from api.core.references import ObjectReference
from api.errors import ApiError
from api.meta import ObjectMeta, Status
from base import pki
from base.clock import SystemClock
from base.errors import PermanentError, TemporaryError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Records requests and answers them with `answer`."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str], str, str]] = []
        self.answer: Handler | Any = {}
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = (await request.read()).decode()
        self.requests.append(
            (request.method, request.path, dict(request.query), body, request.content_type)
        )
        if callable(self.answer):
            response: web.StreamResponse = await self.answer(request)
            return response
        return web.json_response(self.answer)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[HttpClient]:
    async with HttpClient(server.url, token="secret") as made:
        yield made


CONFIG = {"metadata": {"name": "a", "namespace": "n", "resourceVersion": "5"}, "data": {"k": "v"}}


async def test_get(server: Server, client: HttpClient) -> None:
    server.answer = CONFIG
    found = await client.get(ConfigMap, "a", "n")
    assert found.data == {"k": "v"}
    assert (found.api_version, found.kind) == ("v1", "ConfigMap")
    assert server.requests[0][:3] == ("GET", "/api/v1/namespaces/n/configmaps/a", {})
    with pytest.raises(ValueError):
        await client.get(ConfigMap, "", "n")


async def test_list(server: Server, client: HttpClient) -> None:
    server.answer = {"metadata": {"resourceVersion": "9", "continue": "c"}, "items": [CONFIG]}
    page = await client.list(ConfigMap, label_selector="a=b", limit=1, continue_="x")
    assert [item.metadata.name for item in page.items] == ["a"]
    assert (page.resource_version, page.continue_) == ("9", "c")
    query = {"labelSelector": "a=b", "limit": "1", "continue": "x"}
    assert server.requests[0][:3] == ("GET", "/api/v1/configmaps", query)


async def test_writes(server: Server, client: HttpClient) -> None:
    server.answer = CONFIG
    config = ConfigMap(metadata=ObjectMeta(name="a", namespace="n"))
    await client.create(config, dry_run=True)
    await client.update(config)
    await client.patch(ConfigMap, "a", "n", {"data": {"k": None}})
    await client.patch(ConfigMap, "a", "n", [], patch_type=PatchType.JSON)
    path = "/api/v1/namespaces/n/configmaps"
    assert [request[:3] for request in server.requests] == [
        ("POST", path, {"dryRun": "All"}),
        ("PUT", f"{path}/a", {}),
        ("PATCH", f"{path}/a", {}),
        ("PATCH", f"{path}/a", {}),
    ]
    assert [request[4] for request in server.requests] == [
        "application/json",
        "application/json",
        "application/merge-patch+json",
        "application/json-patch+json",
    ]
    assert server.requests[2][3] == '{"data":{"k":null}}'


async def test_delete(server: Server, client: HttpClient) -> None:
    server.answer = {"kind": "Status", "status": "Success"}
    await client.delete(Pod, "p", "n", grace_period_seconds=0, uid="u")
    method, path, _, body, _ = server.requests[0]
    assert (method, path) == ("DELETE", "/api/v1/namespaces/n/pods/p")
    assert json.loads(body) == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "preconditions": {"uid": "u"},
    }


async def test_subresources(server: Server, client: HttpClient) -> None:
    server.answer = {"kind": "Status", "status": "Success"}
    binding = Binding(metadata=ObjectMeta(name="p"), target=ObjectReference(kind="Node", name="x"))
    answer = await client.create_subresource(Pod, "p", "n", "binding", binding)
    assert isinstance(answer, Status)
    assert server.requests[0][1] == "/api/v1/namespaces/n/pods/p/binding"


async def test_errors(server: Server, client: HttpClient) -> None:
    async def conflict(request: web.Request) -> web.Response:
        status = {"kind": "Status", "status": "Failure", "reason": "Conflict", "message": "no"}
        return web.json_response(status, status=409)

    async def plain(request: web.Request) -> web.Response:
        return web.Response(text="404 page not found", status=404)

    async def garbage(request: web.Request) -> web.Response:
        return web.Response(text="<html>", headers={"Content-Type": "text/html"})

    server.answer = conflict
    with pytest.raises(ApiError) as caught:
        await client.get(ConfigMap, "a", "n")
    assert errors.is_conflict(caught.value) and caught.value.code == 409
    server.answer = plain
    with pytest.raises(ApiError) as caught:
        await client.get(ConfigMap, "a", "n")
    assert errors.is_not_found(caught.value)
    assert str(caught.value) == "the server answered 404: 404 page not found"
    server.answer = garbage
    with pytest.raises(TemporaryError, match="not a ConfigMap"):
        await client.get(ConfigMap, "a", "n")


async def test_unreachable() -> None:
    async with HttpClient("http://127.0.0.1:1") as client:
        with pytest.raises(TemporaryError, match=r"cannot reach the API at http://127.0.0.1:1: "):
            await client.get(ConfigMap, "a", "n")
        with pytest.raises(TemporaryError):
            async for _ in client.watch(ConfigMap, resource_version="1"):
                pass
        assert client.statistics() == {"requests": 2, "failures": 2, "watches": 0}


def frame(type_: str, obj: dict[str, Any]) -> bytes:
    return json.dumps({"type": type_, "object": obj}).encode() + b"\n"


async def test_watch(server: Server, client: HttpClient) -> None:
    big = {**CONFIG, "data": {"k": "x" * 1_000_000}}

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(frame("ADDED", CONFIG)[:20])
        await response.write(frame("ADDED", CONFIG)[20:] + frame("MODIFIED", big))
        await response.write(frame("BOOKMARK", {"metadata": {"resourceVersion": "8"}}))
        await response.write(frame("DELETED", CONFIG))
        return response

    server.answer = stream
    seen = [
        (event.type, event.resource_version, event.object is None)
        async for event in client.watch(ConfigMap, "n", resource_version="4", timeout=60)
    ]
    assert seen == [
        ("ADDED", "5", False),
        ("MODIFIED", "5", False),
        ("BOOKMARK", "8", True),
        ("DELETED", "5", False),
    ]
    assert server.requests[0][2] == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": "4",
        "timeoutSeconds": "60",
    }
    assert client.statistics()["watches"] == 0


async def test_watch_errors(server: Server, client: HttpClient) -> None:
    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        status = {"status": "Failure", "code": 410, "reason": "Expired", "message": "too old"}
        await response.write(frame("ERROR", status))
        return response

    async def torn(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(frame("ADDED", CONFIG))
        assert request.transport is not None
        request.transport.abort()
        return response

    server.answer = stream
    with pytest.raises(ApiError) as caught:
        async for _ in client.watch(ConfigMap, resource_version="1"):
            pass
    assert errors.is_gone(caught.value)
    server.answer = torn
    seen = []
    with pytest.raises(TemporaryError):
        async for event in client.watch(ConfigMap, resource_version="1"):
            seen.append(event.type)
    assert seen == ["ADDED"]


async def test_kubeconfig_with_certificates_inside(tmp_path: Path) -> None:
    clock = SystemClock()
    ca = pki.create_ca("test", clock=clock)
    serving = pki.issue(
        ca, common_name="server", ip_addresses=["127.0.0.1"], server=True, clock=clock
    )
    ours = pki.issue(ca, common_name="alice", client=True, clock=clock)
    seen: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        seen.append(request.transport.get_extra_info("peercert")["subject"])
        return web.json_response(CONFIG)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    context = pki.server_context(serving, ca_pem=ca.cert_pem, require_client_certificate=True)
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    server = f"https://127.0.0.1:{runner.addresses[0][1]}"

    def kubeconfig(authority: bytes) -> Path:
        def encoded(data: bytes) -> str:
            return base64.b64encode(data).decode()

        cluster = {"server": server, "certificate-authority-data": encoded(authority)}
        user = {
            "client-certificate-data": encoded(ours.cert_pem),
            "client-key-data": encoded(ours.key_pem),
        }
        path = tmp_path / "config"
        path.write_text(
            json.dumps(
                {
                    "current-context": "c",
                    "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
                    "clusters": [{"name": "k", "cluster": cluster}],
                    "users": [{"name": "u", "user": user}],
                }
            )
        )
        return path

    try:
        async with HttpClient.from_kubeconfig(kubeconfig(ca.cert_pem)) as client:
            await client.get(ConfigMap, "a", "n")
        assert "alice" in str(seen[0])
        stranger = pki.create_ca("stranger", clock=clock)
        async with HttpClient.from_kubeconfig(kubeconfig(stranger.cert_pem)) as client:
            with pytest.raises(TemporaryError) as caught:
                await client.get(ConfigMap, "a", "n")
            assert "not signed by the CA" in caught.value.hint
        with pytest.raises(PermanentError, match="cannot load the certificates"):
            HttpClient.from_kubeconfig(kubeconfig(b"nonsense"))
    finally:
        await runner.cleanup()


async def test_kubeconfig(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "config"
    (tmp_path / "token").write_text("t1\n")
    path.write_text(
        json.dumps(
            {
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
                "clusters": [{"name": "k", "cluster": {"server": server.url + "/"}}],
                "users": [{"name": "u", "user": {"tokenFile": "token"}}],
            }
        )
    )
    seen = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.headers["Authorization"])
        return web.json_response(CONFIG)

    server.answer = answer
    async with HttpClient.from_kubeconfig(path) as client:
        await client.get(ConfigMap, "a", "n")
        (tmp_path / "token").write_text("t2\n")
        await client.get(ConfigMap, "a", "n")
    assert seen == ["Bearer t1", "Bearer t2"]
    with pytest.raises(PermanentError, match="no context named 'x'"):
        HttpClient.from_kubeconfig(path, context="x")
    with pytest.raises(PermanentError, match="cannot read the kubeconfig"):
        HttpClient.from_kubeconfig(tmp_path / "none")


async def test_a_burst_of_requests_shares_few_connections_and_watches_have_their_own(
    server: Server,
) -> None:
    async with HttpClient(server.url) as client:
        release, peers, watching = asyncio.Event(), set(), asyncio.Event()

        async def answer(request: web.Request) -> web.StreamResponse:
            if "watch" in request.query:
                response = web.StreamResponse()
                await response.prepare(request)
                watching.set()
                await release.wait()
                return response
            peers.add(request.transport.get_extra_info("peername"))  # type: ignore[union-attr]
            if len(peers) == CONNECTIONS:
                release.set()
            await release.wait()
            return web.json_response(CONFIG)

        server.answer = answer
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for number in range(CONNECTIONS * 3):
                group.create_task(client.get(ConfigMap, f"c{number}", "default"))

        async def watch() -> None:
            async for _ in client.watch(ConfigMap, resource_version="1"):
                pass

        release.clear()
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS * 2):
                group.create_task(watch())
            await watching.wait()
            server.answer = CONFIG
            await client.get(ConfigMap, "c", "default")  # not behind the watches
            release.set()
        assert len(peers) == CONNECTIONS
