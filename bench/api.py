"""How many requests the API server answers: creations, gets, updates and applies; watch latency.

    .venv/bin/python -m bench.api [--seconds 5]

ConfigMaps of 1 KB, and pods beside them; "charged" are those of a namespace with a quota. A real
control plane is started in a process of its own, with its database on this machine's disk; so is a
floor. Clients are a third process, on keep-alive connections. Each line prints the ratio to the
floor measured in the same run, which says more than the rate: rates belong to the machine. The last
column is what the control plane used of the processor for each request, which also holds while the
machine does other work.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import time
from collections.abc import Awaitable, Callable

import uvloop

from bench.serving import Connection, Servers, Target, cpu_seconds, quantile, servers

PAYLOAD = "x" * 900
COLLECTION = "/api/v1/namespaces/default/configmaps"
LIMITED = "/api/v1/namespaces/limited"
PODS = "/api/v1/namespaces/default/pods"
CLIENTS = (1, 16, 64)


def config_map(name: str, payload: str = PAYLOAD) -> bytes:
    return (
        f'{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}"}},'
        f'"data":{{"payload":"{payload}"}}}}'
    ).encode()


def pod(name: str) -> bytes:
    """A pod as people write them; the gate keeps the scheduler's work out of the figure."""
    container = {
        "name": "web",
        "image": "nginx:1.25",
        "ports": [{"containerPort": 80}],
        "env": [{"name": "LEVEL", "value": "info"}],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
        "readinessProbe": {"httpGet": {"path": "/", "port": 80}},
    }
    spec = {"schedulingGates": [{"name": "bench.podwright/held"}], "containers": [container]}
    metadata = {"name": name, "labels": {"app": "web", "tier": "front"}}
    return json.dumps(
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec},
        separators=(",", ":"),
    ).encode()


Work = Callable[[Connection, int, int], Awaitable[None]]
"""One request of a client, given its number and the request's."""


async def create(connection: Connection, client: int, number: int) -> None:
    await _sent(connection, "POST", COLLECTION, config_map(_unique(client)))


async def create_charged(connection: Connection, client: int, number: int) -> None:
    await _sent(connection, "POST", f"{LIMITED}/configmaps", config_map(_unique(client)))


async def create_pod(connection: Connection, client: int, number: int) -> None:
    await _sent(connection, "POST", PODS, pod(_unique(client)))


async def get(connection: Connection, client: int, number: int) -> None:
    await _sent(connection, "GET", f"{COLLECTION}/known-{client}", b"")


async def update(connection: Connection, client: int, number: int) -> None:
    name = f"known-{client}"
    await _sent(
        connection, "PUT", f"{COLLECTION}/{name}", config_map(name, f"{number:06}{PAYLOAD}")
    )


async def apply(connection: Connection, client: int, number: int) -> None:
    name = f"known-{client}"
    body = config_map(name, f"{number:06}{PAYLOAD}")
    path = f"{COLLECTION}/{name}?fieldManager=bench&force=true"
    await _sent(connection, "PATCH", path, body, content_type="application/apply-patch+yaml")


WORKS: dict[str, Work] = {
    "create": create,
    "create, charged": create_charged,
    "create a pod": create_pod,
    "get": get,
    "update": update,
    "apply": apply,
}

_numbers = itertools.count()


def _unique(client: int) -> str:
    return f"made-{client}-{next(_numbers)}"


async def _sent(
    connection: Connection,
    method: str,
    path: str,
    body: bytes,
    *,
    content_type: str = "application/json",
) -> None:
    code, answer = await connection.request(method, path, body, content_type=content_type)
    assert code in (200, 201), answer


async def rate(target: Target, clients: int, seconds: float, work: Work) -> float:
    """Requests per second of so many clients."""
    connections = [await Connection.open(target) for _ in range(clients)]
    ends = time.perf_counter() + seconds
    counts = [0] * clients

    async def client(number: int) -> None:
        while time.perf_counter() < ends:
            await work(connections[number], number, counts[number])
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
    await watcher.watch(f"{COLLECTION}?watch=true&resourceVersion={await revision(writer)}")
    found = []
    for number in range(count):
        name = f"watched-{number}"
        began = time.perf_counter()
        creating = asyncio.ensure_future(writer.request("POST", COLLECTION, config_map(name)))
        while f'"{name}"'.encode() not in await watcher.line():
            pass
        found.append(time.perf_counter() - began)
        await creating
    watcher.close()
    writer.close()
    return sorted(found)


async def revision(connection: Connection) -> str:
    """Where a watch begins that is to see what comes from now on."""
    _, body = await connection.request("GET", f"{COLLECTION}?limit=1")
    at = body.index(b'"resourceVersion":"') + 19
    return body[at : body.index(b'"', at)].decode()


async def _limit(connection: Connection) -> None:
    """A namespace with a quota of its objects, counted as its controller would."""
    hard = {"count/configmaps": "1000000"}
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "bench"},
        "spec": {"hard": hard},
        "status": {"hard": hard, "used": {"count/configmaps": "0"}},
    }
    body, quotas = json.dumps(quota).encode(), f"{LIMITED}/resourcequotas"
    namespace = b'{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"limited"}}'
    await _sent(connection, "POST", "/api/v1/namespaces", namespace)
    await _sent(connection, "POST", quotas, body)
    await _sent(connection, "PUT", f"{quotas}/bench/status", body)


async def measure(seconds: float) -> None:
    async with servers() as running:
        await report(running, seconds)


async def report(running: Servers, seconds: float) -> None:
    connection = await Connection.open(running.api)
    for client in range(max(CLIENTS)):
        await _sent(connection, "POST", COLLECTION, config_map(f"known-{client}"))
    await _limit(connection)
    connection.close()
    await rate(running.api, 4, 1.0, create)
    print(f"{'':26}{'per second':>12}{'floor':>10}{'ratio':>8}{'CPU each':>12}")
    for clients in CLIENTS:
        for label, work in WORKS.items():
            before, began = cpu_seconds(running.pid), time.perf_counter()
            ours = await rate(running.api, clients, seconds, work)
            elapsed = time.perf_counter() - began
            used = (cpu_seconds(running.pid) - before) / (ours * elapsed) * 1e6
            theirs = await rate(running.floor, clients, min(seconds, 2.0), work)
            text = f"{label}, {clients} client{'s' * (clients > 1)}"
            print(f"{text:26}{ours:>12.0f}{theirs:>10.0f}{ours / theirs:>8.2f}{used:>9.0f} µs")
    found = await watch_latency(running.api, 300)
    print(
        f"{'watch, create to event':26}"
        f"p50 {quantile(found, 50) * 1000:.2f} ms, p99 {quantile(found, 99) * 1000:.2f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each measurement")
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(measure(arguments.seconds))


if __name__ == "__main__":
    main()
