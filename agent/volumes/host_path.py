"""hostPath: a file or directory of the node (step 4 of the pod's walk).

The types are checked, or made, as Kubernetes documents them; the agent never removes anything.
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

from agent.volumes.base import VolumeContext, VolumeError, check_writable
from api.core import HostPathVolumeSource

_CHECKS: dict[str, tuple[Callable[[int], bool], str]] = {
    "Directory": (stat.S_ISDIR, "is not a directory"),
    "File": (stat.S_ISREG, "is not a file"),
    "Socket": (stat.S_ISSOCK, "is not a socket file"),
    "CharDevice": (stat.S_ISCHR, "is not a character device"),
    "BlockDevice": (stat.S_ISBLK, "is not a block device"),
    "DirectoryOrCreate": (stat.S_ISDIR, "is not a directory"),
    "FileOrCreate": (stat.S_ISREG, "is not a file"),
}


async def set_up(context: VolumeContext) -> Path:
    source = context.volume.host_path
    assert source is not None
    # It may lie on a file server that is away: then this pod waits, and nobody else.
    return await context.mounter.outside(str(context.directory), partial(_ready, source))


def _ready(source: HostPathVolumeSource) -> Path:
    check_writable(source.path)
    path, kind = Path(source.path), source.type or ""
    if not path.is_absolute() or ".." in path.parts:
        raise VolumeError(f'hostPath "{source.path}" must be absolute, without ".."')
    if kind and kind not in _CHECKS:
        raise VolumeError(f'hostPath type "{kind}" is unknown')
    try:
        _make(path, kind)
        mode = path.stat().st_mode
    except FileNotFoundError:
        words = f"{_CHECKS[kind][1]}: it does not exist"
        raise VolumeError(f"hostPath type check failed: {path} {words}") from None
    except OSError as error:
        raise VolumeError(f"hostPath {path}: {error.strerror}") from error
    if kind:
        right, words = _CHECKS[kind]
        if not right(mode):
            raise VolumeError(f"hostPath type check failed: {path} {words}")
    return path


async def tear_down(context: VolumeContext) -> None:
    """What is on the node stays there."""


def _make(path: Path, kind: str) -> None:
    if path.exists():
        return
    # Without a type nothing is checked; but the engine cannot bind what is not there.
    if kind in ("", "DirectoryOrCreate"):
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o755)
    elif kind == "FileOrCreate":
        path.touch()
        path.chmod(0o644)
