"""Priority: a pod's class becomes a number, and nobody writes another one."""

from __future__ import annotations

from typing import Any

import pytest

from api.client import PatchType
from api.core import Container, Pod, PodSpec
from api.errors import ApiError
from api.meta import ObjectMeta
from api.scheduling import PriorityClass
from control import initial
from control.apiserver.local import LocalClient
from control.settings import ControlSettings


def pod(name: str = "p", **spec: Any) -> Pod:
    containers = [Container(name="c", image="i")]
    return Pod(
        metadata=ObjectMeta(name=name, namespace="ns"), spec=PodSpec(containers=containers, **spec)
    )


def class_of(name: str, value: int, **more: Any) -> PriorityClass:
    return PriorityClass(metadata=ObjectMeta(name=name), value=value, **more)


async def refused(client: LocalClient, obj: Any) -> str:
    with pytest.raises(ApiError) as caught:
        await client.create(obj)
    assert (caught.value.code, caught.value.reason) == (403, "Forbidden")
    return str(caught.value)


async def test_a_class_gives_its_pods_value_and_policy(client: LocalClient) -> None:
    await client.create(class_of("batch", -5, preemption_policy="Never"))
    spec = (await client.create(pod(priority_class_name="batch"))).spec
    assert (spec.priority, spec.preemption_policy) == (-5, "Never")


async def test_without_a_class_it_is_zero(client: LocalClient) -> None:
    spec = (await client.create(pod(preemption_policy="PreemptLowerPriority"))).spec
    assert (spec.priority, spec.preemption_policy) == (0, "PreemptLowerPriority")
    assert spec.priority_class_name == ""


async def test_the_default_class_is_for_pods_that_name_none(client: LocalClient) -> None:
    await client.create(class_of("usual", 10, global_default=True))
    await client.create(class_of("high", 1000))
    spec = (await client.create(pod("a"))).spec
    assert (spec.priority_class_name, spec.priority) == ("usual", 10)
    assert (await client.create(pod("b", priority_class_name="high"))).spec.priority == 1000


async def test_a_class_that_is_not_there(client: LocalClient) -> None:
    said = await refused(client, pod(priority_class_name="nobody"))
    assert said.endswith('pods "p" is forbidden: no PriorityClass with name nobody was found')


async def test_the_number_is_the_class_s_own(client: LocalClient) -> None:
    await client.create(class_of("high", 1000, preemption_policy="Never"))
    said = await refused(client, pod(priority_class_name="high", priority=7))
    assert "the integer value of priority (7) must not be provided in pod spec; " in said
    assert "computed 1000 from the given PriorityClass name" in said
    assert "computed 0 from" in await refused(client, pod(priority=1))
    said = await refused(
        client, pod(priority_class_name="high", preemption_policy="PreemptLowerPriority")
    )
    assert "the string value of PreemptionPolicy (PreemptLowerPriority) must not be" in said
    assert "computed Never from" in said
    same = pod(priority_class_name="high", priority=1000, preemption_policy="Never")
    assert (await client.create(same)).spec.priority == 1000


async def test_a_mirror_pod_may_bring_the_number_it_runs_with(
    client: LocalClient, settings: ControlSettings
) -> None:
    await initial.ensure(client, settings, "192.0.2.7")
    mirror = pod(priority_class_name="system-node-critical", priority=2000001000)
    mirror.metadata.annotations = {"kubernetes.io/config.mirror": "x"}
    assert (await client.create(mirror)).spec.priority == 2000001000


async def test_a_pod_written_from_its_manifest_keeps_its_priority(client: LocalClient) -> None:
    await client.create(class_of("high", 1000))
    made = await client.create(pod(priority_class_name="high"))
    made.spec.priority = made.spec.preemption_policy = None
    made.metadata.labels = {"a": "b"}
    found = await client.update(made)
    assert (found.spec.priority, found.spec.preemption_policy) == (1000, "PreemptLowerPriority")
    with pytest.raises(ApiError, match="pod updates may not change fields other than"):
        await client.patch(Pod, "p", "ns", {"spec": {"priority": 1}})


async def test_a_class_deleted_later_takes_nothing_away(client: LocalClient) -> None:
    await client.create(class_of("high", 1000))
    await client.create(pod(priority_class_name="high"))
    await client.delete(PriorityClass, "high")
    found = await client.patch(Pod, "p", "ns", {"metadata": {"labels": {"a": "b"}}})
    assert found.spec.priority == 1000


async def test_there_is_one_default(client: LocalClient) -> None:
    await client.create(class_of("first", 1, global_default=True))
    words = "PriorityClass first is already marked as globalDefault. Only one default can exist"
    assert words in await refused(client, class_of("second", 2, global_default=True))
    await client.create(class_of("second", 2))
    change = {"globalDefault": True}
    with pytest.raises(ApiError, match="already marked as globalDefault"):
        await client.patch(PriorityClass, "second", "", change, patch_type=PatchType.MERGE)
    await client.patch(PriorityClass, "first", "", {"description": "still the default"})
    await client.patch(PriorityClass, "first", "", {"globalDefault": False})
    await client.patch(PriorityClass, "second", "", change)


async def test_every_cluster_has_the_system_s_classes(
    client: LocalClient, settings: ControlSettings
) -> None:
    await initial.ensure(client, settings, "192.0.2.7")
    found = {one.metadata.name: one.value for one in (await client.list(PriorityClass)).items}
    assert found == {"system-cluster-critical": 2000000000, "system-node-critical": 2000001000}
    with pytest.raises(ApiError, match="this is a system priority class and cannot be deleted"):
        await client.delete(PriorityClass, "system-node-critical")
