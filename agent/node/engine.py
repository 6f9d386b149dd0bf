"""Whether the container engine answers (before step 3 of the pod's walk: it decides readiness).

Told by the event stream when it breaks, and asked every few seconds in case it hangs without
breaking. A question that hangs counts as no answer, and holds up nothing else.

Four states, because people do different things about them: it answers; it answers, but slowly (the
machine is overloaded); it is stuck, which is to say that it takes connections and answers nothing
(frozen, or deadlocked); it is down, and nobody listens on its socket.
"""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from collections.abc import Callable

from agent.containers.errors import EngineUnavailable, RuntimeFailure
from agent.containers.interface import Runtime
from base.clock import Clock

ASK_EVERY = 5.0
ANSWER_WITHIN = 10.0
SLOW = 2.0
"""Seconds; the question takes a healthy engine milliseconds."""
SLOW_IN_A_ROW = 3


class EngineState(enum.Enum):
    """How the engine is."""

    WELL = "well"
    SLOW = "slow"
    STUCK = "stuck"
    DOWN = "down"


class EngineHealth:
    """How the engine is, and how long it has been away."""

    def __init__(self, runtime: Runtime, image: str, *, clock: Clock) -> None:
        self._runtime = runtime
        self._image = image
        self._clock = clock
        self._away_since: float | None = None
        self._took: deque[float] = deque(maxlen=SLOW_IN_A_ROW)
        self.state = EngineState.WELL
        self.error = ""
        self.on_change: Callable[[], None] = lambda: None

    @property
    def away_for(self) -> float:
        """Seconds without an answer; 0 while it answers."""
        if self._away_since is None:
            return 0.0
        return self._clock.monotonic() - self._away_since

    def heard(self, there: bool) -> None:
        """The event stream broke or runs again."""
        if there:
            self._set(EngineState.WELL, "")
        else:
            self._set(EngineState.DOWN, "its event stream has ended")

    def statistics(self) -> dict[str, float]:
        return {
            "last_answer_seconds": self._took[-1] if self._took else 0.0,
            "away_seconds": self.away_for,
            "stuck": float(self.state is EngineState.STUCK),
            "slow": float(self.state is EngineState.SLOW),
        }

    async def watch(self) -> None:
        """Ask from time to time, until cancelled."""
        while True:
            began = self._clock.monotonic()
            try:
                async with asyncio.timeout(ANSWER_WITHIN):
                    await self._runtime.image(self._image)
                self._answered(self._clock.monotonic() - began)
            except EngineUnavailable as error:
                self._set(EngineState.DOWN, error.message)
            except TimeoutError:
                words = f"it takes connections, but has not answered within {ANSWER_WITHIN:g} s"
                self._set(EngineState.STUCK, words)
            except RuntimeFailure:  # a refusal is an answer
                self._answered(self._clock.monotonic() - began)
            await self._clock.sleep(ASK_EVERY)

    def _answered(self, took: float) -> None:
        self._took.append(took)
        slow = len(self._took) == SLOW_IN_A_ROW and min(self._took) >= SLOW
        words = f"its last {SLOW_IN_A_ROW} answers took more than {SLOW:g} s each" if slow else ""
        self._set(EngineState.SLOW if slow else EngineState.WELL, words)

    def _set(self, state: EngineState, error: str) -> None:
        there = state in (EngineState.WELL, EngineState.SLOW)
        if there:
            self._away_since = None
        elif self._away_since is None:
            self._away_since = self._clock.monotonic()
        changed, self.state, self.error = state is not self.state, state, error
        if changed:
            self.on_change()
