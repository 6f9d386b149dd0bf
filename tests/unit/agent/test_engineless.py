"""An agent that starts while its engine is away: what its Node says until then."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from agent.containers.errors import EngineUnavailable
from agent.containers.fake import FakeRuntime
from agent.containers.records import EngineInfo
from agent.node.engineless import wait_for_engine
from agent.node.nodestatus import NodeObserved, node_status
from api import conditions
from api.coordination import Lease
from api.core import Node, NodeCondition
from api.meta import ObjectMeta
from base.clock import FakeClock
from base.tasks import TaskGuard
from tests.unit.agent.builders import NOW
from tests.unit.agent.fakeapi import FakeApi
from tests.unit.agent.test_node import IDENTITY


class Away(FakeRuntime):
    """Refuses, or says nothing for a while and then fails, until it is there."""

    there = False
    silent = 0.0

    async def info(self) -> EngineInfo:
        if not self.there:
            if self.silent:
                await self.clock.sleep(self.silent)
            raise EngineUnavailable("connection refused" if not self.silent else "no answer")
        return await super().info()


@dataclass
class World:
    clock: FakeClock = field(default_factory=FakeClock)
    api: FakeApi = field(default_factory=FakeApi)
    guard: TaskGuard = field(default_factory=lambda: TaskGuard("test"))

    def __post_init__(self) -> None:
        self.engine = Away(self.clock)

    def start(self) -> None:
        self.waiting = self.guard.start(
            wait_for_engine(self.engine, self.api, "node-1", clock=self.clock, guard=self.guard),
            name="engine",
        )

    def known(self) -> None:
        status = node_status(IDENTITY, NodeObserved(), previous=(), now=NOW)
        self.api.put(Node(metadata=ObjectMeta(name="node-1"), status=status))

    def condition(self, type_: str) -> NodeCondition:
        node: Node = self.api.objects[Node, "", "node-1"]
        found = conditions.find(node.status.conditions, type_)
        assert found is not None
        return found

    def renewals(self) -> int:
        return sum(call[:2] == ("update", "Lease") for call in self.api.calls)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.guard.close()


async def test_an_engine_that_is_up_soon_is_nobodys_business(world: World) -> None:
    world.known()
    world.start()
    await world.clock.run_for(10)
    world.engine.there = True
    await world.clock.run_for(60)
    assert world.waiting.done() and world.waiting.result().version
    assert world.api.calls == []


async def test_a_node_says_why_it_is_not_ready_and_lives(world: World) -> None:
    world.known()
    world.start()
    await world.clock.run_for(100)
    ready = world.condition("Ready")
    assert (ready.status, ready.reason) == ("False", "RuntimeDown")
    assert ready.message == (
        "container runtime is down: connection refused. The agent itself works"
    )
    assert world.condition("RuntimeReady").status == "False"
    assert world.condition("MemoryPressure").status == "False", "of others nothing is known"
    assert world.api.objects[Node, "", "node-1"].status.capacity == IDENTITY.capacity
    lease = world.api.objects[Lease, "kube-node-lease", "node-1"]
    assert lease.spec.holder_identity == "node-1"
    assert lease.metadata.owner_references[0].uid == "uid-node-1"
    assert world.renewals() >= 7
    told = sum(call[:2] == ("patch", "Node") for call in world.api.calls)
    assert told == 1, "once is enough"

    world.engine.there = True
    await world.clock.run_for(5)
    assert world.waiting.done()
    renewed = world.renewals()
    await world.clock.run_for(60)
    assert world.renewals() == renewed, "from now on that is the heartbeat's affair"


async def test_one_that_takes_the_question_and_is_silent_is_stuck(world: World) -> None:
    world.known()
    world.engine.silent = 60.0
    world.start()
    await world.clock.run_for(30)
    assert world.condition("Ready").reason == "RuntimeStuck"
    await world.clock.run_for(40)
    assert world.condition("Ready").reason == "RuntimeStuck"
    assert "no answer" in world.condition("Ready").message


async def test_a_node_that_nobody_knows_has_nothing_to_say(world: World) -> None:
    world.start()
    await world.clock.run_for(60)
    assert world.api.objects == {}
    world.api.down = True
    await world.clock.run_for(60)
    world.api.down = False
    world.known()
    await world.clock.run_for(15)
    assert world.condition("Ready").reason == "RuntimeDown"
