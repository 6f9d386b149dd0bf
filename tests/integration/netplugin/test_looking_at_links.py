"""A node's links are read when one has changed, and left alone while all is quiet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from netplugin import attach
from netplugin.links import NodeLinks
from netplugin.namespaces import run_inside
from netplugin.netlink import Link, Netlink
from tests.integration.netplugin.lab import Lab, config, reaches, run

POD, SANDBOX = "one", "sandbox-of-one"
CABLE = attach.veth_name(SANDBOX)


class Node:
    """One node with one pod, and how often all of its links were read."""

    def __init__(self, lab: Lab, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.namespace = lab.namespace("host")
        self.pod = lab.namespace(POD)
        self.links = NodeLinks(config(1, state=state, namespace=self.namespace))
        self.readings = 0
        read = Netlink.links

        def counted(netlink: Netlink) -> list[Link]:
            self.readings += 1
            return read(netlink)

        monkeypatch.setattr(Netlink, "links", counted)
        self.do(self.links.setup)
        self.do(lambda: self.links.attach(SANDBOX, self.pod, pod="default/one", host_ports=()))

    def do(self, work: Callable[[], object]) -> None:
        run_inside(self.namespace, work)

    def settle(self) -> None:
        """Look until nothing is to be mended, and count anew."""
        for work in (self.links.ensure, self.links.cut_orphans) * 2:
            self.do(work)
        self.readings = 0

    def ip(self, *words: str) -> str:
        return run(self.namespace, "ip", *words)


@pytest.fixture
def node(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    made = Node(lab, tmp_path, monkeypatch)
    yield made
    made.do(made.links.teardown)


def test_nothing_is_read_while_nothing_changes(node: Node) -> None:
    node.settle()
    for _ in range(3):
        node.do(node.links.ensure)
        node.do(node.links.cut_orphans)
    assert node.readings == 0


@pytest.mark.parametrize("damage", [("nomaster",), ("down",), ("nomaster", "down")])
def test_a_cable_is_plugged_in_again(node: Node, damage: tuple[str, ...]) -> None:
    node.settle()
    node.ip("link", "set", CABLE, *damage)
    node.do(node.links.ensure)
    assert "master pwbr0" in node.ip("link", "show", CABLE)
    assert reaches(node.pod, "10.244.1.1")


def test_what_could_not_be_mended_is_tried_again(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.settle()
    node.ip("link", "set", CABLE, "nomaster")
    with monkeypatch.context() as broken:
        broken.setattr(Netlink, "set_link", lambda *given, **named: pytest.fail("refused"))
        with pytest.raises(pytest.fail.Exception):
            node.do(node.links.ensure)
    node.do(node.links.ensure)
    assert "master pwbr0" in node.ip("link", "show", CABLE)


def test_a_cable_of_nobody_is_cut_whenever_it_has_come(node: Node) -> None:
    node.settle()
    stray = attach.veth_name("sandbox-of-nobody")
    node.ip("link", "add", stray, "type", "veth", "peer", "name", "far")
    node.ip("link", "set", stray, "master", "pwbr0")
    node.do(node.links.cut_orphans)
    assert stray not in node.ip("-o", "link") and CABLE in node.ip("-o", "link")


def test_a_cable_whose_address_was_freed_is_cut_though_no_link_has_changed(node: Node) -> None:
    node.settle()
    node.links._ipam.release(SANDBOX)
    node.do(node.links.cut_orphans)
    assert CABLE not in node.ip("-o", "link")


def test_lost_announcements_count_as_changes(node: Node) -> None:
    node.settle()
    for number in range(400):  # more than the socket holds
        node.ip("link", "set", "lo", "alias", f"name-{number}")
    node.ip("link", "set", CABLE, "nomaster")
    node.do(node.links.ensure)
    assert "master pwbr0" in node.ip("link", "show", CABLE)
