"""What controllers write: every change once, however many pods there are, and at rest nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import msgspec

from api.apps import Deployment
from api.core import Pod
from control.controllers.manager import SCHEDULER
from control.store.interface import Change
from sim import loop
from sim.agents import Life
from sim.simulation import Simulation, simulate
from tests.thorough import examples
from tests.unit.controllers.making import rolling
from tests.unit.scheduler.making import node
from tests.unit.sim.test_simulation import fresh

COUNTS = ("replicas", "readyReplicas", "availableReplicas")
IMAGE = {"containers": [{"name": "c", "image": "web:2"}]}
SETTLING = 60.0
DEADLINES = 900.0
"""Until those that have promised to look again at the latest have done so: rollouts after ten minutes."""
IDLE_MINUTES = 20


class Writes:
    """All writes since it was made, by kind."""

    def __init__(self, simulation: Simulation) -> None:
        self._store = simulation.cluster.store
        self._after = self._store.revision()

    async def since(self) -> dict[str, list[Change]]:
        found: dict[str, list[Change]] = {}
        until = self._store.revision()
        while self._after < until:
            page, self._after = await self._store.read_changes("/registry/", self._after, until)
            for one in page:
                found.setdefault(tree(one.value or one.previous)["kind"], []).append(one)
        return found


def tree(value: bytes | None) -> dict[str, Any]:
    return msgspec.json.decode(value or b"{}", type=dict[str, Any])


def keys_changed(one: Change) -> set[str]:
    """The fields of the status, and of the spec, that a write has changed."""
    before, after = tree(one.previous), tree(one.value)
    return {
        name
        for part in ("spec", "status")
        for name in {*before.get(part, {}), *after.get(part, {})}
        if before.get(part, {}).get(name) != after.get(part, {}).get(name)
    }


async def complete(simulation: Simulation, replicas: int) -> None:
    async with asyncio.timeout(600):
        while True:
            found = await simulation.cluster.client.get(Deployment, "web", "default")
            status = found.status
            counts = (status.replicas, status.updated_replicas, status.available_replicas)
            current = status.observed_generation == found.metadata.generation
            if current and counts == (replicas,) * 3:
                return
            await asyncio.sleep(1)


async def rolled_out(replicas: int, life: Life) -> dict[str, list[Change]]:
    """The writes of a rollout; asserts that nothing is done when it is over."""

    def life_of(pod: Pod) -> Life:
        return life

    async with simulate(1, life_of=life_of) as simulation:
        client = simulation.cluster.client
        await simulation.join(
            node(f"n{number}", cpu="999", memory="999Gi", pods="999") for number in range(5)
        )
        await client.create(fresh(replicas=replicas, strategy=rolling("25%", "25%")))
        await complete(simulation, replicas)
        writes = Writes(simulation)
        await client.patch(Deployment, "web", "default", {"spec": {"template": {"spec": IMAGE}}})
        await complete(simulation, replicas)
        await asyncio.sleep(SETTLING)
        found = await writes.since()
        await asyncio.sleep(DEADLINES)
        writes, before = Writes(simulation), simulation.control.statistics()
        for _ in range(IDLE_MINUTES):  # the store forgets what is older than some minutes
            await asyncio.sleep(60)
            assert set(await writes.since()) == {"Lease"}, "only nodes tell that they live"
        after = simulation.control.statistics()
        looked = {
            name for name, told in before.items() if after[name].get("adds") != told.get("adds")
        }
        assert looked <= {"apiservice-registration-controller"}, "it looks again now and then"
        assert after[SCHEDULER]["attempts"] == before[SCHEDULER]["attempts"]
        return found


def judge(found: dict[str, list[Change]], replicas: int) -> None:
    pods = Counter(one.key for one in found["Pod"])
    assert Counter(pods.values()) == {3: replicas, 2: replicas}, (
        "a new pod is made, bound and ready; an old one told to go, and gone"
    )
    sets = [one for one in found["ReplicaSet"] if one.previous is not None]
    resized = [one for one in sets if generation(one.previous) != generation(one.value)]
    told = [one for one in sets if one not in resized]
    assert len(resized) <= 2 * replicas, "one pod more, or one less"
    assert len(told) <= 3 * replicas, "a pod is made, ready, or told to go"
    for one in told:
        assert keys_changed(one) & {*COUNTS}, "what changes no count is not told"
    assert len(found["Deployment"]) <= len(found["ReplicaSet"])


def generation(value: bytes | None) -> Any:
    return tree(value)["metadata"].get("generation")


def test_a_rollout_whose_pods_are_ready_one_after_the_other() -> None:
    found = loop.run(lambda: rolled_out(60, Life()))
    judge(found, 60)


def test_a_large_rollout_whose_pods_are_ready_together() -> None:
    """What comes together is told together."""
    replicas = examples(400, long=1000)
    found = loop.run(lambda: rolled_out(replicas, Life(start=(1.0, 1.0), stop=(1.0, 1.0))))
    judge(found, replicas)
    assert len(found["ReplicaSet"]) + len(found["Deployment"]) <= 150
