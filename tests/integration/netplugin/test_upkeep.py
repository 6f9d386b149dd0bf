"""What happens to the network when others interfere, when the agent dies, and when it is taken down."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from base.clock import SystemClock
from netplugin import HostPort, NodeNetwork
from netplugin.namespaces import run_inside
from netplugin.rules.ruleset import observe
from tests.integration.netplugin.cluster import Cluster, endpoints, service
from tests.integration.netplugin.lab import Lab, ask, config, run
from tests.patience import DEADLINE

VIP = "10.96.1.1"
FOREIGN = "-A INPUT -p tcp -m tcp --dport 9999 -j DROP"


def is_nft(namespace: str) -> bool:
    """The legacy backend announces no changes and keeps its tables for ever."""
    return "nf_tables" in run(namespace, "iptables", "-V")


async def until(condition: Callable[[], bool], *, seconds: float = DEADLINE) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


def state_of(namespace: str) -> dict[str, str]:
    """Everything that a node's network could have changed."""
    switches = ("ipv4/ip_forward", "ipv4/conf/all/send_redirects", "ipv4/conf/eth0/forwarding")
    return {
        "rules": re.sub(r"#.*\n|\[\d+:\d+\]", "", run(namespace, "iptables-save")),
        "addresses": re.sub(r"valid_lft.*", "", run(namespace, "ip", "-d", "addr")),
        "routes": run(namespace, "ip", "route", "show", "table", "all", "type", "unicast"),
        "neighbours": run(namespace, "ip", "neigh", "show", "nud", "permanent"),
        "switches": run_inside(
            namespace,
            lambda: " ".join(Path(f"/proc/sys/net/{name}").read_text() for name in switches),
        ),
    }


def answers(namespace: str, address: str = VIP) -> bool:
    try:
        return bool(ask(namespace, address, 80, timeout=3))
    except OSError:
        return False


async def test_a_flushed_firewall_is_repaired_and_foreign_rules_stay(
    lab: Lab, tmp_path: Path
) -> None:
    cluster = Cluster(lab, tmp_path)
    node = await cluster.add_node()
    try:
        pod = await cluster.add_pod(node, "web-0")
        await cluster.publish([service()], [endpoints([pod])])
        namespace = cluster.namespaces[0]
        await until(lambda: answers(namespace))
        run(namespace, "iptables", "-t", "nat", "-F")
        run(namespace, "iptables", *FOREIGN.split())
        run(namespace, "iptables", "-F", "FORWARD")
        assert not answers(namespace)
        if not is_nft(namespace):
            node._look()  # what the upkeep timer does
        await until(lambda: answers(namespace))
        assert answers(pod.namespace)
        saved = run(namespace, "iptables-save")
        assert saved.count(FOREIGN) == 1
        assert saved.count("-A FORWARD -m comment --comment podwright -j PW-FORWARD") == 1
        assert node.statistics()["rules_repairs"] >= 1
    finally:
        await cluster.close()


async def test_rules_are_spelled_as_the_kernel_spells_them(lab: Lab, tmp_path: Path) -> None:
    cluster = Cluster(lab, tmp_path)
    node = await cluster.add_node()
    await cluster.add_node()
    try:
        await cluster.meet()
        ports = [
            HostPort(host_port=8000, container_port=8080, host_ip=address)
            for address in ("192.0.2.11", "127.0.0.1")
        ]
        pods = [await cluster.add_pod(node, f"web-{n}", host_ports=ports[n:]) for n in range(3)]
        await cluster.publish(
            [
                service(node_port=30080, external_ips=["203.0.113.1"]),
                service("kept", "10.96.1.2", session_affinity="ClientIP"),
                service("near", "10.96.1.3", node_port=30081, external_traffic_policy="Local"),
                service("none", "10.96.1.4", node_port=30082, external_ips=["203.0.113.2"]),
                *(service(f"more-{n}", f"10.96.2.{n}") for n in range(20)),
            ],
            [endpoints(pods, of=name) for name in ("web", "kept", "near", "more-1", "more-2")],
        )
        saved = run(cluster.namespaces[0], "iptables-save")
        assert observe(saved).chains == node._firewall._desired().chains
        assert await node._rule_worker.run(node._firewall.verify) == []
    finally:
        await cluster.close()


class Ears:
    """How much a node has heard of the changes of its firewall."""

    def __init__(self, node: NodeNetwork, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
        assert node._firewall.monitor is not None
        self._node = node
        self._monitor = node._firewall.monitor
        self._read = self._monitor.read
        self._announced = is_nft(namespace)
        self._newest = 0
        monkeypatch.setattr(self._monitor, "read", self._note)

    async def settled(self) -> None:
        """Wait until all changes were announced to the node, and an alarm has had its look."""
        if self._announced:
            generation = self._monitor.generation()
            await until(lambda: self._newest >= generation)
        await until(lambda: not self._node._wake.is_set())

    def _note(self) -> int | None:
        generation = self._read()
        self._newest = max(self._newest, generation or 0)
        return generation


async def test_our_own_changes_alarm_nobody(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netplugin.node.UPKEEP", 10 * DEADLINE)  # no other look than for an alarm
    cluster = Cluster(lab, tmp_path)
    node = await cluster.add_node()
    ears = Ears(node, cluster.namespaces[0], monkeypatch)
    try:
        pod = await cluster.add_pod(node, "web-0")
        await cluster.publish([service()], [endpoints([pod])])
        await ears.settled()
        before = node.statistics()["rules_thread_jobs"]
        for number in range(3):
            await cluster.publish([service(vip=f"10.96.1.{number + 2}")], [endpoints([pod])])
            await ears.settled()
            assert node.statistics()["rules_thread_jobs"] == before + number + 1
    finally:
        await cluster.close()


async def test_a_bridge_taken_away_comes_back_with_its_pods(lab: Lab, tmp_path: Path) -> None:
    cluster = Cluster(lab, tmp_path)
    node = await cluster.add_node()
    try:
        pod = await cluster.add_pod(node, "web-0")
        run(cluster.namespaces[0], "ip", "link", "del", "pwbr0")
        assert not answers(cluster.namespaces[0], pod.address)
        node._look()  # what the upkeep timer does
        await until(lambda: ask_pod(cluster.namespaces[0], pod.address))
    finally:
        await cluster.close()


def ask_pod(namespace: str, address: str) -> bool:
    try:
        return bool(ask(namespace, address, 8080, timeout=3))
    except OSError:
        return False


async def test_the_network_works_on_without_the_agent_and_is_taken_over(
    lab: Lab, tmp_path: Path
) -> None:
    cluster = Cluster(lab, tmp_path)
    first, other = await cluster.add_node(), await cluster.add_node()
    namespace = cluster.namespaces[0]
    try:
        await cluster.meet()
        ports = [HostPort(host_port=8000, container_port=8080)]
        pod = await cluster.add_pod(first, "web-0", host_ports=ports)
        await cluster.publish([service()], [endpoints([pod])])
        rules = state_of(namespace)["rules"]
    finally:
        await cluster.close()
    assert answers(pod.namespace)
    again = NodeNetwork(first.config, SystemClock())
    await again.setup()
    try:
        # Services and peers are not known yet, and work all the same.
        assert state_of(namespace)["rules"] == rules
        assert answers(pod.namespace)
        assert again.statistics()["rules_applies"] == 0
        place = again.attachment("sandbox-web-0")
        assert place is not None
        assert str(place.ip) == pod.address
        # The next address is another one.
        fresh = await again.attach("sandbox-new", f"/run/netns/{lab.namespace('new')}")
        assert fresh.ip != place.ip
    finally:
        await again.teardown()
    assert other.config.node_ip  # the other node's network is its own


async def test_sandboxes_that_are_gone_give_up_their_places(lab: Lab, tmp_path: Path) -> None:
    cluster = Cluster(lab, tmp_path)
    node = await cluster.add_node()
    try:
        for name in ("a", "b", "c"):
            await cluster.add_pod(node, name)
        lab_namespace = cluster.namespaces[0]
        assert run(lab_namespace, "ip", "-o", "link", "show", "type", "veth").count("pw") >= 3
        assert sorted(await node.reconcile(["sandbox-b"])) == ["sandbox-a", "sandbox-c"]
        assert await node.reconcile(["sandbox-b"]) == []
        assert node.attachment("sandbox-a") is None
        assert node.attachment("sandbox-b") is not None
        assert run(lab_namespace, "ip", "-o", "link", "show", "master", "pwbr0").count("\n") == 1
    finally:
        await cluster.close()


@pytest.mark.parametrize("died", [False, True])
async def test_teardown_leaves_the_machine_as_it_was(lab: Lab, tmp_path: Path, died: bool) -> None:
    namespace = lab.namespace("node-1")
    switch = lab.switch()
    lab.plug(namespace, switch, "n1", "192.0.2.11/24")
    run(namespace, "iptables", *FOREIGN.split())  # the filter table was there, nat was not
    run(namespace, "ip", "route", "add", "203.0.113.0/24", "via", "192.0.2.1")
    if not is_nft(namespace):
        run(namespace, "iptables", "-t", "nat", "-L")
    before = state_of(namespace)
    cluster = Cluster(lab, tmp_path)
    node = await cluster.add_node()
    await cluster.add_node()
    await cluster.meet()
    ports = [HostPort(host_port=8000, container_port=8080)]
    pod = await cluster.add_pod(node, "web-0", host_ports=ports)
    await cluster.publish([service(node_port=30080)], [endpoints([pod])])
    assert state_of(namespace) != before
    if died:
        await node.close()
        node = NodeNetwork(config(1, state=tmp_path / "node-1", namespace=namespace), SystemClock())
    await node.teardown()
    await cluster.nodes[1].close()
    assert state_of(namespace) == before
    assert [path for path in (tmp_path / "node-1").rglob("*") if path.is_file()] == []
