"""How many requests the API server answers: creations and gets of a 1 KB ConfigMap, watch latency.

    .venv/bin/python bench/api.py [--seconds 5]

A real control plane is started in a process of its own, with its database on this machine's disk; so
is a floor: the same HTTP library over the same TLS that answers at once and stores nothing. Clients
are a third process, on keep-alive connections. Each line prints the ratio to the floor measured in
the same run, which says more than the rate: rates belong to the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import uvloop

ROOT = Path(__file__).resolve().parent.parent
PAYLOAD = "x" * 900
COLLECTION = "/api/v1/namespaces/default/configmaps"


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
            "127.0.0.1", target.port, ssl=target.context, limit=1 << 20
        )
        return cls(reader, writer)

    async def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        self._writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = await self._reader.readuntil(b"\r\n\r\n")
        lower = head.lower()
        at = lower.index(b"content-length:") + 15
        length = int(lower[at : lower.index(b"\r\n", at)])
        return int(head[9:12]), await self._reader.readexactly(length)

    async def watch(self, path: str) -> None:
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await self._reader.readuntil(b"\r\n\r\n")

    async def line(self) -> bytes:
        return await self._reader.readline()

    def close(self) -> None:
        self._writer.close()


def config_map(name: str) -> bytes:
    return (
        f'{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}"}},'
        f'"data":{{"payload":"{PAYLOAD}"}}}}'
    ).encode()


Work = Callable[[Connection, str], Awaitable[None]]


async def create(connection: Connection, name: str) -> None:
    code, body = await connection.request("POST", COLLECTION, config_map(name))
    assert code in (200, 201), body


async def get(connection: Connection, name: str) -> None:
    code, body = await connection.request("GET", f"{COLLECTION}/known")
    assert code == 200, body


async def rate(target: Target, clients: int, seconds: float, work: Work, label: str) -> float:
    """Requests per second of so many clients."""
    connections = [await Connection.open(target) for _ in range(clients)]
    ends = time.perf_counter() + seconds
    counts = [0] * clients

    async def client(number: int) -> None:
        while time.perf_counter() < ends:
            await work(connections[number], f"{label}-{number}-{counts[number]}")
            counts[number] += 1

    began = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(clients)))
    elapsed = time.perf_counter() - began
    for connection in connections:
        connection.close()
    return sum(counts) / elapsed


async def watch_latency(target: Target, count: int) -> list[float]:
    """Seconds from sending a creation to reading its event, sorted."""
    watcher, writer = await Connection.open(target), await Connection.open(target)
    _, body = await writer.request("GET", f"{COLLECTION}?limit=1")
    at = body.index(b'"resourceVersion":"') + 19
    revision = body[at : body.index(b'"', at)].decode()
    await watcher.watch(f"{COLLECTION}?watch=true&resourceVersion={revision}")
    found = []
    for number in range(count):
        name = f"watched-{number}"
        began = time.perf_counter()
        creating = asyncio.ensure_future(create(writer, name))
        while f'"{name}"'.encode() not in await watcher.line():
            pass
        found.append(time.perf_counter() - began)
        await creating
    watcher.close()
    writer.close()
    return sorted(found)


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
    return web.Response(body=body or b"x" * 1000, content_type="application/json")
async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(sys.argv[1]), ssl_context=context).start()
    await asyncio.Event().wait()
asyncio.Runner(loop_factory=uvloop.new_event_loop).run(main())
"""


def start_control(directory: Path, port: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            sys.executable, "-m", "cli", "control", f"--config={os.devnull}",
            f"--state-dir={directory / 'state'}", f"--pki-dir={directory / 'pki'}",
            f"--kubeconfig-out={directory / 'kubeconfig'}", f"--port={port}",
            "--listen-address=127.0.0.1", "--log-level=warning",
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


async def measure(seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="podwright-bench-") as name:
        directory = Path(name)
        ports = free_port(), free_port()
        processes = [start_control(directory, ports[0])]
        try:
            api = await until_ready(directory, ports[0])
            processes.append(start_echo(directory, ports[1]))
            floor = await until_ready(directory, ports[1])
            await report(api, floor, seconds)
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
            for process in processes:
                process.wait(timeout=20)


async def report(api: Target, floor: Target, seconds: float) -> None:
    connection = await Connection.open(api)
    await create(connection, "known")
    connection.close()
    await rate(api, 4, 1.0, create, "warm")
    print(f"{'':34}{'per second':>12}{'floor':>10}{'ratio':>8}")
    for clients in (1, 16):
        for label, work in (("create", create), ("get", get)):
            ours = await rate(api, clients, seconds, work, f"{label}{clients}")
            theirs = await rate(floor, clients, min(seconds, 3.0), work, "floor")
            text = f"{label}, {clients} client{'s' * (clients > 1)}"
            print(f"{text:34}{ours:>12.0f}{theirs:>10.0f}{ours / theirs:>8.2f}")
    found = await watch_latency(api, 300)
    print(
        f"{'watch latency, create to event':34}"
        f"p50 {found[len(found) // 2] * 1000:.2f} ms, p99 {found[len(found) * 99 // 100] * 1000:.2f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each measurement")
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(measure(arguments.seconds))


if __name__ == "__main__":
    main()
