"""Quotas over the real store and controllers: what is used is right at every moment."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api import conditions
from api.apps import Deployment
from api.core import (
    ConfigMap,
    Container,
    Pod,
    PodSpec,
    ResourceQuota,
    ResourceQuotaSpec,
    ResourceQuotaStatus,
    ResourceRequirements,
    Secret,
)
from api.errors import ApiError
from api.meta import ObjectMeta
from base.errors import PodwrightError
from control.controllers.lifecycle.quotas import QuotaController
from tests.integration.controllers.conftest import Plane, eventually
from tests.integration.controllers.test_jobs import job
from tests.unit.controllers.making import (
    daemon_set,
    replica_set,
    replication_controller,
    stateful_set,
)


def quota(**hard: str) -> ResourceQuota:
    metadata = ObjectMeta(name="q", namespace="default")
    return ResourceQuota(metadata=metadata, spec=ResourceQuotaSpec(hard=hard))


def pod(name: str, cpu: str = "100m") -> Pod:
    resources = ResourceRequirements(requests={"cpu": cpu})
    container = Container(name="c", image="i", resources=resources)
    metadata = ObjectMeta(name=name, namespace="default")
    return Pod(metadata=metadata, spec=PodSpec(containers=[container]))


def config_map(name: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace="default"))


async def used(plane: Plane) -> dict[str, str]:
    return (await plane.client.get(ResourceQuota, "q", "default")).status.used


async def test_what_was_there_before_is_counted(plane: Plane) -> None:
    for name in ("a", "b"):
        await plane.client.create(pod(name))
    await plane.client.create(quota(**{"pods": "5", "cpu": "1", "count/widgets.example.com": "1"}))

    async def counted() -> ResourceQuota | None:
        found = await plane.client.get(ResourceQuota, "q", "default")
        return found if found.status.used else None

    found = await eventually(counted)
    assert found is not None
    assert found.status.hard == found.spec.hard
    assert found.status.used == {"pods": "2", "cpu": "200m", "count/widgets.example.com": "0"}


async def test_created_in_one_breath(plane: Plane) -> None:
    """A quota and what it limits in one file: the second waits until the first is counted."""
    await plane.client.create(quota(configmaps="3"))  # kube-root-ca.crt is there, or comes
    made = 0
    for number in range(6):
        try:
            await plane.client.create(config_map(f"c{number}"))
            made += 1
        except ApiError as error:
            assert "exceeded quota: q, requested: configmaps=1, used: configmaps=3" in str(error)
    assert made in (2, 3)
    assert await used(plane) == {"configmaps": "3"}


async def test_used_follows_whatever_happens(plane: Plane) -> None:
    await plane.client.create(quota(pods="2", cpu="1", secrets="9"))
    await plane.client.create(pod("a"))
    await plane.client.create(pod("b", cpu="200m"))
    assert (await used(plane))["cpu"] == "300m"
    with pytest.raises(ApiError, match="exceeded quota: q, requested: pods=1"):
        await plane.client.create(pod("c"))
    status = {"status": {"phase": "Succeeded"}}
    await plane.client.patch(Pod, "a", "default", status, subresource="status")
    assert (await used(plane))["cpu"] == "200m"
    await plane.client.create(pod("c"))
    await plane.client.delete(Pod, "b", "default", grace_period_seconds=0)
    assert (await used(plane))["cpu"] == "100m"
    await plane.client.create(Secret(metadata=ObjectMeta(name="s", namespace="default")))
    await plane.client.delete(Secret, "s", "default")
    assert await used(plane) == {"pods": "1", "cpu": "100m", "secrets": "0"}


async def test_the_last_finalizer_gives_back(plane: Plane) -> None:
    await plane.client.create(quota(secrets="1"))
    made = Secret(metadata=ObjectMeta(name="s", namespace="default", finalizers=["example.com/f"]))
    await plane.client.create(made)
    await plane.client.delete(Secret, "s", "default")
    assert await used(plane) == {"secrets": "1"}
    await plane.client.patch(Secret, "s", "default", {"metadata": {"finalizers": None}})
    assert await used(plane) == {"secrets": "0"}


async def test_drift_is_healed_and_a_second_count_writes_nothing(plane: Plane) -> None:
    await plane.client.create(quota(secrets="5"))
    await plane.client.create(Secret(metadata=ObjectMeta(name="s", namespace="default")))
    controller = next(c for c in plane.manager.controllers if isinstance(c, QuotaController))
    found = await plane.client.get(ResourceQuota, "q", "default")
    found.status = ResourceQuotaStatus(hard=found.spec.hard, used={"secrets": "4"})
    await plane.client.update(found, subresource="status")
    controller._count_all()

    async def healed() -> bool:
        return await used(plane) == {"secrets": "1"}

    await eventually(healed)
    before = (await plane.client.get(ResourceQuota, "q", "default")).metadata.resource_version
    controller._count_all()
    await asyncio.sleep(0.2)
    after = (await plane.client.get(ResourceQuota, "q", "default")).metadata.resource_version
    assert after == before


async def test_new_bounds_hold_at_once(plane: Plane) -> None:
    await plane.client.create(quota(secrets="1"))
    await plane.client.create(Secret(metadata=ObjectMeta(name="a", namespace="default")))
    hard = {"spec": {"hard": {"secrets": "2", "services": "0"}}}
    await plane.client.patch(ResourceQuota, "q", "default", hard)
    await plane.client.create(Secret(metadata=ObjectMeta(name="b", namespace="default")))

    async def counted() -> bool:
        found = await plane.client.get(ResourceQuota, "q", "default")
        return found.status.hard == {"secrets": "2", "services": "0"}

    await eventually(counted)
    assert await used(plane) == {"secrets": "2", "services": "1"}  # kubernetes is one


async def test_a_pod_that_ought_to_be_gone_frees_its_quota(plane: Plane) -> None:
    await plane.client.create(quota(pods="1"))
    made = pod("stuck")
    made.metadata.finalizers = ["example.com/never"]
    await plane.client.create(made)
    await plane.client.delete(Pod, "stuck", "default", grace_period_seconds=1)

    async def freed() -> bool:
        return await used(plane) == {"pods": "0"}

    await eventually(freed)
    await plane.client.patch(Pod, "stuck", "default", {"metadata": {"finalizers": None}})
    assert await used(plane) == {"pods": "0"}


async def test_a_flood_comes_out_exact(plane: Plane) -> None:
    await plane.client.create(quota(secrets="10"))

    async def make(number: int) -> bool:
        try:
            made = Secret(metadata=ObjectMeta(name=f"s{number}", namespace="default"))
            await plane.client.create(made)
        except PodwrightError as error:
            assert "exceeded quota: q" in str(error)
            return False
        return True

    assert sum(await asyncio.gather(*(make(number) for number in range(100)))) == 10
    assert await used(plane) == {"secrets": "10"}
    found = (await plane.client.list(Secret, "default")).items
    await asyncio.gather(
        *(plane.client.delete(Secret, one.metadata.name, "default") for one in found),
        *(make(number) for number in range(100, 150)),
    )
    left = len((await plane.client.list(Secret, "default")).items)
    assert await used(plane) == {"secrets": str(left)}
    assert left <= 10


async def test_a_deployment_tells_of_the_quota_and_goes_on_when_there_is_room(
    plane: Plane,
) -> None:
    await plane.agents.add_node("n1")
    await plane.client.create(quota(pods="1"))
    await plane.deploy(replicas=2)

    async def told() -> bool:
        found = await plane.client.get(Deployment, "web", "default")
        failure = conditions.find(found.status.conditions, "ReplicaFailure")
        return failure is not None and "exceeded quota: q, requested: pods=1" in failure.message

    await eventually(told)
    await plane.client.patch(ResourceQuota, "q", "default", {"spec": {"hard": {"pods": "2"}}})
    found = await plane.complete("web", replicas=2)
    assert conditions.find(found.status.conditions, "ReplicaFailure") is None


async def test_who_can_make_no_pods_tries_again_and_writes_nothing(plane: Plane) -> None:
    """A refusal names another pod each time: told anew it would be a change, and at once the next try."""
    await plane.agents.add_node("n1")
    await plane.client.create(quota(pods="0"))
    owners: dict[str, Any] = {
        "replicaset-controller": replica_set("rs", size=3),
        "replication-controller": replication_controller(),
        "daemonset-controller": daemon_set(),
        "statefulset-controller": stateful_set(),
        "job-controller": job(),
    }
    for owner in owners.values():
        owner.metadata.uid, owner.metadata.namespace = "", "default"
        await plane.client.create(owner)

    async def tried(times: int) -> bool:
        told = plane.manager.statistics()
        return all(told[name]["reconcile_failures"] >= times for name in owners)

    async def versions() -> list[str]:
        found = [
            await plane.client.get(type(one), one.metadata.name, "default")
            for one in owners.values()
        ]
        return [one.metadata.resource_version for one in found]

    await eventually(lambda: tried(4))
    before = await versions()
    await eventually(lambda: tried(8))
    assert await versions() == before
