"""What a pod may use on this node, when its spec asks for other amounts than before. Pure.

A pod is admitted with the amounts of its spec; later ones (`pods/resize`) count only once the node has
room for them (KEP-1287, "In-place Update of Pod Resources"). Until then its containers keep what they
have, also when they start again. What was admitted is told in the status, and read back from there
by an agent that was started anew.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from agent.containers.records import ContainerRecord, InForce
from agent.pod import names
from agent.resources.cpumanager import whole_cpus
from agent.resources.values import CpuMemory, container_values
from api import resources
from api.core import Container, Pod, ResourceRequirements
from api.pods import all_containers, is_restartable_init, pod_requests, qos_class
from api.resources import Amounts

Allocated = Mapping[str, ResourceRequirements]
"""By container, what it was admitted with."""


class Answer(enum.Enum):
    """Whether new amounts are admitted."""

    ADMITTED = "Admitted"
    DEFERRED = "Deferred"
    INFEASIBLE = "Infeasible"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    answer: Answer
    message: str = ""


def at_first(pod: Pod) -> dict[str, ResourceRequirements]:
    """What the containers of a pod that this agent meets were admitted with."""
    statuses = {
        status.name: status
        for status in (*pod.status.init_container_statuses, *pod.status.container_statuses)
    }
    found = {}
    for container in all_containers(pod.spec):
        status = statuses.get(container.name)
        if status is not None and status.resources is not None:
            found[container.name] = msgspec.structs.replace(
                container.resources,
                requests=dict(status.allocated_resources),
                limits=dict(status.resources.limits),
            )
        else:
            found[container.name] = container.resources
    return found


def as_allocated(container: Container, allocated: Allocated) -> Container:
    """The container with the amounts that count."""
    known = allocated.get(container.name)
    if known is None or known == container.resources:
        return container
    return msgspec.structs.replace(container, resources=known)


def pod_as_allocated(pod: Pod, allocated: Allocated) -> Pod:
    """The pod with the amounts that count."""
    if not wants_more_or_less(pod, allocated):
        return pod
    spec = msgspec.structs.replace(
        pod.spec,
        containers=[as_allocated(one, allocated) for one in pod.spec.containers],
        init_containers=[as_allocated(one, allocated) for one in pod.spec.init_containers],
    )
    return msgspec.structs.replace(pod, spec=spec)


def wants_more_or_less(pod: Pod, allocated: Allocated) -> bool:
    """Whether the spec asks for other amounts than those that count."""
    return any(
        container.name in allocated and allocated[container.name] != container.resources
        for container in all_containers(pod.spec)
    )


def judge(
    pod: Pod, *, used: Amounts, allocatable: Mapping[str, str], cpu_policy: str = "none"
) -> Verdict:
    """Whether the node has room for the amounts of the spec. `used`: by all other pods together."""
    if cpu_policy == "static" and qos_class(pod) == "Guaranteed":
        return Verdict(
            answer=Answer.INFEASIBLE,
            message="Resize is infeasible for Guaranteed Pods alongside CPU Manager static policy",
        )
    wanted, there = pod_requests(pod), resources.amounts(allocatable)
    for name in (resources.CPU, resources.MEMORY):
        requested, capacity = wanted.get(name, 0), there.get(name, 0)
        if requested > capacity:
            return Verdict(
                answer=Answer.INFEASIBLE,
                message=f"Node didn't have enough capacity: {name}, requested: {requested}, "
                f"capacity: {capacity}",
            )
    for name in (resources.CPU, resources.MEMORY):
        requested, taken, capacity = wanted.get(name, 0), used.get(name, 0), there.get(name, 0)
        if requested + taken > capacity:
            return Verdict(
                answer=Answer.DEFERRED,
                message=f"Node didn't have enough resource: {name}, requested: {requested}, "
                f"used: {taken}, capacity: {capacity}",
            )
    return Verdict(answer=Answer.ADMITTED)


def changes(pod: Pod, container: Container, record: ContainerRecord) -> frozenset[str]:
    """Which of `cpu` and `memory` of a container that runs are not what they should be."""
    in_force = record.in_force
    if in_force is None:
        return frozenset()
    wanted = container_values(container, pod.spec.resources)
    found = set()
    quota = in_force.cpu_quota != wanted.cpu_quota
    if quota and in_force.cpu_quota == 0:
        # Of CPUs of its own a container has all: no quota is set there.
        quota = whole_cpus(pod, container) == 0
    if quota or in_force.cpu_shares != wanted.cpu_shares:
        found.add(resources.CPU)
    if in_force.memory != wanted.memory or _starts_anew_for_its_request(container, record):
        found.add(resources.MEMORY)
    return frozenset(found)


def _starts_anew_for_its_request(container: Container, record: ContainerRecord) -> bool:
    """Whether it was made for another request of memory, and wants to be started anew for each. For any
    other there is nothing to do: the kernel knows no requests of memory."""
    made_for = record.labels.get(names.REQUESTED_MEMORY)
    return (
        made_for is not None
        and made_for != names.requested_memory(container)
        and needs_restart(container, frozenset({resources.MEMORY}))
    )


def needs_restart(container: Container, changed: frozenset[str]) -> bool:
    """Whether the container has said that it wants to be started anew for such a change."""
    return any(
        policy.resource_name in changed and policy.restart_policy == "RestartContainer"
        for policy in container.resize_policy
    )


def is_resizable(pod: Pod, container: Container) -> bool:
    """Main containers and sidecars are; init containers that end are not."""
    inits = {one.name for one in pod.spec.init_containers}
    return container.name not in inits or is_restartable_init(container)


def loosest(after: CpuMemory, now: list[InForce]) -> CpuMemory:
    """What a pod's cgroup must allow while its containers change; 0 is no limit."""

    def largest(one: int, several: list[int]) -> int:
        return 0 if one == 0 or 0 in several else max(one, sum(several))

    return CpuMemory(
        cpu_shares=max(after.cpu_shares, sum(one.cpu_shares for one in now)),
        cpu_quota=largest(after.cpu_quota, [one.cpu_quota for one in now]),
        memory=largest(after.memory, [one.memory for one in now]),
    )
