"""How a scheduler scores: under one name the default, under others what a file says. Walk step 3.

A pod chooses by its `schedulerName`. All profiles share one queue, one snapshot and the filters; what
differs is how the nodes are compared that can run the pod. `configuration` reads the file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from control.scheduler.fitting import Score
from control.scheduler.queue import FIRST_BACKOFF, MAX_BACKOFF
from control.scheduler.rules import NO_RULES, Rules
from control.scheduler.scores import SCORES

DEFAULT_NAME = "default-scheduler"
LEAST_SCORED = 100
LEAST_TRIED = 100
SHARE_TRIED = 10
BIND_SECONDS = 600.0
"""As Kubernetes' DefaultPreemptionArgs and VolumeBindingArgs."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What one name stands for.

    `scores`: name, weight and function of each. `percentage` of the nodes is enough to choose from
    (0: all are compared, which costs little here). `preempts`: whether its pods push others aside; so
    many nodes that would do for that are enough (`least_tried`, or a share in percent of all).
    `rules`: what holds for its pods whatever they say. `bind_seconds`: how long their claims may take.
    """

    name: str = DEFAULT_NAME
    scores: tuple[tuple[str, float, Score], ...] = SCORES
    percentage: int = 0
    preempts: bool = True
    least_tried: int = LEAST_TRIED
    share_tried: int = SHARE_TRIED
    rules: Rules = NO_RULES
    bind_seconds: float = BIND_SECONDS

    def enough(self, nodes: int) -> int:
        """How many nodes that can run a pod are compared, of so many that there are."""
        if not 0 < self.percentage < 100:
            return nodes
        return max(LEAST_SCORED, nodes * self.percentage // 100)

    def tries(self, nodes: int) -> int:
        """For how many nodes preemption is thought through, of so many that there are."""
        return max(self.least_tried, nodes * self.share_tried // 100)


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """Every profile by its name, and how long a pod that was refused waits, in seconds."""

    profiles: Mapping[str, Profile] = field(default_factory=lambda: {DEFAULT_NAME: Profile()})
    first_backoff: float = FIRST_BACKOFF
    longest_backoff: float = MAX_BACKOFF
