"""Whose turn it is: levels with seats, queues per level, flows dealt to queues. Pure.

Before step 1 of the pod's walk. A level may always use its own seats. What others leave free, and lend,
it may borrow up to its limit, as long as nobody of another level waits. Within a level, a flow is dealt
a hand of queues by its name (shuffle sharding) and joins the shortest of them, so that a flow that fills
its queues shares all of them with hardly anybody. Of the queues, the one that has been served least goes
next (start-time fair queueing, a request weighs as many units as it takes seats); a queue that was empty
begins at the present, and cannot save up.

No clock, no loop: `arrive` and `finish` say who may run now. The invariants: what runs and what waits is
counted once; nobody waits while a seat of its own level is free; queues are bounded.

Levels may change at any time (`configure`). Who waits keeps the place; a level that is gone serves those
who are there, and takes nobody any more.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from control.apiserver.fairness.levels import LevelSpec


@dataclass(slots=True, eq=False)
class Entry:
    """One request that has come to a level. `handle` is the caller's."""

    level: Level
    seats: int
    handle: Any
    queue: Queue | None = None
    running: bool = False


@dataclass(slots=True, eq=False)
class Queue:
    """Requests that wait, first come first served. `start` is the virtual time of the next one."""

    entries: deque[Entry] = field(default_factory=deque)
    start: float = 0.0


class Level:
    """One priority level at work."""

    __slots__ = (
        "_kept",
        "_most",
        "in_use",
        "nominal",
        "queues",
        "running",
        "spec",
        "virtual",
        "waiting",
    )

    def __init__(self, spec: LevelSpec, nominal: int) -> None:
        self.in_use = 0
        self.running = 0
        self.waiting = 0
        self.virtual = 0.0
        self.queues: list[Queue] = []
        self.configure(spec, nominal)

    def __repr__(self) -> str:
        return f"Level({self.spec.name}: {self.in_use}/{self.nominal} seats, {self.waiting} wait)"

    def configure(self, spec: LevelSpec, nominal: int) -> None:
        """Be as `spec` says from now on, with so many seats. Queues that are not dealt any more empty."""
        self.spec = spec
        self.nominal = nominal
        self._kept = nominal - nominal * spec.lendable // 100
        limit = spec.borrowing
        self._most = None if limit is None else nominal + nominal * limit // 100
        self.queues += [Queue() for _ in range(spec.queues - len(self.queues))]
        for queue in self.queues:  # nobody waits for more than there is now
            for entry in queue.entries:
                entry.seats = min(entry.seats, nominal)

    @property
    def idle(self) -> bool:
        return not self.running and not self.waiting

    @property
    def reserved(self) -> int:
        """Seats that are free, and are not lent."""
        return max(0, self._kept - self.in_use)

    def may_have(self, seats: int) -> bool:
        """Whether its limit of borrowing lets it use so many seats more."""
        return self._most is None or self.in_use + seats <= self._most

    def join(self, entry: Entry, flow: str) -> bool:
        """Wait in the shortest queue of the flow's hand. False when even that is full."""
        if not self.spec.queues:
            return False
        hand = deal(flow, self.spec.queues, self.spec.hand)
        queue = min((self.queues[number] for number in hand), key=_length)
        if len(queue.entries) >= self.spec.length:
            return False
        if not queue.entries:
            queue.start = max(queue.start, self.virtual)
        queue.entries.append(entry)
        entry.queue = queue
        self.waiting += 1
        return True

    def next(self) -> Queue | None:
        """The queue whose turn it is."""
        if not self.waiting:
            return None
        return min((queue for queue in self.queues if queue.entries), key=_start)

    def take(self, queue: Queue) -> Entry:
        """The first of that queue, charged to it."""
        entry = queue.entries.popleft()
        entry.queue = None
        self.waiting -= 1
        self.virtual = queue.start
        queue.start += entry.seats
        return entry


def _length(queue: Queue) -> int:
    return len(queue.entries)


def _start(queue: Queue) -> float:
    return queue.start


@lru_cache(maxsize=4096)
def deal(flow: str, queues: int, hand: int) -> tuple[int, ...]:
    """The queues of a flow: always the same, all different."""
    number = int.from_bytes(hashlib.blake2b(flow.encode(), digest_size=16).digest())
    left = list(range(queues))
    dealt = []
    for _ in range(min(hand, queues)):
        number, position = divmod(number, len(left))
        dealt.append(left.pop(position))
    return tuple(dealt)


class Scheduler:
    """All levels together."""

    def __init__(self, specs: Sequence[LevelSpec], total: int) -> None:
        self.total = total
        self.in_use = 0
        self.levels: dict[str, Level] = {}
        self._waiting = 0
        self.configure(specs)

    def configure(self, specs: Sequence[LevelSpec]) -> list[Entry]:
        """Have these levels from now on; those who may run now because of that."""
        shares = sum(spec.shares for spec in specs) or 1
        wanted = {spec.name for spec in specs}
        for name, level in list(self.levels.items()):
            if name not in wanted and level.idle:
                del self.levels[name]
        for spec in specs:
            nominal = max(1, round(self.total * spec.shares / shares))
            known = self.levels.get(spec.name)
            if known is None:
                self.levels[spec.name] = Level(spec, nominal)
            else:
                known.configure(spec, nominal)
        return self._dispatch() if self._waiting else []

    def arrive(self, level: str, flow: str, seats: int, handle: Any) -> Entry | None:
        """A request: it runs at once, or waits (see `running`). None: there is no room to wait."""
        at = self.levels[level]
        entry = Entry(at, min(seats, at.nominal), handle)
        if not at.waiting and self._fits(at, entry.seats):
            self._run(entry)
        elif not at.join(entry, flow):
            return None
        else:
            self._waiting += 1
        return entry

    def finish(self, entry: Entry) -> list[Entry]:
        """A request is over; those that may run now because of that."""
        assert entry.running, "finished before it began"
        entry.running = False
        entry.level.in_use -= entry.seats
        entry.level.running -= 1
        self.in_use -= entry.seats
        return self._dispatch() if self._waiting else []

    def leave(self, entry: Entry) -> list[Entry]:
        """A request that waits no longer. Those behind it may fit where it did not."""
        if entry.queue is None:
            return []
        entry.queue.entries.remove(entry)
        entry.queue = None
        entry.level.waiting -= 1
        self._waiting -= 1
        return self._dispatch() if self._waiting else []

    def _dispatch(self) -> list[Entry]:
        started: list[Entry] = []
        while entry := self._one():
            started.append(entry)
        return started

    def _one(self) -> Entry | None:
        """Start one request of the level that uses the smallest part of its own."""
        waiting = [level for level in self.levels.values() if level.waiting]
        for level in sorted(waiting, key=lambda level: level.in_use / level.nominal):
            queue = level.next()
            if queue is not None and self._fits(level, queue.entries[0].seats):
                entry = level.take(queue)
                self._waiting -= 1
                self._run(entry)
                return entry
        return None

    def _fits(self, level: Level, seats: int) -> bool:
        if level.in_use + seats <= level.nominal:
            return True
        if self._waiting > level.waiting or not level.may_have(seats):
            return False  # others want theirs back, or it has borrowed enough
        reserved = sum(one.reserved for one in self.levels.values() if one is not level)
        return self.in_use + seats + reserved <= self.total

    def _run(self, entry: Entry) -> None:
        entry.running = True
        entry.level.in_use += entry.seats
        entry.level.running += 1
        self.in_use += entry.seats
