"""A store in memory, with the same promises except the disk: for unit tests of what uses a store.

It passes the same suite as the real ones. Writes are judged by the same pure function, one group
per write; the whole log is kept until compaction. Not for use with real data.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Sequence

from control.store.errors import CompactedError, FutureRevisionError, StoreClosedError
from control.store.group import Request, decide
from control.store.interface import (
    FIRST_REVISION,
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

_PAGE = 100


class MemoryStore:
    """Implements control.store.interface.Store."""

    def __init__(self) -> None:
        self._mirror = Mirror((), FIRST_REVISION)
        self._log: list[Change] = []
        # The state at the compacted revision, from which the log leads to any later one.
        self._base: dict[str, KeyValue] = {}
        self._compacted = 0
        self._watches: dict[LogWatch, None] = {}
        self._closed = False

    def revision(self) -> int:
        return self._mirror.revision

    async def get(self, key: str, *, revision: int = 0) -> KeyValue | None:
        return self._at(revision).get(key)

    async def range(
        self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0
    ) -> Range:
        return self._at(revision).range(prefix, after, limit)

    async def put(self, key: str, value: bytes, *, expected: int) -> int:
        return await self.txn((Put(key, value, expected),))

    async def delete(self, key: str, *, expected: int) -> int:
        return await self.txn((Delete(key, expected),))

    async def txn(self, operations: Sequence[Write]) -> int:
        check_operations(operations)
        self._check_open()
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        group = decide([Request(operations, done)], self._mirror)
        self._mirror.apply(group.changes)
        self._log.extend(group.changes)
        publish(list(self._watches), group.changes)
        group.accept()
        return await done

    def watch(self, prefix: str, *, after: int) -> LogWatch:
        self._check_open()
        watch = LogWatch(self, prefix, after)
        self._watches[watch] = None
        return watch

    async def read_changes(self, prefix: str, after: int, until: int) -> tuple[list[Change], int]:
        self._check_history(after)
        changes: list[Change] = []
        for change in self._log[self._position(after + 1) : self._position(until + 1)]:
            if len(changes) >= _PAGE and change.revision != changes[-1].revision:
                return changes, changes[-1].revision
            if change.key.startswith(prefix):
                changes.append(change)
        return changes, until

    def forget(self, watch: LogWatch) -> None:
        self._watches.pop(watch, None)

    async def compact(self, revision: int) -> None:
        if revision <= self._compacted:
            return
        state = self._at(revision)
        self._base = {item.key: item for item in state.range("", "", 0).items}
        self._compacted = revision
        del self._log[: self._position(revision + 1)]

    def statistics(self) -> dict[str, float]:
        return {
            "revision": self.revision(),
            "compacted_revision": self._compacted,
            "keys": len(self._mirror),
            "watches": len(self._watches),
        }

    async def close(self) -> None:
        self._closed = True
        for watch in list(self._watches):
            watch.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosedError

    def _check_history(self, revision: int) -> None:
        if revision < self._compacted:
            raise CompactedError(self._compacted)

    def _position(self, revision: int) -> int:
        return bisect_left(self._log, revision, key=lambda change: change.revision)

    def _at(self, revision: int) -> Mirror:
        self._check_open()
        if revision > self.revision():
            raise FutureRevisionError(revision, self.revision())
        if revision in (0, self.revision()):
            return self._mirror
        self._check_history(revision)
        state = Mirror(self._base.values(), revision)
        state.apply(self._log[: self._position(revision + 1)])
        state.revision = revision
        return state
