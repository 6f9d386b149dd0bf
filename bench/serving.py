"""A real control plane and a floor, each in a process of its own, and as little client as possible.

The floor is the same HTTP library over the same TLS that answers at once and stores nothing.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Target:
    """A server under test."""

    port: int
    context: ssl.SSLContext


class Connection:
    """One keep-alive connection; as little client as possible."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, target: Target) -> Connection:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", target.port, ssl=target.context, limit=1 << 24
        )
        return cls(reader, writer)

    async def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> tuple[int, bytes]:
        self._writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\n"
            f"Accept: {accept}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        code = int(head[9:12])
        if b"transfer-encoding: chunked" in head:
            return code, await self._chunks()
        at = head.index(b"content-length:") + 15
        length = int(head[at : head.index(b"\r\n", at)])
        return code, await self._reader.readexactly(length)

    async def _chunks(self) -> bytes:
        chunks = []
        while size := int((await self._reader.readline()).rstrip(), 16):
            chunks.append(await self._reader.readexactly(size))
            await self._reader.readexactly(2)
        await self._reader.readexactly(2)
        return b"".join(chunks)

    async def watch(self, path: str) -> None:
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await self._reader.readuntil(b"\r\n\r\n")

    async def line(self) -> bytes:
        return await self._reader.readline()

    def close(self) -> None:
        self._writer.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


ECHO = """
import asyncio, ssl, sys, uvloop
from aiohttp import web
async def answer(request):
    body = await request.read()
    size = int(request.rel_url.query.get("bytes", 1000))
    return web.Response(body=body or b"x" * size, content_type="application/json")
async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(sys.argv[1]), ssl_context=context).start()
    await asyncio.Event().wait()
asyncio.Runner(loop_factory=uvloop.new_event_loop).run(main())
"""


def start_control(directory: Path, port: int, *more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            sys.executable, "-m", "cli", "control", f"--config={os.devnull}",
            f"--state-dir={directory / 'state'}", f"--pki-dir={directory / 'pki'}",
            f"--kubeconfig-out={directory / 'kubeconfig'}", f"--port={port}",
            "--listen-address=127.0.0.1", "--log-level=warning", *more,
        ],
        cwd=ROOT,
    )  # fmt: skip


def start_echo(directory: Path, port: int) -> subprocess.Popen[bytes]:
    pki = directory / "pki"
    files = [str(pki / "apiserver.crt"), str(pki / "apiserver.key")]
    return subprocess.Popen([sys.executable, "-c", ECHO, str(port), *files])


def context(directory: Path) -> ssl.SSLContext:
    pki = directory / "pki"
    made = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    made.load_cert_chain(pki / "admin.crt", pki / "admin.key")
    return made


async def until_ready(directory: Path, port: int) -> Target:
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        await asyncio.sleep(0.1)
        try:
            target = Target(port, context(directory))
            connection = await Connection.open(target)
            code, _ = await connection.request("GET", "/readyz")
            connection.close()
            if code == 200:
                return target
        except (OSError, ssl.SSLError):
            continue
    raise SystemExit("the server did not become ready")


@dataclass(frozen=True)
class Servers:
    """What is measured and what it is measured against."""

    api: Target
    floor: Target
    pid: int
    """Of the control plane."""


@asynccontextmanager
async def servers(*more: str) -> AsyncIterator[Servers]:
    """Both, with a database on this machine's disk; `more` are flags of the control plane."""
    with tempfile.TemporaryDirectory(prefix="podwright-bench-") as name:
        directory = Path(name)
        ports = free_port(), free_port()
        processes = [start_control(directory, ports[0], *more)]
        try:
            api = await until_ready(directory, ports[0])
            processes.append(start_echo(directory, ports[1]))
            floor = await until_ready(directory, ports[1])
            yield Servers(api, floor, processes[0].pid)
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
            for process in processes:
                process.wait(timeout=20)


def resident(pid: int) -> float:
    """Megabytes of memory that a process has."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"{pid} has no memory")


async def loop_lag(target: Target) -> tuple[float, float]:
    """Milliseconds by which the event loop was late in the last minute: p99, and the worst."""
    connection = await Connection.open(target)
    _, body = await connection.request("GET", "/metrics", accept="text/plain")
    connection.close()
    found = dict(line.rsplit(" ", 1) for line in body.decode().splitlines() if line[:1] != "#")
    p99, worst = (
        float(found[f"podwright_event_loop_lag_{which}_seconds"]) for which in ("p99", "worst")
    )
    return p99 * 1000, worst * 1000


def cpu_seconds(pid: int) -> float:
    """What a process has used of the processors."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def quantile(ordered: list[float], of_hundred: int) -> float:
    return ordered[min(len(ordered) - 1, len(ordered) * of_hundred // 100)]
