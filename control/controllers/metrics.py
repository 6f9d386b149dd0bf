"""The controllers' queues for `/metrics`, in the names of Kubernetes' own work queues.

Serves step 6 of the pod's walk, for whoever asks why a controller is late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_GAUGES = (
    ("queued", "workqueue_depth", "Keys that wait for a worker."),
    ("processing", "workqueue_processing", "Keys that a worker has."),
    ("delayed", "workqueue_delayed", "Keys that come back later."),
)
_COUNTERS = (
    ("adds", "workqueue_adds", "Keys added."),
    ("retries", "workqueue_retries", "Keys added again after a failure."),
    ("reconcile_failures", "podwright_reconcile_failures", "Reconciles that failed."),
)


class WorkQueues(Collector):
    """What `read` tells of each controller, by its name."""

    def __init__(self, read: Callable[[], Mapping[str, Mapping[str, float]]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        told = {name: figures for name, figures in self._read().items() if "adds" in figures}
        for field, metric, words in _GAUGES:
            gauge = GaugeMetricFamily(metric, words, labels=["name"])
            for name, figures in sorted(told.items()):
                gauge.add_metric([name], figures.get(field, 0.0))
            yield gauge
        for field, metric, words in _COUNTERS:
            counter = CounterMetricFamily(metric, words, labels=["name"])
            for name, figures in sorted(told.items()):
                counter.add_metric([name], figures.get(field, 0.0))
            yield counter
