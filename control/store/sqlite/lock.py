"""One process per store: a lock on the directory that dies with its holder.

flock and not a pid file, because a pid file outlives a killed process and pids are used again. The
pid inside the lock file is only there to be named in the message.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from control.store.errors import LockedError

_NAME = "store.lock"


class DirectoryLock:
    """Held from construction until `release` or the end of the process."""

    def __init__(self, directory: Path) -> None:
        path = directory / _NAME
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._fd, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            raise LockedError(
                f"the store in {directory} is in use by process {holder}",
                hint=f"stop that control plane first (kill {holder}), or give this one another "
                "state directory",
            ) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Safe to call twice. The file stays: removing it would race with the next holder."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
