"""The SQLite store keeps the promises of a store, and those that only a disk can break."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from base.clock import SystemClock
from control.store.errors import BusyError, LockedError, SchemaError, UnusableStoreError
from control.store.interface import FIRST_REVISION, Store
from control.store.sqlite import SqliteStore, trim
from control.store.sqlite import store as store_module
from tests.unit.store.promises import StorePromises, fill

ROOT = Path(__file__).parents[3]


async def open_store(directory: Path) -> SqliteStore:
    return await SqliteStore.open(directory, clock=SystemClock())


class TestSqliteStore(StorePromises):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[Store]:
        store = await open_store(tmp_path / "store")
        yield store
        await store.close()


async def test_everything_is_there_after_closing_and_opening(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "a" / "store")
    written = await fill(store, 700)
    await store.close()
    store = await open_store(tmp_path / "a" / "store")
    assert store.revision() == written[-1]
    items = (await store.range("/k/")).items
    assert [item.mod_revision for item in items] == written
    await store.close()


async def test_a_deletion_that_was_compacted_does_not_free_its_revision(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    created = await store.put("/k", b"", expected=0)
    deleted = await store.delete("/k", expected=created)
    await store.compact(deleted)
    await store.close()
    store = await open_store(tmp_path)
    assert store.revision() == deleted
    assert await store.put("/k", b"", expected=0) == deleted + 1
    await store.close()


async def test_writes_that_wait_are_finished_by_closing(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(store.put(f"/{i}", b"", expected=0)) for i in range(50)]
    await asyncio.sleep(0)
    await store.close()
    assert sorted(await asyncio.gather(*tasks)) == list(range(2, 52))


async def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    directory = tmp_path / "store"
    store = await open_store(directory)
    await store.put("/k", b"secret", expected=0)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    names = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert {"store.db", "store.db-wal", "store.db-shm", "store.lock"} <= names.keys()
    assert set(names.values()) == {0o600}
    await store.close()


async def test_every_commit_is_flushed(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    settings = await store._writer.run(
        lambda connection: [
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous")
        ]
    )
    assert settings == ["wal", 2]
    await store.close()


async def test_a_second_process_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys; from pathlib import Path; from base.clock import SystemClock;"
        "from control.store.sqlite import SqliteStore\n"
        "async def main():\n"
        "    store = await SqliteStore.open(Path(sys.argv[1]), clock=SystemClock())\n"
        "    print('open', flush=True); sys.stdin.read()\n"
        "asyncio.run(main())"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        assert other.stdout and other.stdout.readline() == b"open\n"
        with pytest.raises(LockedError, match=f"process {other.pid}") as error:
            await open_store(tmp_path)
        assert str(other.pid) in error.value.hint
    finally:
        other.kill()
        other.communicate()
    await (await open_store(tmp_path)).close()  # a lock dies with its holder


async def test_a_store_of_a_newer_version_is_refused_untouched(tmp_path: Path) -> None:
    await (await open_store(tmp_path)).close()
    database = tmp_path / "store.db"
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE meta SET value = 99 WHERE name = 'schema'")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    before = database.read_bytes()
    with pytest.raises(SchemaError, match="newer podwright.*schema 99"):
        await open_store(tmp_path)
    assert database.read_bytes() == before


async def test_a_database_of_another_program_is_refused_untouched(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = (tmp_path / "store.db").read_bytes()
    with pytest.raises(SchemaError, match="not a podwright store"):
        await open_store(tmp_path)
    assert (tmp_path / "store.db").read_bytes() == before


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"hello " * 1000)
    with pytest.raises(UnusableStoreError, match="damaged"):
        await open_store(tmp_path)


async def test_a_failed_opening_lets_go_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"hello " * 1000)
    for _ in range(2):
        with pytest.raises(UnusableStoreError, match="damaged"):
            await open_store(tmp_path)


async def test_too_many_waiting_writes_are_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "QUEUE_LIMIT", 5)
    store = await open_store(tmp_path)
    writes = [store.put(f"/{i}", b"", expected=0) for i in range(8)]
    answers = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(answer) for answer in answers] == [int] * 5 + [BusyError] * 3
    await store.close()


async def test_a_group_larger_than_a_statement_keeps_its_order(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    writes = [store.put(f"/{i}", b"x" * 100, expected=0) for i in range(1000)]
    assert await asyncio.gather(*writes) == list(range(FIRST_REVISION + 1, 1002))
    assert store.statistics()["groups_total"] == 2
    await store.close()


async def test_compaction_makes_room_and_what_is_left_is_whole(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    sizes = []
    for _ in range(3):
        for key in [f"/{i}" for i in range(40)]:
            current = await store.get(key)
            for _ in range(10):
                expected = current.mod_revision if current else 0
                await store.put(key, b"x" * 2000, expected=expected)
                current = await store.get(key)
        await store.compact(store.revision())
        sizes.append(store.statistics()["file_bytes"])
    rows = await store._writer.run(lambda c: c.execute("SELECT count(*) FROM log").fetchone()[0])
    assert rows == 40
    assert sizes[2] < 1.2 * sizes[0] + 100_000
    await store.close()


async def test_writes_go_on_during_compaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trim, "STEP_ROWS", 1)
    store = await open_store(tmp_path)
    await fill(store, 2000)
    compaction = asyncio.get_running_loop().create_task(store.compact(store.revision()))
    written = await fill(store, 50, "/more/")
    assert not compaction.done()
    await compaction
    assert store.revision() == written[-1]
    await store.close()
