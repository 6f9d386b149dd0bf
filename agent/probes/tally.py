"""What came of a pod's probes, counted for `/metrics/probes` (step 5 of the pod's walk).

By container name, so that the counts go on over restarts; they go with the pod. The names of the
results and the bounds of the durations are Kubernetes' (`prober_probe_total`,
`prober_probe_duration_seconds`).
"""

from __future__ import annotations

import bisect
from collections import Counter
from dataclasses import dataclass, field

from agent.probes.handlers import Verdict
from agent.probes.state import Kind

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds."""


@dataclass(slots=True)
class Durations:
    """How long answers took: how many per bucket (not summed up), and all together."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        self.buckets[bisect.bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


@dataclass(slots=True)
class Tally:
    """The answers to one pod's probes."""

    results: Counter[tuple[str, Kind, str]] = field(default_factory=Counter)
    """By container, kind and result."""
    durations: dict[tuple[str, Kind], Durations] = field(default_factory=dict)

    def add(self, container: str, kind: Kind, verdict: Verdict, seconds: float) -> None:
        self.results[container, kind, result(verdict)] += 1
        self.durations.setdefault((container, kind), Durations()).add(seconds)

    @property
    def asked(self) -> int:
        return self.results.total()


def result(verdict: Verdict) -> str:
    if verdict.unknown:
        return "unknown"
    return "successful" if verdict.passed else "failed"
