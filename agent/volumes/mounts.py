"""mount(2) and umount2(2) for the agent's own file systems (step 4 of the pod's walk).

Called through libc rather than through the mount program: a pod with three Secrets would otherwise
start three processes. Only file servers are left to that program, which knows their helpers.
`FakeMounter` is for tests without root.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

from agent.volumes.outside import PATIENCE, Outside
from base.errors import PermanentError
from base.process import CommandError, run_async

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC = 1, 2, 4, 8, 4096, 16384
MS_PRIVATE = 1 << 18
SYS_MOUNT_SETATTR = 442
"""On every architecture: calls that came after Linux 5.0 have one number."""
AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = -100, 0x8000, 1
MNT_DETACH = 2
THREADS = 8
PROGRAMS = "/sbin:/usr/sbin:/usr/local/sbin:/bin:/usr/bin"
REMOTE = {"nfs": "nfs-common (Debian, Ubuntu) or nfs-utils"}
"""The package that brings the program which mounts such a file system."""
REMOTE_PATIENCE = 90.0
"""Seconds for a server to answer; then the mount is given up, and tried again."""
T = TypeVar("T")

_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttributes(ctypes.Structure):
    """`struct mount_attr` of mount_setattr(2)."""

    _fields_ = tuple(
        (name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd")
    )


class MountError(PermanentError):
    """The kernel refused to mount or unmount."""


class Mounter(Protocol):
    """Mounts and unmounts."""

    def tmpfs(self, target: Path, *, size: int = 0) -> None:
        """Mount memory at `target`, at most `size` bytes; nothing if something is mounted there."""

    def huge_pages(self, target: Path, *, page: int, size: int = 0) -> None:
        """Mount huge pages of `page` bytes at `target`; nothing if something is mounted there."""

    def bind(self, source: str, target: Path) -> None:
        """Make `source` also visible at `target`."""

    def bind_read_only(self, source: Path, target: Path) -> None:
        """Make `source` visible at `target`, read-only with all that is mounted below it."""

    def layers(self, layers: Sequence[str], target: Path) -> None:
        """Show folders laid over each other, the topmost first, as one that cannot be written to.

        Programs in it cannot be run. Nothing if something is mounted at `target`.
        """

    async def remote(
        self, kind: str, source: str, target: Path, options: Sequence[str] = ()
    ) -> None:
        """Mount a file server's folder at `target`, with the node's own mount(8)."""

    def unmount(self, target: Path) -> None:
        """Unmount all that is mounted at `target`; nothing if nothing is."""

    def is_mounted(self, target: Path) -> bool: ...

    def below(self, directory: Path) -> list[Path]:
        """Everything mounted at or below `directory`, innermost and newest first."""

    async def aside(self, work: Callable[[], T]) -> T:
        """Do what may take its time with files of our own: a million of them to remove."""

    async def outside(self, key: str, work: Callable[[], T]) -> T:
        """Look at a path that users name: it may hang. Raises DoesNotAnswer; who asks again joins."""


class KernelMounter:
    """The real thing. `aside` has threads of its own, and what may hang has others (`outside.py`)."""

    def __init__(self, *, patience: float = PATIENCE) -> None:
        self._outside = Outside(patience=patience)
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="volumes")

    def tmpfs(self, target: Path, *, size: int = 0) -> None:
        # A file system of its own shows without the list of all mounts, which is long with many pods.
        if os.path.ismount(target):
            return
        options = f"size={size},mode=0777" if size else "mode=0777"
        flags = MS_NOSUID | MS_NODEV
        _mount("tmpfs", str(target), "tmpfs", flags, options)

    def huge_pages(self, target: Path, *, page: int, size: int = 0) -> None:
        if os.path.ismount(target):
            return
        options = f"pagesize={page},mode=0777" + (f",size={size}" if size else "")
        _mount("hugetlbfs", str(target), "hugetlbfs", MS_NOSUID | MS_NODEV, options)

    def bind(self, source: str, target: Path) -> None:
        _mount(source, str(target), "", MS_BIND, "")

    def bind_read_only(self, source: Path, target: Path) -> None:
        _mount(str(source), str(target), "", MS_BIND | MS_REC, "")
        wanted = _MountAttributes(attr_set=MOUNT_ATTR_RDONLY, propagation=MS_PRIVATE)
        result = _libc.syscall(
            SYS_MOUNT_SETATTR,
            AT_FDCWD,
            os.fsencode(target),
            AT_RECURSIVE,
            ctypes.byref(wanted),
            ctypes.sizeof(wanted),
        )
        if result != 0:
            code = ctypes.get_errno()
            self.unmount(target)
            raise MountError(f"cannot make {target} read-only: {os.strerror(code)}")

    def layers(self, layers: Sequence[str], target: Path) -> None:
        if self.is_mounted(target):
            return
        flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC
        if len(layers) == 1:  # an overlay needs two, and the target is an empty folder
            layers = (*layers, str(target))
        handles: list[int] = []
        try:
            # By handle: the names of forty layers are longer than the page that mount(2) reads.
            for layer in layers:
                handles.append(os.open(layer, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
            lower = ":".join(f"/proc/self/fd/{handle}" for handle in handles)
            _mount("overlay", str(target), "overlay", flags, f"lowerdir={lower}")
        except OSError as error:
            raise MountError(f"cannot open {error.filename}: {error.strerror}") from error
        finally:
            for handle in handles:
                os.close(handle)

    async def remote(
        self, kind: str, source: str, target: Path, options: Sequence[str] = ()
    ) -> None:
        if shutil.which(f"mount.{kind}", path=PROGRAMS) is None:
            package = REMOTE.get(kind, f"what brings mount.{kind}")
            raise MountError(f"the node has no mount.{kind}: install {package} on it")
        argv: list[str | Path] = ["mount", "-t", kind]
        if options:
            argv += ["-o", ",".join(options)]
        try:
            await run_async([*argv, "--", source, target], timeout=REMOTE_PATIENCE)
        except CommandError as error:
            raise MountError(f"mount failed: {error.message}") from error

    def unmount(self, target: Path) -> None:
        # Detached, so that a container that still holds it cannot keep a pod from going away.
        while True:
            if _libc.umount2(os.fsencode(target), MNT_DETACH) == 0:
                continue
            code = ctypes.get_errno()
            if code in (errno.EINVAL, errno.ENOENT):  # not (any more) a mount point
                return
            raise MountError(f"cannot unmount {target}: {os.strerror(code)}")

    def is_mounted(self, target: Path) -> bool:
        # The list first: to look at the target itself may hang, if its file server is away.
        return target in _mounted_below(target) or os.path.ismount(target)

    def below(self, directory: Path) -> list[Path]:
        return list(reversed(_mounted_below(directory)))

    async def aside(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def outside(self, key: str, work: Callable[[], T]) -> T:
        return await self._outside.do(key, work)


class FakeMounter:
    """Remembers what would be mounted."""

    def __init__(self) -> None:
        self.mounted: dict[str, str] = {}
        self.missing: set[str] = set()
        """File systems for which the node has no program."""

    def tmpfs(self, target: Path, *, size: int = 0) -> None:
        self.mounted.setdefault(str(target), f"tmpfs:{size}")

    def huge_pages(self, target: Path, *, page: int, size: int = 0) -> None:
        self.mounted.setdefault(str(target), f"hugetlbfs:{page}:{size}")

    def bind(self, source: str, target: Path) -> None:
        self.mounted[str(target)] = source

    def bind_read_only(self, source: Path, target: Path) -> None:
        self.mounted[str(target)] = f"ro:{source}"

    def layers(self, layers: Sequence[str], target: Path) -> None:
        self.mounted.setdefault(str(target), f"layers:{':'.join(layers)}")

    async def remote(
        self, kind: str, source: str, target: Path, options: Sequence[str] = ()
    ) -> None:
        if kind in self.missing:
            raise MountError(f"the node has no mount.{kind}: install {REMOTE[kind]} on it")
        self.mounted[str(target)] = ",".join((f"{kind}:{source}", *options))

    def unmount(self, target: Path) -> None:
        self.mounted.pop(str(target), None)

    def is_mounted(self, target: Path) -> bool:
        return str(target) in self.mounted

    def below(self, directory: Path) -> list[Path]:
        return [Path(p) for p in self.mounted if Path(p).is_relative_to(directory)][::-1]

    async def aside(self, work: Callable[[], T]) -> T:
        return work()

    async def outside(self, key: str, work: Callable[[], T]) -> T:
        return work()


def remove_tree(directory: Path, mounter: Mounter) -> None:
    """Remove a directory of ours for good. Takes its time with many files: see `Mounter.aside`.

    First everything mounted in it goes: what is mounted may be a directory of the node (a hostPath's
    subPath), and removing files through a mount would remove the user's own.
    """
    mounted = mounter.below(directory)
    for target in mounted:
        mounter.unmount(target)
    if mounted and (left := mounter.below(directory)):
        raise MountError(f"cannot remove {directory}: {left[0]} is still mounted")
    shutil.rmtree(directory, ignore_errors=True)


def _mounted_below(directory: Path) -> list[Path]:
    """What is mounted at a directory and below, in the order it was made (proc_pid_mountinfo(5)).

    A hundred pods have some five hundred mounts, with a kilobyte of layers each: those elsewhere are
    only passed by.
    """
    top = os.fsencode(_escaped(str(directory)))
    wanted, below = top + b" ", top + b"/"
    found = []
    for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
        if top in line and line.split(b" ", 4)[4].startswith((wanted, below)):
            found.append(Path(_unescaped(os.fsdecode(line.split(b" ", 5)[4]))))
    return found


_ESCAPES = (("\\", "\\134"), (" ", "\\040"), ("\t", "\\011"), ("\n", "\\012"))
"""What the kernel writes for characters that would end a word; the backslash is first to be written."""


def _escaped(path: str) -> str:
    for character, code in _ESCAPES:
        path = path.replace(character, code)
    return path


def _unescaped(path: str) -> str:
    for character, code in reversed(_ESCAPES):
        path = path.replace(code, character)
    return path


def _mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    result = _libc.mount(
        os.fsencode(source), os.fsencode(target), kind.encode(), flags, options.encode()
    )
    if result != 0:
        code = ctypes.get_errno()
        raise MountError(
            f"cannot mount {kind or 'bind'} at {target}: {os.strerror(code)}",
            hint="The agent needs root (CAP_SYS_ADMIN) to mount volumes.",
        )
