"""The only thread that writes the database: appends groups of changes, and does compaction's steps.

The thread takes one job at a time and knows nothing but SQL; everything is decided on the event
loop, which hands it finished rows and is told when they are durable. Queue size: one group (the
next one forms while it is written) and one step of compaction.

Why a group is one statement where possible: the interpreter's lock is given up and taken again
around every step of SQLite, and beside a busy event loop each taking can cost a switch interval.
Sixteen statements between BEGIN and COMMIT were measured at four times the price of one statement
with sixteen rows, which SQLite commits by itself, as atomically and as durably.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, TypeVar

from control.store.errors import StoreError, UnwritableError
from control.store.interface import Change
from control.store.sqlite.schema import first_id

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]
Done = Callable[[T | None, Exception | None], None]
OnStep = Callable[[str], None]  # for fault injection: called between the steps of a commit

# SQLite allows 32766 parameters; statements of up to this many rows stay prepared.
ROWS_PER_STATEMENT = 64

_FSYNC_FAILED = (sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC)
_REASONS = {
    sqlite3.SQLITE_FULL: ("the disk is full", "free space on the store's file system"),
    sqlite3.SQLITE_READONLY: ("the file system is read-only", "remount it writable"),
    sqlite3.SQLITE_BUSY: ("another program holds the file locked", "end it"),
    sqlite3.SQLITE_IOERR: ("the disk reported an error", "look into the kernel's log"),
}


class Writer:
    """Owns the writing connection. Its methods are called on the event loop."""

    def __init__(self, connection: sqlite3.Connection, on_step: OnStep) -> None:
        self._connection = connection
        self._on_step = on_step
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[tuple[Job[Any], Done[Any]] | None] = SimpleQueue()
        self._broken: UnwritableError | None = None
        # A daemon thread: a process that ends without closing the store loses nothing by it.
        self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)
        self._thread.start()

    def append(self, changes: Sequence[Change], done: Done[None]) -> None:
        """Make the changes durable, all or none, then call `done` on the event loop."""
        rows = _rows(changes)
        self._jobs.put((lambda connection: self._append(connection, rows), done))

    async def run(self, job: Job[T]) -> T:
        """Run `job` on the writing connection in its turn; it begins its own transaction."""
        finished: asyncio.Future[Any] = self._loop.create_future()

        def done(result: T | None, error: Exception | None) -> None:
            if not finished.done():
                if error:
                    finished.set_exception(error)
                else:
                    finished.set_result(result)

        self._jobs.put((job, done))
        return await finished  # type: ignore[no-any-return]

    def stop(self) -> None:
        """Finish the jobs that were given, close the connection. Blocks; call it off the loop."""
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, done = item
            result, error = self._try(job)
            self._loop.call_soon_threadsafe(done, result, error)
        self._connection.close()

    def _try(self, job: Job[T]) -> tuple[T | None, Exception | None]:
        if self._broken:
            return None, self._broken
        try:
            return job(self._connection), None
        except Exception as error:  # noqa: BLE001 (not ours to judge: it is raised where the caller waits)
            self._roll_back()
            return None, self._translate(error)

    def _append(self, connection: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> None:
        self._on_step("before-write")
        if len(rows) <= ROWS_PER_STATEMENT:
            _insert(connection, rows)
        else:
            connection.execute("BEGIN IMMEDIATE")
            for begin in range(0, len(rows), ROWS_PER_STATEMENT):
                _insert(connection, rows[begin : begin + ROWS_PER_STATEMENT])
                self._on_step("before-commit")
            connection.execute("COMMIT")
        self._on_step("after-commit")

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            self._broken = UnwritableError(f"a failed write could not be taken back: {error}")

    def _translate(self, error: Exception) -> Exception:
        if not isinstance(error, sqlite3.Error):
            return error
        code = getattr(error, "sqlite_errorcode", 0)
        why, hint = _REASONS.get(code & 0xFF, (str(error), ""))
        translated = UnwritableError(f"the store cannot write: {why} ({error})", hint=hint)
        if code in _FSYNC_FAILED:
            # After a failed fsync the kernel has forgotten which pages are not on the disk: a later
            # one would succeed without them. Only reading everything anew can be trusted.
            translated = UnwritableError(
                f"the store no longer writes: the disk failed to flush ({error})",
                hint="look into the kernel's log, then restart the control plane",
            )
            self._broken = translated
        return translated

    @property
    def broken(self) -> StoreError | None:
        """Why no write will ever succeed again in this process."""
        return self._broken


def _rows(changes: Sequence[Change]) -> list[tuple[Any, ...]]:
    rows = []
    revision = position = 0
    for change in changes:
        position = position + 1 if change.revision == revision else 0
        revision = change.revision
        rows.append(
            (
                first_id(revision) + position,
                change.key,
                change.create_revision,
                change.previous_revision,
                change.value,
            )
        )
    return rows


def _insert(connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    values = ",".join(["(?,?,?,?,?)"] * len(rows))
    connection.execute(f"INSERT INTO log VALUES {values}", [cell for row in rows for cell in row])
