"""A Deployment's controllers at work, in slow motion: the real ones, over the real API in memory.

Nothing happens by itself. `World.step` lets chance decide what is next: a cache hears of some more of
what has happened, controllers look at some of their keys, side by side, an agent gets on with a pod,
or the controllers are killed: between two looks, or in the middle of one (`slowmotion`). After every
write the pods that really exist are counted. The same seed makes the same run.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

from api import pods
from api.apps import Deployment, ReplicaSet
from api.client import PatchType
from api.core import Namespace, Pod
from api.meta import ObjectMeta
from api.objects import Key
from base.clock import FakeClock
from base.errors import PodwrightError
from base.tasks import TaskGuard
from control.apiserver.local import LocalClient
from control.controllers.context import Informers
from control.controllers.controller import Controller
from control.controllers.workloads.deployment import DeploymentController
from control.controllers.workloads.replicaset import ReplicaSetController
from tests.unit.controllers.slowmotion import Fate, KilledError, Process, QuietContext, idle

NAMESPACE = "ns"


class World:
    """One Deployment, `web`, and everything that is made of it."""

    def __init__(self, client: LocalClient, clock: FakeClock, source: random.Random) -> None:
        self.client, self.clock, self.source = client, clock, source
        self.most = 0
        self.fewest = 2**31
        self.templates = 0
        self.writes = 0
        self.lives = 0
        self.told: list[str] = []

    async def begin(self, wanted: Deployment) -> None:
        await self.client.create(Namespace(metadata=ObjectMeta(name=NAMESPACE)))
        wanted.metadata.uid, wanted.metadata.namespace = "", NAMESPACE
        await self.client.create(wanted)
        await self._live()

    async def end(self) -> None:
        await self._guard.close()

    # The process

    async def _live(self) -> None:
        self.lives += 1
        self._guard = TaskGuard(f"life {self.lives}")
        self.process = Process(self.client, self._count)
        client: Any = self.process
        informers = Informers(client, self.clock)
        context = QuietContext(
            client=client,
            informers=informers,
            clock=self.clock,
            ca=None,  # type: ignore[arg-type]
            guard=self._guard,
            told=self.told,
        )
        self._deployments = DeploymentController(context)
        self._sets = ReplicaSetController(context)
        self._informers = informers
        informers.start(self._guard)
        await informers.synced()
        await idle()

    async def _revive(self) -> None:
        await self._guard.close()
        await self._live()

    async def _reconcile(self, controller: Controller, key: Key) -> None:
        try:
            await controller.reconcile(key)
        except (PodwrightError, KilledError):
            pass  # the queue would bring it back, or the next life

    # What there is

    async def all_pods(self) -> list[Pod]:
        return list((await self.client.list(Pod, NAMESPACE)).items)

    async def all_sets(self) -> list[ReplicaSet]:
        return list((await self.client.list(ReplicaSet, NAMESPACE)).items)

    async def _count(self) -> None:
        self.writes += 1
        there = await self.all_pods()
        images = {pod.spec.containers[0].image for pod in there}
        self.templates = max(self.templates, len(images))
        found = [pod for pod in there if pods.is_active(pod)]
        self.most = max(self.most, len(found))
        self.fewest = min(self.fewest, sum(map(pods.is_ready, found)))

    # What happens

    async def step(self, *, faults: bool = True) -> None:
        """One thing happens."""
        chance = self.source.random()
        if chance < 0.35:
            type_ = self.source.choice((Deployment, ReplicaSet, Pod))
            await self.process.deliver(type_, self.source.randint(1, 4))
        elif chance < 0.65:
            await self._look(faults)
        elif chance < 0.95:
            await self._tend()
        else:
            self.clock.advance(self.source.randint(1, 5))
            if faults and self.source.random() < 0.3:
                await self._revive()

    async def _look(self, faults: bool) -> None:
        """Some keys are reconciled side by side."""
        sets = [Key(NAMESPACE, rs.metadata.name) for rs in await self.all_sets()]
        looks = [(self._deployments, Key(NAMESPACE, "web")), *((self._sets, key) for key in sets)]
        chosen = self.source.sample(looks, self.source.randint(1, len(looks)))
        if faults and self.source.random() < 0.3:
            ends = ("lost before", "lost after", "killed before", "killed after")
            self.process.fate = Fate(self.source.randint(0, 4), self.source.choice(ends))
        await asyncio.gather(*(self._reconcile(*look) for look in chosen))
        self.process.fate = None
        if self.process.dead:
            await self._revive()

    async def _tend(self) -> None:
        """An agent gets on with one pod: it becomes ready, or its end is complete."""
        waiting = [
            pod
            for pod in await self.all_pods()
            if pod.metadata.deletion_timestamp or not pods.is_ready(pod)
        ]
        if waiting:
            await self._advance(self.source.choice(waiting))

    async def _advance(self, pod: Pod) -> None:
        name = pod.metadata.name
        if pod.metadata.deletion_timestamp:
            await self.client.delete(Pod, name, NAMESPACE, grace_period_seconds=0)
            return
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        await self.client.patch(
            Pod,
            name,
            NAMESPACE,
            {"status": status},
            patch_type=PatchType.STRATEGIC,
            subresource="status",
        )

    async def change(self, **spec: Any) -> None:
        """The user writes something else into the spec."""
        await self.client.patch(Deployment, "web", NAMESPACE, {"spec": spec})

    async def roll(self, image: str) -> None:
        template = {"spec": {"containers": [{"name": "c", "image": image}]}}
        await self.change(template=template)

    async def hear(self) -> None:
        """The caches hear of all that has happened."""
        for type_ in (Deployment, ReplicaSet, Pod):
            await self.process.deliver(type_, 1000)

    async def look(self) -> None:
        """Every key is reconciled once, by those that live then."""
        for rs in await self.all_sets():
            await self._reconcile(self._sets, Key(NAMESPACE, rs.metadata.name))
        await self._reconcile(self._deployments, Key(NAMESPACE, "web"))
        if self.process.dead:
            await self._revive()

    async def rest(self) -> None:
        """The controllers do all there is to do before an agent does anything."""
        before = -1
        while before != self.writes:
            before = self.writes
            await self.hear()
            await self.look()

    async def ripen(self) -> bool:
        """One pod becomes ready, after those that end have ended; False if all are."""
        for pod in await self.all_pods():
            if pod.metadata.deletion_timestamp:
                await self._advance(pod)
        waiting = [pod for pod in await self.all_pods() if not pods.is_ready(pod)]
        if waiting:
            await self._advance(waiting[0])
        return bool(waiting)

    async def settle(self, image: str, replicas: int) -> None:
        """Without further faults, everything gets where it should."""
        for _ in range(400):
            await self.hear()
            await self.look()
            await self._tend()
            found = await self.all_pods()
            images = [pod.spec.containers[0].image for pod in found if pods.is_ready(pod)]
            if images == [image] * replicas and len(found) == replicas:
                status = (await self.client.get(Deployment, "web", NAMESPACE)).status
                if (status.updated_replicas, status.available_replicas) == (replicas, replicas):
                    return  # what was asked for is there, and the status says so
        raise AssertionError("the rollout never ends")
