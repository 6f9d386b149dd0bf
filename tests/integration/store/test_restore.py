"""Backups, and what a restore may not do: mix two files, or give a revision twice (C2, S2)."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest

from base.clock import SystemClock
from control.store.errors import CompactedError, LockedError, UnusableStoreError
from control.store.sqlite import SqliteStore
from control.store.sqlite.backup import restore
from control.store.sqlite.lineage import RESTORE_GAP
from tests.unit.store.promises import fill


async def open_store(directory: Path) -> SqliteStore:
    return await SqliteStore.open(directory, clock=SystemClock())


async def crash(store: SqliteStore, directory: Path) -> None:
    """Leave the directory as a kill would."""
    left = directory.with_name("left")
    shutil.copytree(directory, left)
    await store.close()
    shutil.rmtree(directory)
    left.rename(directory)


async def test_a_backup_is_taken_while_the_store_runs(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "store")
    written = await fill(store, 10)
    await store.backup(tmp_path / "backup")
    await fill(store, 5, "/later/")
    await store.close()
    assert stat.S_IMODE((tmp_path / "backup").stat().st_mode) == 0o600
    restore(tmp_path / "backup", tmp_path / "elsewhere")
    copy = await open_store(tmp_path / "elsewhere")
    assert [item.mod_revision for item in (await copy.range("")).items] == written
    await copy.close()


async def test_a_restored_store_gives_no_revision_again(tmp_path: Path) -> None:
    directory = tmp_path / "store"
    store = await open_store(directory)
    await fill(store, 3)
    await store.backup(tmp_path / "backup")
    seen_by_clients = (await fill(store, 20, "/later/"))[-1]
    await store.close()
    restore(tmp_path / "backup", directory)
    store = await open_store(directory)
    assert await store.put("/new", b"", expected=0) > RESTORE_GAP > seen_by_clients
    with pytest.raises(CompactedError):  # their watches begin anew instead of missing deletions
        await anext(store.watch("/", after=seen_by_clients))
    after = store.revision()
    await store.close()
    store = await open_store(directory)
    assert store.revision() == after  # restored once, not at every opening
    await store.close()


async def test_a_backup_copied_by_hand_beside_a_stale_log_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / "store"
    store = await open_store(directory)
    await fill(store, 3)
    await store.backup(tmp_path / "backup")
    await fill(store, 50, "/later/")
    await crash(store, directory)
    assert (directory / "store.db-wal").stat().st_size > 0
    shutil.copyfile(tmp_path / "backup", directory / "store.db")
    with pytest.raises(UnusableStoreError, match="is not the file that store.db-wal") as refused:
        await open_store(directory)
    assert "remove store.db-wal" in refused.value.hint
    # What the hint says helps.
    (directory / "store.db-wal").unlink()
    (directory / "store.db-shm").unlink(missing_ok=True)
    store = await open_store(directory)
    assert len((await store.range("")).items) == 3
    assert store.revision() > RESTORE_GAP
    await store.close()


async def test_restoring_cleans_up_the_stale_log(tmp_path: Path) -> None:
    directory = tmp_path / "store"
    store = await open_store(directory)
    await fill(store, 3)
    await store.backup(tmp_path / "backup")
    await fill(store, 50, "/later/")
    await crash(store, directory)
    restore(tmp_path / "backup", directory)
    store = await open_store(directory)
    assert len((await store.range("")).items) == 3
    await store.close()


async def test_an_older_copy_of_the_file_counts_as_restored(tmp_path: Path) -> None:
    directory = tmp_path / "store"
    store = await open_store(directory)
    await fill(store, 3)
    await store.close()
    shutil.copyfile(directory / "store.db", tmp_path / "copy")
    store = await open_store(directory)
    await fill(store, 3, "/later/")
    await store.close()
    shutil.copyfile(tmp_path / "copy", directory / "store.db")
    store = await open_store(directory)
    assert store.revision() > RESTORE_GAP
    await store.close()


async def test_a_crash_is_no_restore(tmp_path: Path) -> None:
    directory = tmp_path / "store"
    revision = 1
    for round_ in range(4):
        store = await open_store(directory)
        assert store.revision() == revision
        revision = (await fill(store, 5, f"/{round_}/"))[-1]
        await crash(store, directory)


async def test_a_running_store_is_not_replaced(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "store")
    await store.backup(tmp_path / "backup")
    with pytest.raises(LockedError):
        restore(tmp_path / "backup", tmp_path / "store")
    with pytest.raises(FileExistsError):
        await store.backup(tmp_path / "backup")
    await store.close()


async def test_what_is_no_backup_is_not_restored(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "store")
    await store.close()
    with pytest.raises(UnusableStoreError, match="not a backup"):
        restore(tmp_path / "store" / "store.db", tmp_path / "elsewhere")
