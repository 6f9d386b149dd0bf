"""Pods that no agent will ever finish: those of nodes that are gone, and the piles of finished ones.

An agent removes its own pods; a Node object that was deleted has none. After a quarantine (the node
might only be re-registering) such pods are removed by force. Of finished pods at most
`MAX_TERMINATED` are kept, the oldest go first (kube-controller-manager's default).
"""

import asyncio
from collections.abc import AsyncIterator

from api import pods
from api.core import Node, Pod
from api.errors import is_not_found
from api.objects import Key
from base.errors import PodwrightError
from base.tasks import TaskGuard
from control.controllers.context import Context
from control.controllers.controller import Controller

PERIOD_SECONDS = 20.0
QUARANTINE_SECONDS = 40.0
MAX_TERMINATED = 12_500
SLICE = 1000


class PodGcController(Controller):
    """Sweeps now and then; the queue holds pods of missing nodes until their quarantine is over."""

    name = "pod-garbage-collector"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._pods = context.informers.of(Pod)
        self._nodes = context.informers.of(Node)
        self._missing_since: dict[str, float] = {}
        self._nodes.subscribe(lambda old, new: None)

    def start(self, guard: TaskGuard) -> None:
        super().start(guard)
        self.every(guard, PERIOD_SECONDS, self._sweep)

    async def _sweep(self) -> None:
        bereft, finished = [], []
        async for pod in self._unhurried():
            if pod.spec.node_name and self._nodes.get(pod.spec.node_name) is None:
                bereft.append(pod)
            if pods.is_terminal(pod):
                finished.append(pod)
        now = self.clock.monotonic()
        before = self._missing_since
        self._missing_since = {p.spec.node_name: before.get(p.spec.node_name, now) for p in bereft}
        for pod in bereft:
            if now - self._missing_since[pod.spec.node_name] >= QUARANTINE_SECONDS:
                self.enqueue(pod)
        for pod in surplus(finished):
            self.enqueue(pod)

    async def _unhurried(self) -> AsyncIterator[Pod]:
        """All pods; others get the loop every now and then."""
        for number, pod in enumerate(self._pods.items(), 1):
            yield pod
            if number % SLICE == 0:
                await asyncio.sleep(0)

    async def reconcile(self, key: Key) -> float | None:
        pod = self._pods.get(key.name, key.namespace)
        if pod is None:
            return None
        gone = bool(pod.spec.node_name) and self._nodes.get(pod.spec.node_name) is None
        if not gone and not pods.is_terminal(pod):
            return None
        try:
            await self.client.delete(
                Pod,
                key.name,
                key.namespace,
                grace_period_seconds=0,
                uid=pod.metadata.uid,
            )
        except PodwrightError as error:
            if not is_not_found(error):
                raise
        return None


def surplus(finished: list[Pod]) -> list[Pod]:
    """Finished pods beyond the limit, the oldest."""
    over = len(finished) - MAX_TERMINATED
    if over <= 0:
        return []
    return sorted(finished, key=lambda pod: pod.metadata.creation_timestamp or "")[:over]
