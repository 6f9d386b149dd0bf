"""Waiting for a change or for a moment, whichever comes first (step 4 of the pod's walk).

One owner waits, anybody rings. A ring while nobody waits is not lost; several count as one.
"""

from __future__ import annotations

import asyncio

from base.clock import Clock
from base.tasks import TaskGuard


class Alarm:
    """A bell with a timer."""

    def __init__(self, name: str, *, clock: Clock, guard: TaskGuard) -> None:
        self._name = name
        self._clock = clock
        self._guard = guard
        self._bell = asyncio.Event()

    def ring(self) -> None:
        """Wake the one who waits, now or at its next wait."""
        self._bell.set()

    async def wait(self, seconds: float | None) -> None:
        """Return at the next ring, or after `seconds`; None waits for a ring only."""
        if seconds is None:
            await self._bell.wait()
        elif not self._bell.is_set():
            timer = self._guard.start(self._ring_after(seconds), name=f"{self._name} timer")
            try:
                await self._bell.wait()
            finally:
                timer.cancel()
        self._bell.clear()

    async def _ring_after(self, seconds: float) -> None:
        await self._clock.sleep(max(0.0, seconds))
        self._bell.set()
