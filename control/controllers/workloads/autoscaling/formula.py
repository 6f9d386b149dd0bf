"""How many pods the use of the present ones asks for: the documented formula. Pure.

`ceil(ready pods × use ÷ target)` ("Algorithm details" of "Horizontal Pod Autoscaling"), unless the
ratio is within the tolerance. Pods of which nothing is known, and pods that are not ready, are
assumed to use what moves the result the least: nothing when it would grow, all of their request when
it would shrink; where that turns the direction round, nothing changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from api import pods as podrules
from api import timestamps
from api.core import Pod
from control.controllers.workloads.autoscaling.samples import Sample, UnknownError

TOLERANCE = 0.1
INITIALIZATION = timedelta(minutes=5)
"""How long a pod's use of CPU may be that of its start."""
READINESS_DELAY = timedelta(seconds=30)
"""A pod that was never ready for so long after its start does not count as having been."""

Values = Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far the ratio may be off before anything changes."""

    up: float = TOLERANCE
    down: float = TOLERANCE

    def covers(self, ratio: float) -> bool:
        return 1.0 - self.down <= ratio <= 1.0 + self.up


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """The pods of a workload by how far their samples can be trusted."""

    ready: int
    unready: Collection[str]
    missing: Collection[str]
    ignored: Collection[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """How many pods one metric asks for, and what it is now."""

    replicas: int
    average: int
    utilization: int | None = None


def grouped(
    found: Iterable[Pod], samples: Mapping[str, Sample], resource: str, now: datetime
) -> Groups:
    """Sort pods by whether they count. Only CPU is expected to be odd while a pod starts."""
    ready, unready, missing, ignored = 0, set(), set(), set()
    for pod in found:
        name = pod.metadata.name
        if pod.metadata.deletion_timestamp or pod.status.phase == "Failed":
            ignored.add(name)
        elif pod.status.phase == "Pending":
            unready.add(name)
        elif name not in samples:
            missing.add(name)
        elif resource == "cpu" and not _settled(pod, samples[name], now):
            unready.add(name)
        else:
            ready += 1
    return Groups(ready=ready, unready=unready, missing=missing, ignored=ignored)


def _settled(pod: Pod, sample: Sample, now: datetime) -> bool:
    condition = podrules.condition(pod, "Ready")
    if condition is None or not pod.status.start_time or not condition.last_transition_time:
        return False
    started = timestamps.parse(pod.status.start_time)
    changed = timestamps.parse(condition.last_transition_time)
    if now < started + INITIALIZATION:
        return condition.status != "False" and sample.at >= changed + timedelta(
            seconds=sample.window
        )
    return condition.status != "False" or changed >= started + READINESS_DELAY


def by_utilization(
    current: int,
    target: int,
    samples: Mapping[str, Sample],
    requests: Values,
    groups: Groups,
    tolerance: Tolerance,
) -> Proposal:
    """Keep the use of pods at a percentage of what they request.

    Raises:
        UnknownError: no pod that counts is measured.
    """

    def use(values: Values) -> int:
        asked = sum(requests[name] for name in values if name in requests)
        if not asked:
            raise UnknownError("no metrics returned matched known pods")
        return sum(used for name, used in values.items() if name in requests) * 100 // asked

    counted = _counted(samples, groups)
    replicas = _replicas(
        current,
        counted,
        groups,
        lambda values: use(values) / target,
        lambda name: requests[name] * max(100, target) // 100,
        tolerance,
    )
    average = sum(counted.values()) // len(counted)
    return Proposal(replicas=replicas, average=average, utilization=use(counted))


def by_average(
    current: int,
    target: int,
    samples: Mapping[str, Sample],
    groups: Groups,
    tolerance: Tolerance,
) -> Proposal:
    """Keep the mean of pods at an amount. Raises UnknownError as `by_utilization`."""
    counted = _counted(samples, groups)
    replicas = _replicas(
        current,
        counted,
        groups,
        lambda values: sum(values.values()) // len(values) / target,
        lambda name: target,
        tolerance,
    )
    return Proposal(replicas=replicas, average=sum(counted.values()) // len(counted))


def _counted(samples: Mapping[str, Sample], groups: Groups) -> dict[str, int]:
    """The samples that say something."""
    left = {
        name: sample.value
        for name, sample in samples.items()
        if name not in groups.ignored and name not in groups.unready
    }
    if not left:
        raise UnknownError("did not receive metrics for targeted pods (pods might be unready)")
    return left


def _replicas(
    current: int,
    counted: Values,
    groups: Groups,
    ratio_of: Callable[[Values], float],
    most: Callable[[str], int],
    tolerance: Tolerance,
) -> int:
    ratio = ratio_of(counted)
    waits = bool(groups.unready) and ratio > 1.0
    if not waits and not groups.missing:
        return current if tolerance.covers(ratio) else math.ceil(ratio * groups.ready)
    values = dict(counted)
    if ratio < 1.0:
        values.update({name: most(name) for name in groups.missing})
    elif ratio > 1.0:
        values.update(dict.fromkeys(groups.missing, 0))
    if waits:
        values.update(dict.fromkeys(groups.unready, 0))
    again = ratio_of(values)
    if tolerance.covers(again) or (ratio < 1.0 < again) or (again < 1.0 < ratio):
        return current
    replicas = math.ceil(again * len(values))
    against = (again < 1.0 and replicas > current) or (again > 1.0 and replicas < current)
    return current if against else replicas
