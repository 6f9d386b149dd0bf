"""A simulated cluster: the real parts in leaping time, and the same every time."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from api.apps import Deployment
from api.core import Node
from api.nodes import is_ready
from sim import loop
from sim.simulation import Simulation, simulate
from tests.unit.controllers.making import deployment
from tests.unit.scheduler.making import node

ROOT = Path(__file__).resolve().parents[3]


def fresh(**more: object) -> Deployment:
    made = deployment(**more)  # type: ignore[arg-type]
    made.metadata.uid = ""
    made.metadata.generation = 0
    return made


async def roll_out(simulation: Simulation) -> Deployment:
    """A Deployment that comes, and is changed, with a node lost and a control plane killed."""
    client = simulation.cluster.client
    await simulation.join(node(f"n{number}") for number in range(5))
    await client.create(fresh(replicas=12))
    await asyncio.sleep(30)
    image = {"containers": [{"name": "c", "image": "web:2"}]}
    await client.patch(Deployment, "web", "default", {"spec": {"template": {"spec": image}}})
    await asyncio.sleep(2)
    simulation.control.kill(3)
    await asyncio.sleep(30)
    return await client.get(Deployment, "web", "default")


def log_of(seed: int) -> str:
    written = io.StringIO()

    async def main() -> None:
        async with simulate(seed, log=written) as simulation:
            await roll_out(simulation)

    loop.run(main)
    return written.getvalue()


def test_the_real_parts_do_the_work() -> None:
    async def main() -> Deployment:
        async with simulate(1) as simulation:
            return await roll_out(simulation)

    status = loop.run(main).status
    assert (status.replicas, status.updated_replicas, status.available_replicas) == (12, 12, 12)


def test_the_same_seed_gives_the_same_log_and_another_one_another() -> None:
    first = log_of(1)
    assert "Scaled up replica set" in first
    assert "control plane 1 is killed for 3.000 s" in first
    assert log_of(1) == first
    assert log_of(2) != first


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_the_log_is_the_same_in_another_process(hash_seed: str) -> None:
    program = (
        "import sys; from tests.unit.sim.test_simulation import log_of; sys.stdout.write(log_of(1))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout == log_of(1)


def test_a_lost_node_is_tainted_and_comes_back() -> None:
    async def main() -> tuple[bool, bool]:
        async with simulate(1) as simulation:
            await simulation.join(node(f"n{number}") for number in range(3))
            await asyncio.sleep(30)
            simulation.agents.lose("n1")
            await asyncio.sleep(60)
            lost = await simulation.cluster.client.get(Node, "n1")
            simulation.agents.find("n1")
            await asyncio.sleep(60)
            back = await simulation.cluster.client.get(Node, "n1")
            return is_ready(lost), is_ready(back)

    assert loop.run(main) == (False, True)


def test_time_leaps_and_a_standstill_is_told() -> None:
    async def sleep() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    async def wait() -> None:
        await asyncio.Event().wait()

    assert loop.run(sleep) == pytest.approx(3600)
    with pytest.raises(loop.Standstill):
        loop.run(wait)


def test_work_for_threads_is_done_at_once() -> None:
    async def main() -> tuple[str, float]:
        told = await asyncio.to_thread(threading.current_thread)
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 / 0)
        return told.name, asyncio.get_running_loop().time()

    assert loop.run(main) == (threading.current_thread().name, 0.0)
