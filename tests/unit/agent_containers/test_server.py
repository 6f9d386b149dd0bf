"""The agent's web server over real TLS on the loopback, with a runtime that has no containers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from agent.containers.fake import FakeRuntime
from agent.containers.records import Channel, ContainerCreate, ContainerId, ExecResult
from agent.containers.script import Script
from agent.server import interface, usage
from agent.server.identity import Identity, identity
from agent.server.interface import PodUsage, Usage
from agent.server.server import AgentServer
from api.core import Container, Pod, PodSpec
from api.meta import ObjectMeta
from base import pki
from base.clock import FakeClock, SystemClock

CLOCK = FakeClock()
API_SERVER = ("kube-apiserver-kubelet-client", ())
ADMIN = ("someone", ("system:masters",))
STRANGER = ("someone", ("developers",))


@dataclass
class Pods:
    """One pod `web` whose container `app` runs; `late` waits to start."""

    id: ContainerId

    def find(
        self, namespace: str, pod: str, container: str, *, previous: bool = False
    ) -> ContainerId:
        if pod != "web":
            raise interface.pod_missing(namespace, pod)
        if container == "late":
            raise interface.waiting_to_start(pod, container, "ContainerCreating")
        if previous:
            raise interface.previous_missing(pod, container)
        return self.id

    def find_running(self, namespace: str, pod: str, container: str) -> ContainerId:
        if container != "app":
            raise interface.not_running(container)
        return self.id

    def find_sandbox(self, namespace: str, pod: str) -> ContainerId:
        return self.id

    def pods(self) -> Sequence[Pod]:
        spec = PodSpec(containers=[Container(name="app", image="app:1")])
        return [Pod(metadata=ObjectMeta(name="web", namespace="default", uid="uid"), spec=spec)]

    def running(self) -> Sequence[Pod]:
        return self.pods()


class Usages:
    def node(self) -> Usage:
        return Usage(cpu_nanoseconds=5, memory=10, working_set=7)

    def pods(self, *, facts: bool = False) -> Sequence[PodUsage]:
        used = Usage(cpu_nanoseconds=3, memory=4, working_set=2)
        return [
            PodUsage(
                namespace="default",
                name="web",
                uid="uid",
                started=CLOCK.now(),
                usage=used,
                containers={"app": used},
            )
        ]


@dataclass
class Client:
    """A client of the server with one certificate, or none."""

    session: aiohttp.ClientSession
    base: str

    async def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        async with self.session.get(self.base + path, headers=headers) as answer:
            return answer.status, await answer.read()

    async def refusal(self, path: str, **headers: str) -> tuple[int, str, str]:
        code, body = await self.get(path, **headers)
        status = json.loads(body)
        assert (status["kind"], status["status"], status["code"]) == ("Status", "Failure", code)
        return code, status["reason"], status["message"]

    def socket(self, path: str, *protocols: str) -> Any:
        return self.session.ws_connect(self.base + path, protocols=protocols)


@pytest.fixture(scope="module")
def authority() -> pki.KeyPair:
    return pki.create_ca("test", clock=SystemClock())


def answer(argv: Sequence[str]) -> ExecResult:
    return ExecResult(exit_code=len(argv) - 1, output=" ".join(argv).encode())


@pytest.fixture
async def runtime() -> FakeRuntime:
    log = ((Channel.STDOUT, b"one\n"), (Channel.STDERR, b"two\n"))
    return FakeRuntime(CLOCK, scripts={"app": Script(log=log, exec=answer)}, images=["app"])


@pytest.fixture
async def server(runtime: FakeRuntime, authority: pki.KeyPair) -> AsyncIterator[AgentServer]:
    id = await runtime.create(ContainerCreate(name="web", image="app"))
    await runtime.start(id)
    server = AgentServer(
        node_name="node-1",
        runtime=runtime,
        pods=Pods(id),
        usage_source=Usages(),
        statistics={"runtime": runtime.statistics},
        clock=CLOCK,
    )
    pair = pki.issue(
        authority,
        common_name="node-1",
        ip_addresses=["127.0.0.1"],
        server=True,
        clock=SystemClock(),
    )
    tls = pki.server_context(pair, ca_pem=authority.cert_pem)
    await server.start(host="127.0.0.1", port=0, tls=tls)
    yield server
    await server.close()


async def connect(
    server: AgentServer, authority: pki.KeyPair, who: tuple[str, Sequence[str]] | None
) -> Client:
    pair = None
    if who is not None:
        pair = pki.issue(
            authority,
            common_name=who[0],
            organizations=who[1],
            client=True,
            clock=SystemClock(),
        )
    tls = pki.client_context(ca_pem=authority.cert_pem, pair=pair)
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls))
    return Client(session, f"https://127.0.0.1:{server.port}")


@pytest.fixture
async def client(server: AgentServer, authority: pki.KeyPair) -> AsyncIterator[Client]:
    client = await connect(server, authority, API_SERVER)
    yield client
    await client.session.close()


@pytest.mark.parametrize(("who", "code"), [(None, 401), (STRANGER, 403), (ADMIN, 200)])
async def test_who_may_ask(
    server: AgentServer,
    authority: pki.KeyPair,
    who: tuple[str, Sequence[str]] | None,
    code: int,
) -> None:
    client = await connect(server, authority, who)
    for path in ("/healthz", "/pods", "/containerLogs/default/web/app", "/metrics"):
        assert (await client.get(path))[0] == code
    await client.session.close()


async def test_a_certificate_of_another_authority(server: AgentServer) -> None:
    client = await connect(server, pki.create_ca("other", clock=SystemClock()), ADMIN)
    with pytest.raises(aiohttp.ClientError):
        await client.get("/healthz")
    await client.session.close()


def test_identity() -> None:
    subject = (
        (("organizationName", "system:masters"),),
        (("organizationName", "b"),),
        (("commonName", "me"),),
    )
    assert identity({"subject": subject}) == Identity("me", frozenset({"system:masters", "b"}))
    assert identity({}) is identity(None) is None


async def test_healthz_and_pods(client: Client) -> None:
    assert await client.get("/healthz") == (200, b"ok")
    code, body = await client.get("/pods")
    pods = json.loads(body)
    assert (code, pods["kind"]) == (200, "PodList")
    assert [pod["metadata"]["name"] for pod in pods["items"]] == ["web"]


async def test_pods_of_which_something_runs(client: Client) -> None:
    for path in ("/runningpods", "/runningpods/"):
        code, body = await client.get(path)
        found = json.loads(body)
        assert (code, found["kind"]) == (200, "PodList")
        assert found["items"][0]["spec"]["containers"][0]["image"] == "app:1"


async def test_checkpoints_are_refused_as_documented(client: Client) -> None:
    """500 where the runtime has none, 404 for a container that is not there, and POST only."""
    path = "/checkpoint/default/web/"
    async with client.session.post(f"{client.base}{path}app") as answer:
        said = await answer.json()
        assert (answer.status, said["reason"]) == (500, "InternalError")
        assert "does not implement checkpoints" in said["message"]
    async with client.session.post(f"{client.base}{path}nobody") as answer:
        assert answer.status == 404
    assert (await client.get(f"{path}app"))[0] == 405


async def test_summary_and_metrics(client: Client) -> None:
    _, body = await client.get("/stats/summary")
    summary = json.loads(body)
    assert summary["node"]["nodeName"] == "node-1"
    (pod,) = summary["pods"]
    assert pod["podRef"] == {"name": "web", "namespace": "default", "uid": "uid"}
    assert pod["memory"]["workingSetBytes"] == 2
    assert pod["containers"][0]["cpu"]["usageCoreNanoSeconds"] == 3
    assert {one["name"] for one in summary["node"]["systemContainers"]} == {"pods"}
    _, body = await client.get("/stats/summary?only_cpu_and_memory=true")
    less = json.loads(body)
    assert less["pods"][0]["memory"] == pod["memory"] | {"time": less["pods"][0]["memory"]["time"]}
    assert set(less["node"]) == {"nodeName", "cpu", "memory"}
    _, text = await client.get("/metrics")
    assert b"\npodwright_agent_runtime_containers 1\n" in text
    found = dict(line.split() for line in text.decode().splitlines() if line.startswith("process_"))
    assert float(found["process_resident_memory_bytes"]) > 10_000_000
    assert 0 < float(found["process_start_time_seconds"]) < SystemClock().now().timestamp() + 1
    assert float(found["process_cpu_seconds_total"]) > 0
    assert 0 < float(found["process_open_fds"]) <= float(found["process_max_fds"])


async def test_logs(client: Client) -> None:
    path = "/containerLogs/default/web/app"
    assert await client.get(path) == (200, b"one\ntwo\n")
    assert await client.get(f"{path}?tailLines=1") == (200, b"two\n")
    assert await client.get(f"{path}?limitBytes=5") == (200, b"one\nt")


async def test_log_follow_ends_with_the_container(client: Client, runtime: FakeRuntime) -> None:
    following = asyncio.create_task(client.get("/containerLogs/default/web/app?follow=1"))
    await asyncio.sleep(0)
    runtime.end(runtime.by_name("web").id)
    assert await following == (200, b"one\ntwo\n")


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        (
            "/containerLogs/default/web/late",
            400,
            'container "late" in pod "web" is waiting to start: ContainerCreating',
        ),
        (
            "/containerLogs/default/web/app?previous=true",
            400,
            'previous terminated container "app" in pod "web" not found',
        ),
        ("/containerLogs/default/gone/app", 404, "does not exist"),
        ("/containerLogs/default/web/app?tailLines=-2", 400, "tailLines"),
        ("/exec/default/web/app?command=a&output=1", 400, "missing upgrade headers"),
        ("/nothing", 404, "Not Found"),
    ],
)
async def test_refusals(client: Client, path: str, code: int, message: str) -> None:
    answer = await client.refusal(path)
    assert answer[0] == code and message in answer[2]


@pytest.mark.parametrize(
    ("path", "headers", "message"),
    [
        ("/exec/default/web/app?command=a&output=1", {"Upgrade": "SPDY/2"}, "missing upgrade"),
        (
            "/exec/default/web/app?command=a&output=1",
            {"Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": "v9.channel.k8s.io"},
            "none of ['v9.channel.k8s.io'] is known here, only channel.k8s.io",
        ),
        ("/portForward/default/web", {}, "missing upgrade"),
        (
            "/portForward/default/web",
            {"Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": "v4.channel.k8s.io"},
            "only portforward.k8s.io",
        ),
        ("/portForward/default/web", {"Upgrade": "websocket"}, '"ports" is required'),
        ("/portForward/default/web?ports=0", {"Upgrade": "websocket"}, "'0' as a port"),
    ],
)
async def test_upgrades_that_are_refused(
    client: Client, path: str, headers: dict[str, str], message: str
) -> None:
    code, _, said = await client.refusal(path, Connection="Upgrade", **headers)
    assert code == 400 and message in said


@pytest.mark.parametrize("protocol", ["v4.channel.k8s.io", "v5.channel.k8s.io"])
async def test_exec(client: Client, protocol: str) -> None:
    path = "/exec/default/web/app?command=echo&command=hi&output=1&error=1"
    async with client.socket(path, protocol) as socket:
        assert socket.protocol == protocol
        messages = [message.data async for message in socket]
    assert messages[:2] == [b"\x01", b"\x01echo hi"]
    status = json.loads(messages[2][1:])
    assert messages[2][0] == 3
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "1"}]
    assert len(messages) == 3


async def test_a_command_may_be_long(client: Client) -> None:
    """`kubectl exec` writes every word of it into the address."""
    word = "a" * 60_000
    path = f"/exec/default/web/app?command=echo&command={word}&output=1"
    async with client.socket(path, "v5.channel.k8s.io") as socket:
        messages = [message.data async for message in socket]
    assert b"\x01echo " + word.encode() in messages


async def test_exec_for_browsers(client: Client) -> None:
    path = "/exec/default/web/app?command=hi&stdout=true"
    async with client.socket(path, "base64.channel.k8s.io") as socket:
        assert [message.data async for message in socket] == ["1", "1aGk="]


async def test_an_unknown_protocol_is_refused(client: Client) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with client.socket("/exec/default/web/app?command=a&output=1", "v9.new"):
            pass
    assert caught.value.status == 400


async def test_exec_into_what_does_not_run(client: Client) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with client.socket("/exec/default/web/late?command=a&output=1", "v5.channel.k8s.io"):
            pass
    assert caught.value.status == 404


async def test_attach(client: Client) -> None:
    async with client.socket(
        "/attach/default/web/app?output=1&error=1", "v5.channel.k8s.io"
    ) as socket:
        messages = [message.data async for message in socket]
    assert messages == [
        b"\x01",
        b"\x01one\n",
        b"\x02two\n",
        b'\x03{"metadata": {}, "status": "Success"}',
    ]


async def test_paths_that_name_the_uid_too(client: Client) -> None:
    async with client.socket(
        "/exec/default/web/uid/app?command=echo&command=hi&output=1", "v5.channel.k8s.io"
    ) as socket:
        assert [message.data async for message in socket][1] == b"\x01echo hi"
    async with client.socket("/attach/default/web/uid/app?output=1", "v5.channel.k8s.io") as socket:
        assert [message.data async for message in socket][1] == b"\x01one\n"
    refused = await client.refusal("/portForward/default/web/uid", Upgrade="websocket")
    assert refused[0] == 400 and '"ports" is required' in refused[2]


@pytest.mark.parametrize(
    "path",
    [
        "/exec/default/web/another/app?command=a&output=1",
        "/attach/default/web/another/app?output=1",
        "/portForward/default/web/another?ports=80",
        "/exec/other/web/uid/app?command=a&output=1",
        "/exec/default/other/uid/app?command=a&output=1",
    ],
)
async def test_a_namesake_with_another_uid_is_not_meant(client: Client, path: str) -> None:
    refused = await client.refusal(path, Connection="Upgrade", Upgrade="websocket")
    assert refused[:2] == (404, "NotFound") and "does not exist on this node" in refused[2]


def test_rates_need_two_readings() -> None:
    rates = usage.Rates()
    assert rates.update("a", 1000, 10.0) == 0
    assert rates.update("a", 3000, 12.0) == 1000
    assert rates.update("a", 3500, 12.5) == 1000
    assert rates.update("a", 0, 14.0) == 0
