"""The bounds of a rollout at every step, whatever is lost, late or killed on the way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from base.clock import FakeClock
from control.controllers.workloads import rollout
from tests.unit.controllers.making import deployment, rolling
from tests.unit.controllers.rolloutworld import World
from tests.unit.controllers.slowmotion import Fate, api_in_memory


class Scenario:
    """A Deployment of some size and strategy, in a world of its own."""

    def __init__(self, folder: Path, seed: int, **spec: Any) -> None:
        self.source = source = random.Random(seed)
        self.replicas = spec.pop("replicas", None) or source.randint(1, 6)
        surge, unavailable = source.randint(0, 3), source.randint(0, 3)
        strategy = rolling(surge, unavailable or int(not surge))
        spec = {"strategy": strategy, "revisionHistoryLimit": source.randint(0, 2), **spec}
        self.wanted = deployment(replicas=self.replicas, **spec)
        self.wanted.spec.template.spec.node_name = "n1"
        self._clock, self._folder = FakeClock(), folder

    def play(self, act: Callable[[World], Awaitable[None]]) -> World:
        """Let it come up, then do with it what `act` does; the world as it was left."""

        async def playing() -> World:
            async with api_in_memory(self._folder, self._clock, self.source) as client:
                world = World(client, self._clock, self.source)
                await world.begin(self.wanted)
                await world.settle("web:1", self.replicas)
                world.most = world.fewest = self.replicas
                await act(world)
                await world.end()
            return world

        return asyncio.run(playing())


@pytest.mark.parametrize("seed", range(20))
def test_bounds_hold_over_stale_caches_and_through_crashes(tmp_path: Path, seed: int) -> None:
    """One template follows another, some before the one before is out, some come back."""
    scenario = Scenario(tmp_path, seed)

    async def roll(world: World) -> None:
        for _ in range(world.source.randint(1, 4)):
            image = f"web:{world.source.randint(1, 4)}"
            await world.roll(image)
            for _ in range(world.source.randint(5, 60)):
                await world.step()
        await world.settle(image, scenario.replicas)

    world = scenario.play(roll)
    most = scenario.replicas + rollout.max_surge(scenario.wanted)
    fewest = scenario.replicas - rollout.max_unavailable(scenario.wanted)
    assert world.most <= most, "too many pods"
    assert world.fewest >= fewest, "too few serve"


@pytest.mark.parametrize("seed", range(20))
def test_scaling_and_pausing_on_the_way(tmp_path: Path, seed: int) -> None:
    """The sizes that were ever wanted bound what exists and what serves; the end is as it should be."""
    scenario = Scenario(tmp_path, seed)
    largest = smallest = replicas = scenario.replicas

    async def disturb(world: World) -> None:
        nonlocal largest, smallest, replicas
        image = "web:1"
        for _ in range(world.source.randint(2, 5)):
            what = world.source.choice(("roll", "scale", "pause"))
            if what == "roll":
                image = f"web:{world.source.randint(1, 4)}"
                await world.roll(image)
            elif what == "scale":
                replicas = world.source.randint(1, 8)
                largest, smallest = max(largest, replicas), min(smallest, replicas)
                await world.change(replicas=replicas)
            else:
                await world.change(paused=world.source.random() < 0.5)
            for _ in range(world.source.randint(5, 60)):
                await world.step()
        await world.change(paused=False)
        await world.settle(image, replicas)

    world = scenario.play(disturb)
    assert world.most <= largest + rollout.max_surge(scenario.wanted), "too many pods"
    assert world.fewest >= smallest - rollout.max_unavailable(scenario.wanted), "too few serve"


@pytest.mark.parametrize("seed", range(20))
def test_a_recreation_never_runs_two_templates(tmp_path: Path, seed: int) -> None:
    """Not even while the last pods of the one before still end."""
    scenario = Scenario(tmp_path, seed, strategy={"type": "Recreate"})

    async def roll(world: World) -> None:
        for number in range(2, 4):
            await world.roll(f"web:{number}")
            for _ in range(world.source.randint(5, 60)):
                await world.step()
        await world.settle("web:3", scenario.replicas)

    world = scenario.play(roll)
    assert world.templates == 1
    assert world.most == scenario.replicas


@pytest.mark.parametrize("end", ["lost after", "lost before", "killed after", "killed before"])
def test_a_pod_is_not_made_twice_because_its_answer_was_lost(tmp_path: Path, end: str) -> None:
    scenario = Scenario(tmp_path, 1)
    wanted = scenario.replicas + 1

    async def grow(world: World) -> None:
        await world.change(replicas=wanted)
        await world.hear()
        await world.look()
        await world.hear()
        world.process.fate = Fate(0, end)
        for _ in range(3):
            await world.look()
        await world.settle("web:1", wanted)
        assert world.most == wanted

    scenario.play(grow)


def test_four_replicas_are_nine_events(tmp_path: Path) -> None:
    """What the books print, with pods that become ready one after the other."""
    scenario = Scenario(tmp_path, 0, strategy=rolling("25%", "25%"), replicas=4)

    async def roll(world: World) -> None:
        await world.roll("web:2")
        await world.rest()
        while await world.ripen():
            await world.rest()

    told = [text for text in scenario.play(roll).told if " ScalingReplicaSet " in text]
    old, new = dict.fromkeys(text.split()[6] for text in told)
    expected = [f"Scaled up replica set {old} from 0 to 4"]
    for number in range(4):
        expected.append(f"Scaled up replica set {new} from {number} to {number + 1}")
        expected.append(f"Scaled down replica set {old} from {4 - number} to {3 - number}")
    assert told == [f"Normal ScalingReplicaSet {text}" for text in expected]


def test_nobody_writes_more_often_than_something_changes(tmp_path: Path) -> None:
    """Each pod is written once to be made and once to be ended; who counts them writes no more often
    than there is something new to count."""
    replicas = 40
    scenario = Scenario(tmp_path, 0, strategy=rolling("25%", "25%"), replicas=replicas)
    written: dict[tuple[str, str], int] = {}

    async def roll(world: World) -> None:
        world.process.done.clear()
        await world.roll("web:2")
        await world.rest()
        while await world.ripen():
            await world.rest()
        written.update(world.process.done)

    scenario.play(roll)
    assert (written["create", "Pod"], written["delete", "Pod"]) == (replicas, replicas)
    assert written["create", "ReplicaSet"] == 1
    of_pods = 4 * replicas  # made, ready, to end, gone
    resized, counted = written["patch", "ReplicaSet"], written["update", "ReplicaSet/status"]
    assert resized <= 2 * replicas
    assert counted <= of_pods + resized
    assert written["update", "Deployment/status"] <= resized + counted + 1
