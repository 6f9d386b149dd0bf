"""Nodes, pods and services in real namespaces: what a user of the cluster would notice."""

from __future__ import annotations

import asyncio
import collections
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from base.errors import PodwrightError
from netplugin import HostPort, Mode
from netplugin.namespaces import run_inside
from tests.integration.netplugin.cluster import Cluster, Pod, endpoints, service
from tests.integration.netplugin.lab import Lab, ask, reaches, run

VIP = "10.96.1.1"
AT_ONCE = 10.0
"""Seconds that a refusal may take, of the machine's own time; without one there would be silence."""


@pytest.fixture
async def cluster(lab: Lab, tmp_path: Path) -> AsyncIterator[Cluster]:
    cluster = Cluster(lab, tmp_path)
    try:
        yield cluster
    finally:
        await cluster.close()


def bridge_filtering(namespace: str, value: str) -> None:
    path = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    if not path.exists():
        if value == "1":
            pytest.skip("this kernel has no br_netfilter")
        return
    run_inside(namespace, lambda: path.write_text(value))


def answers(namespace: str, address: str, port: int, *, times: int, udp: bool = False) -> set[str]:
    return {ask(namespace, address, port, udp=udp).split()[0] for _ in range(times)}


def refusal(namespace: str, address: str, port: int, *, udp: bool = False) -> float:
    """Seconds until the refusal."""
    begin = time.monotonic()
    # A datagram refused on its own machine fails with "not permitted" when it is sent.
    with pytest.raises((ConnectionRefusedError, PermissionError)):
        ask(namespace, address, port, udp=udp)
    return time.monotonic() - begin


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.HOST_GW, Mode.VXLAN])
async def test_pods_of_different_nodes_meet_without_translation(
    cluster: Cluster, mode: Mode
) -> None:
    nodes = [await cluster.add_node(mode=mode) for _ in range(3)]
    await cluster.meet()
    pods = [await cluster.add_pod(node, f"pod-{i}") for i, node in enumerate(nodes)]
    for pod in pods:
        for other in pods:
            if other is not pod:
                said = ask(pod.namespace, other.address, 8080)
                assert said == f"{other.name} {pod.address}"
    tunnel = "pwvx0" in run(cluster.namespaces[0], "ip", "link")
    assert tunnel == (mode is Mode.VXLAN)
    # Nodes reach pods of other nodes, and pods reach nodes.
    assert ask(cluster.namespaces[0], pods[2].address, 8080).startswith("pod-2 ")
    assert reaches(pods[0].namespace, str(nodes[2].config.node_ip))


async def test_auto_tunnels_to_a_peer_behind_a_router(cluster: Cluster, lab: Lab) -> None:
    far = lab.switch("far")
    router = lab.namespace("router")
    for link, switch, address in (("r0", cluster.switch, "192.0.2.1"), ("r1", far, "198.51.100.1")):
        run(
            router,
            "ip",
            "link",
            "add",
            link,
            "type",
            "veth",
            "peer",
            "name",
            "port",
            "netns",
            switch,
        )
        run(router, "ip", "addr", "add", f"{address}/24", "dev", link)
        run(router, "ip", "link", "set", link, "up")
        run(switch, "ip", "link", "set", "port", "name", f"p{link}", "master", "br0", "up")
    run_inside(router, lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text("1"))
    near = [await cluster.add_node() for _ in range(2)]
    away = await cluster.add_node(switch=far, address="198.51.100.20")
    for namespace, gateway in zip(
        cluster.namespaces, ("192.0.2.1", "192.0.2.1", "198.51.100.1"), strict=True
    ):
        run(namespace, "ip", "route", "add", "default", "via", gateway)
    plan = (await cluster.meet())[0]
    assert [peer.node for peer in plan.direct] == ["node-2"]
    assert [peer.node for peer in plan.tunnelled] == ["node-3"]
    here = await cluster.add_pod(near[0], "here")
    there = await cluster.add_pod(away, "there")
    assert ask(here.namespace, there.address, 8080) == f"there {here.address}"
    assert ask(there.namespace, here.address, 8080) == f"here {there.address}"
    # From the node through the VIP: the answer must come back through the tunnel as well.
    await cluster.publish([service()], [endpoints([there])])
    assert answers(cluster.namespaces[0], VIP, 80, times=3) == {"there"}


async def test_a_peer_that_leaves_takes_its_route_along(cluster: Cluster) -> None:
    node, _ = await cluster.add_node(), await cluster.add_node()
    await cluster.meet()
    assert "10.244.2.0/24 via 192.0.2.12" in run(cluster.namespaces[0], "ip", "route")
    await node.set_peers([])
    assert "10.244.2.0/24" not in run(cluster.namespaces[0], "ip", "route")
    assert "10.96.0.0/12" in run(cluster.namespaces[0], "ip", "route")


@pytest.fixture
async def trio(cluster: Cluster) -> tuple[Cluster, list[Pod]]:
    """Two nodes; two pods on the first and one on the second, behind `web`; policies are DROP."""
    nodes = [await cluster.add_node() for _ in range(2)]
    for namespace in cluster.namespaces:
        run(namespace, "iptables", "-P", "FORWARD", "DROP")
    await cluster.meet()
    pods = [await cluster.add_pod(nodes[i // 2], f"web-{i}") for i in range(3)]
    return cluster, pods


@pytest.mark.parametrize("filtering", ["0", "1"])
async def test_a_vip_is_spread_over_all_endpoints(
    trio: tuple[Cluster, list[Pod]], filtering: str
) -> None:
    cluster, pods = trio
    for namespace in cluster.namespaces:
        bridge_filtering(namespace, filtering)
    await cluster.publish([service()], [endpoints(pods)])
    everyone = {pod.name for pod in pods}
    for udp in (False, True):
        # 40 draws miss one of three with a chance below one in a million
        for client in (pods[0].namespace, pods[2].namespace, cluster.namespaces[0]):
            assert answers(client, VIP, 80, times=40, udp=udp) == everyone
    # A pod's address is seen by the server behind the VIP; only the hairpin is translated.
    seen = collections.Counter(ask(pods[0].namespace, VIP, 80) for _ in range(40))
    for answer in seen:
        name, client = answer.split()
        assert client == ("10.244.1.1" if name == pods[0].name else pods[0].address)


async def test_a_vip_leads_to_a_node_itself(trio: tuple[Cluster, list[Pod]]) -> None:
    cluster, pods = trio
    cluster.lab.serve(cluster.namespaces[0], "host", port=8080, address="192.0.2.11")
    host = Pod("host", cluster.namespaces[0], "192.0.2.11", cluster.nodes[0])
    await cluster.publish([service()], [endpoints([host])])
    for udp in (False, True):
        for client in (pods[0].namespace, pods[2].namespace, *cluster.namespaces):
            assert answers(client, VIP, 80, times=1, udp=udp) == {"host"}


@pytest.mark.parametrize("filtering", ["0", "1"])
async def test_a_pod_reaches_itself_through_its_vip(
    trio: tuple[Cluster, list[Pod]], filtering: str
) -> None:
    cluster, pods = trio
    bridge_filtering(cluster.namespaces[0], filtering)
    await cluster.publish([service()], [endpoints(pods[:1])])
    for udp in (False, True):
        assert ask(pods[0].namespace, VIP, 80, udp=udp) == f"{pods[0].name} 10.244.1.1"


async def test_a_service_without_endpoints_refuses_at_once(
    trio: tuple[Cluster, list[Pod]],
) -> None:
    cluster, pods = trio
    await cluster.publish([service(node_port=30080)], [endpoints(pods, ready=False)])
    outside = cluster.lab.namespace("outside")
    cluster.lab.plug(outside, cluster.switch, "out", "192.0.2.200/24")
    for udp in (False, True):
        for client in (pods[0].namespace, cluster.namespaces[0]):
            assert refusal(client, VIP, 80, udp=udp) < AT_ONCE
            assert refusal(client, "10.96.77.77", 80, udp=udp) < AT_ONCE  # nobody's address
        assert refusal(outside, "192.0.2.11", 30080, udp=udp) < AT_ONCE
    await cluster.publish([service(node_port=30080)], [endpoints(pods)])
    assert ask(pods[0].namespace, VIP, 80)


async def test_a_node_port_answers_on_every_node(trio: tuple[Cluster, list[Pod]]) -> None:
    cluster, pods = trio
    await cluster.publish([service(node_port=30080)], [endpoints(pods[2:])])
    outside = cluster.lab.namespace("outside")
    cluster.lab.plug(outside, cluster.switch, "out", "192.0.2.200/24")
    for udp in (False, True):
        for address in ("192.0.2.11", "192.0.2.12"):
            assert answers(outside, address, 30080, times=2, udp=udp) == {"web-2"}
    assert answers(pods[0].namespace, "192.0.2.11", 30080, times=1) == {"web-2"}
    assert answers(cluster.namespaces[0], "192.0.2.11", 30080, times=1) == {"web-2"}


async def test_local_policy_keeps_the_client_and_the_node(trio: tuple[Cluster, list[Pod]]) -> None:
    cluster, pods = trio
    web = service(node_port=30080, external_traffic_policy="Local")
    await cluster.publish([web], [endpoints(pods)])
    outside = cluster.lab.namespace("outside")
    cluster.lab.plug(outside, cluster.switch, "out", "192.0.2.200/24")
    for udp in (False, True):
        said = {ask(outside, "192.0.2.11", 30080, udp=udp) for _ in range(20)}
        assert said == {"web-0 192.0.2.200", "web-1 192.0.2.200"}
    await cluster.publish([web], [endpoints(pods[2:])])
    with pytest.raises(TimeoutError):  # silence is what a load balancer's probe must get
        ask(outside, "192.0.2.11", 30080, timeout=2)
    # inside the cluster the policy says nothing
    assert answers(pods[0].namespace, VIP, 80, times=2) == {"web-2"}
    assert answers(pods[0].namespace, "192.0.2.11", 30080, times=2) == {"web-2"}


async def test_client_affinity_keeps_its_endpoint(trio: tuple[Cluster, list[Pod]]) -> None:
    cluster, pods = trio
    if not cluster.nodes[0].statistics()["rules_session_affinity"]:
        pytest.skip("this kernel has no `recent` match")
    await cluster.publish([service(session_affinity="ClientIP")], [endpoints(pods)])
    assert len(answers(pods[1].namespace, VIP, 80, times=15)) == 1
    assert len(answers(cluster.namespaces[1], VIP, 80, times=15, udp=True)) == 1


async def test_udp_flows_leave_an_endpoint_that_is_gone(trio: tuple[Cluster, list[Pod]]) -> None:
    cluster, pods = trio
    client, source = pods[0].namespace, (pods[0].address, 40000)
    await cluster.publish([service()], [endpoints(pods[1:2])])
    assert ask(client, VIP, 80, udp=True, source=source).startswith("web-1")
    await cluster.publish([service()], [endpoints([])])
    assert refusal_of_flow(client, source)
    await cluster.publish([service()], [endpoints(pods[2:])])
    assert ask(client, VIP, 80, udp=True, source=source).startswith("web-2")
    assert cluster.nodes[0].statistics()["rules_flows_deleted"] >= 1


def refusal_of_flow(client: str, source: tuple[str, int]) -> bool:
    with pytest.raises(ConnectionRefusedError):
        ask(client, VIP, 80, udp=True, source=source)
    return True


async def test_what_leaves_the_cluster_gets_the_nodes_address(
    trio: tuple[Cluster, list[Pod]],
) -> None:
    cluster, pods = trio
    outside = cluster.lab.namespace("outside")
    cluster.lab.plug(outside, cluster.switch, "out", "192.0.2.200/24")
    cluster.lab.serve(outside, "outside", port=80)
    assert ask(pods[0].namespace, "192.0.2.200", 80) == "outside 192.0.2.11"
    # a node on a shared link has a route back: it sees the pod
    cluster.lab.serve(cluster.namespaces[1], "node", port=81)
    assert ask(pods[0].namespace, "192.0.2.12", 81) == f"node {pods[0].address}"


async def test_host_ports_lead_to_their_pod_until_it_is_gone(cluster: Cluster) -> None:
    node = await cluster.add_node()
    outside = cluster.lab.namespace("outside")
    cluster.lab.plug(outside, cluster.switch, "out", "192.0.2.200/24")
    ports = [HostPort(host_port=8000, container_port=8080, protocol=p) for p in ("TCP", "UDP")]
    pod = await cluster.add_pod(node, "web", host_ports=ports)
    for udp in (False, True):
        assert ask(outside, "192.0.2.11", 8000, udp=udp) == "web 192.0.2.200"
        assert ask(pod.namespace, "192.0.2.11", 8000, udp=udp).startswith("web ")
    assert ask(cluster.namespaces[0], "192.0.2.11", 8000).startswith("web ")
    await node.detach("sandbox-web")
    assert refusal(outside, "192.0.2.11", 8000) < AT_ONCE


async def test_a_host_port_on_loopback_is_for_the_node_alone(cluster: Cluster) -> None:
    node = await cluster.add_node()
    host = cluster.namespaces[0]
    where = {"host_ip": "127.0.0.1", "host_port": 8000, "container_port": 8080}
    ports = [HostPort(protocol=p, **where) for p in ("TCP", "UDP")]  # type: ignore[arg-type]
    other = HostPort(host_ip="192.0.2.11", host_port=8000, container_port=8080)
    pod = await cluster.add_pod(node, "web", host_ports=ports)
    near = await cluster.add_pod(node, "near", host_ports=[other])
    for udp in (False, True):
        assert ask(host, "127.0.0.1", 8000, udp=udp).startswith("web ")
        assert ask(host, "127.0.0.1", 8000, udp=udp, source=("192.0.2.11", 0)).startswith("web ")
    assert ask(host, "192.0.2.11", 8000).startswith("near ")
    # What listens on loopback beside it stays the node's own, whatever a pod makes of its routes.
    cluster.lab.serve(host, "private", port=81, address="127.0.0.1")
    for curious in (pod, near):
        rule = ("ip", "rule", "add", "pref")
        run(curious.namespace, *rule, "1", "table", "local")
        run(curious.namespace, *rule, "0", "to", "127.0.0.1", "table", "99")
        run(curious.namespace, "ip", "rule", "del", "pref", "0", "table", "local")
        way = ("127.0.0.1", "via", "10.244.1.1", "dev", "eth0", "onlink", "table", "99")
        run(curious.namespace, "ip", "route", "add", *way)
        run(curious.namespace, "sysctl", "-qw", "net.ipv4.conf.eth0.route_localnet=1")
        with pytest.raises(OSError):
            ask(curious.namespace, "127.0.0.1", 81, timeout=2)
    await node.detach("sandbox-web")
    with pytest.raises(ConnectionRefusedError):
        ask(host, "127.0.0.1", 8000)
    switch = run(host, "cat", f"/proc/sys/net/ipv4/conf/{node.config.bridge}/route_localnet")
    assert switch.strip() == "0"


async def test_host_ports_of_pods_that_end_at_once_are_all_gone(cluster: Cluster) -> None:
    """A rule that stays would lead to whichever pod gets the address next."""
    node = await cluster.add_node()
    for n in range(4):
        port = HostPort(host_port=8000 + n, container_port=8080)
        await cluster.add_pod(node, f"web-{n}", host_ports=[port])
    await asyncio.gather(*(node.detach(f"sandbox-web-{n}") for n in range(4)))
    assert "dport 800" not in run(cluster.namespaces[0], "iptables-save", "-t", "nat")


async def test_the_nodes_own_namespace_is_never_taken_for_a_pods(cluster: Cluster) -> None:
    """A pid that was given to another process meanwhile may lead anywhere, here above all."""
    node = await cluster.add_node()
    before = run(cluster.namespaces[0], "ip", "-o", "addr")
    with pytest.raises(PodwrightError, match="own network namespace"):
        await node.attach("sandbox-lost", f"/run/netns/{cluster.namespaces[0]}", pod="default/lost")
    await node.detach("sandbox-lost")
    assert run(cluster.namespaces[0], "ip", "-o", "addr") == before
