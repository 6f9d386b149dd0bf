"""What the API server measures about itself, for `/metrics`: requests, and everybody's statistics.

Requests have a collector of their own instead of prometheus-client's histograms: those take a lock
and several dictionary look-ups per request; here it is two additions. Durations fall into fixed
buckets.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class HttpMetrics(Collector):
    """Requests by verb and code; seconds by verb, of requests that are not streams."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, int], int] = {}
        self._buckets: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}

    def observe(self, verb: str, status: int, seconds: float | None) -> None:
        """One request that has ended. `seconds` None: a stream, whose length says nothing."""
        case = (verb, status)
        self._requests[case] = self._requests.get(case, 0) + 1
        if seconds is None:
            return
        buckets = self._buckets.get(verb)
        if buckets is None:
            buckets = self._buckets[verb] = [0] * (len(_BUCKETS) + 1)
            self._seconds[verb] = 0.0
        buckets[bisect_left(_BUCKETS, seconds)] += 1
        self._seconds[verb] += seconds

    def statistics(self) -> dict[str, float]:
        return {"requests": sum(self._requests.values())}

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "apiserver_request", "Requests answered.", labels=["verb", "code"]
        )
        for (verb, code), count in sorted(self._requests.items()):
            requests.add_metric([verb, str(code)], count)
        yield requests
        seconds = HistogramMetricFamily(
            "apiserver_request_duration_seconds", "Time to answer.", labels=["verb"]
        )
        for verb, buckets in sorted(self._buckets.items()):
            seconds.add_metric([verb], list(_cumulative(buckets)), self._seconds[verb])
        yield seconds


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


def _cumulative(counts: list[int]) -> Iterator[tuple[str, float]]:
    total = 0
    for bound, count in zip((*map(str, _BUCKETS), "+Inf"), counts, strict=True):
        total += count
        yield bound, total
