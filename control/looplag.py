"""How late the event loop runs: whatever holds it holds every request, watch and controller.

A task sleeps and looks how much later than asked it woke. The worst of the last minute, and what 99
of 100 wakings kept below, are metrics; a long one is logged, because somebody will want to know what
held the loop.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from base.clock import Clock

log = logging.getLogger(__name__)

_INTERVAL = 0.05
_WINDOW = int(60 / _INTERVAL)
_LOGGED = 0.25


class LoopLag(Collector):
    """Measures the loop it runs on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._recent: deque[float] = deque(maxlen=_WINDOW)

    async def run(self) -> None:
        while True:
            began = self._clock.monotonic()
            await self._clock.sleep(_INTERVAL)
            lag = max(0.0, self._clock.monotonic() - began - _INTERVAL)
            self._recent.append(lag)
            if lag > _LOGGED:
                log.warning("the event loop was held for %.3f s", lag)

    def statistics(self) -> dict[str, float]:
        return {"worst": max(self._recent, default=0.0), "p99": self._p99, "last": self._last}

    @property
    def _p99(self) -> float:
        ordered = sorted(self._recent)
        return ordered[len(ordered) * 99 // 100] if ordered else 0.0

    @property
    def _last(self) -> float:
        return self._recent[-1] if self._recent else 0.0

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "podwright_event_loop_lag_seconds", "How late the loop was just now.", self._last
        )
        yield GaugeMetricFamily(
            "podwright_event_loop_lag_p99_seconds",
            "What 99 of 100 measurements of the last minute did not exceed.",
            self._p99,
        )
        yield GaugeMetricFamily(
            "podwright_event_loop_lag_worst_seconds",
            "The latest it was within the last minute.",
            max(self._recent, default=0.0),
        )
