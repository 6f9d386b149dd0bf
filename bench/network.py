"""How fast the node's network is: `python -m bench.network` as root, in namespaces of its own.

Every figure stands beside a floor measured in the same run, because only ratios mean something on
another machine:

- attaching a pod (address, cable, route) against the `ip` commands that wire the same;
- bringing 1,000 services into the kernel, and changing one of them, against one `iptables-restore`
  of the same rules;
- a new TCP connection through a VIP among 10 and among 1,000 services, against one without a VIP.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from api.core import Service
from api.core.service import ServicePort, ServiceSpec
from api.discovery import Endpoint, EndpointPort, EndpointSlice
from api.meta import ObjectMeta
from base.clock import SystemClock
from netplugin import NetworkConfig, NodeNetwork
from netplugin.namespaces import create_namespace, delete_namespace, namespaces, run_inside
from netplugin.proxy.model import SERVICE_NAME_LABEL, service_ports

PREFIX = "netplugin-bench-"
NODE, POD, SERVER, SCRATCH = (f"{PREFIX}{n}" for n in ("node", "pod", "server", "scratch"))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pods", type=int, default=30)
    options.add_argument("--services", type=int, default=1000)
    options.add_argument("--connections", type=int, default=500)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as state, machines():
        asyncio.run(measure(Path(state), given.pods, given.services, given.connections))


@contextmanager
def machines() -> Iterator[None]:
    def clean() -> None:
        for name in namespaces():
            if name.startswith(PREFIX):
                delete_namespace(name)

    clean()
    for name in (NODE, POD, SERVER, SCRATCH):
        create_namespace(name)
    try:
        yield
    finally:
        clean()


async def measure(state: Path, pods: int, services: int, connections: int) -> None:
    network = NodeNetwork(_config(state), SystemClock())
    await network.setup()
    try:
        await measure_attach(network, pods)
        server = await network.attach("server", SERVER, pod="default/server")
        await network.attach("client", POD, pod="default/client")
        await measure_services(network, str(server.ip), services)
        await measure_connections(network, str(server.ip), services, connections)
    finally:
        await network.teardown()


async def measure_attach(network: NodeNetwork, pods: int) -> None:
    names = [f"{PREFIX}{index}" for index in range(pods)]
    for name in names:
        create_namespace(name)
    ours, floor = [], []
    for name in names:
        begin = time.perf_counter()
        await network.attach(name, name, pod=f"default/{name}")
        ours.append(time.perf_counter() - begin)
    for name in names:
        await network.detach(name)
    for index, name in enumerate(names):
        begin = time.perf_counter()
        run_inside(NODE, lambda index=index, name=name: _with_ip_commands(index, name))  # type: ignore[misc]
        floor.append(time.perf_counter() - begin)
    for name in names:
        delete_namespace(name)
    p50, floor50 = statistics.median(ours), statistics.median(floor)
    p99 = sorted(ours)[int(len(ours) * 0.99)]
    print(
        f"attach a pod: p50 {p50 * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms; "
        f"`ip` commands {floor50 * 1e3:.1f} ms; ratio {p50 / floor50:.2f}"
    )


def _with_ip_commands(index: int, name: str) -> None:
    link, address = f"bench{index}", f"10.244.1.{index + 100}"
    inside = ["nsenter", f"--net=/run/netns/{name}", "ip"]
    for command in (
        ["ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name],
        ["ip", "link", "set", link, "master", "pwbr0", "up"],
        [*inside, "addr", "add", f"{address}/32", "dev", "eth0"],
        [*inside, "link", "set", "eth0", "up"],
        [*inside, "route", "add", "default", "via", "10.244.1.1", "dev", "eth0", "onlink"],
    ):
        subprocess.run(command, check=True)


async def measure_services(network: NodeNetwork, server: str, count: int) -> None:
    services, slices = _objects(server, count)
    begin = time.perf_counter()
    service_ports(services, slices, node="node-1")
    pure = time.perf_counter() - begin
    first = await _publish(network, services, slices)
    changes = []
    for index in range(10):
        slices[index].endpoints.append(Endpoint(addresses=["10.244.9.9"]))
        changes.append(await _publish(network, services, slices))
    change = statistics.median(changes)
    saved = await asyncio.to_thread(run_inside, NODE, _save)
    floor = await asyncio.to_thread(run_inside, SCRATCH, lambda: _restore(saved))
    print(
        f"{count} services x 3 endpoints: first sync {first * 1e3:.0f} ms, "
        f"one change {change * 1e3:.0f} ms (of it reading the objects {pure * 1e3:.0f} ms); "
        f"one iptables-restore of all of it {floor * 1e3:.0f} ms; "
        f"ratios {first / floor:.2f} and {change / floor:.2f}"
    )


async def _publish(
    network: NodeNetwork, services: list[Service], slices: list[EndpointSlice]
) -> float:
    begin = time.perf_counter()
    await network.set_services(services, slices)
    return time.perf_counter() - begin


def _save() -> bytes:
    return subprocess.run(["iptables-save"], capture_output=True, check=True).stdout


def _restore(saved: bytes) -> float:
    begin = time.perf_counter()
    subprocess.run(["iptables-restore", "--wait"], input=saved, check=True)
    return time.perf_counter() - begin


async def measure_connections(
    network: NodeNetwork, server: str, many: int, connections: int
) -> None:
    # A port for each case: connections of an earlier one still linger in the flow table, and would
    # make the kernel look for another source port.
    ports = {0: 8080, 10: 8081, many: 8082}
    listeners = [
        run_inside(SERVER, lambda port=port: socket.create_server(("", port), backlog=4096))  # type: ignore[misc]
        for port in ports.values()
    ]
    for listener in listeners:
        threading.Thread(target=_serve, args=(listener,), daemon=True).start()

    async def seconds(address: str, port: int) -> float:
        def connect() -> float:
            return _best_of(3, lambda: _connect(address, port, connections)) / connections

        return await asyncio.to_thread(run_inside, POD, connect)

    direct = await seconds(server, 8080)
    results = {}
    for count in (10, many):
        services, slices = _objects(server, count, port=ports[count])
        await network.set_services(services, slices)
        results[count] = await seconds(services[count // 2].spec.cluster_ip, 80)
    for listener in listeners:
        listener.close()
    few = results[10]
    print(
        f"new connection: direct {direct * 1e6:.0f} us, through a VIP among 10 services "
        f"{few * 1e6:.0f} us, among {many} {results[many] * 1e6:.0f} us; "
        f"ratios to direct {few / direct:.2f} and {results[many] / direct:.2f}, "
        f"{many} to 10: {results[many] / few:.2f}"
    )


def _best_of(times: int, measure_once: Callable[[], float]) -> float:
    measure_once()  # warm
    return min(measure_once() for _ in range(times))


def _connect(address: str, port: int, times: int) -> float:
    begin = time.perf_counter()
    for _ in range(times):
        socket.create_connection((address, port), timeout=5).close()
    return time.perf_counter() - begin


def _serve(listener: socket.socket) -> None:
    while True:
        try:
            listener.accept()[0].close()
        except OSError:
            return


def _objects(
    server: str, count: int, *, port: int = 8080
) -> tuple[list[Service], list[EndpointSlice]]:
    """Services of three endpoints, of which one exists; it alone is behind the one that is asked."""
    services, slices = [], []
    for index in range(count):
        name = f"service-{index}"
        others = [f"10.244.{2 + index % 200}.{n}" for n in (2, 3)]
        addresses = [server] if index == count // 2 else [server, *others]
        services.append(
            Service(
                metadata=ObjectMeta(name=name, namespace="default"),
                spec=ServiceSpec(
                    cluster_ip=str(IPv4Address("10.96.1.0") + index * 977 % 2**20),
                    ports=[ServicePort(name="http", port=80, protocol="TCP", target_port=8080)],
                ),
            )
        )
        slices.append(
            EndpointSlice(
                metadata=ObjectMeta(
                    name=name, namespace="default", labels={SERVICE_NAME_LABEL: name}
                ),
                address_type="IPv4",
                ports=[EndpointPort(name="http", port=port, protocol="TCP")],
                endpoints=[Endpoint(addresses=[address]) for address in addresses],
            )
        )
    return services, slices


def _config(state: Path) -> NetworkConfig:
    return NetworkConfig(
        node_name="node-1",
        node_ip=IPv4Address("192.0.2.11"),
        pod_cidr=IPv4Network("10.244.1.0/24"),
        cluster_cidr=IPv4Network("10.244.0.0/16"),
        service_cidr=IPv4Network("10.96.0.0/12"),
        cluster_dns=IPv4Address("10.96.0.10"),
        state_dir=state,
        namespace=NODE,
        serve_dns=False,
    )


if __name__ == "__main__":
    main()
