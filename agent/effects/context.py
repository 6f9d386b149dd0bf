"""What the effects work with: the agent's parts, and one pod's (step 4 of the pod's walk)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

from agent.containers.images import Images
from agent.containers.interface import Runtime
from agent.containers.records import ContainerId
from agent.effects.network import PodNetwork
from agent.pod.alarm import Alarm
from agent.pod.allocation import as_allocated, pod_as_allocated
from agent.pod.checkpoint import Checkpoints
from agent.pod.memory import PodMemory
from agent.pod.pusher import StatusPusher
from agent.probes.turns import ExecTurns
from agent.resources.cgroups import Cgroups
from agent.resources.cpumanager import CpuManager
from agent.spec.facts import NodeFacts
from agent.spec.fieldref import Place
from agent.volumes.base import Objects
from agent.volumes.mounts import Mounter
from agent.volumes.persistent import Stages
from agent.volumes.registry import PodVolumes
from api.client import Client
from api.core import Container, Node, Pod, Service
from api.pods import all_containers, ephemeral_containers
from api.struct import ApiStruct
from base.clock import Clock
from base.errors import PodwrightError
from base.tasks import TaskGuard


class Recorder(Protocol):
    """Tells events (`api.events.EventRecorder`)."""

    def event(
        self,
        obj: ApiStruct,
        type_: str,
        reason: str,
        message: str,
        *,
        field_path: str = "",
        update: bool = False,
        annotations: Mapping[str, str] | None = None,
    ) -> None: ...


class StepFailed(PodwrightError):
    """An action did not work: what its container waits for, and when to try again."""

    def __init__(self, reason: str, message: str, *, retry_in: float | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_in = retry_in


@dataclass(frozen=True, kw_only=True)
class AgentContext:
    """The parts that all pods of the node share."""

    runtime: Runtime
    images: Images
    network: PodNetwork
    objects: Objects
    services: Callable[[], Iterable[Service]]
    cgroups: Cgroups
    mounter: Mounter
    stages: Stages
    recorder: Recorder
    client: Client
    pusher: StatusPusher
    checkpoints: Checkpoints
    clock: Clock
    guard: TaskGuard
    exec_turns: ExecTurns
    cpus: CpuManager
    node: NodeFacts
    own: Callable[[], Node | None] = lambda: None
    """The node's object; None before the API has told it."""


@dataclass
class StopOrder:
    """A container that is being ended. The deadline may move up while it is."""

    deadline: float
    alarm: Alarm


@dataclass
class PodContext:
    """One pod: its newest version and all that its worker and effects share."""

    agent: AgentContext
    pod: Pod
    memory: PodMemory
    volumes: PodVolumes
    stops: dict[ContainerId, StopOrder] = field(default_factory=dict)
    post_starts: dict[ContainerId, Alarm] = field(default_factory=dict)
    """Hooks that run, each with a bell for whatever has happened to its container."""

    @property
    def uid(self) -> str:
        return self.pod.metadata.uid

    @cached_property
    def directory(self) -> Path:
        return self.agent.node.pod_directory(self.uid)

    @property
    def ip(self) -> str:
        """The pod's address; empty before it has one."""
        if self.pod.spec.host_network:
            return self.agent.node.host_ip
        sandboxes = self.memory.sandboxes()
        return self.memory.addresses.get(sandboxes[0].id, "") if sandboxes else ""

    @property
    def allocated_pod(self) -> Pod:
        """The pod with the amounts that it was admitted with."""
        return pod_as_allocated(self.pod, self.memory.allocated)

    def place(self) -> Place:
        return replace(self.agent.node.place(self.ip), own=self.agent.own())

    def alive(self, id: ContainerId) -> bool:
        """Whether a container runs, as far as is known."""
        record = self.memory.records.get(id)
        return record is not None and record.running

    def container(self, name: str) -> Container:
        """The spec of a container. Raises StepFailed when the pod has none of that name."""
        spec = self.pod.spec
        for container in (*all_containers(spec), *ephemeral_containers(spec)):
            if container.name == name:
                return as_allocated(container, self.memory.allocated)
        raise StepFailed("ContainerNotFound", f"the pod has no container {name}")

    def tell(
        self, type_: str, reason: str, message: str, *, container: str = "", update: bool = False
    ) -> None:
        """An event of the pod, or of one of its containers; `update` replaces the last such one."""
        path = ""
        if container:
            path = f"spec.{self._list_of(container)}{{{container}}}"
        self.agent.recorder.event(self.pod, type_, reason, message, field_path=path, update=update)

    def _list_of(self, name: str) -> str:
        spec = self.pod.spec
        if any(container.name == name for container in spec.init_containers):
            return "initContainers"
        added = any(container.name == name for container in spec.ephemeral_containers)
        return "ephemeralContainers" if added else "containers"

    def normal(self, reason: str, message: str, *, container: str = "") -> None:
        self.tell("Normal", reason, message, container=container)

    def warn(self, reason: str, message: str, *, container: str = "") -> None:
        self.tell("Warning", reason, message, container=container)

    def confess(self, what: str, error: Exception) -> str:
        """Tell of a bug as an event of the pod; returns the message."""
        message = f"the agent failed unexpectedly at {what}: {type(error).__name__}: {error}"
        self.warn("AgentError", message)
        return message
