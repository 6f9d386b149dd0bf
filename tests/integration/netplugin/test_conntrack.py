"""A kernel's table of flows with very many of them, in a namespace of its own."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

import pytest

from netplugin.namespaces import run_inside
from netplugin.proxy import ctnetlink
from netplugin.proxy.conntrack import Conntrack, expectations, stale
from netplugin.proxy.ctnetlink import UDP, Flow, Place
from netplugin.proxy.model import Backend, ServicePort
from tests.integration.netplugin.lab import Lab
from tests.unit.netplugin.test_ctnetlink import attribute, side

VIP, ALIVE, DEAD = ("10.96.0.53", 53), ("10.244.1.2", 53), ("10.244.1.3", 53)
TCP = 6
NEW, EXCLUSIVELY = 0x100, 0x605


def client(number: int) -> Place:
    return str(IPv4Address("10.240.0.0") + number // 60_000), 1024 + number % 60_000


def track(flow: Flow, protocol: int, number: int) -> bytes:
    """The order to track a flow for ten minutes."""
    content = (
        struct.pack("=BBH", socket.AF_INET, 0, 0)
        + side(1, flow.source, flow.destination, protocol)
        + side(2, flow.answers, flow.source, protocol)
        + attribute(3, struct.pack("!I", 0xE))
        + attribute(7, struct.pack("!I", 600))
    )
    return struct.pack("=IHHII", 16 + len(content), NEW, EXCLUSIVELY, number, 0) + content


def fill(flows: Iterator[tuple[Flow, int]], most: int) -> int:
    """Track so many, or as many as the table takes; returns how many."""
    made = 0
    while made < most:
        orders = [track(*next(flows), number) for number in range(1, 65)]
        answered = 0
        for answer in ctnetlink.talk(orders):
            for _, begin, _ in ctnetlink._messages(answer):
                answered += 1
                code = -int(ctnetlink._CODE.unpack_from(answer, begin)[0])
                assert code in (0, errno.ENOMEM, errno.EEXIST), code
                if code == errno.ENOMEM:
                    return made
                made += 1
            if answered == len(orders):
                break
    return made


def conversations() -> Iterator[tuple[Flow, int]]:
    """To one of two endpoints in turn, and every fourth is none of ours."""
    number = 0
    while True:
        number += 1
        source = client(number)
        yield from (
            (Flow(source, VIP, ALIVE), UDP),
            (Flow(source, VIP, DEAD), UDP),
            (Flow(source, ("198.51.100.7", 53), ("198.51.100.7", 53)), UDP),
            (Flow(source, ("198.51.100.7", 443), ("198.51.100.7", 443)), TCP),
        )[number % 4 : number % 4 + 1]


def test_a_table_with_many_flows_or_a_full_one(lab: Lab, long_run: bool) -> None:
    """In a long run the table is filled until the kernel takes no more, as in a flood of new flows."""
    port = ServicePort(
        namespace="default",
        service="dns",
        port_name="",
        protocol="udp",
        port=53,
        vips=(VIP[0],),
        node_port=0,
        backends=(Backend(*ALIVE),),
    )

    def inside() -> None:
        made = fill(conversations(), 2**20 if long_run else 4096)
        kernel = Conntrack()
        found = kernel.flows()
        assert len(found) == pytest.approx(made * 3 / 4, abs=64), "TCP is no business of ours"
        gone = stale(
            found,
            expectations([port], []),
            local=frozenset(),
            service_cidr=IPv4Network("10.96.0.0/12"),
            cluster_cidr=IPv4Network("10.244.0.0/16"),
        )
        assert {flow.answers for flow in gone} == {DEAD}
        assert kernel.delete(gone) == len(gone) == pytest.approx(made / 4, abs=64)
        assert kernel.delete(gone[:3]) == 0, "they are gone"
        left = {flow.answers for flow in kernel.flows()}
        assert left == {ALIVE, ("198.51.100.7", 53)}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ctnetlink, "PATIENCE", 60.0)
        run_inside(lab.namespace("flows"), inside)
