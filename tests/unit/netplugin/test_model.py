"""Which endpoints serve which port: readiness, fallbacks, policies, and odd objects."""

from __future__ import annotations

import pytest

from api.core import Service
from api.core.service import ClientIPConfig, SessionAffinityConfig
from api.discovery import Endpoint, EndpointPort, EndpointSlice
from netplugin.proxy.model import ServicePort, service_ports
from tests.unit.netplugin.objects import endpoint, endpoint_slice, port, service


def only(services: Service, *slices: EndpointSlice) -> ServicePort:
    (found,) = service_ports([services], slices, node="node-1")
    return found


def addresses(found: ServicePort) -> list[str]:
    return [backend.address for backend in found.backends]


def test_ready_endpoints_serve_and_unknown_counts_as_ready() -> None:
    found = only(
        service(),
        endpoint_slice(
            endpoint("10.244.1.2", ready=True),
            endpoint("10.244.1.3", ready=False),
            endpoint("10.244.1.4"),
        ),
    )
    assert addresses(found) == ["10.244.1.2", "10.244.1.4"]


def test_terminating_endpoints_serve_only_when_none_is_ready() -> None:
    leaving = endpoint("10.244.1.3", ready=False, serving=True, terminating=True)
    dead = endpoint("10.244.1.4", ready=False, serving=False, terminating=True)
    starting = endpoint("10.244.1.5", ready=False, serving=True, terminating=False)
    alone = only(service(), endpoint_slice(leaving, dead, starting))
    assert addresses(alone) == ["10.244.1.3"]
    with_ready = only(service(), endpoint_slice(leaving, dead, endpoint("10.244.1.2", ready=True)))
    assert addresses(with_ready) == ["10.244.1.2"]


def test_local_endpoints_have_a_fallback_of_their_own() -> None:
    found = only(
        service(external_traffic_policy="Local"),
        endpoint_slice(
            endpoint("10.244.1.2", ready=False, serving=True, terminating=True, node="node-1"),
            endpoint("10.244.2.2", ready=True, node="node-2"),
        ),
    )
    assert addresses(found) == ["10.244.2.2"]
    assert [b.address for b in found.local_backends] == ["10.244.1.2"]
    assert found.external_backends == found.local_backends
    assert found.internal_backends == found.backends


def test_an_address_in_several_slices_counts_once_and_as_ready() -> None:
    found = only(
        service(),
        endpoint_slice(endpoint("10.244.1.2", ready=False)),
        endpoint_slice(endpoint("10.244.1.2", ready=True)),
        endpoint_slice(endpoint("10.244.1.2", ready=False)),
    )
    assert addresses(found) == ["10.244.1.2"]


def test_ports_are_told_apart_by_name_and_protocol() -> None:
    web = service(ports=[port("http"), port("dns", 53), port("dns-udp", 53, protocol="UDP")])
    pieces = endpoint_slice(
        endpoint("10.244.1.2"),
        ports=[
            EndpointPort(name="http", port=8080, protocol="TCP"),
            EndpointPort(name="dns", port=5300, protocol="TCP"),
            EndpointPort(name="dns-udp", port=5301, protocol="UDP"),
        ],
    )
    found = service_ports([web], [pieces], node="node-1")
    assert {p.port_name: str(p.backends[0]) for p in found} == {
        "http": "10.244.1.2:8080",
        "dns": "10.244.1.2:5300",
        "dns-udp": "10.244.1.2:5301",
    }


def test_a_named_target_may_have_another_number_in_each_slice() -> None:
    found = only(
        service(ports=[port("http")]),
        endpoint_slice(endpoint("10.244.1.2"), ports=[EndpointPort(name="http", port=80)]),
        endpoint_slice(endpoint("10.244.1.3"), ports=[EndpointPort(name="http", port=81)]),
    )
    assert [str(b) for b in found.backends] == ["10.244.1.2:80", "10.244.1.3:81"]


@pytest.mark.parametrize(
    "odd",
    [
        service(vip="None"),
        service(vip=""),
        service(vip="", type="ExternalName", external_name="example.com"),
        service(vip="fd00::1"),
    ],
)
def test_services_without_a_vip_have_no_rules(odd: Service) -> None:
    assert service_ports([odd], [], node="node-1") == []


@pytest.mark.parametrize("label", ["service-proxy-name", "headless"])
def test_a_service_that_is_not_for_this_proxy_is_left_alone(label: str) -> None:
    foreign = service()
    foreign.metadata.labels[f"service.kubernetes.io/{label}"] = ""
    assert service_ports([foreign], [], node="node-1") == []


def test_odd_slices_are_skipped() -> None:
    found = only(
        service(),
        endpoint_slice(endpoint("fd00::1"), address_type="IPv6"),
        endpoint_slice(endpoint("not an address")),
        endpoint_slice(endpoint("10.244.1.2"), ports=[EndpointPort(name="", port=None)]),
        endpoint_slice(endpoint("10.244.1.3"), of="other"),
        endpoint_slice(endpoint("10.244.1.4"), namespace="other"),
    )
    assert found.backends == ()


def test_affinity_and_node_ports() -> None:
    config = SessionAffinityConfig(client_ip=ClientIPConfig(timeout_seconds=60))
    kept = only(service(session_affinity="ClientIP", session_affinity_config=config))
    assert kept.affinity == 60
    assert only(service(session_affinity="ClientIP")).affinity == 10800
    ported = [port(node_port=30080)]
    assert only(service(type="NodePort", ports=ported)).node_port == 30080
    assert only(service(type="ClusterIP", ports=ported)).node_port == 0
    assert only(service(ports=[port("http")])).name == "default/web:http"


def near(*endpoints: Endpoint, zone: str = "west", **spec: object) -> list[str]:
    """Whom the node `node-1` uses."""
    pieces = [endpoint_slice(*endpoints)]
    (found,) = service_ports([service(**spec)], pieces, node="node-1", zone=zone)
    return addresses(found)


WEST = endpoint("10.244.1.1", node="node-2", zones=["west"])
EAST = endpoint("10.244.2.1", node="node-3", zones=["east"])
BOTH = endpoint("10.244.3.1", node="node-3", zones=["east", "west"])
BARE = endpoint("10.244.4.1", node="node-2")
EVERYBODY = ["10.244.1.1", "10.244.2.1"]


def test_a_node_uses_the_endpoints_of_its_zone() -> None:
    assert near(WEST, EAST) == ["10.244.1.1"]
    assert near(WEST, EAST, zone="east") == ["10.244.2.1"]
    assert near(WEST, EAST, BOTH) == ["10.244.1.1", "10.244.3.1"]


def test_all_are_used_where_hints_do_not_help() -> None:
    assert near(WEST, EAST, zone="north") == EVERYBODY
    assert near(WEST, EAST, zone="") == EVERYBODY
    assert near(WEST, BARE) == ["10.244.1.1", "10.244.4.1"]


def test_hints_of_those_that_are_not_ready_do_not_matter() -> None:
    starting = endpoint("10.244.5.1", ready=False)
    assert near(WEST, EAST, starting) == ["10.244.1.1"]
    leaving = endpoint("10.244.6.1", ready=False, serving=True, terminating=True, zones=["west"])
    assert near(EAST, leaving) == ["10.244.2.1"]
    assert near(leaving) == ["10.244.6.1"]


def test_the_own_node_comes_before_the_zone() -> None:
    here = endpoint("10.244.1.1", zones=["west"], nodes=["node-1"])
    there = endpoint("10.244.2.1", node="node-2", zones=["west"], nodes=["node-2"])
    far = endpoint("10.244.3.1", node="node-3", zones=["east"], nodes=["node-3"])
    assert near(here, there, far) == ["10.244.1.1"]
    assert near(there, far) == ["10.244.2.1"]
    assert near(far) == ["10.244.3.1"]
    bare = endpoint("10.244.8.1", zones=["west"])
    assert near(here, there, bare, far) == ["10.244.1.1", "10.244.2.1", "10.244.8.1"]


def test_a_local_policy_is_stricter_than_hints() -> None:
    here = endpoint("10.244.7.1", zones=["east"])
    pieces = [endpoint_slice(here, WEST)]
    made = service(internal_traffic_policy="Local")
    (found,) = service_ports([made], pieces, node="node-1", zone="west")
    assert [backend.address for backend in found.internal_backends] == ["10.244.7.1"]
