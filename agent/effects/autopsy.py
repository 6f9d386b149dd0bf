"""Looking at a container that died, before what it left is gone (step 5 of the pod's walk): the effect.

Each death is looked at once; what was found stands in a file of the pod's directory, so that an agent that
is restarted neither forgets nor asks again. A container that ended because its pod ends, or because its
work was done, is no death.
"""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

import msgspec

from agent.containers.records import ContainerRecord
from agent.effects.context import PodContext, StepFailed
from agent.effects.lastwords import tail
from agent.pod import names
from agent.pod.forensics import KEPT, RECENT, Scene, death, others
from agent.pod.observed import is_sidecar
from agent.resources.values import container_values
from agent.server import cgroupfiles
from api.pods import qos_class, restarts
from api.why import Death
from base.files import atomic_write

log = logging.getLogger(__name__)

LINES = 10
MAX_TEXT = 2048
FILE = "deaths.json"
_decoder = msgspec.json.Decoder(list[Death])


def recall(ctx: PodContext) -> None:
    """Read what an earlier agent found."""
    try:
        found = _decoder.decode((ctx.directory / FILE).read_bytes())
    except FileNotFoundError:
        return
    except (OSError, msgspec.DecodeError) as error:
        log.warning("what became of pod %s before is not known: %s", ctx.pod.metadata.name, error)
        return
    ctx.memory.deaths = found


async def autopsy(ctx: PodContext, record: ContainerRecord) -> None:
    """Find out why it died, remember it and tell it."""
    memory = ctx.memory
    if not _died(ctx, record) or any(one.container_id == record.id for one in memory.deaths):
        return
    killed_for = memory.killed_for.get(record.id)
    ended = memory.ended_at.get(record.id, ctx.agent.clock.monotonic())
    scene = Scene(
        record=record,
        killed_for=killed_for,
        complaint=memory.complaints.get(record.id, {}).get(killed_for, "") if killed_for else "",
        limit=_limit(ctx, record),
        peak=_peak(ctx) if record.oom_killed else 0,
        last_lines=(await tail(ctx, record, LINES, MAX_TEXT)).splitlines(),
        changes=[
            *memory.changes.before(ended, RECENT),
            *others(memory.deaths, record, RECENT),
        ],
    )
    found = death(scene)
    memory.deaths = [found, *memory.deaths][:KEPT]
    if killed_for is None and record.exit_code:
        name = found.container
        ctx.warn("ContainerDied", f"Container {name} died: {found.cause}", container=name)
    if not memory.keeping_deaths:
        memory.keeping_deaths = True
        name = f"deaths of pod {ctx.pod.metadata.name}"
        ctx.agent.guard.start(_keep_newest(ctx), name=name)


async def _keep_newest(ctx: PodContext) -> None:
    """Write what is known by now. Not waited for: a slow disk must not hold up the pod."""
    memory, written = ctx.memory, None
    try:
        while memory.deaths is not written:
            written = memory.deaths
            await ctx.agent.mounter.aside(partial(_keep, ctx.directory, written))
    finally:
        memory.keeping_deaths = False


def _keep(directory: Path, deaths: list[Death]) -> None:
    try:
        atomic_write(directory / FILE, msgspec.json.encode(deaths), mode=0o600)
    except OSError as error:  # the pod may be gone; what is in memory is told all the same
        log.debug("deaths are not written to %s: %s", directory, error)


def _died(ctx: PodContext, record: ContainerRecord) -> bool:
    name = record.labels.get(names.CONTAINER_NAME, "")
    if record.labels.get(names.CONTAINER_TYPE) != names.CONTAINER or ctx.memory.leaving:
        return False
    if ctx.memory.removed or ctx.pod.metadata.deletion_timestamp is not None:
        return False
    if record.id in ctx.memory.killed_for:
        return True
    if (
        record.id in ctx.memory.asked_to_end
    ):  # with the rest of its pod, or one too many of its name
        return False
    if record.exit_code or record.error:
        return True
    sidecars = [c for c in ctx.pod.spec.init_containers if is_sidecar(c)]
    return any(
        container.name == name and restarts(ctx.pod, container, exit_code=0)
        for container in (*sidecars, *ctx.pod.spec.containers)
    )


def _limit(ctx: PodContext, record: ContainerRecord) -> int:
    if record.in_force is not None:
        return record.in_force.memory
    try:
        container = ctx.container(record.labels.get(names.CONTAINER_NAME, ""))
    except StepFailed:
        return 0
    return container_values(container, ctx.pod.spec.resources).memory


def _peak(ctx: PodContext) -> int:
    """Of the whole pod: the container's own cgroup went with it."""
    agent, quality = ctx.agent, str(qos_class(ctx.pod))
    directory = partial(agent.cgroups.directory, ctx.uid, quality)
    return cgroupfiles.peak(agent.node.engine.cgroup_version, directory)
