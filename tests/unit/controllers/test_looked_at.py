"""How many objects are looked at for one change: no more than it concerns, however many there are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from api import objects
from api.core import PersistentVolume, PersistentVolumeClaim
from api.informer import Informer
from api.interface import Listed
from api.meta import OwnerReference
from api.objects import Key
from base.clock import FakeClock
from base.tasks import TaskGuard
from control.controllers.context import Informers
from control.controllers.controller import Controller
from control.controllers.volumes.binding import PersistentVolumeController
from control.controllers.workloads.replicaset import ReplicaSetController
from control.scheduler import storage
from control.scheduler.request import request_of
from control.scheduler.snapshot import Snapshot
from tests.unit.controllers.making import replica_set
from tests.unit.controllers.slowmotion import QuietContext
from tests.unit.controllers.test_volumes import claim, class_, volume
from tests.unit.scheduler.making import node, pod

MANY = 2000


class Still:
    """A world in which nothing happens."""

    def __init__(self, made: Iterable[Any]) -> None:
        self._made = list(made)
        self.wrote: list[str] = []

    async def list(self, type_: type[Any], *_: Any, **__: Any) -> Listed[Any]:
        return Listed([one for one in self._made if isinstance(one, type_)], "1")

    async def watch(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        await asyncio.Event().wait()
        yield

    async def update(self, obj: Any, **_: Any) -> Any:
        self.wrote.append(f"update {obj.metadata.name}")
        return obj

    async def delete(self, type_: type[Any], name: str, *_: Any, **__: Any) -> None:
        self.wrote.append(f"delete {name}")

    async def patch(self, type_: type[Any], name: str, *_: Any, **__: Any) -> Any:
        self.wrote.append(f"patch {name}")
        return next(o for o in self._made if isinstance(o, type_) and o.metadata.name == name)


@asynccontextmanager
async def told(controller: type[Controller], api: Still) -> AsyncIterator[Controller]:
    """The controller, when it has heard of everything."""
    clock, client = FakeClock(), api
    async with TaskGuard("test") as guard:
        informers = Informers(client, clock)  # type: ignore[arg-type]
        made = controller(
            QuietContext(
                client=client,  # type: ignore[arg-type]
                informers=informers,
                clock=clock,
                ca=None,  # type: ignore[arg-type]
                guard=guard,
            )
        )
        informers.start(guard)
        await informers.synced()
        yield made


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts every object that comes out of a cache with others."""
    counted: list[int] = []
    for name in ("items", "by_index"):
        asked = getattr(Informer, name)

        def count(self: Any, *arguments: Any, asked: Any = asked) -> Any:
            found = asked(self, *arguments)
            counted.append(len(found))
            return found

        monkeypatch.setattr(Informer, name, count)
    return counted


def _revision(name: str, pods: int, size: int) -> list[Any]:
    """A set of the Deployment `web`, and its pods."""
    of_web = OwnerReference(
        api_version="apps/v1", kind="Deployment", name="web", uid="uid-web", controller=True
    )
    made = replica_set(name, size=size)
    made.metadata.owner_references = [of_web]
    selected = {"app": "web", "pod-template-hash": name}
    assert made.spec.selector is not None
    made.spec.selector.match_labels = dict(selected)
    pods_ = [pod(f"{name}-{number}", labels=dict(selected)) for number in range(pods)]
    for one in pods_:
        one.metadata.owner_references = [objects.controller_reference(made)]
    return [made, *pods_]


async def test_a_set_of_pods_does_not_look_at_those_of_its_siblings(looked_at: list[int]) -> None:
    api = Still([*_revision("old", MANY, MANY), *_revision("new", 3, 3)])
    async with told(ReplicaSetController, api) as controller:
        looked_at.clear()
        await controller.reconcile(Key("default", "new"))
    assert api.wrote == ["update new"]
    assert sum(looked_at) == 3


async def test_a_set_looks_at_each_of_its_own_pods_once(looked_at: list[int]) -> None:
    api = Still([*_revision("old", MANY, MANY), *_revision("new", MANY, MANY)])
    async with told(ReplicaSetController, api) as controller:
        looked_at.clear()
        await controller.reconcile(Key("default", "old"))
    assert sum(looked_at) == MANY


async def test_a_set_that_is_too_large_does_look_at_its_siblings(looked_at: list[int]) -> None:
    """Their pods count where it is decided which node has the most (KEP-2185)."""
    api = Still([*_revision("old", 3, 2), *_revision("new", 10, 10)])
    async with told(ReplicaSetController, api) as controller:
        looked_at.clear()
        await controller.reconcile(Key("default", "old"))
    assert len(api.wrote) == 2
    assert sum(looked_at) >= 13


def _volumes(number: int) -> list[PersistentVolume]:
    """Of many volumes two are free, and one of them is of the class that is asked for."""
    taken = {"namespace": "default", "uid": "other"}
    return [
        *(
            volume(name=f"taken-{n}", spec__claimRef={**taken, "name": f"other-{n}"})
            for n in range(number)
        ),
        volume(name="of-another-class", spec__storageClassName="slow"),
        volume(name="free"),
    ]


async def test_a_claim_does_not_look_at_the_volumes_of_others(looked_at: list[int]) -> None:
    wanted = claim()
    api = Still([wanted, class_(), *_volumes(MANY)])
    async with told(PersistentVolumeController, api) as controller:
        looked_at.clear()
        await controller.reconcile(Key("default", wanted.metadata.name))
    assert api.wrote[0] == "patch free"
    assert sum(looked_at) <= 2


def test_the_scheduler_does_not_look_at_the_volumes_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offered: list[str] = []

    def best(asked: PersistentVolumeClaim, volumes: Iterable[Any], **_: Any) -> Any:
        found = list(volumes)
        offered.extend(one.metadata.name for one in found)
        return min(found, key=lambda one: one.metadata.name, default=None)

    monkeypatch.setattr(storage, "best", best)
    snapshot = Snapshot()
    snapshot.storage.set_class("fast", class_(volumeBindingMode="WaitForFirstConsumer"))
    for one in _volumes(MANY):
        snapshot.storage.set_volume(one.metadata.name, one)
    wanted = claim()
    name = wanted.metadata.name
    snapshot.storage.set_claim(("default", name), wanted)
    using = pod("p", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": name}}])
    picks = snapshot.storage.choose(request_of(using), node("n1"))
    assert not isinstance(picks, storage.Lack)
    assert offered == ["free"]
    assert {type(one) for one in picks.values()} == {PersistentVolume}
    snapshot.storage.set_volume("free", volume(name="free", spec__storageClassName="slow"))
    snapshot.storage.choose(request_of(using), node("n1"))
    assert offered == ["free"]
