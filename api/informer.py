"""A cache of one kind, kept current by list and watch, that tells its subscribers what changed.

Serves the scheduler, the controllers and the agent: each sees the world through informers and never
asks the API in a loop. `run` lists page by page, then watches from the revision of the list. A
broken connection resumes the watch where it was; only a revision that is no longer kept (410) makes
it list again, and then the difference is told as ordinary changes, deletions included.

Concurrency: one event loop. `run` is one task, started by the owner's guard; handlers are plain
functions called from it one after the other, so they only note keys and never wait. A handler that
raises ends `run`, and the guard ends the process: a consumer that missed a change must not live on.
No queue: changes are handed over at once; the watch's backlog is the server's to bound.

Invariants: objects in the cache are shared and never mutated; a subscriber sees each object come
before it changes and change before it goes; an object that was deleted and made again under the
same name is told as gone and come, never as changed, because its identity is its uid.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Generic, TypeVar

from api import errors, objects
from api.errors import ApiError
from api.interface import Client, WatchEvent
from api.objects import Key
from api.struct import ApiStruct
from base.clock import Clock
from base.errors import PodwrightError, TemporaryError

log = logging.getLogger(__name__)

T = TypeVar("T", bound=ApiStruct)

PAGE = 500
WATCH_SECONDS = (300.0, 600.0)  # random between these, so that watches do not all end at once
BACKOFF_FIRST = 0.2
BACKOFF_MAX = 30.0
SHORT_WATCH = 1.0  # seconds: one that ends sooner, empty, counts as a failure

Handler = Callable[[T | None, T | None], None]
"""Called with (old, new): (None, new) came, (old, new) changed, (old, None) is gone."""
Index = Callable[[T], Iterable[str]]


class Informer(Generic[T]):
    """List, watch, cache, tell. Subscribe first, then run."""

    def __init__(
        self,
        client: Client,
        type_: type[T],
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        clock: Clock,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._type = type_
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._clock = clock
        self._jitter = jitter
        self._objects: dict[Key, T] = {}
        self._handlers: list[Handler[T]] = []
        self._indexes: dict[str, tuple[Index[T], dict[str, dict[Key, T]]]] = {}
        self._revision = ""
        self._synced = asyncio.Event()
        self._failures = 0
        self._lists = 0
        self._watches = 0
        self._events = 0

    def __repr__(self) -> str:
        return (
            f"Informer({self._type.__name__}, objects={len(self._objects)}, "
            f"synced={self._synced.is_set()})"
        )

    def subscribe(self, handler: Handler[T]) -> None:
        """Call `handler` for every change; what is cached already is told at once."""
        self._handlers.append(handler)
        for obj in list(self._objects.values()):
            handler(None, obj)

    def add_index(self, name: str, values: Index[T]) -> None:
        """Keep objects findable by the values that `values` gives for each of them."""
        table: dict[str, dict[Key, T]] = {}
        self._indexes[name] = (values, table)
        for key, obj in self._objects.items():
            for value in values(obj):
                table.setdefault(value, {})[key] = obj

    @property
    def has_synced(self) -> bool:
        """Whether the first list is complete."""
        return self._synced.is_set()

    @property
    def resource_version(self) -> str:
        """The revision the cache shows; empty before the first list."""
        return self._revision

    def shows(self, resource_version: str) -> bool:
        """Whether the cache is as new as a write that gave this version.

        So an object of that version that is not in it has been deleted since.
        """
        return int(self._revision or 0) >= int(resource_version or 0)

    async def synced(self) -> None:
        """Wait until the first list is complete and was told to the subscribers."""
        await self._synced.wait()

    def get(self, name: str, namespace: str = "") -> T | None:
        """One object of the cache."""
        return self._objects.get(Key(namespace, name))

    def items(self, namespace: str = "") -> list[T]:
        """All objects of the cache, or those of one namespace."""
        if not namespace:
            return list(self._objects.values())
        return [obj for key, obj in self._objects.items() if key.namespace == namespace]

    def by_index(self, name: str, value: str) -> list[T]:
        """The objects that the index `name` filed under `value`."""
        return list(self._indexes[name][1].get(value, {}).values())

    def count(self, name: str, value: str) -> int:
        """How many objects `by_index` would give."""
        return len(self._indexes[name][1].get(value, ()))

    def statistics(self) -> dict[str, float]:
        return {
            "objects": len(self._objects),
            "synced": self._synced.is_set(),
            "lists": self._lists,
            "watches": self._watches,
            "events": self._events,
            "failures_in_a_row": self._failures,
        }

    async def run(self) -> None:
        """List and watch until cancelled."""
        listed = False
        while True:
            try:
                if not listed:
                    await self._list()
                    listed = True
                await self._watch()
            except PodwrightError as error:
                if errors.is_gone(error):
                    listed = False
                    log.info("%s: revision %s is gone", self._name, self._revision)
                    if not self._failures:  # at once the first time; again and again must not spin
                        self._failures = 1
                        continue
                await self._back_off(error)

    @property
    def _name(self) -> str:
        return f"informer of {self._type.__name__}"

    async def _back_off(self, error: PodwrightError) -> None:
        delay = min(BACKOFF_MAX, BACKOFF_FIRST * 2 ** min(self._failures, 16))
        delay *= 0.5 + self._jitter()
        if isinstance(error, ApiError | TemporaryError):
            delay = max(delay, error.retry_after or 0.0)
        self._failures += 1
        log.warning("%s: %s; next try in %.1f s", self._name, error, delay)
        await self._clock.sleep(delay)

    async def _list(self) -> None:
        found: dict[Key, T] = {}
        continue_ = ""
        while True:
            page = await self._client.list(
                self._type,
                self._namespace,
                label_selector=self._label_selector,
                field_selector=self._field_selector,
                limit=PAGE,
                continue_=continue_,
            )
            found.update((objects.key(obj), obj) for obj in page.items)
            continue_ = page.continue_
            if not continue_:
                break
        self._lists += 1
        self._revision = page.resource_version
        self._replace(found)
        self._synced.set()

    def _replace(self, found: dict[Key, T]) -> None:
        for key in [key for key in self._objects if key not in found]:
            self._remove(key, self._objects[key])
        for key, obj in found.items():
            self._put(key, obj)

    async def _watch(self) -> None:
        shortest, longest = WATCH_SECONDS
        began = self._clock.monotonic()
        before = self._events
        self._watches += 1
        events = self._client.watch(
            self._type,
            self._namespace,
            resource_version=self._revision,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            timeout=shortest + (longest - shortest) * self._jitter(),
        )
        try:
            async for event in events:
                self._failures = 0
                self._events += 1
                self._apply(event)
        finally:
            # A handler that raised leaves the generator open, and with it its connection.
            if isinstance(events, AsyncGenerator):
                await events.aclose()
        if self._events == before and self._clock.monotonic() - began < SHORT_WATCH:
            raise PodwrightError("the watch ended at once, without an event")
        self._failures = 0

    def _apply(self, event: WatchEvent[T]) -> None:
        if event.object is not None:
            key = objects.key(event.object)
            if event.type == "DELETED":
                self._remove(key, event.object)
            else:
                self._put(key, event.object)
        # Last: a cancelled or failed hand-over must be repeated, not skipped.
        self._revision = event.resource_version

    def _put(self, key: Key, new: T) -> None:
        old = self._objects.get(key)
        if old is not None:
            before, after = objects.meta(old), objects.meta(new)
            if before.uid != after.uid:
                self._remove(key, old)
                old = None
            elif before.resource_version == after.resource_version != "":
                return  # seen already, before a list or a watch began anew
        self._objects[key] = new
        self._reindex(key, old, new)
        for handler in self._handlers:
            handler(old, new)

    def _remove(self, key: Key, last: T) -> None:
        """Forget an object; subscribers get its last state, which may be newer than the cache."""
        old = self._objects.pop(key, None)
        if old is None:
            return
        self._reindex(key, old, None)
        for handler in self._handlers:
            handler(last, None)

    def _reindex(self, key: Key, old: T | None, new: T | None) -> None:
        for values, table in self._indexes.values():
            for value in values(old) if old is not None else ():
                bucket = table.get(value)
                if bucket is not None:
                    bucket.pop(key, None)
                    if not bucket:
                        del table[value]
            for value in values(new) if new is not None else ():
                table.setdefault(value, {})[key] = new  # type: ignore[assignment]
