"""How long each admission plugin takes, and how often it refuses, in Kubernetes' names.

Serves step 1 of the pod's walk, for whoever asks why writing is slow: the plugins of webhooks wait for
others.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

BOUNDS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5)
_NAME = "apiserver_admission_controller_admission_duration_seconds"
_LABELS = ["name", "type", "operation", "rejected"]

Labels = tuple[str, str, str, bool]


class AdmissionMetrics(Collector):
    """Seconds by plugin (or webhook), `admit` or `validate`, operation and outcome."""

    def __init__(
        self,
        name: str = _NAME,
        words: str = "Time an admission plugin takes.",
        bounds: Sequence[float] = BOUNDS,
    ) -> None:
        self._name = name
        self._words = words
        self._bounds = bounds
        self._counts: dict[Labels, list[int]] = {}
        self._seconds: dict[Labels, float] = {}

    def observe(self, labels: Labels, seconds: float) -> None:
        """One plugin has looked at one request."""
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = [0] * (len(self._bounds) + 1)
            self._seconds[labels] = 0.0
        counts[bisect_left(self._bounds, seconds)] += 1
        self._seconds[labels] += seconds

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(self._name, self._words, labels=_LABELS)
        for labels, counts in sorted(self._counts.items()):
            name, type_, operation, rejected = labels
            total, shown = 0, []
            for bound, count in zip((*map(str, self._bounds), "+Inf"), counts, strict=True):
                total += count
                shown.append((bound, float(total)))
            values = [name, type_, operation, str(rejected).lower()]
            family.add_metric(values, shown, self._seconds[labels])
        yield family
