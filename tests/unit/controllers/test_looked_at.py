"""How many objects are looked at for one change: no more than it concerns, however many there are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from api import objects
from api.core import PersistentVolume, PersistentVolumeClaim, Pod, Secret, ServiceAccount
from api.informer import Informer
from api.interface import Listed
from api.meta import ObjectMeta, OwnerReference
from api.objects import Key
from api.selectors import parse_label_selector
from base.clock import FakeClock
from base.tasks import TaskGuard
from control.controllers import indexes
from control.controllers.controller import Controller
from control.controllers.lifecycle.tokensecrets import NAME, TYPE, TokenSecretController
from control.controllers.nodes.ipam import NodeIpamController
from control.controllers.volumes.binding import PersistentVolumeController
from control.controllers.workloads.replicaset import ReplicaSetController
from control.scheduler import storage
from control.scheduler.request import request_of
from control.scheduler.snapshot import Snapshot
from tests.unit.controllers.making import replica_set
from tests.unit.controllers.slowmotion import quiet_context
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
    async with TaskGuard("test") as guard:
        context = quiet_context(api, FakeClock(), guard)
        made = controller(context)
        context.informers.start(guard)
        await context.informers.synced()
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


def token(name: str, account: str, namespace: str = "default") -> Secret:
    body = {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "annotations": {NAME: account},
        },
        "type": TYPE,
    }
    return msgspec.convert(body, type=Secret)


async def test_an_account_does_not_look_at_the_secrets_of_others(looked_at: list[int]) -> None:
    account = ServiceAccount(metadata=ObjectMeta(name="robot", namespace="default"))
    others = [token(f"other-{n}", f"other-{n}") for n in range(MANY)]
    api = Still([account, token("mine", "robot"), token("far", "robot", "elsewhere"), *others])
    async with told(TokenSecretController, api) as controller:
        queued: list[str] = []
        controller.queue.add = lambda key: queued.append(str(key))  # type: ignore[method-assign]
        looked_at.clear()
        controller._on_account(account)  # type: ignore[attr-defined]
    assert queued == ["default/mine"]
    assert sum(looked_at) == 1


async def test_a_node_that_joins_does_not_look_at_the_others(looked_at: list[int]) -> None:
    nodes = [node(f"n{n}") for n in range(MANY)]
    for number, one in enumerate(nodes):
        one.spec.pod_cidr = f"10.244.{number}.0/24" if number < 250 else ""
    api = Still(nodes)
    async with told(NodeIpamController, api) as controller:
        looked_at.clear()
        await controller.reconcile(Key("", "n300"))
        await controller.reconcile(Key("", "n301"))
    assert api.wrote == ["patch n300", "patch n301"]
    assert controller._given == {"n300": "10.244.250.0/24", "n301": "10.244.251.0/24"}  # type: ignore[attr-defined]
    assert not sum(looked_at)


@pytest.mark.parametrize(
    ("selector", "found", "most"),
    [
        ("app=one", 1, 1),
        ("app in (one),tier=web", 1, 1),
        ("tier=web,app!=one", MANY, MANY + 1),
        ("app in (one,two)", 1, MANY + 1),
        ("app=one,app=two", 0, 1),
    ],
)
async def test_a_selector_looks_at_those_of_its_rarest_label(
    looked_at: list[int], selector: str, found: int, most: int
) -> None:
    shop = [pod(f"p{n}", labels={"app": "shop", "tier": "web"}) for n in range(MANY)]
    api = Still([*shop, pod("one", labels={"app": "one", "tier": "web"})])
    informer = Informer[Pod](api, Pod, clock=FakeClock())  # type: ignore[arg-type]
    indexes.index_pods(informer)
    async with TaskGuard("test") as guard:
        guard.start(informer.run(), name="pods")
        await informer.synced()
        looked_at.clear()
        assert len(indexes.matching(informer, "default", parse_label_selector(selector))) == found
    assert sum(looked_at) <= most
