"""Faults of a scenario: when they come, what they do to the simulation, and how it gets over them.

Several may be on at once. What they do to the network is made anew from all that are on, so that the
end of one does not end another.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from api.core import Node
from api.nodes import ZONE
from base import settings
from sim.chance import Span, within
from sim.reading import span
from sim.scenario import Fault, FaultKind
from sim.simulation import Simulation

_AT_ONCE: Span = (1.0, 5.0)
"""Seconds until a killed control plane is back, unless the fault says."""


class Faults:
    """Makes trouble on a simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._usual = simulation.weather.watch
        self._on: dict[int, Fault] = {}
        self._turn = 0
        self._zones: dict[str, str] = {}
        self._lost: set[str] = set()
        self.happened: dict[str, int] = {}
        """How often, by kind."""

    def know(self, node: Node) -> None:
        """Remember where a node is."""
        self._zones[node.metadata.name] = node.metadata.labels.get(ZONE, "")

    async def play(self, number: int, fault: Fault) -> None:
        """Let one fault of the scenario happen as often as it shall."""
        source = self._simulation.chance.stream("fault", str(number))
        await asyncio.sleep(settings.duration(fault.at))
        times = 0
        while True:
            self.happened[fault.kind] = self.happened.get(fault.kind, 0) + 1
            name = f"fault {number} {fault.kind} {times}"
            self._simulation.guard.start(self._happen(number, fault, source), name=name)
            times += 1
            if not fault.every or times == fault.count:
                return
            await asyncio.sleep(within(source, span(fault.every)))

    async def _happen(self, number: int, fault: Fault, source: random.Random) -> None:
        kind = FaultKind(fault.kind)
        lasts = within(source, span(fault.for_)) if fault.for_ else None
        if kind is FaultKind.CONTROL_KILL:
            self._simulation.control.kill(within(source, _AT_ONCE) if lasts is None else lasts)
        elif kind is FaultKind.NODE_LOSS:
            await self._lose(fault, lasts, source)
        else:
            assert lasts is not None, "the scenario was checked"
            async with self._weather(fault, lasts):
                await asyncio.sleep(lasts)

    async def _lose(self, fault: Fault, lasts: float | None, source: random.Random) -> None:
        names = [
            name
            for name, zone in self._zones.items()
            if name not in self._lost and fault.zone in ("", zone)
        ]
        chosen = source.sample(names, min(fault.nodes, len(names))) if fault.nodes else names
        agents = self._simulation.agents
        self._each(chosen, agents.lose, "is lost")
        self._lost.update(chosen)
        if lasts is not None:
            await asyncio.sleep(lasts)
            self._lost.difference_update(chosen)
            self._each(chosen, agents.find, "is back")

    def _each(self, names: list[str], act: Callable[[str], None], what: str) -> None:
        for name in names:
            act(name)
            self._simulation.note(f"node {name} {what}")

    @asynccontextmanager
    async def _weather(self, fault: Fault, lasts: float) -> AsyncIterator[None]:
        weather, until = self._simulation.weather, self._simulation.clock.monotonic() + lasts
        if fault.kind == FaultKind.STALE_CACHES:
            weather.stale_until = max(weather.stale_until, until)
        if fault.kind == FaultKind.API_OUTAGE:
            weather.down_until = max(weather.down_until, until)
        self._turn += 1
        turn = self._turn
        self._simulation.note(f"{fault.kind} for {lasts:.3f} s")
        self._on[turn] = fault
        self._apply()
        try:
            yield
        finally:
            del self._on[turn]
            self._apply()

    def _apply(self) -> None:
        weather, on = self._simulation.weather, self._on.values()
        weather.lost_requests = max((fault.requests for fault in on), default=0.0)
        weather.lost_answers = max((fault.answers for fault in on), default=0.0)
        weather.deadly = max((fault.probability for fault in on), default=0.0)
        weather.watch = max((span(fault.delay) for fault in on if fault.delay), default=self._usual)
