"""Making a pod's volumes ready, and showing its programs what has changed in them (step 4 of the pod's walk).

The first time decides whether containers are made; the times after that only bring news of ConfigMaps,
Secrets and the like, and what does not come stays as it was.
"""

from __future__ import annotations

import logging

from agent.effects.context import PodContext, StepFailed
from agent.pod.actions import PrepareVolumes
from agent.volumes.base import VolumeError
from base.errors import PodwrightError

log = logging.getLogger(__name__)

REFRESH = 60.0
"""Seconds between two looks at the ConfigMaps and Secrets that volumes show."""
TOGETHER = 5.0
"""Pods look at the same moments, so many seconds apart: one question to the API serves all of them."""


async def prepare(ctx: PodContext, action: PrepareVolumes) -> None:
    """All volumes, as they should be now. May be done again and again."""
    if ctx.volumes.follows_api(ctx.pod):
        # What changes from here on may be too late for this time.
        due = ctx.agent.clock.monotonic() + REFRESH
        ctx.memory.volumes_due = due - due % TOGETHER
    shown = ctx.volumes.versions()
    try:
        await ctx.volumes.set_up(ctx.pod, ctx.place())
    except StepFailed:
        raise
    except (PodwrightError, OSError) as error:
        message = error.message if isinstance(error, PodwrightError) else str(error)
        if not ctx.memory.volumes_ready:
            ctx.warn("FailedMount", message)
            reason = "FailedMount" if isinstance(error, VolumeError) else "VolumeUnavailable"
            raise StepFailed(reason, message) from error
        # The containers keep what they have; the next round may bring the news.
        meta = ctx.pod.metadata
        log.warning("volumes of %s/%s are not refreshed: %s", meta.namespace, meta.name, message)
    ctx.memory.volumes_ready = True
    for name, version in ctx.volumes.versions().items():
        if shown.get(name, version) != version:
            ctx.memory.changes.note(f"volume {name} got new contents")
