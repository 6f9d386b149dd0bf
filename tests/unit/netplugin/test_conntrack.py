"""Which UDP flows lead where nobody should be sent any more."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from netplugin.ipam import Allocation
from netplugin.proxy.conntrack import expectations, stale
from netplugin.proxy.ctnetlink import Flow, Place
from netplugin.proxy.model import Backend, ServicePort
from netplugin.records import HostPort

VIP, NODE = "10.96.0.53", "192.0.2.11"
ALIVE, DEAD = ("10.244.1.2", 53), ("10.244.1.3", 53)


def port(*backends: Place, protocol: str = "udp") -> ServicePort:
    return ServicePort(
        namespace="default",
        service="dns",
        port_name="",
        protocol=protocol,
        port=53,
        vips=(VIP,),
        node_port=30053,
        backends=tuple(Backend(*backend) for backend in backends),
    )


def is_stale(
    destination: Place, answers: Place, *ports: ServicePort, hosts: tuple[Allocation, ...] = ()
) -> bool:
    return bool(
        stale(
            [Flow(("10.244.1.9", 4000), destination, answers)],
            expectations(ports, hosts),
            local=frozenset({NODE, "127.0.0.1"}),
            service_cidr=IPv4Network("10.96.0.0/12"),
            cluster_cidr=IPv4Network("10.244.0.0/16"),
        )
    )


@pytest.mark.parametrize("destination", [(VIP, 53), (NODE, 30053)])
def test_a_flow_is_stale_when_its_endpoint_is_gone(destination: Place) -> None:
    assert not is_stale(destination, ALIVE, port(ALIVE))
    assert is_stale(destination, DEAD, port(ALIVE))
    assert is_stale(destination, DEAD, port())  # scaled to nothing
    assert is_stale(destination, DEAD)  # the service itself is gone


@pytest.mark.parametrize("destination", [(VIP, 53), (NODE, 30053)])
def test_an_untranslated_flow_is_stale_once_there_is_an_endpoint(destination: Place) -> None:
    assert is_stale(destination, destination, port(ALIVE))
    assert not is_stale(destination, destination, port())
    assert not is_stale(destination, destination)


def test_foreign_flows_are_left_alone() -> None:
    assert not is_stale((NODE, 5353), ("172.17.0.2", 53), port(ALIVE))  # Docker's own port
    assert not is_stale((NODE, 68), (NODE, 68), port(ALIVE))
    assert not is_stale(("198.51.100.1", 53), ("198.51.100.1", 53), port(ALIVE))
    assert not is_stale((VIP, 53), (VIP, 53), port(ALIVE, protocol="tcp"))


def test_host_ports_count() -> None:
    ports = (HostPort(host_port=5000, container_port=53, protocol="UDP"),)
    pod = Allocation(address=ALIVE[0], sandbox="s", host_ports=ports)
    assert not is_stale((NODE, 5000), ALIVE, hosts=(pod,))
    assert is_stale((NODE, 5000), DEAD, hosts=(pod,))
    assert is_stale((NODE, 5000), ALIVE)
