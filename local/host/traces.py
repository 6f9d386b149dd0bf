"""Removing what engines and agents leave on the machine: mounts, cgroups, shim sockets, folders.

Serves the end of a local cluster and the loss of a node's power. Everything is found in the kernel's
own lists, never in notes of ours, and only below a folder or cgroup that belongs to the cluster.
All functions may be called twice, and when there is nothing to remove.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from base.errors import PermanentError
from local.host.processes import Process, process
from local.host.waiting import wait_for

_MNT_DETACH = 2
_MOUNTINFO = Path("/proc/self/mountinfo")
_OCTAL = re.compile(r"\\([0-7]{3})")
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Mount:
    point: Path
    kind: str


def parse_mountinfo(text: str) -> list[Mount]:
    """proc_pid_mountinfo(5): the mount point is field 5, the file system's type follows the dash."""
    mounts = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        point = _OCTAL.sub(lambda match: chr(int(match[1], 8)), before.split(" ")[4])
        mounts.append(Mount(Path(point), after.split(" ")[0]))
    return mounts


def mounts_below(folder: Path) -> list[Path]:
    """Mount points in the folder, in the order in which they can be unmounted."""
    points = [
        mount.point
        for mount in parse_mountinfo(_MOUNTINFO.read_text())
        if mount.point.is_relative_to(folder)
    ]
    return points[::-1]


def unmount_below(folder: Path) -> None:
    """Detached, so that a process that still sits in one of them holds nothing up."""
    for point in mounts_below(folder):
        if _libc.umount2(os.fsencode(point), _MNT_DETACH) != 0:
            number = ctypes.get_errno()
            if number not in (errno.EINVAL, errno.ENOENT):  # gone meanwhile
                raise PermanentError(
                    f"cannot unmount {point}: {os.strerror(number)}",
                    hint=f"Try `umount -l {point}` and run the command again.",
                )


def remove_folder(folder: Path) -> None:
    """The folder and all in it; what is mounted there is unmounted first, never emptied."""
    unmount_below(folder)
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)


def remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def cgroup_folders(root: str) -> list[Path]:
    """Where the cgroup `root` exists: once in the unified hierarchy, or once in each of version 1."""
    return [
        mount.point / root
        for mount in parse_mountinfo(_MOUNTINFO.read_text())
        if mount.kind in ("cgroup", "cgroup2") and (mount.point / root).is_dir()
    ]


def cgroup_processes(root: str) -> list[Process]:
    numbers: set[int] = set()
    for folder in cgroup_folders(root):
        for below in _bottom_up(folder):
            with suppress(OSError):
                numbers.update(int(line) for line in (below / "cgroup.procs").read_text().split())
    return [each for number in numbers if (each := process(number)) is not None]


def remove_cgroups(root: str, *, timeout: float = 5.0) -> None:
    """Empty cgroups only: the kernel refuses others, and for a moment also those whose last process
    has just died."""

    def removed() -> bool:
        for folder in cgroup_folders(root):
            for below in _bottom_up(folder):
                with suppress(OSError):
                    below.rmdir()
        return not cgroup_folders(root)

    if not wait_for(removed, timeout=timeout):
        left = ", ".join(str(folder) for folder in cgroup_folders(root))
        raise PermanentError(
            f"cgroups still hold processes: {left}", hint="See their cgroup.procs files."
        )


def remove_shim_sockets(containerd_state: Path) -> None:
    """containerd keeps its shims' sockets in a folder that all containerds of a machine share; each
    container's bundle says which is its own. To be called before the bundles go."""
    for bundle in containerd_state.glob("io.containerd.runtime.v2.task/*/*"):
        with suppress(OSError):
            address = (bundle / "address").read_text().strip()
            if address.startswith("unix:///run/containerd/s/"):
                Path(address.removeprefix("unix://")).unlink(missing_ok=True)


def _bottom_up(folder: Path) -> Iterator[Path]:
    for path, _, _ in os.walk(folder, topdown=False):
        yield Path(path)
