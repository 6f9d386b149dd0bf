"""Pods placed through the whole path: the store on disk, the API in this process, the scheduler, events.

The clusters are shaped like those of Kubernetes' scheduler benchmark (scheduler_perf). The pods that are
measured are made first and wait; then the scheduler begins, and what counts is the time until the last of
them is bound. What churns (pods that fit nowhere, pods that push others aside, deletions) churns meanwhile.
There are no controllers and no nodes that answer, as there. Its events count, too: those that were not
delivered yet when the last pod is bound are waited for, and those that were dropped are told.
"""

from __future__ import annotations

import asyncio
import itertools
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from api.core import Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod
from api.events import EventRecorder
from api.meta import ObjectMeta
from api.policy import PodDisruptionBudget
from api.scheduling import PriorityClass
from api.storage import CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment
from base.clock import SystemClock
from base.tasks import TaskGuard
from control import initial, pki
from control.apiserver import build
from control.apiserver.local import LocalClient
from control.controllers.context import EVENTS_AT_ONCE, Informers
from control.looplag import LoopLag
from control.scheduler.scheduler import Scheduler
from control.settings import ControlSettings
from control.store.sqlite import SqliteStore
from tests.unit.scheduler import making

Make = Callable[[int], Pod]
PRIORITIES = {"low": 1, "high": 1000}
WRITERS = 16


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A cluster, pods that are on it or wait for ever, the pods that are measured, and what churns."""

    name: str
    threshold: int | None
    measured: Make
    nodes: int
    node: Callable[[int], Node]
    before: int = 0
    placed: Make | None = None
    waiting: int = 0
    idle: Make | None = None
    pods: int = 0
    """How many are measured; 0: as many as whoever runs this says."""
    every: float = 0.0
    """Seconds between two steps of what churns."""
    churn: Callable[[World, int], Awaitable[None]] | None = None


@dataclass
class World:
    """An API without HTTP, and a scheduler that has not begun."""

    client: LocalClient
    guard: TaskGuard
    clock: SystemClock
    store: SqliteStore
    keys: pki.ControlKeys
    recorders: list[EventRecorder] = field(default_factory=list)
    wanted: set[str] = field(default_factory=set)
    """The names of measured pods that are not bound yet."""
    all_bound: asyncio.Event = field(default_factory=asyncio.Event)

    async def make(self, objects: Iterable[Any]) -> None:
        """Create all of these, some at a time."""
        left = iter(objects)

        async def write() -> None:
            for one in left:
                one.metadata.uid = ""
                await self.client.create(one)

        await asyncio.gather(*(write() for _ in range(WRITERS)))

    async def begin(self) -> Scheduler:
        """Start the scheduler; returns when it knows everything."""
        informers = Informers(self.client, self.clock)

        def recorder(name: str) -> EventRecorder:
            made = EventRecorder(self.client, name, clock=self.clock, at_once=EVENTS_AT_ONCE)
            self.guard.start(made.run(), name="events")
            self.recorders.append(made)
            return made

        scheduler = Scheduler(
            self.client,
            informers.of(Pod),
            informers.of(Node),
            informers.of(Namespace),
            recorder,
            clock=self.clock,
            budgets=informers.of(PodDisruptionBudget).items,
        )
        scheduler.follow_storage(
            informers.of(PersistentVolumeClaim),
            informers.of(PersistentVolume),
            informers.of(StorageClass),
            informers.of(CSINode),
            informers.of(CSIDriver),
            informers.of(CSIStorageCapacity),
            informers.of(VolumeAttachment),
        )
        informers.of(Pod).subscribe(self._watch)
        informers.start(self.guard)
        await informers.synced()
        self.guard.start(scheduler.run(), name="scheduler")
        return scheduler

    def _watch(self, old: Pod | None, new: Pod | None) -> None:
        if new is not None and new.spec.node_name:
            self.wanted.discard(new.metadata.name)
            if not self.wanted:
                self.all_bound.set()


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    """An empty cluster in a folder of its own."""
    clock = SystemClock()
    with tempfile.TemporaryDirectory(prefix="podwright-bench-") as folder:
        settings = ControlSettings(
            state_dir=Path(folder),
            pki_dir=Path(folder) / "pki",
            kubeconfig_out=Path(folder) / "kubeconfig",
            disable_admission_plugins=("ServiceAccount",),
        )
        keys = pki.ensure(settings, "192.0.2.1", clock)
        store = await SqliteStore.open(Path(folder) / "store", clock=clock)
        try:
            async with TaskGuard("bench") as guard:
                parts = build.build(
                    settings=settings, store=store, keys=keys, advertised="192.0.2.1", clock=clock
                )
                await parts.start(guard)
                client = parts.client("system:kube-scheduler")
                await initial.ensure(client, settings, "192.0.2.1")
                made = World(client, guard, clock, store, keys)
                await made.make(
                    PriorityClass(metadata=ObjectMeta(name=name), value=value)
                    for name, value in PRIORITIES.items()
                )
                yield made
        finally:
            await store.close()


@dataclass(frozen=True)
class Rates:
    """What was measured.

    Pods made a second, then pods bound a second until the events were told, too, and the CPU of the whole
    process for each, in ms; events that were dropped; the resident memory at the end, in MB, and how late
    the event loop was, 99 of 100 times at most, in ms.
    """

    made: float
    bound: float
    cpu: float
    dropped: int
    memory: float
    late: float


async def measure(shape: Shape, pods: int) -> Rates:
    """Place so many pods."""
    pods = shape.pods or pods
    async with world() as here:
        await here.make(shape.node(number) for number in range(shape.nodes))
        if shape.placed is not None:
            await here.make(_on_nodes(shape.placed, shape.before, shape))
        if shape.idle is not None:
            await here.make(shape.idle(number) for number in range(shape.waiting))
        here.wanted = {shape.measured(number).metadata.name for number in range(pods)}
        begun = time.perf_counter()
        await here.make(shape.measured(number) for number in range(pods))
        making_took = time.perf_counter() - begun
        await here.begin()
        lag = LoopLag(here.clock)
        here.guard.start(lag.run(), name="loop lag")
        begun, used = time.perf_counter(), time.process_time()
        if shape.churn is not None:
            here.guard.start(_churn(here, shape), name="churn")
        await here.all_bound.wait()
        if shape.churn is None:
            await asyncio.gather(*(one.flush() for one in here.recorders))
        took, used = time.perf_counter() - begun, time.process_time() - used
        return Rates(
            made=pods / making_took,
            bound=pods / took,
            cpu=1000 * used / pods,
            dropped=int(sum(one.statistics()["dropped"] for one in here.recorders)),
            memory=resident(),
            late=1000 * lag.statistics()["p99"],
        )


def resident() -> float:
    """The memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def _on_nodes(make: Make, count: int, shape: Shape) -> Iterable[Pod]:
    """Pods that are bound already, on the nodes in turn."""
    for number in range(count):
        made = make(number)
        made.spec.node_name = shape.node(number % shape.nodes).metadata.name
        yield made


async def _churn(here: World, shape: Shape) -> None:
    assert shape.churn is not None
    for number in itertools.count():
        await shape.churn(here, number)
        await asyncio.sleep(shape.every)


def pod(name: str, **more: Any) -> Pod:
    """A pod of 100m CPU and 500 MiB that leaves at once."""
    more = {"cpu": "100m", "memory": "500Mi", "terminationGracePeriodSeconds": 0, **more}
    return making.pod(name, **more)


def low(number: int) -> Pod:
    """One of four that fill a node."""
    return pod(f"low-{number}", cpu="900m", priorityClassName="low")


def high(number: int) -> Pod:
    """One for which three of those have to go."""
    return pod(f"high-{number}", cpu="3", priorityClassName="high")


def plain(number: int) -> Pod:
    return pod(f"pod-{number}")


def large(number: int) -> Pod:
    """One that fits nowhere."""
    return pod(f"large-{number}", cpu="9", priorityClassName="high")


def gated(number: int) -> Pod:
    return pod(f"gated-{number}", schedulingGates=[{"name": "example.com/wait"}])


async def come_high(here: World, number: int) -> None:
    await here.make([high(number)])


async def come_large(here: World, number: int) -> None:
    await here.make([large(number)])


async def leave(here: World, number: int) -> None:
    """A pod that was there leaves."""
    await here.client.delete(Pod, f"there-{number}", "default", grace_period_seconds=0)


def special(node: Callable[[int], Node], daemon: Make, nodes: int) -> tuple[Shape, ...]:
    """The large shapes, and those in which something happens meanwhile."""

    def huge(number: int) -> Node:
        return making.node(f"node-{number}", cpu="40000", memory="400Ti", pods="90000")

    return (
        Shape(
            name="basic, 10,000 pods", threshold=680, measured=plain, nodes=nodes, node=node,
            before=nodes // 5, placed=lambda number: pod(f"there-{number}"), pods=10_000,
        ),
        Shape(
            name="basic, 50,000 pods", threshold=680, measured=plain, nodes=nodes, node=node,
            before=nodes // 5, placed=lambda number: pod(f"there-{number}"), pods=50_000,
        ),
        Shape(
            name="daemon set, 15,000 nodes", threshold=390, measured=daemon, nodes=3 * nodes,
            node=node, pods=3 * nodes,
        ),
        Shape(
            name="preemption, by others", threshold=570, measured=plain, nodes=nodes, node=node,
            before=4 * nodes, placed=low, every=0.2, churn=come_high,
        ),
        Shape(
            name="preemption, by each", threshold=None, measured=high, nodes=nodes, node=node,
            before=4 * nodes, placed=low,
        ),
        Shape(
            name="unschedulable churn", threshold=590, measured=plain, nodes=nodes, node=node,
            before=100, placed=lambda number: pod(f"there-{number}"), every=0.2, churn=come_large,
        ),
        Shape(
            name="many fit nowhere", threshold=None, measured=plain, nodes=nodes, node=node,
            waiting=2000, idle=large,
        ),
        Shape(
            name="gated, others leave", threshold=910, measured=plain, nodes=1, node=huge,
            before=5000, placed=lambda number: pod(f"there-{number}"), waiting=10_000, idle=gated,
            every=0.02, churn=leave,
        ),
    )  # fmt: skip
