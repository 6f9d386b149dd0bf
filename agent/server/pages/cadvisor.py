"""`/metrics/cadvisor`: what every container and pod has used, under cAdvisor's names, which dashboards
know. Containers have `container`, `name` and `image`; in the lines of a whole pod they are empty. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from agent.resources.values import PERIOD
from agent.server.interface import (
    ContainerFacts,
    Counters,
    DiskUse,
    Interface,
    PodUsage,
    Usage,
    Whole,
)
from agent.server.pages.exposition import Exposition

_NANO = 1e9
_FAMILIES = (
    ("container_cpu_cfs_periods_total", "counter", "Periods of the CPU limit that have passed"),
    ("container_cpu_cfs_throttled_periods_total", "counter", "Periods in which it was throttled"),
    ("container_cpu_cfs_throttled_seconds_total", "counter", "Time for which it was throttled"),
    ("container_cpu_system_seconds_total", "counter", "CPU time in the kernel"),
    ("container_cpu_usage_seconds_total", "counter", "CPU time"),
    ("container_cpu_user_seconds_total", "counter", "CPU time in programs"),
    ("container_fs_reads_bytes_total", "counter", "Bytes read from a disk"),
    ("container_fs_reads_total", "counter", "Reads from a disk"),
    (
        "container_fs_usage_bytes",
        "gauge",
        "Bytes that it has written outside volumes, and its logs",
    ),
    ("container_fs_writes_bytes_total", "counter", "Bytes written to a disk"),
    ("container_fs_writes_total", "counter", "Writes to a disk"),
    ("container_last_seen", "gauge", "When this was read"),
    ("container_memory_cache", "gauge", "Bytes of page cache"),
    ("container_memory_failcnt", "counter", "How often the memory limit was hit"),
    ("container_memory_failures_total", "counter", "Page faults"),
    ("container_memory_kernel_usage", "gauge", "Bytes that the kernel keeps for it"),
    ("container_memory_mapped_file", "gauge", "Bytes of mapped files"),
    ("container_memory_max_usage_bytes", "gauge", "The most memory that was in use, in bytes"),
    ("container_memory_rss", "gauge", "Bytes of anonymous memory"),
    ("container_memory_swap", "gauge", "Bytes of swap"),
    ("container_memory_total_active_file_bytes", "gauge", "Bytes of page cache used of late"),
    ("container_memory_total_inactive_file_bytes", "gauge", "Bytes of page cache not used of late"),
    ("container_memory_usage_bytes", "gauge", "Bytes of memory in use, caches included"),
    ("container_memory_working_set_bytes", "gauge", "Bytes that cannot be reclaimed at once"),
    ("container_network_receive_bytes_total", "counter", "Bytes received"),
    ("container_network_receive_errors_total", "counter", "Errors in receiving"),
    ("container_network_receive_packets_dropped_total", "counter", "Packets dropped, received"),
    ("container_network_receive_packets_total", "counter", "Packets received"),
    ("container_network_transmit_bytes_total", "counter", "Bytes sent"),
    ("container_network_transmit_errors_total", "counter", "Errors in sending"),
    ("container_network_transmit_packets_dropped_total", "counter", "Packets dropped, sent"),
    ("container_network_transmit_packets_total", "counter", "Packets sent"),
    ("container_oom_events_total", "counter", "Processes killed for want of memory"),
    ("container_processes", "gauge", "Processes"),
    ("container_scrape_error", "gauge", "1 if something could not be read, else 0"),
    ("container_spec_cpu_period", "gauge", "Period of the CPU limit, in microseconds"),
    ("container_spec_cpu_quota", "gauge", "CPU limit, in microseconds per period"),
    ("container_spec_cpu_shares", "gauge", "Weight for CPU"),
    ("container_spec_memory_limit_bytes", "gauge", "Memory limit; 0: none"),
    ("container_spec_memory_reservation_limit_bytes", "gauge", "Memory reservation; none is set"),
    ("container_spec_memory_swap_limit_bytes", "gauge", "Limit of memory and swap; 0: none"),
    ("container_start_time_seconds", "gauge", "Start, in seconds since 1970"),
    ("container_threads", "gauge", "Processes and their threads"),
    ("container_threads_max", "gauge", "How many of them there may be; 0: no limit"),
    ("machine_cpu_cores", "gauge", "CPUs of the node"),
    ("machine_memory_bytes", "gauge", "Memory of the node"),
    ("machine_scrape_error", "gauge", "1 if something of the machine could not be read, else 0"),
    ("machine_swap_bytes", "gauge", "Swap of the node"),
)
_DISK = ("reads_bytes", "writes_bytes", "reads", "writes")
_COUNTED = ("bytes", "packets", "errors", "packets_dropped")
"""The first numbers of either direction in /proc/net/dev, as the metrics call them."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """What the node counts as its own."""

    cpus: float
    memory: int
    swap: int = 0
    names: Mapping[str, str] = field(default_factory=dict)
    """Labels that tell machines apart."""


def render(
    pods: Sequence[PodUsage],
    size: Size,
    now: datetime,
    wholes: Sequence[Whole] = (),
    *,
    disks: Mapping[str, DiskUse] | None = None,
) -> bytes:
    """The page. `pods` with their facts; `disks` by the uid of a pod."""
    page, at = Exposition(), int(now.timestamp() * 1000)
    for name, type_, help_ in _FAMILIES:
        page.declare(name, type_, help_)
    for above in wholes:
        none = dict.fromkeys(("container", "id", "image", "name", "namespace", "pod"), "")
        own = none | {"id": above.cgroup}
        _add(page, own, _used(above.usage, above.counters), at)
        page.add("container_last_seen", int(now.timestamp()), own, at=at)
        for interface in above.interfaces:
            _network(page, own | {"interface": interface.name}, interface, at)
    for pod in pods:
        whole = _labels(pod, "", None)
        _add(page, whole, _used(pod.usage, pod.counters), at)
        page.add("container_last_seen", int(now.timestamp()), whole, at=at)
        # The network is the sandbox's, as it is in every kubelet: many look for lines with an image.
        holder = _labels(pod, "", pod.sandbox)
        for interface in pod.interfaces:
            _network(page, holder | {"interface": interface.name}, interface, at)
        for name, used in pod.containers.items():
            facts = pod.facts.get(name)
            if facts is not None:
                own = _labels(pod, name, facts)
                _add(page, own, _used(used, facts.counters), at)
                _add(page, own, _spec(used, facts), at)
                if (disk := (disks or {}).get(pod.uid)) is not None:
                    written = disk.layers.get(name, 0) + disk.logs.get(name, 0)
                    page.add("container_fs_usage_bytes", written, own | {"device": ""}, at=at)
                page.add("container_last_seen", int(now.timestamp()), own, at=at)
    page.add("container_scrape_error", 0)
    page.add("machine_cpu_cores", size.cpus, size.names)
    page.add("machine_memory_bytes", size.memory, size.names)
    page.add("machine_scrape_error", 0)
    page.add("machine_swap_bytes", size.swap, size.names)
    return page.render()


def _labels(pod: PodUsage, container: str, facts: ContainerFacts | None) -> dict[str, str]:
    return {
        "container": container,
        "id": facts.cgroup if facts else pod.cgroup,
        "image": facts.image if facts else "",
        "name": facts.name if facts else "",
        "namespace": pod.namespace,
        "pod": pod.name,
    }


Sample = tuple[str, float, dict[str, str]]


def _add(page: Exposition, labels: dict[str, str], samples: Iterator[Sample], at: int) -> None:
    for name, value, more in samples:
        page.add(name, value, labels | more, at=at)


def _used(used: Usage, counted: Counters) -> Iterator[Sample]:
    yield "container_cpu_usage_seconds_total", used.cpu_nanoseconds / _NANO, {"cpu": "total"}
    yield "container_cpu_user_seconds_total", counted.user / _NANO, {}
    yield "container_cpu_system_seconds_total", counted.system / _NANO, {}
    if counted.periods:
        yield "container_cpu_cfs_periods_total", counted.periods, {}
        yield "container_cpu_cfs_throttled_periods_total", counted.throttled_periods, {}
        yield "container_cpu_cfs_throttled_seconds_total", counted.throttled / _NANO, {}
    yield "container_memory_usage_bytes", used.memory, {}
    yield "container_memory_working_set_bytes", used.working_set, {}
    yield "container_memory_rss", used.rss, {}
    yield "container_memory_cache", counted.cache, {}
    yield "container_memory_mapped_file", counted.mapped, {}
    yield "container_memory_swap", counted.swap, {}
    yield "container_memory_max_usage_bytes", counted.peak, {}
    yield "container_memory_failcnt", counted.failures, {}
    kinds = (("pgfault", used.page_faults), ("pgmajfault", used.major_page_faults))
    for kind, count in kinds:
        labels = {"failure_type": kind, "scope": "hierarchy"}
        yield "container_memory_failures_total", count, labels
    yield "container_oom_events_total", counted.oom_kills, {}
    yield "container_processes", counted.processes, {}
    yield "container_threads", counted.threads, {}
    yield "container_threads_max", counted.most_threads, {}
    yield "container_memory_kernel_usage", counted.kernel, {}
    yield "container_memory_total_active_file_bytes", counted.active_file, {}
    yield "container_memory_total_inactive_file_bytes", counted.inactive_file, {}
    for device, counts in counted.disks.items():
        for name, count in zip(_DISK, counts, strict=True):
            yield f"container_fs_{name}_total", count, {"device": device}


def _spec(used: Usage, facts: ContainerFacts) -> Iterator[Sample]:
    if facts.started is not None:
        yield "container_start_time_seconds", int(facts.started.timestamp()), {}
    yield "container_spec_cpu_period", PERIOD, {}
    if facts.cpu_quota:
        yield "container_spec_cpu_quota", facts.cpu_quota, {}
    yield "container_spec_cpu_shares", facts.cpu_shares, {}
    yield "container_spec_memory_limit_bytes", used.limit, {}
    yield "container_spec_memory_reservation_limit_bytes", 0, {}
    yield "container_spec_memory_swap_limit_bytes", used.limit, {}  # pods get no swap


def _network(page: Exposition, labels: dict[str, str], interface: Interface, at: int) -> None:
    for direction, counts in (("receive", interface.received), ("transmit", interface.sent)):
        for what, count in zip(_COUNTED, counts, strict=False):
            page.add(f"container_network_{direction}_{what}_total", count, labels, at=at)
