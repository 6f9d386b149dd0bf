"""Logs and exec through an agent: a small one of the test's own, with a certificate of the cluster."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import WSMsgType, web

from tests.integration.apiserver.conftest import Api, Server
from tests.patience import DEADLINE


class Agent:
    """Answers as an agent does, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.peer = ""
        self.more = asyncio.Event()
        self.ended = asyncio.Event()

    async def logs(self, request: web.Request) -> web.StreamResponse:
        self._remember(request)
        if request.match_info["container"] == "silent":
            status = {"kind": "Status", "status": "Failure", "code": 400, "reason": "BadRequest"}
            message = 'container "silent" in pod "p" is waiting to start: ContainerCreating'
            return web.json_response({**status, "message": message}, status=400)
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        await response.write(b"first\n")
        if "follow" in request.query:
            try:
                await self.more.wait()
            finally:
                self.ended.set()
            await response.write(b"second\n")
        await response.write_eof()
        return response

    async def exec(self, request: web.Request) -> web.StreamResponse:
        self._remember(request)
        if request.query.get("command") == "refuse":
            status = {
                "kind": "Status",
                "status": "Failure",
                "code": 500,
                "message": "no such thing",
            }
            return web.json_response(status, status=500)
        socket = web.WebSocketResponse(protocols=["v5.channel.k8s.io", "v4.channel.k8s.io"])
        await socket.prepare(request)
        try:
            await self._talk(socket, request)
        except ConnectionError:
            pass  # the client went away
        finally:
            self.ended.set()
        return socket

    async def _talk(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        await socket.send_bytes(b"\x01" + " ".join(request.query.getall("command")).encode())
        async for message in socket:
            if message.type is not WSMsgType.BINARY or message.data[:1] == b"\xff":
                break
            await socket.send_bytes(b"\x01" + message.data[1:])
        causes = [{"reason": "ExitCode", "message": "7"}]
        status = {"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": causes}}
        await socket.send_bytes(b"\x03" + json.dumps({"metadata": {}, **status}).encode())
        await socket.close()

    def _remember(self, request: web.Request) -> None:
        self.asked.append(request.path_qs)
        certificate: Any = request.get_extra_info("peercert")
        self.peer = dict(pair[0] for pair in certificate["subject"])["commonName"]
        assert "Authorization" not in request.headers


@pytest_asyncio.fixture
async def agent(server: Server) -> AsyncIterator[tuple[Agent, int]]:
    made = Agent()
    app = web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", made.logs)
    app.router.add_get("/exec/{namespace}/{pod}/{container}", made.exec)
    app.router.add_get("/attach/{namespace}/{pod}/{container}", made.exec)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server.agent_context("n"))
    await site.start()
    assert site._server is not None
    yield made, site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    await runner.cleanup()


@pytest_asyncio.fixture
async def pod(api: Api, namespace: str, agent: tuple[Agent, int]) -> str:
    """The path of a pod on a node whose agent is the test's."""
    node = f"n-{uuid.uuid4().hex[:6]}"
    await api.ok("POST", "/api/v1/nodes", {"metadata": {"name": node}})
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": agent[1]}},
    }
    code, _ = await api.patch(f"/api/v1/nodes/{node}/status", {"status": status})
    assert code == 200
    containers = [{"name": "app", "image": "i"}, {"name": "silent", "image": "i"}]
    body = {"metadata": {"name": "p"}, "spec": {"nodeName": node, "containers": containers}}
    await api.ok("POST", f"/api/v1/namespaces/{namespace}/pods", body)
    return f"/api/v1/namespaces/{namespace}/pods/p"


async def test_logs_pass_through(api: Api, agent: tuple[Agent, int], pod: str) -> None:
    code, text = await api.get(f"{pod}/log?container=app&tailLines=5&nonsense=1")
    assert (code, text) == (200, "first\n")
    assert agent[0].asked[0].endswith("/p/app?tailLines=5")
    assert agent[0].peer == "kube-apiserver-kubelet-client"


async def test_logs_are_followed_as_they_come(api: Api, agent: tuple[Agent, int], pod: str) -> None:
    url = f"{api.url}{pod}/log?container=app&follow=true"
    async with api.session.get(url) as answer, asyncio.timeout(DEADLINE):
        assert await answer.content.readline() == b"first\n"
        agent[0].more.set()
        assert await answer.content.readline() == b"second\n"
        assert await answer.content.readline() == b""


async def pieces(socket: aiohttp.ClientWebSocketResponse) -> list[bytes | str]:
    """What a WebSocket brings until it is closed in order; the first message is empty."""
    found: list[bytes | str] = []
    while (message := await socket.receive(timeout=DEADLINE)).type in (
        WSMsgType.BINARY,
        WSMsgType.TEXT,
    ):
        found.append(message.data)
    assert (message.type, socket.close_code) == (WSMsgType.CLOSE, 1000)
    return found


@pytest.mark.parametrize(
    ("offered", "chosen", "log"),
    [
        (("binary.k8s.io",), "binary.k8s.io", [b"", b"first\n"]),
        (("no.such", "base64.binary.k8s.io"), "base64.binary.k8s.io", ["", "Zmlyc3QK"]),
        ((), None, [b"", b"first\n"]),
    ],
)
async def test_logs_over_websocket(
    api: Api, pod: str, offered: tuple[str, ...], chosen: str | None, log: list[bytes | str]
) -> None:
    url = f"{api.url}{pod}/log?container=app"
    async with api.session.ws_connect(url, protocols=offered) as socket:
        assert socket.protocol == chosen
        assert await pieces(socket) == log


async def test_logs_are_followed_over_websocket(
    api: Api, agent: tuple[Agent, int], pod: str
) -> None:
    url = f"{api.url}{pod}/log?container=app&follow=true"
    async with api.session.ws_connect(url, protocols=["binary.k8s.io"]) as socket:
        assert await socket.receive_bytes(timeout=DEADLINE) == b""
        assert await socket.receive_bytes(timeout=DEADLINE) == b"first\n"
        agent[0].more.set()
        assert await pieces(socket) == [b"second\n"]


async def test_a_client_that_goes_ends_its_log(
    api: Api, agent: tuple[Agent, int], pod: str
) -> None:
    url = f"{api.url}{pod}/log?container=app&follow=true"
    async with api.session.ws_connect(url, protocols=["binary.k8s.io"]) as socket:
        assert await socket.receive_bytes(timeout=DEADLINE) == b""
    async with asyncio.timeout(DEADLINE):
        await agent[0].ended.wait()


@pytest.mark.parametrize(
    ("container", "offered"), [("silent", ["binary.k8s.io"]), ("app", ["v4.channel.k8s.io"])]
)
async def test_a_log_that_is_refused_is_no_websocket(
    api: Api, pod: str, container: str, offered: list[str]
) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await api.session.ws_connect(f"{api.url}{pod}/log?container={container}", protocols=offered)
    assert caught.value.status == 400


async def test_the_agents_refusal_is_the_answer(api: Api, pod: str) -> None:
    code, status = await api.get(f"{pod}/log?container=silent")
    assert code == 400 and "waiting to start" in status["message"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "choose one of: [app silent]"),
        ("?container=none", "container none is not valid for pod p"),
    ],
)
async def test_the_container_must_be_clear(api: Api, pod: str, query: str, words: str) -> None:
    code, status = await api.get(f"{pod}/log{query}")
    assert code == 400 and words in status["message"]


async def test_a_pod_without_a_node_has_no_logs(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    spec = {"containers": [{"name": "c", "image": "i"}]}
    await api.ok("POST", path, {"metadata": {"name": "q"}, "spec": spec})
    code, status = await api.get(f"{path}/q/log")
    assert code == 400 and "does not have a host assigned" in status["message"]


async def test_an_agent_that_is_gone(api: Api, pod: str, agent: tuple[Agent, int]) -> None:
    node = (await api.ok("GET", pod))["spec"]["nodeName"]
    endpoints = {"daemonEndpoints": {"kubeletEndpoint": {"Port": 1}}}
    await api.patch(f"/api/v1/nodes/{node}/status", {"status": endpoints})
    code, status = await api.get(f"{pod}/log?container=app")
    assert code == 502 and f'the agent of node "{node}"' in status["message"]


@pytest.mark.parametrize("protocol", ["v5.channel.k8s.io", "v4.channel.k8s.io"])
async def test_exec_passes_bytes_both_ways(
    api: Api, agent: tuple[Agent, int], pod: str, protocol: str
) -> None:
    url = f"{api.url}{pod}/exec?container=app&command=cat&command=a+b&stdin=true&stdout=true"
    async with api.session.ws_connect(url, protocols=[protocol], max_msg_size=0) as socket:
        assert socket.protocol == protocol
        assert await socket.receive_bytes(timeout=DEADLINE) == b"\x01cat a b"
        for size in (1, 70_000, 2_000_000):
            await socket.send_bytes(b"\x00" + b"x" * size)
            received = b""
            while len(received) < size:
                received += (await socket.receive_bytes(timeout=DEADLINE))[1:]
            assert received == b"x" * size
        await socket.send_bytes(b"\xff\x00")
        status = json.loads((await socket.receive_bytes(timeout=DEADLINE))[1:])
        assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "7"}]
        assert (await socket.receive(timeout=DEADLINE)).type in (WSMsgType.CLOSE, WSMsgType.CLOSED)
    assert "command=cat&command=a+b" in agent[0].asked[0]


async def test_a_client_that_goes_ends_the_session(
    api: Api, agent: tuple[Agent, int], pod: str
) -> None:
    url = f"{api.url}{pod}/exec?container=app&command=cat&stdin=true&stdout=true"
    async with api.session.ws_connect(url, protocols=["v4.channel.k8s.io"]) as socket:
        await socket.receive_bytes(timeout=DEADLINE)
    async with asyncio.timeout(DEADLINE):
        await agent[0].ended.wait()


async def test_a_refused_exec_says_why(api: Api, pod: str) -> None:
    url = f"{api.url}{pod}/exec?container=app&command=refuse&stdout=true"
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await api.session.ws_connect(url, protocols=["v4.channel.k8s.io"])
    assert caught.value.status == 500
    upgrade = {"Connection": "Upgrade", "Upgrade": "SPDY/2"}
    code, status = await api.request(
        "POST", f"{pod}/exec?container=app&command=x&stdout=true", headers=upgrade
    )
    assert code == 400 and "is a WebSocket or SPDY/3.1" in status["message"]
    code, status = await api.get(f"{pod}/exec?container=app&command=x&stdout=true")
    assert code == 400 and "Upgrade request required" in status["message"]
    code, status = await api.get(f"{pod}/exec?container=app&stdout=true")
    assert code == 400 and "at least one command" in status["message"]


async def test_kubectl_exec_and_logs(
    api: Api, server: Server, agent: tuple[Agent, int], pod: str
) -> None:
    namespace = pod.split("/")[4]
    done = await asyncio.to_thread(
        server.kubectl, "-n", namespace, "logs", "p", "-c", "app", "--tail=1"
    )
    assert done.stdout == "first\n"
    done = await asyncio.to_thread(
        server.kubectl,
        "-n", namespace, "exec", "-i", "p", "-c", "app", "--", "echo", "hello",
        input="typed", check=False,
    )  # fmt: skip
    assert done.stdout == "echo hellotyped"
    assert done.returncode == 7
