"""What probes cost the agent: CPU of a thousand questions a second, by how they are asked.

    .venv/bin/python -m bench.probes [--rate 1000] [--seconds 10]

Each container is asked once a second at an address of its own on loopback; the servers are another
process. The floor asks the same, one after the other, with bare blocking sockets and nothing else. No
root and no engine is needed.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import resource
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address
from multiprocessing.connection import Connection
from typing import cast

import h2.config
import h2.connection
import h2.events
import uvloop

from agent.containers.fake import FakeRuntime
from agent.containers.records import ContainerId
from agent.probes.handlers import Target, Verdict
from agent.probes.runner import PodProbes, Turned, Wanted
from agent.probes.state import Kind
from agent.probes.turns import ExecTurns
from api.core import Container, GRPCAction, HTTPGetAction, Probe, TCPSocketAction
from base.clock import SystemClock
from base.tasks import TaskGuard

AIM = 33.0
"""Percent of one CPU for a thousand HTTP or TCP questions a second."""
SETTLE = 2.5
FIRST = IPv4Address("127.1.0.1")
_HTTP = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
_SERVING = b"\0\0\0\0\2\x08\x01"


class _Web(asyncio.Protocol):
    """Answers whatever comes, and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(_HTTP)
        self._transport.close()


class _Health(asyncio.Protocol):
    """gRPC's health service, which serves."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        config = h2.config.H2Configuration(client_side=False)
        self._connection = h2.connection.H2Connection(config)
        self._connection.initiate_connection()

    def data_received(self, data: bytes) -> None:
        for event in self._connection.receive_data(data):
            if isinstance(event, h2.events.StreamEnded) and event.stream_id:
                self._answer(event.stream_id)
        self._transport.write(self._connection.data_to_send())

    def _answer(self, stream: int) -> None:
        answer = [(":status", "200"), ("content-type", "application/grpc")]
        self._connection.send_headers(stream, answer)
        self._connection.send_data(stream, _SERVING)
        self._connection.send_headers(stream, [("grpc-status", "0")], end_stream=True)


def serve(ready: Connection) -> None:
    """The servers' process, until it is killed."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        servers = [await loop.create_server(make, "0.0.0.0", 0) for make in (_Web, _Health)]
        ready.send([server.sockets[0].getsockname()[1] for server in servers])
        await asyncio.Event().wait()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


@dataclass(frozen=True)
class Figure:
    per_second: float
    cpu: float
    """Percent of one CPU."""


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Asked:
    """Counts questions by their answers."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self.turned = 0

    def tell(self, turned: Turned) -> None:
        self.turned += 1

    def complain(self, kind: Kind, target: Target, verdict: Verdict) -> None:
        self.failed.append(verdict.message)


async def probing(probe: Probe, rate: int, seconds: float) -> Figure:
    """So many containers, each asked once a second by the agent's own probes."""
    asked, clock = Asked(), SystemClock()
    async with TaskGuard("bench") as guard:
        probes = PodProbes(
            FakeRuntime(clock),
            pod="bench",
            turns=ExecTurns(clock=clock, guard=guard),
            clock=clock,
            guard=guard,
            tell=asked.tell,
            complain=asked.complain,
        )
        wanted = {}
        for number in range(rate):
            container = Container(name=f"c{number}", image="i")
            target = Target(
                container=container, id=ContainerId(str(number)), ip=str(FIRST + number)
            )
            one = Wanted(probe=probe, target=target, started_ago=0.0, adopted=True)
            wanted[target.id, Kind.READINESS] = one
        probes.sync(wanted)
        await asyncio.sleep(SETTLE)
        used, before, began = cpu(), probes.tally.asked, time.perf_counter()
        await asyncio.sleep(seconds)
        took = time.perf_counter() - began
        figure = Figure((probes.tally.asked - before) / took, (cpu() - used) / took * 100)
        probes.stop()
    if asked.failed or asked.turned != rate:
        raise SystemExit(f"{len(asked.failed)} failed, e.g. {asked.failed[:1]}")
    return figure


def bare(port: int, rate: int, *, talk: bool) -> Figure:
    """The floor: a second's worth of questions, with what the kernel gives."""
    request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    used = cpu()
    for number in range(rate):
        with socket.create_connection((str(FIRST + number), port)) as connection:
            if talk:
                connection.sendall(request)
                while connection.recv(4096):
                    pass
    return Figure(float(rate), (cpu() - used) * 100)


def show(name: str, figure: Figure, floor: Figure | None) -> None:
    ratio = "" if floor is None else f"{figure.cpu / floor.cpu:>10.1f}"
    print(f"{name:12}{figure.per_second:>12.0f}{figure.cpu:>10.1f} %{ratio}", flush=True)


def measure(web: int, health: int, rate: int, seconds: float) -> None:
    probes: dict[str, tuple[Probe, Callable[[], Figure] | None]] = {
        "TCP": (
            Probe(tcp_socket=TCPSocketAction(port=web), period_seconds=1),
            partial(bare, web, rate, talk=False),
        ),
        "HTTP": (
            Probe(http_get=HTTPGetAction(path="/healthz", port=web), period_seconds=1),
            partial(bare, web, rate, talk=True),
        ),
        "gRPC": (
            Probe(grpc=GRPCAction(port=health, service=""), period_seconds=1, timeout_seconds=5),
            None,
        ),
    }
    print(f"{'':12}{'per second':>12}{'CPU':>12}{'of floor':>10}   (aim: < {AIM:.0f} % for 1,000)")
    for name, (probe, floor) in probes.items():
        # The server of gRPC, which is as slow as the client, must not be what is measured.
        count = rate // 4 if probe.grpc is not None else rate
        least = floor() if floor is not None else None
        if least is not None:
            show(f"{name}, floor", least, None)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            show(name, runner.run(probing(probe, count, seconds)), least)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rate", type=int, default=1000, help="questions a second")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to look at the CPU")
    given = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    servers = multiprocessing.get_context("spawn").Process(
        target=serve, args=(theirs,), daemon=True
    )
    servers.start()
    try:
        web, health = ours.recv()
        measure(web, health, given.rate, given.seconds)
    finally:
        servers.kill()
        servers.join()


if __name__ == "__main__":
    main()
