"""Why containers died, put together while it can still be known (step 5 of the pod's walk). Pure.

What Kubernetes leaves of a death is a number and a word. Here it is: who ended it or what, the question
of the probe that failed and its answer, memory against the limit, the last lines it logged, and what
changed just before. The cause, without the log, which not everybody may read who may see the pod, goes
into the status and an event; all of it is kept with the pod and told by `podwright why`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.containers.records import ContainerRecord
from agent.pod import names, signals
from agent.pod.observed import KilledFor
from api import quantity, timestamps
from api.core import Container, Pod
from api.pods import all_containers, ephemeral_containers
from api.why import Death

KEPT = 10
"""Deaths remembered per pod."""
RECENT = 300.0
"""Seconds for which a change counts as "just before"."""

_OURS = {
    KilledFor.LIVENESS: "the agent ended it because its liveness probe failed",
    KilledFor.STARTUP: "the agent ended it because its startup probe failed",
    KilledFor.POST_START: "the agent ended it because its postStart hook failed",
    KilledFor.CHANGED: "the agent ended it because its definition changed",
    KilledFor.RESIZED: "the agent ended it to give it other amounts",
    KilledFor.SANDBOX: "the agent ended it because its pod's sandbox was gone",
}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What is found at a death."""

    record: ContainerRecord
    killed_for: KilledFor | None = None
    complaint: str = ""
    """The question and the answer of the probe or hook for which it was ended."""
    limit: int = 0
    """Bytes of memory that it was allowed; 0: no limit."""
    peak: int = 0
    """The most memory that its pod ever had, in bytes."""
    last_lines: Sequence[str] = ()
    changes: Sequence[str] = ()


def death(scene: Scene) -> Death:
    """What is told of it."""
    record = scene.record
    container, restarts = names.start_of(record)
    return Death(
        container=container,
        container_id=record.id,
        restart_count=restarts,
        exit_code=record.exit_code,
        signal=signals.told(record.exit_code),
        out_of_memory=_out_of_memory(record),
        cause=cause(scene),
        memory_limit=quantity.from_bytes(scene.limit) if scene.limit else "",
        memory_peak=quantity.from_bytes(scene.peak) if scene.peak else "",
        last_lines=list(scene.last_lines),
        changes=list(scene.changes),
        started_at=None if record.started_at is None else timestamps.format(record.started_at),
        finished_at=None if record.finished_at is None else timestamps.format(record.finished_at),
    )


def cause(scene: Scene) -> str:
    """Why it ended, in a sentence without its subject."""
    record = scene.record
    if record.error:
        return f"it could not be started: {record.error}"
    if scene.killed_for is not None:
        words = _OURS[scene.killed_for]
        return f"{words}: {scene.complaint}" if scene.complaint else words
    if _out_of_memory(record):
        return _memory_words(scene)
    if name := signals.told(record.exit_code):
        return f"signal {name} ended it, which this agent did not send"
    return f"its program ended with exit code {record.exit_code}"


def _memory_words(scene: Scene) -> str:
    allowed = (
        f"its limit is {quantity.from_bytes(scene.limit)}"
        if scene.limit
        else "it has no limit of its own, so the pod's or the node's memory was used up"
    )
    peak = f"; the pod had {_rounded(scene.peak)} at most" if scene.peak else ""
    return f"the kernel killed it for want of memory: {allowed}{peak}"


def _rounded(size: int) -> str:
    """`63.9Mi`: for people."""
    return f"{size / 1024**2:.1f}Mi"


def _out_of_memory(record: ContainerRecord) -> bool:
    return record.oom_killed and record.exit_code != 0


def differences(before: Pod, after: Pod) -> Iterator[str]:
    """What somebody changed about a pod, as far as its containers may notice."""
    known = {one.name: one for one in _containers(before)}
    for container in _containers(after):
        former = known.get(container.name)
        if former is None:
            yield f"container {container.name} was added"
            continue
        if former.image != container.image:
            name = container.name
            yield f"image of {name} was changed from {former.image} to {container.image}"
        if former.resources != container.resources:
            yield f"resources of {container.name} were changed"
    for what in ("labels", "annotations"):
        if getattr(before.metadata, what) != getattr(after.metadata, what):
            yield f"{what} of the pod were changed"


def others(deaths: Sequence[Death], record: ContainerRecord, within: float) -> Iterator[str]:
    """Containers of the same pod that died shortly before."""
    own = record.labels.get(names.CONTAINER_NAME, "")
    for one in deaths:
        if record.finished_at is None or not one.finished_at or one.container == own:
            continue
        ago = (record.finished_at - timestamps.parse(one.finished_at)).total_seconds()
        if 0 <= ago <= within:
            yield f"{round(ago)} s before: container {one.container} died: {one.cause}"


def _containers(pod: Pod) -> list[Container]:
    return [*all_containers(pod.spec), *ephemeral_containers(pod.spec)]
