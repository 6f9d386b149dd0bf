"""Containers that ended, and how many of them a node keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.containers.records import ContainerId
from agent.containers.script import Script
from agent.node.containergc import Dead, choose
from agent.node.housekeeping import Housekeeper, Limits
from agent.node.nodeevents import NodeEvents
from agent.pod.lookup import Pods
from agent.spec.facts import DeadLimits
from api.errors import ApiError
from tests.unit.agent.builders import container, make_pod, named
from tests.unit.agent.node import Node
from tests.unit.agent.test_housekeeping import Machine


def dead(id: str, ended_ago: float, *, followed: bool = False, finished: bool = False) -> Dead:
    return Dead(
        uid="uid",
        container="web",
        id=ContainerId(id),
        ended_ago=ended_ago,
        followed=followed,
        finished=finished,
    )


ALL = [
    dead("old", 50, followed=True),
    dead("older", 60, followed=True),
    dead("needed", 100),
    dead("done", 80, finished=True),
    dead("long done", 90, finished=True),
    dead("just done", 1, finished=True),
]


@pytest.mark.parametrize(
    ("most", "least_age", "expected"),
    [
        (6, 0, []),
        (5, 0, ["older"]),
        (4, 0, ["older", "old"]),
        (3, 0, ["older", "old", "long done"]),
        (0, 0, ["older", "old", "long done", "done", "just done"]),
        (0, 10, ["older", "old", "long done", "done"]),
        (0, 85, ["long done"]),
    ],
)
def test_which_go(most: int, least_age: float, expected: list[str]) -> None:
    assert [one.id for one in choose(ALL, most=most, least_age=least_age)] == expected


async def node_with(tmp_path: Path, limits: DeadLimits) -> tuple[Node, Housekeeper]:
    scripts = {"done": Script(run_for=1, exit_code=4), "crash": Script(run_for=1, exit_code=1)}
    node = Node(tmp_path, scripts=scripts)
    node.dead_limits = limits
    await node.boot()
    machine = Machine()
    keeper = Housekeeper(
        node.manager,
        machine,
        machine,
        node.runtime,
        Limits(),
        events=NodeEvents(node.recorder, "node"),
        clock=node.clock,
        changed=machine.changed,
    )
    node.guard.start(keeper.run(), name="housekeeping")
    return node, keeper


async def test_a_node_keeps_so_many_and_what_goes_on_keeps_its_own(tmp_path: Path) -> None:
    node, keeper = await node_with(tmp_path, DeadLimits(in_all=1))
    for number in range(3):
        node.api.put(named(f"done-{number}", container("done"), policy="Never"))
    node.api.put(named("crashing", container("crash"), container("web")))
    await node.run(130)
    assert node.containers("done") == []
    assert len(node.containers("crash")) >= 1
    assert keeper.statistics()["containers_removed"] == 3
    for number in range(3):
        status = node.api.pod(f"done-{number}").status
        ended = status.container_statuses[0].state.terminated
        assert status.phase == "Failed" and ended is not None and ended.exit_code == 4
        with pytest.raises(ApiError, match="is gone"):
            Pods(node.manager).find("ns", f"done-{number}", "done")
    await node.kill()


async def test_without_a_bound_finished_pods_keep_their_logs(tmp_path: Path) -> None:
    node, keeper = await node_with(tmp_path, DeadLimits())
    pod = make_pod(container("done"), policy="Never")
    node.api.put(pod)
    await node.run(600)
    assert len(node.containers("done")) == 1
    assert Pods(node.manager).find("ns", "pod", "done") == node.containers("done")[0].id
    assert keeper.statistics()["containers_removed"] == 0
    await node.kill()


async def test_several_previous_containers_are_kept_if_so_set(tmp_path: Path) -> None:
    node, _ = await node_with(tmp_path, DeadLimits(each=3))
    node.api.put(make_pod(container("crash")))
    await node.run(300)
    assert len([r for r in node.containers("crash") if not r.running]) == 3
    await node.kill()
