"""Opening a store's directory: lock, look, recover, check, and read what the mirror needs.

Blocking; runs in a thread. The order matters: nothing is touched before the lock is held, and
SQLite replays no log before it is known to belong to the file.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple

from control.store.errors import UnusableStoreError
from control.store.interface import KeyValue
from control.store.sqlite import lineage, log, schema
from control.store.sqlite.lock import DirectoryLock


class Opened(NamedTuple):
    """A store ready to run."""

    directory: Path
    lock: DirectoryLock
    connection: sqlite3.Connection
    facts: schema.Facts
    items: list[KeyValue]


def open_directory(directory: Path) -> Opened:
    """Raises UnusableStoreError, with nothing left open."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = DirectoryLock(directory)
    except OSError as error:
        raise UnusableStoreError(
            f"the store in {directory} cannot be opened: {error.strerror}",
            hint="give its file system back its room, its writability and its owner, or choose "
            "another state directory",
        ) from error
    try:
        return _open_locked(directory, lock)
    except BaseException:
        lock.release()
        raise


def _open_locked(directory: Path, lock: DirectoryLock) -> Opened:
    before = lineage.inspect(directory)
    connection = schema.open_writer(directory)
    path = directory / schema.DATABASE
    try:
        if before.unclean or before.restored:
            schema.check_integrity(connection, path)
        facts = schema.read_facts(connection)
        if before.restored:
            lineage.leave_gap(connection, facts.revision)
            facts = schema.read_facts(connection)
        lineage.renew(connection, directory, before)
        return Opened(directory, lock, connection, facts, log.read_current(connection))
    except sqlite3.DatabaseError as error:
        connection.close()
        if isinstance(error, sqlite3.OperationalError):
            raise UnusableStoreError(f"{path} cannot be opened: {error}") from error
        raise schema.damaged(path, str(error)) from error
    except BaseException:
        connection.close()
        raise
