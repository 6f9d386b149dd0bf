"""What the API server measures about itself, for `/metrics`: requests, and everybody's statistics.

Names and labels are Kubernetes' (dashboards and alerts exist for them). Requests have a collector of
their own instead of prometheus-client's histograms: those take a lock and several dictionary look-ups
per request; here it is one look-up and a few additions. The number of label sets is bounded by what is
served times the codes that are given.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from api.scheme import Resource
from control.apiserver.http.exchange import Exchange

_SECONDS = (
    *(0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0),
    *(8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0),
)
_SIZES = (1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9)
_LABELS = ["verb", "dry_run", "group", "version", "resource", "subresource", "scope"]
_COMPONENT = "apiserver"
_READS = frozenset({"GET", "LIST"})

Labels = tuple[str, ...]


class Histogram:
    """Counts by bucket for one set of labels."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def cumulative(self) -> list[tuple[str, float]]:
        total, shown = 0, []
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self.counts, strict=True):
            total += count
            shown.append((bound, float(total)))
        return shown


class HttpMetrics(Collector):
    """Requests by what they were and how they ended; seconds and sizes of those that are no streams."""

    def __init__(self) -> None:
        self._requests: dict[tuple[Labels, int], int] = {}
        self._seconds: dict[Labels, Histogram] = {}
        self._sizes: dict[Labels, Histogram] = {}
        self._streams: dict[Labels, int] = {}
        self._current = {"mutating": 0, "readOnly": 0}

    def begin(self, exchange: Exchange) -> None:
        """The request is known; its handler is about to run."""
        if exchange.long_running:
            labels = exchange.labels()
            self._streams[labels] = self._streams.get(labels, 0) + 1
        else:
            self._current["mutating" if exchange.mutating else "readOnly"] += 1

    def end(self, exchange: Exchange) -> None:
        """What `begin` counted is over."""
        if exchange.long_running:
            self._streams[exchange.labels()] -= 1
        else:
            self._current["mutating" if exchange.mutating else "readOnly"] -= 1

    def observe(self, exchange: Exchange, status: int, seconds: float, size: int) -> None:
        """One request that has been answered."""
        labels = exchange.labels()
        case = (labels, status)
        self._requests[case] = self._requests.get(case, 0) + 1
        if exchange.long_running:
            return  # how long a stream lasts says nothing
        _of(self._seconds, labels, _SECONDS).observe(seconds)
        if exchange.verb in _READS:
            _of(self._sizes, labels, _SIZES).observe(size)

    def statistics(self) -> dict[str, float]:
        return {"requests": sum(self._requests.values())}

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "apiserver_request", "Requests answered.", labels=[*_LABELS, "component", "code"]
        )
        for (labels, code), count in sorted(self._requests.items()):
            requests.add_metric([*labels, _COMPONENT, str(code)], count)
        yield requests
        yield _histogram("apiserver_request_duration_seconds", "Time to answer.", self._seconds)
        yield _histogram("apiserver_response_sizes", "Bytes of answers to reads.", self._sizes)
        current = GaugeMetricFamily(
            "apiserver_current_inflight_requests",
            "Requests being served that are no streams.",
            labels=["request_kind"],
        )
        for kind, number in self._current.items():
            current.add_metric([kind], number)
        yield current
        streams = GaugeMetricFamily(
            "apiserver_longrunning_requests",
            "Watches and connections into pods being served.",
            labels=[*_LABELS, "component"],
        )
        for labels, count in sorted(self._streams.items()):
            streams.add_metric([*labels, _COMPONENT], count)
        yield streams


def _of(known: dict[Labels, Histogram], labels: Labels, bounds: Sequence[float]) -> Histogram:
    found = known.get(labels)
    if found is None:
        found = known[labels] = Histogram(bounds)
    return found


def _histogram(name: str, words: str, known: Mapping[Labels, Histogram]) -> Metric:
    family = HistogramMetricFamily(name, words, labels=[*_LABELS, "component"])
    for labels, found in sorted(known.items()):
        family.add_metric([*labels, _COMPONENT], found.cumulative(), found.sum)
    return family


class Statistics(Collector):
    """The `statistics()` of long-lived objects as metrics named `podwright_PREFIX_NAME`.

    With a `label`, `read` gives the statistics of several, by the label's value.
    """

    def __init__(
        self,
        prefix: str,
        read: Callable[[], Mapping[str, Mapping[str, float]]],
        *,
        label: str = "",
    ) -> None:
        self._prefix = prefix
        self._read = read
        self._label = label

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for value, statistics in self._read().items():
            for name, number in statistics.items():
                family = families.get(name)
                if family is None:
                    family = families[name] = self._family(name)
                family.add_metric([value] if self._label else [], number)  # type: ignore[attr-defined]
        yield from families.values()

    def _family(self, name: str) -> Metric:
        labels = [self._label] if self._label else []
        full, words = f"podwright_{self._prefix}_{name}", name.replace("_", " ")
        if name.endswith("_total"):
            return CounterMetricFamily(full, words.capitalize() + ".", labels=labels)
        return GaugeMetricFamily(full, words.capitalize() + ".", labels=labels)


class WatchEvents(Collector):
    """How many events watchers were sent, by resource."""

    def __init__(self, read: Callable[[], Mapping[Resource, int]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "apiserver_watch_events",
            "Events sent to watchers.",
            labels=["group", "version", "resource"],
        )
        for resource, count in self._read().items():
            family.add_metric([resource.group, resource.version, resource.plural], count)
        yield family


class Objects(Collector):
    """How many objects of each resource there are, as Kubernetes names that."""

    def __init__(self, read: Callable[[], Mapping[str, float]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "apiserver_storage_objects", "Objects in the store.", labels=["resource"]
        )
        for resource, count in sorted(self._read().items()):
            family.add_metric([resource], count)
        yield family
