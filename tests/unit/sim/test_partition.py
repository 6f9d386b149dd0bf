"""A node that is cut off for ten minutes: the real control plane with its own settings, in leaping time."""

from __future__ import annotations

import asyncio

from api.apps import Deployment
from api.core import Node, Pod
from api.nodes import is_ready
from sim import loop
from sim.invariants.judge import Judge, Violation
from sim.simulation import Simulation, simulate
from tests.unit.scheduler.making import node
from tests.unit.sim.test_simulation import fresh

TOLERATED = 300
"""Seconds, which every pod gets from admission."""
SLACK = 70
"""For the grace of the node monitor, and the turn of the node's taint."""


def labelled(name: str) -> Deployment:
    made = fresh(name=name, replicas=6)
    made.spec.selector.match_labels = {"app": name}
    made.spec.template.metadata.labels = {"app": name}
    return made


async def pods(simulation: Simulation, app: str = "", *, on: str = "") -> list[Pod]:
    listed = await simulation.cluster.client.list(Pod, namespace="default")
    return [
        pod
        for pod in listed.items
        if app in ("", pod.metadata.labels["app"]) and on in ("", pod.spec.node_name)
    ]


def wanted(found: list[Pod]) -> list[Pod]:
    return [pod for pod in found if pod.metadata.deletion_timestamp is None]


def running(simulation: Simulation) -> set[str]:
    """The uids of pods that really run, whatever the API believes."""
    return {uid for nodes in simulation.agents.running.values() for uid in nodes}


async def ten_minutes(simulation: Simulation) -> None:
    client, agents = simulation.cluster.client, simulation.agents
    await simulation.join(node(f"n{number}") for number in range(3))
    for name in ("idle", "updated", "deleted"):
        await client.create(labelled(name))
    await asyncio.sleep(30)
    before = {app: await pods(simulation, app, on="n1") for app in ("idle", "updated", "deleted")}
    assert all(before.values())

    agents.lose("n1")
    leaving = before["deleted"][0].metadata
    await client.delete(Pod, leaving.name, "default")
    image = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "web:2"}]}}}}
    await client.patch(Deployment, "updated", "default", image)
    await asyncio.sleep(TOLERATED)
    assert not is_ready(await client.get(Node, "n1"))
    assert len(wanted(await pods(simulation, "idle", on="n1"))) == len(before["idle"]), "tolerated"

    await asyncio.sleep(SLACK)
    for app in before:
        elsewhere = wanted(await pods(simulation, app))
        assert len(elsewhere) == 6 and all(pod.spec.node_name != "n1" for pod in elsewhere), app
    await asyncio.sleep(600 - TOLERATED - SLACK)
    lost = {pod.metadata.uid for pod in await pods(simulation, on="n1")}
    assert leaving.uid in lost, "nobody knows whether it has ended"
    ran = {pod.metadata.uid for each in before.values() for pod in each}
    assert ran <= lost and ran <= running(simulation), "cut off, they went on"

    agents.find("n1")
    await asyncio.sleep(60)
    back = await client.get(Node, "n1")
    assert is_ready(back) and not back.spec.taints
    there = await pods(simulation)
    assert len(there) == 18 and len(wanted(there)) == 18
    assert not lost & running(simulation)
    assert running(simulation) == {pod.metadata.uid for pod in there}
    updated = await pods(simulation, "updated")
    assert {pod.spec.containers[0].image for pod in updated} == {"web:2"}


def test_a_node_is_cut_off_for_ten_minutes() -> None:
    """Replaced when what is tolerated is over, and not before; the doubles end when it is back."""

    async def main() -> list[Violation]:
        async with simulate(1) as simulation:
            judge = Judge(lambda violation: None)
            judge.listen(simulation)
            await ten_minutes(simulation)
            return judge.violations

    assert loop.run(main) == []
