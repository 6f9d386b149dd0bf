"""A whole control plane without HTTP: the real store, registry, controllers and scheduler.

Nodes are objects that a fake agent keeps alive; it makes pods run, become ready and go away.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from api import errors, nodes, pods, timestamps
from api.apps import Deployment
from api.client import Client, PatchType
from api.coordination import Lease, LeaseSpec
from api.core import Node, PersistentVolume, Pod
from api.informer import Informer
from api.meta import ObjectMeta
from api.metrics import ContainerMetrics, PodMetrics
from base.clock import SystemClock
from base.tasks import TaskGuard
from control import initial, pki
from control.apiserver import build
from control.controllers.context import Context, Informers, NodeSettings
from control.controllers.controller import Controller
from control.controllers.manager import Manager
from control.scheduler.profile import Configuration
from control.settings import ControlSettings
from control.store.sqlite import SqliteStore
from tests.patience import DEADLINE as DEADLINE
from tests.patience import eventually as eventually
from tests.unit.controllers.making import deployment
from tests.unit.scheduler.making import node

T = TypeVar("T")
GRACE = 3.0
"""Seconds a node may be silent where that is what a test is about, instead of 40."""


class ShiftedClock(SystemClock):
    """The machine's clock, and so much later as a test says. Timers do not notice."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


@dataclass
class FakeAgents:
    """Agents of any number of nodes, without containers."""

    client: Client
    clock: SystemClock
    guard: TaskGuard
    pods: Informer[Pod]
    silent: set[str] = field(default_factory=set)
    hold: bool = False
    """While true, pods start but do not become ready."""
    ends: Callable[[Pod], dict[str, Any] | None] = lambda pod: None
    """The status with which a running pod ends, if it does; asked again and again."""

    async def add_node(self, name: str, **more: Any) -> None:
        made = node(name, **more)
        await self.client.create(made)
        self.guard.start(self._beat(name), name=f"heartbeat of {name}")

    async def _beat(self, name: str) -> None:
        while True:
            if name not in self.silent:
                lease = Lease(
                    metadata=ObjectMeta(name=name, namespace="kube-node-lease"),
                    spec=LeaseSpec(
                        holder_identity=name,
                        renew_time=timestamps.now_micro_string(self.clock),
                    ),
                )
                await self.client.update(lease)
            await self.clock.sleep(0.2)

    async def run(self) -> None:
        """Look at all pods again and again: slow, simple, and never wrong for long."""
        number = 0
        while True:
            for pod in self.pods.items():
                if not pod.spec.node_name or pod.spec.node_name in self.silent:
                    continue
                number += 1
                try:
                    await self._tend(pod, f"10.244.{number // 250 % 256}.{number % 250 + 1}")
                except errors.ApiError as error:
                    if not (errors.is_not_found(error) or errors.is_conflict(error)):
                        raise
            await self.clock.sleep(0.03)

    async def _tend(self, pod: Pod, address: str) -> None:
        name, namespace = pod.metadata.name, pod.metadata.namespace
        if pod.metadata.deletion_timestamp:
            if pod.metadata.finalizers and not pods.is_terminal(pod):
                await self._report(pod, {"phase": "Failed"})
            await self.client.delete(
                Pod, name, namespace, grace_period_seconds=0, uid=pod.metadata.uid
            )
            return
        if pods.is_terminal(pod):
            return
        if pod.status.phase == "Running" and (end := self.ends(pod)) is not None:
            await self._report(pod, end)
            return
        ready = "True" if self.is_ready(pod) else "False"
        if pod.status.phase == "Running" and any(
            c.type == "Ready" and c.status == ready for c in pod.status.conditions
        ):
            return
        condition = {
            "type": "Ready",
            "status": ready,
            "lastTransitionTime": timestamps.now_string(self.clock),
        }
        status = {
            "phase": "Running",
            "podIP": pod.status.pod_ip or address,
            "startTime": pod.status.start_time or timestamps.now_string(self.clock),
            "conditions": [condition],
        }
        await self._report(pod, status)

    def is_ready(self, pod: Pod) -> bool:
        """What a running pod's readiness probe would say."""
        return not self.hold

    async def _report(self, pod: Pod, status: dict[str, Any]) -> None:
        await self.client.patch(
            Pod,
            pod.metadata.name,
            pod.metadata.namespace,
            {"metadata": {"uid": pod.metadata.uid}, "status": status},
            patch_type=PatchType.STRATEGIC,
            subresource="status",
        )


@dataclass
class Plane:
    """What a test works with."""

    client: Client
    agents: FakeAgents
    manager: Manager
    ca: bytes
    clock: ShiftedClock
    usage: dict[str, str]
    """What each running container uses."""

    async def pods(self, namespace: str = "default", **more: str) -> list[Pod]:
        return list((await self.client.list(Pod, namespace, **more)).items)  # type: ignore[arg-type]

    async def complete(self, name: str, *, replicas: int) -> Deployment:
        """The Deployment, once its rollout is complete."""

        async def done() -> Deployment | None:
            found = await self.client.get(Deployment, name, "default")
            status = found.status
            counts = (
                status.replicas,
                status.updated_replicas,
                status.ready_replicas,
                status.available_replicas,
            )
            current = status.observed_generation == found.metadata.generation
            return found if counts == (replicas,) * 4 and current else None

        found = await eventually(done)
        assert found is not None
        return found

    async def add_volume(self, name: str, size: str = "1Gi", **spec: Any) -> PersistentVolume:
        """A volume that somebody made by hand, as claims without a class ask for."""
        body = {
            "metadata": {"name": name},
            "spec": {
                "capacity": {"storage": size},
                "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": f"/data/{name}"},
                **spec,
            },
        }
        return await self.client.create(msgspec.convert(body, type=PersistentVolume))

    async def deploy(self, name: str = "web", **more: Any) -> Deployment:
        return await self.client.create(fresh(deployment(name, **more)))

    def controller(self, name: str) -> Controller:
        return next(one for one in self.manager.controllers if one.name == name)

    async def versions(self, *kinds: type[Any]) -> dict[str, str]:
        """The version of every object of these kinds in the default namespace."""
        return {
            f"{kind.__name__} {one.metadata.name}": one.metadata.resource_version
            for kind in kinds
            for one in (await self.client.list(kind, "default")).items
        }

    async def at_rest(self, name: str, *kinds: type[Any]) -> dict[str, str]:
        """The versions, once a controller sees all that there is of them, and has nothing to do."""
        controller = self.controller(name)

        async def still() -> dict[str, str] | None:
            figures, seen = controller.statistics(), controller.context.informers
            shown = {
                f"{kind.__name__} {one.metadata.name}": one.metadata.resource_version
                for kind in kinds
                for one in seen.of(kind).items("default")
            }
            idle = not (figures["queued"] or figures["processing"] or figures["delayed"])
            return shown if idle and shown == await self.versions(*kinds) else None

        return await eventually(still)


def measured(pod: Pod, usage: dict[str, str], clock: SystemClock) -> PodMetrics:
    """What a pod's containers are said to use."""
    return PodMetrics(
        metadata=ObjectMeta(name=pod.metadata.name, namespace=pod.metadata.namespace),
        timestamp=timestamps.now_string(clock),
        window="0s",
        containers=[
            ContainerMetrics(name=one.name, usage=dict(usage)) for one in pod.spec.containers
        ],
    )


def fresh(obj: Deployment) -> Deployment:
    obj.metadata.uid = ""
    obj.metadata.generation = 0
    return obj


@pytest.fixture
def scheduling() -> Configuration:
    """A module that wants other schedulers has a fixture of its own."""
    return Configuration()


@pytest.fixture
def grace() -> float:
    """Seconds a node may be silent. In other tests a slow machine is no lost node."""
    return NodeSettings().monitor_grace


def settings_in(folder: Path) -> ControlSettings:
    return ControlSettings(
        state_dir=folder, pki_dir=folder / "pki", kubeconfig_out=folder / "kubeconfig"
    )


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> pki.ControlKeys:
    """Made once: it takes as long as all the rest of a control plane, and nobody changes them."""
    settings = settings_in(tmp_path_factory.mktemp("keys"))
    return pki.ensure(settings, "192.0.2.1", SystemClock())


@pytest.fixture
async def plane(
    tmp_path: Path, keys: pki.ControlKeys, scheduling: Configuration, grace: float
) -> AsyncIterator[Plane]:
    clock, settings = ShiftedClock(), settings_in(tmp_path)
    store = await SqliteStore.open(tmp_path / "store", clock=clock)
    try:
        async with TaskGuard("test") as guard:
            parts = build.build(
                settings=settings, store=store, keys=keys, advertised="192.0.2.1", clock=clock
            )
            await parts.start(guard)
            client, usage = parts.client("test"), dict[str, str]()

            async def pod_usage(namespace: str) -> list[PodMetrics]:
                found = (await client.list(Pod, namespace)).items
                return [
                    measured(pod, usage, clock) for pod in found if pod.status.phase == "Running"
                ]

            await initial.ensure(client, settings, "192.0.2.1")
            context = Context(
                client=client,
                informers=Informers(client, clock),
                clock=clock,
                ca=keys.ca,
                tokens=keys.tokens,
                guard=guard,
                scheduling=scheduling,
                nodes=NodeSettings(monitor_period=0.2, monitor_grace=grace),
                pod_usage=pod_usage,
            )
            manager = Manager(context)
            agents = FakeAgents(client, clock, guard, context.informers.of(Pod))
            guard.start(manager.run(), name="manager")
            guard.start(agents.run(), name="agents")
            yield Plane(client, agents, manager, keys.ca.cert_pem, clock, usage)
            failed = [f for f in manager.statistics().items() if f[1].get("reconcile_failures")]
            print(f"reconciles that failed: {failed}")
    finally:
        await store.close()


async def ready_node(client: Client, name: str) -> bool:
    found = await client.get(Node, name)
    return nodes.is_ready(found)
