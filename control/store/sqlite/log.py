"""Reads of the log: the state at an old revision, and the changes since one.

Pure SQL on a connection that is given; runs in a reader thread, never on the event loop. Each
question is one read transaction that also asks how far compaction has come, so that an answer is
either complete or CompactedError, whatever happens meanwhile.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from control.store.errors import CompactedError
from control.store.interface import Change, KeyValue, Range
from control.store.sortedkeys import end_of_prefix
from control.store.sqlite.schema import first_id, revision_of

# A page of changes ends at the first revision after this many rows or bytes.
PAGE_ROWS = 500
PAGE_BYTES = 4 << 20

_NO_END = 1 << 62

# The last row of each key up to an id. The inner query is answered by the index alone, and in its
# order. CROSS JOIN keeps the loops in the order written: so the answer needs no sorting (with ORDER
# BY, SQLite 3.40 sorts all of it, values included) and a page reads no more than its own rows.
_STATE = """
FROM (SELECT key, max(id) AS id FROM log INDEXED BY log_by_key
      WHERE key >= :begin AND key < :end AND id < :until
      GROUP BY key) AS last
CROSS JOIN log USING (id) WHERE value IS NOT NULL
"""
_PAGE = f"SELECT last.key, value, create_revision, id {_STATE} LIMIT :limit"
_COUNT = f"SELECT count(*) {_STATE}"
_ONE = """
SELECT key, value, create_revision, id FROM log
WHERE key = ? AND id < ? ORDER BY id DESC LIMIT 1
"""
_CHANGES = """
SELECT log.id, log.key, log.value, before.value, log.create_revision, log.previous_revision
FROM log LEFT JOIN log AS before
    ON before.key = log.key
    AND before.id >= log.previous_revision << 10 AND before.id < (log.previous_revision + 1) << 10
WHERE log.id >= :first AND log.id < :until
    AND log.key >= :begin AND log.key < :end
ORDER BY log.id
"""


def read_current(connection: sqlite3.Connection) -> list[KeyValue]:
    """Every key that exists; what the mirror is filled with when the store is opened."""
    question = {**_bounds(""), "until": _NO_END, "limit": -1}
    return [_key_value(row) for row in connection.execute(_PAGE, question)]


def read_one(connection: sqlite3.Connection, key: str, revision: int) -> KeyValue | None:
    """One key as of `revision`."""
    with _history(connection, revision):
        row = connection.execute(_ONE, (key, first_id(revision + 1))).fetchone()
    return _key_value(row) if row and row[1] is not None else None


def read_range(
    connection: sqlite3.Connection, prefix: str, after: str, limit: int, revision: int
) -> Range:
    """A page of the keys as of `revision`."""
    question = {
        **_bounds(prefix, after),
        "until": first_id(revision + 1),
        "limit": limit or -1,
    }
    with _history(connection, revision):
        rows = connection.execute(_PAGE, question).fetchall()
        remaining = 0
        if limit and len(rows) == limit:
            question["begin"] = _successor(rows[-1][0])
            remaining = connection.execute(_COUNT, question).fetchone()[0]
    return Range([_key_value(row) for row in rows], revision, remaining)


def read_changes(
    connection: sqlite3.Connection, prefix: str, after: int, until: int
) -> tuple[list[Change], int]:
    """A page of the changes of revisions after `after` up to `until`, never half a revision.

    Also returns the revision up to which the page is complete.
    """
    question = {
        **_bounds(prefix),
        "first": first_id(after + 1),
        "until": first_id(until + 1),
    }
    changes: list[Change] = []
    size = 0
    with _history(connection, after):
        for row in connection.execute(_CHANGES, question):
            change = Change(row[1], row[2], row[3], revision_of(row[0]), row[4], row[5])
            full = len(changes) >= PAGE_ROWS or size >= PAGE_BYTES
            if full and change.revision != changes[-1].revision:
                return changes, changes[-1].revision
            changes.append(change)
            size += len(change.value or b"") + len(change.previous or b"")
    return changes, until


def _bounds(prefix: str, after: str = "") -> dict[str, Any]:
    # To SQLite every text is smaller than any blob: an empty blob is the end of all keys.
    begin = _successor(after) if after >= prefix else prefix
    return {"begin": begin, "end": end_of_prefix(prefix) or b""}


def _successor(key: str) -> str:
    """The smallest string that sorts after `key`."""
    return key + "\0"


def _key_value(row: tuple[str, bytes, int, int]) -> KeyValue:
    return KeyValue(row[0], row[1], row[2], revision_of(row[3]))


@contextmanager
def _history(connection: sqlite3.Connection, revision: int) -> Iterator[None]:
    """One snapshot in which history back to `revision` is known to be whole."""
    connection.execute("BEGIN")
    try:
        query = "SELECT value FROM meta WHERE name = 'compacted'"
        compacted = connection.execute(query).fetchone()[0]
        if revision < compacted:
            raise CompactedError(compacted)
        yield
    finally:
        connection.execute("ROLLBACK")
