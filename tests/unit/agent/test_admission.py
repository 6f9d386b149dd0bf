"""Pods that the node does not take, in the kubelet's words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.containers.script import Script
from agent.pod.admission import Fit, Taken, counted, look
from agent.pod.observed import Refusal
from api.core import (
    Affinity,
    Container,
    ContainerPort,
    NodeAffinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    NodeSpec,
    NodeStatus,
    Pod,
    Taint,
    Toleration,
)
from api.core import (
    Node as ApiNode,
)
from api.meta import ObjectMeta
from tests.unit.agent.builders import asks, container, make_pod, named
from tests.unit.agent.node import Node
from tests.unit.agent.test_node import IDENTITY

ALLOCATABLE = {"cpu": "2", "memory": "4Gi", "ephemeral-storage": "10Gi", "pods": "3"}
DRAINED = Taint(key="example.com/drained", effect="NoExecute")
FULL = Taint(key="example.com/full", effect="NoSchedule")


def opens(port: int, ip: str = "") -> Container:
    return container(ports=[ContainerPort(container_port=80, host_port=port, host_ip=ip)])


def api_node(*taints: Taint, **labels: str) -> ApiNode:
    return ApiNode(
        metadata=ObjectMeta(name="node", labels=labels),
        spec=NodeSpec(taints=list(taints)),
        status=NodeStatus(
            node_info=IDENTITY.info,
            allocatable={**ALLOCATABLE, "cpu": "64", "example.com/dongle": "1"},
        ),
    )


def on_a_disk(kind: str) -> Affinity:
    term = NodeSelectorTerm(
        match_expressions=[NodeSelectorRequirement(key="disk", operator="In", values=[kind])]
    )
    return Affinity(
        node_affinity=NodeAffinity(
            required_during_scheduling_ignored_during_execution=NodeSelector(
                node_selector_terms=[term]
            )
        )
    )


def fit(pod: Pod, *, node: ApiNode | None, others: Sequence[Pod], static: bool = False) -> Fit:
    there = counted(node, ALLOCATABLE)
    return look(pod, node=node, there=there, taken=Taken.by(others), static=static)


def refusal(pod: Pod, **beside: Any) -> Refusal | None:
    return fit(pod, **beside).refusal


OTHERS = [named("a", asks(cpu="1500m", memory="1Gi")), named("b", opens(8080))]
LACKS = "Node didn't have enough resource: "
AFFINITY = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
PORTS = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
TAINT = "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"


@pytest.mark.parametrize(
    ("pod", "reason", "message"),
    [
        (
            make_pod(asks(cpu="2")),
            "OutOfcpu",
            LACKS + "cpu, requested: 2000, used: 1500, capacity: 2000",
        ),
        (
            make_pod(asks(cpu="2", memory="9Gi")),
            "OutOfcpu",
            LACKS + "cpu, requested: 2000, used: 1500, capacity: 2000",
        ),
        (
            make_pod(asks(memory="4Gi")),
            "OutOfmemory",
            LACKS + "memory, requested: 4294967296, used: 1073741824, capacity: 4294967296",
        ),
        (
            make_pod(asks(ephemeral_storage="11Gi")),
            "OutOfephemeral-storage",
            LACKS + "ephemeral-storage, requested: 11811160064, used: 0, capacity: 10737418240",
        ),
        (
            make_pod(asks(example__dongle="2")),
            "OutOfexample.com/dongle",
            LACKS + "example.com/dongle, requested: 2, used: 0, capacity: 1",
        ),
        (
            make_pod(asks(hugepages_2Mi="2Mi")),
            "OutOfhugepages-2Mi",
            LACKS + "hugepages-2Mi, requested: 2097152, used: 0, capacity: 0",
        ),
        (make_pod(node_selector={"disk": "hdd"}), "NodeAffinity", AFFINITY),
        (make_pod(affinity=on_a_disk("hdd")), "NodeAffinity", AFFINITY),
        (make_pod(opens(8080)), "NodePorts", PORTS),
        (make_pod(opens(8080, "192.0.2.1")), "NodePorts", PORTS),
        (make_pod(asks(cpu="1"), node_selector={"disk": "hdd"}), "OutOfcpu", None),
    ],
)
def test_turned_away(pod: Pod, reason: str, message: str | None) -> None:
    found = refusal(pod, node=api_node(disk="ssd"), others=OTHERS)
    assert found is not None
    assert (found.reason, found.rejected) == (reason, True)
    assert message is None or found.told == f"Pod was rejected: {message}"


@pytest.mark.parametrize(
    "pod",
    [
        make_pod(asks(cpu="500m", memory="3Gi")),
        make_pod(asks(example__dongle="1")),
        make_pod(asks(example__unheard="5")),
        make_pod(node_selector={"disk": "ssd"}, affinity=on_a_disk("ssd")),
        make_pod(opens(8081)),
    ],
)
def test_let_in(pod: Pod) -> None:
    assert refusal(pod, node=api_node(disk="ssd"), others=OTHERS) is None


def test_one_pod_too_many() -> None:
    others = [*OTHERS, named("c")]
    found = refusal(make_pod(), node=None, others=others)
    assert found is not None and found.reason == "OutOfpods"
    assert found.message == LACKS + "pods, requested: 1, used: 3, capacity: 3"


def test_taints() -> None:
    def reason(pod: Pod, *taints: Taint, static: bool = False) -> str:
        found = refusal(pod, node=api_node(*taints), others=(), static=static)
        return found.told if found is not None else ""

    assert reason(make_pod(), FULL, DRAINED) == f"Pod was rejected: {TAINT}"
    assert reason(make_pod(), FULL) == "", "only the scheduler minds it"
    assert reason(make_pod(), DRAINED, static=True) == ""
    assert reason(make_pod(tolerations=[Toleration(operator="Exists")]), DRAINED) == ""


def test_all_that_lacks_is_counted() -> None:
    large = make_pod(asks(cpu="1", memory="4Gi"), node_selector={"disk": "hdd"})
    found = fit(large, node=api_node(), others=[*OTHERS, named("c")])
    assert [(each.resource, each.missing) for each in found.short] == [
        ("pods", 1),
        ("cpu", 500),
        ("memory", 1024**3),
    ]
    assert found.misfit is not None and found.misfit.reason == "NodeAffinity"
    assert found.refusal is not None and found.refusal.reason == "OutOfpods"


def test_without_the_nodes_object_its_labels_are_not_judged() -> None:
    pod = make_pod(node_selector={"disk": "hdd"})
    assert refusal(pod, node=None, others=()) is None


# On a node.


async def test_of_two_that_come_together_one_is_let_in(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.api.put(named("one", asks(cpu="1500m")))
    node.api.put(named("two", asks(cpu="1500m")))
    await node.boot()
    await node.run(5)
    assert sorted([node.told("one"), node.told("two")]) == [
        ("Failed", "OutOfcpu"),
        ("Running", ""),
    ]
    words = LACKS + "cpu, requested: 1500, used: 1500, capacity: 2000"
    assert node.recorder.messages("OutOfcpu") == [words]
    assert node.names() == ["POD", "web"]
    assert node.manager.room.rejections == {"OutOfcpu": 1}
    await node.kill()


async def test_one_that_was_refused_takes_no_room(tmp_path: Path) -> None:
    node = Node(tmp_path)
    await node.boot()
    node.api.put(named("large", asks(cpu="3")))
    await node.run(5)
    node.api.put(named("small", asks(cpu="2")))
    await node.run(5)
    assert node.told("large") == ("Failed", "OutOfcpu")
    assert node.told("small") == ("Running", "")
    await node.kill()


async def test_the_room_of_one_that_has_ended_is_free(tmp_path: Path) -> None:
    node = Node(tmp_path)
    await node.boot()
    node.api.put(named("job", asks(cpu="2"), policy="Never"))
    await node.run(1)
    node.api.put(named("next", asks(cpu="2")))
    await node.run(0.5)
    node.runtime.end(node.containers("web")[0].id)
    await node.run(5)
    assert node.told("job") == ("Succeeded", "")
    assert node.told("next") == ("Running", ""), "its scheduler saw the end before the agent did"
    await node.kill()


async def test_an_agent_that_is_started_anew_refuses_none_that_it_had_let_in(
    tmp_path: Path,
) -> None:
    node = Node(tmp_path)
    await node.boot()
    node.api.put(named("old", asks(cpu="2")))
    await node.run(2)
    await node.manager.agent.checkpoints.flush()
    await node.kill()
    node.allocatable = {"cpu": "1", "memory": "4Gi"}
    node.api.put(named("a-new-one", asks(cpu="1")))
    await node.boot()
    await node.run(5)
    assert node.told("old") == ("Running", "")
    assert node.told("a-new-one") == ("Failed", "OutOfcpu")
    await node.kill()


async def test_labels_that_the_agent_sees_a_moment_later(tmp_path: Path) -> None:
    node = Node(tmp_path)
    await node.boot()
    node.own = api_node()
    node.api.put(named("picky", container(), node_selector={"disk": "ssd"}))
    await node.run(0.5)
    node.own = api_node(disk="ssd")
    await node.run(2)
    assert node.told("picky") == ("Running", "")
    node.api.put(named("other", container(), node_selector={"disk": "hdd"}))
    await node.run(3)
    assert node.told("other") == ("Failed", "NodeAffinity")
    assert node.api.pod("other").status.message == f"Pod was rejected: {AFFINITY}"
    await node.kill()


async def test_the_oldest_is_decided_on_first(tmp_path: Path) -> None:
    """After a start of the agent all ask at once, in the order of the API's list."""
    node = Node(tmp_path)
    for second, uid in enumerate(("last", "middle", "first")):
        pod = named(uid, asks(cpu="900m"))
        pod.metadata.creation_timestamp = f"2026-01-01T11:59:{50 - second}Z"
        node.api.put(pod)
    await node.boot()
    await node.run(1)
    assert [node.told(uid)[0] for uid in ("first", "middle")] == ["Running", "Running"]
    await node.run(2)
    assert node.told("last") == ("Failed", "OutOfcpu")
    assert sorted(node.names()) == ["POD", "POD", "web", "web"]
    await node.kill()


async def test_one_that_is_refused_keeps_nothing_free_for_itself(tmp_path: Path) -> None:
    node = Node(tmp_path)
    huge, small = named("huge", asks(cpu="3")), named("small", asks(cpu="2"))
    huge.metadata.creation_timestamp = "2026-01-01T11:00:00Z"
    small.metadata.creation_timestamp = "2026-01-01T11:30:00Z"
    node.api.put(small)
    node.api.put(huge)
    await node.boot()
    await node.run(1.1)
    assert node.told("huge") == ("Failed", "OutOfcpu")
    assert node.told("small") == ("Running", ""), "at once, and not with its own second look"
    await node.kill()


async def test_room_that_comes_free_is_taken_at_once(tmp_path: Path) -> None:
    node = Node(tmp_path)
    await node.boot()
    node.api.put(named("job", asks(cpu="2"), policy="Never"))
    await node.run(1)
    node.api.put(named("next", asks(cpu="2")))
    await node.run(0.2)
    assert node.manager.statistics()["waiting_for_room"] == 1
    node.runtime.end(node.containers("web")[0].id)
    await node.run(0.2)
    assert node.told("next") == ("Running", "")
    assert node.manager.statistics()["waiting_for_room"] == 0
    await node.kill()


async def test_a_pod_that_ends_counts_until_nothing_of_it_runs(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.runtime.scripts["web"] = Script(term_seconds=20)
    await node.boot()
    node.api.put(named("leaving", asks(cpu="2")))
    await node.run(1)
    node.api.delete_gracefully("leaving", "ns", stamp="2026-01-01T12:00:30Z", grace=30)
    await node.run(1)
    node.api.put(named("early", asks(cpu="1")))
    await node.run(3)
    assert node.told("early") == ("Failed", "OutOfcpu")
    await node.run(30)
    node.api.put(named("late", asks(cpu="2")))
    await node.run(1)
    assert node.told("late") == ("Running", "")
    await node.kill()


async def test_nobody_is_thrown_out_for_what_changes_later(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.own = api_node(disk="ssd")
    await node.boot()
    node.api.put(named("picky", asks(cpu="1"), node_selector={"disk": "ssd"}))
    await node.run(2)
    node.own = api_node(DRAINED, disk="hdd")
    node.api.put(node.api.pod("picky"))
    await node.run(5)
    await node.kill()
    node.allocatable = {"cpu": "500m", "memory": "1Gi"}
    await node.boot()
    await node.run(5)
    assert node.told("picky") == ("Running", "")
    assert len(node.runtime.calls) == 4, "nothing was stopped, and nothing made anew"
    await node.kill()


async def test_a_worker_that_crashed_gives_no_place_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(tmp_path)
    await node.boot()
    node.api.put(named("unlucky", asks(cpu="2")))
    await node.run(0)
    worker = node.manager.workers["unlucky"]
    monkeypatch.setattr(worker, "_step", lambda: 1 / 0)
    worker.wake()
    await node.run(1)
    node.api.put(named("other", asks(cpu="1")))
    await node.run(60)
    assert node.manager.statistics()["worker_crashes"] == 1
    assert node.told("unlucky") == ("Running", "")
    assert node.told("other") == ("Failed", "OutOfcpu")
    await node.kill()


async def test_a_pod_that_is_deleted_while_it_waits_holds_nothing(tmp_path: Path) -> None:
    node = Node(tmp_path)
    await node.boot()
    node.api.put(named("large", asks(cpu="3")))
    await node.run(0.2)
    node.api.remove(Pod, "large", "ns")
    await node.run(1)
    assert not node.manager.workers
    assert "OutOfcpu" not in {reason for _, reason, _ in node.recorder.told}
    await node.kill()


async def test_labels_that_are_not_known_yet_are_waited_for(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.api.put(named("picky", asks(cpu="1"), node_selector={"disk": "ssd"}))
    node.api.put(named("plain", asks(cpu="1")))
    await node.boot()
    await node.run(0.5)
    assert node.told("plain") == ("Running", "")
    assert node.told("picky") == ("", "")
    node.own = api_node(disk="hdd")
    await node.run(3)
    assert node.told("picky") == ("Failed", "NodeAffinity")
    await node.kill()


async def test_without_the_api_checkpoints_tell_who_was_there(tmp_path: Path) -> None:
    node = Node(tmp_path)
    await node.boot()
    node.api.put(named("old", asks(cpu="2")))
    await node.run(2)
    await node.manager.agent.checkpoints.flush()
    await node.kill()
    await node.boot(api=None)
    ports = named("ports", opens(80))
    node.manager.set_static({"static": named("static", opens(80)), "ports": ports})
    await node.run(10)
    assert "ports" in node.manager.workers, "nobody knows yet who else was let in"
    assert node.recorder.messages("NodePorts") == []
    node.manager.trust_checkpoints()
    await node.run(3)
    assert node.recorder.messages("NodePorts") == [PORTS]
    assert sorted(node.names()) == ["POD", "POD", "web", "web"]
    await node.kill()


async def test_its_own_reason_is_what_people_see_of_it(tmp_path: Path) -> None:
    """`kubectl get` would show what an init container waits for, if it were told of one."""
    node = Node(tmp_path)
    await node.boot()
    node.api.put(named("large", asks(cpu="3"), inits=[container("init")]))
    await node.run(3)
    for _ in range(2):  # another agent changes nothing about it
        refused = node.api.pod("large").status
        assert (refused.phase, refused.reason) == ("Failed", "OutOfcpu")
        assert refused.start_time and refused.qos_class == "Burstable"
        assert (refused.init_container_statuses, refused.container_statuses) == ([], [])
        await node.kill()
        await node.boot()
        await node.run(3)
    await node.kill()
