"""All invariants together: they hear every step and say what must not have happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from api import objects
from api.core import Pod
from sim.agents import Agents
from sim.history import Step
from sim.invariants.jobs import Jobs
from sim.invariants.replicas import Daemons, Replicas
from sim.invariants.room import Nodes, Quotas
from sim.invariants.world import World
from sim.simulation import Simulation


@dataclass(frozen=True)
class Violation:
    """Something that must never happen, and did."""

    at: float
    what: str

    def __str__(self) -> str:
        return f"{self.at:.6f} {self.what}"


class Judge:
    """Listens to the history and to the agents. `tell` hears of each violation at once."""

    def __init__(self, tell: Callable[[Violation], None] = lambda violation: None) -> None:
        self.violations: list[Violation] = []
        self._tell = tell
        self._world = World()
        self._each: tuple[Callable[[Step], Iterator[str]], ...] = (
            Replicas(self._world).step,
            Daemons(self._world).step,
            Jobs().step,
            Nodes().step,
            Quotas().step,
        )

    def listen(self, simulation: Simulation) -> None:
        """Judge all that happens from now on."""
        agents, clock = simulation.agents, simulation.clock
        agents.on_start = lambda pod: self.started(agents, pod, clock.monotonic())
        simulation.history.listen(self.step)

    def step(self, step: Step) -> None:
        """Look at the cluster after a change."""
        self._world.step(step)
        for look in self._each:
            self._note(step.at, look(step))

    def started(self, agents: Agents, pod: Pod, at: float) -> None:
        """Look at what runs, now that the containers of a pod begin to."""
        owner = objects.controller_of(pod)
        if owner is None or owner.kind != "StatefulSet":
            return
        where = agents.running.get(objects.key(pod), {})
        others = sorted(node for uid, node in where.items() if uid != pod.metadata.uid)
        if others:
            name = f"{pod.metadata.namespace}/{pod.metadata.name}"
            self._note(at, [f"StatefulSet pod {name} starts, and still runs on {others}"])

    def _note(self, at: float, found: Iterable[str]) -> None:
        for what in found:
            violation = Violation(at, what)
            self.violations.append(violation)
            self._tell(violation)
