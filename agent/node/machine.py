"""What kind of machine this is (before step 4 of the pod's walk): read once at start."""

from __future__ import annotations

import ipaddress
import os
import platform
import re
import shutil
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agent.containers.records import EngineInfo
from agent.resources import hugepages
from api import quantity
from api.core import NodeSwapStatus, NodeSystemInfo
from base.errors import PermanentError

KUBELET_VERSION = "v1.34.0+podwright"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_HOSTNAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


@dataclass(frozen=True, kw_only=True)
class Disk:
    """A file system, in bytes and inodes."""

    total: int
    available: int
    inodes: int
    inodes_free: int
    read_only: bool = False
    """Mounted so, or made so by the kernel after an error."""

    @property
    def unwritable(self) -> str:
        """Why nothing can be written there; empty when something can."""
        if self.read_only:
            return "is mounted read-only"
        if self.total and not self.available:
            return "has no room left"
        return "has no inodes left" if self.inodes and not self.inodes_free else ""


def architecture() -> str:
    """As Go and Kubernetes call it."""
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)


def default_node_name() -> str:
    """The host's name, in small letters. Raises PermanentError when no node can be called so."""
    name = socket.gethostname().lower()
    if not _HOSTNAME.fullmatch(name):
        raise PermanentError(
            f"the host name {name!r} cannot be a node's name", hint="Give --node-name."
        )
    return name


def default_address() -> str:
    """The address from which this machine reaches others; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError as error:
            raise PermanentError(
                "this machine has no route to anywhere, so its address cannot be guessed",
                hint="Give --node-ip.",
            ) from error
        return str(ipaddress.ip_address(probe.getsockname()[0]))


def system_info(engine: EngineInfo) -> NodeSystemInfo:
    """`status.nodeInfo`."""
    return NodeSystemInfo(
        machine_id=_first("/etc/machine-id", "/var/lib/dbus/machine-id"),
        # Where there is no such table, as on many ARM boards and in small virtual machines, as kubelets do.
        system_uuid=_first(
            "/sys/class/dmi/id/product_uuid",
            "/proc/device-tree/system-id",
            "/proc/device-tree/vm,uuid",
            "/etc/machine-id",
        ),
        boot_id=_first("/proc/sys/kernel/random/boot_id"),
        kernel_version=engine.kernel_version,
        os_image=engine.operating_system,
        container_runtime_version=f"docker://{engine.version}",
        kubelet_version=KUBELET_VERSION,
        kube_proxy_version=KUBELET_VERSION,
        operating_system="linux",
        architecture=architecture(),
        swap=NodeSwapStatus(capacity=in_all) if (in_all := swap()[0]) else None,
    )


def capacity(engine: EngineInfo, *, max_pods: int, overrides: dict[str, str]) -> dict[str, str]:
    """`status.capacity`: what the machine has, or what it was declared to have."""
    found = {
        "cpu": quantity.from_milli(engine.cpus * 1000),
        "memory": quantity.from_bytes(engine.memory // 1024 * 1024),
        "pods": str(max_pods),
    }
    found |= hugepages.read()
    if (storage := disk(Path(engine.root_dir))) is not None:
        found["ephemeral-storage"] = quantity.from_bytes(storage.total // 1024 * 1024)
    return found | {name: quantity.canonical(value) for name, value in overrides.items()}


def disk(path: Path, *, given_up: bool = False) -> Disk | None:
    """The file system that `path` is on; None when it cannot be asked. `given_up`: find out also whether
    the kernel has made it read-only itself, which takes reading all mounts of the node."""
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        usage, facts = shutil.disk_usage(path), os.statvfs(path)
    except OSError:
        return None
    return Disk(
        total=usage.total,
        available=usage.free,
        inodes=facts.f_files,
        inodes_free=facts.f_favail,
        read_only=bool(facts.f_flag & os.ST_RDONLY) or (given_up and _given_up(path)),
    )


def _given_up(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> bool:
    """Whether the kernel has made the file system read-only itself, after an error: newer ones do not
    tell statvfs(3) of it, but say `emergency_ro` among the options of the file system (proc(5))."""
    try:
        device, listed = path.stat().st_dev, mounts.read_text()
    except OSError:
        return False
    if "emergency_ro" not in listed:
        return False
    number = f"{os.major(device)}:{os.minor(device)}"
    return any(
        fields[2] == number and "emergency_ro" in fields[-1].split(",")
        for fields in map(str.split, listed.splitlines())
    )


def available_memory() -> int:
    """Bytes that programs could get without swapping."""
    return _memory_figures().get("MemAvailable", 0)


def swap() -> tuple[int, int]:
    """Bytes of swap, and how many of them are free."""
    found = _memory_figures()
    return found.get("SwapTotal", 0), found.get("SwapFree", 0)


def _memory_figures() -> dict[str, int]:
    """What /proc/meminfo counts in bytes (proc_meminfo(5))."""
    lines = (line.partition(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return {name: int(rest.split()[0]) * 1024 for name, _, rest in lines if rest.endswith("kB")}


def booted(proc: Path = Path("/proc")) -> datetime | None:
    """When the kernel started, by its own account."""
    try:
        lines = (proc / "stat").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("btime "):
            return datetime.fromtimestamp(int(line.split()[1]), UTC)
    return None


def processes() -> tuple[int, int]:
    """How many processes and threads there are, and how many there may be."""
    running = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])
    limits = (Path("/proc/sys/kernel/pid_max"), Path("/proc/sys/kernel/threads-max"))
    return running, min(int(path.read_text()) for path in limits)


def _first(*paths: str) -> str:
    for path in paths:
        try:
            if text := Path(path).read_text().strip("\0 \t\n"):
                return text
        except OSError:
            continue
    return ""
