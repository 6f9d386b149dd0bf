"""What StatefulSets and DaemonSets promise, at every write, whatever is lost, late or killed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from base.clock import FakeClock
from tests.unit.controllers.making import daemon_set, stateful_set
from tests.unit.controllers.setworld import DaemonWorld, StatefulWorld
from tests.unit.controllers.slowmotion import api_in_memory
from tests.unit.controllers.slowworld import SlowWorld

W = TypeVar("W", bound=SlowWorld)


def play(
    kind: type[W], folder: Path, source: random.Random, act: Callable[[W], Awaitable[None]]
) -> W:
    """Let something happen in a world of its own; the world as it was left."""

    async def playing() -> W:
        clock = FakeClock()
        async with api_in_memory(folder, clock, source) as client:
            world = kind(client, clock, source)
            await act(world)
            await world.end()
        return world

    return asyncio.run(playing())


async def busy(world: SlowWorld) -> None:
    """Things happen for a while."""
    for _ in range(world.source.randint(5, 60)):
        await world.step()


def ordered(replicas: int) -> Any:
    wanted = stateful_set(replicas=replicas, claims=("data",))
    wanted.spec.template.spec.node_name = "n1"
    return wanted


@pytest.mark.parametrize("seed", range(12))
def test_who_has_a_number_waits_for_those_below_and_is_alone(tmp_path: Path, seed: int) -> None:
    """Scaled up and down and updated, some before the change before is done."""

    async def disturb(world: StatefulWorld) -> None:
        replicas, image = world.source.randint(1, 4), "web:1"
        await world.begin(ordered(replicas))
        for _ in range(world.source.randint(2, 5)):
            await busy(world)
            if world.source.random() < 0.5:
                image = f"web:{world.source.randint(1, 3)}"
                await world.roll(image)
            else:
                replicas = world.source.randint(0, 5)
                await world.change(replicas=replicas)
        await busy(world)
        await world.settle(image, replicas)

    world = play(StatefulWorld, tmp_path, random.Random(seed), disturb)
    assert world.broken == []


@pytest.mark.parametrize("seed", range(12))
def test_an_update_in_order_misses_one_at_a_time(tmp_path: Path, seed: int) -> None:
    source = random.Random(seed)
    replicas = source.randint(1, 5)

    async def roll(world: StatefulWorld) -> None:
        await world.begin(ordered(replicas))
        await world.settle("web:1", replicas)
        world.fewest = replicas
        for number in range(2, 4):
            await world.roll(f"web:{number}")
            await busy(world)
        await world.settle("web:3", replicas)

    world = play(StatefulWorld, tmp_path, source, roll)
    assert world.broken == []
    assert world.fewest >= replicas - 1
    assert world.most_ending <= 1, "they end one by one"


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("surges", [False, True])
def test_no_node_has_too_many_and_enough_of_them_have_one(
    tmp_path: Path, seed: int, surges: bool
) -> None:
    source = random.Random(seed)
    size, most = source.randint(1, 5), source.randint(1, 3)
    amounts = {"maxUnavailable": 0, "maxSurge": most} if surges else {"maxUnavailable": most}
    wanted = daemon_set(updateStrategy={"type": "RollingUpdate", "rollingUpdate": amounts})

    async def roll(world: DaemonWorld) -> None:
        for number in range(size):
            await world.add_node(f"n{number}")
        await world.begin(wanted)
        await busy(world)
        await world.settle("log:1", size)
        world.fewest = size
        for number in range(2, 4):
            await world.roll(f"log:{number}")
            await busy(world)
        await world.add_node("late")
        await world.settle("log:3", size + 1)

    world = play(DaemonWorld, tmp_path, source, roll)
    assert world.most_on_a_node <= 1 + surges
    assert world.most_doubled <= amounts.get("maxSurge", 0)
    assert world.fewest >= size - amounts["maxUnavailable"]
