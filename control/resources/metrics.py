"""NodeMetrics and PodMetrics: what `kubectl get nodes.metrics.k8s.io` prints. Made when asked for."""

from api import quantity
from api.metrics import NodeMetrics, PodMetrics
from api.scheme import resource_of
from control.resources.strategy import Column, Strategy


class NodeMetricsRules(Strategy[NodeMetrics]):
    """CPU and memory of a node."""

    columns = (
        Column("Cpu", "string", lambda one, now: one.usage.get("cpu", "")),
        Column("Memory", "string", lambda one, now: one.usage.get("memory", "")),
        Column("Window", "string", lambda one, now: one.window),
    )


class PodMetricsRules(Strategy[PodMetrics]):
    """CPU and memory of all containers of a pod."""

    columns = (
        Column("Cpu", "string", lambda one, now: _sum(one, "cpu")),
        Column("Memory", "string", lambda one, now: _sum(one, "memory")),
        Column("Window", "string", lambda one, now: one.window),
    )


def _sum(one: PodMetrics, resource: str) -> str:
    total = "0"
    for container in one.containers:
        total = quantity.add(total, container.usage.get(resource, "0"))
    return total


NODE_RULES = NodeMetricsRules(resource_of(NodeMetrics))
POD_RULES = PodMetricsRules(resource_of(PodMetrics))
