"""A whole simulated cluster, put together: API, control plane, network, nodes, history and log.

    async with simulate(seed) as simulation:
        await simulation.join([node])
        await simulation.cluster.client.create(deployment)
        await asyncio.sleep(60)

Belongs to one virtual loop: run it by `sim.loop.run`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TextIO

from api.core import Node, Pod
from base.tasks import TaskGuard
from sim.agents import Agents, Life
from sim.chance import Chance
from sim.cluster import Cluster, ControlPlane
from sim.eventlog import EventLog
from sim.history import History
from sim.loop import VirtualClock
from sim.network import DistantClient, Line, Weather

_ORDINARY = Life()


@dataclass(frozen=True)
class Simulation:
    """What runs. `guard` has all of its tasks."""

    chance: Chance
    clock: VirtualClock
    weather: Weather
    cluster: Cluster
    control: ControlPlane
    agents: Agents
    history: History
    log: EventLog
    guard: TaskGuard

    async def join(self, nodes: Iterable[Node]) -> None:
        """Add nodes, all at once."""
        await asyncio.gather(*(self.agents.add(node) for node in nodes))

    def note(self, text: str) -> None:
        """Say in the log what was done from outside."""
        self.log.note(self.clock.monotonic(), text)


@asynccontextmanager
async def simulate(
    seed: int,
    *,
    log: TextIO | None = None,
    weather: Weather | None = None,
    life_of: Callable[[Pod], Life] = lambda pod: _ORDINARY,
) -> AsyncIterator[Simulation]:
    """An empty cluster whose control plane has begun to run. Raises if any part of it fails."""
    chance, clock, weather = Chance(seed), VirtualClock(), weather or Weather()
    async with TaskGuard("simulation") as guard:
        cluster = Cluster(clock, chance)
        line = Line(weather, chance.stream("line of the agents"), guard)
        agents = Agents(
            DistantClient(cluster.local("system:agents"), line),
            clock,
            guard,
            chance.stream("agents"),
            life_of,
        )
        event_log = EventLog(log)
        history = History(cluster.store, cluster.registry)
        history.listen(event_log.step)
        control = ControlPlane(
            cluster, weather, lambda text: event_log.note(clock.monotonic(), text)
        )
        guard.start(history.run(), name="history")
        await cluster.start(guard)
        guard.start(control.run(), name="control plane")
        guard.start(agents.run(), name="agents")
        yield Simulation(
            chance, clock, weather, cluster, control, agents, history, event_log, guard
        )
