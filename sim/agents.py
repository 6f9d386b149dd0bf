"""Agents of any number of nodes, without containers: what becomes of a pod is known beforehand.

A pod that is bound to a node starts after a while, becomes ready, perhaps ends by itself, and stops
after a while when it is deleted, as its life says. All that is told through the API as the real agent
tells it: status patches, a last delete without grace, node leases.

A node that is lost runs on, but hears and says nothing until it is back; then it makes up for all.

Concurrency: one informer for all nodes, whose handler starts one task per pod, which lives as long as
the pod is on its node, and one task per node that renews its lease. Reports that fail are repeated.

Invariant: `running` holds the containers that really run, whatever the API believes.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from api import errors, pods, timestamps
from api.coordination import Lease, LeaseSpec
from api.core import Node, Pod
from api.informer import Informer
from api.interface import Client, PatchType
from api.meta import ObjectMeta
from api.objects import Key
from base.clock import Clock
from base.errors import PodwrightError
from base.tasks import TaskGuard
from sim.chance import Span, within

LEASES = "kube-node-lease"
HEARTBEAT_SECONDS = 10.0
RETRY_SECONDS = 1.0


@dataclass(frozen=True)
class Life:
    """What becomes of a pod. Spans are seconds."""

    start: Span = (0.5, 2.0)
    """From being bound to being ready."""
    run: Span | None = None
    """From being ready to its end; None: it runs until it is deleted."""
    fails: float = 0.0
    """The probability that its end is a failure."""
    stop: Span = (0.1, 1.0)
    """From its deletion to its being gone."""


@dataclass
class _Machine:
    """One node."""

    name: str
    reachable: asyncio.Event
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    """By the pods' UIDs."""
    stopping: set[str] = field(default_factory=set)


class Agents:
    """All nodes. `life_of` says what becomes of a pod."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        guard: TaskGuard,
        source: random.Random,
        life_of: Callable[[Pod], Life],
    ) -> None:
        self._client = client
        self._clock = clock
        self._guard = guard
        self._source = source
        self._life_of = life_of
        self._machines: dict[str, _Machine] = {}
        self._pods: Informer[Pod] = Informer(client, Pod, clock=clock, jitter=source.random)
        self._addresses = 0
        self.running: dict[Key, dict[str, str]] = {}
        """Nodes by the UIDs of pods whose containers run, by the pods' names."""
        self.on_start: Callable[[Pod], None] = lambda pod: None

    async def run(self) -> None:
        """Tend all pods until cancelled."""
        self._pods.subscribe(self._on_pod)
        await self._pods.run()

    async def add(self, node: Node) -> None:
        """Join a node."""
        name = node.metadata.name
        await self._client.create(node)
        reachable = asyncio.Event()
        reachable.set()
        machine = self._machines[name] = _Machine(name, reachable)
        self._guard.start(self._beat(machine), name=f"heartbeat of {name}")

    @property
    def names(self) -> list[str]:
        return list(self._machines)

    def lose(self, name: str) -> None:
        """Cut a node off: it runs on, alone."""
        self._machines[name].reachable.clear()

    def find(self, name: str) -> None:
        """Connect it again."""
        machine = self._machines[name]
        if machine.reachable.is_set():
            return
        machine.reachable.set()
        self._guard.start(self._rejoin(machine), name=f"return of {name}")

    async def _beat(self, machine: _Machine) -> None:
        await asyncio.sleep(self._source.uniform(0, HEARTBEAT_SECONDS))
        while True:
            await machine.reachable.wait()
            lease = Lease(
                metadata=ObjectMeta(name=machine.name, namespace=LEASES),
                spec=LeaseSpec(
                    holder_identity=machine.name,
                    lease_duration_seconds=40,
                    renew_time=timestamps.now_micro_string(self._clock),
                ),
            )
            try:
                await self._client.update(lease)
            except PodwrightError:
                pass  # the next one comes soon
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def _rejoin(self, machine: _Machine) -> None:
        now = timestamps.now_string(self._clock)
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "the agent is back",
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }
        await self._insist(
            machine,
            lambda: self._client.patch(
                Node,
                machine.name,
                "",
                {"status": {"conditions": [ready]}},
                patch_type=PatchType.STRATEGIC,
                subresource="status",
            ),
        )
        for pod in self._pods.items():
            if pod.spec.node_name == machine.name:
                self._look_again(machine, pod)

    def _look_again(self, machine: _Machine, pod: Pod) -> None:
        """Say that a pod is ready, where the control plane had given it up with its node."""
        believed = pods.is_ready(pod) or pods.is_terminal(pod) or pod.metadata.deletion_timestamp
        if machine.reachable.is_set() and pod_runs(self.running, pod) and not believed:
            name = f"status of {pod.metadata.namespace}/{pod.metadata.name}"
            self._guard.start(self._report(machine, pod, self._ready(pod)), name=name)

    def _on_pod(self, old: Pod | None, new: Pod | None) -> None:
        pod = new or old
        assert pod is not None
        machine = self._machines.get(pod.spec.node_name)
        if machine is None:
            return
        uid = pod.metadata.uid
        if new is None:
            self._forget(machine, pod)
        elif new.metadata.deletion_timestamp:
            if uid not in machine.stopping:
                machine.stopping.add(uid)
                self._begin(machine, new, self._stop(machine, new))
        elif uid not in machine.tasks and not pods.is_terminal(new):
            self._begin(machine, new, self._live(machine, new))
        elif old is not None and pods.is_ready(old):
            self._look_again(machine, new)

    def _begin(self, machine: _Machine, pod: Pod, what: Any) -> None:
        uid = pod.metadata.uid
        if uid in machine.tasks:
            machine.tasks[uid].cancel()
        name = f"pod {pod.metadata.namespace}/{pod.metadata.name}"
        machine.tasks[uid] = self._guard.start(what, name=name)

    def _forget(self, machine: _Machine, pod: Pod) -> None:
        """The pod is gone from the API: its containers go, too, as soon as the node hears of it."""
        uid = pod.metadata.uid
        if pod_runs(self.running, pod) and uid not in machine.stopping:
            machine.stopping.add(uid)
            self._begin(machine, pod, self._stop(machine, pod))
            return
        machine.stopping.discard(uid)
        task = machine.tasks.pop(uid, None)
        if task is not None and not pod_runs(self.running, pod):
            task.cancel()

    async def _live(self, machine: _Machine, pod: Pod) -> None:
        life = self._life_of(pod)
        start = within(self._source, life.start)
        run = None if life.run is None else within(self._source, life.run)
        end = "Failed" if self._source.random() < life.fails else "Succeeded"
        await machine.reachable.wait()
        await asyncio.sleep(start)
        self.on_start(pod)
        self.running.setdefault(_key(pod), {})[pod.metadata.uid] = machine.name
        await self._report(machine, pod, self._ready(pod))
        if run is not None:
            await asyncio.sleep(run)
            self._ended(pod)
            await self._report(machine, pod, self._status(end))

    async def _stop(self, machine: _Machine, pod: Pod) -> None:
        await machine.reachable.wait()
        if pod_runs(self.running, pod):
            await asyncio.sleep(within(self._source, self._life_of(pod).stop))
        self._ended(pod)
        name, namespace, uid = pod.metadata.name, pod.metadata.namespace, pod.metadata.uid
        if pod.metadata.finalizers and not pods.is_terminal(pod):
            await self._report(machine, pod, self._status("Failed"))
        await self._insist(
            machine,
            lambda: self._client.delete(Pod, name, namespace, grace_period_seconds=0, uid=uid),
        )
        known = self._pods.get(name, namespace)
        if known is None or known.metadata.uid != uid:  # it was gone before: nobody will tell
            machine.stopping.discard(uid)
            machine.tasks.pop(uid, None)

    def _ended(self, pod: Pod) -> None:
        same_name = self.running.get(_key(pod), {})
        same_name.pop(pod.metadata.uid, None)
        if not same_name:
            self.running.pop(_key(pod), None)

    def _ready(self, pod: Pod) -> dict[str, Any]:
        now = timestamps.now_string(self._clock)
        kinds = ("Initialized", "ContainersReady", "Ready")
        return {
            "phase": "Running",
            "startTime": pod.status.start_time or now,
            "podIP": pod.status.pod_ip or self._address(),
            "conditions": [
                {"type": kind, "status": "True", "lastTransitionTime": now} for kind in kinds
            ],
        }

    def _address(self) -> str:
        self._addresses += 1
        high, low = divmod(self._addresses, 250)
        return f"10.{high // 250 % 250}.{high % 250}.{low + 1}"

    def _status(self, phase: str) -> dict[str, Any]:
        now = timestamps.now_string(self._clock)
        return {
            "phase": phase,
            "conditions": [
                {
                    "type": kind,
                    "status": "False",
                    "reason": "PodCompleted",
                    "lastTransitionTime": now,
                }
                for kind in ("ContainersReady", "Ready")
            ],
        }

    async def _report(self, machine: _Machine, pod: Pod, status: dict[str, Any]) -> None:
        body = {"metadata": {"uid": pod.metadata.uid}, "status": status}
        await self._insist(
            machine,
            lambda: self._client.patch(
                Pod,
                pod.metadata.name,
                pod.metadata.namespace,
                body,
                patch_type=PatchType.STRATEGIC,
                subresource="status",
            ),
        )

    async def _insist(self, machine: _Machine, act: Callable[[], Awaitable[Any]]) -> None:
        """Do it until it is done, or the object is another one or gone."""
        while True:
            await machine.reachable.wait()
            try:
                await act()
                return
            except PodwrightError as error:
                if errors.is_not_found(error) or errors.is_conflict(error):
                    return
            await asyncio.sleep(RETRY_SECONDS)


def pod_runs(running: dict[Key, dict[str, str]], pod: Pod) -> bool:
    """Whether containers of this very pod run anywhere."""
    return pod.metadata.uid in running.get(_key(pod), {})


def _key(pod: Pod) -> Key:
    return Key(pod.metadata.namespace, pod.metadata.name)
