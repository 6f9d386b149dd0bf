"""The node towards the cluster: status, heartbeats, peers, settings, certificates."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.containers.records import ImageId, ImageRecord, LogLimits
from agent.containers.script import FAKE_ENGINE
from agent.node import engine as engine_module
from agent.node import join, keys, machine, podrange
from agent.node.engine import EngineHealth, EngineState
from agent.node.eviction import Amount
from agent.node.heartbeat import Heartbeat
from agent.node.identity import identity, limitations
from agent.node.network import host_ports, peers, range_problem
from agent.node.nodeevents import NodeEvents
from agent.node.nodestatus import (
    NodeIdentity,
    NodeObserved,
    node_status,
    same_but_for_heartbeats,
)
from agent.node.podrange import PodRange
from agent.settings import AgentSettings, load
from api.certificates import CertificateSigningRequest, CertificateSigningRequestStatus
from api.coordination import Lease
from api.core import (
    ContainerPort,
    Node,
    NodeAddress,
    NodeCondition,
    NodeSpec,
    NodeStatus,
    Taint,
)
from api.meta import ObjectMeta
from base import pki, tls
from base.clock import FakeClock
from base.errors import PermanentError
from base.settings import SettingsError
from base.tasks import TaskGuard
from netplugin.records import HostPort, Peer
from tests.unit.agent.builders import NOW, container, make_pod, sidecar
from tests.unit.agent.fakeapi import FakeApi, FakeRecorder

IDENTITY = NodeIdentity(
    name="node-1",
    address="192.0.2.1",
    port=10250,
    capacity={"cpu": "2", "memory": "4Gi", "pods": "110"},
    allocatable={"cpu": "2", "memory": "3996Mi", "pods": "110"},
    info=machine.system_info(FAKE_ENGINE),
    labels={"kubernetes.io/hostname": "node-1"},
)


def conditions(observed: NodeObserved) -> dict[str, tuple[str, str]]:
    status = node_status(IDENTITY, observed, previous=(), now=NOW)
    return {c.type: (c.status, c.reason) for c in status.conditions}


def short(*pressures: str) -> NodeObserved:
    return NodeObserved(pressures=frozenset(pressures))


def stuck(seconds: float) -> NodeObserved:
    return NodeObserved(
        engine=EngineState.STUCK, engine_away_for=seconds, engine_error="no answer within 10 s"
    )


CONDITIONS = [
    (NodeObserved(), "Ready", "True", "KubeletReady"),
    (NodeObserved(engine_away_for=5), "Ready", "True", "KubeletReady"),
    (NodeObserved(engine_away_for=20), "Ready", "False", "RuntimeDown"),
    (stuck(20), "Ready", "False", "RuntimeStuck"),
    (stuck(5), "Ready", "True", "KubeletReady"),
    (NodeObserved(engine=EngineState.SLOW), "Ready", "True", "KubeletReady"),
    (NodeObserved(), "RuntimeReady", "True", "RuntimeAnswers"),
    (NodeObserved(engine=EngineState.SLOW), "RuntimeReady", "True", "RuntimeSlow"),
    (stuck(20), "RuntimeReady", "False", "RuntimeStuck"),
    (NodeObserved(engine_away_for=20), "RuntimeReady", "False", "RuntimeDown"),
    (NodeObserved(), "ReadonlyFilesystem", "False", "FilesystemIsNotReadOnly"),
    (NodeObserved(unwritable="x is full"), "ReadonlyFilesystem", "True", "FilesystemIsReadOnly"),
    (NodeObserved(network_ready=False), "Ready", "False", "KubeletNotReady"),
    (NodeObserved(network_ready=False), "NetworkUnavailable", "True", "NoRouteCreated"),
    (NodeObserved(), "NetworkUnavailable", "False", "RouteCreated"),
    (NodeObserved(), "MemoryPressure", "False", "KubeletHasSufficientMemory"),
    (short("MemoryPressure"), "MemoryPressure", "True", "KubeletHasInsufficientMemory"),
    (NodeObserved(), "DiskPressure", "False", "KubeletHasNoDiskPressure"),
    (short("DiskPressure"), "DiskPressure", "True", "KubeletHasDiskPressure"),
    (short("PIDPressure"), "PIDPressure", "True", "KubeletHasInsufficientPID"),
    (short("MemoryPressure"), "PIDPressure", "False", "KubeletHasSufficientPID"),
]


@pytest.mark.parametrize(("observed", "kind", "status", "reason"), CONDITIONS)
def test_conditions(observed: NodeObserved, kind: str, status: str, reason: str) -> None:
    assert conditions(observed)[kind] == (status, reason)


def test_runtimes_and_what_they_can_do() -> None:
    identity = replace(IDENTITY, runtime_handlers=["", "gvisor"])
    status = node_status(identity, NodeObserved(), previous=(), now=NOW)
    assert [handler.name for handler in status.runtime_handlers] == ["", "gvisor"]
    assert status.features is not None and status.features.supplemental_groups_policy


def test_heartbeats_move_and_transitions_do_not() -> None:
    first = node_status(IDENTITY, NodeObserved(), previous=(), now=NOW)
    later = node_status(
        IDENTITY, NodeObserved(), previous=first.conditions, now=NOW + timedelta(minutes=1)
    )
    assert same_but_for_heartbeats(first, later)
    ready = next(c for c in later.conditions if c.type == "Ready")
    assert ready.last_heartbeat_time == "2026-01-01T12:01:00Z"
    assert ready.last_transition_time == "2026-01-01T12:00:00Z"
    down = node_status(
        IDENTITY,
        NodeObserved(engine_away_for=99, engine_error="no such socket"),
        previous=later.conditions,
        now=NOW + timedelta(minutes=2),
    )
    assert not same_but_for_heartbeats(later, down)
    ready = next(c for c in down.conditions if c.type == "Ready")
    assert ready.message == ("container runtime is down: no such socket. The agent itself works")
    assert ready.last_transition_time == "2026-01-01T12:02:00Z"


def test_images_are_the_largest_that_have_a_name() -> None:
    images = [
        ImageRecord(id=ImageId(f"sha256:{n}"), tags=(f"i:{n}",), digests=(), size=n)
        for n in range(80)
    ]
    nameless = ImageRecord(id=ImageId("sha256:x"), tags=(), digests=(), size=10**9)
    status = node_status(IDENTITY, NodeObserved(images=[*images, nameless]), previous=(), now=NOW)
    assert len(status.images) == 50
    assert status.images[0].names == ["i:79"]


def test_an_image_has_no_more_than_five_names() -> None:
    names = tuple(f"i:{n}" for n in range(9))
    many = ImageRecord(id=ImageId("sha256:a"), tags=names, digests=("i@sha256:0",), size=1)
    status = node_status(IDENTITY, NodeObserved(images=[many]), previous=(), now=NOW)
    assert status.images[0].names == ["i@sha256:0", "i:0", "i:1", "i:2", "i:3"]


@pytest.mark.parametrize(("most", "named"), [(0, 0), (2, 2), (-1, 60)])
def test_how_many_images_are_named(most: int, named: int) -> None:
    images = [
        ImageRecord(id=ImageId(f"sha256:{n}"), tags=(f"i:{n}",), digests=(), size=n)
        for n in range(60)
    ]
    identity = replace(IDENTITY, max_images=most)
    status = node_status(identity, NodeObserved(images=images), previous=(), now=NOW)
    assert len(status.images) == named


# Heartbeats.


class Beating:
    def __init__(self, identity: NodeIdentity = IDENTITY) -> None:
        self.clock = FakeClock()
        self.api = FakeApi()
        self.guard = TaskGuard("test")
        self.observed = NodeObserved()
        self.recorder = FakeRecorder()
        self.heartbeat = Heartbeat(
            self.api,
            identity,
            observe=lambda: self.observed,
            events=NodeEvents(self.recorder, "node-1"),
            clock=self.clock,
            guard=self.guard,
        )

    async def start(self) -> None:
        await self.heartbeat.register_patiently()
        self.guard.start(self.heartbeat.renew_forever(), name="lease")
        self.guard.start(self.heartbeat.report_forever(), name="status")

    def node(self) -> Node:
        found: Node = self.api.objects[Node, "", "node-1"]
        return found

    def count(self, verb: str, kind: str) -> int:
        return len([c for c in self.api.calls if c[:2] == (verb, kind)])


async def test_a_node_registers_and_keeps_quiet() -> None:
    beating = Beating()
    await beating.start()
    assert beating.node().metadata.labels["kubernetes.io/hostname"] == "node-1"
    told = beating.count("patch", "Node")
    await beating.clock.run_for(290)
    assert beating.count("patch", "Node") == told, "nothing has changed"
    await beating.clock.run_for(20)
    assert beating.count("patch", "Node") == told + 1, "five minutes are over"
    assert beating.count("update", "Lease") == 31
    await beating.guard.close()


async def test_a_resource_that_somebody_declares_can_be_asked_for() -> None:
    beating = Beating()
    await beating.start()
    node = deepcopy(beating.node())
    node.status.capacity["example.org/dongle"] = "4"
    beating.api.put(node)
    beating.heartbeat.seen(node)
    await beating.clock.run_for(1)
    found = beating.node().status
    assert found.allocatable == {**IDENTITY.allocatable, "example.org/dongle": "4"}
    assert found.capacity["example.org/dongle"] == "4"

    told = beating.count("patch", "Node")
    beating.heartbeat.seen(beating.node())
    await beating.clock.run_for(60)
    assert beating.count("patch", "Node") == told

    again = Heartbeat(
        beating.api,
        IDENTITY,
        observe=NodeObserved,
        events=NodeEvents(beating.recorder, "node-1"),
        clock=beating.clock,
        guard=beating.guard,
    )
    await again.register()
    assert beating.node().status.allocatable["example.org/dongle"] == "4", (
        "an agent forgets nothing"
    )

    node = deepcopy(beating.node())
    del node.status.capacity["example.org/dongle"]
    beating.api.put(node)
    beating.heartbeat.seen(node)
    await beating.clock.run_for(1)
    assert beating.node().status.allocatable == IDENTITY.allocatable
    await beating.guard.close()


async def test_a_change_is_told_within_ten_seconds_or_at_once() -> None:
    beating = Beating()
    await beating.start()
    beating.observed = NodeObserved(network_ready=False, network_error="no")
    await beating.clock.run_for(10)
    ready = next(c for c in beating.node().status.conditions if c.type == "Ready")
    assert ready.status == "False"
    beating.observed = NodeObserved()
    beating.heartbeat.wake()
    await beating.clock.run_for(0)
    ready = next(c for c in beating.node().status.conditions if c.type == "Ready")
    assert ready.status == "True"
    await beating.guard.close()


async def test_what_others_say_of_a_node_that_lives_is_put_right() -> None:
    """The control plane says Unknown of a node that was cut off; nothing on the node has changed."""
    beating = Beating()
    await beating.start()
    told = beating.count("patch", "Node")
    beating.heartbeat.seen(beating.node())
    await beating.clock.run_for(10)
    assert beating.count("patch", "Node") == told, "all is as it was told"

    node = msgspec.json.decode(msgspec.json.encode(beating.node()), type=Node)
    next(c for c in node.status.conditions if c.type == "Ready").status = "Unknown"
    beating.heartbeat.seen(node)
    await beating.clock.run_for(0)
    assert beating.count("patch", "Node") == told + 1
    ready = next(c for c in beating.node().status.conditions if c.type == "Ready")
    assert ready.status == "True"
    await beating.guard.close()


async def test_an_api_that_is_away_is_waited_for() -> None:
    beating = Beating()
    beating.api.down = True
    starting = beating.guard.start(beating.start(), name="start")
    await beating.clock.run_for(60)
    assert not starting.done()
    beating.api.down = False
    await beating.clock.run_for(5)
    assert starting.done()
    beating.api.down = True
    await beating.clock.run_for(120)
    beating.api.down = False
    await beating.clock.run_for(5)
    renewed = beating.api.objects[Lease, "kube-node-lease", "node-1"].spec.renew_time
    assert renewed >= "2026-01-01T00:03:05"
    await beating.guard.close()


async def test_a_node_that_was_deleted_registers_anew() -> None:
    beating = Beating()
    await beating.start()
    beating.api.remove(Node, "node-1")
    beating.observed = short("PIDPressure")
    await beating.clock.run_for(15)
    assert beating.node().metadata.name == "node-1"
    beating.api.remove(Node, "node-1")
    beating.api.remove(Lease, "node-1", "kube-node-lease")
    await beating.clock.run_for(310)
    assert beating.node().metadata.name == "node-1", "though there was nothing new to tell"
    lease = beating.api.objects[Lease, "kube-node-lease", "node-1"]
    assert lease.spec.holder_identity == "node-1"
    assert lease.spec.lease_duration_seconds == 40
    await beating.guard.close()


async def test_an_existing_node_keeps_what_others_put_on_it() -> None:
    beating = Beating()
    beating.api.put(
        Node(
            metadata=ObjectMeta(name="node-1", labels={"mine": "1"}),
            spec=NodeSpec(pod_cidr="10.244.1.0/24"),
            status=NodeStatus(node_info=IDENTITY.info),
        )
    )
    await beating.start()
    node = beating.node()
    assert node.spec.pod_cidr == "10.244.1.0/24"
    assert node.metadata.labels == {"mine": "1", "kubernetes.io/hostname": "node-1"}
    await beating.guard.close()


async def test_a_new_node_has_its_taints_and_an_existing_one_those_of_others() -> None:
    taint = Taint(key="dedicated", value="storage", effect="NoSchedule")
    beating = Beating(replace(IDENTITY, taints=(taint,)))
    await beating.start()
    assert beating.node().spec.taints == [taint]
    node = deepcopy(beating.node())
    node.spec.taints = []
    beating.api.put(node)
    await beating.heartbeat.register()
    assert beating.node().spec.taints == [], "somebody has taken it away"
    await beating.guard.close()


async def test_a_node_that_somebody_else_has_to_make() -> None:
    beating = Beating(replace(IDENTITY, registers=False))
    starting = beating.guard.start(beating.start(), name="start")
    await beating.clock.run_for(60)
    assert not starting.done() and not beating.count("create", "Node")
    made = Node(metadata=ObjectMeta(name="node-1"), status=NodeStatus(node_info=IDENTITY.info))
    beating.api.put(made)
    await beating.clock.run_for(5)
    assert starting.done()
    assert beating.node().status.capacity == IDENTITY.capacity
    assert beating.node().metadata.labels == {}, "that is for its maker to say"
    beating.api.remove(Node, "node-1")
    beating.observed = short("PIDPressure")
    await beating.clock.run_for(60)
    assert (Node, "", "node-1") not in beating.api.objects
    assert not beating.count("create", "Node")
    await beating.guard.close()


async def test_a_lease_that_belongs_to_nobody_is_taken() -> None:
    beating = Beating()
    beating.api.put(Lease(metadata=ObjectMeta(name="node-1", namespace="kube-node-lease")))
    await beating.start()
    await beating.clock.run_for(11)
    lease = beating.api.objects[Lease, "kube-node-lease", "node-1"]
    (owner,) = lease.metadata.owner_references
    assert (owner.kind, owner.name, owner.uid) == ("Node", "node-1", "uid-node-1")
    assert lease.spec.renew_time
    await beating.guard.close()


async def test_a_clock_that_jumps_does_not_silence_the_lease() -> None:
    beating = Beating()
    await beating.start()
    before = beating.count("update", "Lease")
    beating.clock.jump(-3600)
    await beating.clock.run_for(60)
    assert beating.count("update", "Lease") == before + 6
    await beating.guard.close()


async def test_engine_health() -> None:
    from agent.containers.fake import FakeRuntime

    clock = FakeClock()
    runtime = FakeRuntime(clock)
    health = EngineHealth(runtime, "pause", clock=clock)
    changes = []
    health.on_change = lambda: changes.append(health.away_for)
    guard = TaskGuard("test")
    guard.start(health.watch(), name="watch")
    await clock.run_for(30)
    assert (health.away_for, changes) == (0.0, [])
    runtime.lose_engine()
    await clock.run_for(30)
    assert 20 <= health.away_for <= 30 and len(changes) == 1
    runtime.recover_engine()
    await clock.run_for(10)
    assert health.away_for == 0.0 and len(changes) == 2
    await guard.close()


class Engine:
    """An engine whose answers take as long as the test says; `None` never comes."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.takes: float | None = 0.0

    async def image(self, reference: str) -> None:
        if self.takes is None:
            await asyncio.Event().wait()
        await self.clock.sleep(self.takes or 0.0)


async def test_an_engine_that_takes_connections_and_answers_nothing_is_stuck(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_module, "ANSWER_WITHIN", 0.02)
    engine = Engine(FakeClock())
    engine.takes = None
    health = EngineHealth(engine, "pause", clock=engine.clock)  # type: ignore[arg-type]
    changed = asyncio.Event()
    health.on_change = changed.set
    guard = TaskGuard("test")
    guard.start(health.watch(), name="watch")
    await asyncio.wait_for(changed.wait(), 60)
    assert health.state is EngineState.STUCK and "it takes connections" in health.error
    engine.takes = 0.0
    await engine.clock.run_for(5)
    assert (health.state, health.away_for, health.error) == (EngineState.WELL, 0.0, "")
    await guard.close()


async def test_an_engine_is_slow_only_when_it_is_so_again_and_again() -> None:
    engine = Engine(FakeClock())
    health = EngineHealth(engine, "pause", clock=engine.clock)  # type: ignore[arg-type]
    guard = TaskGuard("test")
    guard.start(health.watch(), name="watch")
    await engine.clock.run_for(20)
    engine.takes = 3.0
    await engine.clock.run_for(14)
    assert health.state is EngineState.WELL, "one slow answer or two say nothing"
    await engine.clock.run_for(20)
    assert health.state is EngineState.SLOW and health.away_for == 0.0
    assert health.statistics()["last_answer_seconds"] == 3.0
    engine.takes = 0.0
    await engine.clock.run_for(10)
    assert health.state is EngineState.WELL
    await guard.close()


def test_a_file_system_without_room_or_made_read_only() -> None:
    disk = machine.Disk(total=100, available=10, inodes=1, inodes_free=1)
    assert disk.unwritable == ""
    assert replace(disk, available=0).unwritable == "has no room left"
    assert replace(disk, inodes_free=0).unwritable == "has no inodes left"
    assert replace(disk, inodes=0, inodes_free=0).unwritable == "", "it makes them as it goes"
    assert replace(disk, read_only=True).unwritable == "is mounted read-only"
    found = machine.disk(Path("/"))
    assert found is not None and not found.read_only


def test_a_file_system_that_the_kernel_has_given_up(tmp_path: Path) -> None:
    """A read-only mount elsewhere, or an error of another file system, is none of ours."""
    device = tmp_path.stat().st_dev
    own, other = f"{os.major(device)}:{os.minor(device)}", "250:7"
    mounts = tmp_path / "mountinfo"
    for number, options, given_up in (
        (own, "rw,errors=remount-ro,emergency_ro", True),
        (own, "rw,errors=remount-ro", False),
        (other, "rw,emergency_ro", False),
    ):
        line = f"36 35 {number} / / rw,relatime shared:1 - ext4 /dev/emergency_ro {options}\n"
        mounts.write_text(f"20 1 0:5 / /dev rw - devtmpfs devtmpfs rw\n{line}")
        assert machine._given_up(tmp_path, mounts) is given_up
    assert not machine._given_up(tmp_path, tmp_path / "none")


def test_what_the_machine_lacks_is_said_once() -> None:
    poor = replace(FAKE_ENGINE, can_lower_oom_score=False, can_run_privileged=False)
    said = limitations(poor)["podwright.io/machine-lacks"]
    assert "CAP_SYS_RESOURCE" in said and "privileged" in said and "AppArmor" in said
    rich = replace(FAKE_ENGINE, security_options=("name=apparmor",))
    assert limitations(rich) == {}


# Network.


def node(name: str, cidr: str = "", address: str = "") -> Node:
    addresses = [NodeAddress(type="Hostname", address=name)]
    if address:
        addresses.append(NodeAddress(type="InternalIP", address=address))
    return Node(
        metadata=ObjectMeta(name=name),
        spec=NodeSpec(pod_cidr=cidr),
        status=NodeStatus(node_info=IDENTITY.info, addresses=addresses),
    )


def test_peers_are_the_other_nodes_that_are_complete() -> None:
    nodes = [
        node("own", "10.244.0.0/24", "192.0.2.1"),
        node("c", "10.244.2.0/24", "192.0.2.3"),
        node("b", "10.244.1.0/24", "192.0.2.2"),
        node("without-range", "", "192.0.2.4"),
        node("without-address", "10.244.4.0/24"),
    ]
    assert peers(nodes, own="own") == [
        Peer(node=n, pod_cidr=IPv4Network(cidr), address=IPv4Address(ip))
        for n, cidr, ip in (
            ("b", "10.244.1.0/24", "192.0.2.2"),
            ("c", "10.244.2.0/24", "192.0.2.3"),
        )
    ]


def test_a_node_that_says_nonsense_of_itself_is_left_out() -> None:
    dual = node("dual", "10.244.5.0/24", "fd00::5")
    dual.status.addresses.append(NodeAddress(type="InternalIP", address="192.0.2.5"))
    nodes = [
        node("words", "10.244.1.0/24", "somewhere"),
        node("six", "10.244.2.0/24", "fd00::2"),
        node("odd-range", "fd00:1::/64", "192.0.2.3"),
        dual,
    ]
    assert [(p.node, str(p.address)) for p in peers(nodes, own="own")] == [("dual", "192.0.2.5")]


class Nodes:
    """An informer of nodes, of which tests say what changes."""

    def __init__(self) -> None:
        self.handlers: list[Callable[[Node | None, Node | None], None]] = []

    def subscribe(self, handler: Callable[[Node | None, Node | None], None]) -> None:
        self.handlers.append(handler)

    def show(self, made: Node) -> None:
        for handler in self.handlers:
            handler(None, made)


@pytest.mark.parametrize("full", [False, True])
async def test_the_range_is_remembered_and_minded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    def refuse(path: Path, data: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if full:  # which must end nothing: the next start asks again
        monkeypatch.setattr(podrange, "atomic_write", refuse)
    nodes = Nodes()
    kept = PodRange("own", tmp_path, nodes)  # type: ignore[arg-type]
    asked = asyncio.ensure_future(kept.get())
    await asyncio.sleep(0)
    nodes.show(node("other", "10.244.9.0/24"))
    nodes.show(node("own"))
    assert not asked.done()
    nodes.show(node("own", "10.244.1.0/24"))
    assert await asked == "10.244.1.0/24"
    told: list[str] = []
    kept.mind("10.244.1.0/24", told.append)
    nodes.show(node("own", "10.244.2.0/24"))
    nodes.show(node("own", "10.244.2.0/24"))
    nodes.show(node("own", "10.244.1.0/24"))
    assert len(told) == 2 and "10.244.2.0/24" in told[0] and told[1] == ""
    if not full:
        assert await PodRange("own", tmp_path, Nodes()).get() == "10.244.1.0/24"  # type: ignore[arg-type]


def test_a_node_notices_that_it_was_given_another_range() -> None:
    assert range_problem(node("own", "10.244.1.0/24"), "10.244.1.0/24") == ""
    assert range_problem(node("own"), "10.244.1.0/24") == "", "deleted, and not yet given one"
    problem = range_problem(node("own", "10.244.3.0/24"), "10.244.1.0/24")
    assert "from 10.244.1.0/24 to 10.244.3.0/24" in problem


def test_host_ports() -> None:
    ports = [
        ContainerPort(container_port=80, host_port=8080, protocol="TCP"),
        ContainerPort(container_port=53, host_port=5353, protocol="UDP", host_ip="192.0.2.1"),
        ContainerPort(container_port=90, host_port=9090, host_ip="0.0.0.0"),
        ContainerPort(container_port=1234),
    ]
    side = sidecar(ports=[ContainerPort(container_port=1, host_port=10)])
    pod = make_pod(container(ports=ports), inits=[side, container("i")])
    assert host_ports(pod) == (
        HostPort(host_port=10, container_port=1, protocol="TCP"),
        HostPort(host_port=8080, container_port=80, protocol="TCP"),
        HostPort(host_port=5353, container_port=53, protocol="UDP", host_ip="192.0.2.1"),
        HostPort(host_port=9090, container_port=90, protocol="TCP"),
    )


# What it is.


def test_what_a_node_says_of_its_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "swap", lambda: (2**30, 5))
    info = machine.system_info(replace(FAKE_ENGINE, version="28.1"))
    assert info.swap is not None and info.swap.capacity == 2**30
    assert info.container_runtime_version == "docker://28.1"
    assert info.kubelet_version == info.kube_proxy_version == machine.KUBELET_VERSION
    assert info.operating_system == "linux"
    assert info.kernel_version == FAKE_ENGINE.kernel_version
    assert len(info.boot_id) == 36 and info.os_image == FAKE_ENGINE.operating_system
    assert info.system_uuid or not info.machine_id
    monkeypatch.setattr(machine, "swap", lambda: (0, 0))
    assert machine.system_info(FAKE_ENGINE).swap is None


def test_capacity_and_what_of_it_pods_may_use() -> None:
    engine = replace(FAKE_ENGINE, cpus=4, memory=8 * 2**30 + 5)
    words = ["--max-pods=30", "--system-reserved=cpu=500m", "--system-reserved=memory=1Gi"]
    words += ["--eviction-hard=memory.available<100Mi", "--config=/dev/null"]
    made = identity(load(words, {}), engine, name="n", address="192.0.2.1")
    assert (made.capacity["cpu"], made.capacity["memory"]) == ("4", "8Gi")
    assert made.capacity["pods"] == made.allocatable["pods"] == "30"
    assert made.allocatable["cpu"] == "3500m"
    assert made.allocatable["memory"] == f"{7 * 1024 - 100}Mi"
    assert "ephemeral-storage" in made.allocatable
    status = node_status(made, NodeObserved(), previous=(), now=NOW)
    assert [(one.type, one.address) for one in status.addresses] == [
        ("InternalIP", "192.0.2.1"),
        ("Hostname", "n"),
    ]
    assert status.daemon_endpoints.kubelet_endpoint.port == 10250
    assert status.capacity == made.capacity and status.allocatable == made.allocatable


# Settings.


def test_settings() -> None:
    settings = load(
        ["--node-name=n", "--capacity=cpu=500m", "--capacity=memory=1024Mi", "--config=/dev/null"],
        {"PODWRIGHT_AGENT_TOKEN": "abc.def"},
    )
    assert settings.amounts(settings.capacity) == {"cpu": "500m", "memory": "1Gi"}
    assert settings.token == "abc.def"
    assert "abc.def" not in repr(settings)
    assert settings.max_pods == 110


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--capacity=cpu"], "a resource and its amount"),
        (["--capacity=cpu=lots"], "a resource and its amount"),
        (["--node-ip=here"], "an IP address"),
        (["--join=https://x", "--kubeconfig=/x"], "exclude each other"),
        (["--cluster-dns=192.0.2.1"], "outside of --service-cidr"),
        (["--network-mode=magic"], "magic"),
        (["--container-log-max-files=1"], "a whole number above 1"),
        (["--container-log-max-size=0"], "a size such as 10Mi"),
        (["--max-parallel-image-pulls=0"], "above 0"),
        (["--eviction-minimum-reclaim=memory.available=much"], "a signal and an amount"),
        (["--eviction-minimum-reclaim=memory=1Mi"], "a signal and an amount"),
        (["--eviction-soft=memory.available<1Gi"], "how long it must be met"),
        (["--node-label=rack"], "a label such as"),
        (["--node-label=rack=a b"], "a label such as"),
        (["--node-label=node-role.kubernetes.io/worker="], "may not give itself this label"),
        (["--node-label=node-restriction.kubernetes.io/x=1"], "may not give itself this label"),
        (["--register-with-taints=dedicated"], "a taint such as"),
        (["--register-with-taints=dedicated=a:Never"], "a taint such as"),
        (["--register-with-taints=-bad=a:NoSchedule"], "a taint such as"),
        (["--node-status-max-images=-2"], "or -1"),
    ],
)
def test_wrong_settings(argv: list[str], words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load([*argv, "--config=/dev/null"], {})
    assert words in caught.value.message


def test_settings_of_the_node_object() -> None:
    words = ["--node-label=rack=7", "--node-label=topology.kubernetes.io/zone=cellar"]
    words += ["--register-with-taints=dedicated=storage:NoSchedule"]
    words += ["--register-with-taints=gone:NoExecute", "--register-node=false"]
    words += ["--node-status-max-images=-1", "--config=/dev/null"]
    settings = load(words, {})
    made = identity(settings, FAKE_ENGINE, name="n", address="192.0.2.1")
    assert made.labels["rack"] == "7"
    assert made.labels["topology.kubernetes.io/zone"] == "cellar"
    assert made.labels["kubernetes.io/hostname"] == "n"
    for prefix in ("", "beta."):
        assert made.labels[f"{prefix}kubernetes.io/os"] == "linux"
        assert made.labels[f"{prefix}kubernetes.io/arch"] == machine.architecture()
    assert made.taints == (
        Taint(key="dedicated", value="storage", effect="NoSchedule"),
        Taint(key="gone", effect="NoExecute"),
    )
    assert (made.registers, made.max_images) == (False, -1)
    usual = identity(load(["--config=/dev/null"], {}), FAKE_ENGINE, name="n", address="192.0.2.1")
    assert (usual.registers, usual.taints, usual.max_images) == (True, (), 50)


def test_settings_of_shortages() -> None:
    words = ["--eviction-hard=memory.available<0%", "--eviction-hard=nodefs.available<10%"]
    words += ["--eviction-soft=nodefs.available<20%=1m30s", "--config=/dev/null"]
    words += ["--eviction-minimum-reclaim=nodefs.available=5%"]
    off, hard, soft = load(words, {}).thresholds()
    assert off.least.of(1000) == 0
    assert (hard.grace, hard.least.of(1000), hard.reclaim.of(1000)) == (None, 100, 50)
    assert (soft.grace, soft.least.of(1000), soft.reclaim.of(1000)) == (90.0, 200, 50)
    usual = {str(one.signal): one.least for one in load(["--config=/dev/null"], {}).thresholds()}
    assert usual == {
        "memory.available": Amount(100 * 1024**2),
        "nodefs.available": Amount(fraction=0.1),
        "nodefs.inodesFree": Amount(fraction=0.05),
        "imagefs.available": Amount(fraction=0.15),
        "imagefs.inodesFree": Amount(fraction=0.05),
        "pid.available": Amount(fraction=0.05),
    }


def test_settings_of_logs_and_pulls() -> None:
    def loaded(*argv: str) -> AgentSettings:
        return load([*argv, "--config=/dev/null"], {})

    limits = loaded("--container-log-max-size=1Mi", "--container-log-max-files=2").log_limits()
    assert limits == LogLimits(max_size=1024 * 1024, max_files=2)
    assert loaded().log_limits() == LogLimits(max_size=10 * 1024 * 1024, max_files=5)
    assert loaded("--max-parallel-image-pulls=7").parallel_pulls == 7
    assert (
        loaded("--max-parallel-image-pulls=7", "--serialize-image-pulls=true").parallel_pulls == 1
    )


# Certificates.


@pytest.fixture(autouse=True)
def quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests made here and now: a child would take time that the clock of the test knows nothing of."""

    async def make_request(**wanted: Any) -> tls.CertificateRequest:
        return pki.make_csr(**wanted)

    monkeypatch.setattr(keys, "make_request", make_request)


async def obtained(
    api: FakeApi, wanted: join.Wanted, directory: Path, clock: FakeClock
) -> pki.KeyPair:
    """A certificate, with the time that it takes."""
    guard = TaskGuard("test")
    obtaining = guard.start(join.obtain(api, wanted, directory, clock=clock), name="obtain")
    await clock.run_for(5)
    try:
        return await obtaining
    finally:
        await guard.close()


class Signer:
    """Approves and signs like the control plane."""

    def __init__(self, api: FakeApi, clock: FakeClock) -> None:
        self.ca = pki.create_ca("test", clock=clock)
        self.clock = clock
        self.api = api
        self.signed = 0
        self.deny = False
        api.subscribe(CertificateSigningRequest, self._changed)

    def _changed(self, old: object, new: CertificateSigningRequest | None) -> None:
        if old is not None or new is None:
            return
        self.signed += 1
        status = CertificateSigningRequestStatus(
            certificate=pki.sign_csr(
                self.ca, new.spec.request, client=True, server=True, clock=self.clock
            )
        )
        if self.deny:
            from api.certificates import CertificateSigningRequestCondition

            status = CertificateSigningRequestStatus(
                conditions=[
                    CertificateSigningRequestCondition(type="Denied", status="True", message="no")
                ]
            )
        self.api.put(CertificateSigningRequest(metadata=new.metadata, spec=new.spec, status=status))


async def test_a_certificate_is_asked_for_once_and_renewed_in_time(tmp_path: Path) -> None:
    clock, api = FakeClock(), FakeApi()
    signer = Signer(api, clock)
    guard = TaskGuard("test")
    used: list[pki.KeyPair] = []
    wanted = join.serving("node-1", "192.0.2.1")
    guard.start(
        join.keep_fresh(api, wanted, tmp_path, clock=clock, use=used.append), name="renewal"
    )
    await clock.run_for(60)
    assert (len(used), signer.signed) == (1, 1)
    facts = pki.read_certificate(used[0].cert_pem)
    assert facts.subject.common_name == "system:node:node-1"
    assert (tmp_path / "server.key").stat().st_mode & 0o777 == 0o600
    for days, signed in ((199, 1), (60, 2)):
        clock.jump(86400 * days)  # a year, an hour at a time, would be long
        await clock.run_for(86400)
        assert signer.signed == signed
    assert used[-1].cert_pem != used[0].cert_pem
    await guard.close()


async def test_a_node_that_moved_asks_for_its_new_address(tmp_path: Path) -> None:
    clock, api = FakeClock(), FakeApi()
    Signer(api, clock)
    pair = await obtained(api, join.serving("n", "192.0.2.1"), tmp_path, clock)
    assert not join.due(pair, join.serving("n", "192.0.2.1"), clock)
    assert join.due(pair, join.serving("n", "192.0.2.2"), clock)


async def test_a_killed_request_is_found_again(tmp_path: Path) -> None:
    clock, api = FakeClock(), FakeApi()
    wanted = join.serving("n", "192.0.2.1")
    guard = TaskGuard("test")
    guard.start(join.obtain(api, wanted, tmp_path, clock=clock), name="first")
    await clock.run_for(5)
    await guard.close()
    signer = Signer(api, clock)  # approves what is there
    pair = await obtained(api, wanted, tmp_path, clock)
    assert signer.signed == 1
    assert pki.matches_key(pair)


async def test_killed_before_the_certificate_was_stored(tmp_path: Path) -> None:
    """A bootstrap token may be good for one request only."""
    clock, api = FakeClock(), FakeApi()
    signer = Signer(api, clock)
    wanted = join.serving("n", "192.0.2.1")
    lost = await obtained(api, wanted, tmp_path, clock)
    pair = await obtained(api, wanted, tmp_path, clock)
    assert pair == lost and signer.signed == 1
    pki.store(pair, tmp_path, wanted.name)
    renewed = await obtained(api, wanted, tmp_path, clock)
    assert renewed.key_pem != pair.key_pem


async def test_a_denied_request_says_why(tmp_path: Path) -> None:
    clock, api = FakeClock(), FakeApi()
    signer = Signer(api, clock)
    signer.deny = True
    with pytest.raises(PermanentError, match="was denied: no"):
        await obtained(api, join.serving("n", "192.0.2.1"), tmp_path, clock)


def test_access_of_a_node_that_has_joined(tmp_path: Path) -> None:
    assert join.existing_access(tmp_path / "nothing") is None
    clock = FakeClock()
    ca = pki.create_ca("test", clock=clock)
    pair = pki.issue(ca, common_name="system:node:n", client=True, clock=clock)
    pki.store(pair, tmp_path, "client")
    (tmp_path / "ca.crt").write_bytes(ca.cert_pem)
    (tmp_path / "server").write_text("https://192.0.2.1:6443\n")
    access = join.existing_access(tmp_path)
    assert access is not None and access.server == "https://192.0.2.1:6443"
    join.write_kubeconfig(tmp_path / "kubeconfig", access.server, tmp_path)
    given = join.given_access(tmp_path / "kubeconfig")
    assert (given.server, given.ca_pem, given.joined) == (access.server, ca.cert_pem, False)


def test_condition_type_is_api() -> None:
    status = node_status(IDENTITY, NodeObserved(), previous=(), now=NOW)
    assert all(isinstance(c, NodeCondition) for c in status.conditions)


async def test_a_machine_that_waits_too_long_is_told_what_may_be_wrong(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, api = FakeClock(), FakeApi()
    async with TaskGuard("test") as guard:
        wanted = join.serving("n", "192.0.2.1")
        guard.start(join.obtain(api, wanted, tmp_path, clock=clock), name="join")
        await clock.run_for(15)
        assert "still not approved" not in caplog.text
        await clock.run_for(15)
        assert caplog.text.count("still not approved") == 1
        assert "choose another --node-name" in caplog.text


def test_annotations_that_every_node_has() -> None:
    made = identity(load([], {}), FAKE_ENGINE, name="n1", address="192.0.2.1")
    assert made.annotations.items() >= {
        ("node.alpha.kubernetes.io/ttl", "0"),
        ("volumes.kubernetes.io/controller-managed-attach-detach", "true"),
    }
