"""Whether the container engine answers (before step 3 of the pod's walk: it decides readiness).

Told by the event stream when it breaks, and asked every few seconds in case it hangs without
breaking. A question that hangs counts as no answer, and holds up nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from agent.containers.errors import EngineUnavailable, RuntimeFailure
from agent.containers.interface import Runtime
from base.clock import Clock

ASK_EVERY = 5.0
ANSWER_WITHIN = 10.0


class EngineHealth:
    """How long the engine has been away."""

    def __init__(self, runtime: Runtime, image: str, *, clock: Clock) -> None:
        self._runtime = runtime
        self._image = image
        self._clock = clock
        self._away_since: float | None = None
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
        self._set(there, "" if there else "its event stream has ended")

    async def watch(self) -> None:
        """Ask from time to time, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(ANSWER_WITHIN):
                    await self._runtime.image(self._image)
                self._set(True, "")
            except EngineUnavailable as error:
                self._set(False, error.message)
            except TimeoutError:
                self._set(False, f"no answer within {ANSWER_WITHIN:g} s")
            except RuntimeFailure:
                self._set(True, "")  # a refusal is an answer
            await self._clock.sleep(ASK_EVERY)

    def _set(self, there: bool, error: str) -> None:
        changed = there is not (self._away_since is None)
        if there:
            self._away_since = None
        elif self._away_since is None:
            self._away_since = self._clock.monotonic()
        self.error = error
        if changed:
            self.on_change()
