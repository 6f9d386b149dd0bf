"""A node's signs of life against a real server, with the rights of a node, as kubectl shows them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio

from agent.containers.runtime import DockerRuntime
from agent.node import engineless
from agent.node.heartbeat import Heartbeat
from agent.node.nodeevents import NodeEvents
from agent.node.nodestatus import NodeIdentity, NodeObserved
from api.client import HttpClient
from api.core import Node, Taint
from api.events import EventRecorder
from api.informer import Informer
from base import pki
from base.clock import SystemClock
from base.tasks import TaskGuard
from tests.integration.apiserver.conftest import Server
from tests.patience import eventually
from tests.unit.agent.test_node import IDENTITY


@dataclass
class Living:
    """A node without containers."""

    server: Server
    name: str
    heartbeat: Heartbeat
    recorder: EventRecorder
    observed: NodeObserved

    async def holds(self, words: str) -> None:
        """`kubectl describe node` says so, before long."""

        async def said() -> bool:
            await self.recorder.flush()
            return words in self.server.kubectl("describe", "node", self.name).stdout

        await eventually(said)

    def path(self, path: str) -> str:
        return self.server.kubectl("get", "node", self.name, f"-ojsonpath={{{path}}}").stdout


class Nodes:
    """Makes nodes, and ends them."""

    def __init__(self, server: Server, guard: TaskGuard) -> None:
        self.server = server
        self.guard = guard
        self.clients: list[HttpClient] = []

    def client(self, name: str) -> HttpClient:
        """With the rights of this node."""
        pair = pki.issue(
            self.server.ca,
            common_name=f"system:node:{name}",
            organizations=["system:nodes"],
            client=True,
            clock=SystemClock(),
        )
        client = HttpClient(self.server.url, ssl_context=self.server.context(pair), user_agent="t")
        self.clients.append(client)
        return client

    def make(self, identity: NodeIdentity) -> Living:
        clock, name = SystemClock(), identity.name
        client = self.client(name)
        recorder = EventRecorder(client, "kubelet", name, clock=clock)
        heartbeat = Heartbeat(
            client,
            identity,
            observe=lambda: living.observed,
            events=NodeEvents(recorder, name),
            clock=clock,
            guard=self.guard,
        )
        living = Living(self.server, name, heartbeat, recorder, NodeObserved())
        informer = Informer(client, Node, clock=clock)
        informer.subscribe(lambda old, new: None if new is None else heartbeat.seen(new))
        for work, what in (
            (recorder.run(), "events"),
            (self._live(heartbeat), "heartbeat"),
            (informer.run(), "nodes"),
        ):
            self.guard.start(work, name=f"{what} of {name}")
        return living

    async def _live(self, heartbeat: Heartbeat) -> None:
        await heartbeat.register_patiently()
        self.guard.start(heartbeat.renew_forever(), name="lease")
        await heartbeat.report_forever()


@pytest_asyncio.fixture
async def nodes(server: Server) -> AsyncIterator[Nodes]:
    guard = TaskGuard("nodes")
    made = Nodes(server, guard)
    yield made
    await guard.close()
    for client in made.clients:
        await client.close()


def named(name: str) -> NodeIdentity:
    return replace(IDENTITY, name=name, labels={"kubernetes.io/hostname": name})


async def test_what_describe_says_of_a_node(nodes: Nodes) -> None:
    taint = Taint(key="dedicated", value="storage", effect="NoSchedule")
    node = nodes.make(replace(named("told"), taints=(taint,)))
    await node.holds("Node told status is now: NodeHasSufficientMemory")
    words = nodes.server.kubectl("describe", "node", "told").stdout
    for expected in (
        "Taints:             dedicated=storage:NoSchedule",
        "HolderIdentity:  told",
        "InternalIP:  192.0.2.1",
        "KubeletReady",
        "kubelet is posting ready status",
        "Allocated resources:",
    ):
        assert expected in words, words
    line = nodes.server.kubectl("get", "node", "told", "-L", "rack").stdout.splitlines()
    assert line[0].split() == ["NAME", "STATUS", "ROLES", "AGE", "VERSION", "RACK"]
    assert line[1].split()[1] == "Ready" and len(line[1].split()) == 5, "it has no rack"

    nodes.server.kubectl("cordon", "told")
    await node.holds("Node told status is now: NodeNotSchedulable")
    nodes.server.kubectl("uncordon", "told")
    await node.holds("Node told status is now: NodeSchedulable")
    node.observed = NodeObserved(pressures=frozenset({"DiskPressure"}))
    node.heartbeat.wake()
    await node.holds("Node told status is now: NodeHasDiskPressure")


async def test_a_node_that_somebody_writes_by_hand(nodes: Nodes) -> None:
    """Its name is all that it takes; the agent does the rest, and makes none by itself."""
    node = nodes.make(replace(named("by-hand"), registers=False))
    manifest = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "by-hand"}}
    nodes.server.kubectl("create", "-f-", input=json.dumps(manifest))

    async def ready() -> bool:
        return node.path('.status.conditions[?(@.type=="Ready")].status') == "True"

    await eventually(ready)
    assert node.path(".status.capacity.cpu") == IDENTITY.capacity["cpu"]
    assert node.path(".metadata.labels") == ""


async def test_a_resource_by_hand_and_a_node_that_comes_back(nodes: Nodes) -> None:
    node = nodes.make(named("again"))

    async def there() -> bool:
        return node.path(".status.nodeInfo.operatingSystem") == "linux"

    await eventually(there)
    patch = '[{"op": "add", "path": "/status/capacity/example.org~1dongle", "value": "4"}]'
    nodes.server.kubectl(
        "patch", "node", "again", "--subresource=status", "--type=json", "-p", patch
    )

    async def copied() -> bool:
        return node.path(r".status.allocatable.example\.org/dongle") == "4"

    await eventually(copied)
    uid = node.path(".metadata.uid")
    nodes.server.kubectl("delete", "node", "again")
    node.observed = NodeObserved(pressures=frozenset({"PIDPressure"}))
    node.heartbeat.wake()
    await eventually(there)
    assert node.path(".metadata.uid") != uid


async def test_an_agent_whose_engine_is_away(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engineless, "ENGINE_PATIENCE", 0.1)
    manifest = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "no-engine"}}
    nodes.server.kubectl("create", "-f-", input=json.dumps(manifest))
    clock = SystemClock()
    runtime = DockerRuntime("unix:///nonexistent/docker.sock", clock=clock)
    waiting = engineless.wait_for_engine(
        runtime, nodes.client("no-engine"), "no-engine", clock=clock, guard=nodes.guard
    )
    nodes.guard.start(waiting, name="engine")

    async def said() -> bool:
        words = nodes.server.kubectl("describe", "node", "no-engine").stdout
        return "RuntimeDown" in words and "HolderIdentity:  no-engine" in words

    await eventually(said)
    assert "NotReady" in nodes.server.kubectl("get", "node", "no-engine").stdout
    await runtime.close()
