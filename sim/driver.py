"""Plays a scenario from its beginning to its end, and gives what came of it.

The cluster is allowed to settle before the scenario's time begins: nodes of the first moment have
joined, and the first namespaces have what pods need. What the scenario applies always arrives: only
what the cluster's own parts send may get lost.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TextIO

from api import errors, selectors
from api.codec import decode
from api.core import Pod, ServiceAccount
from api.errors import ApiError
from api.fielderrors import Path
from api.interface import Client, PatchType
from api.selectors import Selector
from api.struct import ApiStruct
from base import settings
from sim import loop
from sim.agents import Life
from sim.chance import within
from sim.faults import Faults
from sim.figures import Figures
from sim.history import Step
from sim.invariants.judge import Judge, Violation
from sim.machines import nodes_of
from sim.network import Weather
from sim.reading import ScenarioError, is_repeated, numbered, resource_of, span, target
from sim.scenario import NodeGroup, Scenario, Workload
from sim.simulation import Simulation, simulate

_FURNISHED = ("default", "kube-system")
_LOOK_SECONDS = 0.1


@dataclass
class Outcome:
    """What came of a scenario."""

    seed: int
    seconds: float
    figures: Figures
    faults: dict[str, int]
    control_planes: int
    writes: int
    changes: int
    violations: list[Violation]
    log_lines: int
    log_digest: str
    last: dict[str, Any] = field(default_factory=dict)
    """Every workload as it was in the end, by kind and name."""


def play(scenario: Scenario, *, seed: int | None = None, log: TextIO | None = None) -> Outcome:
    """Run a scenario that `sim.reading` has checked. Raises ScenarioError for what the API refuses."""
    seed = scenario.seed if seed is None else seed
    return loop.run(lambda: _Driver(scenario, seed).run(log))


class _Driver:
    def __init__(self, scenario: Scenario, seed: int) -> None:
        self._scenario = scenario
        self._seed = seed
        self._figures = Figures()
        self._lives = _Lives(scenario)
        self._owners: dict[str, Any] = {}

    async def run(self, log: TextIO | None) -> Outcome:
        network = self._scenario.network
        weather = Weather(request=span(network.request), watch=span(network.watch))
        async with simulate(
            self._seed, log=log, weather=weather, life_of=self._lives.of
        ) as simulation:
            judge = Judge(lambda violation: simulation.note(f"NEVER: {violation.what}"))
            judge.listen(simulation)
            simulation.history.listen(self._figures.step)
            simulation.history.listen(self._follow)
            faults = Faults(simulation)
            await self._settle(simulation, faults)
            simulation.note("the scenario begins")
            await self._play(simulation, faults)
            return self._outcome(simulation, faults, judge)

    async def _settle(self, simulation: Simulation, faults: Faults) -> None:
        for group in self._scenario.nodes:
            if not settings.duration(group.at):
                await self._join(simulation, faults, group)
        client = simulation.cluster.client
        for namespace in _FURNISHED:
            while not await _exists(client, ServiceAccount, "default", namespace):
                await simulation.clock.sleep(_LOOK_SECONDS)

    async def _join(self, simulation: Simulation, faults: Faults, group: NodeGroup) -> None:
        made = list(nodes_of(group))
        await simulation.join(made)
        for node in made:
            faults.know(node)

    async def _join_later(self, simulation: Simulation, faults: Faults, group: NodeGroup) -> None:
        await asyncio.sleep(settings.duration(group.at))
        await self._join(simulation, faults, group)

    async def _play(self, simulation: Simulation, faults: Faults) -> None:
        """Everything that the scenario asks for, until its time is over. Errors of any part end it."""
        guard = simulation.guard
        for group in self._scenario.nodes:
            if settings.duration(group.at):
                guard.start(self._join_later(simulation, faults, group), name=f"join {group.name}")
        for number, workload in enumerate(self._scenario.workloads):
            playing = self._arrivals(simulation, number, workload)
            guard.start(playing, name=f"workload {number}")
        for number, fault in enumerate(self._scenario.faults):
            guard.start(faults.play(number, fault), name=f"fault {number}")
        try:
            async with asyncio.timeout(settings.duration(self._scenario.duration)):
                await guard.failed()
        except TimeoutError:
            pass

    async def _arrivals(self, simulation: Simulation, number: int, workload: Workload) -> None:
        source = simulation.chance.stream("workload", str(number))
        await asyncio.sleep(settings.duration(workload.at))
        path = Path("workloads").index(number)
        times = 0
        while True:
            await self._arrive(simulation, path, workload, times)
            times += 1
            if times == workload.count or not is_repeated(workload):
                return
            await asyncio.sleep(_pause(source, workload))

    async def _arrive(
        self, simulation: Simulation, path: Path, workload: Workload, times: int
    ) -> None:
        for number, tree in enumerate(workload.objects):
            where = path.child("objects").index(number)
            try:
                await apply(simulation.cluster.client, numbered(tree, times))
            except ApiError as error:
                self._refused(simulation, where, error)
        for number, text in enumerate(workload.delete):
            resource, namespace, name = target(numbered(text, times))
            try:
                await simulation.cluster.client.delete(resource.type, name, namespace)
            except ApiError as error:
                self._refused(simulation, path.child("delete").index(number), error)

    def _refused(self, simulation: Simulation, where: Path, error: ApiError) -> None:
        if error.code in (400, 422):  # no state of the cluster would make it right
            raise ScenarioError(f"{where}: {error.message}") from error
        self._figures.refused += 1
        simulation.note(f"{where} is refused: {error.message}")

    def _follow(self, step: Step) -> None:
        """Remember workloads as they are now."""
        if step.resource.group in ("apps", "batch") and step.resource.kind in _WORKLOADS:
            metadata = step.object.metadata
            name = f"{step.resource.kind} {metadata.namespace}/{metadata.name}"
            if step.new is None:
                self._owners.pop(name, None)
            else:
                self._owners[name] = step.new

    def _outcome(self, simulation: Simulation, faults: Faults, judge: Judge) -> Outcome:
        self._figures.pass_time(simulation.clock.monotonic())
        return Outcome(
            seed=self._seed,
            seconds=settings.duration(self._scenario.duration),
            figures=self._figures,
            faults=faults.happened,
            control_planes=simulation.control.lives,
            writes=simulation.cluster.store.revision(),
            changes=simulation.history.steps,
            violations=judge.violations,
            log_lines=simulation.log.lines,
            log_digest=simulation.log.digest,
            last=self._owners,
        )


_WORKLOADS = ("DaemonSet", "Deployment", "Job", "StatefulSet")


class _Lives:
    """What becomes of a pod, by the scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self._entries = [
            (
                selectors.parse_label_selector(one.selector),
                one.namespace,
                Life(
                    start=span(one.start),
                    run=span(one.run) if one.run else None,
                    fails=one.fails,
                    stop=span(one.stop),
                ),
            )
            for one in scenario.pods
        ]
        self._otherwise = Life()

    def of(self, pod: Pod) -> Life:
        return next(self._matching(pod), self._otherwise)

    def _matching(self, pod: Pod) -> Iterator[Life]:
        selector: Selector
        for selector, namespace, life in self._entries:
            if namespace in ("", pod.metadata.namespace) and selector.matches(pod.metadata.labels):
                yield life


def _pause(source: random.Random, workload: Workload) -> float:
    """Seconds until a workload comes again: of its span, or as independent arrivals do."""
    if workload.every:
        return within(source, span(workload.every))
    return source.expovariate(workload.per_minute / 60)


async def apply(client: Client, tree: Any) -> None:
    """Make an object, or change it to be like this."""
    resource = resource_of(tree)
    assert resource is not None, "the scenario was checked"
    metadata = tree["metadata"]
    name = metadata["name"]
    namespace = (metadata.get("namespace") or "default") if resource.namespaced else ""
    if await _exists(client, resource.type, name, namespace):
        await client.patch(resource.type, name, namespace, tree, patch_type=PatchType.STRATEGIC)
    else:
        await client.create(decode.convert(tree, resource.type).obj, namespace=namespace)


async def _exists(client: Client, type_: type[ApiStruct], name: str, namespace: str) -> bool:
    try:
        await client.get(type_, name, namespace)
    except ApiError as error:
        if errors.is_not_found(error):
            return False
        raise
    return True
