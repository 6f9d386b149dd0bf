"""fsGroup on storage that was there before the pod (step 4 of the pod's walk).

All files are given to the group, which may then do what their owners may, and what is made later in
the folders inherits it. That is a walk over every file, so with `fsGroupChangePolicy: OnRootMismatch`
it is left out when the top folder already looks as it would afterwards ("Configure volume permission
and ownership change policy for Pods" in Kubernetes' documentation).
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

ON_ROOT_MISMATCH = "OnRootMismatch"
FILE_BITS = 0o660
FOLDER_BITS = 0o2770


def own_tree(top: Path, group: int, policy: str | None) -> bool:
    """Give everything at and below `top` to the group; False when that was not needed.

    Takes its time, see `Mounter.aside`. The top comes last: a walk that was cut off must not look
    complete the next time.
    """
    if policy == ON_ROOT_MISMATCH and _fits(top, group):
        return False
    for _, folders, files, handle in os.fwalk(top, topdown=False, follow_symlinks=False):
        for name in (*folders, *files):
            with suppress(FileNotFoundError):  # others use the storage, too
                os.chown(name, -1, group, dir_fd=handle, follow_symlinks=False)
        for name in files:
            with suppress(FileNotFoundError):
                _widen(name, handle)
        os.fchown(handle, -1, group)
        mode = os.fstat(handle).st_mode
        os.fchmod(handle, stat.S_IMODE(mode) | FOLDER_BITS)
    return True


def _widen(name: str, folder: int) -> None:
    """What was opened gets the bits, not what has its name by then: a pod that is here already could
    put a link to a file of the node in its place."""
    handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISLNK(mode):
            Path(f"/proc/self/fd/{handle}").chmod(stat.S_IMODE(mode) | FILE_BITS)
    finally:
        os.close(handle)


def _fits(top: Path, group: int) -> bool:
    found = top.stat()
    return found.st_gid == group and found.st_mode & FOLDER_BITS == FOLDER_BITS
