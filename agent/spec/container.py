"""A pod's containers as the engine is asked for them (step 4 of the pod's walk). Pure.

The sandbox owns the network and IPC namespaces, the host name and the sysctls; every other
container joins them. Nothing is left to the engine's defaults that Kubernetes defines.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agent.containers.images import repository_digest
from agent.containers.records import (
    ContainerCreate,
    ContainerId,
    Device,
    ImageRecord,
    Mount,
    Propagation,
)
from agent.pod import names
from agent.resources.values import OOM_SANDBOX, PERIOD, container_values, oom_score
from agent.spec.dns import kernel_hostname
from agent.spec.environment import command_line
from agent.spec.facts import NodeFacts
from agent.spec.security import Known, sandbox_options, sandbox_sysctls, security
from api.core import Container, Pod, VolumeMount

HOSTS_FILE = "etc-hosts"
RESOLV_FILE = "resolv.conf"
MESSAGES_DIRECTORY = "containers"
DEFAULT_MESSAGE_PATH = "/dev/termination-log"
SANDBOX_SHARES = 2

_PROPAGATION = {
    "HostToContainer": Propagation.HOST_TO_CONTAINER,
    "Bidirectional": Propagation.BIDIRECTIONAL,
}


@dataclass(frozen=True, kw_only=True)
class Made:
    """What was made for a container before it: the other half of its configuration."""

    image: ImageRecord
    environment: Mapping[str, str]
    mounts: tuple[Mount, ...]
    sandbox: ContainerId
    cgroup_parent: str
    restarts: int
    backoff_level: int
    target: ContainerId | None = None
    """The container whose processes an ephemeral one sees."""
    devices: tuple[Device, ...] = ()
    known: Known = field(default_factory=Known)
    runtime: str = ""
    """That of the sandbox."""
    cpus: str = ""
    """Where it may run; empty for everywhere."""
    pinned: bool = False
    """Nobody else runs there: that bounds it, and no quota ("Static policy")."""


def sandbox_create(
    pod: Pod, node: NodeFacts, *, attempt: int, cgroup_parent: str, runtime: str = ""
) -> ContainerCreate:
    """The pod's pause container."""
    host = pod.spec.host_network
    return ContainerCreate(
        name=names.container_name(names.SANDBOX_NAME, pod, attempt),
        image=node.pause_image,
        labels=names.sandbox_labels(pod, node=node.name, runtime=runtime),
        network_mode="host" if host else "none",
        ipc_mode="host" if pod.spec.host_ipc else "shareable",
        pid_mode="host" if pod.spec.host_pid else "",
        hostname="" if host else kernel_hostname(pod, node.cluster_domain),
        cgroup_parent=cgroup_parent,
        cpu_shares=SANDBOX_SHARES,
        oom_score_adj=max(OOM_SANDBOX, node.lowest_oom_score),
        security_options=sandbox_options(pod),
        sysctls=sandbox_sysctls(pod),
        runtime=runtime,
    )


def container_create(
    pod: Pod, container: Container, node: NodeFacts, made: Made
) -> ContainerCreate:
    """One container of the pod. Raises ConfigError."""
    safe = security(pod, container, made.image, node.engine, made.known)
    values = container_values(container, pod.spec.resources)
    quota = 0 if made.pinned else values.cpu_quota
    command, args = command_line(container, made.environment)
    joined = f"container:{made.sandbox}"
    stop_signal = container.lifecycle.stop_signal if container.lifecycle is not None else None
    return ContainerCreate(
        name=names.container_name(container.name, pod, made.restarts),
        image=str(made.image.id),
        command=command,
        args=args,
        env=made.environment,
        working_dir=container.working_dir or None,
        user=safe.user,
        group_add=safe.group_add,
        labels=names.container_labels(
            pod,
            container,
            node=node.name,
            sandbox=made.sandbox,
            restarts=made.restarts,
            backoff_level=made.backoff_level,
            image_id=repository_digest(made.image, container.image),
        ),
        mounts=made.mounts,
        network_mode=joined,
        ipc_mode="host" if pod.spec.host_ipc else joined,
        pid_mode=_pid_mode(pod, joined, made.target),
        cgroup_parent=made.cgroup_parent,
        cpu_shares=values.cpu_shares,
        cpu_quota=quota,
        cpu_period=PERIOD if quota else 0,
        cpuset_cpus=made.cpus,
        memory=values.memory,
        oom_score_adj=oom_score(
            pod, container, node_memory=node.memory, lowest=node.lowest_oom_score
        ),
        stdin=container.stdin,
        stdin_once=container.stdin_once,
        tty=container.tty,
        read_only_rootfs=safe.read_only_rootfs,
        privileged=safe.privileged,
        cap_add=safe.cap_add,
        cap_drop=safe.cap_drop,
        security_options=safe.options,
        stop_signal=stop_signal or "",
        log_limits=node.log_limits,
        devices=made.devices,
        runtime=made.runtime,
    )


def message_file(pod_directory: Path, container: str, restarts: int) -> Path:
    """Where a container's termination message lies on the node."""
    return pod_directory / MESSAGES_DIRECTORY / container / str(restarts)


def hook_file(pod_directory: Path, container: str, restarts: int) -> Path:
    """What says that a container's postStart hook has passed."""
    return pod_directory / MESSAGES_DIRECTORY / container / f"{restarts}.started"


def own_mounts(pod_directory: Path, container: Container, restarts: int) -> tuple[Mount, ...]:
    """The pod's own files, unless the container mounts something else in their place."""
    taken = {posixpath.normpath(mount.mount_path) for mount in container.volume_mounts}
    own = (
        Mount(source=str(pod_directory / HOSTS_FILE), target="/etc/hosts"),
        Mount(source=str(pod_directory / RESOLV_FILE), target="/etc/resolv.conf"),
        Mount(
            source=str(message_file(pod_directory, container.name, restarts)),
            target=container.termination_message_path or DEFAULT_MESSAGE_PATH,
        ),
    )
    return tuple(mount for mount in own if mount.target not in taken)


def volume_mount(mount: VolumeMount, source: Path, container: Container, *, fixed: bool) -> Mount:
    """A volume (or a part of it) in the container; `fixed` volumes are never writable."""
    target = mount.mount_path
    if not target.startswith("/"):
        target = posixpath.join(container.working_dir or "/", target)
    return Mount(
        source=str(source),
        target=target,
        read_only=mount.read_only or fixed,
        propagation=_PROPAGATION.get(mount.mount_propagation or "", Propagation.PRIVATE),
    )


def _pid_mode(pod: Pod, joined: str, target: ContainerId | None) -> str:
    if pod.spec.host_pid:
        return "host"
    if target is not None and not pod.spec.share_process_namespace:
        return f"container:{target}"
    return joined if pod.spec.share_process_namespace else ""
