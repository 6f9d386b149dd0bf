"""What was decided about which pod, as long as it is remembered. Walk step 3.

The questions come later, from `control/why`; what is answered then is what was decided at the time.
Bounded by what the decisions hold: at 5,000 nodes ten thousand of them would be gigabytes.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

from control.scheduler.decide import Decision
from control.scheduler.preemption import Choice

REMEMBERED_DECISIONS = 10_000
REMEMBERED_VERDICTS = 2_000_000
"""Verdicts on single nodes, over all remembered decisions: some 50 MB."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The last decision about a pod, its time, and the how-manieth it was.

    `room`: the node that others are leaving for it, and who.
    """

    decision: Decision
    at: datetime
    attempts: int
    room: Choice | None = None


class Journal:
    """The last decision about each pod, the oldest forgotten first."""

    def __init__(
        self, decisions: int = REMEMBERED_DECISIONS, verdicts: int = REMEMBERED_VERDICTS
    ) -> None:
        self._most_decisions = decisions
        self._most_verdicts = verdicts
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._verdicts = 0

    def statistics(self) -> dict[str, float]:
        """How much is remembered."""
        return {"decisions": len(self._entries), "verdicts": self._verdicts}

    def record(
        self, uid: str, decision: Decision, at: datetime, room: Choice | None = None
    ) -> None:
        """Remember a decision in the place of the one before."""
        before = self._entries.get(uid)
        self.forget(uid)
        self._entries[uid] = Entry(decision, at, before.attempts + 1 if before else 1, room)
        self._verdicts += decision.size
        while len(self._entries) > 1 and (
            len(self._entries) > self._most_decisions or self._verdicts > self._most_verdicts
        ):
            self._verdicts -= self._entries.popitem(last=False)[1].decision.size

    def forget(self, uid: str) -> None:
        """The pod is gone."""
        known = self._entries.pop(uid, None)
        if known is not None:
            self._verdicts -= known.decision.size

    def last(self, uid: str) -> Entry | None:
        """The last decision about a pod, if it is remembered."""
        return self._entries.get(uid)
