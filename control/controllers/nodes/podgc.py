"""Pods that no agent will ever finish, and the piles of finished ones. Walk step 7.

An agent removes its own pods. Nobody removes those of a Node that was deleted (after a quarantine:
it might only be registered anew), those that were deleted before they had a node, and those that
terminate on a node whose administrator has declared it out of service, which frees their names and
volumes although nobody can be asked. All of these go by force. Of finished pods at most
`MAX_TERMINATED` are kept, evicted ones go first, then the oldest (kube-controller-manager's default).

A pod that is removed while it had not ended is marked Failed first: a Job counts it by that, and a
finalizer of the pod's may make others look at it (KEP-3329, "Pod garbage collector").
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from enum import StrEnum
from typing import Any

from api import conditions, pods, timestamps
from api.client import PatchType
from api.core import Node, Pod
from api.errors import is_conflict, is_not_found
from api.objects import Key
from base.errors import PodwrightError
from base.tasks import TaskGuard
from control.controllers.context import Context
from control.controllers.controller import Controller
from control.controllers.nodes.health import OUT_OF_SERVICE

PERIOD_SECONDS = 20.0
QUARANTINE_SECONDS = 40.0
MAX_TERMINATED = 12_500
SLICE = 1000


class Why(StrEnum):
    """What makes a pod nobody's."""

    ORPHANED = "its node is gone"
    UNSCHEDULED = "deleted before it had a node"
    OUT_OF_SERVICE = "terminating on a node out of service"


def verdict(pod: Pod, node: Node | None) -> Why | None:
    """Why nobody would ever finish this pod; None where an agent will. `node` is the pod's, if any."""
    leaving = pod.metadata.deletion_timestamp is not None
    if not pod.spec.node_name:
        return Why.UNSCHEDULED if leaving else None
    if node is None:
        return Why.ORPHANED
    return Why.OUT_OF_SERVICE if leaving and is_out_of_service(node) else None


def is_out_of_service(node: Node) -> bool:
    """Tainted as such by its administrator, and not ready: a node that answers needs no force."""
    tainted = any(taint.key == OUT_OF_SERVICE for taint in node.spec.taints)
    return tainted and not conditions.is_true(node.status.conditions, "Ready")


def surplus(finished: Iterable[Pod], limit: int) -> list[Pod]:
    """Finished pods beyond the limit: evicted ones first, then the oldest."""
    ordered = sorted(
        finished,
        key=lambda pod: (
            pod.status.reason != "Evicted",
            pod.metadata.creation_timestamp or "",
            pod.metadata.name,
        ),
    )
    return ordered[: max(0, len(ordered) - limit)]


class PodGcController(Controller):
    """Sweeps now and then; the queue holds the pods that are to go."""

    name = "pod-garbage-collector"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._pods = context.informers.of(Pod)
        self._nodes = context.informers.of(Node)
        self._missing_since: dict[str, float] = {}
        self._removed = 0
        self._nodes.subscribe(lambda old, new: None)

    def start(self, guard: TaskGuard) -> None:
        super().start(guard)
        self.every(guard, PERIOD_SECONDS, self._sweep)

    def statistics(self) -> dict[str, float]:
        return {**super().statistics(), "removals": self._removed}

    async def _sweep(self) -> None:
        bereft, others, finished = [], [], []
        async for pod in self._unhurried():
            why = verdict(pod, self._node_of(pod))
            if why is Why.ORPHANED:
                bereft.append(pod)
            elif why is not None:
                others.append(pod)
            elif pods.is_terminal(pod) and not pod.metadata.deletion_timestamp:
                finished.append(pod)
        self._note_missing(bereft)
        out_of_quarantine = [pod for pod in bereft if self._is_missing_long(pod.spec.node_name)]
        for pod in (*others, *out_of_quarantine, *surplus(finished, MAX_TERMINATED)):
            self.enqueue(pod)

    def _note_missing(self, bereft: list[Pod]) -> None:
        now, before = self.clock.monotonic(), self._missing_since
        self._missing_since = {p.spec.node_name: before.get(p.spec.node_name, now) for p in bereft}

    def _is_missing_long(self, node: str) -> bool:
        since = self._missing_since.get(node)
        return since is not None and self.clock.monotonic() - since >= QUARANTINE_SECONDS

    async def _unhurried(self) -> AsyncIterator[Pod]:
        """All pods; others get the loop every now and then."""
        for number, pod in enumerate(self._pods.items(), 1):
            yield pod
            if number % SLICE == 0:
                await asyncio.sleep(0)

    def _node_of(self, pod: Pod) -> Node | None:
        return self._nodes.get(pod.spec.node_name) if pod.spec.node_name else None

    async def reconcile(self, key: Key) -> float | None:
        pod = self._pods.get(key.name, key.namespace)
        if pod is None:
            return None
        why = verdict(pod, self._node_of(pod))
        if why is None and not pods.is_terminal(pod):
            return None
        if why is Why.ORPHANED and await self._node_lives(pod.spec.node_name):
            return None
        if not await self._mark_failed(pod, why):
            return None
        await self._remove(pod, why)
        return None

    async def _node_lives(self, name: str) -> bool:
        """Only a live read tells that a node is gone: the informer may not show one that came."""
        try:
            await self.client.get(Node, name)
        except PodwrightError as error:
            if is_not_found(error):
                return False
            raise
        return True

    async def _mark_failed(self, pod: Pod, why: Why | None) -> bool:
        """Say that the pod has ended, and why; False where it is gone already."""
        if pods.is_terminal(pod):
            return True
        status: dict[str, Any] = {"phase": "Failed"}
        if why is Why.ORPHANED:
            status["conditions"] = [
                {
                    "type": "DisruptionTarget",
                    "status": "True",
                    "reason": "DeletionByPodGC",
                    "message": "PodGC: node no longer exists",
                    "lastTransitionTime": timestamps.now_string(self.clock),
                }
            ]
        try:
            await self.client.patch(
                Pod,
                pod.metadata.name,
                pod.metadata.namespace,
                {"metadata": {"uid": pod.metadata.uid}, "status": status},
                patch_type=PatchType.STRATEGIC,
                subresource="status",
            )
        except PodwrightError as error:
            if is_not_found(error) or is_conflict(error):
                return False
            raise
        return True

    async def _remove(self, pod: Pod, why: Why | None) -> None:
        try:
            await self.client.delete(
                Pod,
                pod.metadata.name,
                pod.metadata.namespace,
                grace_period_seconds=0,
                uid=pod.metadata.uid,
            )
        except PodwrightError as error:
            if not is_not_found(error):
                raise
            return
        self._removed += 1
        if why is not None:
            self.log.info(
                "pod %s/%s removed by force: %s", pod.metadata.namespace, pod.metadata.name, why
            )
