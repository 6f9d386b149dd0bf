"""The collector of cycles: it looks at what is new, and hardly ever at what has been there for long.

What control plane and agent keep are API objects, millions of small ones with many pods. They form no
cycles, and go when nobody refers to them; yet Python's collector visits every list in them again and
again, and holds the event loop for that long (0.5 s in a control plane with 50,000 pods; 50 ms, three
times in a minute, in an agent that has nothing to do but look at its 100 pods). Whatever survives a full
collection is therefore set aside (`gc.freeze`), so that the next one visits only what came since then:
some milliseconds.

What is set aside and becomes part of an unreachable cycle later is not found by that. There is
little of it, thousands of connections and watches leave none; now and then everything is looked at.

Sources: the documentation of the `gc` module; Instagram's "Dismissing Python Garbage Collection".
"""

from __future__ import annotations

import gc
from collections.abc import Mapping

from base.clock import Clock

_OLDEST = 2


class Garbage:
    """Sets aside what survives, for as long as it is installed."""

    def install(self) -> None:
        gc.callbacks.append(self._collected)

    def remove(self) -> None:
        gc.callbacks.remove(self._collected)
        gc.unfreeze()

    async def run(self, clock: Clock, *, seconds: float) -> None:
        """Look at everything now and then."""
        while True:
            await clock.sleep(seconds)
            self.collect()

    def collect(self) -> int:
        """Look at everything; returns how many objects were found to be garbage."""
        gc.unfreeze()
        return gc.collect()

    def _collected(self, phase: str, info: Mapping[str, int]) -> None:
        if phase == "stop" and info["generation"] == _OLDEST:
            gc.freeze()
