"""Counting a probe's answers (step 5 of the pod's walk). Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from api.core import Container, Probe


class Kind(enum.Enum):
    """What is asked, and so what the answer means."""

    STARTUP = "Startup"
    LIVENESS = "Liveness"
    READINESS = "Readiness"


@dataclass(frozen=True, kw_only=True)
class Timing:
    """A probe's times, with the API's defaults filled in."""

    initial_delay: float = 0.0
    period: float = 10.0
    timeout: float = 1.0
    successes: int = 1
    failures: int = 3


@dataclass(frozen=True, kw_only=True)
class Count:
    """How often in a row a probe said the same, and the verdict so far (None: not yet)."""

    verdict: bool | None = None
    last: bool | None = None
    run: int = 0


def timing(probe: Probe) -> Timing:
    return Timing(
        initial_delay=float(probe.initial_delay_seconds),
        period=float(probe.period_seconds or 10),
        timeout=float(probe.timeout_seconds or 1),
        successes=probe.success_threshold or 1,
        failures=probe.failure_threshold or 3,
    )


def count(before: Count, passed: bool, times: Timing) -> Count:
    """The count after one more answer: the verdict turns when a threshold is reached."""
    run = before.run + 1 if before.last is passed else 1
    after = replace(before, last=passed, run=run)
    if run >= (times.successes if passed else times.failures):
        return replace(after, verdict=passed)
    return after


def probes_of(container: Container) -> dict[Kind, Probe]:
    """The probes of a container."""
    named = {
        Kind.STARTUP: container.startup_probe,
        Kind.LIVENESS: container.liveness_probe,
        Kind.READINESS: container.readiness_probe,
    }
    return {kind: probe for kind, probe in named.items() if probe is not None}
