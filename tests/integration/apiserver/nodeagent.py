"""A real agent's web server for tests of the API server: containers are processes of this machine,
and the pod's network is a namespace of the test's own.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.containers.fake import FakeRuntime
from agent.containers.records import Channel, ContainerCreate, ContainerId, ContainerRecord
from agent.server.gate import Gate
from agent.server.interface import Page, PodUsage, Usage, pod_not_running
from agent.server.nodelogs import NodeLogs
from agent.server.pages import resource
from agent.server.pages.exposition import CONTENT_TYPE
from agent.server.server import AgentServer
from api.client import HttpClient
from api.core import Pod
from api.why import Death
from base import pki
from base.clock import SystemClock
from netplugin import namespaces
from tests.integration.apiserver.conftest import Server

Echo = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class ProcessStream:
    """A process of this machine as the runtime's duplex stream."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.sizes: list[tuple[int, int]] = []
        self._output: asyncio.Queue[tuple[Channel, bytes] | None] = asyncio.Queue(8)
        self._readers = [
            asyncio.create_task(self._read(channel, stream))
            for channel, stream in (
                (Channel.STDOUT, process.stdout),
                (Channel.STDERR, process.stderr),
            )
        ]
        self._ending = asyncio.create_task(self._end())

    async def read(self) -> tuple[Channel, bytes] | None:
        return await self._output.get()

    async def write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        with suppress(ConnectionError):
            self.process.stdin.write(data)
            await self.process.stdin.drain()

    async def close_stdin(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    async def resize(self, *, width: int, height: int) -> None:
        self.sizes.append((width, height))

    async def exit_code(self) -> int | None:
        return await self.process.wait()

    async def close(self) -> None:
        for task in (*self._readers, self._ending):
            task.cancel()
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def _read(self, channel: Channel, stream: asyncio.StreamReader | None) -> None:
        assert stream is not None
        while data := await stream.read(65536):
            await self._output.put((channel, data))

    async def _end(self) -> None:
        await asyncio.gather(*self._readers)
        await self._output.put(None)


class ProcessRuntime(FakeRuntime):
    """The fake runtime, whose exec starts a process here."""

    def __init__(self) -> None:
        super().__init__(SystemClock(), images=["app"])
        self.pid = 0
        self.streams: list[ProcessStream] = []

    async def inspect(self, id: ContainerId) -> ContainerRecord:
        return replace(await super().inspect(id), pid=self.pid)

    async def exec_stream(
        self, id: ContainerId, argv: Sequence[str], **fields: Any
    ) -> ProcessStream:
        pipe = asyncio.subprocess.PIPE
        made = ProcessStream(
            await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, stderr=pipe)
        )
        self.streams.append(made)
        return made


class NodeAgent:
    """One node with one pod `p` and its container `app`."""

    def __init__(self) -> None:
        self.runtime = ProcessRuntime()
        self.netns = f"podwright-streams-{uuid.uuid4().hex[:6]}"
        self.running = True
        self.deaths: list[Death] = []
        self._id = ContainerId("")
        self._server: AgentServer | None = None
        self._client: HttpClient | None = None
        self._holder: subprocess.Popen[bytes] | None = None
        self._servers: list[asyncio.Server] = []

    async def start(self, server: Server, *, logs: Path | None = None) -> None:
        namespaces.create_namespace(self.netns)
        inside = ["nsenter", f"--net=/run/netns/{self.netns}", "sleep", "infinity"]
        self._holder = subprocess.Popen(inside)
        self.runtime.pid = self._holder.pid
        self._id = await self.runtime.create(ContainerCreate(name="app", image="app"))
        await self.runtime.start(self._id)
        pair = server.node_pair("n")
        self._client = HttpClient(server.url, ssl_context=server.context(pair))
        self._server = AgentServer(
            node_name="n",
            runtime=self.runtime,
            pods=self,
            usage_source=_NoUsage(),
            statistics={},
            clock=SystemClock(),
            pages={
                "/metrics/resource": Page(
                    render=lambda: resource.render(_NoUsage().node(), [], SystemClock().now()),
                    content_type=CONTENT_TYPE,
                )
            },
            deaths=lambda namespace, pod: self.deaths,
            gate=Gate("n", self._client, SystemClock()),
            node_logs=None if logs is None else NodeLogs(root=logs),
        )
        tls = pki.server_context(pair, ca_pem=server.ca_pem)
        await self._server.start(host="127.0.0.1", port=0, tls=tls)

    async def stop(self) -> None:
        for listening in self._servers:
            listening.close()
        if self._server is not None:
            await self._server.close()
        if self._client is not None:
            await self._client.close()
        for stream in self.runtime.streams:
            await stream.close()
        if self._holder is not None:
            self._holder.kill()
            self._holder.wait()
        namespaces.delete_namespace(self.netns)

    @property
    def port(self) -> int:
        assert self._server is not None
        return self._server.port

    def streams(self) -> int:
        """Requests that are being served."""
        assert self._server is not None
        return int(self._server.statistics()["streams"])

    async def listen(self, port: int, serve: Echo) -> None:
        """A server inside the pod's network."""
        sock = await self.socket(port)
        self._servers.append(await asyncio.start_server(serve, sock=sock))

    async def socket(self, port: int) -> socket.socket:
        """A listening socket inside the pod's network."""

        def make() -> socket.socket:
            made = socket.socket()
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(("127.0.0.1", port))
            made.listen(512)
            return made

        # `enter` needs a moment until the holder has moved into the namespace; the name is sure.
        return await asyncio.to_thread(namespaces.run_inside, self.netns, make)

    def find(
        self, namespace: str, pod: str, container: str, *, previous: bool = False
    ) -> ContainerId:
        return self._id

    def find_running(self, namespace: str, pod: str, container: str) -> ContainerId:
        return self._id

    def find_sandbox(self, namespace: str, pod: str) -> ContainerId:
        if not self.running:
            raise pod_not_running(pod, "Pending")
        return self._id

    def pods(self) -> Sequence[Pod]:
        return []

    def running(self) -> Sequence[Pod]:
        return []


class _NoUsage:
    def node(self) -> Usage:
        return Usage(cpu_nanoseconds=0, memory=0, working_set=0)

    def pods(self, *, facts: bool = False) -> Sequence[PodUsage]:
        return []


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
