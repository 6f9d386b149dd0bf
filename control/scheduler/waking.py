"""Brings refused pods back when something changed that could help them. Walk step 3.

The scheduler's handlers say what changed; one task looks at what has come together, a tenth of a second
apart at most, so that a thousand pods that leave at once are one change. Each sort of parked pods is judged
once (`control/scheduler/hints.py`). While nothing changes, nothing runs.
"""

import asyncio
from dataclasses import replace

from base.clock import Clock
from base.tasks import persist
from control.scheduler.hints import Changes, Hints
from control.scheduler.nominations import Nominations
from control.scheduler.preemption import is_being_vacated
from control.scheduler.queue import SchedulingQueue
from control.scheduler.request import Request
from control.scheduler.snapshot import Snapshot
from control.scheduler.storage import ClaimKey

APART_SECONDS = 0.1
RESTS = 4
"""The task rests so many times as long as it worked: hints must not cost more than decisions."""
AT_A_TIME = 50


class Waker:
    """Whose turn comes again. `nominations` are needed to see the cluster as each pod sees it."""

    def __init__(
        self, queue: SchedulingQueue, snapshot: Snapshot, nominations: Nominations, clock: Clock
    ) -> None:
        self._queue = queue
        self._snapshot = snapshot
        self._nominations = nominations
        self._clock = clock
        self._changes = Changes()
        self._something = asyncio.Event()
        self._looks = 0
        self._woken = 0

    def statistics(self) -> dict[str, float]:
        """How often it has looked, and how many pods it has brought back."""
        return {"looks": self._looks, "woken": self._woken}

    def node(self, name: str, *labels: dict[str, str]) -> None:
        """A node came, went or changed. `labels`: those it has, and had."""
        self._noted().node(name, [key for one in labels for key in one])

    def room(self, node: str) -> None:
        """A node has more room than before."""
        if node:
            self._noted().nodes.add(node)

    def pod(self, request: Request, *, left: str = "") -> None:
        """A pod came to a node or is another one now; or it left one."""
        self._noted().pod(request, left=left)

    def claim(self, key: ClaimKey) -> None:
        """A claim came, went or changed."""
        self._noted().claims.add(key)

    def storage(self) -> None:
        """A volume or a class came, went or changed."""
        self._noted().storage = True

    def namespaces(self) -> None:
        """Namespaces have other labels."""
        self._noted().namespaces = True

    async def run(self) -> None:
        """Look whenever there is something, until cancelled."""
        await persist(self._step, what="waking parked pods", clock=self._clock)

    async def _step(self) -> None:
        await self._something.wait()
        begun = self._clock.monotonic()
        try:
            await self._look()
        except Exception:
            self._wake_all()  # whom the changes would help cannot be told any more
            raise
        took = self._clock.monotonic() - begun
        await self._clock.sleep(max(APART_SECONDS, RESTS * took))

    def _wake_all(self) -> None:
        for sort in self._queue.parked():
            self._woken += self._queue.activate(sort.keys)

    def _noted(self) -> Changes:
        self._something.set()
        return self._changes

    async def _look(self) -> None:
        self._something.clear()
        self._looks += 1
        changes, self._changes = self._changes, Changes()
        hints = Hints(changes, self._snapshot)
        for request in self._nominations.on(changes.nodes):
            node = self._nominations.node_of(request.uid)
            with self._nominations.seen_by(request):
                helps = hints.could_take(request)
            # What it has waited for has come to nothing: it must look for another node.
            if helps or not is_being_vacated(request, self._snapshot, node):
                self._woken += self._queue.activate([(request.namespace, request.name)])
        for number, sort in enumerate(self._queue.parked(), start=1):
            # The room that is kept for one of them helps the others nothing.
            with self._nominations.seen_by(replace(sort.request, uid="")):
                helps = hints.help(sort.request, sort.rejected_by)
            if helps:
                self._woken += self._queue.activate(sort.keys)
            if not number % AT_A_TIME:
                await asyncio.sleep(0)
