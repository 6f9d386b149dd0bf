"""What pods may use, with either driver of cgroups, on whichever version the kernel has: the values that
the kernel holds, for how long it holds them, and what becomes of who wants more."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.pod import names
from agent.pod.podusage import PodsUsage
from agent.resources.cgroups import MOUNT, Cgroups
from agent.resources.values import CpuMemory, pod_values
from api import objects
from api.core import Pod, ResourceRequirements
from tests.engine import Engine, missing, running_engine, systemd_missing
from tests.integration.agent.conftest import PIDS, RealNode
from tests.integration.agent.test_pods import FOREVER, delete, shell
from tests.patience import PATIENCE
from tests.unit.agent.builders import UID, make_pod

MIB = 1024**2
VERSION = 2 if (MOUNT / "cgroup.controllers").exists() else 1
SYSTEMD = pytest.param(
    "systemd", marks=pytest.mark.skipif(bool(systemd_missing()), reason=systemd_missing())
)
unified = pytest.mark.skipif(VERSION == 1, reason="needs cgroup v2")


@pytest.fixture(scope="module", params=["cgroupfs", SYSTEMD])
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def engine(driver: str) -> Iterator[Engine]:
    if reason := missing():
        pytest.skip(reason)
    directory = Path("/tmp/podwright-test-resources")
    with running_engine(directory, name=f"pwt-{driver}", driver=driver) as engine:
        yield engine


def resources(cpu: str, memory: str, *, limit: str = "") -> ResourceRequirements:
    return ResourceRequirements(
        requests={"cpu": cpu, "memory": memory}, limits={"cpu": limit or cpu, "memory": memory}
    )


def limits(cgroups: Cgroups, qos: str, container: str = "") -> dict[str, str]:
    """What the kernel says, in the words of version 2."""

    def read(controller: str, file: str) -> str:
        folder = cgroups.directory(UID, qos, controller) / cgroups.leaf(container)
        return (folder / file).read_text().strip()

    if VERSION == 2:
        files = ("cpu.weight", "cpu.max", "memory.max")
        return {file: read(file.partition(".")[0], file) for file in files}
    return {
        "cpu.shares": read("cpu", "cpu.shares"),
        "cpu.max": f"{read('cpu', 'cpu.cfs_quota_us')} {read('cpu', 'cpu.cfs_period_us')}",
        "memory.max": read("memory", "memory.limit_in_bytes"),
    }


def expected(values: CpuMemory) -> dict[str, str]:
    weight = (
        {"cpu.weight": values.cpu_weight} if VERSION == 2 else {"cpu.shares": values.cpu_shares}
    )
    name, share = weight.popitem()
    return {
        name: str(share),
        "cpu.max": f"{values.cpu_quota} 100000",
        "memory.max": str(values.memory),
    }


async def running(node: RealNode, pod: Pod) -> str:
    """Start a pod; returns the id of its container."""
    node.api.put(pod)
    await node.until(node.ready)
    return identity(node)


def identity(node: RealNode) -> str:
    status = node.status()
    assert status is not None
    return status.container_id.rpartition("/")[2]


def file(node: RealNode, qos: str, controller: str, name: str, container: str = "") -> str:
    folder = node.cgroups.directory(UID, qos, controller) / node.cgroups.leaf(container)
    return (folder / name).read_text().strip()


async def test_limits_are_in_force_and_stay(node: RealNode, driver: str) -> None:
    pod = make_pod(
        shell(FOREVER, resources=resources("250m", "64Mi", limit="500m")),
        shell(FOREVER, "other", resources=resources("250m", "32Mi", limit="300m")),
    )
    id = await running(node, pod)
    whole = expected(pod_values(pod))
    assert limits(node.cgroups, "Burstable") == whole
    own = expected(CpuMemory(cpu_shares=256, cpu_quota=50_000, memory=64 * MIB))
    assert limits(node.cgroups, "Burstable", id) == own
    assert file(node, "Burstable", "pids", "pids.max") == str(PIDS)
    if VERSION == 2:
        assert file(node, "Burstable", "memory", "memory.swap.max", id) == "0", "no swap"
        assert file(node, "Burstable", "memory", "memory.oom.group", id) == "1"
    if driver == "systemd":
        subprocess.run(["systemctl", "daemon-reload"], check=True)
        assert limits(node.cgroups, "Burstable") == whole
        assert limits(node.cgroups, "Burstable", id) == own
    cgroup = Path(f"/proc/{(await node.runtime.inspect(id)).pid}/cgroup").read_text()  # type: ignore[arg-type]
    assert f"{node.cgroups.path(UID, 'Burstable')}/{node.cgroups.leaf(id)}" in cgroup

    # A sandbox that died takes no limit with it.
    sandbox = next(
        record
        for record in await node.containers()
        if record.labels.get(names.CONTAINER_TYPE) == names.SANDBOX
    )
    await node.runtime.kill(sandbox.id)
    await node.until(lambda: node.ready() and identity(node) != id, seconds=60)
    assert limits(node.cgroups, "Burstable") == whole
    assert limits(node.cgroups, "Burstable", identity(node)) == own

    folder = node.cgroups.directory(UID, "Burstable", "memory")
    await delete(node)
    assert not folder.exists() and node.cgroups.pod_uids() == set()


async def test_other_limits_in_place(node: RealNode) -> None:
    pod = make_pod(shell(FOREVER, resources=resources("200m", "64Mi")))
    id = await running(node, pod)
    for cpu, memory in (("400m", "128Mi"), ("100m", "48Mi")):
        wanted = objects.copy(node.api.pod())
        wanted.metadata.generation += 1
        wanted.spec.containers[0].resources = resources(cpu, memory)
        node.api.put(wanted)
        after = expected(pod_values(wanted))
        for container in ("", id):
            await node.until(
                lambda after=after, container=container: (
                    limits(node.cgroups, "Guaranteed", container) == after
                )
            )
    assert identity(node) == id, "in place"


async def test_the_class_weighs_what_its_pods_request(node: RealNode, driver: str) -> None:
    pod = make_pod(shell(FOREVER, resources=ResourceRequirements(requests={"cpu": "700m"})))
    await running(node, pod)
    folder = node.cgroups.directory(UID, "Burstable", "cpu").parent
    name, values = "cpu.shares", CpuMemory(cpu_shares=716)
    value = values.cpu_shares
    if VERSION == 2:
        name, value = "cpu.weight", values.cpu_weight
    await node.until(lambda: (folder / name).read_text().strip() == str(value))
    if driver == "systemd":
        subprocess.run(["systemctl", "daemon-reload"], check=True)
        assert (folder / name).read_text().strip() == str(value)


async def test_no_memory_left(node: RealNode) -> None:
    """Not one process ends but all (version 2); how much there was at most is kept."""
    eats = f"sleep {PATIENCE / 5:g}; tail /dev/zero"
    if VERSION == 2:
        eats = f"{eats} & sleep 1000"
    given = ResourceRequirements(limits={"memory": "16Mi"})
    node.api.put(make_pod(shell(eats, resources=given), policy="Never"))
    await node.until(lambda: node.phase() == "Failed")
    status = node.status()
    assert status is not None and status.state.terminated is not None
    ended = status.state.terminated
    assert (ended.reason, ended.exit_code) == ("OOMKilled", 137)
    worker = node.manager.workers[UID]
    death = worker.context.memory.deaths[0]
    assert "16Mi" in death.cause, death
    assert file(node, "Burstable", "memory", PEAK) != "0"


PEAK = "memory.peak" if VERSION == 2 else "memory.max_usage_in_bytes"


async def test_too_many_processes(node: RealNode) -> None:
    script = f"i=0; while [ $i -lt {PIDS + 50} ]; do sleep 1000 & i=$((i + 1)); done; wait"
    node.api.put(make_pod(shell(script), policy="Never"))
    await node.until(lambda: node.phase() == "Failed")
    assert await node.containers(), "the node goes on"


async def test_what_is_used(node: RealNode) -> None:
    given = resources("200m", "64Mi")
    id = await running(node, make_pod(shell("while :; do :; done", resources=given)))
    usage = PodsUsage(node.manager, version=VERSION)

    def busy() -> bool:
        (pod,) = usage.pods(facts=True)
        throttled = pod.counters is not None and pod.counters.throttled_periods > 0
        return throttled and pod.containers["web"].cpu_nanoseconds > 10**8

    await node.until(busy)
    (pod,) = usage.pods(facts=True)
    assert pod.usage.cpu_nanoseconds >= pod.containers["web"].cpu_nanoseconds
    assert pod.usage.memory > pod.containers["web"].memory > 0
    assert pod.containers["web"].limit == 64 * MIB
    assert pod.counters.processes >= 2
    assert pod.facts["web"].cgroup.endswith(node.cgroups.leaf(id))
    assert usage.node().cpu_nanoseconds >= pod.usage.cpu_nanoseconds
    assert usage.peak(UID, "Guaranteed") >= pod.usage.memory // 2


def test_huge_pages_are_limited(cgroups: Cgroups) -> None:
    name = "hugetlb.2MB.max" if VERSION == 2 else "hugetlb.2MB.limit_in_bytes"
    cgroups.ensure_root(CpuMemory())
    cgroups.ensure_pod("uid-1", "Burstable", CpuMemory())
    cgroups.limit_huge_pages("uid-1", "Burstable", {"2MB": 4 * MIB, "1GB": 0})
    path = cgroups.directory("uid-1", "Burstable", "hugetlb") / name
    if not path.exists():
        pytest.skip("this kernel has no such controller")
    assert path.read_text().strip() == str(4 * MIB)


def test_a_cgroup_in_use_stays(cgroups: Cgroups) -> None:
    cgroups.ensure_root(CpuMemory())
    cgroups.ensure_pod("uid-1", "BestEffort", CpuMemory())
    folder = cgroups.directory("uid-1", "BestEffort", "memory")
    below = folder / "in-use"
    below.mkdir()
    with subprocess.Popen(["sleep", "1000"]) as process:
        (below / "cgroup.procs").write_text(str(process.pid))
        cgroups.remove_strays(["uid-1"])
        assert process.poll() is None
        assert "uid-1" in cgroups.pod_uids()
        process.kill()
        process.wait(timeout=10 * PATIENCE)
    cgroups.remove_strays(["uid-1"])
    assert cgroups.pod_uids() == set()
