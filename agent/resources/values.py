"""Requests and limits as the kernel counts them (step 4 of the pod's walk). Pure.

The numbers are Kubernetes': a CPU is 1024 shares, a quota is per 100 ms, OOM scores follow the QoS
class and the requested part of the node's memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.resources import hugepages
from api import quantity
from api.core import Container, Pod, ResourceRequirements
from api.pods import all_containers, is_restartable_init, pod_limits, pod_requests, qos_class
from api.priorities import NODE_CRITICAL

PERIOD = 100_000
"""Microseconds of one CPU accounting period."""
MIN_SHARES = 2
MAX_SHARES = 262_144
MIN_QUOTA = 1_000

OOM_GUARANTEED = -997
OOM_BEST_EFFORT = 1000
OOM_SANDBOX = -998
"""The pause container goes last: with it the pod's network goes."""


@dataclass(frozen=True, kw_only=True)
class CpuMemory:
    """What one cgroup gets; 0 means no limit."""

    cpu_shares: int = MIN_SHARES
    cpu_quota: int = 0
    memory: int = 0

    @property
    def cpu_weight(self) -> int:
        """The same share in cgroup v2's scale: 2…262144 becomes 1…10000."""
        return 1 + (self.cpu_shares - MIN_SHARES) * 9999 // (MAX_SHARES - MIN_SHARES)


def cpu_shares(millicores: int) -> int:
    """CPU requests as shares."""
    if millicores <= 0:
        return MIN_SHARES
    return min(MAX_SHARES, max(MIN_SHARES, millicores * 1024 // 1000))


def cpu_quota(millicores: int) -> int:
    """A CPU limit as microseconds per period; 0 when there is none."""
    return max(MIN_QUOTA, millicores * PERIOD // 1000) if millicores > 0 else 0


def container_values(
    container: Container, of_the_pod: ResourceRequirements | None = None
) -> CpuMemory:
    """The cgroup values of one container. Where it has no limit of its own, that of the pod as a whole
    counts (KEP-2837)."""
    requests = container.resources.requests
    limits = dict(container.resources.limits)
    for name in ("cpu", "memory"):
        if of_the_pod is not None and not _milli(limits.get(name)):
            limits[name] = of_the_pod.limits.get(name, "0")
    # A limit without a request counts as the request.
    return CpuMemory(
        cpu_shares=cpu_shares(_milli(requests.get("cpu") or limits.get("cpu"))),
        cpu_quota=cpu_quota(_milli(limits.get("cpu"))),
        memory=_bytes(limits.get("memory")),
    )


def pod_values(pod: Pod) -> CpuMemory:
    """The cgroup values of the pod as a whole. There is a limit only if every container has one."""
    limits = pod_limits(pod)
    return CpuMemory(
        cpu_shares=cpu_shares(pod_requests(pod).get("cpu", 0)),
        cpu_quota=cpu_quota(limits.get("cpu", 0)) if _limited(pod, "cpu") else 0,
        memory=limits.get("memory", 0) if _limited(pod, "memory") else 0,
    )


def node_values(capacity: Mapping[str, str], reserved: Mapping[str, str]) -> CpuMemory:
    """The cgroup values of all pods together: what the node has without what is reserved. What eviction
    keeps free is theirs to use until then ("Enforcing Node Allocatable")."""
    left = allocatable(capacity, reserved, {})
    memory = quantity.parse(capacity["memory"]) - quantity.parse(reserved.get("memory", "0"))
    return CpuMemory(cpu_shares=cpu_shares(_milli(left["cpu"])), memory=max(0, _bytes(str(memory))))


def oom_score(pod: Pod, container: Container, *, node_memory: int, lowest: int) -> int:
    """How willingly the kernel kills the container when the node has no memory left.

    `lowest` is the least score that this agent may set: without CAP_SYS_RESOURCE it is 0.
    """
    qos = qos_class(pod)
    # Pods that their node needs go as late as those.
    if qos == "Guaranteed" or pod.spec.priority_class_name == NODE_CRITICAL:
        score = OOM_GUARANTEED
    elif qos == "BestEffort":
        score = OOM_BEST_EFFORT
    else:
        requested = _memory_request(container) + _shared_request(pod)
        if is_restartable_init(container):
            # A sidecar goes no sooner than the containers that it serves (KEP-753).
            requested = max(requested, min(map(_memory_request, pod.spec.containers)))
        score = 1000 - 1000 * requested // max(1, node_memory)
        # Between the Guaranteed and the BestEffort, never equal to either.
        score = min(999, max(1000 + OOM_GUARANTEED, score))
    return max(score, lowest)


def _memory_request(container: Container) -> int:
    return _bytes(container.resources.requests.get("memory"))


def _shared_request(pod: Pod) -> int:
    """Of what the pod as a whole requests beyond its containers, the part of each of them."""
    whole = pod.spec.resources
    if whole is None or "memory" not in whole.requests:
        return 0
    together = [
        *pod.spec.containers,
        *(one for one in pod.spec.init_containers if is_restartable_init(one)),
    ]
    rest = _bytes(whole.requests["memory"]) - sum(map(_memory_request, together))
    return max(0, rest) // len(together)


def allocatable(
    capacity: Mapping[str, str], reserved: Mapping[str, str], kept: Mapping[str, int]
) -> dict[str, str]:
    """What is left for pods: capacity without reservations and what eviction keeps free (`kept`, in bytes).

    Huge pages are taken from memory, too ("Node Allocatable" of "Reserve Compute Resources").
    """
    left = dict(capacity)
    taken = dict(reserved)
    more = dict(kept)
    if huge := hugepages.total(capacity):
        more["memory"] = more.get("memory", 0) + huge
    for resource, size in more.items():
        if resource in capacity and size:
            taken[resource] = quantity.add(taken.get(resource, "0"), quantity.from_bytes(size))
    for resource, amount in taken.items():
        if resource in left:
            rest = quantity.parse(left[resource]) - quantity.parse(amount)
            left[resource] = str(max(rest, quantity.parse("0")))
    return left


def _limited(pod: Pod, resource: str) -> bool:
    """Whether each container has a limit; one of zero is none."""
    parts = [container.resources.limits for container in all_containers(pod.spec)]
    if pod.spec.resources is not None and _milli(pod.spec.resources.limits.get(resource)):
        return True
    return all(_milli(limits.get(resource)) for limits in parts)


def _milli(text: str | None) -> int:
    return quantity.milli(text) if text else 0


def _bytes(text: str | None) -> int:
    return quantity.value(text) if text else 0
