"""The LimitRanger plugin: whose bounds it asks for, and how it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from api.core import (
    Container,
    LimitRange,
    LimitRangeItem,
    LimitRangeSpec,
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
    Pod,
    PodSpec,
    ResourceRequirements,
    VolumeResourceRequirements,
)
from api.errors import ApiError
from api.meta import ObjectMeta
from api.scheme import Resource, resource_of
from control.admission.chain import Attributes, Operation
from control.admission.limitranger import LimitRanger
from control.auth.user import in_process

PODS = resource_of(Pod)
CLAIMS = Resource(
    "",
    "v1",
    "PersistentVolumeClaim",
    "persistentvolumeclaims",
    PersistentVolumeClaim,
    True,
    "claim",
)


class Ranges:
    """A reader of LimitRanges."""

    def __init__(self, *found: LimitRange) -> None:
        self.found = found

    def get(self, type_: type[Any], name: str, namespace: str = "") -> Any:
        return None

    def list(self, type_: type[Any], namespace: str = "") -> Any:
        return [one for one in self.found if one.metadata.namespace == namespace]

    async def fresh(self, type_: type[Any]) -> None:
        return None


def bounds(*items: LimitRangeItem, namespace: str = "ns") -> LimitRange:
    metadata = ObjectMeta(name="bounds", namespace=namespace)
    return LimitRange(metadata=metadata, spec=LimitRangeSpec(limits=list(items)))


def container_bounds(**amounts: dict[str, str]) -> LimitRangeItem:
    return LimitRangeItem(type="Container", **amounts)


def pod(**amounts: dict[str, str]) -> Pod:
    container = Container(name="c", image="i", resources=ResourceRequirements(**amounts))
    return Pod(metadata=ObjectMeta(name="p", namespace="ns"), spec=PodSpec(containers=[container]))


async def admit(
    obj: Any,
    *found: LimitRange,
    resource: Resource = PODS,
    operation: Operation = Operation.CREATE,
    subresource: str = "",
    old: Any = None,
) -> None:
    plugin = LimitRanger(Ranges(*found))
    request = Attributes(
        operation=operation,
        resource=resource,
        subresource=subresource,
        namespace="ns",
        name="p",
        user=in_process("test"),
        object=obj,
        old=old,
    )
    if plugin.handles(resource, operation, subresource):
        await plugin.admit(request)
        await plugin.validate(request)


async def test_defaults_come_before_the_measure() -> None:
    made = pod()
    await admit(made, bounds(container_bounds(max={"cpu": "1"}, default={"cpu": "500m"})))
    assert made.spec.containers[0].resources.limits == {"cpu": "500m"}


async def test_a_refusal_is_in_the_words_of_kubernetes() -> None:
    with pytest.raises(ApiError) as refused:
        await admit(pod(limits={"cpu": "2"}), bounds(container_bounds(max={"cpu": "1"})))
    assert refused.value.status.code == 403
    assert str(refused.value) == (
        'pods "p" is forbidden: maximum cpu usage per Container is 1, but limit is 2'
    )


async def test_everything_that_one_range_forbids_is_told() -> None:
    range_ = bounds(container_bounds(max={"cpu": "1", "memory": "1Gi"}))
    with pytest.raises(ApiError) as refused:
        await admit(pod(limits={"cpu": "2", "memory": "2Gi"}), range_)
    assert str(refused.value) == (
        'pods "p" is forbidden: [maximum cpu usage per Container is 1, but limit is 2, '
        "maximum memory usage per Container is 1Gi, but limit is 2Gi]"
    )


async def test_another_namespace_has_its_own() -> None:
    range_ = bounds(container_bounds(max={"cpu": "1"}), namespace="other")
    await admit(pod(limits={"cpu": "2"}), range_)


@pytest.mark.parametrize(("subresource", "refused"), [("resize", True), ("", False)])
async def test_of_changes_only_a_resize_counts(subresource: str, refused: bool) -> None:
    range_ = bounds(container_bounds(max={"cpu": "1"}))
    new, old = pod(limits={"cpu": "2"}), pod(limits={"cpu": "1"})
    how: Any = {"operation": Operation.UPDATE, "subresource": subresource, "old": old}
    if not refused:
        await admit(new, range_, **how)
        return
    with pytest.raises(ApiError):
        await admit(new, range_, **how)
    old.metadata.deletion_timestamp = "2026-01-01T00:00:00Z"
    await admit(new, range_, **how)


async def test_claims() -> None:
    range_ = bounds(LimitRangeItem(type="PersistentVolumeClaim", max={"storage": "1Gi"}))
    resources = VolumeResourceRequirements(requests={"storage": "2Gi"})
    claim = PersistentVolumeClaim(spec=PersistentVolumeClaimSpec(resources=resources))
    with pytest.raises(ApiError) as refused:
        await admit(claim, range_, resource=CLAIMS)
    assert "maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi" in str(
        refused.value
    )
