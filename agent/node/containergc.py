"""Which containers that ended are removed, beyond what each pod's own worker removes (any step of the
walk). Pure.

A worker keeps the last few of each name, for their logs and for how they ended. Where the node has a
bound for all together, the oldest go first: of those that were followed by another; then the last ones
of pods that have finished, whose status says how they ended. Never the last ones of a pod that goes on,
because they tell it how often it crashed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.containers.records import ContainerId


@dataclass(frozen=True, kw_only=True)
class Dead:
    """A container that ended."""

    uid: str
    """Of its pod."""
    container: str
    id: ContainerId
    ended_ago: float
    followed: bool
    """There is a newer one of its name."""
    finished: bool
    """Its pod has."""


def choose(dead: Sequence[Dead], *, most: int, least_age: float) -> list[Dead]:
    """Those to remove, so that `most` are left, if that many may go."""
    excess = len(dead) - most
    may_go = [one for one in dead if one.ended_ago >= least_age and (one.followed or one.finished)]
    may_go.sort(key=lambda one: (not one.followed, -one.ended_ago))
    return may_go[: max(0, excess)]
