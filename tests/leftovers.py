"""Processes, mounts and memory of tests, of which nothing stays: also not of a run that was killed."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "podwright-test-"
"""Of names; the number of the process whose it is, follows."""
_SHARED = Path("/dev/shm")
_ROOM = 256 << 20
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def end_with_us() -> None:
    """For `preexec_fn`: the program is killed when the thread that starts it ends, however it ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def memory() -> Iterator[Path]:
    """A new folder, for very many small files; where there is no memory to be had, on the disk."""
    usable = os.access(_SHARED, os.W_OK)
    if usable:
        for path in _SHARED.glob(f"{_PREFIX}*"):
            if _nobodys(path.name):
                shutil.rmtree(path, ignore_errors=True)
        usable = shutil.disk_usage(_SHARED).free > _ROOM
    prefix = f"{_PREFIX}{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=_SHARED if usable else None) as made:
        yield Path(made)


@contextmanager
def small_disk(target: Path, size: int) -> Iterator[None]:
    """A file system of so many bytes."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        name, where = line.split()[:2]
        if name.startswith(_PREFIX) and _nobodys(name):
            subprocess.run(["umount", "--lazy", where], check=False)
    name, options = f"{_PREFIX}{os.getpid()}", f"size={size},mode=700"
    target.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, name, target], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", target], check=True)


def _nobodys(name: str) -> bool:
    """Whether the process that gave this name is no more."""
    number = name.removeprefix(_PREFIX).partition("-")[0]
    return number.isdigit() and not Path("/proc", number).exists()
