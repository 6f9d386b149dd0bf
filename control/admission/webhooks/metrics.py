"""How long webhooks take, how often they refuse, fail, or are passed over, in Kubernetes' names.

Serves step 1 of the pod's walk, for whoever asks which webhook makes writing slow or impossible.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import (
    CounterMetricFamily,
    Metric,
    UnknownMetricFamily,
)
from prometheus_client.registry import Collector

from control.admission.metrics import BOUNDS, AdmissionMetrics

ADMIT, VALIDATING = "admit", "validating"
DENIED, UNREACHABLE = "no_error", "calling_webhook_error"
"""Why a request was rejected: the webhook said so, or could not be asked."""

_PREFIX = "apiserver_admission_webhook"
_MAX_CODE = 600

Labels = tuple[str, str, str]
"""The webhook's name, `admit` or `validating`, and the operation."""


class WebhookMetrics(Collector):
    """Figures by webhook."""

    def __init__(self) -> None:
        self._durations = AdmissionMetrics(
            f"{_PREFIX}_admission_duration_seconds",
            "Time a webhook takes.",
            (*BOUNDS, 10.0, 25.0),
        )
        self._requests: Counter[tuple[Labels, int, bool]] = Counter()
        self._rejections: Counter[tuple[Labels, str, int]] = Counter()
        self._open: Counter[tuple[str, str]] = Counter()

    def observe(self, labels: Labels, seconds: float, *, code: int, error: str = "") -> None:
        """A webhook was asked. `error`: why the request is rejected for it, or ""."""
        rejected = bool(error)
        self._durations.observe((*labels, rejected), seconds)
        self._requests[labels, code, rejected] += 1
        if error:
            self._rejections[labels, error, min(code, _MAX_CODE)] += 1

    def passed_over(self, labels: Labels) -> None:
        """A webhook could not be asked, and the request went on without it."""
        self._open[labels[0], labels[1]] += 1

    def collect(self) -> Iterator[Metric]:
        yield from self._durations.collect()
        requests = CounterMetricFamily(
            f"{_PREFIX}_request",
            "Questions put to webhooks.",
            labels=["name", "type", "operation", "code", "rejected"],
        )
        for (labels, code, rejected), count in sorted(self._requests.items()):
            requests.add_metric([*labels, str(code), str(rejected).lower()], count)
        yield requests
        # Of no type: a counter's name would end in `_total`, which those of Kubernetes do not.
        rejections = UnknownMetricFamily(
            f"{_PREFIX}_rejection_count",
            "Requests rejected because of webhooks.",
            labels=["name", "type", "operation", "error_type", "rejection_code"],
        )
        for (labels, error, code), count in sorted(self._rejections.items()):
            rejections.add_metric([*labels, error, str(code)], count)
        yield rejections
        opened = UnknownMetricFamily(
            f"{_PREFIX}_fail_open_count",
            "Requests that went on although a webhook could not be asked.",
            labels=["name", "type"],
        )
        for names, count in sorted(self._open.items()):
            opened.add_metric(names, count)
        yield opened
