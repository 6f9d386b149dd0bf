"""Compaction of the log, a few rows at a time, so that no writer waits long behind it.

The promise comes first: `begin` records the revision below which history is refused, and only then
are rows deleted. Every row names the revision it replaced, so one pass over the rows that became
history since the last time finds all that can go: what each replaced, and each tombstone itself.
`trimmed` is advanced in the transaction that deletes, so a crash continues where it stopped.
"""

from __future__ import annotations

import sqlite3

from control.store.sqlite.schema import first_id

# Rows of history looked at in one step: a few milliseconds on the writer thread.
STEP_ROWS = 128

# Pages given back to the file system in one step, once a quarter of the file is free.
STEP_PAGES = 64
FREE_SHARE = 4

_LAST_OF_STEP = """
SELECT max(id) FROM
    (SELECT id FROM log WHERE id > :trimmed AND id < :until ORDER BY id LIMIT :rows)
"""
_DELETE = """
DELETE FROM log WHERE id IN (
    SELECT replaced.id FROM log JOIN log AS replaced
        ON replaced.key = log.key
        AND replaced.id >= log.previous_revision << 10
        AND replaced.id < (log.previous_revision + 1) << 10
    WHERE log.id > :trimmed AND log.id <= :last AND log.previous_revision > 0
    UNION ALL
    SELECT id FROM log WHERE id > :trimmed AND id <= :last AND value IS NULL
)
"""


def begin(connection: sqlite3.Connection, revision: int) -> None:
    """From here on history before `revision` is refused, whatever is still there of it."""
    connection.execute("UPDATE meta SET value = ? WHERE name = 'compacted'", (revision,))


def step(connection: sqlite3.Connection, trimmed: int, revision: int) -> tuple[int, int]:
    """Delete what is superseded in the next few rows: how far that is, and rows deleted.

    A step that returns what it was given has nothing left to do.
    """
    window = {"trimmed": trimmed, "until": first_id(revision + 1), "rows": STEP_ROWS}
    connection.execute("BEGIN IMMEDIATE")
    last = connection.execute(_LAST_OF_STEP, window).fetchone()[0]
    if last is None:
        connection.execute("ROLLBACK")
        return trimmed, 0
    window["last"] = last
    deleted = connection.execute(_DELETE, window).rowcount
    connection.execute("UPDATE meta SET value = ? WHERE name = 'trimmed'", (last,))
    connection.execute("COMMIT")
    return last, deleted


def release_pages(connection: sqlite3.Connection) -> bool:
    """Give some free pages back to the file system; False once few enough are left.

    What stays free is used again by the next writes, which is cheaper than growing the file.
    """
    free = connection.execute("PRAGMA freelist_count").fetchone()[0]
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    if free < STEP_PAGES or free * FREE_SHARE < pages:
        return False
    connection.execute(f"PRAGMA incremental_vacuum({STEP_PAGES})").fetchall()
    return True
