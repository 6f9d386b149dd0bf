"""CPUs of one's own on a real engine: where the kernel lets the programs run."""

from __future__ import annotations

import pytest

from agent.node.pinning import Pinning
from agent.pod import names
from agent.resources import cpusets
from agent.resources.cpumanager import StaticCpus
from api.core import ResourceRequirements
from tests.integration.agent.conftest import RealNode
from tests.integration.agent.test_pods import FOREVER, shell
from tests.patience import PATIENCE
from tests.unit.agent.builders import make_pod

ONLINE = frozenset(cpu.id for cpu in cpusets.read())

pytestmark = pytest.mark.skipif(len(ONLINE) < 2, reason="one CPU is nobody's own")


def boot(node: RealNode) -> None:
    """What the agent adds when CPUs are given away."""
    node.guard.start(Pinning(node.manager, node.cpus).run(), name="CPU sets")


def policy(node: RealNode) -> StaticCpus:
    first = min(ONLINE)
    return StaticCpus(cpusets.read(), frozenset({first}), node.directory)


async def allowed(node: RealNode) -> dict[str, str]:
    """By container, the CPUs that a program in it may use, as the kernel says."""
    found = {}
    for record in await node.containers():
        name = record.labels.get(names.CONTAINER_NAME, "")
        if record.running and name != names.SANDBOX_NAME:
            command = ["grep", "Cpus_allowed_list", "/proc/self/status"]
            said = await node.runtime.exec(record.id, command, timeout=10 * PATIENCE)
            found[name] = said.output.decode().split()[-1]
    return found


async def becomes(node: RealNode, expected: dict[str, str]) -> None:
    for _ in range(int(600 * PATIENCE)):
        if await allowed(node) == expected:
            return
        await node.clock.sleep(0.1)
    assert await allowed(node) == expected


async def test_who_has_a_cpu_and_who_shares(node: RealNode) -> None:
    await node.kill()
    node.cpus = policy(node)
    await node.boot()
    boot(node)
    others = make_pod(shell(FOREVER, "others"))
    others.metadata.name, others.metadata.uid = "others", "22222222-2222-3333-4444-555555555555"
    node.api.put(others)
    await node.until(lambda: node.api.pod("others").status.phase == "Running")
    assert (await allowed(node))["others"] == cpusets.written(ONLINE)

    def amounts(cpu: str) -> ResourceRequirements:
        asked = {"cpu": cpu, "memory": "32Mi"}
        return ResourceRequirements(requests=asked, limits=asked)

    node.api.put(
        make_pod(
            shell(FOREVER, resources=amounts("1")),
            shell(FOREVER, "small", resources=amounts("100m")),
        )
    )
    await node.until(node.ready)
    own = cpusets.parse(node.cpus.of(node.api.pod().metadata.uid, "web"))
    shared = cpusets.written(ONLINE - own)
    expected = {"web": cpusets.written(own), "small": shared, "others": shared}
    assert len(own) == 1

    await becomes(node, expected)

    await node.kill()
    node.cpus = policy(node)
    await node.boot()
    boot(node)
    await node.until(node.ready)
    assert await allowed(node) == expected, "an agent that is started anew changes nothing"
    node.api.delete_gracefully("pod", "ns", stamp="2026-01-01T00:00:00Z", grace=1)
    await node.until(node.gone)
    await becomes(node, {"others": cpusets.written(ONLINE)})
