"""Sets of files that change all at once (step 4 of the pod's walk): the ..data symlink swap.

    <volume>/key          -> ..data/key
    <volume>/..data       -> ..2026_01_01_12_00_00.1234567890
    <volume>/..2026…/key  the content

A reader that goes through `..data` sees the old set or the new one, never a mix; programs watch
`..data` to reload (and know these very names). Nothing changes when the content does not, so a
periodic refresh wakes nobody.

Files are written before the swap and old ones removed after it, so a killed agent leaves either set
complete, and at most a stray directory that the next write removes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from agent.volumes.base import VolumeError, check_writable

DATA = "..data"
DATA_NEXT = "..data_tmp"


@dataclass(frozen=True, kw_only=True)
class File:
    """One file of the set."""

    content: bytes
    mode: int
    owner: int | None = None


def write(directory: Path, files: Mapping[str, File], *, group: int | None, now: datetime) -> bool:
    """Make `directory` show exactly `files`; False when it already did."""
    for name in files:
        _check(name)
    current = _current(directory)
    if current is not None and _same(current, files, group):
        _link(directory, files)  # a link that was lost, perhaps to a kill
        return False
    stamped = _fresh(directory, now)
    for name, file in files.items():
        _write_file(stamped / name, file, group)
    for folder in (stamped, *(path for path in stamped.rglob("*") if path.is_dir())):
        give(folder, group)
    swap = directory / DATA_NEXT
    swap.unlink(missing_ok=True)
    swap.symlink_to(stamped.name)
    swap.replace(directory / DATA)
    _link(directory, files)
    _clean(directory, keep=stamped, files=files)
    return True


def give(folder: Path, group: int | None) -> None:
    """Have a folder look as all of a set do: for everybody to read, and the group's if there is one."""
    if group is not None:
        os.chown(folder, -1, group)
    folder.chmod(0o755 if group is None else 0o2775)


def exists(directory: Path) -> bool:
    """Whether a complete set was written here before."""
    return _current(directory) is not None


def version(directory: Path) -> str:
    """A word for what is shown now; empty before anything is."""
    current = _current(directory)
    return current.name if current is not None else ""


def _check(name: str) -> None:
    check_writable(name)
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or name.startswith(".."):
        raise VolumeError(f'invalid path "{name}": it must be relative, without ".."')


def _current(directory: Path) -> Path | None:
    try:
        target = directory / (directory / DATA).readlink()
    except OSError:
        return None
    return target if target.is_dir() else None


def _same(current: Path, files: Mapping[str, File], group: int | None) -> bool:
    present = {str(path.relative_to(current)) for path in current.rglob("*") if not path.is_dir()}
    if present != set(files):
        return False
    for name, file in files.items():
        status = (current / name).stat()
        wanted = _mode(file.mode, group)
        if status.st_mode & 0o7777 != wanted or (group is not None and status.st_gid != group):
            return False
        if file.owner is not None and status.st_uid != file.owner:
            return False
        if (current / name).read_bytes() != file.content:
            return False
    return True


def _fresh(directory: Path, now: datetime) -> Path:
    stem = now.strftime("..%Y_%m_%d_%H_%M_%S.")
    for number in range(now.microsecond, now.microsecond + 1000):
        path = directory / f"{stem}{number:09d}"
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise VolumeError(f"no free name for a new set of files in {directory}")


def _write_file(path: Path, file: File, group: int | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Opened for the owner alone: a secret must not be readable for a moment.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as opened:
        opened.write(file.content)
        if group is not None or file.owner is not None:
            owner = -1 if file.owner is None else file.owner
            os.fchown(opened.fileno(), owner, -1 if group is None else group)
        os.fchmod(opened.fileno(), _mode(file.mode, group))


def _mode(mode: int, group: int | None) -> int:
    """With fsGroup the group may read what the owner may."""
    return mode if group is None else mode | 0o440


def _link(directory: Path, files: Mapping[str, File]) -> None:
    for top in {PurePosixPath(name).parts[0] for name in files}:
        link = directory / top
        if not link.is_symlink():
            if link.is_dir():  # made for a subPath, when there was no such file
                shutil.rmtree(link)
            link.symlink_to(f"{DATA}/{top}")


def _clean(directory: Path, *, keep: Path, files: Mapping[str, File]) -> None:
    tops = {PurePosixPath(name).parts[0] for name in files}
    for entry in directory.iterdir():
        if entry.name in (DATA, keep.name):
            continue
        if entry.is_symlink():
            if entry.name not in tops:
                entry.unlink()
        elif entry.name.startswith(".."):
            shutil.rmtree(entry, ignore_errors=True)
