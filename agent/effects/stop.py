"""Ending a container, and all that a pod has (step 7 of the pod's walk): the effects.

preStop, the stop signal, the rest of the grace period, KILL: preStop counts inside the grace
period, and a program whose preStop used it up gets two more seconds. The deadline may move up while
this runs (`kubectl delete --grace-period=5` after a plain delete). An agent that is killed starts
over with the full grace period.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial

from agent.containers.errors import NotFound, RuntimeFailure
from agent.containers.records import ContainerId, ContainerRecord
from agent.effects import loglinks
from agent.effects.context import PodContext, StepFailed, StopOrder
from agent.pod import names
from agent.pod.actions import (
    DeletePod,
    ReleaseSandbox,
    RemoveContainer,
    RunPreStop,
    StopContainer,
    TearDown,
)
from agent.pod.alarm import Alarm
from agent.pod.observed import Hook
from agent.pod.teardown import LEAST_GRACE
from agent.probes.handlers import Target, Verdict
from agent.probes.hooks import run_hook
from agent.spec.container import hook_file, message_file
from agent.volumes.mounts import remove_tree
from agent.volumes.subpath import release_subpaths
from api.core import Pod
from api.errors import ApiError, is_conflict, is_not_found
from base.errors import PodwrightError

LOOK_EVERY = 5.0
"""Seconds after which a container that should have ended is looked at without an event."""
KILL_PATIENCE = 30.0
"""Seconds until a container that survives KILL is reported (its process hangs in the kernel)."""


async def stop(ctx: PodContext, action: StopContainer) -> None:
    """End one container; returns when it has ended."""
    clock, order = ctx.agent.clock, _order(ctx, action)
    ctx.memory.asked_to_end.add(action.id)
    if action.killed_for is not None:
        ctx.memory.killed_for[action.id] = action.killed_for
    ctx.normal("Killing", action.message, container=action.container)
    ctx.stops[action.id] = order
    try:
        await _pre_stop(ctx, action, order)
        await _signal(ctx, action.id, "")
        await _ended_by(ctx, action.id, order)
        if ctx.alive(action.id):
            await _signal(ctx, action.id, "SIGKILL")
            order.deadline = clock.monotonic() + KILL_PATIENCE
            await _ended_by(ctx, action.id, order)
    finally:
        del ctx.stops[action.id]
    if ctx.alive(action.id):
        message = f"container {action.container} does not end, not even by KILL"
        ctx.warn("FailedKillPod", f"error killing pod: {message}")
        raise StepFailed("FailedKillPod", message)


async def pre_stop(ctx: PodContext, action: RunPreStop) -> None:
    """Run the hook of a container whose turn to stop comes later."""
    order = ctx.stops[action.id] = _order(ctx, action)
    try:
        await _pre_stop(ctx, action, order)
    finally:
        del ctx.stops[action.id]


def shorten(ctx: PodContext, grace: float) -> None:
    """A shorter grace period was asked for: it counts from now."""
    soon = ctx.agent.clock.monotonic() + max(LEAST_GRACE, grace)
    before = ctx.memory.ends_by
    ctx.memory.ends_by = soon if before is None else min(soon, before)
    for order in ctx.stops.values():
        if soon < order.deadline:
            order.deadline = soon
            order.alarm.ring()


async def remove(ctx: PodContext, action: RemoveContainer) -> None:
    """Remove a container that does not run, or a sandbox that is one too many."""
    try:
        if action.container == names.SANDBOX_NAME:
            await ctx.agent.network.detach(action.id)
        await ctx.agent.runtime.remove(action.id)
    except PodwrightError as error:
        raise StepFailed("FailedRemoveContainer", error.message) from error
    if (record := ctx.memory.records.get(action.id)) is not None:
        loglinks.unlink(ctx.agent.node.log_root, ctx.pod, record)
        _remove_files(ctx, record)
    ctx.memory.forget(action.id)


def _remove_files(ctx: PodContext, record: ContainerRecord) -> None:
    """What was kept for this start of its container alone."""
    for file in (message_file, hook_file):
        with suppress(OSError):
            file(ctx.directory, *names.start_of(record)).unlink(missing_ok=True)


async def release(ctx: PodContext, action: ReleaseSandbox) -> None:
    """Of a pod that has finished: CPUs, address, volumes and, last, the pause container. It may have had
    some without the others: of one that ended before it had begun."""
    ctx.agent.cpus.release(ctx.uid)
    ctx.memory.volumes_ready = False
    try:
        sandboxes = ctx.memory.sandboxes()
        for record in sandboxes:
            await ctx.agent.network.detach(record.id)
        release_subpaths(ctx.directory, ctx.agent.mounter)
        await ctx.volumes.tear_down(ctx.pod, ctx.place())
        for record in sandboxes:
            await ctx.agent.runtime.remove(record.id)
            ctx.memory.forget(record.id)
    except PodwrightError as error:
        raise StepFailed("FailedKillPod", error.message) from error
    ctx.memory.released = True


async def tear_down(ctx: PodContext, action: TearDown) -> None:
    """Everything that the pod has on this node."""
    agent = ctx.agent
    ctx.memory.leaving = True
    try:
        records = await agent.runtime.list_containers(
            labels={names.POD_UID: ctx.uid, names.NODE: agent.node.name}
        )
        sandboxes = {r.id for r in records if r.labels.get(names.CONTAINER_TYPE) == names.SANDBOX}
        # Somebody may have removed one: what has an address gives it back all the same.
        for id in sorted(sandboxes | set(ctx.memory.addresses)):
            await agent.network.detach(id)
        removals = [agent.runtime.remove(record.id) for record in records]
        results = await asyncio.gather(*removals, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        loglinks.remove(agent.node.log_root, ctx.pod)
        release_subpaths(ctx.directory, agent.mounter)
        await ctx.volumes.tear_down(ctx.pod, ctx.place())
        # In every class: an orphan's spec, and so its class, is not known.
        await agent.cgroups.aside(partial(agent.cgroups.remove_strays, [ctx.uid]))
        await agent.mounter.aside(lambda: remove_tree(ctx.directory, agent.mounter))
    except (PodwrightError, OSError) as error:
        message = error.message if isinstance(error, PodwrightError) else str(error)
        ctx.warn("FailedKillPod", f"error killing pod: {message}")
        raise StepFailed("FailedKillPod", message) from error
    ctx.memory.torn_down = True
    agent.cpus.release(ctx.uid)
    agent.images.forget(ctx.uid)
    agent.checkpoints.remove(ctx.uid)


async def delete(ctx: PodContext, action: DeletePod) -> None:
    """The API object goes last, and only if it is still this very pod."""
    agent, meta = ctx.agent, ctx.pod.metadata
    await agent.pusher.flush(ctx.uid)
    try:
        await agent.client.delete(
            Pod, meta.name, meta.namespace, grace_period_seconds=0, uid=meta.uid
        )
    except ApiError as error:
        if not (is_not_found(error) or is_conflict(error)):
            raise StepFailed("FailedDelete", error.message) from error
    except PodwrightError as error:
        raise StepFailed("FailedDelete", error.message) from error
    ctx.memory.deleted = True
    agent.pusher.forget(ctx.uid)


def _order(ctx: PodContext, action: StopContainer | RunPreStop) -> StopOrder:
    clock = ctx.agent.clock
    return StopOrder(
        deadline=clock.monotonic() + action.grace,
        alarm=Alarm(f"stop {action.container}", clock=clock, guard=ctx.agent.guard),
    )


async def _pre_stop(ctx: PodContext, action: StopContainer | RunPreStop, order: StopOrder) -> None:
    specs = {c.name: c for c in (*ctx.pod.spec.init_containers, *ctx.pod.spec.containers)}
    container, memory = specs.get(action.container), ctx.memory
    if container is None or container.lifecycle is None or container.lifecycle.pre_stop is None:
        return
    if memory.pre_stops.get(action.id) is Hook.DONE:
        return
    memory.pre_stops[action.id] = Hook.RUNNING
    clock = ctx.agent.clock
    hook = run_hook(
        container.lifecycle.pre_stop,
        Target(container=container, id=action.id, ip=ctx.ip),
        ctx.agent.runtime,
        timeout=max(0.0, order.deadline - clock.monotonic()),
        clock=clock,
    )
    running = ctx.agent.guard.start(hook, name=f"preStop {container.name}")
    running.add_done_callback(lambda _: order.alarm.ring())
    try:
        verdict = await _hook_ended(ctx, action.id, running, order)
    finally:
        running.cancel()
        memory.pre_stops[action.id] = Hook.DONE
    if not verdict.passed:
        message = f"PreStopHook failed: {verdict.message}"
        ctx.warn("FailedPreStopHook", message, container=container.name)
    elif verdict.warning:
        message = f"PreStopHook was {verdict.message}"
        ctx.normal("PreStopHookAnswered", message, container=container.name)
    order.deadline = max(order.deadline, clock.monotonic() + LEAST_GRACE)


async def _hook_ended(
    ctx: PodContext, id: ContainerId, running: asyncio.Task[Verdict], order: StopOrder
) -> Verdict:
    """Wait for the hook, but no longer than a grace period that was shortened meanwhile, nor than
    the container itself."""
    clock, planned = ctx.agent.clock, order.deadline
    while not running.done():
        left = None if order.deadline == planned else order.deadline - clock.monotonic()
        if left is not None and left <= 0:
            return Verdict(passed=False, message="the grace period was shortened")
        if not ctx.alive(id):
            return Verdict(passed=True)
        await order.alarm.wait(left)
    return running.result()


async def _signal(ctx: PodContext, id: ContainerId, signal: str) -> None:
    record = ctx.memory.records.get(id)
    if record is None:
        return
    try:
        await ctx.agent.runtime.kill(id, signal=signal or record.stop_signal)
    except RuntimeFailure as error:
        raise StepFailed("FailedKillPod", error.message) from error


async def _ended_by(ctx: PodContext, id: ContainerId, order: StopOrder) -> None:
    """Wait until the container has ended, or the deadline has come.

    The engine's events tell of the end; in case one was lost, look from time to time.
    """
    clock = ctx.agent.clock
    while ctx.alive(id) and (left := order.deadline - clock.monotonic()) > 0:
        await order.alarm.wait(min(left, LOOK_EVERY))
        if ctx.alive(id):
            try:
                ctx.memory.note(await ctx.agent.runtime.inspect(id))
            except NotFound:
                ctx.memory.forget(id)
            except RuntimeFailure:
                continue
