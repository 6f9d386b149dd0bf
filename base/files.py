"""Writing files that are whole or not there: checkpoints, keys, kubeconfigs, sandbox files.

A reader sees the old content or the new, never half of it, also after a power cut: the data is
written beside the target, flushed to the disk, renamed over it, and the directory flushed too.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def atomic_write(path: Path, data: bytes | str, mode: int = 0o644, *, durable: bool = True) -> None:
    """Replace the content of `path`. The mode is exact, whatever the umask says.

    What is not `durable` is not waited for: it outlives the process, and not a power cut.
    """
    content = data.encode() if isinstance(data, str) else data
    # mkstemp makes it 0600, so a secret is never readable by others, not even before the chmod.
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            if durable:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        _sync_directory(path.parent)


def remove_unfinished(directory: Path) -> None:
    """Remove what writers that were killed have left. Nobody may be writing there now."""
    for path in directory.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def make_directory(path: Path, mode: int = 0o755) -> Path:
    """Ensure a directory with exactly this mode; parents that are missing are made as well."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    return path


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
