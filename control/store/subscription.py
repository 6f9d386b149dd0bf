"""One watcher of a watch cache: the events that concern it, in order, never more than it may hold.

A selector is a view: an object that begins to match is ADDED to it, one that no longer does is
DELETED from it, whatever happened to the object itself. So each event is judged with the object
before and after. A DELETED event carries the last object that matched, with the revision of the
change.

A subscription begins in the past: if the cache's ring still has what follows, it is replayed at
once; else the subscription first reads the store's log, page by page as its consumer asks, until it
meets the ring.

Queue size: `capacity` events. A consumer that lets them pile up is closed with a reason (its client
watches again from the last revision it saw); it never blocks the cache nor grows it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from enum import StrEnum
from typing import TYPE_CHECKING, Self

import msgspec

from control.store.cached import Cached
from control.store.interface import Watch

if TYPE_CHECKING:
    from control.store.watchcache import WatchCache

DEFAULT_CAPACITY = 1000

Predicate = Callable[[Cached], bool]


class EventType(StrEnum):
    """The types of watch events; the cache makes the first three."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


class CachedEvent:
    """What a watcher is told. Shared by all watchers that are told the same."""

    __slots__ = ("_conversions", "_forms", "entry", "previous", "type")

    def __init__(self, type_: EventType, entry: Cached, previous: Cached | None) -> None:
        self.type = type_
        self.entry = entry
        self.previous = previous
        self._forms: dict[str, bytes] = {}
        self._conversions: dict[Hashable, asyncio.Future[bytes | None]] | None = None

    def __repr__(self) -> str:
        return f"CachedEvent({self.type}, {self.entry.key!r}, revision={self.revision})"

    @property
    def revision(self) -> int:
        return self.entry.revision

    @property
    def conversions(self) -> dict[Hashable, asyncio.Future[bytes | None]]:
        """The object in other versions, by what tells them apart; few events have any."""
        if self._conversions is None:
            self._conversions = {}
        return self._conversions

    def form(self, name: str, make: Callable[[CachedEvent], bytes]) -> bytes:
        """This event in the encoding `name`, made once for all watchers that want it."""
        encoded = self._forms.get(name)
        if encoded is None:
            encoded = self._forms[name] = make(self)
        return encoded


class Record:
    """One change of one object: the object after it (None: deleted) and before (None: created)."""

    __slots__ = ("_events", "entry", "key", "previous", "revision")

    def __init__(self, revision: int, entry: Cached | None, previous: Cached | None) -> None:
        either = entry or previous
        assert either is not None
        self.key = either.key
        self.revision = revision
        self.entry = entry
        self.previous = previous
        self._events: dict[EventType, CachedEvent] = {}

    def seen_through(self, predicate: Predicate | None) -> CachedEvent | None:
        """What this change is to a watcher of the objects that match."""
        after, before = self.entry, self.previous
        matches = after is not None and (predicate is None or predicate(after))
        matched = before is not None and (predicate is None or predicate(before))
        if matches:
            return self._event(EventType.MODIFIED if matched else EventType.ADDED)
        return self._event(EventType.DELETED) if matched else None

    def _event(self, type_: EventType) -> CachedEvent:
        event = self._events.get(type_)
        if event is None:
            entry = self.entry
            if type_ is EventType.DELETED:
                assert self.previous is not None
                entry = self.previous.at(self.revision)
            assert entry is not None
            event = self._events[type_] = CachedEvent(type_, entry, self.previous)
        return event


class Interest(msgspec.Struct, frozen=True, kw_only=True):
    """What a subscription wants to hear of; all that is given must hold.

    The cache looks at a subscription only for changes under its `key`, else its `where`, else its
    `prefix`: give the narrowest, so that 5,000 agents watching their own pods cost no more than one.
    """

    prefix: str = ""  # all of the key before the name, with its slash; empty: everything
    key: str = ""  # one object
    where: tuple[str, str] | None = None  # an indexed field and its value
    predicate: Predicate | None = None

    def matches(self, entry: Cached) -> bool:
        """Whether an object, whose key is of interest, is part of the view."""
        if self.where is not None and entry.fields.get(self.where[0], "") != self.where[1]:
            return False
        return self.predicate is None or self.predicate(entry)

    def covers(self, key: str) -> bool:
        return key.startswith(self.prefix) and (not self.key or key == self.key)


class Subscription:
    """An asynchronous iterator of events; one consumer. Ends when closed: see `closed_reason`.

    Raises CompactedError if the past it began in is gone.
    """

    def __init__(self, cache: WatchCache, interest: Interest, after: int, capacity: int) -> None:
        self.interest = interest
        self.closed_reason = ""
        self._cache = cache
        self._after = after
        self._capacity = capacity
        self._limit = capacity
        self._events: deque[CachedEvent] = deque()
        self._history: Watch | None = None
        self._waiter: asyncio.Future[None] | None = None
        narrow = interest.where is not None or interest.predicate is not None
        self._predicate = interest.matches if narrow else None

    def __repr__(self) -> str:
        state = self.closed_reason or f"{len(self._events)} waiting"
        return f"Subscription({self.interest!r}, progress={self.progress}, {state})"

    def __len__(self) -> int:
        return len(self._events)

    @property
    def progress(self) -> int:
        """Every event up to this revision has been taken: what a bookmark may say."""
        if self.closed_reason:
            return self._after
        if self._events:
            return max(self._after, self._events[0].revision - 1)
        if self._history is not None:
            return self._history.progress
        return max(self._after, self._cache.revision)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> CachedEvent:
        await self.filled()
        return self._events.popleft()

    async def batch(self) -> list[CachedEvent]:
        """All events that wait, at least one. Raises StopAsyncIteration when closed."""
        await self.filled()
        events = list(self._events)
        self._events.clear()
        return events

    def close(self, reason: str = "closed by its consumer") -> None:
        """End the iteration; events that wait are dropped. Safe to call twice."""
        if self.closed_reason:
            return
        self._after = self.progress  # for good: what waits is dropped
        self.closed_reason = reason
        self._events.clear()
        self._cache.forget(self)
        if self._history is not None:
            self._history.close()
        self._wake()

    # The cache's side

    def begin(self, history: Watch | None) -> None:
        """Called once by the cache. With a `history`, the log is read before the ring is joined."""
        self._history = history
        if history is None:
            self._join()

    def offer(self, record: Record) -> bool:
        """Take an event if it is of interest; True if so."""
        if record.revision <= self._after or not self.interest.covers(record.key):
            return False
        event = record.seen_through(self._predicate)
        if event is None:
            return False
        if len(self._events) >= self._limit:
            self._cache.count_slow()
            self.close(f"the watcher was too slow: {len(self._events)} events were waiting")
            return False
        self._events.append(event)
        self._wake()
        return True

    def _join(self) -> None:
        """Meet the ring: replay what it has after the position reached, then hear live events."""
        self._limit = 1 << 62
        self._cache.replay(self, self._after)
        self._limit = self._capacity + len(self._events)
        self._cache.attach(self)

    async def filled(self) -> None:
        """Wait until there is an event to take. Raises StopAsyncIteration if there never will be."""
        while not self._events:
            self._limit = self._capacity  # a replay larger than that has been taken by now
            if self.closed_reason:
                raise StopAsyncIteration
            if self._history is not None:
                await self._read_history(self._history)
            else:
                await self._wait()

    async def _read_history(self, history: Watch) -> None:
        if self._cache.remembers(history.progress):
            self._history = None
            self._after = max(self._after, history.progress)
            history.close()
            self._join()
            return
        history.request_progress()
        try:
            changes = await anext(history)
        except StopAsyncIteration:
            self.close("the store was closed")
            return
        for change in changes:
            event = self._cache.record(change).seen_through(self._predicate)
            if event is not None and self.interest.covers(change.key):
                self._events.append(event)

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
