"""What the Burstable class weighs: as much CPU as its pods request together (step 4 of the pod's walk).

Pods come and go faster than a busy systemd changes a slice, and a status of theirs that comes back changes
nothing. So what is to be written is only noted here, and one task writes the newest value aside from the
event loop (`Cgroups.aside`). A value that cannot be written waits for the next `again`, the relist's: each
try with a systemd that hangs takes seconds.

Concurrency: one event loop; at most one task. No queue: the newest value wins.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from agent.resources.cgroups import Cgroups
from agent.resources.values import cpu_shares
from api.core import Pod
from api.pods import pod_requests, qos_class
from base.errors import PodwrightError
from base.tasks import TaskGuard

log = logging.getLogger(__name__)


class ClassWeight:
    """Keeps the weight of the Burstable class."""

    def __init__(self, cgroups: Cgroups, guard: TaskGuard) -> None:
        self._cgroups = cgroups
        self._guard = guard
        self._requested: dict[str, int] = {}
        """By uid, in thousandths of a CPU."""
        self._shares: int | None = None
        """As they were last to be written."""
        self._due = False
        self._writer: asyncio.Task[None] | None = None

    def add(self, pod: Pod) -> None:
        """A pod is there, or has other requests now."""
        if qos_class(pod) == "Burstable":
            self._requested[pod.metadata.uid] = pod_requests(pod).get("cpu", 0)
            self._mind()
        else:
            self.drop(pod.metadata.uid)

    def drop(self, uid: str) -> None:
        """A pod is gone. May be called twice."""
        self._requested.pop(uid, None)
        self._mind()

    def again(self) -> None:
        """Write it once more, whatever else on the node has written there."""
        self._shares = cpu_shares(sum(self._requested.values()))
        self._due = True
        if self._writer is None or self._writer.done():
            self._writer = self._guard.start(self._write(), name="weight of the Burstable class")

    def _mind(self) -> None:
        if cpu_shares(sum(self._requested.values())) != self._shares:
            self.again()

    async def _write(self) -> None:
        cgroups = self._cgroups
        while self._due and self._shares is not None:
            self._due = False
            try:
                await cgroups.aside(partial(cgroups.set_class_shares, burstable=self._shares))
            except PodwrightError as error:
                log.warning("CPU shares of the Burstable class are not set: %s", error)
