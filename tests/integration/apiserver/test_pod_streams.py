"""exec, cp and port-forward of real clients, through the API server, by every protocol they know."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from kubernetes import client, config
from kubernetes.stream import portforward, stream

from agent.server import spdyserver
from tests.debian import fetch_kubectl
from tests.integration.apiserver.conftest import Api, Server
from tests.integration.apiserver.nodeagent import NodeAgent, open_files

DEADLINE = 60.0
SPDY = {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false", "KUBECTL_PORT_FORWARD_WEBSOCKETS": "false"}

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


@pytest_asyncio.fixture
async def agent(server: Server) -> AsyncIterator[NodeAgent]:
    made = NodeAgent()
    try:
        await made.start(server)
        yield made
    finally:
        await made.stop()


@pytest_asyncio.fixture
async def pod(api: Api, namespace: str, agent: NodeAgent) -> str:
    node = f"n-{uuid.uuid4().hex[:6]}"
    await api.ok("POST", "/api/v1/nodes", {"metadata": {"name": node}})
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": agent.port}},
    }
    await api.patch(f"/api/v1/nodes/{node}/status", {"status": status})
    body = {
        "metadata": {"name": "p"},
        "spec": {"nodeName": node, "containers": [{"name": "app", "image": "i"}]},
    }
    path = f"/api/v1/namespaces/{namespace}/pods"
    await api.ok("POST", path, body)
    code, _ = await api.patch(f"{path}/p/status", {"status": {"phase": "Running"}})
    assert code == 200
    return f"{path}/p"


@dataclass
class Kubectl:
    """One kubectl, asked to use one protocol, in the pod's namespace."""

    server: Server
    namespace: str
    program: str = "kubectl"
    environment: dict[str, str] = field(default_factory=dict)

    async def start(self, *argv: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            self.program,
            f"--kubeconfig={self.server.kubeconfig}",
            f"--namespace={self.namespace}",
            *argv,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.server.directory),
                **self.environment,
            },
        )

    async def run(self, *argv: str, input: bytes = b"") -> tuple[int, bytes, str]:
        process = await self.start(*argv)
        async with asyncio.timeout(DEADLINE):
            out, error = await process.communicate(input)
        assert process.returncode is not None
        return process.returncode, out, error.decode()

    @asynccontextmanager
    async def forward(self, *ports: str) -> AsyncIterator[Forwarding]:
        process = await self.start("port-forward", "pod/p", "--address=127.0.0.1", *ports)
        try:
            made = Forwarding(process)
            for _ in ports:
                await made.learn()
            yield made
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


class Forwarding:
    """A running `kubectl port-forward`; `ports` is the local one of each remote one."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.ports: dict[int, int] = {}

    async def learn(self) -> None:
        assert self.process.stdout is not None and self.process.stderr is not None
        async with asyncio.timeout(DEADLINE):
            line = (await self.process.stdout.readline()).decode()
        found = re.search(r"127\.0\.0\.1:(\d+) -> (\d+)", line)
        assert found, line + (await self.process.stderr.read()).decode()
        self.ports[int(found[2])] = int(found[1])

    async def talk(self, port: int, data: bytes) -> bytes:
        """Send, close that half, and read to the end."""
        async with asyncio.timeout(DEADLINE):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[port])
            try:
                answer = asyncio.create_task(reader.read())
                writer.write(data)
                writer.write_eof()
                return await answer
            finally:
                writer.close()


@pytest.fixture(scope="session")
def debian_kubectl(tmp_path_factory: pytest.TempPathFactory) -> str:
    return fetch_kubectl(tmp_path_factory.mktemp("kubernetes-client"))


@pytest.fixture(params=["websocket", "spdy", "debian"])
def kubectl(request: pytest.FixtureRequest, server: Server, pod: str) -> Kubectl:
    made = Kubectl(server, pod.split("/")[4])
    if request.param == "debian":
        made.program = request.getfixturevalue("debian_kubectl")
    elif request.param == "spdy":
        made.environment = SPDY
    return made


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends back what it reads; closes when its client has."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


def noise(size: int) -> bytes:
    return os.urandom(65536) * (size // 65536)


def same(one: bytes, other: bytes) -> bool:
    return len(one) == len(other) and hashlib.sha256(one).digest() == hashlib.sha256(other).digest()


async def test_exec(kubectl: Kubectl) -> None:
    shell = "cat; echo problem >&2; exit 7"
    code, out, error = await kubectl.run("exec", "-i", "p", "--", "sh", "-c", shell, input=b"typed")
    assert (code, out) == (7, b"typed")
    assert "problem" in error and "exit code 7" in error
    assert (await kubectl.run("exec", "p", "--", "echo", "well"))[:2] == (0, b"well\n")


async def test_20_megabytes_through_exec(kubectl: Kubectl) -> None:
    data = noise(20 * 2**20)
    code, out, error = await kubectl.run("exec", "-i", "p", "--", "cat", input=data)
    assert code == 0, error
    assert same(out, data)


async def test_output_after_which_stdin_still_flows(kubectl: Kubectl) -> None:
    """The end of the process ends the session though the client has more to send."""
    code, out, _ = await kubectl.run(
        "exec", "-i", "p", "--", "head", "-c", "70000", input=b"x" * 2_000_000
    )
    assert (code, out) == (0, b"x" * 70_000)


async def test_cp_both_ways(kubectl: Kubectl, tmp_path: Path) -> None:
    (tmp_path / "sent").write_bytes(data := noise(2**20))
    (tmp_path / "pod").mkdir()
    code, _, error = await kubectl.run("cp", f"{tmp_path}/sent", f"p:{tmp_path}/pod/there")
    assert code == 0, error
    code, _, error = await kubectl.run("cp", f"p:{tmp_path}/pod/there", f"{tmp_path}/back")
    assert code == 0, error
    assert (tmp_path / "back").read_bytes() == data


async def test_port_forward(kubectl: Kubectl, agent: NodeAgent) -> None:
    await agent.listen(8080, echo)
    await agent.listen(8081, echo)
    data = noise(20 * 2**20)
    async with kubectl.forward(":8080", ":8081") as forwarding:
        assert await forwarding.talk(8081, b"hello") == b"hello"
        assert same(await forwarding.talk(8080, data), data)
        answers = await asyncio.gather(
            *(forwarding.talk(8080 + n % 2, b"%d" % n * 5000) for n in range(60))
        )
        assert answers == [b"%d" % n * 5000 for n in range(60)]


async def test_the_pod_hangs_up_first(kubectl: Kubectl, agent: NodeAgent) -> None:
    """As a web server does: the client hears of it without closing anything."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"got " + await reader.readline())
        writer.close()

    await agent.listen(8080, answer)
    async with kubectl.forward(":8080") as forwarding, asyncio.timeout(DEADLINE):
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", forwarding.ports[8080])
            writer.write(b"this\n")
            assert await reader.read() == b"got this\n"
            writer.close()


async def test_nothing_is_left_of_a_client_that_was_killed(
    kubectl: Kubectl, agent: NodeAgent
) -> None:
    """Not even when the pod does not read what the client sent."""
    closed = asyncio.Semaphore(0)

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        try:
            while True:
                writer.write(b"x" * 4096)
                await writer.drain()
                await asyncio.sleep(0.05)
        except ConnectionError:
            closed.release()

    await agent.listen(8080, deaf)
    before = open_files()
    async with kubectl.forward(":8080") as forwarding:
        local = [
            await asyncio.open_connection("127.0.0.1", forwarding.ports[8080]) for _ in range(20)
        ]
        for reader, writer in local:
            writer.write(b"y" * 1000)
            await asyncio.wait_for(reader.readexactly(4096), DEADLINE)
        assert agent.streams() == 1
        forwarding.process.kill()
        await forwarding.process.wait()
    async with asyncio.timeout(DEADLINE):
        for _ in local:
            await closed.acquire()
        while agent.streams():
            await asyncio.sleep(0.02)
    for _, writer in local:
        writer.close()
    async with asyncio.timeout(DEADLINE):
        while open_files() > before:
            await asyncio.sleep(0.05)


async def test_a_client_killed_while_nobody_reads_from_it(
    kubectl: Kubectl, agent: NodeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All buffers on the way are full, so that only what is sent to it can tell."""
    monkeypatch.setattr(spdyserver, "PING_SECONDS", 0.5)
    closed = asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"here")
        await closed.wait()
        writer.transport.abort()

    await agent.listen(8080, deaf)
    try:
        async with kubectl.forward(":8080") as forwarding, asyncio.timeout(DEADLINE):
            reader, writer = await asyncio.open_connection("127.0.0.1", forwarding.ports[8080])
            await reader.readexactly(4)
            with pytest.raises(TimeoutError):
                while True:
                    writer.write(b"x" * 65536)
                    async with asyncio.timeout(1):
                        await writer.drain()
            forwarding.process.kill()
            await forwarding.process.wait()
            writer.transport.abort()
            while agent.streams():
                await asyncio.sleep(0.05)
    finally:
        closed.set()


async def test_exec_ends_with_its_client(kubectl: Kubectl, agent: NodeAgent) -> None:
    process = await kubectl.start("exec", "-i", "p", "--", "sh", "-c", "echo here; exec sleep 1000")
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), DEADLINE) == b"here\n"
    process.kill()
    await process.wait()
    async with asyncio.timeout(DEADLINE):
        while agent.streams() or agent.runtime.streams[0].process.returncode is None:
            await asyncio.sleep(0.02)


async def test_a_port_where_nothing_listens(kubectl: Kubectl, agent: NodeAgent) -> None:
    async with kubectl.forward(":9") as forwarding:
        assert await forwarding.talk(9, b"hello") == b""
        assert forwarding.process.stderr is not None
        async with asyncio.timeout(DEADLINE):
            said = await forwarding.process.stderr.readline()
    assert b"error forwarding port 9 to pod p" in said and b"Connection refused" in said


async def test_a_pod_that_does_not_run(api: Api, agent: NodeAgent, pod: str) -> None:
    agent.running = False
    for upgrade in ("SPDY/3.1", "websocket"):
        headers = {"Connection": "Upgrade", "Upgrade": upgrade}
        code, status = await api.request("POST", f"{pod}/portforward", headers=headers)
        assert code == 400 and "is not running. Current status=Pending" in status["message"]
    code, status = await api.get(f"{pod}/portforward")
    assert code == 400 and "Upgrade request required" in status["message"]


async def test_the_official_python_client(server: Server, agent: NodeAgent, pod: str) -> None:
    await agent.listen(8080, echo)
    namespace = pod.split("/")[4]
    data = noise(2**20)

    def forward() -> tuple[bytes, object, object]:
        made = config.new_client_from_config(config_file=str(server.kubeconfig))  # type: ignore[no-untyped-call]
        core = client.CoreV1Api(made)
        forwarded = portforward(
            core.connect_get_namespaced_pod_portforward, "p", namespace, ports="8080,9"
        )
        connection = forwarded.socket(8080)
        connection.settimeout(DEADLINE)
        connection.sendall(data)
        received = b""
        while len(received) < len(data):
            received += connection.recv(65536)
        ends = time.monotonic() + DEADLINE
        while forwarded.error(9) is None and time.monotonic() < ends:
            time.sleep(0.05)
        connection.close()
        return received, forwarded.error(8080), forwarded.error(9)

    def execute() -> str:
        made = config.new_client_from_config(config_file=str(server.kubeconfig))  # type: ignore[no-untyped-call]
        core = client.CoreV1Api(made)
        return str(
            stream(
                core.connect_get_namespaced_pod_exec,
                "p",
                namespace,
                command=["echo", "hi"],
                stdout=True,
            )
        )

    received, none, refused = await asyncio.to_thread(forward)
    assert same(received, data) and none is None
    assert "error forwarding port 9" in str(refused)
    assert await asyncio.to_thread(execute) == "hi\n"
