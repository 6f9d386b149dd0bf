from __future__ import annotations

from datetime import UTC, datetime

import pytest

from api.core import (
    Container,
    Node,
    NodeAddress,
    NodeCondition,
    NodeSpec,
    NodeStatus,
    NodeSystemInfo,
    Pod,
    PodSpec,
    Service,
    ServicePort,
    ServiceSpec,
)
from api.meta import ObjectMeta
from cli import overview, status
from cli.overview import Overview
from local import access

INFO = NodeSystemInfo(
    **dict.fromkeys(NodeSystemInfo.__struct_fields__[:10], "")  # nothing of it is shown
)
NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)


def node(name: str, ready: str = "True", *, cordoned: bool = False) -> Node:
    return Node(
        metadata=ObjectMeta(name=name, creation_timestamp="2026-01-01T00:00:00Z"),
        spec=NodeSpec(pod_cidr="10.244.0.0/24", unschedulable=cordoned),
        status=NodeStatus(
            node_info=INFO,
            addresses=[NodeAddress(type="InternalIP", address="192.0.2.1")],
            conditions=[NodeCondition(type="Ready", status=ready, reason="R", message="m")],
        ),
    )


def pod(name: str, namespace: str = "default") -> Pod:
    return Pod(
        metadata=ObjectMeta(name=name, namespace=namespace),
        spec=PodSpec(containers=[Container(name="c")]),
    )


def test_tables_of_nodes_and_pods() -> None:
    seen = Overview(
        now=NOW,
        nodes=[node("a"), node("b", "Unknown", cordoned=True)],
        pods=[pod("one"), pod("two", "other")],
    )
    lines = overview.tables(seen, {"default"}).splitlines()
    assert lines[1].split() == ["a", "Ready", "192.0.2.1", "10.244.0.0/24", "60m"]
    assert lines[2].split()[1] == "NotReady,SchedulingDisabled"
    assert lines[-1].split() == ["default", "one", "0/1", "Pending", "0", "-", "-", "-"]
    assert "two" in overview.tables(seen)


@pytest.mark.parametrize(
    ("ip", "ports", "url"),
    [
        ("10.96.0.7", [ServicePort(port=80)], "http://10.96.0.7/"),
        (
            "10.96.0.7",
            [ServicePort(port=53, protocol="UDP"), ServicePort(port=8080)],
            "http://10.96.0.7:8080/",
        ),
        ("10.96.0.7", [ServicePort(name="http-web", port=3000)], "http://10.96.0.7:3000/"),
        ("10.96.0.7", [ServicePort(port=5432)], ""),
        ("None", [ServicePort(port=80)], ""),
        ("", [ServicePort(port=80)], ""),
    ],
)
def test_which_services_are_asked(ip: str, ports: list[ServicePort], url: str) -> None:
    service = Service(spec=ServiceSpec(cluster_ip=ip, ports=ports))
    assert overview.speaks_http(service) == bool(url)
    if url:
        assert overview.vip_url(service) == url


def test_what_is_not_well() -> None:
    seen = Overview(now=NOW, nodes=[node("a"), node("b", "False")], pods=[pod("one")])
    assert status.unwell(seen, ["a", "b", "c"]) == [
        "b: R: m",
        "c: has not registered",
        "pod default/one: Pending",
    ]


def test_what_a_node_said_before_it_was_started_does_not_count() -> None:
    stale = node("a")
    stale.status.conditions[0].last_heartbeat_time = "2026-01-01T00:59:59Z"
    started = {"a": NOW.replace(microsecond=500000)}
    assert access.not_ready([stale], ["a"]) == []
    assert access.not_ready([stale], ["a"], started) == ["a: has not reported since it was started"]
    stale.status.conditions[0].last_heartbeat_time = "2026-01-01T01:00:00Z"
    assert access.not_ready([stale], ["a"], started) == []
