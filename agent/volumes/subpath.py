"""subPath: a part of a volume, without a way out of it (step 4 of the pod's walk).

Whoever can write to a volume can put a symbolic link where a subPath points, and make the engine
mount any file of the node. So the path is resolved here, must stay inside the volume, is then
opened component by component without following links, and what was opened (not its name, which
could have been replaced meanwhile) is bind-mounted to a place of ours. See CVE-2017-1002101.

What is missing is made, an empty directory, as a kubelet does for every kind of volume: also for a key that
a ConfigMap does not have. Only what the subPath itself names is made, never what a link leads to: the
contents of such a volume are exchanged, and a directory in the place of the former set would hide the key.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path, PurePosixPath

from agent.volumes.base import VolumeError, check_writable
from agent.volumes.mounts import Mounter, MountError, remove_tree

SUBPATHS_DIRECTORY = "volume-subpaths"
READ_ONLY_DIRECTORY = "volume-read-only"


def bind_subpath(
    volume: Path, sub_path: str, target: Path, *, mounter: Mounter, make: bool
) -> Path:
    """Mount the part of `volume` at `target`.

    A directory that is missing is made, with `make`, and may be used by whoever may use the volume.
    Raises VolumeError.
    """
    check_writable(sub_path)
    parts = PurePosixPath(sub_path).parts
    if PurePosixPath(sub_path).is_absolute() or ".." in parts:
        raise VolumeError(f'subPath "{sub_path}" must be relative, without ".."')
    if mounter.is_mounted(target):
        return target
    try:
        resolved = _resolve(volume, sub_path)
        missing = _missing(volume, sub_path) if make else 0
        handle = _open_inside(volume, resolved, create=missing)
        try:
            make_place(target, is_directory=_is_directory(handle))
            mounter.bind(f"/proc/{os.getpid()}/fd/{handle}", target)
        finally:
            os.close(handle)
    except OSError as error:
        raise VolumeError(f'subPath "{sub_path}": {error.strerror}') from error
    except MountError as error:
        raise VolumeError(f'subPath "{sub_path}": {error.message}') from error
    return target


def read_inside(volume: Path, sub_path: str, *, limit: int) -> bytes | None:
    """A small file of a volume, without following links; None when it is not there."""
    check_writable(sub_path)
    path = PurePosixPath(sub_path)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise VolumeError(f'path "{sub_path}" must be relative, without ".."')
    try:
        handle = _open_inside(volume, path)
    except VolumeError:
        return None
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise VolumeError(f'path "{sub_path}" is not a file')
        if status.st_size > limit:
            raise VolumeError(f'path "{sub_path}" is larger than {limit} bytes')
        return Path(f"/proc/self/fd/{handle}").read_bytes()
    finally:
        os.close(handle)


def release_subpaths(pod_directory: Path, mounter: Mounter) -> None:
    """Unmount every subPath of the pod, and what is shown of its volumes elsewhere."""
    # Those that are read-only to the bottom may show a subPath, so they go first.
    for base in (pod_directory / READ_ONLY_DIRECTORY, pod_directory / SUBPATHS_DIRECTORY):
        if base.is_dir():
            remove_tree(base, mounter)


def _resolve(volume: Path, sub_path: str) -> PurePosixPath:
    """Where links inside the volume lead; ConfigMap volumes consist of them."""
    try:
        root = volume.resolve()
        resolved = (root / sub_path).resolve()
    except RuntimeError as error:  # how pathlib puts a loop of links
        raise VolumeError(f'subPath "{sub_path}": {os.strerror(errno.ELOOP)}') from error
    if resolved != root and root not in resolved.parents:
        raise VolumeError(f'subPath "{sub_path}" leads out of its volume')
    return PurePosixPath(resolved.relative_to(root))


def _missing(volume: Path, sub_path: str) -> int:
    """How many of the last parts are not there, not even as a link."""
    parts = PurePosixPath(sub_path).parts
    there = (n for n in range(len(parts), 0, -1) if os.path.lexists(volume.joinpath(*parts[:n])))
    return len(parts) - next(there, 0)


def _open_inside(volume: Path, inside: PurePosixPath, *, create: int = 0) -> int:
    """Open without following links, and make so many of the last parts, if they are not there."""
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(volume, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    mode = stat.S_IMODE(os.fstat(handle).st_mode)
    try:
        for left, part in zip(range(len(inside.parts), 0, -1), inside.parts, strict=True):
            try:
                following = os.open(part, flags, dir_fd=handle)
            except FileNotFoundError:
                if left > create:
                    raise VolumeError(f'subPath "{inside}" does not exist') from None
                following = _make_directory(part, mode, handle)
            os.close(handle)
            handle = following
            if _is_link(handle):
                raise VolumeError(f'subPath "{inside}" changed while it was mounted')
    except BaseException:
        os.close(handle)
        raise
    return handle


def _make_directory(name: str, mode: int, parent: int) -> int:
    with suppress(FileExistsError):  # another container of the pod was faster
        os.mkdir(name, mode, dir_fd=parent)
    made = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=parent)
    # Not what the mask leaves of the mode: a program that is not root has to write to its part.
    Path(f"/proc/self/fd/{made}").chmod(mode)
    return made


def _is_link(handle: int) -> bool:
    return (os.fstat(handle).st_mode & 0o170000) == 0o120000


def _is_directory(handle: int) -> bool:
    return (os.fstat(handle).st_mode & 0o170000) == 0o040000


def make_place(target: Path, *, is_directory: bool) -> None:
    """Something that can be mounted upon."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if is_directory:
        target.mkdir(exist_ok=True)
    else:
        target.touch()
