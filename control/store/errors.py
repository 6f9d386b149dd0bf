"""What can go wrong in the store, said once for every implementation.

    StoreError
    ├── ConflictError          the key is not at the expected revision; carries what is there now
    ├── CompactedError         the revision asked for was compacted away; carries the oldest one left
    ├── FutureRevisionError    the revision asked for has not happened yet
    ├── UnwritableError        writing failed (disk full, read-only, I/O error): reading goes on
    ├── BusyError              too many writes are waiting already
    ├── StoreClosedError       closed while the request was waiting, or before
    └── UnusableStoreError     cannot be opened: the message says why, the hint what to do
        ├── LockedError        another process has it open
        └── SchemaError        written by a newer podwright, or not by podwright at all

Whether a write that failed with UnwritableError or StoreClosedError happened is not known to the
caller: it must read before it tries again, as after any lost answer. None of the others wrote.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from base.errors import PermanentError, PodwrightError, TemporaryError

if TYPE_CHECKING:
    from control.store.interface import KeyValue


class StoreError(PodwrightError):
    """Any error of the store."""


class ConflictError(StoreError):
    """The key was not at the expected revision. `current` is what a reader finds there now."""

    def __init__(self, key: str, current: KeyValue | None) -> None:
        found = f"is at revision {current.mod_revision}" if current else "does not exist"
        super().__init__(f"{key} {found}, which is not what the write expected")
        self.key = key
        self.current = current


class CompactedError(StoreError):
    """History before `oldest` is gone. Lists at `oldest` and watches after it still work."""

    def __init__(self, oldest: int) -> None:
        super().__init__(f"this revision has been compacted; the oldest one left is {oldest}")
        self.oldest = oldest


class FutureRevisionError(StoreError):
    """The revision has not happened yet; the store is at `current`."""

    def __init__(self, revision: int, current: int) -> None:
        super().__init__(f"revision {revision} has not happened yet; the store is at {current}")
        self.revision = revision
        self.current = current


class UnwritableError(StoreError, TemporaryError):
    """The database refused the write. Reads and watches go on; a later write may succeed."""


class BusyError(StoreError, TemporaryError):
    """More writes are waiting than the store takes; nothing was written."""


class StoreClosedError(StoreError):
    """The store is closed."""

    def __init__(self) -> None:
        super().__init__("the store is closed")


class UnusableStoreError(StoreError, PermanentError):
    """The store cannot be opened as it is."""


class LockedError(UnusableStoreError):
    """Another process has this store open."""


class SchemaError(UnusableStoreError):
    """The file is not a store of this version of podwright."""
