"""Other limits for a container that runs (step 5 of the pod's walk): the effects.

The pod's cgroup is opened as far as old and new limits together need it, then the container's is
changed, then the pod's is closed to what counts from now on. May be done twice.
"""

from __future__ import annotations

from functools import partial

from agent.containers.errors import RuntimeFailure
from agent.containers.records import InForce
from agent.effects import sandbox
from agent.effects.context import PodContext, StepFailed
from agent.pod.actions import ResizeContainer
from agent.pod.allocation import loosest, pod_as_allocated
from agent.resources.cgroups import CgroupError
from agent.resources.systemd import SystemdError
from agent.resources.values import container_values, pod_values
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
    try:
        between = loosest(after, [*now, wanted])
        await cgroups.aside(partial(cgroups.ensure_pod, ctx.uid, quality, between))
        await ctx.agent.runtime.update(action.id, wanted)
        await sandbox.look(ctx, action.id)
        await cgroups.aside(partial(cgroups.ensure_pod, ctx.uid, quality, after))
    except (RuntimeFailure, CgroupError, SystemdError) as error:
        message = f"container {container.name} cannot be resized: {error.message}"
        ctx.warn(FAILED, message, container=container.name)
        raise StepFailed(FAILED, message) from error
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
