"""Every setting of the node agent: `table` says which there are, `values` what they may say.

`SETTINGS` is read once at start by `load`, which also checks what only makes sense together; the
rest of the process sees the frozen `AgentSettings`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agent.containers.pause import DEFAULT_IMAGE
from agent.containers.pulls import PARALLEL
from agent.containers.records import LogLimits
from agent.node import eviction, imagegc
from agent.node.eviction import Threshold
from agent.node.shutdownorder import Period, periods
from agent.pod.backoff import Backoff
from agent.resources import cpusets
from agent.settings.table import EVICTION_HARD, REGISTRY_CONFIG, SETTINGS
from agent.settings.values import read_taint
from agent.spec.facts import DeadLimits
from api import nodelabels, quantity
from api.core import Taint
from base import settings
from base.settings import SettingsError

__all__ = ["SETTINGS", "AgentSettings", "load"]

PREFIX = "PODWRIGHT_AGENT_"
PROGRAM = "podwright agent"
DESCRIPTION = "The node agent: runs this machine's pods on its Docker Engine."
DEFAULT_CONFIG = Path("/etc/podwright/agent.toml")


@dataclass(frozen=True, kw_only=True)
class AgentSettings:
    """The settings of one agent. Field by field as in `SETTINGS`; durations in seconds."""

    join: str | None = None
    token: str | None = None
    ca_hash: str | None = None
    kubeconfig: Path | None = None
    node_name: str | None = None
    node_ip: str | None = None
    static_pod_path: Path | None = None
    node_label: tuple[str, ...] = ()
    register_node: bool = True
    register_with_taints: tuple[str, ...] = ()
    node_status_max_images: int = 50
    state_dir: Path
    run_dir: Path
    listen_address: str = "0.0.0.0"
    port: int = 10250
    healthz_bind_address: str = "127.0.0.1"
    healthz_port: int = 10248
    capacity: tuple[str, ...] = ()
    system_reserved: tuple[str, ...] = ()
    kube_reserved: tuple[str, ...] = ()
    cpu_manager_policy: str = "none"
    cpu_manager_policy_options: tuple[str, ...] = ()
    reserved_cpus: str | None = None
    max_pods: int = 110
    pod_max_pids: int = -1
    single_process_oom_kill: bool = False
    shutdown_grace_period: float = 0.0
    shutdown_grace_period_critical_pods: float = 0.0
    shutdown_grace_period_by_pod_priority: tuple[str, ...] = ()
    shutdown_on_term: bool = False
    crash_loop_back_off: float = 10.0
    max_container_restart_period: float = 300.0
    crash_loop_reset: float = 600.0
    eviction_hard: tuple[str, ...] = EVICTION_HARD
    eviction_soft: tuple[str, ...] = ()
    eviction_minimum_reclaim: tuple[str, ...] = ()
    eviction_pressure_transition_period: float = 300.0
    eviction_max_pod_grace_period: float = 0.0
    maximum_dead_containers_per_container: int = 1
    maximum_dead_containers: int = -1
    minimum_container_ttl_duration: float = 0.0
    image_gc_high_threshold: int = 85
    image_gc_low_threshold: int = 80
    minimum_image_ttl: float = 120.0
    image_maximum_gc_age: float = 0.0
    docker_host: str = "unix:///var/run/docker.sock"
    pause_image: str = DEFAULT_IMAGE
    seccomp_profile_root: Path = Path("/var/lib/podwright/seccomp")
    allowed_unsafe_sysctls: tuple[str, ...] = ()
    runtime_handlers: tuple[str, ...] = ()
    registry_config: tuple[Path, ...] = REGISTRY_CONFIG
    serialize_image_pulls: bool = False
    max_parallel_image_pulls: int = PARALLEL
    container_log_max_size: str = "10Mi"
    container_log_max_files: int = 5
    container_log_root: Path = Path("/var/log")
    cgroup_root: str = "/"
    cluster_cidr: str = "10.244.0.0/16"
    service_cidr: str = "10.96.0.0/12"
    cluster_dns: str = "10.96.0.10"
    cluster_domain: str = "cluster.local"
    resolv_conf: Path = Path("/etc/resolv.conf")
    network_mode: str = "auto"
    bridge: str = "pwbr0"
    api_patience: float = 5.0
    log_level: str = "info"
    log_format: str = "text"

    @property
    def pki_dir(self) -> Path:
        return self.state_dir / "pki"

    def amounts(self, given: tuple[str, ...]) -> dict[str, str]:
        """`("cpu=2", …)` as a mapping."""
        return dict(one.split("=", 1) for one in given)

    def reserved(self) -> dict[str, str]:
        """What is kept from pods, by resource."""
        found = self.amounts(self.system_reserved)
        for resource, amount in self.amounts(self.kube_reserved).items():
            found[resource] = quantity.add(found.get(resource, "0"), amount)
        if self.reserved_cpus:
            found["cpu"] = str(len(cpusets.parse(self.reserved_cpus)))
        return found

    def cpu_options(self) -> frozenset[str]:
        """The options of the CPU manager's policy that are switched on."""
        given = self.amounts(self.cpu_manager_policy_options)
        return frozenset(name for name, value in given.items() if value == "true")

    def thresholds(self) -> list[Threshold]:
        """All thresholds with their graces and what is to be reclaimed."""
        found = [eviction.threshold(text) for text in self.eviction_hard]
        for text in self.eviction_soft:
            limit, _, grace = text.rpartition("=")
            found.append(replace(eviction.threshold(limit), grace=settings.duration(grace)))
        more = self.amounts(self.eviction_minimum_reclaim)
        return [
            replace(one, reclaim=eviction.read_amount(more.get(one.signal, "0"))) for one in found
        ]

    def taints(self) -> tuple[Taint, ...]:
        """Those of the Node when it is made."""
        return tuple(map(read_taint, self.register_with_taints))

    @property
    def parallel_pulls(self) -> int:
        """How many images are pulled at a time."""
        return 1 if self.serialize_image_pulls else self.max_parallel_image_pulls

    def log_limits(self) -> LogLimits:
        """How large a container's log may become."""
        return LogLimits(
            max_size=quantity.value(self.container_log_max_size),
            max_files=self.container_log_max_files,
        )

    def shutdown_periods(self) -> tuple[Period, ...]:
        """Who gets how long when the machine shuts down."""
        given = self.amounts(self.shutdown_grace_period_by_pod_priority)
        return periods(
            total=self.shutdown_grace_period,
            critical=self.shutdown_grace_period_critical_pods,
            by_priority=[Period(int(p), settings.duration(s)) for p, s in given.items()],
        )

    def backoff(self) -> Backoff:
        """How long containers that end wait."""
        return Backoff(
            first=self.crash_loop_back_off,
            longest=self.max_container_restart_period,
            reset_after=self.crash_loop_reset,
        )

    def dead_limits(self) -> DeadLimits:
        """How many containers that ended are kept."""
        return DeadLimits(
            each=self.maximum_dead_containers_per_container,
            in_all=self.maximum_dead_containers,
            least_age=self.minimum_container_ttl_duration,
        )

    def image_policy(self) -> imagegc.Policy:
        """When images are removed."""
        return imagegc.Policy(
            high=self.image_gc_high_threshold,
            low=self.image_gc_low_threshold,
            least_age=self.minimum_image_ttl,
            unused_age=self.image_maximum_gc_age,
        )

    def __repr__(self) -> str:
        return f"AgentSettings(node_name={self.node_name!r}, state_dir={str(self.state_dir)!r})"


def load(argv: Sequence[str], environ: Mapping[str, str]) -> AgentSettings:
    """Read and check all settings. Raises SettingsError, which names the source of the mistake."""
    values = settings.load(
        SETTINGS,
        argv,
        program=PROGRAM,
        description=DESCRIPTION,
        environ=environ,
        prefix=PREFIX,
        default_config=DEFAULT_CONFIG,
    )
    loaded = values.into(AgentSettings)
    if loaded.join and loaded.kubeconfig:
        raise SettingsError("--join and --kubeconfig exclude each other", hint="Give one of them.")
    if loaded.image_gc_low_threshold >= loaded.image_gc_high_threshold:
        raise SettingsError(
            f"--image-gc-low-threshold {loaded.image_gc_low_threshold} is not below"
            f" --image-gc-high-threshold {loaded.image_gc_high_threshold}"
        )
    _check_labels(loaded)
    _check_shutdown(loaded)
    dns = ipaddress.ip_address(loaded.cluster_dns)
    if dns not in ipaddress.ip_network(loaded.service_cidr):
        raise SettingsError(
            f"--cluster-dns {loaded.cluster_dns} is outside of --service-cidr {loaded.service_cidr}"
        )
    return loaded


def _check_labels(loaded: AgentSettings) -> None:
    keys = (one.partition("=")[0] for one in loaded.node_label)
    if refused := sorted(key for key in keys if not nodelabels.allowed(key)):
        raise SettingsError(
            f"--node-label {', '.join(refused)}: a node may not give itself this label of Kubernetes",
            hint=f"Those below {' and '.join(nodelabels.DOMAINS)} are free, as are "
            f"{', '.join(sorted(nodelabels.WELL_KNOWN))}. `kubectl label node` sets any.",
        )


def _check_shutdown(loaded: AgentSettings) -> None:
    total, critical = loaded.shutdown_grace_period, loaded.shutdown_grace_period_critical_pods
    if critical > total:
        raise SettingsError(
            f"--shutdown-grace-period-critical-pods {critical:g}s is longer than"
            f" --shutdown-grace-period {total:g}s, of which it is a part"
        )
    if total and loaded.shutdown_grace_period_by_pod_priority:
        raise SettingsError(
            "--shutdown-grace-period and --shutdown-grace-period-by-pod-priority exclude each other",
            hint="Give one of them.",
        )
