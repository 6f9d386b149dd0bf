"""Several schedulers in one: each places its own pods its own way, and leaves alone what is not its."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.core import (
    Binding,
    Event,
    ObjectReference,
    Pod,
    Service,
    ServicePort,
    ServiceSpec,
)
from api.meta import ObjectMeta
from api.scheduling import PriorityClass
from control.scheduler.configuration import parse
from control.scheduler.profile import Configuration
from tests.integration.controllers.conftest import Plane, eventually
from tests.unit.scheduler.making import pod

FILE = b"""
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
- schedulerName: default-scheduler
- schedulerName: packing
  plugins:
    score: {disabled: [{name: "*"}], enabled: [{name: NodeResourcesFit}]}
    postFilter: {disabled: [{name: DefaultPreemption}]}
  pluginConfig:
  - name: NodeResourcesFit
    args: {scoringStrategy: {type: MostAllocated}}
- schedulerName: strict
  plugins:
    filter: {disabled: [{name: TaintToleration}]}
    score: {disabled: [{name: "*"}]}
  pluginConfig:
  - name: PodTopologySpread
    args:
      defaultingType: List
      defaultConstraints:
      - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule}
  - name: NodeAffinity
    args:
      addedAffinity:
        requiredDuringSchedulingIgnoredDuringExecution:
          nodeSelectorTerms:
          - matchExpressions: [{key: pool, operator: In, values: [strict]}]
"""


@pytest.fixture
def scheduling() -> Configuration:
    return parse(FILE)


async def start(plane: Plane, name: str, scheduler: str, **more: Any) -> None:
    made = pod(name, schedulerName=scheduler, **more)
    made.metadata.uid = ""
    await plane.client.create(made)


async def nodes_of(plane: Plane, *names: str) -> list[str]:
    async def placed() -> list[str] | None:
        found = [await plane.client.get(Pod, name, "default") for name in names]
        nodes = [one.spec.node_name for one in found]
        return nodes if all(nodes) else None

    return await eventually(placed)


async def reporters(plane: Plane, name: str, reason: str) -> set[str]:
    """Who told of a pod that this became of it."""

    async def told() -> set[str]:
        events = (await plane.client.list(Event, "default")).items
        return {
            one.source.component
            for one in events
            if (one.involved_object.name, one.reason) == (name, reason) and one.source
        }

    return await eventually(told)


async def test_one_spreads_and_the_other_packs(plane: Plane) -> None:
    for name in ("n1", "n2", "n3"):
        await plane.agents.add_node(name)
    packed = [f"packed-{number}" for number in range(4)]
    spread = [f"spread-{number}" for number in range(3)]
    for name in packed:
        await start(plane, name, "packing", cpu="500m", memory="512Mi")
        await nodes_of(plane, name)
    assert len(set(await nodes_of(plane, *packed))) == 1
    for name in spread:
        await start(plane, name, "default-scheduler", cpu="1", memory="1Gi")
        await nodes_of(plane, name)
    assert len(set(await nodes_of(plane, *spread))) >= 2
    assert await reporters(plane, "packed-0", "Scheduled") == {"packing"}
    assert await reporters(plane, "spread-0", "Scheduled") == {"default-scheduler"}


async def test_one_that_must_not_preempt_waits(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await start(plane, "low", "default-scheduler", cpu="4", memory="1Gi")
    await nodes_of(plane, "low")
    await plane.client.create(PriorityClass(metadata=ObjectMeta(name="high"), value=1000))
    await start(plane, "waits", "packing", cpu="4", priorityClassName="high")
    assert await reporters(plane, "waits", "FailedScheduling") == {"packing"}
    waiting = await plane.client.get(Pod, "waits", "default")
    assert not waiting.status.nominated_node_name
    assert (await nodes_of(plane, "low")) == ["n1"]


async def test_pods_of_another_scheduler_are_left_to_it(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await start(plane, "theirs", "their-scheduler")
    await start(plane, "ours", "default-scheduler")
    await nodes_of(plane, "ours")
    await asyncio.sleep(0.2)
    theirs = await plane.client.get(Pod, "theirs", "default")
    assert (theirs.spec.node_name, theirs.status.conditions) == ("", [])

    binding = Binding(
        metadata=ObjectMeta(name="theirs", namespace="default"),
        target=ObjectReference(api_version="v1", kind="Node", name="n1"),
    )
    await plane.client.create_subresource(Pod, "theirs", "default", "binding", binding)
    await start(plane, "large", "default-scheduler", cpu="4")
    await nodes_of(plane, "theirs", "large")
    await start(plane, "too-much", "default-scheduler", cpu="1m")
    assert await reporters(plane, "too-much", "FailedScheduling") == {"default-scheduler"}


async def test_one_that_has_rules_of_its_own_for_every_pod(plane: Plane) -> None:
    """Its nodes, taints or not, and pods of one service evenly over them."""
    for name in ("n1", "n2", "n3"):
        # Without its label the third is no place to be even with: constraints heed pods' own affinity.
        labels = {"kubernetes.io/hostname": name, "pool": "strict"} if name != "n3" else {}
        taints = [{"key": "k", "effect": "NoSchedule"}] if name == "n2" else []
        await plane.agents.add_node(name, labels=labels, taints=taints)
    service = Service(
        metadata=ObjectMeta(name="web", namespace="default"),
        spec=ServiceSpec(selector={"app": "web"}, ports=[ServicePort(port=80)]),
    )
    await plane.client.create(service)
    names = [f"web-{number}" for number in range(4)]
    for name in names:
        await start(plane, name, "strict", labels={"app": "web"}, cpu="100m")
    assert sorted(await nodes_of(plane, *names)) == ["n1", "n1", "n2", "n2"]
    large = pod("large", schedulerName="strict", cpu="4")
    large.metadata.uid = ""
    await plane.client.create(large)

    async def told() -> str:
        one = await plane.client.get(Pod, "large", "default")
        return "".join(condition.message for condition in one.status.conditions)

    assert "2 Insufficient cpu" in (words := await eventually(told))
    assert "1 node(s) didn't match scheduler-enforced node affinity" in words
