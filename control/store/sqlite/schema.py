"""The tables of the SQLite store, and what is checked when its file is opened.

    log    one row per key of an accepted write, never changed, only deleted by compaction.
           `id` is revision * 1024 + the position in the transaction, so that the rows of a watch
           are one stretch of the table and appending never touches anything but its end.
    meta   compacted: history before this revision is refused
           trimmed:   compaction has deleted the superseded rows up to this id
           floor:     no revision up to this one may be given again (raised by a restore)
           schema:    the version of these tables

There is no table of current values: they are the last row of each key, held in memory while the
store runs (`mirror`), and compaction never deletes them. So a commit writes one table and one index.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import NamedTuple

from control.store.errors import SchemaError, UnusableStoreError
from control.store.interface import FIRST_REVISION

DATABASE = "store.db"
POSITION_BITS = 10
APPLICATION_ID = 0x706F6477  # "podw": file(1) and we know whose file it is
SCHEMA = 1

_TABLES = f"""
CREATE TABLE log (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    create_revision INTEGER NOT NULL,
    previous_revision INTEGER NOT NULL,
    value BLOB
);
CREATE UNIQUE INDEX log_by_key ON log (key, id);
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES
    ('schema', {SCHEMA}), ('compacted', 0), ('trimmed', 0), ('floor', {FIRST_REVISION});
PRAGMA application_id = {APPLICATION_ID};
"""


class Facts(NamedTuple):
    """What `meta` and the end of the log say."""

    compacted: int
    trimmed: int
    revision: int


def first_id(revision: int) -> int:
    """The id of the first row of a revision; its last is just below that of the next."""
    return revision << POSITION_BITS


def revision_of(row_id: int) -> int:
    return row_id >> POSITION_BITS


def open_writer(directory: Path) -> sqlite3.Connection:
    """The one connection that writes; makes the tables in a new file."""
    path = directory / DATABASE
    # SQLite gives -wal and -shm the mode of the database itself.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)
    connection = connect(path)
    try:
        _identify(connection, path)
        # Only before the first table; lets compaction give pages back without rewriting the file.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise UnusableStoreError(
                f"{path}: the file system does not allow a write-ahead log (journal mode {mode})",
                hint="put the state directory on a local file system",
            )
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
            connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(directory: Path) -> sqlite3.Connection:
    connection = connect(directory / DATABASE)
    connection.execute("PRAGMA query_only = ON")
    return connection


def connect(path: Path) -> sqlite3.Connection:
    """Transactions are ours to begin; a connection moves between threads but is never shared."""
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)


def read_facts(connection: sqlite3.Connection) -> Facts:
    meta = dict(connection.execute("SELECT name, value FROM meta").fetchall())
    last = connection.execute("SELECT max(id) FROM log").fetchone()[0] or 0
    # Compaction may have deleted the last row (a tombstone): its revision still is not free.
    revision = max(meta["floor"], meta["compacted"], revision_of(last))
    return Facts(meta["compacted"], meta["trimmed"], revision)


def check_integrity(connection: sqlite3.Connection, path: Path) -> None:
    """Whether every page is what it should be; reads the whole file."""
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise damaged(path, verdict)


def damaged(path: Path, why: str) -> UnusableStoreError:
    return UnusableStoreError(
        f"{path} is damaged: {why}",
        hint="restore the last backup; `sqlite3 FILE .recover` may save what is newer",
    )


def _identify(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse what is not ours before anything is changed in it."""
    try:
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        if tables and application != APPLICATION_ID:
            raise SchemaError(
                f"{path} is not a podwright store", hint="check the state directory setting"
            )
        if tables:
            _check_version(connection, path)
    except sqlite3.OperationalError as error:
        raise UnusableStoreError(f"{path} cannot be opened: {error}") from error
    except sqlite3.DatabaseError as error:
        raise damaged(path, str(error)) from error


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()[0]
    if version > SCHEMA:
        raise SchemaError(
            f"{path} was written by a newer podwright (schema {version}, this one knows {SCHEMA})",
            hint="start the newer version, or restore a backup made by this one",
        )
