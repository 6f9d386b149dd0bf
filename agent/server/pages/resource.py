"""`/metrics/resource`: CPU and memory of node, pods and containers, which autoscalers and the metrics
server read. Names and types are those of the kubelet's resource metrics. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from agent.server.interface import PodUsage, Usage
from agent.server.pages.exposition import Exposition

_NANO = 1e9
_FAMILIES = (
    ("container_cpu_usage_seconds_total", "counter", "CPU time used by the container, in seconds"),
    ("container_memory_working_set_bytes", "gauge", "Working set of the container, in bytes"),
    ("container_swap_usage_bytes", "gauge", "Swap used by the container, in bytes"),
    ("container_swap_limit_bytes", "gauge", "Swap that the container may use, in bytes"),
    ("container_start_time_seconds", "gauge", "Start of the container, in seconds since 1970"),
    ("node_cpu_usage_seconds_total", "counter", "CPU time used by the node's pods, in seconds"),
    ("node_memory_working_set_bytes", "gauge", "Working set of the node's pods, in bytes"),
    ("node_swap_usage_bytes", "gauge", "Swap used on the node, in bytes"),
    ("pod_cpu_usage_seconds_total", "counter", "CPU time used by the pod, in seconds"),
    ("pod_memory_working_set_bytes", "gauge", "Working set of the pod, in bytes"),
    ("pod_swap_usage_bytes", "gauge", "Swap used by the pod, in bytes"),
    ("resource_scrape_error", "gauge", "1 if some numbers could not be read, else 0"),
)


def render(node: Usage, pods: Sequence[PodUsage], now: datetime, *, swap: int = 0) -> bytes:
    """The page. `pods` with their facts; `swap`: bytes of it that are in use on the node."""
    page, at = Exposition(), int(now.timestamp() * 1000)
    for name, type_, help_ in _FAMILIES:
        page.declare(name, type_, help_)

    def both(prefix: str, used: Usage, labels: dict[str, str]) -> None:
        cpu = used.cpu_nanoseconds / _NANO
        page.add(f"{prefix}_cpu_usage_seconds_total", cpu, labels, at=at)
        page.add(f"{prefix}_memory_working_set_bytes", used.working_set, labels, at=at)

    both("node", node, {})
    page.add("node_swap_usage_bytes", swap, at=at)
    for pod in pods:
        labels = {"namespace": pod.namespace, "pod": pod.name}
        both("pod", pod.usage, labels)
        page.add("pod_swap_usage_bytes", pod.counters.swap, labels, at=at)
        for name, used in pod.containers.items():
            own = {"container": name, **labels}
            both("container", used, own)
            facts = pod.facts.get(name)
            if facts is not None:
                page.add("container_swap_usage_bytes", facts.counters.swap, own, at=at)
                # What it has and what is left to it, which is nothing: pods get no swap.
                page.add("container_swap_limit_bytes", facts.counters.swap, own, at=at)
            if facts is not None and facts.started is not None:
                began = facts.started.timestamp()
                page.add("container_start_time_seconds", began, own, at=at)
    page.add("resource_scrape_error", 0)
    return page.render()
