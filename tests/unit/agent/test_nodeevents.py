"""What a node tells of itself as Events: the kubelet's reasons and words, each change once."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from agent.node.nodeevents import NodeEvents
from agent.node.nodestatus import NodeObserved
from api import objects
from api.core import Node, NodeSpec, NodeStatus, ObjectReference
from api.meta import ObjectMeta
from tests.unit.agent.test_node import IDENTITY, Beating, short

NEW = ["NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID"]


class Heard:
    """Keeps whom events were about."""

    def __init__(self) -> None:
        self.about: list[ObjectReference] = []

    def event(
        self, obj: ObjectReference, type_: str, reason: str, message: str, **_: object
    ) -> None:
        self.about.append(obj)


def test_they_are_about_the_name_so_that_describe_finds_them() -> None:
    """It looks for the node's uid and for its name as one, because kubelets know no uid yet."""
    heard = Heard()
    NodeEvents(heard, "node-1").tell("Starting", "Starting kubelet.")
    (about,) = heard.about
    assert (about.kind, about.name, about.uid, about.namespace) == ("Node", "node-1", "node-1", "")


async def test_a_new_node_tells_how_it_is_and_then_only_what_changes() -> None:
    beating = Beating()
    await beating.start()
    assert beating.recorder.reasons() == NEW
    assert beating.recorder.told[0] == (
        "Normal",
        "NodeHasSufficientMemory",
        "Node node-1 status is now: NodeHasSufficientMemory",
    )
    await beating.clock.run_for(700)
    assert beating.recorder.reasons() == NEW, "heartbeats are no news"

    beating.observed = short("MemoryPressure", "DiskPressure", "PIDPressure")
    await beating.clock.run_for(10)
    pressed = ["NodeHasInsufficientMemory", "NodeHasDiskPressure", "NodeHasInsufficientPID"]
    assert beating.recorder.reasons()[3:] == pressed
    beating.observed = NodeObserved()
    await beating.clock.run_for(10)
    assert beating.recorder.reasons()[6:] == NEW
    await beating.guard.close()


async def test_readiness_comes_and_goes() -> None:
    beating = Beating()
    beating.observed = NodeObserved(network_ready=False, network_error="not yet")
    await beating.start()
    assert "NodeNotReady" not in beating.recorder.reasons(), "it never was ready"
    beating.observed = NodeObserved()
    await beating.clock.run_for(10)
    assert beating.recorder.reasons()[3:] == ["NodeReady"]
    beating.observed = NodeObserved(engine_away_for=60)
    await beating.clock.run_for(10)
    assert beating.recorder.reasons()[4:] == ["NodeNotReady"]
    await beating.guard.close()


async def test_what_the_api_has_not_taken_is_told_when_it_has() -> None:
    beating = Beating()
    await beating.start()
    beating.api.down = True
    beating.observed = short("MemoryPressure")
    await beating.clock.run_for(60)
    assert beating.recorder.reasons() == NEW
    beating.api.down = False
    await beating.clock.run_for(20)
    assert beating.recorder.reasons()[3:] == ["NodeHasInsufficientMemory"]
    await beating.guard.close()


async def test_a_node_that_was_called_unknown_is_ready_again() -> None:
    beating = Beating()
    await beating.start()
    node = msgspec.json.decode(msgspec.json.encode(beating.node()), type=Node)
    next(c for c in node.status.conditions if c.type == "Ready").status = "Unknown"
    beating.heartbeat.seen(node)
    await beating.clock.run_for(1)
    assert beating.recorder.reasons()[3:] == ["NodeReady"]
    await beating.guard.close()


async def test_cordoned_and_not_any_more() -> None:
    beating = Beating()
    await beating.start()
    node = objects.copy(beating.node())
    node.spec.unschedulable = True
    for _ in range(2):
        beating.heartbeat.seen(node)
    node = objects.copy(node)
    node.spec.unschedulable = False
    beating.heartbeat.seen(node)
    assert beating.recorder.reasons()[3:] == ["NodeNotSchedulable", "NodeSchedulable"]
    other = objects.copy(node)
    other.metadata.name, other.spec.unschedulable = "node-2", True
    beating.heartbeat.seen(other)
    assert len(beating.recorder.told) == 5, "that is another node's affair"
    await beating.guard.close()


def existing(boot_id: str) -> Node:
    info = msgspec.structs.replace(IDENTITY.info, boot_id=boot_id)
    return Node(
        metadata=ObjectMeta(name="node-1"), spec=NodeSpec(), status=NodeStatus(node_info=info)
    )


async def test_a_machine_that_was_rebooted_says_so() -> None:
    beating = Beating()
    beating.heartbeat._identity = replace(
        IDENTITY, info=msgspec.structs.replace(IDENTITY.info, boot_id="second")
    )
    beating.api.put(existing("first"))
    await beating.start()
    assert beating.recorder.told[0] == (
        "Warning",
        "Rebooted",
        "Node node-1 has been rebooted, boot id: second",
    )
    await beating.heartbeat.register()
    assert beating.recorder.reasons().count("Rebooted") == 1, "the API knows by now"
    await beating.guard.close()


async def test_a_node_that_somebody_wrote_by_hand_was_not_rebooted() -> None:
    beating = Beating()
    beating.api.put(existing(""))
    await beating.start()
    assert "Rebooted" not in beating.recorder.reasons()
    await beating.guard.close()
