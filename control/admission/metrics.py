"""How long each admission plugin takes, and how often it refuses, in Kubernetes' names.

Serves step 1 of the pod's walk, for whoever asks why writing is slow: the plugins of webhooks wait for
others.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

_BOUNDS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5)
_LABELS = ["name", "type", "operation", "rejected"]

Labels = tuple[str, str, str, bool]


class AdmissionMetrics(Collector):
    """Seconds by plugin, `admit` or `validate`, operation and outcome."""

    def __init__(self) -> None:
        self._counts: dict[Labels, list[int]] = {}
        self._seconds: dict[Labels, float] = {}

    def observe(self, labels: Labels, seconds: float) -> None:
        """One plugin has looked at one request."""
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = [0] * (len(_BOUNDS) + 1)
            self._seconds[labels] = 0.0
        counts[bisect_left(_BOUNDS, seconds)] += 1
        self._seconds[labels] += seconds

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(
            "apiserver_admission_controller_admission_duration_seconds",
            "Time an admission plugin takes.",
            labels=_LABELS,
        )
        for labels, counts in sorted(self._counts.items()):
            name, type_, operation, rejected = labels
            total, shown = 0, []
            for bound, count in zip((*map(str, _BOUNDS), "+Inf"), counts, strict=True):
                total += count
                shown.append((bound, float(total)))
            values = [name, type_, operation, str(rejected).lower()]
            family.add_metric(values, shown, self._seconds[labels])
        yield family
