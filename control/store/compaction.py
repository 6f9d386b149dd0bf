"""When history is forgotten: a policy that is asked now and then, and the task that obeys it.

As etcd under Kubernetes: history is kept for five minutes, so that a client that was away that long
may still resume its watch, and a listing that takes that long still gets its pages.
"""

from __future__ import annotations

import logging
from collections import deque

from base.clock import Clock
from base.tasks import persist
from control.store.errors import StoreError
from control.store.interface import Store

log = logging.getLogger(__name__)

KEEP_SECONDS = 300.0


class KeepByAge:
    """Forget what was already history `seconds` ago, at the first asking after that."""

    def __init__(self, seconds: float = KEEP_SECONDS) -> None:
        self._seconds = seconds
        self._seen: deque[tuple[float, int]] = deque()

    @property
    def interval(self) -> float:
        """How often the policy wants to be asked."""
        return self._seconds / 5

    def due(self, now: float, revision: int) -> int:
        """The revision to compact to, now that the store is at `revision`; 0: none."""
        self._seen.append((now, revision))
        target = 0
        while self._seen and self._seen[0][0] <= now - self._seconds:
            target = self._seen.popleft()[1]
        return target


async def run_compaction(store: Store, *, clock: Clock, policy: KeepByAge | None = None) -> None:
    """Compact the store for ever as the policy says. Run it under the owner's task guard."""
    policy = policy or KeepByAge()
    done = 0

    async def step() -> None:
        nonlocal done
        target = policy.due(clock.monotonic(), store.revision())
        if target > done:
            try:
                await store.compact(target)
                done = target
            except StoreError as error:
                # A full disk, most likely. The next round tries again; nothing is lost by waiting.
                log.warning("compaction to revision %d failed: %s", target, error)
        await clock.sleep(policy.interval)

    await persist(step, what="compaction", clock=clock)
