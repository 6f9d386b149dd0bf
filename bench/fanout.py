"""What much of something costs the API server: lists of thousands, a thousand watchers, memory.

    .venv/bin/python -m bench.fanout [--pods 5000] [--watchers 1000]

The floor of a list is the same number of bytes from a server that has them at hand; memory is the
plain resident set of the control plane before and after. `--controllers=false` is given to it: here
it is an API server and no more, but for the last line. While lists are read, another connection asks
`/livez` all the time: how long that takes is how long the event loop is held.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvloop

from bench.api import COLLECTION, PODS, config_map, pod, revision
from bench.serving import (
    Connection,
    Servers,
    Target,
    cpu_seconds,
    loop_lag,
    quantile,
    resident,
    servers,
)

WRITERS = 16
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
METADATA = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"
LISTS = (
    ("all at once", f"{PODS}?", "application/json", 0),
    ("all at once, resourceVersion=0", f"{PODS}?resourceVersion=0", "application/json", 0),
    ("in pages of 500", f"{PODS}?", "application/json", 500),
    ("as a Table", f"{PODS}?", TABLE, 0),
    ("metadata alone", f"{PODS}?", METADATA, 0),
    ("by a label that few have", f"{PODS}?labelSelector=app%3Dnone", "application/json", 0),
)
ROUNDS = 5
SETTLING = 5.0
"""Seconds in which controllers find their feet, or catch up."""


async def fill(target: Target, count: int, path: str, prefix: str) -> None:
    """Create so many pods or ConfigMaps."""
    make = pod if path == PODS else config_map
    connections = [await Connection.open(target) for _ in range(WRITERS)]

    async def write(writer: int) -> None:
        for number in range(writer, count, WRITERS):
            code, body = await connections[writer].request(
                "POST", path, make(f"{prefix}-{number:05}")
            )
            assert code == 201, body

    await asyncio.gather(*map(write, range(WRITERS)))
    for connection in connections:
        connection.close()


async def whole_list(connection: Connection, path: str, accept: str, limit: int) -> int:
    """Bytes of a list, page by page."""
    size, token = 0, ""
    while True:
        page = f"&limit={limit}&continue={token}" if limit else ""
        code, body = await connection.request("GET", path + page, accept=accept)
        assert code == 200, body[:500]
        size += len(body)
        at = body.find(b'"continue":"', 0, 500)
        if at < 0:
            return size
        token = body[at + 12 : body.index(b'"', at + 12)].decode()


async def ping(target: Target, found: list[float]) -> None:
    connection = await Connection.open(target)
    try:
        while True:
            began = time.perf_counter()
            await connection.request("GET", "/livez")
            found.append(time.perf_counter() - began)
            await asyncio.sleep(0.002)
    finally:
        connection.close()


async def lists(running: Servers) -> None:
    print(f"{'':34}{'p50':>10}{'floor':>10}{'ratio':>8}{'size':>9}{'/livez p99':>12}")
    connection, plain = await Connection.open(running.api), await Connection.open(running.floor)
    for label, path, accept, limit in LISTS:
        pings: list[float] = []
        pinging = asyncio.ensure_future(ping(running.api, pings))
        took, size = [], 0
        for _ in range(ROUNDS):
            began = time.perf_counter()
            size = await whole_list(connection, path, accept, limit)
            took.append(time.perf_counter() - began)
        pinging.cancel()
        floors = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            await plain.request("GET", f"/?bytes={size}")
            floors.append(time.perf_counter() - began)
        ours, theirs = quantile(sorted(took), 50), quantile(sorted(floors), 50)
        lag = quantile(sorted(pings), 99)
        print(
            f"{label:34}{ours * 1000:>7.1f} ms{theirs * 1000:>7.1f} ms{ours / theirs:>8.1f}"
            f"{size / 1e6:>6.1f} MB{lag * 1000:>9.1f} ms"
        )
    connection.close()
    plain.close()


class Watcher:
    """Reads events and remembers when each object came."""

    def __init__(self, connection: Connection, sent: dict[bytes, float]) -> None:
        self._connection = connection
        self._sent = sent
        self.took: list[float] = []

    async def run(self, count: int) -> None:
        """Until so many have come."""
        while len(self.took) < count:
            line = await self._connection.line()
            at = line.find(b'"name":"timed-')
            if at >= 0:
                name = line[at + 8 : line.index(b'"', at + 8)]
                self.took.append(time.perf_counter() - self._sent[name])


async def deliveries(
    running: Servers, watchers: int, writes: int, per_second: float, prefix: str
) -> None:
    """How long events take to all watchers at a given rate of writes."""
    writer = await Connection.open(running.api)
    since = await revision(writer)
    memory = resident(running.pid)
    sent: dict[bytes, float] = {}
    watching = []
    for _ in range(watchers):
        connection = await Connection.open(running.api)
        await connection.watch(f"{COLLECTION}?watch=true&resourceVersion={since}")
        watching.append((connection, Watcher(connection, sent)))
    tasks = [asyncio.ensure_future(watcher.run(writes)) for _, watcher in watching]
    grown = resident(running.pid) - memory
    before, began = cpu_seconds(running.pid), time.perf_counter()
    for number in range(writes):
        await asyncio.sleep(max(0.0, began + number / per_second - time.perf_counter()))
        name = f"timed-{prefix}-{number}"
        sent[name.encode()] = time.perf_counter()
        code, body = await writer.request("POST", COLLECTION, config_map(name))
        assert code == 201, body
    async with asyncio.timeout(60):
        await asyncio.gather(*tasks)
    used = cpu_seconds(running.pid) - before
    found = sorted(seconds for _, watcher in watching for seconds in watcher.took)
    for connection, _ in watching:
        connection.close()
    print(
        f"{watchers:>5} watchers, {per_second:>3.0f} writes/s: p50 {quantile(found, 50) * 1000:.1f} ms, "
        f"p99 {quantile(found, 99) * 1000:.1f} ms, {used / len(found) * 1e6:.1f} µs of CPU an event, "
        f"{grown * 1024 / watchers:.0f} KB a watcher"
    )


@asynccontextmanager
async def bare_server() -> AsyncIterator[Servers]:
    """A server with what pods need, warm."""
    async with servers("--controllers=false") as running:
        connection = await Connection.open(running.api)
        account = b'{"metadata":{"name":"default"}}'
        path = "/api/v1/namespaces/default/serviceaccounts"
        code, body = await connection.request("POST", path, account)
        assert code == 201, body
        connection.close()
        await fill(running.api, 200, COLLECTION, "warm")
        yield running


async def measure(pods: int, watchers: int, objects: int) -> None:
    async with bare_server() as running:
        await fill(running.api, pods, PODS, "held")
        await lists(running)
        await deliveries(running, 10, 1000, 500, "few")
        await deliveries(running, watchers, 20, 2, "many")
    async with bare_server() as running:
        await memory(running, objects, "controllers off")
    async with servers() as running:
        await asyncio.sleep(SETTLING)
        await memory(running, objects, "everything on")


async def memory(running: Servers, objects: int, label: str) -> None:
    """What so many pods come to, and how late the event loop was while they were made."""
    empty = resident(running.pid)
    await fill(running.api, objects, PODS, "held")
    lag, worst = await loop_lag(running.api)
    await asyncio.sleep(SETTLING)
    whole = resident(running.pid)
    print(
        f"{objects} pods, {label}: {whole:.0f} MB, {whole - empty:.0f} MB of it for them "
        f"({(whole - empty) * 10_000 / objects:.0f} MB for 10,000); "
        f"event loop late p99 {lag:.0f} ms, worst {worst:.0f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pods", type=int, default=5000, help="pods in the lists")
    parser.add_argument("--watchers", type=int, default=1000)
    parser.add_argument("--objects", type=int, default=50_000, help="pods that memory is told of")
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(measure(arguments.pods, arguments.watchers, arguments.objects))


if __name__ == "__main__":
    main()
