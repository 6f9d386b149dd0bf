"""Nodes: what the passing of time means on whose clock, address ranges, and whose name it is."""

import time
from datetime import timedelta
from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import timestamps
from api.core import Node, NodeAddress, NodeCondition, PodCondition, Service, Taint
from base import pki
from base.clock import FakeClock
from control.controllers.context import NodeSettings
from control.controllers.lifecycle.certificates import foreign_names, is_alive
from control.controllers.nodes import health
from control.controllers.nodes.ipam import Ranges
from control.controllers.nodes.tainted import TaintAges
from tests.unit.controllers.making import service
from tests.unit.scheduler.making import READY, node, pod


def _tainted(added: str | None) -> Node:
    made = node("n1")
    made.spec.taints = [Taint(key="k", effect="NoExecute", time_added=added)]
    return made


def _ages(clock: FakeClock, *, seen_live: bool) -> tuple[TaintAges, list[Taint]]:
    """A taint of a minute ago, found after a restart or seen when it came."""
    ages = TaintAges(clock)
    found = _tainted(timestamps.format(clock.now() - timedelta(seconds=60)))
    ages.saw(node("n1") if seen_live else None, found)
    return ages, found.spec.taints


def test_a_taint_that_was_seen_ages_with_our_own_clock() -> None:
    """A node's clock, or a jump of ours, must not evict every pod of a node at once."""
    clock = FakeClock()
    ages, taints = _ages(clock, seen_live=True)
    assert ages.seconds("n1", taints) == 0
    clock.advance(10)
    assert ages.seconds("n1", taints) == 10


def test_after_a_restart_a_taint_is_as_old_as_it_says() -> None:
    clock = FakeClock()
    ages, taints = _ages(clock, seen_live=False)
    assert ages.seconds("n1", taints) == 60
    future = _tainted(timestamps.format(clock.now() + timedelta(hours=1)))
    later = TaintAges(clock)
    later.saw(None, future)
    assert later.seconds("n1", future.spec.taints) == 0


def test_a_taint_that_went_and_came_back_begins_anew() -> None:
    clock = FakeClock()
    ages, _ = _ages(clock, seen_live=True)
    clock.advance(100)
    ages.saw(_tainted(None), node("n1"))
    again = _tainted(timestamps.format(clock.now()))
    ages.saw(node("n1"), again)
    assert ages.seconds("n1", again.spec.taints) == 0


def test_a_pod_that_comes_later_has_its_whole_time() -> None:
    """A toleration's seconds begin when the pod and the taint are both there."""
    clock = FakeClock()
    ages, taints = _ages(clock, seen_live=True)
    before, later = pod("before", nodeName="n1"), pod("later", nodeName="n1")
    clock.advance(100)
    ages.came(later)
    clock.advance(10)
    assert ages.seconds_for(before, taints) == 110
    assert ages.seconds_for(later, taints) == 10
    ages.went(later)
    assert ages.seconds_for(later, taints) == 110


def test_after_a_restart_a_pod_is_as_old_as_its_status_says() -> None:
    clock = FakeClock()
    ages, taints = _ages(clock, seen_live=False)
    told = pod("told", nodeName="n1")
    placed = timestamps.format(clock.now() - timedelta(seconds=20))
    told.status.conditions = [
        PodCondition(type="PodScheduled", status="True", last_transition_time=placed)
    ]
    assert ages.seconds_for(told, taints) == 20
    assert ages.seconds_for(pod("silent", nodeName="n1"), taints) == 60


RANGES = NodeSettings(cluster_cidr=IPv4Network("10.244.0.0/16"), node_cidr_mask_size=24)


CONDITIONS = [
    ([("Ready", "True")], set()),
    ([("Ready", "False")], {"not-ready"}),
    ([("Ready", "Unknown")], {"unreachable"}),
    ([("MemoryPressure", "True")], {"memory-pressure"}),
    ([("DiskPressure", "True"), ("PIDPressure", "True")], {"disk-pressure", "pid-pressure"}),
    ([("NetworkUnavailable", "True")], {"network-unavailable"}),
    ([("MemoryPressure", "Unknown"), ("DiskPressure", "False")], set()),
    ([("KernelDeadlock", "True")], set()),
]


@pytest.mark.parametrize(("said", "keys"), CONDITIONS)
@pytest.mark.parametrize("cordoned", [False, True])
def test_taints_follow_conditions(
    said: list[tuple[str, str]], keys: set[str], cordoned: bool
) -> None:
    """Only silence and unreadiness evict, and only when it is the node's turn; others' taints stay."""
    foreign = Taint(key="dedicated", effect="NoExecute")
    old = Taint(key="node.kubernetes.io/pid-pressure", effect="NoSchedule", time_added="then")
    one = node("n1")
    one.spec.taints, one.spec.unschedulable = [foreign, old], cordoned
    one.status.conditions = [NodeCondition(type=type_, status=status) for type_, status in said]
    wanted = {f"node.kubernetes.io/{key}" for key in keys}
    wanted |= {"node.kubernetes.io/unschedulable"} if cordoned else set()
    found = health.wanted_taints(one, "now", evicts=False)
    assert found[0] == foreign
    assert {(taint.key, taint.effect) for taint in found[1:]} == {
        (key, "NoSchedule") for key in wanted
    }
    for taint in found[1:]:
        assert taint.time_added == ("then" if taint.key == old.key else "now")
    evicted = health.no_execute(health.wanted_taints(one, "now", evicts=True)[1:])
    assert {taint.key for taint in evicted} == {
        f"node.kubernetes.io/{key}" for key in keys & {"not-ready", "unreachable"}
    }


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ([], "10.244.0.0/24"),
        (["10.244.0.0/24", "10.244.2.0/24"], "10.244.1.0/24"),
        (["10.244.0.0/23"], "10.244.2.0/24"),
        (["10.244.0.128/25"], "10.244.1.0/24"),
        (["10.0.0.0/8"], None),
        (["192.168.0.0/24", "fd00::/64", "rubbish", ""], "10.244.0.0/24"),
        ([f"10.244.{n}.0/24" for n in range(256)], None),
    ],
)
def test_the_first_free_range(taken: list[str], expected: str | None) -> None:
    ranges = Ranges(RANGES)
    for cidr in taken:
        ranges.take(cidr)
    assert ranges.free() == expected


def test_a_range_is_free_when_the_last_who_had_it_has_gone() -> None:
    ranges = Ranges(RANGES)
    for cidr in ("10.244.0.0/24", "10.244.1.0/24", "10.244.0.0/23"):
        ranges.take(cidr)
    assert ranges.free() == "10.244.2.0/24"
    ranges.give_back("10.244.0.0/23")
    assert ranges.free() == "10.244.2.0/24"
    ranges.give_back("10.244.1.0/24")
    assert ranges.free() == "10.244.1.0/24"
    ranges.give_back("10.244.0.0/24")
    ranges.give_back("")
    assert ranges.free() == "10.244.0.0/24"


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 15), st.integers(25, 32)), max_size=40))
def test_the_first_free_range_is_the_first_that_is_free(
    moves: list[tuple[bool, int, int]],
) -> None:
    settings = NodeSettings(cluster_cidr=IPv4Network("10.0.0.0/24"), node_cidr_mask_size=28)
    ranges, held = Ranges(settings), list[str]()
    for takes, number, bits in moves:
        cidr = str(IPv4Network((f"10.0.0.{number * 16}", bits), strict=False))
        if takes:
            held.append(cidr)
            ranges.take(cidr)
        elif held:
            ranges.give_back(held.pop(number % len(held)))
    networks = [IPv4Network(cidr) for cidr in held]
    free = [
        str(subnet)
        for subnet in settings.cluster_cidr.subnets(new_prefix=28)
        if not any(subnet.overlaps(one) for one in networks)
    ]
    assert ranges.free() == (free[0] if free else None)


def test_a_range_is_found_quickly_among_thousands() -> None:
    settings = NodeSettings(cluster_cidr=IPv4Network("10.0.0.0/8"), node_cidr_mask_size=24)
    ranges = Ranges(settings)
    began = time.process_time()
    for number in range(5000):
        cidr = ranges.free()
        assert cidr == f"10.{number // 256}.{number % 256}.0/24"
        ranges.take(cidr)
    assert time.process_time() - began < 10, "it was a minute when every pair was compared"


def test_a_name_is_taken_while_its_node_lives() -> None:
    """A bootstrap token must not get the certificate of a machine that is at work."""
    assert not is_alive(None)
    assert not is_alive(node("n1", conditions=[]))
    assert is_alive(node("n1"))
    assert is_alive(node("n1", conditions=[{**READY, "status": "False"}]))
    assert not is_alive(node("n1", conditions=[{**READY, "status": "Unknown"}]))


def _addressed(name: str, *addresses: str) -> Node:
    made = node(name)
    made.status.addresses = [NodeAddress(type="InternalIP", address=one) for one in addresses]
    return made


@pytest.mark.parametrize(
    ("dns", "ips", "foreign"),
    [
        (["n1"], ["192.0.2.1"], set()),
        (["localhost"], ["127.0.0.1"], set()),
        (["n2"], [], {"n2"}),
        ([], ["192.0.2.2"], {"192.0.2.2"}),
        ([], ["10.96.0.7"], {"10.96.0.7"}),
        (["kubernetes"], [], {"kubernetes"}),
        (["kubernetes.default.svc"], [], {"kubernetes.default.svc"}),
        (["web.default.svc.cluster.local"], [], {"web.default.svc.cluster.local"}),
        ([], ["198.51.100.1"], {"198.51.100.1"}),
        (["*.example.com"], [], {"*.example.com"}),
    ],
)
def test_a_node_serves_under_no_name_but_its_own(
    dns: list[str], ips: list[str], foreign: set[str]
) -> None:
    """It writes its own addresses: claiming somebody else's must not be enough."""
    own = _addressed(
        "n1",
        "192.0.2.1",
        "192.0.2.2",
        "10.96.0.7",
        "n2",
        "kubernetes",
        "kubernetes.default.svc",
        "*.example.com",
    )
    services: list[Service] = [service()]
    asked = pki.read_csr(
        pki.make_csr(
            common_name="system:node:n1",
            organizations=["system:nodes"],
            dns_names=dns,
            ip_addresses=ips,
        ).csr_pem
    )
    assert foreign_names(asked, own, [own, _addressed("n2", "192.0.2.2")], services) == foreign
