"""NodeMetrics and PodMetrics, made from what the agents measure: what `kubectl top` reads.

Serves whoever watches a pod's walk after step 5. A pod of which there is no measurement yet (it has just
started, or its node does not answer) is left out, as Kubernetes' metrics server leaves it out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from api import pods, timestamps
from api.core import Node, Pod
from api.meta import ObjectMeta
from api.metrics import ContainerMetrics, NodeMetrics, PodMetrics
from api.scheme import resource_of
from base.clock import Clock
from control.admission.chain import Reader
from control.apiserver.agents.usage import NodeUsage, UsageCollector, Used
from control.apiserver.registry.codecs import Codec, Typed
from control.resources.metrics import NODE_RULES, POD_RULES
from control.resources.strategy import Strategy


class NodeMetricsSource:
    """The source of NodeMetrics."""

    def __init__(self, collector: UsageCollector, reader: Reader, clock: Clock) -> None:
        self.resource = resource_of(NodeMetrics)
        self.rules: Strategy[Any] = NODE_RULES
        self.codec: Codec = Typed(NodeMetrics)
        self._collector = collector
        self._reader = reader
        self._clock = clock

    async def get(self, namespace: str, name: str) -> NodeMetrics | None:
        return next((one for one in await self.every("") if one.metadata.name == name), None)

    async def every(self, namespace: str) -> list[NodeMetrics]:
        found = await self._collector.by_node()
        now = timestamps.now_string(self._clock)
        return [
            NodeMetrics(
                metadata=ObjectMeta(
                    name=node.metadata.name,
                    labels=dict(node.metadata.labels),
                    creation_timestamp=now,
                ),
                timestamp=_end(found[node.metadata.name], self._clock),
                window=_window(found[node.metadata.name]),
                usage=_usage(found[node.metadata.name].node),
            )
            for node in sorted(self._reader.list(Node), key=lambda node: node.metadata.name)
            if node.metadata.name in found
        ]


class PodMetricsSource:
    """The source of PodMetrics."""

    def __init__(self, collector: UsageCollector, reader: Reader, clock: Clock) -> None:
        self.resource = resource_of(PodMetrics)
        self.rules: Strategy[Any] = POD_RULES
        self.codec: Codec = Typed(PodMetrics)
        self._collector = collector
        self._reader = reader
        self._clock = clock

    async def get(self, namespace: str, name: str) -> PodMetrics | None:
        pod = self._reader.get(Pod, name, namespace)
        if pod is None:
            return None
        return next(self._made([pod], await self._collector.by_node()), None)

    async def every(self, namespace: str) -> list[PodMetrics]:
        found = await self._collector.by_node()
        there = sorted(
            self._reader.list(Pod, namespace),
            key=lambda pod: (pod.metadata.namespace, pod.metadata.name),
        )
        return list(self._made(there, found))

    def _made(self, there: Sequence[Pod], found: Mapping[str, NodeUsage]) -> Iterator[PodMetrics]:
        now = timestamps.now_string(self._clock)
        for pod in there:
            node = found.get(pod.spec.node_name)
            used = {} if node is None else node.pods.get(pod.metadata.uid, {})
            if node is None or not used or pods.is_terminal(pod):
                continue
            yield PodMetrics(
                metadata=ObjectMeta(
                    name=pod.metadata.name,
                    namespace=pod.metadata.namespace,
                    labels=dict(pod.metadata.labels),
                    creation_timestamp=now,
                ),
                timestamp=_end(node, self._clock),
                window=_window(node),
                containers=[
                    ContainerMetrics(name=name, usage=_usage(one))
                    for name, one in sorted(used.items())
                ],
            )


def _end(node: NodeUsage, clock: Clock) -> str:
    """When its span ended: an answer may be some seconds old."""
    age = max(0.0, clock.monotonic() - node.at)
    return timestamps.format(clock.now() - timedelta(seconds=age))


def _window(node: NodeUsage) -> str:
    return f"{node.window:.3f}s"


def _usage(used: Used) -> dict[str, str]:
    """In the units of Kubernetes' metrics server."""
    return {"cpu": f"{used.cpu}n", "memory": f"{used.memory // 1024}Ki"}
