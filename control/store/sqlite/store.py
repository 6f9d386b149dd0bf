"""The embedded store: every write waits for a place in a group, and for the disk to have it.

    put/delete/txn ─▶ _waiting ─▶ group.decide ─▶ writer thread: one INSERT, fsync ─▶ _committed
       (callers wait)              (event loop)                                      (event loop)

All decisions are taken on the event loop: a group is formed of whatever waits when the one before
it is durable, judged against the mirror (which is exactly the committed state then), and handed to
the writer thread as finished rows. When the thread reports them durable, one turn of the loop
updates the mirror, feeds the watches and answers the callers, in this order: whoever is told of a
write finds it everywhere. There are no locks, because nothing is shared but the queue of jobs.

Reads of the current state come from the mirror and never wait; reads of the past go to the reader
threads. If a group fails (disk full), its callers get UnwritableError, nothing of it becomes
visible, and everything else goes on.

Queue sizes: QUEUE_LIMIT waiting writes, then BusyError; GROUP_ROWS rows or GROUP_BYTES in a group;
one group at the writer. Files in the directory: store.db with -wal and -shm, store.lock,
store.lineage.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from base.clock import Clock
from control.store.errors import (
    BusyError,
    CompactedError,
    FutureRevisionError,
    StoreClosedError,
)
from control.store.group import Group, Request, decide
from control.store.interface import (
    Change,
    Delete,
    KeyValue,
    Put,
    Range,
    Write,
    check_operations,
)
from control.store.logwatch import LogWatch, publish
from control.store.mirror import Mirror
from control.store.sqlite import backup, log, opening, trim
from control.store.sqlite.readers import Readers
from control.store.sqlite.schema import DATABASE
from control.store.sqlite.writer import OnStep, Writer

QUEUE_LIMIT = 10_000
GROUP_ROWS = 512
GROUP_BYTES = 8 << 20


class _Counters:
    """What statistics() tells beyond sizes."""

    writes = 0
    conflicts = 0
    groups = 0
    failed_groups = 0
    commit_seconds = 0.0
    trimmed_rows = 0


class SqliteStore:
    """Implements control.store.interface.Store. Made by `open`."""

    def __init__(self, opened: opening.Opened, writer: Writer, readers: Readers, clock: Clock):
        self._directory = opened.directory
        self._lock = opened.lock
        self._mirror = Mirror(opened.items, opened.facts.revision)
        self._compacted = opened.facts.compacted
        self._trimmed = opened.facts.trimmed
        self._writer = writer
        self._readers = readers
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Request] = deque()
        self._scheduled = False
        self._committing = False
        self._watches: dict[LogWatch, None] = {}
        self._compaction = asyncio.Lock()
        self._closed = False
        self._idle: asyncio.Future[None] | None = None
        self._counters = _Counters()

    def __repr__(self) -> str:
        return f"SqliteStore({str(self._directory)!r}, revision={self.revision()})"

    @classmethod
    async def open(
        cls, directory: Path, *, clock: Clock, on_step: OnStep = lambda step: None
    ) -> Self:
        """Open the store in `directory`, made if missing. `on_step` is for fault injection.

        Raises UnusableStoreError: in use by another process, damaged, or newer than this program.
        """
        opened = await asyncio.get_running_loop().run_in_executor(
            None, opening.open_directory, directory
        )
        return cls(opened, Writer(opened.connection, on_step), Readers(directory), clock)

    # Reading

    def revision(self) -> int:
        return self._mirror.revision

    async def get(self, key: str, *, revision: int = 0) -> KeyValue | None:
        if self._is_current(revision):
            return self._mirror.get(key)
        return await self._readers.run(log.read_one, key, revision)

    async def range(
        self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0
    ) -> Range:
        if self._is_current(revision):
            return self._mirror.range(prefix, after, limit)
        return await self._readers.run(log.read_range, prefix, after, limit, revision)

    def watch(self, prefix: str, *, after: int) -> LogWatch:
        if self._closed:
            raise StoreClosedError
        watch = LogWatch(self, prefix, after)
        self._watches[watch] = None
        return watch

    async def read_changes(self, prefix: str, after: int, until: int) -> tuple[list[Change], int]:
        """For the watches: a page of the log."""
        return await self._readers.run(log.read_changes, prefix, after, until)

    def forget(self, watch: LogWatch) -> None:
        """For the watches: one has been closed."""
        self._watches.pop(watch, None)

    def _is_current(self, revision: int) -> bool:
        if self._closed:
            raise StoreClosedError
        if revision > self._mirror.revision:
            raise FutureRevisionError(revision, self._mirror.revision)
        if revision and revision < self._compacted:
            raise CompactedError(self._compacted)
        return revision in (0, self._mirror.revision)

    # Writing

    async def put(self, key: str, value: bytes, *, expected: int) -> int:
        return await self.txn((Put(key, value, expected),))

    async def delete(self, key: str, *, expected: int) -> int:
        return await self.txn((Delete(key, expected),))

    async def txn(self, operations: Sequence[Write]) -> int:
        check_operations(operations)
        if self._closed:
            raise StoreClosedError
        if len(self._waiting) >= QUEUE_LIMIT:
            raise BusyError(f"{QUEUE_LIMIT} writes are waiting for the disk", retry_after=1.0)
        request = Request(operations, self._loop.create_future())
        self._waiting.append(request)
        self._schedule()
        return await request.done

    def _schedule(self) -> None:
        # Not at once: the other callers that run in this turn of the loop join the same group.
        if not self._scheduled and not self._committing:
            self._scheduled = True
            self._loop.call_soon(self._start_group)

    def _start_group(self) -> None:
        self._scheduled = False
        group = decide(self._next_requests(), self._mirror)
        self._committing = True
        if not group.changes:
            self._committed(group, None)
            return
        started = self._clock.monotonic()

        def done(_: None, error: Exception | None) -> None:
            self._counters.commit_seconds += self._clock.monotonic() - started
            self._committed(group, error)

        self._writer.append(group.changes, done)

    def _next_requests(self) -> list[Request]:
        requests: list[Request] = []
        rows = size = 0
        while self._waiting and rows < GROUP_ROWS and size < GROUP_BYTES:
            request = self._waiting.popleft()
            requests.append(request)
            rows += len(request.operations)
            size += sum(len(o.value) for o in request.operations if isinstance(o, Put))
        return requests

    def _committed(self, group: Group, error: Exception | None) -> None:
        self._committing = False
        if error:
            self._counters.failed_groups += 1
            group.refuse(error)
        else:
            self._mirror.apply(group.changes)
            if group.changes:
                publish(list(self._watches), group.changes)
            group.accept()
            self._count(group)
        if self._waiting:
            self._schedule()
        elif self._idle and not self._idle.done():
            self._idle.set_result(None)

    def _count(self, group: Group) -> None:
        accepted = sum(isinstance(answer, int) for _, answer in group.answers)
        self._counters.groups += bool(group.changes)
        self._counters.writes += accepted
        self._counters.conflicts += len(group.answers) - accepted

    # Housekeeping

    async def compact(self, revision: int) -> None:
        if self._closed:
            raise StoreClosedError
        if revision > self._mirror.revision:
            raise FutureRevisionError(revision, self._mirror.revision)
        async with self._compaction:
            if revision > self._compacted:
                await self._writer.run(lambda connection: trim.begin(connection, revision))
                self._compacted = revision
            await self._trim()

    async def _trim(self) -> None:
        more = True
        while more and not self._closed:
            begun, before = self._clock.monotonic(), self._trimmed
            self._trimmed, deleted = await self._writer.run(
                lambda connection: trim.step(connection, self._trimmed, self._compacted)
            )
            self._counters.trimmed_rows += deleted
            more = self._trimmed > before or await self._writer.run(trim.release_pages)
            # Half of the disk's time is left to the writers.
            await self._clock.sleep(self._clock.monotonic() - begun)

    async def backup(self, target: Path) -> None:
        """Write a consistent copy to a new file while everything goes on. See `backup.restore`."""
        await self._loop.run_in_executor(None, backup.write_backup, self._directory, target)

    def statistics(self) -> dict[str, float]:
        counters = self._counters
        return {
            "revision": self.revision(),
            "compacted_revision": self._compacted,
            "keys": len(self._mirror),
            "watches": len(self._watches),
            "watches_behind_total": sum(watch.times_behind for watch in self._watches),
            "waiting_writes": len(self._waiting),
            "writes_total": counters.writes,
            "conflicts_total": counters.conflicts,
            "groups_total": counters.groups,
            "failed_groups_total": counters.failed_groups,
            "commit_seconds_total": counters.commit_seconds,
            "trimmed_rows_total": counters.trimmed_rows,
            "broken": float(self._writer.broken is not None),
            "file_bytes": (self._directory / DATABASE).stat().st_size,
        }

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for watch in list(self._watches):
            watch.close()
        if self._waiting or self._committing:
            self._idle = self._loop.create_future()
            await self._idle
        async with self._compaction:
            pass
        await self._loop.run_in_executor(None, self._let_go)

    def _let_go(self) -> None:
        self._readers.close()
        self._writer.stop()
        self._lock.release()
