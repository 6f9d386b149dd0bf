"""Node lifecycle: a silent node becomes Unknown, its taints follow, its pods are evicted in time.

One loop looks at all nodes every few seconds (`monitor_period`), for deaths are noticed by time
passing, which no watch tells; and at once at those that changed, so that a heartbeat costs a look at
one node and not at thousands. Of a node that was well and has not changed, nor its Lease, only the age
of the last sign of life is looked at: thousands of nodes at rest cost a few milliseconds. After each
look at all of them, nodes in trouble get the taint that evicts, as many as their zone may lose by now
(`zones`). While no node of any zone is ready, and as long again as a node may be silent, nobody is
evicted, and taints that do are taken back: most likely it is we who are cut off, and the nodes go on
with their pods (Kubernetes' "full disruption").

Evictions are keyed by pod: each pod on a tainted node has a deadline made of the taint's age and the
pod's tolerations, and its deletion waits in the queue until then.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace

from api import conditions, pods, timestamps
from api.client import PatchType
from api.coordination import Lease
from api.core import Node, Pod, Taint
from api.errors import is_conflict, is_not_found
from api.objects import Key
from base.errors import PodwrightError
from base.tasks import TaskGuard, persist
from control.controllers import indexes
from control.controllers.context import Context
from control.controllers.controller import Controller
from control.controllers.nodes import health
from control.controllers.nodes.tainted import TaintAges
from control.controllers.nodes.zones import Zones, ZoneState, in_turn

LEASE_NAMESPACE = "kube-node-lease"
SLICE = 200
"""Nodes looked at before others get the loop: one or two milliseconds."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A node that nothing was wrong with, and its Lease, as they were at the last look."""

    node: Node
    lease: Lease | None


class NodeLifecycleController(Controller):
    """Marks, taints and evicts. `_doomed` are pods whose time runs."""

    name = "node-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._nodes = context.informers.of(Node)
        self._pods = context.informers.of(Pod)
        self._leases = context.informers.of(Lease)
        self._recorder = context.recorder(self.name)
        self._heartbeats: dict[str, health.Heartbeat] = {}
        self._well: dict[str, _Seen] = {}
        self._taints = TaintAges(context.clock)
        self._zones = Zones(context.nodes, context.clock)
        self._doomed: set[Key] = set()
        self._looks = 0
        self._waiting = 0
        self._changed: dict[str, None] = {}
        self._wake = asyncio.Event()
        indexes.index_placed(self._pods)
        self._nodes.subscribe(self._on_node)
        self._pods.subscribe(self._on_pod)

    def start(self, guard: TaskGuard) -> None:
        super().start(guard)
        monitoring = persist(self._monitor, what="monitoring nodes", clock=self.clock)
        guard.start(monitoring, name=f"{self.name} monitor")

    def statistics(self) -> dict[str, float]:
        return {
            **super().statistics(),
            "nodes": len(self._heartbeats),
            "looks": self._looks,
            "nodes_waiting_for_eviction": self._waiting,
            "pods_waiting_for_eviction": len(self._doomed),
            "zones_disrupted": sum(
                state is not ZoneState.NORMAL for state in self._zones.states().values()
            ),
        }

    def _on_node(self, old: Node | None, new: Node | None) -> None:
        if new is None:
            assert old is not None
            self._heartbeats.pop(old.metadata.name, None)
            self._well.pop(old.metadata.name, None)
            self._taints.forget(old.metadata.name)
            self._tell(old, "RemovingNode", "Removing Node {} from Controller")
            return
        if old is None and self._nodes.has_synced:
            self._tell(new, "RegisteredNode", "Registered Node {} in Controller")
        self._taints.saw(old if self._nodes.has_synced else None, new)
        if old is None or (old.spec, old.status.conditions) != (new.spec, new.status.conditions):
            self._changed[new.metadata.name] = None
            self._wake.set()
        if old is None or old.spec.taints != new.spec.taints:
            for pod in indexes.pods_on(self._pods, new.metadata.name):
                self.enqueue(pod)

    def _tell(self, node: Node, reason: str, words: str) -> None:
        name = node.metadata.name
        self._recorder.event(node, "Normal", reason, f"Node {name} event: {words.format(name)}")

    def _on_pod(self, old: Pod | None, new: Pod | None) -> None:
        if new is None:
            assert old is not None
            self._taints.went(old)
            return
        if new.spec.node_name and (old is None or old.spec.node_name != new.spec.node_name):
            if self._pods.has_synced:
                self._taints.came(new)
            self.enqueue(new)

    async def _monitor(self) -> None:
        await self._evict_from(await self._look_at_each(self._nodes.items()))
        self._looks += 1
        until = asyncio.get_running_loop().time() + self.context.nodes.monitor_period
        while await self._changed_before(until):
            self._wake.clear()
            names, self._changed = self._changed, {}
            await self._look_at_each(filter(None, map(self._nodes.get, names)))

    async def _evict_from(self, nodes: list[Node]) -> None:
        """Give nodes in trouble the taint that evicts, or take it from all if we are cut off."""
        was_cut_off = self._zones.all_disrupted
        self._zones.survey(nodes)
        if self._zones.all_disrupted:
            self._waiting = sum(not health.evicts(node) for node in nodes)
            await self._look_at_each(node for node in nodes if health.evicts(node))
            return
        if was_cut_off:
            self._hear_anew()
        waiting = in_turn(filter(self._is_to_lose_its_pods, self._zones.troubled))
        self._waiting = len(waiting)
        for node in waiting:
            if self._zones.may_lose(node) and await self._attempt(node, evicts=True):
                self._zones.lost(node)
                self._waiting -= 1

    def _hear_anew(self) -> None:
        """We have been cut off: who is silent gets as long again to be heard."""
        now = self.clock.monotonic()
        for name, heartbeat in self._heartbeats.items():
            self._heartbeats[name] = replace(heartbeat, at=now)

    def _is_to_lose_its_pods(self, node: Node) -> bool:
        if health.evicts(node):
            return False
        heartbeat = self._heartbeats.get(node.metadata.name)
        return heartbeat is not None and (not health.is_unheard(node) or self._is_silent(heartbeat))

    def _is_silent(self, heartbeat: health.Heartbeat) -> bool:
        return self.clock.monotonic() - heartbeat.at > self.context.nodes.monitor_grace

    async def _changed_before(self, until: float) -> bool:
        """Wait until some node has changed; False once it is time to look at all of them."""
        left = until - asyncio.get_running_loop().time()
        if left <= 0:
            return False
        try:
            async with asyncio.timeout(left):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True

    async def _look_at_each(self, nodes: Iterable[Node]) -> list[Node]:
        """Make each right but for what evicts; the nodes as they are then."""
        seen = []
        for number, node in enumerate(nodes, 1):
            if self._is_well_as_before(node):
                seen.append(node)
            else:
                seen.append(await self._attempt(node, evicts=health.evicts(node)) or node)
            if number % SLICE == 0:
                await asyncio.sleep(0)
        return seen

    def _is_well_as_before(self, node: Node) -> bool:
        name = node.metadata.name
        known = self._well.get(name)
        return (
            known is not None
            and known.node is node
            and known.lease is self._leases.get(name, LEASE_NAMESPACE)
            and not self._is_silent(self._heartbeats[name])
        )

    async def _attempt(self, node: Node, *, evicts: bool) -> Node | None:
        """Look at one node; None if it could not be made right."""
        try:
            return await self._look_at(node, evicts=evicts and not self._zones.all_disrupted)
        except PodwrightError as error:
            if not (is_conflict(error) or is_not_found(error)):
                self.log.warning("node %s: %s", node.metadata.name, error)
            return None
        except Exception:  # as in Controller: one odd node must not stop the control plane
            self.log.exception("node %s: cannot be looked at", node.metadata.name)
            return None

    async def _look_at(self, node: Node, *, evicts: bool) -> Node:
        name = node.metadata.name
        lease = self._leases.get(name, LEASE_NAMESPACE)
        renewed = (lease.spec.renew_time if lease is not None else None) or ""
        heartbeat = health.beat(node, renewed, self._heartbeats.get(name), self.clock.monotonic())
        self._heartbeats[name] = heartbeat
        now, silent = timestamps.now_string(self.clock), self._is_silent(heartbeat)
        if silent:
            node = await self._mark_unknown(node, now)
        taints = health.wanted_taints(node, now, evicts=evicts)
        if taints == node.spec.taints:
            if not silent and not health.evicts(node):
                self._well[name] = _Seen(node, lease)
            return node
        body = {
            "metadata": {"resourceVersion": node.metadata.resource_version},
            "spec": {"taints": health.to_json(taints)},
        }
        return await self.client.patch(Node, name, "", body)

    async def _mark_unknown(self, node: Node, now: str) -> Node:
        told = health.with_unknown(node, now)
        if told != node.status.conditions:
            node = await self.client.patch(
                Node,
                node.metadata.name,
                "",
                {
                    "metadata": {"resourceVersion": node.metadata.resource_version},
                    "status": {"conditions": health.to_json(told)},
                },
                subresource="status",
            )
            self._recorder.event(
                node,
                "Normal",
                "NodeNotReady",
                f"Node {node.metadata.name} status is now: NodeNotReady"
                f" (no sign of life for {self.context.nodes.monitor_grace:.0f} s)",
            )
        for pod in indexes.pods_on(self._pods, node.metadata.name):
            await self._mark_pod_not_ready(pod, now)
        return node

    async def _mark_pod_not_ready(self, pod: Pod, now: str) -> None:
        """Nobody can say any more that the pod serves; endpoints leave it out."""
        ready = pods.condition(pod, "Ready")
        if ready is None or ready.status != "True":
            return
        condition = {
            "type": "Ready",
            "status": "False",
            "reason": "NodeNotReady",
            "message": "the pod's node does not report any more",
            "lastTransitionTime": now,
        }
        await self._set_condition(pod, condition)
        self._recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")

    async def reconcile(self, key: Key) -> float | None:
        """Evict one pod if its node's NoExecute taints say so, or come back when they will."""
        pod = self._pods.get(key.name, key.namespace)
        if pod is None or pod.metadata.deletion_timestamp or not pod.spec.node_name:
            self._doomed.discard(key)
            return None
        node = self._nodes.get(pod.spec.node_name)
        taints = health.no_execute(node.spec.taints) if node is not None else []
        seconds = pods.no_execute_seconds(taints, pod.spec.tolerations)
        if not taints or seconds is None:
            self._spare(pod, key)
            return None
        self._doomed.add(key)
        remaining = seconds - self._taints.seconds_for(pod, taints)
        if remaining > 0:
            return remaining
        if not self._zones.states():  # a restart: are others well? The first look will tell
            return self.context.nodes.monitor_period
        if self._is_cut_off(taints):
            return self.context.nodes.monitor_grace
        await self._evict(pod, taints)
        self._doomed.discard(key)
        return None

    def _spare(self, pod: Pod, key: Key) -> None:
        """The node is well again, or the pod tolerates what it has: its time runs no longer."""
        if key in self._doomed:
            self._doomed.discard(key)
            self._recorder.event(
                pod, "Normal", "TaintManagerEviction", f"Cancelling deletion of Pod {key}"
            )

    def _is_cut_off(self, taints: list[Taint]) -> bool:
        """Whether these taints only say that no node at all is well: they are being taken back."""
        return self._zones.all_disrupted and all(taint.key in health.EVICTING for taint in taints)

    async def _evict(self, pod: Pod, taints: list[Taint]) -> None:
        keys = ", ".join(sorted({taint.key for taint in taints}))
        self._recorder.event(
            pod,
            "Normal",
            "TaintManagerEviction",
            f"Marking for deletion Pod {pod.metadata.namespace}/{pod.metadata.name}: its node has had"
            f" the taint {keys} for as long as the pod tolerates it",
        )
        await self._say_why(pod, keys)
        try:
            await self.client.delete(
                Pod, pod.metadata.name, pod.metadata.namespace, uid=pod.metadata.uid
            )
        except PodwrightError as error:
            if not (is_not_found(error) or is_conflict(error)):
                raise

    async def _say_why(self, pod: Pod, keys: str) -> None:
        if conditions.is_true(pod.status.conditions, "DisruptionTarget"):
            return
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": f"Taint manager: deleting due to NoExecute taint {keys}",
            "lastTransitionTime": timestamps.now_string(self.clock),
        }
        await self._set_condition(pod, condition)

    async def _set_condition(self, pod: Pod, condition: dict[str, str]) -> None:
        """Put one condition beside those that the agent writes."""
        body = {"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}}
        try:
            await self.client.patch(
                Pod,
                pod.metadata.name,
                pod.metadata.namespace,
                body,
                patch_type=PatchType.STRATEGIC,
                subresource="status",
            )
        except PodwrightError as error:
            if not (is_not_found(error) or is_conflict(error)):
                raise
