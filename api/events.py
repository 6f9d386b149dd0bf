"""Events: what happened to an object, told to people, without ever slowing the work down.

Serves every step of the pod's walk: `kubectl describe pod` ends with them. `event()` puts a record
into a queue and returns; `run` drains it. Repeats are told as client-go tells them: the same event
again is a PATCH of its count, more than ten that differ only in their message within ten minutes
become one "(combined from similar events)", and an object that makes too many is cut short (25 at
once, then one in five minutes).

Concurrency: one event loop; `run` is one task under the owner's guard. What is told of one object is
delivered in order, of several at the same time (`at_once`), so that whoever places a thousand pods a
second does not wait for the disk a thousand times. Queue: 1,000 records; what does not fit is dropped
and counted. The memory of what was told: 4,096 entries each. An event that
cannot be delivered is tried 12 times, 10 s apart, as client-go does, then dropped.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from api import objects, timestamps
from api.core.event import Event, EventSource
from api.core.references import ObjectReference
from api.errors import ApiError, is_not_found
from api.interface import Client
from api.meta import ObjectMeta
from api.struct import ApiStruct
from base.clock import Clock
from base.errors import PodwrightError
from base.tasks import TaskGuard

log = logging.getLogger(__name__)

QUEUE = 1000
REMEMBERED = 4096
MESSAGE_BYTES = 1024
TRIES = 12
RETRY_SECONDS = 10.0
SIMILAR_MAX = 10
SIMILAR_SECONDS = 600.0
BURST = 25
REFILL_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Record:
    """What `event()` was told, with the moment."""

    about: ObjectReference
    type: str
    reason: str
    message: str
    when: str
    update: bool = False
    annotations: Mapping[str, str] = field(default_factory=dict)


class EventRecorder:
    """Tells events about objects on behalf of one component on one host."""

    def __init__(
        self, client: Client, component: str, host: str = "", *, clock: Clock, at_once: int = 1
    ) -> None:
        self._client = client
        self._component = component
        self._host = host
        self._clock = clock
        self._queue: asyncio.Queue[Record] = asyncio.Queue()
        self._queued = 0
        self._slots = asyncio.Semaphore(at_once)
        self._following: dict[_Subject, deque[Record]] = {}
        """What is still to be told of the objects of which something is being delivered."""
        self._told: _Memory[_Told] = _Memory(REMEMBERED)
        self._similar: _Memory[_Similar] = _Memory(REMEMBERED)
        self._buckets: _Memory[_Bucket] = _Memory(REMEMBERED)
        self._last_nanosecond = 0
        self._sent = 0
        self._dropped = 0
        self._cut_short = 0

    def __repr__(self) -> str:
        return f"EventRecorder({self._component!r}, queued={self._queued})"

    def event(
        self,
        obj: ApiStruct,
        type_: str,
        reason: str,
        message: str,
        *,
        field_path: str = "",
        update: bool = False,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        """Tell that `reason` happened to `obj` (an object or an ObjectReference). Never waits.

        With `update` it is news of something that goes on: it takes the place of what was told with
        `update` before, as one event that is counted, whatever the messages say.
        """
        if isinstance(obj, ObjectReference):
            about = obj
        else:
            about = objects.reference(obj, field_path=field_path)
        when = timestamps.now_string(self._clock)
        record = Record(about, type_, reason, _cut(message), when, update, annotations or {})
        if self._queued >= QUEUE:
            self._dropped += 1
            return
        self._queued += 1
        self._queue.put_nowait(record)

    async def run(self) -> None:
        """Deliver events until cancelled."""
        async with TaskGuard(f"events of {self._component}") as guard:
            await self._hand_out(guard)

    async def _hand_out(self, guard: TaskGuard) -> None:
        while True:
            record = await self._queue.get()
            subject = _subject(record)
            if subject in self._following:
                self._following[subject].append(record)
                continue
            self._following[subject] = deque([record])
            await self._slots.acquire()
            guard.start(self._tell(subject), name=record.about.name)

    async def _tell(self, subject: _Subject) -> None:
        """Deliver what is told of one object, and what comes meanwhile."""
        following = self._following[subject]
        try:
            while following:
                self._queued -= 1
                record = following.popleft()
                try:
                    await self._deliver(record)
                except Exception:  # an odd one must not end the others
                    self._dropped += 1
                    log.exception("event %s about %s not delivered", record.reason, subject)
                finally:
                    self._queue.task_done()
        finally:
            del self._following[subject]
            self._slots.release()

    async def flush(self) -> None:
        """Wait until everything told so far was delivered or dropped."""
        await self._queue.join()

    def statistics(self) -> dict[str, float]:
        return {
            "queued": self._queued,
            "sent": self._sent,
            "dropped": self._dropped,
            "cut_short": self._cut_short,
        }

    async def _deliver(self, record: Record) -> None:
        if not self._allowed(record):
            self._cut_short += 1
            return
        key, message = self._combine(record)
        for attempt in range(TRIES):
            if attempt:
                await self._clock.sleep(RETRY_SECONDS)
            try:
                await self._send(key, record, message)
            except ApiError as error:
                # Refused, most often because the namespace is going away: repeating is useless.
                self._dropped += 1
                log.debug("event %s about %s refused: %s", record.reason, record.about.name, error)
                return
            except PodwrightError as error:
                log.debug("event %s not delivered yet: %s", record.reason, error)
            else:
                self._sent += 1
                return
        self._dropped += 1

    async def _send(self, key: Hashable, record: Record, message: str) -> None:
        told = self._told.get(key)
        if told is not None:
            told.count += 1
            body = {"count": told.count, "lastTimestamp": record.when, "message": message}
            try:
                await self._client.patch(Event, told.name, told.namespace, body)
            except ApiError as error:
                if not is_not_found(error):
                    raise
                self._told.forget(key)  # it expired: tell it anew
            except PodwrightError:
                told.count -= 1
                raise
            else:
                return
        created = await self._client.create(self._event(record, message))
        self._told.put(key, _Told(created.metadata.name, created.metadata.namespace))

    def _event(self, record: Record, message: str) -> Event:
        about = record.about
        return Event(
            metadata=ObjectMeta(
                name=f"{about.name}.{self._unique():x}",
                namespace=about.namespace or "default",
                annotations=dict(record.annotations),
            ),
            involved_object=about,
            reason=record.reason,
            message=message,
            source=EventSource(component=self._component, host=self._host),
            first_timestamp=record.when,
            last_timestamp=record.when,
            count=1,
            type=record.type,
            # As events.k8s.io/v1 has it: its clients refuse an event that does not say when it was.
            event_time=timestamps.canonical_micro(record.when),
            action=record.reason,
            reporting_component=self._component,
            reporting_instance=self._host or self._component,
        )

    def _unique(self) -> int:
        """Nanoseconds since 1970, never the same twice."""
        now = int(self._clock.now().timestamp() * 1_000_000) * 1000
        self._last_nanosecond = max(now, self._last_nanosecond + 1)
        return self._last_nanosecond

    def _combine(self, record: Record) -> tuple[Hashable, str]:
        """The identity under which the event is counted, and the message to show."""
        about = record.about
        group = (about.kind, about.namespace, about.name, about.uid, about.field_path,
                 record.type, record.reason)  # fmt: skip
        if record.update:
            return (*group, None), record.message
        now = self._clock.monotonic()
        similar = self._similar.get(group)
        if similar is None or now - similar.last > SIMILAR_SECONDS:
            similar = _Similar()
            self._similar.put(group, similar)
        similar.last = now
        if len(similar.messages) < SIMILAR_MAX or record.message in similar.messages:
            similar.messages.add(record.message)
            return (*group, record.message), record.message
        return group, f"(combined from similar events): {record.message}"

    def _allowed(self, record: Record) -> bool:
        bucket, now = self._buckets.get(_subject(record)), self._clock.monotonic()
        if bucket is None:
            bucket = _Bucket(float(BURST), now)
            self._buckets.put(_subject(record), bucket)
        bucket.tokens = min(BURST, bucket.tokens + (now - bucket.filled) / REFILL_SECONDS)
        bucket.filled = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True


@dataclass(slots=True)
class _Told:
    """An event that exists in the API."""

    name: str
    namespace: str
    count: int = 1


@dataclass(slots=True)
class _Similar:
    """The messages lately told about one object for one reason; never more than SIMILAR_MAX."""

    messages: set[str] = field(default_factory=set)
    last: float = 0.0


@dataclass(slots=True)
class _Bucket:
    """How many events one object may still make."""

    tokens: float
    filled: float


V = TypeVar("V")


class _Memory(Generic[V]):
    """A map that forgets what was not used for longest."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[Hashable, V] = OrderedDict()

    def get(self, key: Hashable) -> V | None:
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: Hashable, value: V) -> None:
        self._entries[key] = value
        self._entries.move_to_end(key)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def forget(self, key: Hashable) -> None:
        self._entries.pop(key, None)


_Subject = tuple[str, str, str, str]
"""Which object an event is about."""


def _subject(record: Record) -> _Subject:
    about = record.about
    return about.kind, about.namespace, about.name, about.uid


def _cut(message: str) -> str:
    encoded = message.encode("utf-8", "replace")
    if len(encoded) <= MESSAGE_BYTES:
        return message
    return encoded[:MESSAGE_BYTES].decode("utf-8", "ignore")
