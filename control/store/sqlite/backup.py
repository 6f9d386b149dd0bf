"""A copy of the store while it runs, and putting one back.

A backup is one consistent snapshot in one file, checked before it gets its name. It is stamped (see
`lineage`), so that whoever opens it knows it for a restored one: revisions then go on after a gap,
and clients who have seen later ones start over instead of waiting for revisions to catch up.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from control.store.errors import StoreError, UnusableStoreError
from control.store.sqlite import lineage, schema
from control.store.sqlite.lock import DirectoryLock


def write_backup(directory: Path, target: Path) -> None:
    """Write a snapshot of a running store to `target`, which must not exist. Blocking."""
    if target.exists():
        raise FileExistsError(f"{target} exists; a backup never overwrites another")
    unfinished = target.with_name(f".{target.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    try:
        # Made first, because the secrets in it must never be readable for others.
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with closing(schema.connect(directory / schema.DATABASE)) as source:
            source.execute("VACUUM INTO ?", (str(unfinished),))
        with closing(schema.connect(unfinished)) as copy:
            copy.execute(f"PRAGMA user_version = {lineage.BACKUP}")
            schema.check_integrity(copy, unfinished)
        _flush(unfinished)
        unfinished.rename(target)
    except sqlite3.Error as error:
        raise StoreError(f"no backup could be written to {target}: {error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    _flush(target.parent)


def restore(backup: Path, directory: Path) -> None:
    """Replace the store in `directory`, which nobody may have open, by a backup."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = DirectoryLock(directory)
    try:
        target = directory / schema.DATABASE
        arriving = directory / f"{schema.DATABASE}.arriving"
        shutil.copyfile(backup, arriving)
        arriving.chmod(0o600)
        with closing(schema.connect(arriving)) as copy:
            if copy.execute("PRAGMA user_version").fetchone()[0] != lineage.BACKUP:
                raise UnusableStoreError(
                    f"{backup} is not a backup", hint="a backup is made by the running store"
                )
            schema.check_integrity(copy, backup)
        _flush(arriving)
        # The log first: if it goes wrong between, the old file without its log is still a store,
        # and the new one beside the old log would not be.
        for suffix in ("-wal", "-shm"):
            target.with_name(target.name + suffix).unlink(missing_ok=True)
        arriving.rename(target)
        _flush(directory)
    finally:
        lock.release()


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
