"""Autoscalers over the real store: the size follows what the pods use, and the conditions say why."""

from __future__ import annotations

from typing import Any

import pytest

from api import conditions, objects
from api.apps import Deployment, ReplicaSet, StatefulSet
from api.autoscalingv2 import HorizontalPodAutoscaler
from api.codec import decode
from api.core import Event, ReplicationController
from control.controllers.workloads.autoscaling import controller
from tests.integration.controllers.conftest import Plane, eventually
from tests.unit.controllers.making import replica_set, replication_controller, stateful_set

NAME = "web"
AT_ONCE = {"scaleDown": {"stabilizationWindowSeconds": 0}}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "PERIOD", 0.1)


def autoscaler(**spec: Any) -> HorizontalPodAutoscaler:
    tree = {
        "metadata": {"name": NAME, "namespace": "default"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
            "maxReplicas": 10,
            "metrics": [by_use("cpu", 50)],
            **spec,
        },
    }
    made: HorizontalPodAutoscaler = decode.convert(tree, HorizontalPodAutoscaler, "Strict").obj
    return made


def by_use(resource: str, percent: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": resource, "target": target}}


def of_pods(name: str) -> dict[str, Any]:
    target = {"type": "AverageValue", "averageValue": "1"}
    return {"type": "Pods", "pods": {"metric": {"name": name}, "target": target}}


def of_object(name: str) -> dict[str, Any]:
    described = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "front"}
    target = {"type": "Value", "value": "20"}
    return {
        "type": "Object",
        "object": {"metric": {"name": name}, "describedObject": described, "target": target},
    }


def external(name: str) -> dict[str, Any]:
    target = {"type": "AverageValue", "averageValue": "30"}
    return {"type": "External", "external": {"metric": {"name": name}, "target": target}}


async def started(plane: Plane, *, replicas: int, **usage: str) -> None:
    """A workload whose pods request 100m CPU and 100Mi, and use what is said."""
    plane.usage.update(usage)
    await plane.agents.add_node("n1")
    resources = {"requests": {"cpu": "100m", "memory": "100Mi"}}
    await plane.deploy(replicas=replicas)
    change = {
        "spec": {
            "template": {
                "spec": {"containers": [{"name": "c", "image": "i", "resources": resources}]}
            }
        }
    }
    await plane.client.patch(Deployment, NAME, "default", change)
    await plane.complete(NAME, replicas=replicas)


async def size(plane: Plane) -> int:
    return (await plane.client.get(Deployment, NAME, "default")).spec.replicas or 0


async def becomes(plane: Plane, wanted: int) -> HorizontalPodAutoscaler:
    async def same() -> HorizontalPodAutoscaler | None:
        found = await plane.client.get(HorizontalPodAutoscaler, NAME, "default")
        there = await size(plane) == wanted == found.status.current_replicas
        return found if there else None

    found = await eventually(same)
    assert found is not None
    return found


async def told(plane: Plane, type_: str, reason: str) -> str:
    """The message of a condition, once it has that reason."""

    async def same() -> str:
        found = await plane.client.get(HorizontalPodAutoscaler, NAME, "default")
        condition = conditions.find(found.status.conditions, type_)
        return condition.message if condition is not None and condition.reason == reason else ""

    return await eventually(same)


async def reasons(plane: Plane) -> set[tuple[str, str]]:
    listed = await plane.client.list(Event, "default")
    return {
        (event.reason, event.message)
        for event in listed.items
        if event.involved_object.kind == "HorizontalPodAutoscaler"
    }


async def test_it_grows_and_shrinks_with_the_use(plane: Plane) -> None:
    await started(plane, replicas=2, cpu="120m")
    await plane.client.create(autoscaler(minReplicas=2, maxReplicas=5, behavior=AT_ONCE))
    found = await becomes(plane, 5)  # 2 × 120 % ÷ 50 %, rounded up
    assert found.status.last_scale_time
    text = await told(plane, "ScalingActive", "ValidMetricFound")
    assert text.endswith("replica count from cpu resource utilization (percentage of request)")

    async def said() -> bool:
        return ("SuccessfulRescale", "New size: 5; reason: cpu resource utilization "
                "(percentage of request) above target") in await reasons(plane)  # fmt: skip

    await eventually(said)
    plane.usage["cpu"] = "50m"
    await plane.complete(NAME, replicas=5)
    plane.usage["cpu"] = "10m"
    found = await becomes(plane, 2)
    assert found.spec.min_replicas == 2
    await told(plane, "ScalingLimited", "TooFewReplicas")


async def test_nothing_is_written_while_nothing_changes(plane: Plane) -> None:
    await started(plane, replicas=2, cpu="50m")
    await plane.client.create(autoscaler())
    await told(plane, "ScalingActive", "ValidMetricFound")
    found = await becomes(plane, 2)
    version = found.metadata.resource_version
    await plane.clock.sleep(0.5)
    found = await plane.client.get(HorizontalPodAutoscaler, NAME, "default")
    assert found.metadata.resource_version == version
    (metric,) = found.status.current_metrics
    assert metric.resource is not None and metric.resource.current.average_utilization == 50


async def test_bounds_hold_without_metrics(plane: Plane) -> None:
    await started(plane, replicas=4)
    await plane.client.create(autoscaler(maxReplicas=3))
    await becomes(plane, 3)
    text = await told(plane, "ScalingActive", "FailedGetResourceMetric")
    assert "failed to get cpu utilization: unable to get metrics for resource cpu" in text
    await plane.client.patch(
        HorizontalPodAutoscaler, NAME, "default", {"spec": {"minReplicas": 5, "maxReplicas": 6}}
    )
    await becomes(plane, 5)


async def test_zero_is_switched_off(plane: Plane) -> None:
    await started(plane, replicas=0, cpu="100m")
    await plane.client.create(autoscaler())
    assert "is zero" in await told(plane, "ScalingActive", "ScalingDisabled")
    assert await size(plane) == 0


async def test_unknown_metrics_let_it_grow_but_not_shrink(plane: Plane) -> None:
    await started(plane, replicas=3, cpu="10m")
    await plane.client.create(
        autoscaler(maxReplicas=6, metrics=[by_use("cpu", 50), of_pods("p")], behavior=AT_ONCE)
    )
    text = await told(plane, "ScalingActive", "FailedGetPodsMetric")
    assert "no custom metrics API (custom.metrics.k8s.io) registered" in text
    assert await size(plane) == 3
    plane.usage["cpu"] = "100m"
    await becomes(plane, 6)
    await told(plane, "ScalingActive", "ValidMetricFound")


@pytest.mark.parametrize(
    ("metric", "reason", "source"),
    [
        (of_pods("qps"), "FailedGetPodsMetric", "custom"),
        (of_object("qps"), "FailedGetObjectMetric", "custom"),
        (external("qps"), "FailedGetExternalMetric", "external"),
        (by_use("memory", 50), "FailedGetResourceMetric", ""),
    ],
)
async def test_metrics_without_a_source_are_named_and_told(
    plane: Plane, metric: dict[str, Any], reason: str, source: str
) -> None:
    await started(plane, replicas=2)
    await plane.client.create(autoscaler(metrics=[metric]))
    text = await told(plane, "ScalingActive", reason)
    assert text.startswith("the HPA was unable to compute the replica count: ")
    if source:
        api = f"{source} metrics API ({source}.metrics.k8s.io) registered"
        assert "unable to get metric qps" in text and api in text

    async def said() -> bool:
        found = {name for name, _ in await reasons(plane)}
        return {reason, "FailedComputeMetricsReplicas"} <= found

    await eventually(said)
    assert await size(plane) == 2


@pytest.mark.parametrize(
    "made", [replica_set("web", size=1), replication_controller(), stateful_set(replicas=1)]
)
async def test_whatever_has_a_scale(
    plane: Plane, made: ReplicaSet | ReplicationController | StatefulSet
) -> None:
    plane.usage["cpu"] = "120m"
    await plane.agents.add_node("n1")
    owner = objects.copy(made)
    owner.metadata.uid = ""
    owner.spec.template.spec.containers[0].resources.requests = {"cpu": "100m"}
    await plane.client.create(owner)
    kind = type(made).__name__
    version = "v1" if kind == "ReplicationController" else "apps/v1"
    target = {"apiVersion": version, "kind": kind, "name": NAME}
    await plane.client.create(autoscaler(scaleTargetRef=target))

    async def grown() -> bool:
        found = await plane.client.get(type(made), NAME, "default")
        return found.spec.replicas == 3  # 120 % ÷ 50 %, rounded up

    await eventually(grown)


async def test_another_target_counts_at_once(plane: Plane) -> None:
    await started(plane, replicas=2, cpu="60m")
    most = 4  # new pods use as much as the old ones, and ask for ever more
    await plane.client.create(autoscaler(metrics=[by_use("cpu", 60)], maxReplicas=most))
    await told(plane, "ScalingActive", "ValidMetricFound")
    assert await size(plane) == 2
    change = {"spec": {"metrics": [by_use("cpu", 30)]}}
    await plane.client.patch(HorizontalPodAutoscaler, NAME, "default", change)
    await becomes(plane, most)


async def test_a_target_that_is_not_there(plane: Plane) -> None:
    await plane.client.create(autoscaler())
    assert "not found" in await told(plane, "AbleToScale", "FailedGetScale")
    await started(plane, replicas=1, cpu="10m")
    await told(plane, "AbleToScale", "ReadyForNewScale")


async def test_policies_set_the_pace(plane: Plane) -> None:
    rules = {"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 600}]}}
    await started(plane, replicas=1, cpu="500m")
    await plane.client.create(autoscaler(behavior=rules))
    await becomes(plane, 2)
    assert "faster than the maximum" in await told(plane, "ScalingLimited", "ScaleUpLimit")
    assert await size(plane) == 2
