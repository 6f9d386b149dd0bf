"""SQLite stores for tests: in directories of their own, with an end like that of a killed process."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from base.clock import SystemClock
from control.store.interface import Store
from control.store.sqlite import SqliteStore


class SqliteFactory:
    """Implements tests.unit.store.model.Factory."""

    def __init__(self) -> None:
        self._parent = Path(tempfile.mkdtemp(prefix="podwright-store-"))
        self._generation = 0

    @property
    def directory(self) -> Path:
        return self._parent / str(self._generation)

    async def open(self) -> Store:
        return await SqliteStore.open(self.directory, clock=SystemClock())

    async def crash(self, store: Store) -> Store:
        """Open what a kill would have left: the files as they are, without the closing."""
        crashed = self.directory
        self._generation += 1
        shutil.copytree(crashed, self.directory)
        (self.directory / "store.db-shm").unlink(missing_ok=True)  # memory, which a crash forgets
        await store.close()
        shutil.rmtree(crashed)
        return await self.open()

    def clean_up(self) -> None:
        shutil.rmtree(self._parent, ignore_errors=True)
