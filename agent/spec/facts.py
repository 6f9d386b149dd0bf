"""What is true of this node for as long as its agent runs (step 4 of the pod's walk)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agent.containers.records import EngineInfo, LogLimits
from agent.pod.backoff import RESTARTS, Backoff
from agent.spec.dns import ResolvConf
from agent.spec.fieldref import Place


@dataclass(frozen=True, kw_only=True)
class DeadLimits:
    """How many containers that ended are kept, for their logs."""

    each: int = 1
    """Of each name in a pod."""
    in_all: int = -1
    """On the node; below 0: any number."""
    least_age: float = 0.0
    """Seconds for which one is kept in any case."""


@dataclass(frozen=True, kw_only=True)
class NodeFacts:
    """The node as the containers on it are made for."""

    name: str
    host_ip: str
    engine: EngineInfo
    pods_directory: Path
    pause_image: str
    memory: int
    """Bytes of the node's capacity, against which OOM scores are computed."""
    allocatable: Mapping[str, str] = field(default_factory=dict)
    cluster_domain: str = "cluster.local"
    cluster_dns: tuple[str, ...] = ()
    resolv_conf: ResolvConf = field(default_factory=ResolvConf)
    """The node's own resolvers."""
    seccomp_root: Path = Path("/var/lib/podwright/seccomp")
    """Where profiles of the type Localhost lie."""
    backoff: Backoff = RESTARTS
    """How long containers that end wait, where the pod says nothing."""
    runtime_handlers: Mapping[str, str] = field(default_factory=dict)
    """Handlers of RuntimeClasses that are called otherwise in the engine."""
    unsafe_sysctls: tuple[str, ...] = ()
    """Kernel parameters beyond the safe ones that pods may set."""
    dead_limits: DeadLimits = field(default_factory=DeadLimits)
    registry_files: tuple[Path, ...] = ()
    """The node's own credentials for registries."""
    log_limits: LogLimits = field(default_factory=LogLimits)
    log_root: Path | None = None
    """Below it log collectors find containers' logs; None: they do not."""

    @property
    def lowest_oom_score(self) -> int:
        """The least score that may be set here; a negative one needs CAP_SYS_RESOURCE."""
        return -999 if self.engine.can_lower_oom_score else 0

    def place(self, pod_ip: str) -> Place:
        return Place(
            node=self.name, host_ip=self.host_ip, pod_ip=pod_ip, allocatable=self.allocatable
        )

    def pod_directory(self, uid: str) -> Path:
        return self.pods_directory / uid
