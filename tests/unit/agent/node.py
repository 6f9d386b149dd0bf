"""A whole node without a container, a network or a second of waiting: the agent's core over fakes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from agent.containers.fake import FakeRuntime
from agent.containers.images import Images
from agent.containers.records import ContainerId, ContainerRecord
from agent.effects.context import AgentContext
from agent.node.objects import ReferencedObjects
from agent.pod import names
from agent.pod.checkpoint import Checkpoints
from agent.pod.manager import PodManager
from agent.pod.pusher import StatusPusher
from agent.probes.turns import ExecTurns
from agent.resources.cgroups import Cgroups, Layout
from agent.resources.cpumanager import CpuManager
from agent.spec.dns import ResolvConf
from agent.spec.facts import DeadLimits, NodeFacts
from agent.volumes.kinds import KINDS
from agent.volumes.mounts import FakeMounter
from agent.volumes.persistent import Stages
from api.core import Node as ApiNode
from api.core import Pod
from base.clock import FakeClock
from base.errors import TemporaryError
from base.tasks import TaskGuard
from tests.unit.agent.fakeapi import FakeApi, FakeRecorder


class FakeNetwork:
    """Addresses by counting."""

    def __init__(self) -> None:
        self.attached: dict[str, str] = {}
        self.given = 0
        self.down = False
        self.live: set[str] = set()

    async def attach(self, sandbox: ContainerId, pid: int, pod: Pod) -> str:
        if self.down:
            raise TemporaryError("network is not ready")
        if sandbox not in self.attached:
            self.given += 1
            self.attached[sandbox] = f"10.244.1.{self.given}"
        return self.attached[sandbox]

    async def detach(self, sandbox: ContainerId) -> None:
        self.attached.pop(sandbox, None)

    async def reconcile(self, live: Iterable[ContainerId]) -> None:
        self.live = set(live)
        self.attached = {id: ip for id, ip in self.attached.items() if id in self.live}


class FakeCgroups(Cgroups):
    """Ordinary files where the kernel would have its own."""

    def __init__(self, mount: Path) -> None:
        for controller in ("cpu", "memory", "pids"):
            (mount / controller).mkdir(parents=True, exist_ok=True)
        super().__init__(Layout(version=1, root="/test", mount=mount))

    def remove_strays(self, uids: Iterable[str]) -> None:
        import shutil

        for uid in uids:
            for path in self._layout.mount.glob(f"**/*pod{uid}"):
                shutil.rmtree(path)


class Node:
    """One node. `await node.boot()` starts an agent on it, `kill()` ends it as SIGKILL would."""

    def __init__(
        self, directory: Path, *, handlers: Mapping[str, str] | None = None, **runtime: Any
    ) -> None:
        self.handlers = handlers or {}
        self.dead_limits = DeadLimits()
        self.kinds = KINDS
        self.directory = directory
        self.clock = FakeClock()
        self.api = FakeApi()
        usual: dict[str, Any] = {"images": ["app:1", "pause:1"], "pods": self.api.pods}
        self.runtime = FakeRuntime(self.clock, **(usual | runtime))
        self.network = FakeNetwork()
        self.mounter = FakeMounter()
        self.recorder = FakeRecorder()
        self.cpus = CpuManager()
        self.allocatable = {"cpu": "2", "memory": "4Gi"}
        self.own: ApiNode | None = None
        """The node's object, once the API has told it."""
        self.guard: TaskGuard
        self.manager: PodManager

    async def boot(self, *, api: bool | None = True) -> PodManager:
        """Start an agent; without `api` it cannot reach the control plane, with None not yet."""
        self.guard = TaskGuard("agent")
        context = self._context()
        self.manager = manager = PodManager(context)
        self.guard.start(manager.watch_engine(), name="events")
        self.guard.start(manager.relist_forever(), name="relist")
        self.guard.start(context.checkpoints.run(), name="checkpoints")
        await manager.start()
        if api:
            await self.reach_api()
        elif api is not None:
            manager.trust_checkpoints()
        return manager

    async def reach_api(self) -> None:
        """The agent's list of its pods arrives, then every change."""
        self.api.down = False
        self.api.subscribe(Pod, self.manager.pod_changed)
        present = {o.metadata.uid for (kind, _, _), o in self.api.objects.items() if kind is Pod}
        await self.manager.api_listed(present)

    async def kill(self) -> None:
        """Everything the agent had in memory is gone."""
        self.api._watchers.clear()
        await self.guard.close()

    async def run(self, seconds: float = 1.0) -> None:
        await self.clock.run_for(seconds)
        failure = self.guard._failure
        if failure is not None:
            raise failure

    def containers(self, name: str = "") -> list[ContainerRecord]:
        """All containers of a name; without one all that run."""
        self.runtime._settle()
        records = [c.record for c in self.runtime._containers.values()]
        if not name:
            return [record for record in records if record.running]
        return [r for r in records if r.labels.get(names.CONTAINER_NAME) == name]

    def names(self) -> list[str]:
        """Names of the containers that run, `POD` for sandboxes."""
        return sorted(r.labels[names.CONTAINER_NAME] for r in self.containers())

    def told(self, pod: str) -> tuple[str, str]:
        """Phase and reason of a pod, as the API has them."""
        status = self.api.pod(pod).status
        return status.phase, status.reason

    def _context(self) -> AgentContext:
        facts = NodeFacts(
            name="node",
            host_ip="192.0.2.1",
            engine=self.runtime._info,
            pods_directory=self.directory / "pods",
            pause_image="pause:1",
            memory=4 * 1024**3,
            allocatable=self.allocatable,
            cluster_dns=("10.96.0.10",),
            resolv_conf=ResolvConf(nameservers=("192.0.2.53",)),
            seccomp_root=self.directory / "seccomp",
            runtime_handlers=self.handlers,
            log_root=self.directory / "log",
            dead_limits=self.dead_limits,
        )
        cgroups = FakeCgroups(self.directory / "cgroup")
        from agent.resources.values import CpuMemory

        cgroups.ensure_root(CpuMemory())
        objects = ReferencedObjects(self.api, clock=self.clock)
        return AgentContext(
            runtime=self.runtime,
            images=Images(self.runtime, clock=self.clock, guard=self.guard),
            network=self.network,
            objects=objects,
            services=lambda: (),
            cgroups=cgroups,
            mounter=self.mounter,
            stages=Stages(
                self.directory / "volumes",
                kinds=self.kinds,
                mounter=self.mounter,
                objects=objects,
            ),
            recorder=self.recorder,
            client=self.api,
            pusher=StatusPusher(self.api, self.clock, self.guard),
            checkpoints=Checkpoints(self.directory / "checkpoints", clock=self.clock),
            clock=self.clock,
            guard=self.guard,
            exec_turns=ExecTurns(clock=self.clock, guard=self.guard),
            cpus=self.cpus,
            node=facts,
            own=lambda: self.own,
        )
