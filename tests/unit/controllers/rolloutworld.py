"""A Deployment's controllers in slow motion: its pods are counted after every write."""

from __future__ import annotations

import random

from api import pods
from api.apps import Deployment, ReplicaSet
from api.core import Pod
from api.objects import Key
from base.clock import FakeClock
from control.apiserver.local import LocalClient
from control.controllers.context import Context
from control.controllers.workloads.deployment import DeploymentController
from control.controllers.workloads.replicaset import ReplicaSetController
from tests.unit.controllers.slowworld import NAMESPACE, Look, SlowWorld


class World(SlowWorld):
    """One Deployment, `web`, and everything that is made of it."""

    kinds = (Deployment, ReplicaSet, Pod)

    def __init__(self, client: LocalClient, clock: FakeClock, source: random.Random) -> None:
        super().__init__(client, clock, source)
        self.most = 0
        self.fewest = 2**31
        self.templates = 0

    def controllers(self, context: Context) -> None:
        self._deployments = DeploymentController(context)
        self._sets = ReplicaSetController(context)

    async def looks(self) -> list[Look]:
        sets = (await self.client.list(ReplicaSet, NAMESPACE)).items
        keys = [Key(NAMESPACE, rs.metadata.name) for rs in sets]
        return [*((self._sets, key) for key in keys), (self._deployments, Key(NAMESPACE, "web"))]

    async def count(self) -> None:
        there = await self.all_pods()
        images = {pod.spec.containers[0].image for pod in there}
        self.templates = max(self.templates, len(images))
        found = [pod for pod in there if pods.is_active(pod)]
        self.most = max(self.most, len(found))
        self.fewest = min(self.fewest, sum(map(pods.is_ready, found)))

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
                await self.advance(pod)
        waiting = [pod for pod in await self.all_pods() if not pods.is_ready(pod)]
        if waiting:
            await self.advance(waiting[0])
        return bool(waiting)

    async def settle(self, image: str, replicas: int) -> None:
        """Without further faults, everything gets where it should."""
        for _ in range(400):
            await self.hear()
            await self.look()
            await self.tend()
            found = await self.all_pods()
            images = [pod.spec.containers[0].image for pod in found if pods.is_ready(pod)]
            if images == [image] * replicas and len(found) == replicas:
                status = (await self.client.get(Deployment, "web", NAMESPACE)).status
                if (status.updated_replicas, status.available_replicas) == (replicas, replicas):
                    return  # what was asked for is there, and the status says so
        raise AssertionError("the rollout never ends")
