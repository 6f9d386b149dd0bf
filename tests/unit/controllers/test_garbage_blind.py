"""Collecting garbage beside a kind that cannot be listed: its definition is broken, others wait not."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from api import errors
from api.core import ConfigMap, Namespace
from api.custom import Custom, custom_type
from api.interface import Listed
from api.meta import ObjectMeta
from api.scheme import SERVED, Catalogue, Resource
from base.clock import FakeClock
from base.tasks import TaskGuard
from control.apiserver.local import LocalClient
from control.controllers.lifecycle.garbage import PATIENCE, GarbageCollector
from tests.unit.controllers.slowmotion import api_in_memory, idle, quiet_context

NAMESPACE = "ns"
Widget: Any = custom_type("Widget")
WIDGETS = Resource(
    group="example.com",
    version="v1",
    kind="Widget",
    plural="widgets",
    type=Widget,
    namespaced=True,
    singular="widget",
)


class Broken:
    """A client that can read widgets when `mended`."""

    def __init__(self, client: LocalClient) -> None:
        self._client = client
        self.mended = False
        self.widgets: list[Custom] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def list(self, type_: type[Any], *args: Any, **more: Any) -> Any:
        if type_ is not Widget:
            return await self._client.list(type_, *args, **more)
        self._check()
        return Listed(items=self.widgets, resource_version="1")

    async def watch(self, type_: type[Any], *args: Any, **more: Any) -> Any:
        if type_ is Widget:
            await asyncio.Event().wait()
        async for event in self._client.watch(type_, *args, **more):
            yield event

    async def get(self, type_: type[Any], name: str, *args: Any, **more: Any) -> Any:
        if type_ is not Widget:
            return await self._client.get(type_, name, *args, **more)
        self._check()
        for widget in self.widgets:
            if widget.metadata.name == name:
                return widget
        raise errors.not_found(WIDGETS, name)

    def _check(self) -> None:
        if not self.mended:
            raise errors.unavailable("conversion webhook: connection refused")


class World:
    """A collector that follows the built-in kinds and widgets."""

    def __init__(self, client: LocalClient, clock: FakeClock, guard: TaskGuard) -> None:
        self.clock, self.broken = clock, Broken(client)
        self.client: Any = self.broken
        self._guard = guard
        catalogue = Catalogue([*SERVED, WIDGETS])
        self.context = quiet_context(self.client, clock, guard, catalogue=catalogue)
        self.collector = GarbageCollector(self.context)

    async def start(self) -> None:
        self.context.informers.start(self._guard)
        await self.context.informers.synced()
        self.collector.start(self._guard)
        await idle()

    async def make(self, name: str, *owners: dict[str, Any]) -> ConfigMap:
        metadata = {"name": name, "namespace": NAMESPACE, "ownerReferences": list(owners)}
        return await self.client.create(msgspec.convert({"metadata": metadata}, ConfigMap))

    async def names(self) -> set[str]:
        listed = await self.client.list(ConfigMap, NAMESPACE)
        return {one.metadata.name for one in listed.items}

    async def wait(self, seconds: float) -> None:
        await self.clock.run_for(seconds)
        await idle()


def owned_by(owner: Any, kind: str = "ConfigMap", api_version: str = "v1") -> dict[str, Any]:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": owner.metadata.name,
        "uid": owner.metadata.uid,
        "blockOwnerDeletion": True,
    }


def played(folder: Path, scene: Callable[[World], Awaitable[None]]) -> None:
    async def play() -> None:
        clock = FakeClock()
        async with (
            api_in_memory(folder, clock, random.Random(1)) as client,
            TaskGuard("collector") as guard,
        ):
            await client.create(Namespace(metadata=ObjectMeta(name=NAMESPACE)))
            world = World(client, clock, guard)
            await world.start()
            await scene(world)

    asyncio.run(play())


async def _delete(world: World, name: str, policy: str) -> None:
    await world.client.delete(ConfigMap, name, NAMESPACE, propagation_policy=policy)
    await world.wait(0.1)


def test_what_waits_for_its_dependents_waits_a_while_for_a_kind_and_then_goes(
    tmp_path: Path,
) -> None:
    async def scene(world: World) -> None:
        owner = await world.make("owner")
        await world.make("child", owned_by(owner))
        await _delete(world, "owner", "Foreground")
        await world.wait(PATIENCE / 2)
        assert "owner" in await world.names()
        assert not world.context.told
        await world.wait(3 * PATIENCE)
        assert not {"owner", "child"} & await world.names()
        assert (
            "Warning DependentsNotSeen dependents were looked for without widgets.example.com,"
            " which cannot be listed" in world.context.told
        )
        assert world.collector.statistics()["kinds_not_seen"] == 1

    played(tmp_path, scene)


def test_dependents_are_orphaned_though_a_kind_cannot_be_listed(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        owner = await world.make("owner")
        await world.make("child", owned_by(owner))
        await _delete(world, "owner", "Orphan")
        await world.wait(3 * PATIENCE)
        assert "owner" not in await world.names()
        child = await world.client.get(ConfigMap, "child", NAMESPACE)
        assert not child.metadata.owner_references

    played(tmp_path, scene)


def test_nobody_loses_an_owner_that_cannot_be_looked_up(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        metadata = ObjectMeta(name="there", namespace=NAMESPACE, uid="w1", resource_version="1")
        there = Widget(api_version="example.com/v1", kind="Widget", metadata=metadata, content={})
        metadata = ObjectMeta(name="gone", namespace=NAMESPACE, uid="w2")
        gone = Widget(api_version="example.com/v1", kind="Widget", metadata=metadata, content={})
        for widget in (there, gone):
            name = f"of-{widget.metadata.name}"
            await world.make(name, owned_by(widget, "Widget", "example.com/v1"))
        await world.wait(5 * PATIENCE)
        assert {"of-there", "of-gone"} <= await world.names()
        world.broken.widgets, world.broken.mended = [there], True
        await world.wait(2000)
        assert "of-there" in await world.names()
        assert "of-gone" not in await world.names()
        assert world.collector.statistics()["kinds_not_seen"] == 0

    played(tmp_path, scene)


def test_a_dependent_that_was_not_seen_goes_when_it_is(tmp_path: Path) -> None:
    """The owner went without it; it is judged by that owner once it can be listed."""

    async def scene(world: World) -> None:
        deleted: list[str] = []

        async def delete(type_: type[Any], name: str, *args: Any, **more: Any) -> None:
            deleted.append(name)

        owner = await world.make("owner")
        await _delete(world, "owner", "Foreground")
        await world.wait(3 * PATIENCE)
        references = [owned_by(owner)]
        metadata = msgspec.convert(
            {
                "name": "late",
                "namespace": NAMESPACE,
                "uid": "w3",
                "resourceVersion": "1",
                "ownerReferences": references,
            },
            ObjectMeta,
        )
        late = Widget(api_version="example.com/v1", kind="Widget", metadata=metadata, content={})
        world.broken.delete = delete  # type: ignore[attr-defined]
        world.broken.widgets, world.broken.mended = [late], True
        await world.wait(100)
        assert deleted == ["late"]

    played(tmp_path, scene)
