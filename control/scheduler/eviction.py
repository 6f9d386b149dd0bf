"""Carries out what preemption has decided: victims are told why, and deleted. Walk steps 3 and 7.

Each victim gets the condition DisruptionTarget, which its owner's failure policy may read, an event,
and its usual grace period; nobody asks its disruption budget again. Safe to run twice.
"""

import logging
from collections.abc import Mapping

from api import timestamps
from api.client import Client, PatchType
from api.core import Pod
from api.errors import is_conflict, is_not_found
from api.events import EventRecorder
from api.informer import Informer
from base.clock import Clock
from base.errors import PodwrightError
from control.scheduler.preemption import Choice
from control.scheduler.request import Request

log = logging.getLogger(__name__)

REASON = "PreemptionByScheduler"


class Evictor:
    """Deletes victims."""

    def __init__(
        self,
        client: Client,
        pods: Informer[Pod],
        recorders: Mapping[str, EventRecorder],
        clock: Clock,
    ) -> None:
        self._client = client
        self._pods = pods
        self._recorders = recorders
        self._clock = clock

    async def carry_out(self, choice: Choice, request: Request) -> bool:
        """Make room for a pod; returns whether all victims are on their way."""
        failed = 0
        for victim in choice.victims:
            try:
                await self._end(victim, choice.node, request)
            except PodwrightError as error:
                if not is_not_found(error) and not is_conflict(error):
                    log.warning("cannot preempt %s/%s: %s", victim.namespace, victim.name, error)
                    failed += 1
        return not failed

    async def _end(self, victim: Request, node: str, request: Request) -> None:
        pod = self._pods.get(victim.name, victim.namespace)
        if pod is None or pod.metadata.uid != victim.uid or pod.metadata.deletion_timestamp:
            return
        scheduler = request.spec.scheduler_name
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": REASON,
            "message": f"{scheduler}: preempting to accommodate a higher priority pod",
            "lastTransitionTime": timestamps.now_string(self._clock),
        }
        await self._client.patch(
            Pod,
            victim.name,
            victim.namespace,
            {"metadata": {"uid": victim.uid}, "status": {"conditions": [condition]}},
            patch_type=PatchType.STRATEGIC,
            subresource="status",
        )
        await self._client.delete(Pod, victim.name, victim.namespace, uid=victim.uid)
        self._recorders[scheduler].event(
            pod, "Normal", "Preempted", f"Preempted by pod {request.uid} on node {node}"
        )
