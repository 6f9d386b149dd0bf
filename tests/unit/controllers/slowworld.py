"""Controllers and agents at work in slow motion: the real controllers, over the real API in memory.

Nothing happens by itself. `SlowWorld.step` lets chance decide what is next: a cache hears of some more
of what has happened, controllers look at some of their keys, side by side, an agent gets on with a pod,
or the controllers are killed: between two looks, or in the middle of one (`slowmotion`). After every
write a subclass counts what really exists. The same seed makes the same run.
"""

from __future__ import annotations

import asyncio
import random
from abc import abstractmethod
from typing import Any

from api import pods
from api.client import PatchType
from api.core import Namespace, Pod
from api.meta import ObjectMeta
from api.objects import Key
from api.struct import ApiStruct
from base.clock import FakeClock
from base.errors import PodwrightError
from base.tasks import TaskGuard
from control.apiserver.local import LocalClient
from control.controllers.context import Context
from control.controllers.controller import Controller
from tests.unit.controllers.slowmotion import Fate, KilledError, Process, idle, quiet_context

NAMESPACE = "ns"
Look = tuple[Controller, Key]


class SlowWorld:
    """One workload and everything that is made of it."""

    kinds: tuple[type[ApiStruct], ...]
    """What the controllers' caches hold."""

    def __init__(self, client: LocalClient, clock: FakeClock, source: random.Random) -> None:
        self.client, self.clock, self.source = client, clock, source
        self.writes = 0
        self.lives = 0
        self.told: list[str] = []

    @abstractmethod
    def controllers(self, context: Context) -> None:
        """Make those that are at work."""

    @abstractmethod
    async def looks(self) -> list[Look]:
        """Everything that there is to look at."""

    @abstractmethod
    async def count(self) -> None:
        """Something was written."""

    async def begin(self, wanted: Any) -> None:
        await self.client.create(Namespace(metadata=ObjectMeta(name=NAMESPACE)))
        wanted.metadata.uid, wanted.metadata.namespace = "", NAMESPACE
        await self.client.create(wanted)
        self._kind, self._name = type(wanted), wanted.metadata.name
        await self._live()

    async def end(self) -> None:
        await self._guard.close()

    # The process

    async def _live(self) -> None:
        self.lives += 1
        self._guard = TaskGuard(f"life {self.lives}")
        self.process = Process(self.client, self._wrote)
        context = quiet_context(self.process, self.clock, self._guard, told=self.told)
        self.controllers(context)
        context.informers.start(self._guard)
        await context.informers.synced()
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

    async def _wrote(self) -> None:
        self.writes += 1
        await self.count()

    # What happens

    async def step(self, *, faults: bool = True) -> None:
        """One thing happens."""
        chance = self.source.random()
        if chance < 0.35:
            type_ = self.source.choice(self.kinds)
            await self.process.deliver(type_, self.source.randint(1, 4))
        elif chance < 0.65:
            await self._look(faults)
        elif chance < 0.95:
            await self.tend()
        else:
            self.clock.advance(self.source.randint(1, 5))
            if faults and self.source.random() < 0.3:
                await self._revive()

    async def _look(self, faults: bool) -> None:
        """Some keys are reconciled side by side."""
        looks = await self.looks()
        chosen = self.source.sample(looks, self.source.randint(1, len(looks)))
        if faults and self.source.random() < 0.3:
            ends = ("lost before", "lost after", "killed before", "killed after")
            self.process.fate = Fate(self.source.randint(0, 4), self.source.choice(ends))
        await asyncio.gather(*(self._reconcile(*look) for look in chosen))
        self.process.fate = None
        if self.process.dead:
            await self._revive()

    async def tend(self) -> None:
        """An agent gets on with one pod: it becomes ready, or its end is complete."""
        waiting = [
            pod
            for pod in await self.all_pods()
            if pod.metadata.deletion_timestamp or not pods.is_ready(pod)
        ]
        if waiting:
            await self.advance(self.source.choice(waiting))

    async def advance(self, pod: Pod) -> None:
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
        await self.client.patch(self._kind, self._name, NAMESPACE, {"spec": spec})

    async def roll(self, image: str) -> None:
        template = {"spec": {"containers": [{"name": "c", "image": image}]}}
        await self.change(template=template)

    async def hear(self) -> None:
        """The caches hear of all that has happened."""
        for type_ in self.kinds:
            await self.process.deliver(type_, 1000)

    async def look(self) -> None:
        """Every key is reconciled once, by those that live then."""
        for controller, key in await self.looks():
            await self._reconcile(controller, key)
        if self.process.dead:
            await self._revive()
