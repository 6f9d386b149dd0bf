"""The watch cache: step 2 of a pod's life, from a change in the store to everyone who watches.

One cache per resource. Its task follows the store's watch of the resource's prefix; for each change
it splices in the resourceVersion, asks once for labels and fields, and hands the same event to every
subscription that it concerns. Lists and gets are answered from here, too, so that they cost neither
the database nor an encoding.

Concurrency: everything on one event loop; `run` is the only task, and no state changes except in
it. So a caller that takes `items()`, `revision` and a `subscribe` without awaiting in between has a
snapshot and every change after it. Applying a large batch gives the loop back every few
milliseconds, but only between revisions.

Read your own writes: a caller waits with `wait_for(store.revision())` before it reads.

Queue sizes: the ring keeps RING_EVENTS recent changes or RING_BYTES of objects, for watchers that
begin in the recent past; those of earlier times read the store's log. After a restart the ring is
filled from the log, so that clients who come back find their place. See `subscription` for theirs.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Iterable

from control.store.cached import Cached, Extract, Objects, render
from control.store.errors import CompactedError, StoreClosedError
from control.store.interface import FIRST_REVISION, Change, KeyValue, Range, Store, Watch
from control.store.subscription import DEFAULT_CAPACITY, Interest, Record, Subscription

RING_EVENTS = 4096
RING_BYTES = 16 << 20

# How far before the present a cache begins, in revisions, for the sake of its ring.
HISTORY = 10_000

# The longest the cache's task holds the event loop.
_SLICE_SECONDS = 0.005


class WatchCache:
    """The objects under `prefix`, and the changes to them. `indexed` names fields to look up by.

    `prepare` makes what is shown of what is stored, where that is not the same.
    """

    def __init__(
        self,
        store: Store,
        prefix: str,
        extract: Extract,
        *,
        indexed: Iterable[str] = (),
        prepare: Callable[[bytes], bytes] | None = None,
        ring_events: int = RING_EVENTS,
        ring_bytes: int = RING_BYTES,
        history: int = HISTORY,
    ) -> None:
        self.prefix = prefix
        self._store = store
        self._extract = extract
        self._prepare = prepare
        self._indexed = tuple(indexed)
        self._objects = Objects(self._indexed)
        self._watch: Watch | None = None
        self._applied = 0
        self._applying = False
        self._ring: deque[Record] = deque()
        self._ring_bytes = 0
        self._ring_after = 0  # every change after this revision is in the ring
        self._max_ring_events = ring_events
        self._max_ring_bytes = ring_bytes
        self._history = history
        self._subscriptions: dict[Hashable, dict[Subscription, None]] = {}
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._loaded = asyncio.Event()
        self._events_total = 0
        self._delivered_total = 0
        self._slow_total = 0

    def __repr__(self) -> str:
        return f"WatchCache({self.prefix!r}, {len(self._objects)} objects, {self.revision})"

    # Reading

    @property
    def revision(self) -> int:
        """Every change up to this revision is in what the cache shows. 0: nothing loaded yet."""
        if self._watch is None or self._applying:
            return self._applied
        return max(self._applied, self._watch.progress)

    @property
    def size(self) -> int:
        """How many objects there are."""
        return len(self._objects)

    def get(self, key: str) -> Cached | None:
        return self._objects.get(key)

    def items(self, prefix: str = "", *, after: str = "", limit: int = 0) -> list[Cached]:
        """Objects in the order of their keys; `prefix` of a namespace visits no other."""
        found: list[Cached] = []
        for entry in self._objects.iterate(prefix or self.prefix, after):
            found.append(entry)
            if len(found) == limit:
                break
        return found

    def count(self, prefix: str = "", *, after: str = "") -> int:
        """How many objects `items` would give without a limit."""
        return self._objects.count(prefix or self.prefix, after)

    def where(self, field: str, value: str) -> list[Cached]:
        """The objects with this value in an indexed field, in the order of their keys."""
        return self._objects.where(field, value)

    def render(self, item: KeyValue) -> Cached:
        """An object that was read from the store at an older revision, in the cache's form."""
        if self._prepare is not None:
            shown = self._prepare(item.value)
            item = KeyValue(item.key, shown, item.create_revision, item.mod_revision)
        return render(item, self._extract)

    async def wait_for(self, revision: int, timeout: float | None = None) -> None:
        """Return once `revision` is reached. Raises TimeoutError."""
        if self.revision >= revision:
            return
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((revision, reached))
        if self._watch is not None:
            self._watch.request_progress()
        async with asyncio.timeout(timeout):
            await reached

    async def synced(self) -> None:
        """Wait until the cache has caught up with the store as it is now."""
        await self._loaded.wait()
        await self.wait_for(self._store.revision())

    # Watching

    def subscribe(
        self, after: int, interest: Interest | None = None, *, capacity: int = DEFAULT_CAPACITY
    ) -> Subscription:
        """Every event of interest after the revision `after`, once, in order.

        After the present: nothing that is older. Before the oldest revision in the store's log:
        the iteration raises CompactedError.
        """
        interest = interest or Interest()
        if interest.prefix and not interest.prefix.endswith("/"):
            raise ValueError(f"{interest.prefix} is not the prefix of a namespace")
        if interest.where is not None and interest.where[0] not in self._indexed:
            raise ValueError(f"{interest.where[0]} is not indexed")
        subscription = Subscription(self, interest, after, capacity)
        past = None
        if not self.remembers(after):
            past = self._store.watch(interest.prefix or self.prefix, after=after)
        subscription.begin(past)
        return subscription

    # For subscriptions

    def remembers(self, revision: int) -> bool:
        """Whether the ring has every change after `revision`."""
        return revision >= self._ring_after and self._loaded.is_set()

    def replay(self, subscription: Subscription, after: int) -> None:
        """Offer what the ring has after a revision that it remembers."""
        recent: list[Record] = []
        for record in reversed(self._ring):
            if record.revision <= after:
                break
            recent.append(record)
        for record in reversed(recent):
            subscription.offer(record)

    def attach(self, subscription: Subscription) -> None:
        """Offer every further change that may be of interest."""
        topic = self._topic(subscription.interest)
        self._subscriptions.setdefault(topic, {})[subscription] = None

    def forget(self, subscription: Subscription) -> None:
        topic = self._topic(subscription.interest)
        group = self._subscriptions.get(topic, {})
        group.pop(subscription, None)
        if not group:
            self._subscriptions.pop(topic, None)

    def record(self, change: Change) -> Record:
        """A change of the store's log, with both objects made anew."""
        previous = None
        if change.previous is not None:
            previous = self._render(change.key, change.previous, change.previous_revision)
        entry = None
        if change.value is not None:
            entry = self._render(change.key, change.value, change.revision)
        return Record(change.revision, entry, previous)

    def count_slow(self) -> None:
        self._slow_total += 1

    # Following the store

    async def run(self) -> None:
        """Load and follow until the store is closed. Started once, under a task guard."""
        try:
            while True:
                try:
                    await self._load()
                    await self._follow()
                    return
                except CompactedError:
                    # Slower than the whole time between compactions: begin anew. What was loaded
                    # stays readable meanwhile, but watchers have missed events.
                    self._loaded.clear()
                    self._close_subscriptions("the history it was following has been compacted")
                except StoreClosedError:
                    return  # closed while loading
        finally:
            self._close_subscriptions("the store was closed")
            for _, reached in self._waiters:
                if not reached.done():
                    reached.set_exception(StoreClosedError())
            if self._watch is not None:
                self._watch.close()

    async def _load(self) -> None:
        self._applied, self._watch = self.revision, None
        begin = await self._read_all()
        entries: list[Cached] = []
        slice_ = _Slice()
        for item in begin.items:
            now = await self._store.get(item.key)
            same = now is not None and now.mod_revision == item.mod_revision
            entries.append(self.render(now if same and now is not None else item))  # one copy
            await slice_.pause()
        self._objects = Objects(self._indexed, entries)
        self._ring.clear()
        self._ring_bytes = 0
        self._applied = self._ring_after = begin.revision
        self._watch = self._store.watch(self.prefix, after=begin.revision)
        self._loaded.set()
        self._release_waiters()

    async def _read_all(self) -> Range:
        revision = max(FIRST_REVISION, self._store.revision() - self._history)
        while True:
            try:
                return await self._store.range(self.prefix, revision=revision)
            except CompactedError as error:
                revision = error.oldest

    async def _follow(self) -> None:
        assert self._watch is not None
        async for changes in self._watch:
            if changes:
                self._applied = max(self._applied, changes[0].revision - 1)
            self._applying = True
            slice_ = _Slice()
            for change in changes:
                if change.revision != self._applied:
                    await slice_.pause()
                self._apply(change)
            self._applying = False
            self._release_waiters()

    def _apply(self, change: Change) -> None:
        if change.value is None:
            entry = None
            previous: Cached | None = self._objects.remove(change.key)
        else:
            entry = self._render(change.key, change.value, change.revision)
            previous = self._objects.set(entry)
        self._applied = change.revision
        record = Record(change.revision, entry, previous)
        self._remember(record)
        self._dispatch(record)

    def _render(self, key: str, value: bytes, revision: int) -> Cached:
        return self.render(KeyValue(key, value, 0, revision))

    def _remember(self, record: Record) -> None:
        self._events_total += 1
        self._ring.append(record)
        self._ring_bytes += _weight(record)
        while len(self._ring) > self._max_ring_events or self._ring_bytes > self._max_ring_bytes:
            oldest = self._ring.popleft()
            self._ring_bytes -= _weight(oldest)
            self._ring_after = oldest.revision

    def _dispatch(self, record: Record) -> None:
        namespace = record.key[: record.key.rfind("/") + 1]
        topics: dict[Hashable, None] = dict.fromkeys(("", record.key, namespace))
        if record.entry is not None:
            topics.update(dict.fromkeys(self._objects.topics(record.entry)))
        if record.previous is not None:
            topics.update(dict.fromkeys(self._objects.topics(record.previous)))
        for topic in topics:
            if group := self._subscriptions.get(topic):
                for subscription in list(group):
                    self._delivered_total += subscription.offer(record)

    def _topic(self, interest: Interest) -> Hashable:
        if interest.key:
            return interest.key
        if interest.where is not None:
            return interest.where
        return "" if interest.prefix == self.prefix else interest.prefix

    def _release_waiters(self) -> None:
        revision = self.revision
        waiting = []
        for wanted, reached in self._waiters:
            if reached.done():
                continue  # timed out
            if revision >= wanted:
                reached.set_result(None)
            else:
                waiting.append((wanted, reached))
        self._waiters = waiting
        if waiting and self._watch is not None:
            self._watch.request_progress()

    def end(self, reason: str) -> None:
        """Let go of every watcher, because what they watch is no longer served."""
        self._close_subscriptions(reason)

    def _close_subscriptions(self, reason: str) -> None:
        for group in list(self._subscriptions.values()):
            for subscription in list(group):
                subscription.close(reason)

    def statistics(self) -> dict[str, float]:
        return {
            "objects": len(self._objects),
            "revision": self.revision,
            "ring_events": len(self._ring),
            "ring_bytes": self._ring_bytes,
            "ring_after_revision": self._ring_after,
            "subscriptions": sum(len(group) for group in self._subscriptions.values()),
            "waiting_reads": len(self._waiters),
            "events_total": self._events_total,
            "delivered_total": self._delivered_total,
            "slow_watchers_total": self._slow_total,
        }


class _Slice:
    """Gives the event loop back when the time of this slice is over."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = self._loop.time() + _SLICE_SECONDS

    async def pause(self) -> None:
        if self._loop.time() > self._end:
            await asyncio.sleep(0)
            self._end = self._loop.time() + _SLICE_SECONDS


def _weight(record: Record) -> int:
    # Most objects are the entry of one record and the previous one of the next: counted twice, so
    # the ring holds less than it may, never more.
    return sum(len(side.value) for side in (record.entry, record.previous) if side is not None)
