"""Whatever happens in a namespace at the same moment: what its quotas say is used is what is there."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from api.client import PatchType
from api.core import (
    Container,
    Pod,
    PodSpec,
    ResourceQuota,
    ResourceQuotaScope,
    ResourceQuotaSpec,
    ResourceQuotaStatus,
    ResourceRequirements,
    Secret,
    Service,
    ServicePort,
    ServiceSpec,
)
from api.errors import ApiError
from api.meta import ObjectMeta
from api.quantity import parse
from api.scheme import resource_of
from control.admission.quota.charging import add, counted
from control.apiserver.local import LocalClient
from control.apiserver.registry.registry import Registry

HARD = {
    "numbers": {"pods": "6", "count/pods": "9", "services": "4", "services.nodeports": "2",
                "secrets": "3"},
    "compute": {"requests.cpu": "2"},
    "bounded": {"pods": "2"},
}  # fmt: skip
SCOPES: dict[str, list[ResourceQuotaScope]] = {"bounded": ["Terminating"]}
KINDS: tuple[type[Any], ...] = (Pod, Secret, Service)
NAMES = [f"n{number}" for number in range(10)]


def meta(name: str, **more: Any) -> ObjectMeta:
    return ObjectMeta(name=name, namespace="ns", **more)


class Crowd:
    """People who do anything to anything; being refused is part of it."""

    def __init__(self, client: LocalClient, source: random.Random) -> None:
        self._client = client
        self._source = source
        self._acts: list[Callable[[str], Awaitable[Any]]] = [
            self._make_pod,
            self._make_pod,
            self._make_secret,
            self._make_service,
            self._change_service,
            self._finish,
            self._let_go,
            self._resize,
            self._try,
            *(self._deleter(type_) for type_ in KINDS),
        ]

    async def act(self) -> bool:
        """Whether it was let through."""
        try:
            await self._source.choice(self._acts)(self._source.choice(NAMES))
        except ApiError:
            return False
        return True

    def _pod(self, name: str) -> Pod:
        cpu = self._source.choice(["100m", "500m", "1"])
        resources = ResourceRequirements(requests={"cpu": cpu}, limits={"cpu": "4"})
        return Pod(
            metadata=meta(name, finalizers=self._source.choice([[], [], ["example.com/f"]])),
            spec=PodSpec(
                containers=[Container(name="c", image="i", resources=resources)],
                active_deadline_seconds=self._source.choice([None, 60]),
            ),
        )

    async def _make_pod(self, name: str) -> None:
        await self._client.create(self._pod(name))

    async def _try(self, name: str) -> None:
        await self._client.create(self._pod(name), dry_run=True)

    async def _make_secret(self, name: str) -> None:
        await self._client.create(Secret(metadata=meta(name)))

    def _type(self) -> str:
        return self._source.choice(["ClusterIP", "NodePort", "LoadBalancer"])

    async def _make_service(self, name: str) -> None:
        spec = ServiceSpec(type=self._type(), ports=[ServicePort(port=80)])
        await self._client.create(Service(metadata=meta(name), spec=spec))

    async def _change_service(self, name: str) -> None:
        await self._client.patch(Service, name, "ns", {"spec": {"type": self._type()}})

    async def _finish(self, name: str) -> None:
        status = {"status": {"phase": "Succeeded"}}
        await self._client.patch(Pod, name, "ns", status, subresource="status")

    async def _let_go(self, name: str) -> None:
        await self._client.patch(Pod, name, "ns", {"metadata": {"finalizers": None}})

    async def _resize(self, name: str) -> None:
        cpu = self._source.choice(["100m", "2"])
        container = {"name": "c", "resources": {"requests": {"cpu": cpu}}}
        await self._client.patch(
            Pod, name, "ns", {"spec": {"containers": [container]}},
            patch_type=PatchType.STRATEGIC, subresource="resize",
        )  # fmt: skip

    def _deleter(self, type_: type[Any]) -> Callable[[str], Awaitable[Any]]:
        async def delete(name: str) -> None:
            await self._client.delete(type_, name, "ns", grace_period_seconds=0)

        return delete


async def quotas(client: LocalClient) -> list[ResourceQuota]:
    return (await client.list(ResourceQuota, "ns")).items


async def prepare(client: LocalClient) -> None:
    for name, hard in HARD.items():
        spec = ResourceQuotaSpec(hard=hard, scopes=SCOPES.get(name, []))
        made = await client.create(ResourceQuota(metadata=meta(name), spec=spec))
        made.status = ResourceQuotaStatus(hard=hard, used=dict.fromkeys(hard, "0"))
        await client.update(made, subresource="status")


@pytest.mark.parametrize("seed", range(5))
async def test_used_is_what_is_there(client: LocalClient, registry: Registry, seed: int) -> None:
    await prepare(client)
    crowd, done = Crowd(client, random.Random(seed)), 0
    for _ in range(25):
        done += sum(await asyncio.gather(*(crowd.act() for _ in range(12))))
        now = registry.clock.now()
        there = [
            (resource_of(type_), obj)
            for type_ in KINDS
            for obj in (await client.list(type_, "ns")).items
        ]
        for quota in await quotas(client):
            deltas = (counted(quota, resource, obj, now) for resource, obj in there)
            right = add(dict.fromkeys(quota.spec.hard, "0"), deltas)
            assert {n: parse(a) for n, a in quota.status.used.items()} == {
                n: parse(a) for n, a in right.items()
            }, quota.metadata.name
            for name, hard in quota.spec.hard.items():
                assert parse(right[name]) <= parse(hard), name
    assert done > 50
