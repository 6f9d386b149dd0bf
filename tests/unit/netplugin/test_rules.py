"""Services as rules: packets walked through them with exact probabilities."""

from __future__ import annotations

import math
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netplugin import forwarding, hostports
from netplugin.ipam import Allocation
from netplugin.proxy import rules
from netplugin.proxy.model import Backend, ServicePort
from netplugin.proxy.rules import REFUSE, SERVICES, Site
from netplugin.records import HostPort, NetworkConfig
from netplugin.rules.ruleset import MAX_NAME, ChainId, Ruleset
from tests.unit.netplugin.firewall import Fate, Packet, walk

SITE = Site(
    pod_cidr=IPv4Network("10.244.1.0/24"),
    cluster_cidr=IPv4Network("10.244.0.0/16"),
    service_cidr=IPv4Network("10.96.0.0/12"),
    cluster_dns="10.96.0.10",
)
VIP, NODE, POD, OUTSIDE = "10.96.1.1", "192.0.2.11", "10.244.1.9", "198.51.100.1"
REMOTE = Backend("10.244.2.2", 8080)
LOCAL = Backend("10.244.1.2", 8080)
FORWARD = ChainId("filter", "PW-FORWARD")


def a_port(**more: object) -> ServicePort:
    known: dict[str, object] = {
        "namespace": "default",
        "service": "web",
        "port_name": "http",
        "protocol": "tcp",
        "port": 80,
        "vips": (VIP,),
        "backends": (REMOTE,),
    }
    return ServicePort(**{**known, **more})  # type: ignore[arg-type]


def config() -> NetworkConfig:
    return NetworkConfig(
        node_name="node-1",
        node_ip=IPv4Address(NODE),
        pod_cidr=SITE.pod_cidr,
        cluster_cidr=SITE.cluster_cidr,
        service_cidr=SITE.service_cidr,
        cluster_dns=IPv4Address(SITE.cluster_dns),
        state_dir=Path("state"),
    )


def node_rules(*ports: ServicePort, allocations: tuple[Allocation, ...] = ()) -> Ruleset:
    return (
        rules.build(ports, SITE)
        | hostports.build(allocations)
        | forwarding.build(config())
        | forwarding.leaving(config(), [IPv4Address("192.0.2.12")])
    )


def fates(ruleset: Ruleset, packet: Packet, chain: ChainId = SERVICES) -> dict[Fate, float]:
    return walk(ruleset, chain, packet)[0]


def targets(ruleset: Ruleset, packet: Packet) -> dict[str, float]:
    return {fate.verdict: chance for fate, chance in fates(ruleset, packet).items()}


@given(st.integers(1, 60), st.integers(0, 60))
def test_every_endpoint_has_the_same_chance(remote: int, local: int) -> None:
    backends = tuple(Backend(f"10.244.2.{n + 1}", 80) for n in range(remote)) + tuple(
        Backend(f"10.244.1.{n + 2}", 80) for n in range(local)
    )
    found = targets(node_rules(a_port(backends=backends)), Packet(POD, VIP, 80))
    assert found.keys() == {f"DNAT {backend}" for backend in backends}
    for chance in found.values():
        assert math.isclose(chance, 1 / len(backends), rel_tol=1e-6)


@given(st.integers(1, 300))
def test_probabilities_are_spelled_as_the_kernel_spells_them(count: int) -> None:
    for match in rules.spread(count)[:-1]:
        value = match.split()[-1]
        stored = round(float(value) * 2**31)
        assert value == f"{stored / 2**31:.11f}"


def test_other_ports_addresses_and_protocols_are_not_touched() -> None:
    ruleset = node_rules(a_port())
    for packet in (
        Packet(POD, VIP, 81),
        Packet(POD, VIP, 80, "udp"),
        Packet(POD, "10.96.1.2", 80),
        Packet(POD, "10.244.2.2", 80),
        Packet(POD, OUTSIDE, 80),
        Packet(POD, SITE.cluster_dns, 53, "udp"),
    ):
        assert targets(ruleset, packet) == {"": 1.0}


def test_only_who_is_no_pod_or_reaches_itself_is_masqueraded() -> None:
    ruleset = node_rules(a_port(backends=(LOCAL,)))
    to_local = f"DNAT {LOCAL}"
    assert fates(ruleset, Packet(POD, VIP, 80)) == {Fate(to_local): 1.0}
    assert fates(ruleset, Packet(LOCAL.address, VIP, 80)) == {Fate(to_local, marked=True): 1.0}
    assert fates(ruleset, Packet(OUTSIDE, VIP, 80)) == {Fate(to_local, marked=True): 1.0}


def test_a_vip_without_endpoints_is_refused_by_the_one_rule() -> None:
    ruleset = node_rules(a_port(backends=()))
    for protocol in ("tcp", "udp"):
        packet = Packet(POD, VIP, 80, protocol)
        assert targets(ruleset, packet) == {"": 1.0}
        assert fates(ruleset, packet, FORWARD) == {Fate("REJECT"): 1.0}
    assert fates(ruleset, Packet(POD, "10.244.2.2", 80), FORWARD) == {Fate("ACCEPT"): 1.0}


def test_the_number_of_rules_does_not_depend_on_services_without_endpoints() -> None:
    many = [a_port(service=f"s{n}", vips=(f"10.96.2.{n}",), backends=()) for n in range(200)]
    assert node_rules(*many).statistics() == node_rules().statistics()


def test_node_ports_answer_on_the_nodes_addresses_only() -> None:
    ruleset = node_rules(a_port(node_port=30080))
    marked = {Fate(f"DNAT {REMOTE}", marked=True): 1.0}
    assert fates(ruleset, Packet(OUTSIDE, NODE, 30080)) == marked
    assert fates(ruleset, Packet(POD, NODE, 30080)) == marked
    assert targets(ruleset, Packet(OUTSIDE, "127.0.0.1", 30080)) == {"": 1.0}
    assert targets(ruleset, Packet(OUTSIDE, "192.0.2.99", 30080)) == {"": 1.0}
    assert targets(ruleset, Packet(OUTSIDE, NODE, 30081)) == {"": 1.0}


def test_a_node_port_without_endpoints_is_refused() -> None:
    ruleset = node_rules(a_port(node_port=30080, backends=()))
    assert fates(ruleset, Packet(OUTSIDE, NODE, 30080), REFUSE) == {Fate("REJECT"): 1.0}
    assert fates(ruleset, Packet(OUTSIDE, NODE, 30081), REFUSE) == {Fate(""): 1.0}


def test_external_local_keeps_the_client_and_pods_see_everything() -> None:
    port = a_port(
        node_port=30080, external_local=True, backends=(LOCAL, REMOTE), local_backends=(LOCAL,)
    )
    ruleset = node_rules(port)
    assert fates(ruleset, Packet(OUTSIDE, NODE, 30080)) == {Fate(f"DNAT {LOCAL}"): 1.0}
    assert set(targets(ruleset, Packet(POD, NODE, 30080))) == {f"DNAT {LOCAL}", f"DNAT {REMOTE}"}
    assert set(fates(ruleset, Packet(NODE, NODE, 30080))) == {
        Fate(f"DNAT {LOCAL}", marked=True),
        Fate(f"DNAT {REMOTE}", marked=True),
    }


def test_external_local_without_local_endpoints_is_silent() -> None:
    ruleset = node_rules(a_port(node_port=30080, external_local=True))
    assert targets(ruleset, Packet(OUTSIDE, NODE, 30080)) == {"": 1.0}
    assert fates(ruleset, Packet(OUTSIDE, NODE, 30080), REFUSE) == {Fate("DROP"): 1.0}
    assert targets(ruleset, Packet(POD, NODE, 30080)) == {f"DNAT {REMOTE}": 1.0}


def test_internal_local_serves_from_this_node_or_not_at_all() -> None:
    port = a_port(internal_local=True, backends=(LOCAL, REMOTE), local_backends=(LOCAL,))
    assert targets(node_rules(port), Packet(POD, VIP, 80)) == {f"DNAT {LOCAL}": 1.0}
    nobody = node_rules(a_port(internal_local=True))
    assert targets(nobody, Packet(POD, VIP, 80)) == {"": 1.0}
    assert fates(nobody, Packet(POD, VIP, 80), FORWARD) == {Fate("REJECT"): 1.0}


def test_external_addresses_lead_in_and_ranges_guard_the_balancers() -> None:
    port = a_port(
        external=("203.0.113.5",), balancer=("203.0.113.6",), source_ranges=("198.51.100.0/24",)
    )
    ruleset = node_rules(port)
    for address in ("203.0.113.5", "203.0.113.6"):
        assert targets(ruleset, Packet(OUTSIDE, address, 80)) == {f"DNAT {REMOTE}": 1.0}
    assert targets(ruleset, Packet("192.0.2.77", "203.0.113.6", 80)) == {"": 1.0}
    assert targets(ruleset, Packet("192.0.2.77", "203.0.113.5", 80)) == {f"DNAT {REMOTE}": 1.0}
    refused = node_rules(a_port(external=("203.0.113.5",), backends=()))
    assert fates(refused, Packet(OUTSIDE, "203.0.113.5", 80), REFUSE) == {Fate("REJECT"): 1.0}


def test_ranges_of_another_family_let_nobody_in() -> None:
    port = a_port(balancer=("203.0.113.6",), source_ranges=("::/0", "somewhere"))
    assert targets(node_rules(port), Packet(OUTSIDE, "203.0.113.6", 80)) == {"": 1.0}


def test_a_nodes_address_as_external_address_still_has_its_node_ports() -> None:
    several = [
        a_port(service=f"s{n}", vips=(f"10.96.2.{n}",), external=(NODE,), port=1000 + n)
        for n in range(20)
    ]
    ruleset = node_rules(*several, a_port(node_port=30080))
    assert targets(ruleset, Packet(OUTSIDE, NODE, 30080)) == {f"DNAT {REMOTE}": 1.0}
    assert targets(ruleset, Packet(OUTSIDE, NODE, 1003)) == {f"DNAT {REMOTE}": 1.0}


def test_host_ports_come_before_node_ports() -> None:
    ports = (
        HostPort(host_port=30080, container_port=80),
        HostPort(host_port=53, container_port=53, protocol="UDP", host_ip=NODE),
    )
    pod = Allocation(address="10.244.1.7", sandbox="s", pod="default/p", host_ports=ports)
    ruleset = node_rules(a_port(node_port=30080), allocations=(pod,))
    assert targets(ruleset, Packet(OUTSIDE, NODE, 30080)) == {"DNAT 10.244.1.7:80": 1.0}
    assert targets(ruleset, Packet(OUTSIDE, NODE, 53, "udp")) == {"DNAT 10.244.1.7:53": 1.0}
    assert targets(ruleset, Packet(OUTSIDE, "10.244.1.1", 53, "udp")) == {"": 1.0}
    itself = Packet("10.244.1.7", NODE, 30080)
    assert fates(ruleset, itself) == {Fate("DNAT 10.244.1.7:80", marked=True): 1.0}


@pytest.mark.parametrize(
    ("packet", "fate"),
    [
        (Packet(POD, OUTSIDE, 80), "MASQUERADE"),
        (Packet(POD, "10.244.2.2", 80), ""),
        (Packet(POD, "192.0.2.12", 80), "ACCEPT"),
        (Packet(OUTSIDE, POD, 80), ""),
        (Packet(POD, "10.244.2.2", 80, marked=True), "MASQUERADE"),
        (Packet(POD, "224.0.0.251", 5353, "udp"), ""),
    ],
)
def test_what_gets_the_nodes_address(packet: Packet, fate: str) -> None:
    chain = ChainId("nat", "PW-POSTROUTING")
    assert [found.verdict for found in fates(node_rules(), packet, chain)] == [fate]


def test_affinity_without_kernel_support_still_serves() -> None:
    ruleset = rules.build([a_port(affinity=60)], replace(SITE, affinity=False))
    assert not any("recent" in rule for rows in ruleset.chains.values() for rule in rows)
    kept = rules.build([a_port(affinity=60)], SITE)
    assert (
        sum("--rcheck --seconds 60" in rule for rows in kept.chains.values() for rule in rows) == 1
    )


@given(st.permutations([a_port(service=f"s{n}", vips=(f"10.96.3.{n}",)) for n in range(8)]))
def test_the_order_of_services_does_not_matter(ports: list[ServicePort]) -> None:
    assert rules.build(ports, SITE) == rules.build(sorted(ports, key=lambda p: p.key), SITE)


def test_names_fit_and_show_the_service() -> None:
    ruleset = rules.build([a_port(service="a" * 63, port_name="b" * 15, node_port=30001)], SITE)
    assert all(len(chain.name) <= MAX_NAME for chain in ruleset.chains)
    assert any(chain.name.startswith("PW-SVC-aaaa") for chain in ruleset.chains)
    text = [rule for rows in ruleset.chains.values() for rule in rows]
    assert any(f'--comment "default/{"a" * 63}:{"b" * 15}"' in rule for rule in text)


def test_a_new_connection_costs_the_same_with_many_services() -> None:
    def cost(count: int) -> int:
        many = [
            a_port(service=f"s{n}", vips=(f"10.{96 + n % 16}.{n * 7 % 256}.{n % 251}",))
            for n in range(count)
        ]
        ruleset = rules.build([*many, a_port()], SITE) | hostports.build(())
        return walk(ruleset, SERVICES, Packet(POD, VIP, 80))[1]

    assert cost(2000) <= 3 * cost(10)
