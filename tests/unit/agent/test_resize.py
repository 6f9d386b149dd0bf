"""Other amounts for a pod that runs: admitted when there is room, given in place, remembered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.containers.records import ContainerId, InForce
from agent.containers.script import Script
from agent.pod.allocation import Answer, judge, loosest
from agent.resources.values import CpuMemory
from api import conditions, objects
from api.core import ContainerResizePolicy, Pod, ResourceRequirements
from tests.unit.agent.builders import container, make_pod, named
from tests.unit.agent.node import Node

ALLOCATABLE = {"cpu": "2", "memory": "4Gi"}


def amounts(cpu: str, memory: str = "64Mi", limit: str = "") -> ResourceRequirements:
    return ResourceRequirements(
        requests={"cpu": cpu, "memory": memory},
        limits={"cpu": limit or cpu, "memory": memory},
    )


async def running(node: Node, name: str, cpu: str, **more: Any) -> None:
    node.api.put(named(name, container(resources=amounts(cpu), **more)))
    await node.run(5)
    assert node.api.pod(name).status.phase == "Running"


async def resize(node: Node, name: str, cpu: str, memory: str = "64Mi") -> None:
    pod = objects.copy(node.api.pod(name))
    pod.spec.containers[0].resources = amounts(cpu, memory)
    pod.metadata.generation += 1
    node.api.put(pod)
    await node.run(5)


def told(node: Node, name: str) -> tuple[str, str, int]:
    (status,) = node.api.pod(name).status.container_statuses
    assert status.resources is not None
    requests, limits = status.allocated_resources, status.resources.limits
    return requests["cpu"], limits["cpu"], status.restart_count


def said(node: Node, name: str, kind: str) -> str:
    found = conditions.find(node.api.pod(name).status.conditions, kind)
    return "" if found is None else f"{found.reason}: {found.message}"


def in_force(node: Node, name: str) -> InForce | None:
    (record,) = [r for r in node.containers("web") if r.running and f"_{name}_" in r.name]
    return record.in_force


async def test_more_is_given_in_place(node: Node) -> None:
    await running(node, "web", "100m")
    assert told(node, "web") == ("100m", "100m", 0)

    await resize(node, "web", "500m", "128Mi")

    assert told(node, "web") == ("500m", "500m", 0)
    assert in_force(node, "web") == InForce(cpu_shares=512, cpu_quota=50_000, memory=128 * 2**20)
    assert said(node, "web", "PodResizePending") == ""
    assert said(node, "web", "PodResizeInProgress") == ""
    assert node.recorder.messages("ResizeCompleted") == [
        "Resized container web in place: requests cpu=500m, requests memory=128Mi, limits cpu=500m,"
        " limits memory=128Mi"
    ]


async def test_what_the_node_has_no_room_for_waits_until_it_has(node: Node) -> None:
    await running(node, "web", "500m")
    await running(node, "other", "1200m")

    await resize(node, "web", "1")

    assert told(node, "web") == ("500m", "500m", 0)
    assert said(node, "web", "PodResizePending") == (
        "Deferred: Node didn't have enough resource: cpu, requested: 1000, used: 1200, capacity: 2000"
    )
    node.api.delete_gracefully("other", "ns", stamp="2026-01-01T12:00:00Z", grace=0)
    await node.run(10)
    assert told(node, "web") == ("1", "1", 0)
    assert said(node, "web", "PodResizePending") == ""


async def test_what_no_node_of_this_size_could_give_is_infeasible(node: Node) -> None:
    await running(node, "web", "500m")
    await resize(node, "web", "3")
    assert told(node, "web") == ("500m", "500m", 0)
    assert said(node, "web", "PodResizePending").startswith("Infeasible: Node didn't have enough")
    await resize(node, "web", "600m")
    assert told(node, "web") == ("600m", "600m", 0)
    assert said(node, "web", "PodResizePending") == ""


async def test_a_container_that_wants_it_is_started_anew(node: Node) -> None:
    policy = [ContainerResizePolicy(resource_name="memory", restart_policy="RestartContainer")]
    await running(node, "web", "100m", resize_policy=policy)
    await resize(node, "web", "200m")
    assert told(node, "web") == ("200m", "200m", 0), "only memory asks for it"
    await resize(node, "web", "200m", "128Mi")
    assert told(node, "web") == ("200m", "200m", 1)
    found = in_force(node, "web")
    assert found is not None
    assert found.memory == 128 * 2**20


async def test_the_pods_cgroup_holds_what_is_started_anew_with_more(node: Node) -> None:
    """The kernel takes no quota of a container above that of its pod."""
    policy = [ContainerResizePolicy(resource_name="cpu", restart_policy="RestartContainer")]
    await running(node, "web", "100m", resize_policy=policy)
    folder = node.manager.agent.cgroups.directory("web", "Guaranteed", "cpu")
    assert (folder / "cpu.cfs_quota_us").read_text().strip() == "10000"
    quotas = []
    start = node.runtime.start

    async def noted(id: ContainerId) -> None:
        quotas.append((folder / "cpu.cfs_quota_us").read_text().strip())
        await start(id)

    node.runtime.start = noted  # type: ignore[method-assign]
    for cpu in ("500m", "200m"):
        await resize(node, "web", cpu)
        await node.run(20)
    assert told(node, "web") == ("200m", "200m", 2)
    assert quotas == ["50000", "20000"]


async def test_another_request_alone_starts_it_anew_only_where_it_asks_for_that(node: Node) -> None:
    policy = [ContainerResizePolicy(resource_name="memory", restart_policy="RestartContainer")]
    for name, more in (("anew", {"resize_policy": policy}), ("stays", {})):
        wants = ResourceRequirements(requests={"memory": "32Mi"}, limits={"memory": "64Mi"})
        node.api.put(named(name, container(resources=wants, **more)))
    await node.run(5)
    for name in ("anew", "stays"):
        pod = objects.copy(node.api.pod(name))
        pod.spec.containers[0].resources.requests["memory"] = "48Mi"
        pod.metadata.generation += 1
        node.api.put(pod)
    await node.run(5)
    for name, restarts in (("anew", 1), ("stays", 0)):
        (status,) = node.api.pod(name).status.container_statuses
        assert status.resources is not None
        assert (status.resources.requests, status.restart_count) == ({"memory": "48Mi"}, restarts)
        assert said(node, name, "PodResizeInProgress") == ""


async def test_a_deferred_resize_does_not_slip_in_with_a_restart(node: Node) -> None:
    node.runtime.scripts["web"] = [Script(run_for=60.0), Script()]
    await running(node, "web", "500m")
    await running(node, "other", "1200m")
    await resize(node, "web", "1")
    await node.run(80)
    assert told(node, "web") == ("500m", "500m", 1)


async def test_a_refusal_of_the_kernel_is_told_and_tried_again(node: Node) -> None:
    node.runtime.scripts["web"] = Script(update_error="device or resource busy")
    await running(node, "web", "500m")
    await resize(node, "web", "400m")
    words = said(node, "web", "PodResizeInProgress")
    assert words == "Error: container web cannot be resized: device or resource busy"
    assert told(node, "web")[1] == "500m", "what is in force is told"
    (one,) = [c for c in node.runtime._containers.values() if c.record.name.startswith("k8s_web")]
    one.script = replace(one.script, update_error="")
    await node.run(60)
    assert told(node, "web") == ("400m", "400m", 0)
    assert said(node, "web", "PodResizeInProgress") == ""


async def test_memory_that_is_in_use_is_not_taken_away(node: Node) -> None:
    """With version 2 of cgroups the kernel would kill for it."""
    await running(node, "web", "500m")
    (record,) = [r for r in node.containers("web") if r.running]
    cgroups = node.manager.agent.cgroups
    folder = cgroups.directory("web", "Guaranteed", "memory") / cgroups.leaf(record.id)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.stat").write_text("inactive_file 1048576\n")
    (folder / "memory.current").write_text(f"{50 * 2**20}\n")
    await resize(node, "web", "500m", "32Mi")
    assert said(node, "web", "PodResizeInProgress") == (
        "Error: container web cannot be resized: attempting to set container memory limit (33554432) "
        "below current usage (51380224)"
    )
    found = in_force(node, "web")
    assert found is not None and found.memory == 64 * 2**20
    assert node.recorder.messages("ResizeError")
    (folder / "memory.current").write_text(f"{32 * 2**20}\n")
    await node.run(60)
    found = in_force(node, "web")
    assert found is not None and found.memory == 32 * 2**20


async def test_who_waits_for_more_is_served_by_priority(node: Node) -> None:
    await running(node, "low", "500m")
    await running(node, "high", "500m")
    await running(node, "other", "1")
    pod = objects.copy(node.api.pod("high"))
    pod.spec.priority = 1000
    node.api.put(pod)
    await resize(node, "low", "1200m")
    await resize(node, "high", "1200m")
    for name in ("low", "high"):
        assert said(node, name, "PodResizePending").startswith("Deferred")
    node.api.delete_gracefully("other", "ns", stamp="2026-01-01T12:00:00Z", grace=0)
    await node.run(10)
    assert told(node, "high")[0] == "1200m"
    assert told(node, "low")[0] == "500m"


async def test_an_agent_that_starts_anew_goes_on_where_the_last_one_was(node: Node) -> None:
    await running(node, "web", "500m")
    await running(node, "other", "1200m")
    await resize(node, "web", "1")
    await node.kill()
    await node.boot()
    await node.run(5)
    assert told(node, "web") == ("500m", "500m", 0)
    assert said(node, "web", "PodResizePending").startswith("Deferred")


async def test_what_was_admitted_is_known_also_of_what_does_not_run(node: Node) -> None:
    """Else a deferred resize would slip in with a restart of the agent."""
    node.runtime.scripts["web"] = [Script(), Script(run_for=1.0, exit_code=1)]
    await running(node, "web", "500m")
    await running(node, "other", "1200m")
    await resize(node, "web", "1")
    node.runtime.end(node.runtime.by_name("k8s_web_web_ns_web_0").id, exit_code=1)
    await node.run(90)
    (status,) = node.api.pod("web").status.container_statuses
    assert status.state.waiting is not None and status.state.waiting.reason == "CrashLoopBackOff"
    await node.kill()
    await node.boot()
    await node.run(5)
    assert told(node, "web")[:2] == ("500m", "500m")
    assert said(node, "web", "PodResizePending").startswith("Deferred")


@pytest.mark.parametrize(
    ("cpu", "used", "answer"),
    [
        ("1", {"cpu": 1000}, Answer.ADMITTED),
        ("1", {"cpu": 1001}, Answer.DEFERRED),
        ("2001m", {}, Answer.INFEASIBLE),
    ],
)
def test_the_verdict(cpu: str, used: Mapping[str, int], answer: Answer) -> None:
    pod: Pod = make_pod(container(resources=amounts(cpu)))
    assert judge(pod, used=dict(used), allocatable=ALLOCATABLE).answer is answer


@given(
    st.integers(0, 5),
    st.lists(st.integers(0, 5), min_size=1, max_size=3),
)
def test_the_pods_cgroup_never_holds_back_what_its_containers_have(
    after: int, now: list[int]
) -> None:
    found = loosest(
        CpuMemory(cpu_shares=after, cpu_quota=after, memory=after),
        [InForce(cpu_shares=one, cpu_quota=one, memory=one) for one in now],
    )
    for value in (found.cpu_quota, found.memory):
        assert value == 0 or value >= max(after, sum(now))
    if 0 not in (*now, after):
        assert found.memory > 0
