"""HTTP to pods, services and nodes through the API server and a real agent, from real clients."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from base import pki
from tests.integration.apiserver.conftest import Api, Server
from tests.integration.apiserver.nodeagent import NodeAgent
from tests.leftovers import end_with_us

PORT = 8080
SIZE = 5 * 1024 * 1024

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


class App:
    """What runs in the pod."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.asked = ""
        self.hung_up = asyncio.Event()

    def application(self) -> web.Application:
        app = web.Application(client_max_size=2 * SIZE)
        app.add_routes(
            [
                web.get("/redirect", self.redirect),
                web.get("/socket", self.socket),
                web.get("/forever", self.forever),
                web.get("/page", self.page),
                web.get("/missing", self.missing),
                web.route("*", "/{rest:.*}", self.echo),
            ]
        )
        return app

    async def echo(self, request: web.Request) -> web.Response:
        self.headers, self.asked = dict(request.headers), request.raw_path
        body = await request.read()
        return web.Response(
            text=f"{request.method} {len(body)} {hashlib.sha256(body).hexdigest()}",
            headers={"X-App": "yes", "Access-Control-Allow-Origin": "*"},
        )

    async def redirect(self, request: web.Request) -> web.Response:
        raise web.HTTPFound("/there?a=b")

    async def page(self, request: web.Request) -> web.Response:
        made = web.Response(text='<a href="/next">next</a>', content_type="text/html")
        if "Accept-Encoding" in request.headers:
            made.enable_compression(web.ContentCoding.gzip)
        return made

    async def missing(self, request: web.Request) -> web.Response:
        return web.Response(status=404, text="the app has no such page")

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        made = web.WebSocketResponse()
        await made.prepare(request)
        async for message in made:
            await made.send_str(f"echo {message.data}")
        return made

    async def forever(self, request: web.Request) -> web.StreamResponse:
        made = web.StreamResponse()
        await made.prepare(request)
        try:
            while True:
                await made.write(b"." * 1000)
                await asyncio.sleep(0)
        finally:
            self.hung_up.set()


@pytest_asyncio.fixture
async def agent(server: Server, tmp_path: Path) -> AsyncIterator[NodeAgent]:
    made = NodeAgent()
    try:
        await made.start(server, logs=tmp_path)
        yield made
    finally:
        await made.stop()


@pytest_asyncio.fixture
async def app(agent: NodeAgent) -> AsyncIterator[App]:
    made = App()
    runner = web.AppRunner(made.application(), handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    await web.SockSite(runner, await agent.socket(PORT)).start()
    yield made
    await runner.cleanup()


@pytest_asyncio.fixture
async def node(api: Api, agent: NodeAgent) -> str:
    name = f"n-{uuid.uuid4().hex[:6]}"
    await api.ok("POST", "/api/v1/nodes", {"metadata": {"name": name}})
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": agent.port}},
    }
    await api.patch(f"/api/v1/nodes/{name}/status", {"status": status})
    return name


@pytest_asyncio.fixture
async def pod(api: Api, namespace: str, node: str) -> str:
    ports = [{"containerPort": PORT, "name": "web"}]
    spec = {"nodeName": node, "containers": [{"name": "app", "image": "i", "ports": ports}]}
    path = f"/api/v1/namespaces/{namespace}/pods"
    await api.ok("POST", path, {"metadata": {"name": "p"}, "spec": spec})
    status = {"phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}
    code, _ = await api.patch(f"{path}/p/status", {"status": status})
    assert code == 200
    return f"{path}/p"


@pytest_asyncio.fixture
async def service(api: Api, namespace: str, pod: str) -> str:
    base = f"/api/v1/namespaces/{namespace}/services"
    spec = {"ports": [{"name": "http", "port": 80, "targetPort": PORT}]}
    await api.ok("POST", base, {"metadata": {"name": "web"}, "spec": spec})
    endpoint = {"addresses": ["10.244.0.9"], "targetRef": {"kind": "Pod", "name": "p"}}
    slice_ = {
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": [endpoint],
        "ports": [{"name": "http", "port": PORT}],
    }
    path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    await api.ok("POST", path, slice_)
    return f"{base}/web"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_every_method_reaches_the_pod(api: Api, app: App, pod: str, method: str) -> None:
    body = b"x" * 100 if method not in ("GET", "OPTIONS") else b""
    code, answer = await api.request(method, f"{pod}/proxy/a%20b//c?q=1&q=2", body or None)
    assert (code, answer.split()[:2]) == (200, [method, str(len(body))])
    assert app.asked == "/a%20b//c?q=1&q=2"
    assert api.headers["X-App"] == "yes"
    assert "Access-Control-Allow-Origin" not in api.headers


@pytest.mark.parametrize("name", ["p", "p:8080", "p:web", "http:p:"])
async def test_the_names_of_a_pods_port(api: Api, app: App, pod: str, name: str) -> None:
    code, answer = await api.get(f"{pod.removesuffix('/p')}/{name}/proxy/")
    assert (code, answer.split()[0]) == (200, "GET")


@pytest.mark.parametrize("name", ["web", "web:80", "web:http"])
async def test_a_service_is_one_of_its_pods(api: Api, app: App, service: str, name: str) -> None:
    code, answer = await api.get(f"{service.removesuffix('web')}{name}/proxy/x")
    assert (code, answer.split()[0]) == (200, "GET")


async def test_large_bodies_pass_whole(api: Api, app: App, pod: str) -> None:
    body = os.urandom(SIZE)
    code, answer = await api.post(f"{pod}/proxy/", body)
    assert (code, answer) == (200, f"POST {SIZE} {hashlib.sha256(body).hexdigest()}")


async def test_credentials_stay_with_the_api_server(api: Api, app: App, pod: str) -> None:
    code, _ = await api.get(f"{pod}/proxy/", headers={"Authorization": "", "Cookie": "a=b"})
    assert code == 200
    assert "Authorization" not in app.headers
    assert app.headers["Cookie"] == "a=b"
    assert app.headers["X-Forwarded-Uri"] == f"{pod}/proxy/"


async def test_redirects_and_errors_of_the_app(api: Api, app: App, pod: str) -> None:
    url = api.url + f"{pod}/proxy/redirect"
    async with api.session.get(url, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, f"{pod}/proxy/there?a=b")
    async with api.session.get(api.url + f"{pod}/proxy?x=1", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (301, f"{pod}/proxy/?x=1")
    assert await api.get(f"{pod}/proxy/missing") == (404, "the app has no such page")


@pytest.mark.parametrize("headers", [{}, {"Accept-Encoding": "gzip"}])
async def test_links_of_a_page_lead_back_through_the_proxy(
    api: Api, app: App, pod: str, service: str, headers: dict[str, str]
) -> None:
    for way in (pod, f"{service}:80", f"{service.removesuffix('web')}http:web:http"):
        url = api.url + f"{way}/proxy/page"
        async with api.session.get(
            url, headers=headers, skip_auto_headers=("Accept-Encoding",)
        ) as answer:
            assert (answer.status, answer.content_type) == (200, "text/html")
            assert await answer.text() == f'<a href="{way}/proxy/next">next</a>'
        async with api.session.head(url, headers=headers) as answer:
            assert (answer.status, await answer.read()) == (200, b"")


async def test_an_app_that_answers_before_it_is_asked(api: Api, agent: NodeAgent, pod: str) -> None:
    """`while true; do nc -l -p 8081 < page; done`."""

    async def at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhasty")
        writer.write_eof()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(at_once, sock=await agent.socket(8081)):
        for _ in range(10):
            assert await api.get(f"{pod}:8081/proxy/") == (200, "hasty")


async def test_websockets_pass(api: Api, app: App, pod: str) -> None:
    async with api.session.ws_connect(api.url + f"{pod}/proxy/socket") as socket:
        await socket.send_str("hello")
        assert (await socket.receive()).data == "echo hello"


async def test_a_client_that_leaves_is_gone_for_the_pod(
    api: Api, agent: NodeAgent, app: App, pod: str
) -> None:
    async with api.session.get(api.url + f"{pod}/proxy/forever") as answer:
        await answer.content.readexactly(10_000)
        answer.close()
    async with asyncio.timeout(60):
        await app.hung_up.wait()
        while agent.streams():
            await asyncio.sleep(0.01)


async def test_refusals_say_why(api: Api, app: App, pod: str, service: str) -> None:
    code, status = await api.get(f"{pod}:9/proxy/")
    assert code == 503
    assert "failed to connect to 127.0.0.1 in the pod: Connection refused" in status["message"]
    code, status = await api.get(f"{service}:99/proxy/")
    assert (code, status["message"]) == (503, 'no service port "99" found for service "web"')
    code, status = await api.get(f"{pod}:x:y:z/proxy/")
    assert code == 400
    code, status = await api.get(f"{pod.removesuffix('/p')}/none/proxy/")
    assert (code, status["message"]) == (404, 'pods "none" not found')
    await api.ok("POST", service.removesuffix("/web"), {"metadata": {"name": "idle"}, "spec": {"ports": [{"port": 80}]}})  # fmt: skip  # noqa: E501
    code, status = await api.get(f"{service.removesuffix('web')}idle/proxy/")
    assert (code, status["message"]) == (503, 'no endpoints available for service "idle"')


async def test_a_node_answers_as_its_agent(server: Server, api: Api, node: str) -> None:
    code, answer = await api.get(f"/api/v1/nodes/{node}/proxy/healthz")
    assert (code, answer) == (200, "ok")
    for path in ("healthz/ping", "metrics", "metrics/resource", "stats/summary", "pods"):
        code, _ = await api.get(f"/api/v1/nodes/{node}/proxy/{path}")
        assert code == 200, path
    path = f"/api/v1/nodes/{node}/proxy/metrics/resource"
    done = await asyncio.to_thread(server.kubectl, "get", "--raw", path)
    assert "# TYPE node_memory_working_set_bytes gauge" in done.stdout
    code, status = await api.get(f"/api/v1/nodes/{node}:22/proxy/")
    assert (code, status["message"]) == (400, "address not allowed: 127.0.0.1")


async def test_the_logs_of_a_node(server: Server, node: str, tmp_path: Path) -> None:
    (tmp_path / "syslog").write_text("booted\n")
    path = f"/api/v1/nodes/{node}/proxy/logs"
    for shown, wanted in (("", "syslog"), ("/", "syslog"), ("/syslog", "booted\n")):
        done = await asyncio.to_thread(server.kubectl, "get", "--raw", path + shown)
        assert wanted in done.stdout, done.stderr


async def test_an_agent_asks_whose_a_token_is(
    server: Server, api: Api, agent: NodeAgent, namespace: str
) -> None:
    """As a collector of metrics comes to it, past the API server."""
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    await api.ok("POST", accounts, {"metadata": {"name": "scraper"}})
    made = await api.ok("POST", f"{accounts}/scraper/token", {"spec": {}})
    url, known = f"https://127.0.0.1:{agent.port}/metrics", made["status"]["token"]

    async def get(token: str) -> tuple[int, str]:
        headers, tls = (
            {"Authorization": f"Bearer {token}"},
            pki.client_context(ca_pem=server.ca_pem),
        )
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, headers=headers, ssl=tls) as answer,
        ):
            return answer.status, (await answer.json())["message"]

    assert await get("nobody's") == (401, "Unauthorized")
    assert await get(known) == (
        403,
        f"Forbidden (user=system:serviceaccount:{namespace}:scraper, verb=get, resource=nodes, "
        "subresource(s)=[metrics])",
    )


async def test_kubectl_proxy_and_raw(
    server: Server, api: Api, app: App, service: str, namespace: str
) -> None:
    path = f"{service}:80/proxy/hello"
    done = await asyncio.to_thread(server.kubectl, "get", "--raw", path)
    assert done.stdout.startswith("GET 0 ")
    command = ["kubectl", f"--kubeconfig={server.kubeconfig}", "proxy", "--port=0"]
    proxy = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=end_with_us)
    try:
        assert proxy.stdout is not None
        line = await asyncio.to_thread(proxy.stdout.readline)
        where = "http://" + line.rsplit(" ", 1)[1].strip()
        async with aiohttp.ClientSession() as session, session.get(where + path) as answer:
            assert answer.status == 200
            assert (await answer.text()).startswith("GET 0 ")
        assert app.asked == "/hello"
    finally:
        proxy.terminate()
        proxy.wait()
