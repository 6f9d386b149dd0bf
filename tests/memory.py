"""A folder in memory, for tests that make very many small files and whose subject is no disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SHARED = Path("/dev/shm")
_ROOM = 256 << 20


@contextmanager
def folder() -> Iterator[Path]:
    """A new one, removed afterwards; where there is no memory to be had, one on the disk."""
    usable = os.access(_SHARED, os.W_OK) and shutil.disk_usage(_SHARED).free > _ROOM
    with tempfile.TemporaryDirectory(
        prefix="podwright-test-", dir=_SHARED if usable else None
    ) as made:
        yield Path(made)
