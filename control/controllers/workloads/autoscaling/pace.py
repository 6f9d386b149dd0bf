"""How fast the size of a workload may change: stabilisation, policies, bounds. Pure.

Rules: "Configurable scaling behavior" of "Horizontal Pod Autoscaling" and KEP-853. Without a behavior a
workload may double (or grow to 4) at once, and shrinks to the highest size that was recommended in
the last five minutes. Moments are seconds of a clock that never goes back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from api.autoscalingv2 import (
    HorizontalPodAutoscalerBehavior,
    HPAScalingPolicy,
    HPAScalingRules,
)

DOWN_WINDOW = 300
LONGEST_WINDOW = 3600
LONGEST_PERIOD = 1800
_UNLIMITED_GROWTH = 2
_SMALL = 4


@dataclass(frozen=True, slots=True)
class Moment:
    """A recommendation, or a change of the size (negative: it shrank), and when."""

    at: float
    number: int


@dataclass(slots=True)
class Memory:
    """What is remembered of one autoscaler. Begins anew when the process does, as Kubernetes' own:
    until then the present size counts as recommended."""

    recommended: list[Moment] = field(default_factory=list)
    changes: list[Moment] = field(default_factory=list)

    def forget(self, now: float) -> None:
        """Drop what no window or period reaches."""
        self.recommended = [one for one in self.recommended if one.at > now - LONGEST_WINDOW]
        self.changes = [one for one in self.changes if one.at > now - LONGEST_PERIOD]


@dataclass(frozen=True, slots=True)
class Bounded:
    """A size, and why it is that one: two conditions' reasons and messages."""

    replicas: int
    able: tuple[str, str]
    limited: bool
    limit: tuple[str, str]


_READY = ("ReadyForNewScale", "recommended size matches current size")
_WITHIN = ("DesiredWithinRange", "the desired count is within the acceptable range")
_FEW = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")
_MANY = ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
_FAST = (
    "ScaleUpLimit",
    "the desired replica count is increasing faster than the maximum scale rate",
)
_STEEP = (
    "ScaleDownLimit",
    "the desired replica count is decreasing faster than the maximum scale rate",
)


def bounded(
    desired: int,
    current: int,
    minimum: int,
    maximum: int,
    behavior: HorizontalPodAutoscalerBehavior | None,
    memory: Memory,
    now: float,
) -> Bounded:
    """The size to set, of the size that is desired. `memory` is only read."""
    settled, able = stabilized(desired, current, behavior, memory.recommended, now)
    least, most = minimum, maximum
    few, many = _FEW, _MANY
    if settled > current:
        fastest = max(growth(current, behavior, memory.changes, now), current)
        if fastest < most:
            most, many = fastest, _FAST
    elif settled < current:
        steepest = min(shrinkage(current, behavior, memory.changes, now), current)
        if steepest > least:
            least, few = steepest, _STEEP
    if settled > most:
        return Bounded(most, able, True, many)
    if settled < least:
        return Bounded(least, able, True, few)
    return Bounded(settled, able, False, _WITHIN)


def stabilized(
    desired: int,
    current: int,
    behavior: HorizontalPodAutoscalerBehavior | None,
    recommended: Iterable[Moment],
    now: float,
) -> tuple[int, tuple[str, str]]:
    """The lowest recent recommendation to grow, the highest recent one to shrink."""
    up = _window(behavior.scale_up if behavior else None, 0)
    down = _window(behavior.scale_down if behavior else None, DOWN_WINDOW)
    past = list(recommended)
    lowest = min((one.number for one in past if one.at > now - up), default=desired)
    highest = max((one.number for one in past if one.at > now - down), default=desired)
    lowest, highest = min(lowest, desired), max(highest, desired)
    settled = min(max(current, lowest), highest)
    if settled == desired:
        return settled, _READY
    if desired > current:
        return settled, (
            "ScaleUpStabilized",
            "recent recommendations were lower than current one, "
            "applying the lowest recent recommendation",
        )
    return settled, (
        "ScaleDownStabilized",
        "recent recommendations were higher than current one, "
        "applying the highest recent recommendation",
    )


def growth(
    current: int,
    behavior: HorizontalPodAutoscalerBehavior | None,
    changes: Sequence[Moment],
    now: float,
) -> int:
    """The largest size that may be set now."""
    rules = behavior.scale_up if behavior is not None else None
    if rules is None:
        return max(_UNLIMITED_GROWTH * current, _SMALL)
    if rules.select_policy == "Disabled":
        return current
    proposed = [_grown(one, _at_start(current, one, changes, now)) for one in rules.policies]
    return (min if rules.select_policy == "Min" else max)(proposed, default=current)


def shrinkage(
    current: int,
    behavior: HorizontalPodAutoscalerBehavior | None,
    changes: Sequence[Moment],
    now: float,
) -> int:
    """The smallest size that may be set now."""
    rules = behavior.scale_down if behavior is not None else None
    if rules is None:
        return 0
    if rules.select_policy == "Disabled":
        return current
    proposed = [_shrunk(one, _at_start(current, one, changes, now)) for one in rules.policies]
    return (max if rules.select_policy == "Min" else min)(proposed, default=current)


def _window(rules: HPAScalingRules | None, otherwise: int) -> int:
    window = rules.stabilization_window_seconds if rules is not None else None
    return otherwise if window is None else window


def _at_start(current: int, policy: HPAScalingPolicy, changes: Iterable[Moment], now: float) -> int:
    """The size when the policy's period began."""
    begun = now - policy.period_seconds
    return current - sum(one.number for one in changes if one.at > begun)


def _grown(policy: HPAScalingPolicy, start: int) -> int:
    if policy.type == "Pods":
        return start + policy.value
    # Rounded up, or a small workload would never grow. Whole numbers: floats err by one here.
    return -(-start * (100 + policy.value) // 100)


def _shrunk(policy: HPAScalingPolicy, start: int) -> int:
    if policy.type == "Pods":
        return start - policy.value
    return math.trunc(start * (100 - policy.value) / 100)
