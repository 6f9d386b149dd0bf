from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import PermanentError
from local import topology

NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?", fullmatch=True)
STATES = st.sampled_from([Path("/var/lib/podwright"), Path("/tmp/a"), Path("/tmp/b/" + "x" * 200)])


def cable(member: topology.Member) -> topology.Cable:
    assert member.cable is not None
    return member.cable


@given(name=NAMES, state=STATES, nodes=st.integers(1, topology.MAX_NODES))
def test_every_name_fits_the_kernel(name: str, state: Path, nodes: int) -> None:
    plan = topology.plan(name, state, topology.node_names(nodes))
    machine = topology.plan_machine(name, state, "h" * 63)
    for member in (*plan.members, *machine.members):
        assert member.cable is None or len(member.cable.port.encode()) <= 15
        engine = member.run / "engine"
        sockets = [
            engine / "containerd.sock.ttrpc",
            engine / "docker/libnetwork" / ("0" * 16 + ".sock"),
        ]
        assert all(len(str(path)) < 108 for path in sockets)


@given(name=NAMES, state=STATES, nodes=st.integers(1, topology.MAX_NODES))
def test_addresses_are_distinct_and_in_the_test_network(name: str, state: Path, nodes: int) -> None:
    plan = topology.plan(name, state, topology.node_names(nodes))
    assert plan.switch is not None
    addresses = [plan.switch.router, *(cable(member).address for member in plan.members)]
    assert len({address.ip for address in addresses}) == len(addresses)
    for address in addresses:
        subnet = address.network
        assert subnet == plan.switch.router.network
        assert subnet.subnet_of(topology.TEST_NETWORK)
        assert address.ip not in (subnet.network_address, subnet.broadcast_address)


def test_clusters_share_no_name() -> None:
    plans = [
        topology.plan(name, Path(state), topology.node_names(2))
        for name in ("a", "b")
        for state in ("/tmp/x", "/tmp/y")
    ]
    members = [member for plan in plans for member in plan.members]
    for what in ("cgroup_root", "run", "marker"):
        assert len({getattr(member, what) for member in members}) == len(members)
    assert len({cable(member).namespace for member in members}) == len(members)
    assert len({cable(member).port for member in members}) == len(members)


def test_a_plan_is_the_same_tomorrow() -> None:
    once = topology.plan("demo", Path("/var/lib/podwright"), ["node-1"])
    assert once == topology.plan("demo", Path("/var/lib/podwright"), ["node-1"])
    assert topology.api_ports(once.slug) == topology.api_ports(once.slug)


def test_api_ports_stay_below_the_range_of_outgoing_connections() -> None:
    for slug in ("a", "b", "c" * 30):
        ports = topology.api_ports(slug)
        assert len(set(ports)) == len(ports)
        assert all(20000 <= port < 30000 for port in ports)


@pytest.mark.parametrize("name", ["", "A", "-a", "a-", "a_b", "a/b", "a" * 21, "ä"])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(PermanentError, match="cannot be a cluster's name"):
        topology.plan(name, Path("/tmp/x"), ["node-1"])


def test_too_many_nodes_are_refused() -> None:
    with pytest.raises(PermanentError, match="too many"):
        topology.plan("a", Path("/tmp/x"), topology.node_names(topology.MAX_NODES + 1))


def test_an_unknown_node_is_answered_with_those_that_exist() -> None:
    plan = topology.plan("a", Path("/tmp/x"), topology.node_names(2))
    assert plan.node("node-2").name == "node-2"
    with pytest.raises(PermanentError) as caught:
        plan.node("node-3")
    assert "node-1, node-2" in caught.value.hint


def test_capacity_shares_memory_but_not_cpus() -> None:
    capacity = topology.share(cpus=4, memory=10 * 2**30, nodes=4)
    assert capacity.quantities() == {"cpu": "4", "memory": "2048Mi"}
