"""Images that came by other hands than ours (step 4 of the pod's walk).

Somebody has loaded, tagged or pulled one on the node: a container that waits because it was not there
need not wait any longer, whatever its back-off says. The engine's event is only the reason to look; which
image came is not taken from it, because it may be known under other names.

Concurrency: one task; events that come while it looks are one more look.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping

from agent.containers.errors import RuntimeFailure
from agent.effects.context import AgentContext
from agent.effects.start import missing_images
from agent.pod.alarm import Alarm
from agent.pod.worker import PodWorker

log = logging.getLogger(__name__)


class ImageNews:
    """Looks for what containers wait for."""

    def __init__(self, agent: AgentContext, workers: Mapping[str, PodWorker]) -> None:
        self._agent = agent
        self._workers = workers
        self._alarm = Alarm("image news", clock=agent.clock, guard=agent.guard)

    def heard(self) -> None:
        """An image has come, or has another name."""
        self._alarm.ring()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._alarm.wait(None)
            await self._look()

    async def _look(self) -> None:
        waiting: dict[str, list[tuple[PodWorker, str]]] = defaultdict(list)
        for worker in self._workers.values():
            for key, reference in missing_images(worker.context):
                waiting[reference].append((worker, key))
        for reference, those in waiting.items():
            try:
                if await self._agent.runtime.image(reference) is None:
                    continue
            except RuntimeFailure as error:
                log.debug("%s is not looked for: %s", reference, error)
                continue
            log.info("image %s is there by now", reference)
            for worker, key in those:
                worker.retry(key)
