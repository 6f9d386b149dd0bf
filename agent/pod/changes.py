"""What happened to a pod lately: kept for the moment when one of its containers dies (step 5 of its walk).

The last few only; told as "12 s before: image of web was changed from a to b".
"""

from __future__ import annotations

from collections import deque

from base.clock import Clock

KEPT = 10


class Changes:
    """The changes of one pod."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: deque[tuple[float, str]] = deque(maxlen=KEPT)

    def note(self, what: str) -> None:
        """Something happened now."""
        self._kept.append((self._clock.monotonic(), what))

    def before(self, moment: float, within: float) -> list[str]:
        """What happened in the seconds before a moment (monotonic), the newest first."""
        return [
            f"{round(moment - at)} s before: {what}"
            for at, what in reversed(self._kept)
            if 0 <= moment - at <= within
        ]
