"""`/metrics/probes`: what came of every container's probes, and how long answers took. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from agent.probes.tally import BOUNDS, Tally
from agent.server.pages.exposition import Exposition
from api.core import Pod

_TOTAL = "prober_probe_total"
_DURATION = "prober_probe_duration_seconds"


def render(pods: Iterable[tuple[Pod, Tally]]) -> bytes:
    """The page."""
    page = Exposition()
    page.declare(
        _TOTAL, "counter", "Liveness, readiness and startup probes of a container, by result"
    )
    page.declare(_DURATION, "histogram", "How long a container took to answer a probe, in seconds")
    for pod, tally in pods:
        meta = pod.metadata
        whose = {"namespace": meta.namespace, "pod": meta.name}
        for (container, kind, result), count in tally.results.items():
            labels = {"container": container, **whose, "pod_uid": meta.uid}
            page.add(_TOTAL, count, labels | {"probe_type": kind.value, "result": result})
        for (container, kind), durations in tally.durations.items():
            labels = {"container": container, **whose, "probe_type": kind.value}
            sums = list(accumulate(durations.buckets))
            for bound, count in zip((*map(str, BOUNDS), "+Inf"), sums, strict=True):
                page.add(_DURATION, count, labels | {"le": bound}, suffix="_bucket")
            page.add(_DURATION, durations.total, labels, suffix="_sum")
            page.add(_DURATION, sums[-1], labels, suffix="_count")
    return page.render()
