"""The gate before the handlers: requests pass in the order that `queues` decides, or get a 429.

Before step 1 of the pod's walk. Concurrency: everything on the event loop; a request that waits is a
future. Bounds: seats over all levels, queues times their length per level, and WAIT_SECONDS for each
request; beyond them the answer is 429 with Retry-After, which every client knows to obey.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Iterator

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from api import errors
from base.clock import Clock
from control.apiserver.fairness import defaults
from control.apiserver.fairness.book import Book
from control.apiserver.fairness.levels import SEATS, Flow
from control.apiserver.fairness.queues import Entry, Scheduler

WAIT_SECONDS = 15.0
"""A quarter of the time a request may take, as in Kubernetes."""
RETRY_SECONDS = 1

_BUCKETS = (0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0)
_Case = tuple[str, str]


class Ticket:
    """The right to be served; returned once, whoever does it first."""

    __slots__ = ("_entry", "_gate")

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._entry: Entry | None = None

    def hold(self, entry: Entry) -> None:
        self._entry = entry

    def release(self) -> None:
        entry, self._entry = self._entry, None
        if entry is not None:
            self._gate.leave(entry)


class Gate(Collector):
    """Lets requests in."""

    def __init__(self, clock: Clock, scheduler: Scheduler | None = None) -> None:
        self._clock = clock
        self.book = Book(defaults.SCHEMAS, defaults.LEVELS)
        self._scheduler = scheduler or Scheduler(self.book.levels, SEATS)
        self._dispatched: dict[_Case, int] = {}
        self._rejected: dict[tuple[str, str, str], int] = {}
        self._waited: dict[_Case, list[int]] = {}
        self._seconds: dict[_Case, float] = {}

    def __repr__(self) -> str:
        return f"Gate({self._scheduler.in_use} of {self._scheduler.total} seats)"

    def statistics(self) -> dict[str, float]:
        levels = self._scheduler.levels.values()
        return {
            "seats_in_use": self._scheduler.in_use,
            "waiting": sum(level.waiting for level in levels),
        }

    def follow(self, book: Book) -> None:
        """Sort requests by this book from now on. Those that wait stay where they are."""
        self.book = book
        _start(self._scheduler.configure(book.levels))

    async def enter(self, ticket: Ticket, flow: Flow, seats: int) -> None:
        """Wait for a turn; `ticket` holds it then. Raises 429."""
        case = (flow.level, flow.schema)
        if flow.exempt:
            self._dispatched[case] = self._dispatched.get(case, 0) + 1
            return
        entry = self._scheduler.arrive(flow.level, flow.distinguisher, seats, None)
        if entry is None:
            raise self._reject(case, "queue-full")
        if not entry.running:
            await self._wait(entry, case)
        ticket.hold(entry)
        self._dispatched[case] = self._dispatched.get(case, 0) + 1

    def leave(self, entry: Entry) -> None:
        """A request is over."""
        _start(self._scheduler.finish(entry))

    async def _wait(self, entry: Entry, case: _Case) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry.handle = turn
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await turn
        except BaseException as error:
            if entry.running:  # its turn came in the same moment
                _start(self._scheduler.finish(entry))
            else:
                _start(self._scheduler.leave(entry))
            if isinstance(error, TimeoutError):
                raise self._reject(case, "time-out") from None
            self._count_rejected(case, "cancelled")
            raise
        self._observe(case, self._clock.monotonic() - began)

    def _reject(self, case: _Case, reason: str) -> errors.ApiError:
        self._count_rejected(case, reason)
        return errors.too_many_requests(
            "Too many requests, please try again later.", retry_after=RETRY_SECONDS
        )

    def _count_rejected(self, case: _Case, reason: str) -> None:
        key = (*case, reason)
        self._rejected[key] = self._rejected.get(key, 0) + 1

    def _observe(self, case: _Case, seconds: float) -> None:
        counts = self._waited.setdefault(case, [0] * (len(_BUCKETS) + 1))
        counts[bisect_left(_BUCKETS, seconds)] += 1
        self._seconds[case] = self._seconds.get(case, 0.0) + seconds

    def collect(self) -> Iterator[Metric]:
        labels = ["priority_level", "flow_schema"]
        dispatched = CounterMetricFamily(
            "apiserver_flowcontrol_dispatched_requests", "Requests let in.", labels=labels
        )
        for case, count in sorted(self._dispatched.items()):
            dispatched.add_metric(list(case), count)
        yield dispatched
        rejected = CounterMetricFamily(
            "apiserver_flowcontrol_rejected_requests",
            "Requests turned away, and why.",
            labels=[*labels, "reason"],
        )
        for key, count in sorted(self._rejected.items()):
            rejected.add_metric(list(key), count)
        yield rejected
        waited = HistogramMetricFamily(
            "apiserver_flowcontrol_request_wait_duration_seconds",
            "Time spent in queues by requests that were let in after all.",
            labels=labels,
        )
        for case, counts in sorted(self._waited.items()):
            waited.add_metric(list(case), _cumulative(counts), self._seconds[case])
        yield waited
        yield from self._levels()

    def _levels(self) -> Iterator[Metric]:
        for name, words, read in (
            ("nominal_limit_seats", "Seats of the level's own.", "nominal"),
            ("current_executing_seats", "Seats in use.", "in_use"),
            ("current_executing_requests", "Requests being served.", "running"),
            ("current_inqueue_requests", "Requests waiting.", "waiting"),
        ):
            family = GaugeMetricFamily(
                f"apiserver_flowcontrol_{name}", words, labels=["priority_level"]
            )
            for level in self._scheduler.levels.values():
                family.add_metric([level.spec.name], getattr(level, read))
            yield family


def _start(entries: list[Entry]) -> None:
    for entry in entries:
        if not entry.handle.done():
            entry.handle.set_result(None)


def _cumulative(counts: list[int]) -> list[tuple[str, float]]:
    total, shown = 0, []
    for bound, count in zip((*map(str, _BUCKETS), "+Inf"), counts, strict=True):
        total += count
        shown.append((bound, float(total)))
    return shown
