"""What the disk may do to the store: be full at any write (C3), fail to flush, or lie.

A small tmpfs of the test's own is the full disk.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from base.clock import SystemClock
from control.store.errors import UnwritableError
from control.store.sqlite import SqliteStore
from control.store.sqlite import writer as writer_module
from tests.leftovers import small_disk
from tests.unit.store.model import drain

ROOT = Path(__file__).parents[3]
SIZE = 4 << 20


async def open_store(directory: Path) -> SqliteStore:
    return await SqliteStore.open(directory, clock=SystemClock())


@pytest.fixture(name="small_disk")
def a_small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    target = tmp_path / "disk"
    with small_disk(target, SIZE):
        yield target


def fill_disk(disk: Path, leave: int) -> Path:
    ballast = disk / "ballast"
    free = shutil.disk_usage(disk).free
    ballast.write_bytes(b"x" * max(0, free - leave))
    return ballast


@pytest.mark.parametrize("leave", [0, 4096, 20_000, 100_000, 500_000])
async def test_full_disk(small_disk: Path, leave: int) -> None:
    store = await open_store(small_disk / "store")
    first = await store.put("/first", b"v", expected=0)
    watch = store.watch("", after=store.revision())
    ballast = fill_disk(small_disk, leave)
    written = []
    with pytest.raises(UnwritableError, match="disk is full") as full:
        for i in range(1000):
            written.append(await store.put(f"/k/{i:04}", b"x" * 3000, expected=0))
    assert "free space" in full.value.hint
    # Nothing of the refused write is visible, and reading goes on, also of the past.
    assert store.revision() == max([first, *written])
    assert len((await store.range("/k/")).items) == len(written)
    assert await store.get("/first", revision=first)
    # It recovers by itself.
    ballast.unlink()
    written.append(await store.put("/after", b"v", expected=0))
    assert [c.revision for c in await drain(watch, store.revision())] == written
    await store.close()
    store = await open_store(small_disk / "store")
    assert len((await store.range("")).items) == len(written) + 1
    verdict = await store._writer.run(lambda c: c.execute("PRAGMA integrity_check").fetchone()[0])
    assert verdict == "ok"
    await store.close()


async def test_a_full_disk_during_compaction(small_disk: Path) -> None:
    store = await open_store(small_disk / "store")
    revision = 0
    for _ in range(100):
        revision = await store.put("/k", b"x" * 2000, expected=revision)
    ballast = fill_disk(small_disk, 0)
    with pytest.raises(UnwritableError):
        for i in range(1000):
            await store.put(f"/fill/{i}", b"x" * 3000, expected=0)
    try:
        await store.compact(revision)
    except UnwritableError:
        ballast.unlink()
        await store.compact(revision)
    found = await store.get("/k", revision=revision)
    assert found and found.mod_revision == revision
    await store.close()


async def test_a_store_on_a_full_disk_opens_for_reading(small_disk: Path) -> None:
    store = await open_store(small_disk / "store")
    await store.put("/k", b"v", expected=0)
    await store.close()
    fill_disk(small_disk, 64_000)  # room for the index of the log, no more
    store = await open_store(small_disk / "store")
    assert await store.get("/k")
    await store.close()


async def test_after_a_failed_flush_nothing_is_written_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel forgets what it could not flush: a later flush would succeed, and lie."""
    store = await open_store(tmp_path)
    revision = await store.put("/k", b"v", expected=0)

    def failing(*_: object) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(writer_module, "_insert", failing)
        with pytest.raises(UnwritableError, match="failed to flush"):
            await store.put("/k", b"w", expected=revision)
    with pytest.raises(UnwritableError, match="no longer writes"):
        await store.put("/k", b"w", expected=revision)
    found = await store.get("/k")
    assert found and found.value == b"v"
    assert store.statistics()["broken"] == 1
    await store.close()


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_nothing_is_acknowledged_before_it_is_flushed(tmp_path: Path) -> None:
    """What a kill cannot show and a power cut would: the log is flushed before each answer."""
    program = (
        "import asyncio, os, sys; from pathlib import Path; from base.clock import SystemClock;"
        "from control.store.sqlite import SqliteStore\n"
        "async def main():\n"
        "    store = await SqliteStore.open(Path(sys.argv[1]), clock=SystemClock())\n"
        "    for i in range(3):\n"
        "        os.write(1, b'asked')\n"
        "        await store.put(f'/{i}', b'v', expected=0)\n"
        "        os.write(1, b'told')\n"
        "asyncio.run(main())"
    )
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-y", "-o", str(trace), "-e", "trace=write,pwrite64,fsync,fdatasync"]
    command += [sys.executable, "-c", program, str(tmp_path / "store")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60)
    if b"ptrace" in done.stderr:
        pytest.skip("this machine does not allow tracing")
    assert done.stdout == b"askedtold" * 3
    calls = trace.read_text()
    for answer in calls.split('"asked"')[1:]:
        before_told = answer.split('"told"')[0]
        written = before_told.rindex("store.db-wal>, ")
        assert "sync(" in before_told and before_told.rindex("sync(") > 0
        flushed = before_told.rindex("store.db-wal>)")
        assert written < flushed
