"""A watch over a store that keeps its log in reach: live changes from memory, all others by page.

A watch is live while its consumer keeps up: each commit appends to its buffer. When the buffer is
full the watch lets go of it and is *behind*: its consumer is then served pages of the log until it
has caught up. So a slow consumer costs a page at a time, and nothing is ever skipped. To meet the
live changes without a gap, the buffer collects again from the moment whose revision is the end of
the catching up (`_until`); if it overflows meanwhile, the same begins anew.

Queue size: BUFFER_CHANGES changes or BUFFER_BYTES bytes of values, whichever is less.
Belongs to the event loop: `publish` runs between a commit becoming visible and its writers being
told, so a consumer sees nothing that a reader could not see.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, Self

from control.store.errors import StoreError
from control.store.interface import Change

BUFFER_CHANGES = 4096
BUFFER_BYTES = 16 << 20


class Source(Protocol):
    """What a watch needs of its store."""

    def revision(self) -> int: ...

    async def read_changes(self, prefix: str, after: int, until: int) -> tuple[list[Change], int]:
        """A page of changes of whole revisions, and the revision up to which it is complete."""
        ...

    def forget(self, watch: LogWatch) -> None: ...


def publish(watches: Iterable[LogWatch], changes: Sequence[Change]) -> None:
    """Tell the watches what has just become visible: there is one per kind, and most need not know.

    A prefix usually ends at a slash, and then it is one of those that the changed keys have.
    """
    changed = {change.key[:end] for change in changes for end in _cuts(change.key)}
    for watch in watches:
        if watch.prefix in changed or watch.restless or not watch.prefix.endswith("/"):
            watch.publish(changes)


def _cuts(key: str) -> Iterator[int]:
    at = key.find("/") + 1
    while at:
        yield at
        at = key.find("/", at) + 1


class LogWatch:
    """Implements control.store.interface.Watch."""

    def __init__(self, source: Source, prefix: str, after: int) -> None:
        self.prefix = prefix
        self._source = source
        self._after = after
        self._delivered = after
        self._collecting = after >= source.revision()
        self._until = after
        self._buffer: list[Change] = []
        self._buffered_bytes = 0
        self._progress_requested = False
        self._told = -1  # the progress that the last step ended with
        self._closed = False
        self._waiter: asyncio.Future[None] | None = None
        self.times_behind = 0

    def __repr__(self) -> str:
        return f"LogWatch({self.prefix!r}, progress={self.progress}, behind={self._behind})"

    @property
    def _behind(self) -> bool:
        return not self._collecting or self._delivered < self._until

    @property
    def progress(self) -> int:
        if self._closed or self._behind or self._buffer:
            return self._delivered
        return max(self._delivered, self._source.revision())

    @property
    def restless(self) -> bool:
        """Whether to wake its consumer when anything has changed, though it be of no interest."""
        return self._progress_requested or not self._collecting

    def request_progress(self) -> None:
        self._progress_requested = True

    def close(self) -> None:
        if not self._closed:
            self._delivered = self.progress  # for good: what waits is dropped
            self._closed = True
            self._drop_buffer()
            self._source.forget(self)
            self._wake()

    def publish(self, changes: Sequence[Change]) -> None:
        """Take over what matches of the changes that have just become visible."""
        if self._collecting:
            for change in changes:
                if change.key.startswith(self.prefix) and change.revision > self._after:
                    self._collect(change)
        if self._buffer or self.restless:
            self._wake()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[Change]:
        while not self._closed:
            if self._behind:
                if changes := await self._catch_up():
                    return changes
            elif self._buffer:
                return self._take()
            elif self._progress_requested and self.progress > self._told:
                # Only when there is news: who asks again until a revision of the future comes
                # would otherwise be answered at once, again and again, and nobody else runs.
                self._progress_requested = False
                self._told = self.progress
                return []
            else:
                await self._wait()
        raise StopAsyncIteration

    def _collect(self, change: Change) -> None:
        if not self._collecting:
            return  # overflowed earlier in the same group
        if not self._buffer and not self._behind:
            self._delivered = max(self._delivered, change.revision - 1)
        self._buffer.append(change)
        self._buffered_bytes += len(change.value or b"") + len(change.previous or b"")
        if len(self._buffer) > BUFFER_CHANGES or self._buffered_bytes > BUFFER_BYTES:
            self._collecting = False
            self._drop_buffer()
            self.times_behind += 1

    def _take(self) -> list[Change]:
        changes = self._buffer
        self._drop_buffer()
        self._delivered = self._source.revision()
        return changes

    def _drop_buffer(self) -> None:
        self._buffer = []
        self._buffered_bytes = 0

    async def _catch_up(self) -> list[Change]:
        if not self._collecting:
            self._collecting = True
            self._until = self._source.revision()
        try:
            changes, complete = await self._source.read_changes(
                self.prefix, self._delivered, self._until
            )
        except StoreError:
            self.close()
            raise
        self._delivered = complete
        return changes

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
