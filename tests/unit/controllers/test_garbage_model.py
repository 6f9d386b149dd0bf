"""The garbage collector in a graph that keeps changing, over caches that lag, killed again and again.

Objects are made with owners that live, that were, and that lie in a circle; they are deleted in each
of the three ways, adopted and let go. At every delete of the collector's own, what the store has says
whether it was right; in the end nothing is left that should not be.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from api import errors
from api.core import ConfigMap, Namespace, Secret
from api.interface import Client
from api.meta import ObjectMeta
from base.clock import FakeClock
from base.tasks import TaskGuard
from control.apiserver.local import LocalClient
from control.controllers.lifecycle.garbage import GarbageCollector
from control.controllers.lifecycle.ownership import FOREGROUND
from tests.unit.controllers.slowmotion import (
    Fate,
    Process,
    api_in_memory,
    idle,
    quiet_context,
)

NAMESPACE = "ns"
Made = ConfigMap | Secret
KINDS: tuple[type[Any], ...] = (ConfigMap, Secret)
NAMES = [f"{letter}{number}" for letter in "cs" for number in range(4)]


def kind_of(name: str) -> type[Any]:
    """Two kinds, whose caches lag each on its own."""
    return KINDS["cs".index(name[0])]


def reference(name: str, uid: str, *, blocks: bool) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": kind_of(name).__name__,
        "name": name,
        "uid": uid,
        "blockOwnerDeletion": blocks,
    }


class Judge:
    """A client whose deletes are judged by what the store has."""

    def __init__(self, client: LocalClient) -> None:
        self._client = client
        self.deletes = 0
        self.wrong: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def delete(self, type_: type[Any], name: str, namespace: str, **more: Any) -> None:
        there = await alive(self._client)
        before = there.get(name)
        await self._client.delete(type_, name, namespace, **more)
        self.deletes += 1
        by_uid = {one.metadata.uid: one for one in there.values()}
        owners = before.metadata.owner_references if before is not None else []
        for owner in owners:
            kept_by = by_uid.get(owner.uid)
            if kept_by is not None and FOREGROUND not in kept_by.metadata.finalizers:
                self.wrong.append(f"{name} was deleted although {owner.name} owns it")


async def alive(client: Client) -> dict[str, Made]:
    found = [one for kind in KINDS for one in (await client.list(kind, NAMESPACE)).items]
    return {one.metadata.name: one for one in found}


class Graph:
    """Objects that own each other, and a collector that sees them late."""

    def __init__(self, client: LocalClient, clock: FakeClock, source: random.Random) -> None:
        self.client, self.clock, self.source = client, clock, source
        self.judge = Judge(client)
        self.lost: list[str] = [f"never-{number}" for number in range(3)]
        """UIDs of what is not there any more."""

    async def live(self) -> None:
        self.guard = TaskGuard("collector")
        judge: Any = self.judge
        self.process = Process(judge, self._nothing)
        context = quiet_context(self.process, self.clock, self.guard)
        self.collector = GarbageCollector(context)
        context.informers.start(self.guard)
        await context.informers.synced()
        self.collector.start(self.guard)
        await idle()

    async def _nothing(self) -> None:
        pass

    async def revive(self) -> None:
        await self.guard.close()
        await self.live()

    async def step(self) -> None:
        chance = self.source.random()
        if chance < 0.4:
            await self.process.deliver(self.source.choice(KINDS), self.source.randint(1, 5))
        elif chance < 0.9:
            await self._change()
        else:
            self.clock.advance(self.source.choice((0.1, 1, 30)))
            await idle()
        if self.source.random() < 0.1:
            ends = ("lost before", "lost after")
            self.process.fate = Fate(self.source.randint(0, 3), self.source.choice(ends))
        if self.source.random() < 0.04:
            await self.revive()

    async def _change(self) -> None:
        there = await alive(self.client)
        name = self.source.choice(NAMES)
        try:
            if name in there and self.source.random() < 0.6:
                await self._delete(there[name])
                return
            owners = self._owners(there)
            if name not in there:
                metadata = {"name": name, "namespace": NAMESPACE, "ownerReferences": owners}
                await self.client.create(msgspec.convert({"metadata": metadata}, kind_of(name)))
                return
            change = {"metadata": {"ownerReferences": owners or None}}
            await self.client.patch(kind_of(name), name, NAMESPACE, change)
        except errors.ApiError as error:
            assert errors.is_not_found(error) or errors.is_conflict(error), error

    async def _delete(self, one: Made) -> None:
        policy = self.source.choice(("Background", "Foreground", "Orphan"))
        name, uid = one.metadata.name, one.metadata.uid
        await self.client.delete(kind_of(name), name, NAMESPACE, uid=uid, propagation_policy=policy)
        self.lost.append(uid)

    def _owners(self, there: dict[str, Made]) -> list[dict[str, Any]]:
        """Some that live, and now and then one that does not."""
        number = self.source.choice((0, 1, 1, 1, 2))
        chosen = self.source.sample(sorted(there), min(number, len(there)))
        owners = [
            reference(name, there[name].metadata.uid, blocks=self.source.random() < 0.5)
            for name in chosen
        ]
        gone = self.source.choice(self.lost)
        if owners and self.source.random() < 0.2 and gone not in {one["uid"] for one in owners}:
            owners.append(reference(self.source.choice(NAMES), gone, blocks=True))
        return owners

    async def settle(self) -> None:
        """Everything is heard of, and everything that was put off is done."""
        self.process.fate = None
        before: Any = None
        for _ in range(60):
            for kind in KINDS:
                await self.process.deliver(kind, 1000)
            await self.clock.run_for(400)
            await idle()
            there = await alive(self.client)
            now = {name: one.metadata.resource_version for name, one in there.items()}
            if now == before:
                return
            before = now
        raise AssertionError("it never comes to rest")


async def run(folder: Path, seed: int) -> int:
    source, clock = random.Random(seed), FakeClock()
    async with api_in_memory(folder, clock, source) as client:
        await client.create(Namespace(metadata=ObjectMeta(name=NAMESPACE)))
        graph = Graph(client, clock, source)
        await graph.live()
        for _ in range(source.randint(60, 250)):
            await graph.step()
        await graph.settle()
        there = await alive(client)
        uids = {one.metadata.uid for one in there.values()}
        for name, one in there.items():
            metadata = one.metadata
            assert not metadata.deletion_timestamp, f"{name} waits for ever: {metadata.finalizers}"
            owners = metadata.owner_references
            assert all(owner.uid in uids for owner in owners), f"{name} names one that is gone"
        await graph.guard.close()
    assert not graph.judge.wrong
    return graph.judge.deletes


@pytest.mark.parametrize("seed", range(25))
def test_what_is_owned_stays_and_what_is_not_goes(tmp_path: Path, seed: int) -> None:
    asyncio.run(run(tmp_path, seed))


def test_the_collector_has_something_to_do_in_these_runs(tmp_path: Path) -> None:
    assert sum(asyncio.run(run(tmp_path, seed)) for seed in range(5)) > 20
