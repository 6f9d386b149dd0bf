"""Critical pods, and who makes room for them."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from agent.containers.script import Script
from agent.pod.preemption import CONDITION, MESSAGE, NotEnough, is_critical, outranks, victims
from api.core import ContainerPort, Pod, PodCondition
from api.pods import condition
from tests.unit.agent.builders import asks, guaranteed, make_pod, named
from tests.unit.agent.node import Node
from tests.unit.agent.test_admission import LACKS

CRITICAL = 2_000_000_000
MIB = 1024**2


TINY = named("tiny")
LOW = named("low", asks(cpu="100m", memory="100Mi"))
HIGH = named("high", asks(cpu="300m", memory="300Mi"))
SURE = named("sure", guaranteed("100m", "100Mi"))
SURER = named("surer", guaranteed("300m", "300Mi"))
ALL = [TINY, LOW, HIGH, SURE, SURER]


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ({"memory": 100 * MIB}, ["low"]),
        ({"memory": 150 * MIB}, ["high"]),
        ({"memory": 300 * MIB}, ["high"]),
        ({"memory": 350 * MIB}, ["high", "low"]),
        ({"memory": 450 * MIB}, ["high", "low", "sure"]),
        ({"memory": 550 * MIB}, ["high", "surer"]),
        ({"memory": 800 * MIB}, ["high", "low", "surer", "sure"]),
        ({"cpu": 50}, ["low"]),
        ({"cpu": 300, "memory": 50 * MIB}, ["high"]),
        ({"pods": 1}, ["tiny"]),
        ({"pods": 2}, ["tiny", "low"]),
        ({"pods": 1, "memory": 100 * MIB}, ["low"]),
        ({}, []),
    ],
)
def test_few_of_the_least_class(missing: dict[str, int], expected: list[str]) -> None:
    chosen = [pod.metadata.name for pod in victims(ALL, missing)]
    assert sorted(chosen) == sorted(expected)


def test_not_enough() -> None:
    with pytest.raises(NotEnough) as caught:
        victims([LOW, SURE], {"cpu": 300, "memory": 50 * MIB})
    words = "no set of running pods found to reclaim resources: [(res: cpu, q: 100), ]"
    assert caught.value.message == words


def test_who_is_critical() -> None:
    assert is_critical(named("a"), static=True)
    assert is_critical(named("a", priority=CRITICAL), static=False)
    assert not is_critical(named("a", priority=CRITICAL - 1), static=False)
    assert not is_critical(named("a"), static=False)


@pytest.mark.parametrize(
    ("mine", "its", "critical", "other_critical", "expected"),
    [
        (CRITICAL, 5, True, False, True),
        (None, 5, True, False, True),
        (CRITICAL, CRITICAL, True, True, False),
        (CRITICAL + 1000, CRITICAL, True, True, True),
        (None, CRITICAL, True, True, False),
        (CRITICAL, None, True, True, False),
    ],
)
def test_who_may_be_ended(
    mine: int | None, its: int | None, critical: bool, other_critical: bool, expected: bool
) -> None:
    pod, other = named("a", priority=mine), named("b", priority=its)
    assert outranks(pod, other, critical=critical, other_critical=other_critical) is expected


# On a node.


def target(node: Node, uid: str) -> PodCondition | None:
    return condition(node.api.pod(uid), "DisruptionTarget")


async def test_a_critical_pod_makes_room_and_waits_for_it(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.runtime.scripts["web"] = Script(term_seconds=5)
    await node.boot()
    for uid, cpu in (("small", "500m"), ("large", "1"), ("other", "500m")):
        node.api.put(named(uid, asks(cpu=cpu), priority=7))
    await node.run(2)
    node.api.put(named("urgent", asks(cpu="800m"), priority=CRITICAL))
    await node.run(3)
    assert node.told("urgent") == ("", ""), "nothing of it runs beside the one that ends"
    found = target(node, "large")
    assert found is not None
    assert (found.status, found.reason) == ("True", "TerminationByKubelet")
    assert found.message == CONDITION
    assert node.told("large") == ("Running", ""), "it gets its grace period"
    node.api.put(named("late", asks(cpu="200m")))  # waits: nobody may take what becomes free
    await node.run(2)
    assert node.told("late") == ("", "")
    await node.run(1.2)
    assert node.told("urgent") == node.told("late") == ("Running", ""), "at once"
    assert node.told("large") == ("Failed", "Preempting")
    assert node.api.pod("large").status.message == MESSAGE
    assert node.recorder.messages("Preempting") == [MESSAGE]
    for uid in ("small", "other", "urgent", "late"):
        assert node.told(uid) == ("Running", ""), uid
    assert node.manager.room.preemptions == {"cpu": 1}
    await node.kill()


async def test_nobody_is_ended_in_vain(tmp_path: Path) -> None:
    node = Node(tmp_path)
    await node.boot()
    node.api.put(named("first", asks(cpu="1500m"), priority=CRITICAL))
    port = [ContainerPort(container_port=80, host_port=80)]
    node.api.put(named("plain", replace(asks(cpu="500m"), ports=port), priority=7))
    await node.run(2)
    node.api.put(named("large", asks(cpu="600m"), priority=CRITICAL))
    node.api.put(named("clash", replace(asks(cpu="1"), ports=port), priority=CRITICAL))
    await node.run(5)
    status = node.api.pod("large").status
    assert (status.phase, status.reason) == ("Failed", "UnexpectedAdmissionError")
    assert status.message == (
        "Pod was rejected: Unexpected error while attempting to recover from admission failure: "
        "preemption: error finding a set of pods to preempt: "
        "no set of running pods found to reclaim resources: [(res: cpu, q: 100), ]"
    )
    assert node.told("clash") == ("Failed", "NodePorts")
    assert node.told("plain") == node.told("first") == ("Running", "")
    await node.kill()


async def test_others_of_a_high_priority_are_turned_away(tmp_path: Path) -> None:
    node = Node(tmp_path)
    await node.boot()
    node.api.put(named("low", asks(cpu="2"), priority=0))
    await node.run(2)
    node.api.put(named("high", asks(cpu="1"), priority=CRITICAL - 1))
    await node.run(5)
    assert node.told("high") == ("Failed", "OutOfcpu"), "that is for the scheduler to do"
    assert node.told("low") == ("Running", "")
    await node.kill()


async def test_a_static_pod_makes_room_without_the_api(tmp_path: Path) -> None:
    node = Node(tmp_path)
    await node.boot()
    node.api.put(named("plain", asks(cpu="2")))
    await node.run(2)
    await node.manager.agent.checkpoints.flush()
    await node.kill()
    await node.boot(api=None)
    node.manager.set_static({"static": named("static", asks(cpu="1"))})
    await node.run(5)
    assert node.names() == ["POD", "web"], "the pod that runs may be gone in the API's list"
    node.manager.trust_checkpoints()
    await node.run(5)
    assert node.recorder.messages("Preempting") == [MESSAGE]
    running = {record.labels["io.kubernetes.pod.uid"] for record in node.containers()}
    assert running == {"static"}
    await node.kill()


async def test_a_pod_that_hangs_does_not_keep_a_critical_one_out(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.runtime.scripts["web"] = [Script(ignores_term=True, run_for=10_000), Script()]
    await node.boot()
    node.api.put(named("hangs", asks(cpu="2"), termination_grace_period_seconds=400))
    await node.run(2)
    node.api.put(named("urgent", asks(cpu="1"), priority=CRITICAL))
    await node.run(100)
    assert node.told("urgent") == ("", "")
    node.api.remove(Pod, "urgent", "ns")
    await node.run(1)
    assert set(node.manager.workers) == {"hangs"}, "whoever does not want it any more need not wait"
    node.api.put(named("urgent2", asks(cpu="1"), priority=CRITICAL))
    await node.run(700)
    assert node.told("urgent2") == ("Running", "")
    assert node.told("hangs") == ("Failed", "Preempting")
    await node.kill()


async def test_the_pod_that_is_one_too_many(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.allocatable["pods"] = "2"
    await node.boot()
    node.api.put(named("best-effort"))
    node.api.put(named("burstable", asks(cpu="100m")))
    await node.run(2)
    node.api.put(make_pod(priority=CRITICAL))
    await node.run(5)
    assert node.told("best-effort") == ("Failed", "Preempting")
    assert node.told("burstable") == node.told("pod") == ("Running", "")
    assert not [words for words in node.recorder.messages("OutOfpods") if LACKS in words]
    await node.kill()


async def test_a_worker_that_crashed_still_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(tmp_path)
    node.runtime.scripts["web"] = Script(term_seconds=5)
    await node.boot()
    node.api.put(make_pod())
    await node.run(2)
    (worker,) = node.manager.workers.values()
    worker.preempt()
    await node.run(1)
    monkeypatch.setattr(worker, "_step", lambda: 1 / 0)
    worker.wake()
    await node.run(20)
    assert node.manager.statistics()["worker_crashes"] == 1
    assert node.told("pod") == ("Failed", "Preempting")
    await node.kill()
