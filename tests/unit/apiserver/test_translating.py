"""Owners of fields where one object is written in two versions: autoscalers as v2 and as v1."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api import autoscaling as v1
from api import autoscalingv2 as v2
from api.errors import ApiError
from api.patch import fieldset
from api.scheme import resource_of
from control.apiserver.local import LocalClient
from control.apiserver.registry import applying, creating, patching, updating
from control.apiserver.registry.call import Call
from control.apiserver.registry.registry import Registry
from control.apiserver.registry.versions import Version
from control.auth.user import in_process

pytestmark = pytest.mark.usefixtures("client")  # which makes the namespace

CPU, MAX = ".spec.targetCPUUtilizationPercentage", ".spec.maxReplicas"


def metric(name: str, use: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": use}
    return {"type": "Resource", "resource": {"name": name, "target": target}}


@pytest.fixture
def older(registry: Registry) -> Version:
    return registry.version(resource_of(v1.HorizontalPodAutoscaler))


@pytest.fixture
def newer(registry: Registry) -> Version:
    return registry.version(resource_of(v2.HorizontalPodAutoscaler))


def tree(version: Version, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": version.api_version,
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "ns"},
        "spec": spec,
    }


def whole(version: Version, **spec: Any) -> dict[str, Any]:
    target = {"kind": "Deployment", "name": "web"}
    return tree(version, scaleTargetRef=target, maxReplicas=5, **spec)


class Writer:
    """One client in one version."""

    def __init__(self, registry: Registry, version: Version, name: str) -> None:
        self._registry = registry
        self._version = version
        self._name = name

    def _call(self, force: bool = False) -> Call:
        user = in_process("test")
        return Call(user=user, field_manager=self._name, force=force, version=self._version)

    async def apply(
        self, config: dict[str, Any], *, force: bool = False
    ) -> v2.HorizontalPodAutoscaler:
        stored = await applying.apply(
            self._registry, self._version, self._call(force), json.dumps(config).encode(),
            namespace="ns", name="web",
        )  # fmt: skip
        return self._read(stored.body)

    async def create(self, obj: dict[str, Any]) -> v2.HorizontalPodAutoscaler:
        made = await creating.create(
            self._registry,
            self._version.kind,
            self._call(),
            self._version.stored(obj),
            namespace="ns",
        )
        return self._read(made.body)

    async def patch(self, **spec: Any) -> v2.HorizontalPodAutoscaler:
        body = json.dumps({"spec": spec}).encode()
        change = patching.patcher(self._version, self._call(), body, "application/merge-patch+json")
        stored = await updating.change(
            self._registry, self._version.kind, self._call(), "ns", "web", change
        )
        return self._read(stored.body)

    def _read(self, body: bytes) -> v2.HorizontalPodAutoscaler:
        obj: v2.HorizontalPodAutoscaler = self._version.kind.decode(body)
        return obj


def owned(obj: v2.HorizontalPodAutoscaler) -> dict[str, set[str]]:
    """`manager version` → the fields of the spec that it owns."""
    return {
        f"{entry.manager} {entry.api_version.rpartition('/')[2]}": {
            path
            for path in map(fieldset.shown, fieldset.members(entry.fields_v1 or {}))
            if path.startswith(".spec.") and "Ref" not in path
        }
        for entry in obj.metadata.managed_fields
    }


async def test_owners_are_told_in_the_version_they_spoke(
    registry: Registry, older: Version, newer: Version
) -> None:
    one, two = Writer(registry, older, "one"), Writer(registry, newer, "two")
    made = await one.create(whole(older, targetCPUUtilizationPercentage=50))
    assert owned(made) == {"one v1": {CPU, MAX, ".spec.minReplicas"}}
    changed = await two.patch(metrics=[metric("cpu", 60)])
    assert owned(changed) == {"one v1": {MAX, ".spec.minReplicas"}, "two v2": {".spec.metrics"}}
    again = await one.patch(targetCPUUtilizationPercentage=70)
    assert owned(again) == {"one v1": {CPU, MAX, ".spec.minReplicas"}}


async def test_a_field_of_one_version_is_a_conflict_in_the_other(
    registry: Registry, older: Version, newer: Version
) -> None:
    one, two = Writer(registry, newer, "one"), Writer(registry, older, "two")
    await one.apply(whole(newer, metrics=[metric("cpu", 50)]))
    with pytest.raises(ApiError, match=r'conflict with "one".*: .spec.metrics'):
        await two.apply(tree(older, targetCPUUtilizationPercentage=70))
    forced = await two.apply(tree(older, targetCPUUtilizationPercentage=70), force=True)
    assert owned(forced) == {"one v2": {MAX}, "two v1": {CPU}}
    assert forced.spec.metrics[0].resource.target.average_utilization == 70  # type: ignore[union-attr]
    with pytest.raises(ApiError, match=r'conflict with "two".*: .spec.targetCPU'):
        await one.apply(whole(newer, metrics=[metric("cpu", 50)]))


async def test_the_same_values_are_shared(
    registry: Registry, older: Version, newer: Version
) -> None:
    one, two = Writer(registry, newer, "one"), Writer(registry, older, "two")
    await one.apply(whole(newer, metrics=[metric("cpu", 50)]))
    shared = await two.apply(whole(older, targetCPUUtilizationPercentage=50))
    assert owned(shared) == {"one v2": {MAX, ".spec.metrics"}, "two v1": {MAX, CPU}}


async def test_what_is_applied_no_longer_goes_in_whatever_version(
    registry: Registry, older: Version, newer: Version
) -> None:
    before, after = Writer(registry, newer, "one"), Writer(registry, older, "one")
    rules = {"scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}}
    made = await before.apply(
        whole(newer, metrics=[metric("cpu", 50), metric("memory", 60)], behavior=rules)
    )
    assert made.spec.behavior is not None
    left = await after.apply(whole(older, targetCPUUtilizationPercentage=50))
    assert [
        entry.api_version for entry in left.metadata.managed_fields if entry.operation == "Apply"
    ] == ["autoscaling/v1"]
    assert left.spec.behavior is None
    assert [one.resource.name for one in left.spec.metrics] == ["cpu"]  # type: ignore[union-attr]


async def test_what_another_owns_in_another_version_stays(
    registry: Registry, client: LocalClient, older: Version, newer: Version
) -> None:
    mine, theirs = Writer(registry, older, "one"), Writer(registry, newer, "two")
    await mine.apply(whole(older, targetCPUUtilizationPercentage=50))
    await theirs.apply(tree(newer, metrics=[metric("cpu", 50)]))
    left = await mine.apply(whole(older))
    assert left.spec.metrics[0].resource.target.average_utilization == 50  # type: ignore[union-attr]
    assert owned(left) == {"one v1": {MAX}, "two v2": {".spec.metrics"}}
