"""Which way to which peer, and the checks on what a node is told."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from base.errors import PermanentError
from netplugin.attach import is_veth_name, pod_mac, veth_name
from netplugin.netlink import Route
from netplugin.overlay import decide, tunnel_mac
from netplugin.records import Mode, NetworkConfig, Peer
from netplugin.rules import tables
from netplugin.rules.monitor import generations
from netplugin.sysctls import Sysctls

CONFIG = NetworkConfig(
    node_name="node-1",
    node_ip=IPv4Address("192.0.2.11"),
    pod_cidr=IPv4Network("10.244.1.0/24"),
    cluster_cidr=IPv4Network("10.244.0.0/16"),
    service_cidr=IPv4Network("10.96.0.0/12"),
    cluster_dns=IPv4Address("10.96.0.10"),
    state_dir=Path("state"),
)
NEAR = Peer(node="near", pod_cidr=IPv4Network("10.244.2.0/24"), address=IPv4Address("192.0.2.12"))
FAR = Peer(node="far", pod_cidr=IPv4Network("10.244.3.0/24"), address=IPv4Address("198.51.100.1"))
LOST = Peer(node="lost", pod_cidr=IPv4Network("10.244.4.0/24"), address=IPv4Address("203.0.113.1"))
WAYS = {
    NEAR.address: Route(IPv4Network(NEAR.address), None, 2),
    FAR.address: Route(IPv4Network(FAR.address), IPv4Address("192.0.2.1"), 2),
    LOST.address: None,
}


@pytest.mark.parametrize(
    ("mode", "direct", "tunnelled", "unreachable"),
    [
        (Mode.AUTO, {"near"}, {"far", "lost"}, set()),
        (Mode.HOST_GW, {"near"}, set(), {"far", "lost"}),
        (Mode.VXLAN, set(), {"near", "far", "lost"}, set()),
    ],
)
def test_the_way_by_mode(
    mode: Mode, direct: set[str], tunnelled: set[str], unreachable: set[str]
) -> None:
    plan = decide([NEAR, FAR, LOST], replace(CONFIG, mode=mode), WAYS)
    assert {peer.node for peer in plan.direct} == direct
    assert {peer.node for peer in plan.tunnelled} == tunnelled
    assert {peer.node for peer in plan.unreachable} == unreachable


def test_a_node_is_not_its_own_peer_nor_anybody_with_its_range() -> None:
    itself = Peer(node="node-1", pod_cidr=CONFIG.pod_cidr, address=CONFIG.node_ip)
    twin = Peer(node="twin", pod_cidr=CONFIG.pod_cidr, address=IPv4Address("192.0.2.99"))
    plan = decide([itself, twin], CONFIG, {})
    assert (plan.direct, plan.tunnelled, plan.unreachable) == ((), (), ())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pod_cidr": IPv4Network("10.244.1.0/30")}, "too small"),
        ({"pod_cidr": IPv4Network("10.1.1.0/24")}, "outside"),
        ({"service_cidr": IPv4Network("10.244.128.0/20")}, "overlap"),
    ],
)
def test_ranges_are_checked(change: dict[str, IPv4Network], message: str) -> None:
    with pytest.raises(PermanentError, match=message):
        replace(CONFIG, **change)  # type: ignore[arg-type]


def test_names_and_macs_are_functions_of_what_they_stand_for() -> None:
    assert veth_name("a") == veth_name("a") != veth_name("b")
    assert len(veth_name("a")) <= 15
    assert is_veth_name(veth_name("a"))
    assert not any(map(is_veth_name, ("pwbr0", "pwvx0", "pw123", "eth0", "pwabcdefghijk")))
    assert pod_mac(IPv4Address("10.244.1.2")) == "0a:58:0a:f4:01:02"
    assert tunnel_mac(IPv4Address("192.0.2.11")) == "0a:57:c0:00:02:0b"


def test_tables_are_ours_to_remove_when_empty_and_new() -> None:
    save = (
        "*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n*filter\n:INPUT DROP [0:0]\nCOMMIT\n"
        "*raw\n:OUTPUT ACCEPT [1:1]\n-A OUTPUT -j ACCEPT\nCOMMIT\n*mangle\n:X - [0:0]\nCOMMIT\n"
    )
    assert tables.present(save) == {"nat", "filter", "raw", "mangle"}
    assert tables.empty(save) == {"nat"}


def test_generations_are_read_and_junk_is_not() -> None:
    attribute = b"\x08\0\1\0" + (77).to_bytes(4, "big")
    body = b"\2\0\0\0" + attribute
    packet = (16 + len(body)).to_bytes(4, "little") + (10 << 8 | 15).to_bytes(2, "little")
    packet += b"\0" * 10 + body
    assert generations(packet + packet) == [77, 77]
    for junk in (b"", b"\0" * 40, b"\xff" * 64, packet[:20]):
        assert generations(junk) == []


def test_switches_are_restored_once_and_only_if_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netplugin.sysctls._ROOT", tmp_path)
    for name, value in (("a", "0"), ("b", "1")):
        (tmp_path / name).write_text(f"{value}\n")
    for _ in range(2):
        switches = Sysctls(tmp_path / "record")
        switches.ensure("a", "1")
        switches.ensure("b", "1")
    assert "b" not in (tmp_path / "record").read_text()
    (tmp_path / "b").write_text("2")
    Sysctls(tmp_path / "record").restore()
    Sysctls(tmp_path / "record").restore()
    assert ((tmp_path / "a").read_text(), (tmp_path / "b").read_text()) == ("0", "2")
