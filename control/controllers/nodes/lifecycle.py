"""Node lifecycle: a silent node becomes Unknown, its taints follow, its pods are evicted in time.

One loop looks at all nodes every few seconds (`monitor_period`), for deaths are noticed by time
passing, which no watch tells; and at once at those that changed, so that a heartbeat costs a look at
one node and not at thousands. Evictions are keyed by pod: each pod on a tainted node has a deadline made of
the taint's age and the pod's tolerations, and its deletion waits in the queue until then. While all
nodes are silent, and as long again as a node may be silent, nobody is evicted: most likely it is we
who are cut off, and the nodes go on with their pods (Kubernetes' "full disruption").
"""

import asyncio
from collections.abc import Iterable

from api import conditions, pods, timestamps
from api.client import PatchType
from api.coordination import Lease
from api.core import Node, Pod, Taint
from api.errors import is_conflict, is_not_found
from api.objects import Key
from base.errors import PodwrightError
from base.tasks import TaskGuard
from control.controllers.context import Context
from control.controllers.controller import Controller
from control.controllers.nodes import health
from control.controllers.nodes.tainted import TaintAges

LEASE_NAMESPACE = "kube-node-lease"
BY_NODE = "node-lifecycle-controller"
SLICE = 200
"""Nodes looked at before others get the loop: one or two milliseconds."""


class NodeLifecycleController(Controller):
    """Marks, taints and evicts."""

    name = "node-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._nodes = context.informers.of(Node)
        self._pods = context.informers.of(Pod)
        self._leases = context.informers.of(Lease)
        self._recorder = context.recorder(self.name)
        self._heartbeats: dict[str, health.Heartbeat] = {}
        self._taints = TaintAges(context.clock)
        self._blind_at = float("-inf")
        self._withheld = 0
        self._changed: set[str] = set()
        self._wake = asyncio.Event()
        self._pods.add_index(BY_NODE, lambda pod: [pod.spec.node_name])
        self._nodes.subscribe(self._on_node)
        self._pods.subscribe(self._on_pod)

    def start(self, guard: TaskGuard) -> None:
        super().start(guard)
        guard.start(self._monitor(), name=f"{self.name} monitor")

    def statistics(self) -> dict[str, float]:
        return {
            **super().statistics(),
            "nodes": len(self._heartbeats),
            "evictions_withheld": self._withheld,
        }

    def _on_node(self, old: Node | None, new: Node | None) -> None:
        if new is None:
            assert old is not None
            self._heartbeats.pop(old.metadata.name, None)
            self._taints.forget(old.metadata.name)
            return
        self._taints.saw(old if self._nodes.has_synced else None, new)
        if old is None or (old.spec, old.status.conditions) != (new.spec, new.status.conditions):
            self._changed.add(new.metadata.name)
            self._wake.set()
        if old is None or old.spec.taints != new.spec.taints:
            for pod in self._pods.by_index(BY_NODE, new.metadata.name):
                self.enqueue(pod)

    def _on_pod(self, old: Pod | None, new: Pod | None) -> None:
        if (
            new is not None
            and new.spec.node_name
            and (old is None or old.spec.node_name != new.spec.node_name)
        ):
            self.enqueue(new)

    async def _monitor(self) -> None:
        while True:
            await self._look_at_each(self._nodes.items())
            self._note_blindness()
            until = asyncio.get_running_loop().time() + self.context.nodes.monitor_period
            while await self._changed_before(until):
                self._wake.clear()
                names, self._changed = self._changed, set()
                await self._look_at_each(filter(None, map(self._nodes.get, names)))

    def _note_blindness(self) -> None:
        if self._heartbeats and all(map(self._is_silent, self._heartbeats.values())):
            self._blind_at = self.clock.monotonic()

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

    async def _look_at_each(self, nodes: Iterable[Node]) -> None:
        for number, node in enumerate(nodes, 1):
            try:
                await self._look_at(node)
            except PodwrightError as error:
                if not (is_conflict(error) or is_not_found(error)):
                    self.log.warning("node %s: %s", node.metadata.name, error)
            if number % SLICE == 0:
                await asyncio.sleep(0)

    async def _look_at(self, node: Node) -> None:
        name = node.metadata.name
        lease = self._leases.get(name, LEASE_NAMESPACE)
        renewed = (lease.spec.renew_time if lease is not None else None) or ""
        heartbeat = health.beat(node, renewed, self._heartbeats.get(name), self.clock.monotonic())
        self._heartbeats[name] = heartbeat
        now = timestamps.now_string(self.clock)
        if self._is_silent(heartbeat):
            node = await self._mark_unknown(node, now)
        taints = health.wanted_taints(node, now)
        if taints != node.spec.taints:
            await self.client.patch(
                Node,
                name,
                "",
                {
                    "metadata": {"resourceVersion": node.metadata.resource_version},
                    "spec": {"taints": health.to_json(taints)},
                },
            )

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
        for pod in self._pods.by_index(BY_NODE, node.metadata.name):
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
            return None
        node = self._nodes.get(pod.spec.node_name)
        if node is None:
            return None
        taints = health.no_execute(node.spec.taints)
        seconds = pods.no_execute_seconds(taints, pod.spec.tolerations)
        if not taints or seconds is None:
            return None
        remaining = seconds - self._taints.seconds(pod.spec.node_name, taints)
        if remaining > 0:
            return remaining
        if self._is_cut_off(taints):
            self._withheld += 1
            return self.context.nodes.monitor_grace
        await self._evict(pod, taints)
        return None

    def _is_cut_off(self, taints: list[Taint]) -> bool:
        """Whether these taints only say that we do not hear from anybody."""
        unheard = all(taint.key == health.UNREACHABLE for taint in taints)
        since = self.clock.monotonic() - self._blind_at
        return unheard and since <= self.context.nodes.monitor_grace

    async def _evict(self, pod: Pod, taints: list[Taint]) -> None:
        keys = ", ".join(sorted({taint.key for taint in taints}))
        self._recorder.event(
            pod,
            "Normal",
            "TaintManagerEviction",
            f"Deleting pod {pod.metadata.namespace}/{pod.metadata.name}: its node has the taint {keys}"
            " for longer than the pod tolerates",
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
            "message": f"the pod does not tolerate {keys} any longer",
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
