"""Who ends when, on a machine that shuts down (`shutdown.py`). Pure.

Pods belong to the period with the highest priority that is not above their own; periods follow each
other from low to high. The two plain settings are two periods: one for everybody, one for critical pods
("Pod Priority based graceful node shutdown" in Kubernetes' documentation).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from api.priorities import CRITICAL_PRIORITY


@dataclass(frozen=True, order=True)
class Period:
    """What pods of this priority, and of higher ones up to the next period's, get to end."""

    priority: int
    seconds: float


@dataclass(frozen=True)
class Group:
    """Pods that end together."""

    seconds: float
    pods: tuple[str, ...]


def periods(
    *, total: float, critical: float, by_priority: Sequence[Period] = ()
) -> tuple[Period, ...]:
    """The periods in their order; none where shutdowns are not graceful."""
    if by_priority:
        return tuple(sorted(by_priority))
    if total <= 0:
        return ()
    return (Period(0, total - critical), Period(CRITICAL_PRIORITY, critical))


def groups(pods: Mapping[str, int], given: Sequence[Period]) -> list[Group]:
    """Who ends when: pods by uid with their priority, lowest period first."""
    members: dict[Period, list[str]] = {period: [] for period in given}
    for uid, priority in pods.items():
        fitting = [period for period in given if period.priority <= priority]
        members[max(fitting) if fitting else min(given)].append(uid)
    return [Group(period.seconds, tuple(uids)) for period, uids in members.items() if uids]
