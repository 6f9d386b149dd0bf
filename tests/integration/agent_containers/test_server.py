"""Logs, exec and attach through the web server into real containers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import aiohttp
import pytest

from agent.containers.records import ContainerCreate, ContainerId
from agent.containers.runtime import DockerRuntime
from agent.server.interface import PodUsage, Usage
from agent.server.server import AgentServer
from api.core import Pod
from api.streams import Channel
from base import pki
from base.clock import SystemClock
from tests.engine import BUSYBOX, Engine

CLOCK = SystemClock()
DEADLINE = 60.0
V5 = "v5.channel.k8s.io"


@dataclass
class OnePod:
    id: ContainerId

    def find(
        self, namespace: str, pod: str, container: str, *, previous: bool = False
    ) -> ContainerId:
        return self.id

    def find_running(self, namespace: str, pod: str, container: str) -> ContainerId:
        return self.id

    def find_sandbox(self, namespace: str, pod: str) -> ContainerId:
        return self.id

    def pods(self) -> Sequence[Pod]:
        return []

    def running(self) -> Sequence[Pod]:
        return []


class NoUsage:
    def node(self) -> Usage:
        return Usage(cpu_nanoseconds=0, memory=0, working_set=0)

    def pods(self, *, facts: bool = False) -> Sequence[PodUsage]:
        return []


@dataclass
class Session:
    """One WebSocket, and what came over it by channel."""

    socket: aiohttp.ClientWebSocketResponse
    received: dict[int, bytearray]

    async def send(self, channel: Channel, data: bytes) -> None:
        await self.socket.send_bytes(bytes([channel]) + data)

    async def until(self, channel: Channel, wanted: bytes) -> None:
        async with asyncio.timeout(DEADLINE):
            while wanted not in self.received.get(channel, b""):
                assert await self._take(), self.received

    async def end(self) -> dict[str, object]:
        """Read to the end; the Status."""
        async with asyncio.timeout(DEADLINE):
            while await self._take():
                pass
        return json.loads(self.received[Channel.ERROR])  # type: ignore[no-any-return]

    async def _take(self) -> bool:
        message = await self.socket.receive()
        if message.type is not aiohttp.WSMsgType.BINARY:
            return False
        self.received.setdefault(message.data[0], bytearray()).extend(message.data[1:])
        return True


@dataclass
class Node:
    runtime: DockerRuntime
    engine: Engine
    pod: OnePod
    http: aiohttp.ClientSession
    base: str

    async def run(self, *shell: str, **fields: bool) -> ContainerId:
        self.pod.id = await self.runtime.create(
            ContainerCreate(
                name="web",
                image=BUSYBOX,
                command=("sh", "-c", " ".join(shell)),
                cgroup_parent=self.engine.cgroup_parent,
                stdin=fields.get("stdin", False),
                tty=fields.get("tty", False),
            )
        )
        await self.runtime.start(self.pod.id)
        return self.pod.id

    async def open(self, what: str, query: str, *command: str) -> Session:
        path = f"/{what}/default/web/app?{query}" + "".join(f"&command={c}" for c in command)
        return Session(await self.http.ws_connect(self.base + path, protocols=[V5]), {})


@pytest.fixture
async def node(runtime: DockerRuntime, engine: Engine) -> AsyncIterator[Node]:
    authority = pki.create_ca("test", clock=CLOCK)
    pair = pki.issue(
        authority, common_name="node", ip_addresses=["127.0.0.1"], server=True, clock=CLOCK
    )
    admin = pki.issue(
        authority, common_name="me", organizations=["system:masters"], client=True, clock=CLOCK
    )
    pod = OnePod(ContainerId(""))
    server = AgentServer(
        node_name="node",
        runtime=runtime,
        pods=pod,
        usage_source=NoUsage(),
        statistics={},
        clock=CLOCK,
    )
    tls = pki.server_context(pair, ca_pem=authority.cert_pem)
    await server.start(host="127.0.0.1", port=0, tls=tls)
    client = pki.client_context(ca_pem=authority.cert_pem, pair=admin)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=client)) as http:
        yield Node(runtime, engine, pod, http, f"https://127.0.0.1:{server.port}")
    await server.close()


async def test_end_of_file_on_stdin(node: Node) -> None:
    await node.run("sleep 1000")
    session = await node.open("exec", "input=1&output=1&error=1", "wc", "-c")
    for _ in range(32):
        await session.send(Channel.STDIN, b"x" * 32768)
    await session.send(Channel.CLOSE, bytes([Channel.STDIN]))
    assert await session.end() == {"metadata": {}, "status": "Success"}
    assert session.received[Channel.STDOUT] == b"1048576\n"


async def test_a_terminal(node: Node) -> None:
    await node.run("sleep 1000")
    session = await node.open("exec", "input=1&output=1&tty=1", "sh")
    await session.send(Channel.RESIZE, b'{"Width":97,"Height":31}')
    await session.send(Channel.STDIN, b"stty size\n")
    await session.until(Channel.STDOUT, b"31 97")
    await session.send(Channel.STDIN, b"exit 4\n")
    status = await session.end()
    assert status["details"] == {"causes": [{"reason": "ExitCode", "message": "4"}]}


async def test_a_client_that_does_not_read_stops_the_process(node: Node) -> None:
    """20 MB wait in the container, not in the agent, and arrive whole once they are read."""
    await node.run("sleep 1000")
    session = await node.open("exec", "output=1", "seq", "2800000")
    await session.until(Channel.STDOUT, b"1\n")
    assert await session.end() == {"metadata": {}, "status": "Success"}
    assert session.received[Channel.STDOUT].endswith(b"2799999\n2800000\n")
    assert len(session.received[Channel.STDOUT]) == 21288896


async def test_a_program_that_does_not_exist(node: Node) -> None:
    await node.run("sleep 1000")
    session = await node.open("exec", "output=1&error=1", "nosuch")
    status = await session.end()
    assert status["details"] == {"causes": [{"reason": "ExitCode", "message": "126"}]}
    assert b"executable file not found" in b"".join(session.received.values())


async def test_attach(node: Node) -> None:
    await node.run("read x; echo got $x; exit 0", stdin=True)
    session = await node.open("attach", "input=1&output=1&error=1")
    await session.send(Channel.STDIN, b"hello\n")
    assert (await session.end())["status"] == "Success"
    assert session.received[Channel.STDOUT] == b"got hello\n"


async def test_a_follower_who_leaves(node: Node) -> None:
    await node.run("echo one; sleep 1000")
    url = f"{node.base}/containerLogs/default/web/app?follow=true"
    async with node.http.get(url) as answer:
        assert await answer.content.readline() == b"one\n"
        assert node.runtime.statistics()["log_readers"] == 1
    async with asyncio.timeout(DEADLINE):
        while node.runtime.statistics()["log_readers"]:
            await asyncio.sleep(0.01)
