"""One engine for all tests of this folder, and an agent over it with a fake API.

Everything of a test lies under one directory and one cgroup of its own; the next run removes what a
killed one left.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from agent.containers import pause
from agent.containers.images import Images
from agent.containers.records import ContainerRecord, LogLimits
from agent.containers.runtime import DockerRuntime
from agent.effects.context import AgentContext
from agent.node.objects import ReferencedObjects
from agent.pod import names
from agent.pod.checkpoint import Checkpoints
from agent.pod.manager import PodManager
from agent.pod.pusher import StatusPusher
from agent.probes.turns import ExecTurns
from agent.resources.cgroups import MOUNT, Cgroups, Layout
from agent.resources.cpumanager import CpuManager
from agent.resources.values import CpuMemory
from agent.spec.dns import ResolvConf
from agent.spec.facts import NodeFacts
from agent.volumes.kinds import stages
from agent.volumes.mounts import KernelMounter, remove_tree
from api.core import ContainerStatus, Pod
from base.clock import SystemClock
from base.tasks import TaskGuard
from tests.engine import BUSYBOX, Engine, missing, running_engine
from tests.patience import DEADLINE, PATIENCE
from tests.unit.agent.fakeapi import FakeApi, FakeRecorder
from tests.unit.agent.node import FakeNetwork

DIRECTORY = Path("/tmp/podwright-test-agent")
CGROUP = "/podwright-test-agent"
PIDS = 200
"""Processes that a pod may have."""


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    if reason := missing():
        pytest.skip(reason)
    with running_engine(DIRECTORY / "engine", name="pwt-agent") as engine:
        yield engine


def layout(driver: str = "cgroupfs") -> Layout:
    unified = (MOUNT / "cgroup.controllers").exists()
    return Layout(version=2 if unified else 1, systemd=driver == "systemd", root=CGROUP)


def remove_cgroups(cgroups: Cgroups) -> None:
    """The pods' cgroups, and the root that was made for this test."""
    cgroups.remove_strays(cgroups.pod_uids())
    cgroups.remove_root()
    for tree in [MOUNT, *MOUNT.iterdir()]:
        for name in (CGROUP.strip("/"), f"{CGROUP.strip('/').replace('-', '_')}.slice"):
            if (tree / name).is_dir():
                (tree / name).rmdir()


@pytest.fixture
def driver() -> str:
    """Of cgroups. A module may have its tests run with both, and then needs engines of its own."""
    return "cgroupfs"


@pytest.fixture
def cgroups(driver: str) -> Iterator[Cgroups]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    cgroups = Cgroups(layout(driver), pod_pids=PIDS)
    remove_cgroups(cgroups)
    yield cgroups
    remove_cgroups(cgroups)


@pytest.fixture
def workspace() -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    directory = DIRECTORY / "work"
    remove_tree(directory, KernelMounter())
    directory.mkdir(parents=True)
    yield directory
    remove_tree(directory, KernelMounter())
    shutil.rmtree(directory, ignore_errors=True)


class RealNode:
    """An agent's core over a real engine; the API, the network and the events are fakes."""

    def __init__(self, engine: Engine, directory: Path, cgroups: Cgroups) -> None:
        self.engine = engine
        self.directory = directory
        self.cgroups = cgroups
        self.clock = SystemClock()
        self.api = FakeApi()
        self.recorder = FakeRecorder()
        self.network = FakeNetwork()
        self.cpus = CpuManager()
        self.runtime: DockerRuntime
        self.guard: TaskGuard
        self.manager: PodManager

    async def boot(self) -> None:
        """Start an agent."""
        self.runtime = DockerRuntime(self.engine.url, clock=self.clock)
        self.guard = TaskGuard("agent")
        await pause.ensure_image(self.runtime)
        self.cgroups.ensure_root(CpuMemory(cpu_shares=2048))
        self.manager = PodManager(await self._context())
        self.guard.start(self.manager.watch_engine(), name="events")
        self.guard.start(self.manager.relist_forever(), name="relist")
        self.guard.start(self.manager.agent.checkpoints.run(), name="checkpoints")
        await self.manager.start()
        self.api.subscribe(Pod, self.manager.pod_changed)
        present = {o.metadata.uid for (kind, _, _), o in self.api.objects.items() if kind is Pod}
        await self.manager.api_listed(present)

    async def kill(self) -> None:
        """All that the agent had in memory is gone; the engine goes on."""
        self.api._watchers.clear()
        await self.guard.close()
        await self.runtime.close()

    async def until(self, condition: Callable[[], object], *, seconds: float = DEADLINE) -> None:
        """Wait for a condition, with a deadline."""
        seconds *= PATIENCE
        deadline = self.clock.monotonic() + seconds
        while not condition():
            if self.guard._failure is not None:
                raise self.guard._failure
            if self.clock.monotonic() > deadline:
                told = "\n".join(map(str, self.recorder.told))
                workers = [repr(worker) for worker in self.manager.workers.values()]
                raise AssertionError(f"not within {seconds} s: {workers}; events:\n{told}")
            await asyncio.sleep(0.02)

    def status(self, container: str = "web") -> ContainerStatus | None:
        every = self.api.pod().status
        for each in (*every.init_container_statuses, *every.container_statuses):
            if each.name == container:
                return each
        return None

    def phase(self) -> str:
        return self.api.pod().status.phase

    def ready(self) -> bool:
        return any(
            c.type == "Ready" and c.status == "True" for c in self.api.pod().status.conditions
        )

    def gone(self) -> bool:
        return (Pod, "ns", "pod") not in self.api.objects

    async def containers(self) -> list[ContainerRecord]:
        return await self.runtime.list_containers(labels={names.NODE: "node"})

    async def exec(self, command: str, container: str = "web") -> str:
        """Run a shell command in a container of the pod."""
        status = self.status(container)
        assert status is not None
        id = status.container_id.rpartition("/")[2]
        result = await self.runtime.exec(id, ["sh", "-c", command], timeout=10 * PATIENCE)  # type: ignore[arg-type]
        return result.output.decode()

    async def _context(self) -> AgentContext:
        facts = NodeFacts(
            name="node",
            host_ip="192.0.2.1",
            engine=await self.runtime.info(),
            pods_directory=self.directory / "pods",
            pause_image=pause.DEFAULT_IMAGE,
            memory=4 * 1024**3,
            allocatable={"cpu": "2", "memory": "4Gi"},
            cluster_dns=("10.96.0.10",),
            resolv_conf=ResolvConf(nameservers=("192.0.2.53",)),
            log_limits=LogLimits(max_size=50_000, max_files=3),
            log_root=self.directory / "log",
            seccomp_root=self.directory / "seccomp",
        )
        mounter, objects = KernelMounter(), ReferencedObjects(self.api, clock=self.clock)
        return AgentContext(
            runtime=self.runtime,
            images=Images(self.runtime, clock=self.clock, guard=self.guard),
            network=self.network,
            objects=objects,
            services=lambda: (),
            cgroups=self.cgroups,
            mounter=mounter,
            stages=stages(self.directory / "volumes", mounter=mounter, objects=objects),
            recorder=self.recorder,
            client=self.api,
            pusher=StatusPusher(self.api, self.clock, self.guard),
            checkpoints=Checkpoints(self.directory / "checkpoints", clock=self.clock),
            clock=self.clock,
            guard=self.guard,
            exec_turns=ExecTurns(clock=self.clock, guard=self.guard),
            cpus=self.cpus,
            node=facts,
        )


@pytest.fixture
async def node(engine: Engine, workspace: Path, cgroups: Cgroups) -> AsyncIterator[RealNode]:
    node = RealNode(engine, workspace, cgroups)
    await _empty(engine)
    await node.boot()
    yield node
    await node.kill()
    await _empty(engine)


async def _empty(engine: Engine) -> None:
    """No containers, whatever a test or a killed run left; nor any that the engine is still removing,
    which the next agent would find, and end together with the next pod of that uid."""
    runtime = DockerRuntime(engine.url, clock=SystemClock())
    async with asyncio.timeout(30 * PATIENCE):
        while found := await runtime.list_containers(labels={}):
            for record in found:
                await runtime.remove(record.id)
            await asyncio.sleep(0.02)
    await runtime.close()


__all__ = ["BUSYBOX", "RealNode"]
