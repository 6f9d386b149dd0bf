"""`/metrics` of the agent: what every long-lived part says of itself, in Prometheus' text format.

Made from `statistics()` at each request, so that nothing is counted twice and parts need not know
Prometheus.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from agent.server.interface import Statistics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Parts(Collector):
    def __init__(self, parts: Mapping[str, Statistics]) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        for part, statistics in sorted(self._parts.items()):
            for name, value in statistics().items():
                gauge = GaugeMetricFamily(
                    _metric_name(part, name), f"{name.replace('_', ' ')} of {part}"
                )
                gauge.add_metric([], value)
                yield gauge


class Metrics:
    """Renders the statistics of named parts, and those of this process."""

    def __init__(self, parts: Mapping[str, Statistics]) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Parts(parts))
        ProcessCollector(registry=self._registry)

    def render(self) -> bytes:
        return generate_latest(self._registry)


def _metric_name(part: str, name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", f"podwright_agent_{part}_{name}")
