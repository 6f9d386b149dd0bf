"""Which file the write-ahead log belongs to, and whether a file was put back from a backup.

SQLite replays whatever -wal lies beside a database, even one of a different file: an operator who
copies a backup over store.db and leaves the old -wal there gets a mixture of both. And a store that
went back in time would give revisions a second time, which no client could notice. So each opening
draws a number, stamps it into the file's header (`user_version`), and notes it in store.lineage
beside it. When they differ at the next opening, the file is not the one that was closed:

    differ, -wal not empty   refused: applying the log would destroy the file
    differ, no -wal          restored: revisions continue after a gap, history starts anew
    backups carry 0          so that they count as restored on another machine, too

While the number changes both old and new are noted, so that a crash between is no restore.
"""

from __future__ import annotations

import logging
import secrets
import sqlite3
from pathlib import Path
from typing import NamedTuple

from base.files import atomic_write
from control.store.errors import UnusableStoreError
from control.store.sqlite.schema import DATABASE

logger = logging.getLogger(__name__)

BACKUP = 0

# How many writes may have happened after the backup was taken. Enough for months of a busy cluster.
RESTORE_GAP = 1_000_000_000

_NOTE = "store.lineage"
_USER_VERSION_AT = 60  # offset in the database's header, see the SQLite file format


class Lineage(NamedTuple):
    """How the store's files lay there before they were opened."""

    header: int
    unclean: bool  # not closed: the log holds what the file does not have yet
    restored: bool


def inspect(directory: Path) -> Lineage:
    """Look at the files without SQLite, which would replay the log at once."""
    database = directory / DATABASE
    log = directory / f"{DATABASE}-wal"
    header = _header(database)
    unclean = log.exists() and log.stat().st_size > 0
    if header is None:
        return Lineage(BACKUP, unclean, restored=False)
    known = _noted(directory)
    if known is None:
        return Lineage(header, unclean, restored=not unclean)
    if header not in known and unclean:
        raise UnusableStoreError(
            f"{database} is not the file that {log.name} beside it belongs to",
            hint=f"if {DATABASE} was restored from a backup, remove {log.name} and {DATABASE}-shm; "
            "else put back the file that was there",
        )
    return Lineage(header, unclean, restored=header not in known)


def renew(connection: sqlite3.Connection, directory: Path, lineage: Lineage) -> None:
    """Draw a new number, and leave all that was in the log in the file.

    On a full disk the old number stays: a store that can still be read should open.
    """
    number = secrets.randbelow(2**31 - 1) + 1
    note = directory / _NOTE
    try:
        atomic_write(note, f"{lineage.header} {number}\n", 0o600)
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        atomic_write(note, f"{number}\n", 0o600)
    except (OSError, sqlite3.OperationalError) as error:
        logger.warning("the store in %s cannot be written at the moment: %s", directory, error)


def leave_gap(connection: sqlite3.Connection, revision: int) -> None:
    """After a restore: whatever happened since the backup, its revisions are not given again."""
    connection.execute(
        "UPDATE meta SET value = ? WHERE name IN ('floor', 'compacted')",
        (revision + RESTORE_GAP,),
    )


def _header(database: Path) -> int | None:
    if not database.exists() or database.stat().st_size < 100:
        return None
    with database.open("rb") as file:
        file.seek(_USER_VERSION_AT)
        return int.from_bytes(file.read(4), "big")


def _noted(directory: Path) -> set[int] | None:
    try:
        words = (directory / _NOTE).read_text("ascii").split()
    except FileNotFoundError:
        return None
    return {int(word) for word in words if word.isdigit()}
