"""The node's signs of life: its object, its Lease, its status (before step 3 of the pod's walk).

Two rhythms, as in Kubernetes: the Lease is renewed every 10 s (`lease.py`) and costs the server next to
nothing; the status is looked at every 10 s, and told when it changed, or every five minutes. A control
plane that is away is no reason to do anything but try again. A Node that somebody deleted is registered
anew.

What others write into the Node's capacity (`kubectl patch`, for a resource that no machine counts) is
copied to allocatable, so that pods may ask for it.

What changed is told as an event too, once the API has taken it (`nodeevents.py`).

Intervals are measured on the monotonic clock: a jump of the wall clock must not silence a node.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from agent.node.lease import NodeLease
from agent.node.nodeevents import NodeEvents
from agent.node.nodestatus import (
    NodeIdentity,
    NodeObserved,
    node_status,
    same_but_for_heartbeats,
)
from agent.pod.alarm import Alarm
from api.client import Client, PatchType
from api.core import Node, NodeSpec, NodeStatus
from api.errors import ApiError, is_already_exists, is_not_found
from api.meta import ObjectMeta
from base.clock import Clock
from base.errors import PodwrightError
from base.tasks import TaskGuard

log = logging.getLogger(__name__)

LOOK = 10.0
TELL_AT_LEAST = 300.0
RETRY = 2.0


class Heartbeat:
    """Keeps the Node object and its Lease current."""

    def __init__(
        self,
        client: Client,
        identity: NodeIdentity,
        *,
        observe: Callable[[], NodeObserved],
        events: NodeEvents,
        clock: Clock,
        guard: TaskGuard,
    ) -> None:
        self._client = client
        self._identity = identity
        self._observe = observe
        self._events = events
        self._clock = clock
        self._alarm = Alarm("node status", clock=clock, guard=guard)
        self._declared: dict[str, str] = {}
        """Resources that others have declared."""
        self._told: NodeStatus | None = None
        self._told_at = 0.0
        self._schedulable = True
        self._lease = NodeLease(client, identity.name, clock=clock)
        self._status_told = 0

    def wake(self) -> None:
        """Something about the node has changed: look now."""
        self._alarm.ring()

    def seen(self, node: Node) -> None:
        """The API shows our Node. If others have changed what we say of it, as the control plane does
        with a node that it has not heard of, we say it again: what we told once is not what stands."""
        told = self._told
        if node.metadata.name != self._identity.name or told is None:
            return
        schedulable = not node.spec.unschedulable
        self._events.schedulable(self._schedulable, schedulable)
        self._schedulable = schedulable
        if (declared := self._declared_on(node)) != self._declared:
            self._declared = declared
            self.wake()
        stands = {each.type: each.status for each in node.status.conditions}
        if any(stands.get(each.type) != each.status for each in told.conditions):
            self._told = node.status
            self.wake()

    def _declared_on(self, node: Node) -> dict[str, str]:
        own = self._identity.capacity
        return {name: text for name, text in node.status.capacity.items() if name not in own}

    async def register(self) -> Node:
        """Make the Node, or bring the labels of an existing one up to date. Where others make it, look
        for it."""
        identity = self._identity
        if not identity.registers:
            return await self._take(await self._client.get(Node, identity.name))
        status = node_status(identity, self._observe(), previous=(), now=self._clock.now())
        node = Node(
            metadata=ObjectMeta(
                name=identity.name,
                labels=dict(identity.labels),
                annotations=dict(identity.annotations),
            ),
            spec=NodeSpec(taints=list(identity.taints)),
            status=status,
        )
        try:
            made = await self._client.create(node)
            log.info("registered node %s", identity.name)
        except ApiError as error:
            if not is_already_exists(error):
                raise
            meta = {"labels": dict(identity.labels), "annotations": dict(identity.annotations)}
            made = await self._client.patch(Node, identity.name, "", {"metadata": meta})
        else:
            self._events.conditions((), status.conditions)
        return await self._take(made)

    async def _take(self, made: Node) -> Node:
        """This is our Node from now on."""
        self._events.booted(made.status.node_info.boot_id, self._identity.info.boot_id)
        self._lease.owner = made.metadata.uid
        self._schedulable = not made.spec.unschedulable
        self._told, self._declared = made.status, self._declared_on(made)
        await self.tell(force=True)
        return made

    async def register_patiently(self) -> Node:
        """Register, however long the control plane is away."""
        while True:
            try:
                return await self.register()
            except PodwrightError as error:
                log.warning("node is not registered yet: %s", error)
                await self._clock.sleep(RETRY)

    async def report_forever(self) -> None:
        """Look at the node every 10 s, or when woken, and tell what is new."""
        while True:
            await self._alarm.wait(LOOK)
            try:
                await self.tell()
            except ApiError as error:
                if is_not_found(error):
                    log.warning("the Node object is gone; registering anew")
                    await self.register_patiently()
                else:
                    log.warning("node status is not told: %s", error)
            except PodwrightError as error:
                log.warning("node status is not told: %s", error)

    async def tell(self, *, force: bool = False) -> None:
        """Send the status if there is something new, or if it is time."""
        before = self._told
        status = node_status(
            self._identity,
            self._observe(),
            previous=() if before is None else before.conditions,
            now=self._clock.now(),
        )
        status.allocatable |= self._declared
        recent = self._clock.monotonic() - self._told_at < TELL_AT_LEAST
        if not force and recent and before is not None and same_but_for_heartbeats(before, status):
            return
        await self._client.patch(
            Node,
            self._identity.name,
            "",
            {"status": _body(status, before)},
            patch_type=PatchType.STRATEGIC,
            subresource="status",
        )
        self._told, self._told_at = status, self._clock.monotonic()
        self._status_told += 1
        self._events.conditions(() if before is None else before.conditions, status.conditions)

    async def renew_forever(self) -> None:
        """Renew the Lease every 10 s."""
        await self._lease.renew_forever()

    def statistics(self) -> dict[str, float]:
        return {
            "node_status_told": self._status_told,
            "lease_failures_in_a_row": self._lease.failures,
        }


def _body(status: NodeStatus, before: NodeStatus | None) -> dict[str, Any]:
    """The status as a patch: conditions merge by type, the rest is replaced."""
    body: dict[str, Any] = msgspec.to_builtins(status)
    gone = set(before.allocatable if before is not None else ()) - set(status.allocatable)
    body["allocatable"] = dict(status.allocatable) | dict.fromkeys(gone)
    body["addresses"] = [{"$patch": "replace"}, *body.get("addresses", [])]
    return body
