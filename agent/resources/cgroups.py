"""Cgroups of pods (step 4 of the pod's walk): real directories with real values.

    <root>/kubepods                      all pods: no more memory than the node gives to pods
    <root>/kubepods/pod<uid>             a Guaranteed pod
    <root>/kubepods/burstable/pod<uid>   as much CPU, relative to others, as its pods request
    <root>/kubepods/besteffort/pod<uid>  the least

Containers are made below by the engine, which is told the pod's cgroup as parent. Version 1 has a
tree per controller, version 2 one tree in which each level must hand its controllers down. With the
systemd driver the names are slices (`kubepods-burstable-pod<uid>.slice`), nested by their dashes, and it is
systemd that makes, limits and removes them (`systemd.py`): what others write there it overwrites.

Concurrency: plain small file operations, safe to repeat, from any thread; each takes microseconds. systemd
takes milliseconds, and seconds while it is busy or hangs: what asks it does so aside from the event loop, in
threads of their own, so that nothing else waits with them.
Only directories below the root are ever touched: nodes of a local cluster share one kernel.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from agent.resources.systemd import INFINITY, Systemd, SystemdError, Value
from agent.resources.values import PERIOD, CpuMemory
from base.errors import PermanentError

log = logging.getLogger(__name__)

T = TypeVar("T")

MOUNT = Path("/sys/fs/cgroup")
CONTROLLERS_V1 = ("cpu", "memory", "pids")
"""Trees in which a pod has its directory from us; in others the engine makes what it needs."""
CONTROLLERS_V2 = ("cpu", "memory", "pids", "cpuset", "io", "hugetlb")
FOREIGN_V2 = ("cpuset", "hugetlb")
"""Those that systemd hands down only to who asks for them, or not at all; it leaves them be."""
APPEARANCE = 10.0
"""Seconds that systemd may take to start a slice once it has said that it will."""
THREADS = 4
"""For calls to systemd, which answers one at a time; while it hangs, they are all that waits for it."""
QOS_DIRECTORIES = {"Guaranteed": "", "Burstable": "burstable", "BestEffort": "besteffort"}
# What lies above the cgroup of all pods may be called anything.
_POD = re.compile(
    r".*kubepods(?:[/-](?:besteffort|burstable))?[/-]pod([^/]{2,}?)(?:\.slice)?(?:/|$)"
)


class CgroupError(PermanentError):
    """The kernel refused a cgroup or a value."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How this machine's cgroups are arranged."""

    version: int
    """1 or 2."""
    systemd: bool = False
    root: str = "/"
    """Below which this node's pods live, as a path in every tree."""
    mount: Path = MOUNT


class Cgroups:
    """Makes, limits and removes the cgroups of this node's pods."""

    def __init__(
        self,
        layout: Layout,
        *,
        pod_pids: int = 0,
        oom_groups: bool = True,
        systemd: Systemd | None = None,
    ) -> None:
        """`pod_pids`: how many processes a pod may have; 0 is no limit. `oom_groups`: see `kill_together`."""
        self._layout = layout
        self._pod_pids = pod_pids
        self._oom_groups = oom_groups
        self._systemd = (systemd or Systemd()) if layout.systemd else None
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="cgroups")
        self._burstable = 0
        self._made = 0

    @property
    def pods(self) -> str:
        """The cgroup of all pods, as the engine writes parents."""
        return self._name(())

    def parent(self, uid: str, qos: str) -> str:
        """The pod's cgroup, as the engine wants it said in `cgroup_parent`."""
        return self._name(_pod_parts(uid, qos, systemd=self._layout.systemd))

    def ensure_root(self, limits: CpuMemory, *, pids: int = 0) -> None:
        """The cgroups of all pods and of the QoS classes. `pids`: how many processes and threads all pods
        together may have; 0: as many as the machine."""
        self._ensure((), limits, pids=pids)
        for directory in QOS_DIRECTORIES.values():
            if directory:
                self._ensure((directory,), CpuMemory())

    def ensure_pod(self, uid: str, qos: str, values: CpuMemory) -> str:
        """Make the pod's cgroup or set its values anew; returns it as `parent` does."""
        parts = _pod_parts(uid, qos, systemd=self._layout.systemd)
        self._ensure(parts, values, pids=self._pod_pids)
        return self._name(parts)

    def kill_together(self, uid: str, qos: str, container: str) -> None:
        """When a container has no memory left, all its processes end and not just the largest: few programs
        do well without one of theirs. As the kubelet has it, in version 2, which alone knows it."""
        file = self.directory(uid, qos, "memory") / self.leaf(container) / "memory.oom.group"
        if self._layout.version == 2 and self._oom_groups:
            with suppress(OSError):  # it may have ended meanwhile
                file.write_text("1")

    def leaf(self, container: str) -> str:
        """What the engine calls a container's cgroup below its pod's."""
        return f"docker-{container}.scope" if self._layout.systemd and container else container

    def limit_huge_pages(self, uid: str, qos: str, limits: Mapping[str, int]) -> None:
        """Keep a pod to its huge pages, by size (`2MB`) in bytes; nothing without that controller."""
        tree = self._tree("hugetlb")
        if self._layout.version == 1 and not tree.is_dir():
            return
        path = tree / self._relative(_pod_parts(uid, qos, systemd=self._layout.systemd))
        path.mkdir(parents=True, exist_ok=True)
        file = "limit_in_bytes" if self._layout.version == 1 else "max"
        for size, limit in limits.items():
            if (path / f"hugetlb.{size}.{file}").exists():
                _write(path / f"hugetlb.{size}.{file}", limit)

    def set_class_shares(self, *, burstable: int) -> None:
        """CPU of the Burstable class against the others: what its pods request together."""
        values = CpuMemory(cpu_shares=burstable)
        if self._systemd is None:
            self._write_values(("burstable",), values)
        elif burstable != self._burstable:
            name = self._name(("burstable",))
            self._systemd.set_limits(name, properties(values, self._layout.version))
            self._burstable = burstable

    def remove_pod(self, uid: str, qos: str) -> None:
        """Remove the pod's cgroup, empty as it must be by now. May be called twice."""
        self._remove(_pod_parts(uid, qos, systemd=self._layout.systemd))

    def remove_root(self) -> None:
        """Remove everything this node made (`podwright down`)."""
        for directory in filter(None, QOS_DIRECTORIES.values()):
            self._remove((directory,))
        self._remove(())

    def pod_uids(self) -> set[str]:
        """Pods that have a cgroup here, whoever remembers them."""
        found = set()
        for tree in self._trees():
            base = tree / self._relative(())
            for pattern in ("*pod*", "*/*pod*"):
                found |= {uid for path in base.glob(pattern) if (uid := pod_uid(str(path)))}
        return found

    def remove_strays(self, uids: Iterable[str]) -> None:
        """Remove cgroups of pods that are no more; those that still hold processes stay."""
        for uid in uids:
            for qos in QOS_DIRECTORIES:
                self.remove_pod(uid, qos)

    def directory(self, uid: str, qos: str, controller: str) -> Path:
        """Where one controller keeps its files of the pod; without a uid, of all pods together."""
        parts = () if not uid else _pod_parts(uid, qos, systemd=self._layout.systemd)
        return self._tree(controller) / self._relative(parts)

    def machine(self, controller: str) -> Path:
        """Where one controller keeps its files of the whole machine."""
        return self._tree(controller)

    @property
    def path_of_pods(self) -> str:
        """The cgroup of all pods as the trees have it."""
        return f"/{self._relative(())}"

    def path(self, uid: str, qos: str) -> str:
        """The pod's cgroup as the trees have it, like `/kubepods/burstable/pod…`."""
        return f"/{self._relative(_pod_parts(uid, qos, systemd=self._layout.systemd))}"

    def statistics(self) -> dict[str, float]:
        return {"cgroups_made": float(self._made)}

    async def aside(self, work: Callable[[], T]) -> T:
        """Do what makes, changes or removes cgroups: in a thread where it waits for systemd."""
        if self._systemd is None:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    # Values.

    def _write_values(self, parts: tuple[str, ...], values: CpuMemory, pids: int = 0) -> None:
        cpu = self._tree("cpu") / self._relative(parts)
        memory = self._tree("memory") / self._relative(parts)
        if self._layout.version == 1:
            _write(cpu / "cpu.shares", values.cpu_shares)
            _write(cpu / "cpu.cfs_period_us", PERIOD)
            _write(cpu / "cpu.cfs_quota_us", values.cpu_quota or -1)
            _write(memory / "memory.limit_in_bytes", values.memory or -1)
            # What is made below begins with the same: nothing is swapped that need not be.
            _write_if_there(memory / "memory.swappiness", 0)
        else:
            _write(cpu / "cpu.weight", values.cpu_weight)
            _write(cpu / "cpu.max", f"{values.cpu_quota or 'max'} {PERIOD}")
            _write(memory / "memory.max", values.memory or "max")
            # Pods get no swap, not even those without a limit of memory ("NoSwap").
            _write_if_there(memory / "memory.swap.max", 0)
        if pids:
            _write(self._tree("pids") / self._relative(parts) / "pids.max", pids)

    def _ensure(self, parts: tuple[str, ...], values: CpuMemory, pids: int = 0) -> None:
        if self._systemd is not None:
            self._start(self._systemd, parts, properties(values, self._layout.version, pids))
            return
        for tree in self._trees():
            path = tree / self._relative(parts)
            if not path.is_dir():
                self._made += 1
                self._make(tree, path)
        self._write_values(parts, values, pids)

    def _start(self, systemd: Systemd, parts: tuple[str, ...], limits: Mapping[str, Value]) -> None:
        path = self._tree("memory") / self._relative(parts)
        if path.is_dir():
            systemd.set_limits(self._name(parts), limits)
            return
        systemd.start_slice(self._name(parts), limits)
        deadline = time.monotonic() + APPEARANCE
        while not path.is_dir():
            if time.monotonic() > deadline:
                raise CgroupError(
                    f"systemd has not started {self._name(parts)} within {APPEARANCE:g} s",
                    hint=f"See `systemctl status {self._name(parts)}`.",
                )
            time.sleep(0.001)
        self._made += 1
        if self._layout.version == 2:
            _delegate(self._layout.mount, path, FOREIGN_V2)

    def _remove(self, parts: tuple[str, ...]) -> None:
        paths = [tree / self._relative(parts) for tree in self._every_tree()]
        there = [path for path in paths if path.is_dir()]
        if self._systemd is not None and there:
            # It would end the processes, too; whoever made them has to.
            if any(_populated(path) for path in there):
                log.warning("slice %s stays for now: it holds processes", self._name(parts))
                return
            try:
                self._systemd.stop_slice(self._name(parts))
            except SystemdError as error:
                log.warning("slice %s stays for now: %s", self._name(parts), error)
                return
        for path in there:
            _remove(path)

    def _make(self, tree: Path, path: Path) -> None:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CgroupError(
                f"cannot make cgroup {path}: {error.strerror}",
                hint="The agent needs root and a writable /sys/fs/cgroup.",
            ) from error
        if self._layout.version == 2:
            _delegate(tree, path, CONTROLLERS_V2)

    # Names.

    def _trees(self) -> list[Path]:
        mount = self._layout.mount
        if self._layout.version == 2:
            return [mount]
        return [mount / controller for controller in CONTROLLERS_V1]

    def _every_tree(self) -> list[Path]:
        """Also the trees in which the engine made directories below our names."""
        if self._layout.version == 2:
            return [self._layout.mount]
        return [path for path in self._layout.mount.iterdir() if path.is_dir()]

    def _tree(self, controller: str) -> Path:
        mount = self._layout.mount
        return mount if self._layout.version == 2 else mount / controller

    def _relative(self, parts: tuple[str, ...]) -> str:
        root = self._layout.root.strip("/")
        if not self._layout.systemd:
            return "/".join(filter(None, (root, "kubepods", *parts)))
        # A slice lies in the slices named by its prefixes: a-b.slice is in a.slice.
        slices, prefix = [], ""
        for part in (*filter(None, root.split("/")), "kubepods", *parts):
            prefix = f"{prefix}-{_escaped(part)}" if prefix else _escaped(part)
            slices.append(f"{prefix}.slice")
        return "/".join(slices)

    def _name(self, parts: tuple[str, ...]) -> str:
        relative = self._relative(parts)
        return relative.rpartition("/")[2] if self._layout.systemd else f"/{relative}"


def _pod_parts(uid: str, qos: str, *, systemd: bool) -> tuple[str, ...]:
    name = f"pod{uid.replace('-', '_')}" if systemd else f"pod{uid}"
    return tuple(filter(None, (QOS_DIRECTORIES[qos], name)))


def _escaped(part: str) -> str:
    return part.replace("-", "_")


def pod_uid(cgroup: str) -> str:
    """The uid of the pod that a cgroup is of, or lies in; empty when there is none."""
    found = _POD.match(cgroup)
    return "" if found is None else found[1].replace("_", "-")


def properties(values: CpuMemory, version: int, pids: int = 0) -> dict[str, Value]:
    """The same limits in systemd's words (systemd.resource-control(5))."""
    # It counts CPU time per second, in whole percents: what lies between is rounded up.
    percents = -(-values.cpu_quota * 100 // PERIOD)
    memory = values.memory or INFINITY
    found: dict[str, Value] = {
        "CPUAccounting": True,
        "MemoryAccounting": True,
        "TasksAccounting": True,
        "CPUQuotaPerSecUSec": percents * 10_000 or INFINITY,
        "TasksMax": pids or INFINITY,
    }
    if version == 1:
        return {**found, "CPUShares": values.cpu_shares, "MemoryLimit": memory}
    return {**found, "CPUWeight": values.cpu_weight, "MemoryMax": memory, "MemorySwapMax": 0}


def _delegate(tree: Path, path: Path, controllers: Iterable[str]) -> None:
    """Hand the controllers down to `path`: each level above must name them (cgroups(7))."""
    level = tree
    for part in path.relative_to(tree).parts:
        offered = (level / "cgroup.controllers").read_text().split()
        given = (level / "cgroup.subtree_control").read_text().split()
        for controller in controllers:
            if controller in offered and controller not in given:
                _write(level / "cgroup.subtree_control", f"+{controller}")
        level = level / part


def _write(path: Path, value: int | str) -> None:
    try:
        path.write_text(str(value))
    except OSError as error:
        raise CgroupError(f"cannot write {value} to {path}: {error.strerror}") from error


def _write_if_there(path: Path, value: int) -> None:
    """Kernels without accounting of swap have no such file."""
    with suppress(OSError):
        if path.exists():
            path.write_text(str(value))


def _populated(path: Path) -> bool:
    try:
        return any(file.read_text() for file in path.rglob("cgroup.procs"))
    except OSError:  # it goes while we look
        return False


def _remove(path: Path) -> None:
    """Remove a cgroup with those below it, deepest first (their files are not removed)."""
    if not path.is_dir():
        return
    try:
        for child in path.iterdir():
            if child.is_dir():
                _remove(child)
        path.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOENT,):
            log.warning("cgroup %s stays for now: %s", path, error.strerror)
