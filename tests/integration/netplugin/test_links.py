"""The link layer on one node: bridge and cables, made, repaired, and taken away."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import TypeVar

import pytest

from base.errors import PermanentError
from netplugin import attach, bridge
from netplugin.attach import Cable
from netplugin.namespaces import run_inside
from netplugin.netlink import Netlink
from netplugin.records import NetworkConfig
from netplugin.sysctls import Sysctls
from tests.integration.netplugin.lab import Lab, config, reaches, run

T = TypeVar("T")


class Host:
    """A node of which only the links exist."""

    def __init__(self, lab: Lab, state: Path) -> None:
        self.lab = lab
        self.namespace = lab.namespace("host")
        self.config: NetworkConfig = config(1, state=state, namespace=self.namespace)
        self.do(lambda netlink: bridge.ensure(netlink, self.config))
        run_inside(
            self.namespace, lambda: Sysctls(state / "sysctls").ensure("net/ipv4/ip_forward", "1")
        )

    def do(self, function: Callable[[Netlink], T]) -> T:
        def body() -> T:
            with Netlink() as netlink:
                return function(netlink)

        return run_inside(self.namespace, body)

    def cable(self, pod: str, address: str) -> Cable:
        return Cable(
            sandbox=f"sandbox-of-{pod}",
            namespace=pod,
            address=IPv4Address(address),
            gateway=self.config.gateway,
            bridge=self.do(lambda netlink: netlink.link(self.config.bridge).index),
            mtu=1450,
            label=f"default/{pod}",
        )

    def attach(self, cable: Cable) -> None:
        self.do(lambda netlink: attach.attach(netlink, cable))


@pytest.fixture
def host(lab: Lab, tmp_path: Path) -> Host:
    return Host(lab, tmp_path)


def test_pods_reach_each_other_and_their_node(lab: Lab, host: Host) -> None:
    one, two = lab.namespace("one"), lab.namespace("two")
    host.attach(host.cable(one, "10.244.1.2"))
    host.attach(host.cable(two, "10.244.1.3"))
    assert reaches(one, "10.244.1.3")
    assert reaches(one, "10.244.1.1")
    assert reaches(host.namespace, "10.244.1.2")


def test_attaching_again_changes_nothing(lab: Lab, host: Host) -> None:
    pod = lab.namespace("one")
    cable = host.cable(pod, "10.244.1.2")
    host.attach(cable)
    before = run(host.namespace, "ip", "-o", "link"), run(pod, "ip", "-o", "addr")
    host.attach(cable)
    assert (run(host.namespace, "ip", "-o", "link"), run(pod, "ip", "-o", "addr")) == before


def test_a_cable_that_is_right_is_only_looked_at(
    lab: Lab, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent that starts again makes sure of a hundred of them, one after the other."""
    pod = lab.namespace("one")
    cable = host.cable(pod, "10.244.1.2")
    host.attach(cable)
    for change in ("set_link", "ensure_address", "delete_address", "delete_link"):
        monkeypatch.setattr(Netlink, change, lambda *given, **named: pytest.fail("changed"))
    host.attach(cable)


@pytest.mark.parametrize("damaged", ["lo", "eth0"])
def test_links_of_a_pod_that_are_down_come_up(lab: Lab, host: Host, damaged: str) -> None:
    pod = lab.namespace("one")
    cable = host.cable(pod, "10.244.1.2")
    host.attach(cable)
    name = attach.veth_name(cable.sandbox)
    run(host.namespace, "ip", "link", "set", name, "alias", "somebody")
    run(pod, "ip", "link", "set", damaged, "down")  # which takes the route along
    host.attach(cable)
    assert ",UP" in run(pod, "ip", "link", "show", damaged)
    assert "default via" in run(pod, "ip", "route")
    assert f"default/{pod}" in run(host.namespace, "ip", "link", "show", name)
    assert reaches(pod, "10.244.1.1")


def test_a_half_done_attachment_is_completed(lab: Lab, host: Host) -> None:
    pod = lab.namespace("one")
    cable = host.cable(pod, "10.244.1.2")
    host.attach(cable)
    name = attach.veth_name(cable.sandbox)
    run(host.namespace, "ip", "link", "set", name, "nomaster", "down")
    run(pod, "ip", "addr", "flush", "dev", "eth0")
    run(pod, "ip", "addr", "add", "10.244.1.99/32", "dev", "eth0")
    host.attach(cable)
    assert reaches(pod, "10.244.1.1")
    assert "10.244.1.99" not in run(pod, "ip", "addr")


def test_a_cable_into_an_earlier_namespace_is_remade(lab: Lab, host: Host) -> None:
    old, new = lab.namespace("old"), lab.namespace("new")
    host.attach(host.cable(old, "10.244.1.2"))
    cable = host.cable(old, "10.244.1.2")
    host.attach(replace(cable, namespace=new))
    assert reaches(new, "10.244.1.1")
    assert "eth0" not in run(old, "ip", "link")


def test_a_namespace_with_a_foreign_eth0_is_refused(lab: Lab, host: Host) -> None:
    pod = lab.namespace("one")
    run(pod, "ip", "link", "add", "eth0", "type", "bridge")
    with pytest.raises(PermanentError, match="default/netplugin-one"):
        host.attach(host.cable(pod, "10.244.1.2"))
    assert attach.VETH_PREFIX not in run(host.namespace, "ip", "-o", "link", "show", "type", "veth")


def test_a_namespace_that_is_gone_is_named(host: Host) -> None:
    with pytest.raises(PermanentError, match="/run/netns/netplugin-nobody"):
        host.attach(host.cable("netplugin-nobody", "10.244.1.2"))


def test_a_namespace_may_be_given_by_a_process_in_it(host: Host) -> None:
    with subprocess.Popen(["unshare", "--net", "sleep", "60"]) as process:
        try:
            wait_for_namespace(process.pid)
            host.attach(replace(host.cable("pod", "10.244.1.2"), namespace=process.pid))
            assert reaches(host.namespace, "10.244.1.2")
        finally:
            process.kill()


def wait_for_namespace(pid: int) -> None:
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_detach_removes_the_cable_once(lab: Lab, host: Host) -> None:
    cable = host.cable(lab.namespace("one"), "10.244.1.2")
    host.attach(cable)
    assert host.do(lambda netlink: attach.detach(netlink, cable.sandbox))
    assert not host.do(lambda netlink: attach.detach(netlink, cable.sandbox))


def test_the_bridge_is_repaired(host: Host) -> None:
    run(host.namespace, "ip", "addr", "flush", "dev", "pwbr0")
    run(host.namespace, "ip", "link", "set", "pwbr0", "down")
    host.do(lambda netlink: bridge.ensure(netlink, host.config))
    shown = run(host.namespace, "ip", "addr", "show", "pwbr0")
    assert "10.244.1.1/24" in shown
    assert "10.96.0.10/32" in shown
    assert "10.96.0.0/12" in run(host.namespace, "ip", "route")


def test_a_foreign_bridge_of_that_name_is_left_alone(lab: Lab, tmp_path: Path) -> None:
    namespace = lab.namespace("foreign")
    run(namespace, "ip", "link", "add", "pwbr0", "type", "bridge")
    settings = config(1, state=tmp_path, namespace=namespace)
    before = run(namespace, "ip", "addr")
    for action in (bridge.ensure, bridge.remove):

        def body(action: Callable[[Netlink, NetworkConfig], object] = action) -> None:
            with Netlink() as netlink:
                action(netlink, settings)

        with pytest.raises(PermanentError, match="not this node's pod bridge"):
            run_inside(namespace, body)
    assert run(namespace, "ip", "addr") == before


def test_removing_the_bridge_leaves_nothing(lab: Lab, tmp_path: Path) -> None:
    namespace = lab.namespace("host")
    before = run(namespace, "ip", "addr"), run(namespace, "ip", "route")
    settings = config(1, state=tmp_path, namespace=namespace)

    def body() -> None:
        with Netlink() as netlink:
            bridge.ensure(netlink, settings)
            bridge.remove(netlink, settings)
            bridge.remove(netlink, settings)

    run_inside(namespace, body)
    assert (run(namespace, "ip", "addr"), run(namespace, "ip", "route")) == before
