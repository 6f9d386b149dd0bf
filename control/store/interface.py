"""The store as the control plane sees it: keys, values, and one revision that orders everything.

Every accepted write makes the revision larger by one, and no revision is ever given twice, not
after a crash, a compaction or a restore. A fresh store is at revision 1, so that a client never
meets 0, which means "not set" in the API. A write says which revision the key must be at (0: must
not exist), so that of two writers who read the same object exactly one wins.

The promises a watch makes, which the same suite tests on every implementation:
  - every change after `after` exactly once, in order, and never half of a transaction;
  - `progress` never overtakes a change that was not handed out;
  - history that was compacted is an error, never a gap.

Values are bytes to the store. Revisions older than the last compaction cannot be read: `compact(N)`
keeps the state at N and every change after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, Self

import msgspec

FIRST_REVISION = 1  # of a store in which nothing was ever written
MAX_TXN_OPERATIONS = 1024


class KeyValue(msgspec.Struct, frozen=True, gc=False):
    """A key that exists, as of some revision."""

    key: str
    value: bytes
    create_revision: int
    mod_revision: int


class Change(msgspec.Struct, frozen=True, gc=False):
    """One key of one accepted write. `value` None: deleted. `previous` None: created."""

    key: str
    value: bytes | None
    previous: bytes | None
    revision: int
    create_revision: int
    previous_revision: int


class Put(msgspec.Struct, frozen=True, gc=False):
    """Set `key`, which must be at revision `expected` (0: must not exist)."""

    key: str
    value: bytes
    expected: int


class Delete(msgspec.Struct, frozen=True, gc=False):
    """Delete `key`, which must exist and be at revision `expected`."""

    key: str
    expected: int


class Amend(msgspec.Struct, frozen=True, gc=False):
    """Rewrite `key`, which must exist, from whatever it is when the write's turn comes.

    For totals that many writes change: none of them loses a race, and they share a group. `change`
    gets the current value and gives the new one at once; what it raises is the transaction's end, and
    the caller's answer.
    """

    key: str
    change: Callable[[KeyValue], bytes]


Write = Put | Delete | Amend


class Range(msgspec.Struct, frozen=True, gc=False):
    """A page of keys in order, all as of `revision`; `remaining` more keys follow it."""

    items: list[KeyValue]
    revision: int
    remaining: int


class Watch(Protocol):
    """An endless iterator of batches of changes. One consumer.

    A consumer that is slow costs a bounded buffer, after which it is served from the log; if it is
    slower than compaction, it gets CompactedError. The iteration ends when either side is closed.
    """

    @property
    def progress(self) -> int:
        """Every change up to this revision that matches has been handed out. Never decreases."""
        ...

    def request_progress(self) -> None:
        """Ask for an empty batch where nothing matches, once `progress` is beyond the last one's."""
        ...

    def close(self) -> None: ...

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> list[Change]: ...


class Store(Protocol):
    """A revisioned key-value store. All methods belong to one event loop.

    When a write returns, it is durable, and `revision`, `get`, `range` and every watch know of it.
    A write whose caller is cancelled may still happen.
    """

    async def get(self, key: str, *, revision: int = 0) -> KeyValue | None:
        """The key now, or as of `revision`. Raises CompactedError, FutureRevisionError."""
        ...

    async def range(
        self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0
    ) -> Range:
        """Keys that begin with `prefix` and sort after `after`, at most `limit` (0: all).

        The pages of a listing are one snapshot when each asks for the revision of the first.
        Raises CompactedError, FutureRevisionError.
        """
        ...

    async def put(self, key: str, value: bytes, *, expected: int) -> int:
        """Write one key; returns the new revision. Raises ConflictError, UnwritableError."""
        ...

    async def delete(self, key: str, *, expected: int) -> int:
        """Delete one key; returns the new revision. Raises ConflictError, UnwritableError."""
        ...

    async def txn(self, operations: Sequence[Write]) -> int:
        """Several keys under one revision: all, or none if one is not as expected.

        Raises ConflictError for the first that is not, and whatever an amendment raises. A key may
        stand in it only once.
        """
        ...

    def watch(self, prefix: str, *, after: int) -> Watch:
        """Changes of keys beginning with `prefix`, of revisions greater than `after`.

        0 is the beginning of history like any other past revision. CompactedError comes from the
        iteration, because not every store knows at once.
        """
        ...

    async def compact(self, revision: int) -> None:
        """Forget history before `revision`. Older than the last compaction: nothing to do."""
        ...

    def revision(self) -> int:
        """The revision of the last write that is durable and visible."""
        ...

    def statistics(self) -> Mapping[str, float]: ...

    async def close(self) -> None:
        """Finish the writes that are waiting, then let go of everything. Safe to call twice."""
        ...


def check_operations(operations: Sequence[Write]) -> None:
    """Refuse a transaction that could not mean anything, before it waits in line."""
    if not 0 < len(operations) <= MAX_TXN_OPERATIONS:
        raise ValueError(f"a transaction has 1 to {MAX_TXN_OPERATIONS} operations")
    if len({operation.key for operation in operations}) != len(operations):
        raise ValueError("a key stands twice in one transaction")
    for operation in operations:
        if not operation.key:
            raise ValueError("a key cannot be empty")
        if isinstance(operation, Amend):
            continue
        if operation.expected < 0 or (isinstance(operation, Delete) and operation.expected == 0):
            raise ValueError(f"{operation.key}: {operation.expected} cannot be expected")
