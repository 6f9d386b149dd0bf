"""Other limits for a container that runs (step 5 of the pod's walk): the effects.

A limit of memory below what is used now is not set: the kernel would end a program for it (KEP-1287).
Else the pod's cgroup is opened as far as old and new limits together need it, then the container's is
changed, then the pod's is closed to what counts from now on. May be done twice.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from agent.containers.errors import RuntimeFailure
from agent.containers.records import ContainerId, InForce
from agent.effects import sandbox
from agent.effects.context import PodContext, StepFailed
from agent.pod.actions import ResizeContainer
from agent.pod.allocation import loosest, pod_as_allocated
from agent.resources.cgroups import CgroupError
from agent.resources.systemd import SystemdError
from agent.resources.values import container_values, pod_values
from agent.server import cgroupfiles
from api import resources
from api.pods import qos_class

FAILED = "ResizeError"


async def resize(ctx: PodContext, action: ResizeContainer) -> None:
    """Give the container the limits that it was admitted with."""
    container = ctx.container(action.container)
    values = container_values(container, ctx.pod.spec.resources)
    pod = pod_as_allocated(ctx.pod, ctx.memory.allocated)
    after, quality = pod_values(pod), str(qos_class(pod))
    now = [r.in_force for r in ctx.memory.records.values() if r.running and r.in_force is not None]
    wanted = InForce(cpu_shares=values.cpu_shares, cpu_quota=values.cpu_quota, memory=values.memory)
    cgroups = ctx.agent.cgroups
    if words := _too_little(ctx, action.id, quality, values.memory):
        raise _failed(ctx, container.name, words)
    try:
        between = loosest(after, [*now, wanted])
        ctx.memory.cgroup = None  # what fails below leaves it at anything
        await cgroups.aside(partial(cgroups.ensure_pod, ctx.uid, quality, between))
        await ctx.agent.runtime.update(action.id, wanted)
        await sandbox.look(ctx, action.id)
        await cgroups.aside(partial(cgroups.ensure_pod, ctx.uid, quality, after))
        ctx.memory.cgroup = after
    except (RuntimeFailure, CgroupError, SystemdError) as error:
        raise _failed(ctx, container.name, error.message) from error
    amounts = ", ".join(
        f"{kind} {name}={resources.quantities({name: resources.amount(name, text)})[name]}"
        for kind, given in (
            ("requests", container.resources.requests),
            ("limits", container.resources.limits),
        )
        for name, text in sorted(given.items())
    )
    ctx.normal(
        "ResizeCompleted",
        f"Resized container {container.name} in place: {amounts}",
        container=container.name,
    )


def _too_little(ctx: PodContext, id: ContainerId, quality: str, limit: int) -> str:
    """Why the memory cannot be limited so now; empty when it can."""
    record, agent = ctx.memory.records.get(id), ctx.agent
    before = 0 if record is None or record.in_force is None else record.in_force.memory
    if not limit or (before and limit >= before):
        return ""
    cgroups = agent.cgroups

    def directory(controller: str) -> Path:
        return cgroups.directory(ctx.uid, quality, controller) / cgroups.leaf(id)

    used = cgroupfiles.usage(agent.node.engine.cgroup_version, directory).working_set
    if used <= limit:
        return ""
    return f"attempting to set container memory limit ({limit}) below current usage ({used})"


def _failed(ctx: PodContext, container: str, why: str) -> StepFailed:
    message = f"container {container} cannot be resized: {why}"
    ctx.warn(FAILED, message, container=container)
    return StepFailed(FAILED, message)
