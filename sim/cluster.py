"""The API of a simulated cluster, and its control plane, which can be killed and begun anew.

What runs is what runs in a real cluster: the registry with admission and validation, the watch cache,
the informers, the scheduler, every controller. Simulated are the store's disk (it is the one in
memory, which passes the same tests), the network, the nodes and time. Left out are HTTP and what
stands behind it: webhooks, aggregated APIs, custom resources.

Concurrency: one virtual event loop (see `sim.loop`). A life of the control plane has a guard of its
own; killing it cuts its line first and cancels its tasks then, so that none of them cleans up.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from api.interface import Client
from base import pki
from base.clock import Clock
from base.errors import TemporaryError
from base.tasks import TaskGuard
from base.uuids import Uuids
from control import initial
from control.apiserver.build import make_registry
from control.apiserver.local import LocalClient
from control.auth.user import in_process
from control.controllers.context import Context, Informers, NodeSettings
from control.controllers.manager import Manager
from control.settings import ControlSettings
from control.store.compaction import KeepByAge, run_compaction
from control.store.memory import MemoryStore
from sim.chance import Chance, Span, within
from sim.network import DistantClient, Line, Weather

ADDRESS = "192.0.2.1"
CLUSTER_CIDR = IPv4Network("10.0.0.0/8")  # room for 65,536 nodes
COMPACTION_SECONDS = 300.0
_NOWHERE = Path("/nonexistent")


class _NoWebhooks:
    """There is nobody to ask."""

    async def post(
        self,
        config: Mapping[str, Any],
        body: bytes,
        *,
        timeout: float,
        query: Mapping[str, str] | None = None,
    ) -> bytes:
        raise TemporaryError("no webhook answers in a simulation")


class Cluster:
    """Store and API; `client` is an undisturbed way to them."""

    def __init__(self, clock: Clock, chance: Chance) -> None:
        self.clock = clock
        self.chance = chance
        self.settings = ControlSettings(
            state_dir=_NOWHERE, pki_dir=_NOWHERE, kubeconfig_out=_NOWHERE
        )
        self.store = MemoryStore()
        self.registry = make_registry(
            settings=self.settings,
            store=self.store,
            clock=clock,
            source=chance.stream("names"),
            caller=_NoWebhooks(),
            uids=Uuids(chance.stream("uids").randbytes),
        )
        self.ca = pki.create_ca("simulation", clock=clock)
        self.client = self.local("system:simulation")

    def local(self, user: str) -> LocalClient:
        """The API as this user, without a network."""
        return LocalClient(self.registry, in_process(user))

    async def start(self, guard: TaskGuard) -> None:
        """Fill the caches and make what every cluster begins with."""
        for kind in self.registry.kinds:
            guard.start(kind.cache.run(), name=f"cache of {kind.resource.qualified_name}")
        for kind in self.registry.kinds:
            await kind.cache.synced()
        policy = KeepByAge(COMPACTION_SECONDS)
        guard.start(run_compaction(self.store, clock=self.clock, policy=policy), name="compaction")
        await initial.ensure(self.client, self.settings, ADDRESS)


class ControlPlane:
    """Scheduler and controllers, one life after the other. `run` sees to it that there is one."""

    def __init__(self, cluster: Cluster, weather: Weather, log_line: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._weather = weather
        self._log = log_line
        self._life: _Life | None = None
        self._dead_for = 0.0
        self._died = asyncio.Event()
        self.lives = 0
        self.restart_after: Span = (1.0, 5.0)
        """Seconds until there is another one, after a death that was nobody's plan."""

    @property
    def alive(self) -> bool:
        return self._life is not None and not self._life.line.cut

    def statistics(self) -> dict[str, dict[str, float]]:
        """What each part of this life says of itself, by name; nothing while there is none."""
        return {} if self._life is None else self._life.manager.statistics()

    def kill(self, dead_for: float) -> None:
        """End this life at once: from now on it writes nothing and sees nothing."""
        if self._life is None or self._life.line.cut:
            return
        self._life.line.cut = True
        self._dead_for = dead_for
        self._log(f"control plane {self.lives} is killed for {dead_for:.3f} s")
        self._died.set()

    async def run(self) -> None:
        """One life after the other; ends with an error if a part of one fails by itself."""
        source = self._cluster.chance.stream("restarts")
        while True:
            self.lives += 1
            self._died.clear()
            self._log(f"control plane {self.lives} begins")
            dies = partial(self._dies, source)
            self._life = _Life(self._cluster, self._weather, self.lives, dies)
            try:
                await self._life.until(self._died)
            finally:
                life, self._life = self._life, None
                life.line.cut = True
                await life.guard.close()
            await asyncio.sleep(self._dead_for)

    def _dies(self, source: random.Random) -> None:
        self.kill(within(source, self.restart_after))


class _Life:
    """One process of the control plane."""

    def __init__(
        self, cluster: Cluster, weather: Weather, number: int, dies: Callable[[], None]
    ) -> None:
        source = cluster.chance.stream("control", str(number))
        self.guard = TaskGuard(f"control {number}")
        self.line = Line(weather, source, self.guard, dies=dies)
        client: Client = DistantClient(cluster.local("system:kube-controller-manager"), self.line)
        context = Context(
            client=client,
            informers=Informers(client, cluster.clock, source.random),
            clock=cluster.clock,
            ca=cluster.ca,
            guard=self.guard,
            catalogue=cluster.registry.catalogue,
            nodes=NodeSettings(cluster_cidr=CLUSTER_CIDR),
            chance=source,
        )
        self.manager = Manager(context)

    async def until(self, died: asyncio.Event) -> None:
        """Live until that moment. Raises the error of a part that fails."""
        failed = self.guard.start(self.manager.run(), name="manager")
        killed = self.guard.start(_wait(died), name="killed")
        await asyncio.wait((failed, killed), return_when=asyncio.FIRST_COMPLETED)
        if failed.done() and not died.is_set():
            failed.result()


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
