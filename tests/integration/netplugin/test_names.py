"""Names over real sockets: asked as a pod's resolver asks, over UDP and TCP."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dnslib
import pytest

from api.core import Service
from api.core.service import ServicePort, ServiceSpec
from api.discovery import Endpoint, EndpointPort, EndpointSlice
from api.meta import ObjectMeta
from base.clock import SystemClock
from netplugin import NodeNetwork
from netplugin.namespaces import run_inside
from netplugin.proxy.model import SERVICE_NAME_LABEL
from tests.integration.netplugin.cluster import Cluster, Pod, endpoints, service
from tests.integration.netplugin.lab import Lab, config

DNS = "10.96.0.10"

_RESOLVER = """
import socket, sys
import dnslib
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("", 53))
print("ready", flush=True)
while True:
    packet, peer = sock.recvfrom(2000)
    query = dnslib.DNSRecord.parse(packet)
    if str(query.q.qname) == "silence.example.":
        continue
    reply = query.reply()
    reply.add_answer(*dnslib.RR.fromZone(f"{query.q.qname} 300 A 198.51.100.7"))
    sock.sendto(reply.pack(), peer)
"""


def resolve(namespace: str, name: str, kind: str = "A", *, tcp: bool = False) -> Any:
    question = dnslib.DNSRecord.question(name, kind)

    def body() -> bytes:
        data: bytes = question.send(DNS, 53, tcp=tcp, timeout=8)
        return data

    reply = dnslib.DNSRecord.parse(run_inside(namespace, body))
    assert reply.header.id == question.header.id
    return reply


def values(reply: Any) -> set[str]:
    return {str(resource.rdata) for resource in reply.rr}


@pytest.fixture
async def cluster(lab: Lab, tmp_path: Path) -> AsyncIterator[Cluster]:
    upstream = lab.namespace("upstream")
    cluster = Cluster(lab, tmp_path, serve_dns=True)
    lab.plug(upstream, cluster.switch, "up", "192.0.2.53/24")
    lab.start(upstream, _RESOLVER)
    try:
        yield cluster
    finally:
        await cluster.close()


async def start(cluster: Cluster, resolv_conf: str) -> Pod:
    """A node whose resolv.conf says that, and a pod on it."""
    namespace = cluster.lab.namespace("node-1")
    cluster.lab.plug(namespace, cluster.switch, "n1", "192.0.2.11/24")
    file = cluster.state / "resolv.conf"
    file.write_text(resolv_conf)
    settings = replace(
        config(1, state=cluster.state / "node-1", namespace=namespace, serve_dns=True),
        resolv_conf=file,
    )
    network = NodeNetwork(settings, SystemClock())
    cluster.nodes.append(network)
    cluster.namespaces.append(namespace)
    await network.setup()
    return await cluster.add_pod(network, "web-0")


async def asked(namespace: str, name: str, kind: str = "A", *, tcp: bool = False) -> Any:
    # The server is in this process's event loop: ask from another thread.
    return await asyncio.to_thread(resolve, namespace, name, kind, tcp=tcp)


@pytest.mark.parametrize("tcp", [False, True])
async def test_pods_find_services_and_the_world(cluster: Cluster, tcp: bool) -> None:
    pod = await start(cluster, "nameserver 10.96.0.10\nnameserver 192.0.2.53\n")
    await cluster.publish([service()], [endpoints([pod])])
    for client in (pod.namespace, cluster.namespaces[0]):
        reply = await asked(client, "web.default.svc.cluster.local", tcp=tcp)
        assert values(reply) == {"10.96.1.1"}
        assert reply.header.aa == 1
        assert reply.rr[0].ttl == 5
    missing = await asked(pod.namespace, "nobody.default.svc.cluster.local", tcp=tcp)
    assert missing.header.rcode == 3
    assert missing.auth[0].rtype == dnslib.QTYPE.SOA
    none = await asked(pod.namespace, "web.default.svc.cluster.local", "AAAA", tcp=tcp)
    assert (none.header.rcode, none.rr) == (0, [])
    if not tcp:
        world = await asked(pod.namespace, "www.example.com")
        assert values(world) == {"198.51.100.7"}


async def test_an_external_name_is_followed(cluster: Cluster) -> None:
    pod = await start(cluster, "nameserver 192.0.2.53\n")
    away = Service(
        metadata=ObjectMeta(name="away", namespace="default"),
        spec=ServiceSpec(type="ExternalName", external_name="db.example.com"),
    )
    await cluster.publish([away], [])
    reply = await asked(pod.namespace, "away.default.svc.cluster.local")
    assert values(reply) == {"db.example.com.", "198.51.100.7"}


async def test_no_upstream_is_a_failure_and_silence_does_not_last(cluster: Cluster) -> None:
    pod = await start(cluster, "nameserver 10.96.0.10\n")
    assert (await asked(pod.namespace, "www.example.com")).header.rcode == 2
    # Names of the cluster are not denied before they are known.
    early = await asked(pod.namespace, "web.default.svc.cluster.local")
    assert early.header.rcode == 2
    (cluster.state / "resolv.conf").write_text("nameserver 192.0.2.53\n")
    assert (await asked(pod.namespace, "www.example.com")).header.rcode == 0
    assert (await asked(pod.namespace, "silence.example")).header.rcode == 2


async def test_a_long_answer_comes_over_tcp(cluster: Cluster) -> None:
    pod = await start(cluster, "nameserver 192.0.2.53\n")
    many = EndpointSlice(
        metadata=ObjectMeta(
            name="many-1", namespace="default", labels={SERVICE_NAME_LABEL: "many"}
        ),
        address_type="IPv4",
        ports=[EndpointPort(name="http", protocol="TCP", port=80)],
        endpoints=[Endpoint(addresses=[f"10.244.2.{n}"]) for n in range(1, 101)],
    )
    headless = Service(
        metadata=ObjectMeta(name="many", namespace="default"),
        spec=ServiceSpec(
            cluster_ip="None", ports=[ServicePort(name="http", protocol="TCP", port=80)]
        ),
    )
    await cluster.publish([headless], [many])
    short = await asked(pod.namespace, "many.default.svc.cluster.local")
    assert (short.header.tc, short.rr) == (1, [])
    whole = await asked(pod.namespace, "many.default.svc.cluster.local", tcp=True)
    assert len(values(whole)) == 100


async def test_junk_harms_nobody(cluster: Cluster) -> None:
    pod = await start(cluster, "nameserver 192.0.2.53\n")
    await cluster.publish([service()], [endpoints([pod])])

    def throw() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect((DNS, 53))
            for junk in (b"", b"\0", b"\xff" * 12, b"\0" * 600, bytes(range(256))):
                with contextlib.suppress(ConnectionError):
                    sock.send(junk)

    await asyncio.to_thread(run_inside, pod.namespace, throw)
    reply = await asked(pod.namespace, "web.default.svc.cluster.local")
    assert values(reply) == {"10.96.1.1"}
