"""The controllers of StatefulSets and DaemonSets in slow motion, and what must hold at every write."""

from __future__ import annotations

import random

from api import pods
from api.apps import ControllerRevision, DaemonSet, StatefulSet
from api.core import Binding, Node, ObjectReference, PersistentVolumeClaim, Pod
from api.meta import ObjectMeta
from api.objects import Key
from base.clock import FakeClock
from control.apiserver.local import LocalClient
from control.controllers.context import Context
from control.controllers.workloads import daemons
from control.controllers.workloads.daemonset import DaemonSetController
from control.controllers.workloads.statefulset import StatefulSetController
from tests.unit.controllers.slowworld import NAMESPACE, Look, SlowWorld
from tests.unit.scheduler.making import node


def serves(pod: Pod) -> bool:
    return pods.is_ready(pod) and pods.is_active(pod)


class StatefulWorld(SlowWorld):
    """One StatefulSet, `web`, whose pods wait for each other. Notes whatever breaks its promises."""

    kinds = (StatefulSet, ControllerRevision, PersistentVolumeClaim, Pod)

    def __init__(self, client: LocalClient, clock: FakeClock, source: random.Random) -> None:
        super().__init__(client, clock, source)
        self.broken: list[str] = []
        self.fewest = 2**31
        self.most_ending = 0
        self._before: dict[int, Pod] = {}

    def controllers(self, context: Context) -> None:
        self._sets = StatefulSetController(context)

    async def looks(self) -> list[Look]:
        return [(self._sets, Key(NAMESPACE, "web"))]

    async def count(self) -> None:
        there = await self.numbered()
        claims = (await self.client.list(PersistentVolumeClaim, NAMESPACE)).items
        claimed = {one.metadata.name for one in claims}
        for number in sorted(there.keys() - self._before.keys()):
            lower = [there.get(below) for below in range(number)]
            if not all(pod is not None and serves(pod) for pod in lower):
                self.broken.append(f"{number} was made before all below it served")
            if f"data-web-{number}" not in claimed:
                self.broken.append(f"{number} was made before its claim")
        for number, pod in self._before.items():
            if number not in there or there[number].metadata.uid != pod.metadata.uid:
                self.broken.append(f"{number} was gone before its agent said so")
        ending = {number for number, pod in there.items() if pod.metadata.deletion_timestamp}
        for number in ending - self._ending():
            if any(above > number for above in ending):
                self.broken.append(f"{number} was ended before one above it was gone")
        self.most_ending = max(self.most_ending, len(ending))
        self.fewest = min(self.fewest, sum(map(serves, there.values())))
        self._before = there

    def _ending(self) -> set[int]:
        return {n for n, pod in self._before.items() if pod.metadata.deletion_timestamp}

    async def numbered(self) -> dict[int, Pod]:
        found = await self.all_pods()
        return {int(pod.metadata.name.rpartition("-")[2]): pod for pod in found}

    async def advance(self, pod: Pod) -> None:
        await super().advance(pod)
        self._before = await self.numbered()

    async def settle(self, image: str, replicas: int) -> None:
        """Without further faults, everything gets where it should."""
        for _ in range(400):
            await self.hear()
            await self.look()
            await self.tend()
            found = await self.numbered()
            images = [pod.spec.containers[0].image for pod in found.values() if serves(pod)]
            if images == [image] * replicas and sorted(found) == list(range(replicas)):
                status = (await self.client.get(StatefulSet, "web", NAMESPACE)).status
                counts = (status.updated_replicas, status.available_replicas)
                if counts == (replicas,) * 2 and status.current_revision == status.update_revision:
                    return
        raise AssertionError("the update never ends")


class DaemonWorld(SlowWorld):
    """One DaemonSet, `log`, on nodes that come and go."""

    kinds = (DaemonSet, ControllerRevision, Node, Pod)

    def __init__(self, client: LocalClient, clock: FakeClock, source: random.Random) -> None:
        super().__init__(client, clock, source)
        self.most_on_a_node = 0
        self.most_doubled = 0
        self.fewest = 2**31

    def controllers(self, context: Context) -> None:
        self._sets = DaemonSetController(context)

    async def looks(self) -> list[Look]:
        return [(self._sets, Key(NAMESPACE, "log"))]

    async def add_node(self, name: str) -> None:
        await self.client.create(node(name))

    async def count(self) -> None:
        staying: dict[str, int] = {}
        serving = set()
        for pod in await self.all_pods():
            if pods.is_active(pod):
                target = daemons.target_of(pod)
                staying[target] = staying.get(target, 0) + 1
            if serves(pod):
                serving.add(pod.spec.node_name)
        self.most_on_a_node = max(self.most_on_a_node, *staying.values(), 0)
        self.most_doubled = max(self.most_doubled, sum(n > 1 for n in staying.values()))
        self.fewest = min(self.fewest, len(serving))

    async def advance(self, pod: Pod) -> None:
        """The scheduler binds it first, to the node that it is for."""
        if pod.spec.node_name or pod.metadata.deletion_timestamp:
            await super().advance(pod)
            return
        binding = Binding(
            metadata=ObjectMeta(name=pod.metadata.name, namespace=NAMESPACE, uid=pod.metadata.uid),
            target=ObjectReference(api_version="v1", kind="Node", name=daemons.target_of(pod)),
        )
        await self.client.create_subresource(Pod, pod.metadata.name, NAMESPACE, "binding", binding)

    async def settle(self, image: str, size: int) -> None:
        """Without further faults, every node has one pod, and it serves."""
        for _ in range(400):
            await self.hear()
            await self.look()
            await self.tend()
            found = await self.all_pods()
            images = [pod.spec.containers[0].image for pod in found if serves(pod)]
            if images == [image] * size and len(found) == size:
                status = (await self.client.get(DaemonSet, "log", NAMESPACE)).status
                if (status.updated_number_scheduled, status.number_available) == (size, size):
                    return
        raise AssertionError("the update never ends")
