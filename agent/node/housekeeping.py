"""Keeping the node from running short: pods are evicted, images are removed (any step of the walk).

Once a minute containers that ended are removed, if there are more than may be (`containergc.py`).
Every ten seconds the levels are compared with the thresholds (`eviction.py`, pure). A disk that is short
first loses the containers of pods that have finished and its unused images; if that is not enough, or
memory or processes are short, one pod is evicted, and the next only when its containers have ended. Pods
that use more of the disk than they may are evicted whatever room there is.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agent.containers.errors import RuntimeFailure
from agent.containers.images import full_name, full_names
from agent.containers.interface import Runtime
from agent.containers.records import ImageId
from agent.node import containergc, eviction, imagegc
from agent.node.containergc import Dead
from agent.node.diskfigures import pod_disk
from agent.node.diskusage import Part, PodDisk, over_limit
from agent.node.eviction import Candidate, History, Level, Shortage, Signal, Threshold
from agent.node.machine import Disk
from agent.node.nodeevents import NodeEvents
from agent.pod.manager import PodManager
from agent.pod.teardown import DEFAULT_GRACE, LEAST_GRACE
from agent.pod.worker import PodWorker
from agent.server.interface import PodUsage, UsageSource
from agent.volumes.outside import DoesNotAnswer
from api.core import Pod
from api.pods import all_containers, is_terminal, pod_requests
from api.resources import amount
from base.clock import Clock

log = logging.getLogger(__name__)

LOOK = 10.0
CONTAINERS_EVERY = 60.0
IMAGES_EVERY = 300.0
ENDS_WITHIN = 30.0
"""Seconds beyond its grace in which an evicted pod is expected to end."""
GONE_WITHIN = 10.0
"""Seconds that the engine may take to remove containers before the disk is looked at again."""
OWN_LIMIT = "ephemeral-storage.limit"
"""What is short when a pod used more than it may, as `/metrics` calls it."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When the node counts as short, and what is done about it (seconds)."""

    thresholds: Sequence[Threshold] = ()
    transition: float = 300.0
    longest_grace: float = 0.0
    """Of a pod that goes for a soft threshold; what it says of itself may be shorter."""
    images: imagegc.Policy = field(default_factory=imagegc.Policy)


class Levels(Protocol):
    """What the housekeeper looks at, and where it leaves what it found."""

    pressures: frozenset[str]

    def levels(self) -> dict[Signal, Level]: ...

    def image_disk(self) -> Disk | None: ...

    def images_apart(self) -> bool: ...

    def unwritable(self) -> str: ...


class Housekeeper:
    """One node's housekeeper."""

    def __init__(
        self,
        manager: PodManager,
        levels: Levels,
        usage: UsageSource,
        runtime: Runtime,
        limits: Limits,
        *,
        events: NodeEvents,
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self._manager = manager
        self._levels = levels
        self._usage = usage
        self._runtime = runtime
        self._limits = limits
        self._events = events
        self._clock = clock
        self._changed = changed
        self._history = History()
        self._images: dict[ImageId, imagegc.Known] = {}
        self.evictions: Counter[str] = Counter()
        """Pods evicted, by what was short."""
        self.collected: Counter[str] = Counter()
        """Images removed, by why: for `space`, or for their `age`."""
        self._discarded = 0
        self._freed = 0
        self._short_of_images = False
        self._ends_by: dict[str, float] = {}
        """By the uid of evicted pods: from then on others may have to go too."""

    def statistics(self) -> dict[str, float]:
        return {
            "pods_evicted": self.evictions.total(),
            "containers_removed": self._discarded,
            "images_removed": self.collected.total(),
            "image_bytes_freed": self._freed,
        }

    def look(self) -> list[Shortage]:
        """Compare the levels with the thresholds, and report the pressures."""
        now = self._clock.monotonic()
        self._history, short = eviction.look(
            self._limits.thresholds, self._levels.levels(), self._history, now
        )
        found = eviction.pressures(self._history, now, transition=self._limits.transition)
        if self._levels.unwritable():
            # Nobody is evicted for it, since that would not help; but nothing new should come.
            found |= {"DiskPressure"}
        self._manager.pressures = found
        if found != self._levels.pressures:
            log.warning("pressures: %s", ", ".join(sorted(found)) or "none any more")
            self._levels.pressures = found
            self._changed()
        return short

    async def run(self) -> None:
        """Look every ten seconds, until cancelled."""
        images_at = containers_at = self._clock.monotonic()
        while True:
            await self._clock.sleep(LOOK)
            try:
                await self.relieve()
                if self._clock.monotonic() >= containers_at:
                    self.remove_containers()
                    containers_at = self._clock.monotonic() + CONTAINERS_EVERY
                if self._clock.monotonic() >= images_at:
                    await self.remove_images()
                    images_at = self._clock.monotonic() + IMAGES_EVERY
            except (RuntimeFailure, OSError) as error:
                log.warning("the node's housekeeping waits: %s", error)

    async def relieve(self) -> None:
        """Evict what uses more than it may; then act on the first shortage."""
        disks = await self._disks(only_limited=True)
        for worker in self._running():
            uid = worker.context.uid
            if (
                uid in disks
                and not worker.critical  # whatever it uses
                and (why := over_limit(worker.pod, disks[uid]))
            ):
                self._evict(worker, why, OWN_LIMIT, grace=LEAST_GRACE)
        short = self.look()
        if not short or self._leaving():
            return
        shortage = short[0]
        resource = eviction.RESOURCES[shortage.threshold.signal]
        self._events.warn("EvictionThresholdMet", f"Attempting to reclaim {resource}")
        if eviction.PRESSURES[shortage.threshold.signal] == "DiskPressure" and (
            shortage.threshold.signal in eviction.OF_IMAGES or not self._levels.images_apart()
        ):
            await self._remove_finished()
            await self.remove_images(everything=True)
            short = self.look()
            if not short or short[0].threshold.signal is not shortage.threshold.signal:
                return
            shortage = short[0]
        await self._relieve(shortage)

    def remove_containers(self) -> None:
        """Have containers removed that ended, if there are more than the node may keep."""
        limits = self._manager.agent.node.dead_limits
        if limits.in_all < 0:
            return
        workers = {worker.context.uid: worker for worker in self._manager.workers.values()}
        dead = [one for worker in workers.values() for one in worker.dead()]
        for one in containergc.choose(dead, most=limits.in_all, least_age=limits.least_age):
            log.info("container %s of pod %s is removed: it ended", one.container, one.uid)
            workers[one.uid].discard(one)
            self._discarded += 1

    async def remove_images(self, *, everything: bool = False) -> None:
        """Remove images that may go; `everything` that is unused."""
        images = await self._runtime.list_images()
        containers = await self._runtime.list_containers(labels={})
        used = {record.image_id for record in containers} | self._manager.images_wanted()
        # The sandbox's is in no registry, and the next pod needs it.
        pause = full_name(self._manager.agent.node.pause_image)
        used |= {image.id for image in images if pause in full_names(image)}
        now = self._clock.monotonic()
        self._images = imagegc.look(self._images, images, used, now)
        verdict = imagegc.choose(
            self._images,
            images,
            used,
            self._levels.image_disk(),
            self._limits.images,
            now,
            everything=everything,
        )
        wanted = self._manager.agent.images
        freed = 0
        for image in verdict.remove:
            try:
                if image.id in self._manager.images_wanted() or not await wanted.remove(image):
                    continue  # since we looked
            except RuntimeFailure as error:
                log.warning("image %s is not removed: %s", _name(image.tags, image.id), error)
                continue
            log.info("image %s is removed: nobody uses it", _name(image.tags, image.id))
            self.collected["age" if image.id in verdict.expired else "space"] += 1
            freed += image.size
        self._freed += freed
        if not everything:
            self._tell_of_images(self._levels.image_disk(), verdict.wanted, freed)

    def _tell_of_images(self, disk: Disk | None, wanted: int, freed: int) -> None:
        """One failure may pass, so only the second in a row counts as one of the collection."""
        if disk is None or disk.total <= 0:
            self._events.warn("InvalidDiskCapacity", "invalid capacity 0 on image filesystem")
            return
        failed_before, self._short_of_images = self._short_of_images, freed < wanted
        if freed >= wanted:
            return
        message = imagegc.failure(disk, freed)
        log.warning("%s", message)
        self._events.warn("FreeDiskSpaceFailed", message)
        if failed_before:
            self._events.warn("ImageGCFailed", message)

    async def _remove_finished(self) -> None:
        """Remove what pods that have finished left behind, and wait until the disk has gained by it."""
        least_age = self._manager.agent.node.dead_limits.least_age

        def left() -> list[tuple[PodWorker, Dead]]:
            return [
                (worker, one)
                for worker in self._manager.workers.values()
                for one in worker.dead()
                if one.finished and one.ended_ago >= least_age
            ]

        for worker, one in left():
            log.info("container %s of pod %s is removed: the disk is short", one.container, one.uid)
            worker.discard(one)
            self._discarded += 1
        deadline = self._clock.monotonic() + GONE_WITHIN
        while left() and self._clock.monotonic() < deadline:
            await self._clock.sleep(0.1)

    async def _relieve(self, shortage: Shortage) -> None:
        signal = shortage.threshold.signal
        resource = eviction.RESOURCES[signal]
        usage = {pod.uid: pod for pod in self._usage.pods(facts=signal is Signal.PIDS)}
        disks = await self._disks() if eviction.PRESSURES[signal] == "DiskPressure" else {}
        workers = {worker.context.uid: worker for worker in self._running()}
        candidates = [
            _candidate(worker, usage.get(uid), disks.get(uid), self._where(signal))
            for uid, worker in workers.items()
        ]
        ranked = eviction.rank(candidates, signal)
        if not ranked:
            log.error("%sNo pod may be evicted.", shortage.message)
            return
        chosen = workers[ranked[0].uid]
        told = _by_container(chosen.pod, usage.get(ranked[0].uid), disks.get(ranked[0].uid))
        amounts = [(name, *told[name].get(resource, (0, 0))) for name in told]
        self._evict(
            chosen,
            eviction.told(shortage, amounts),
            signal.value,
            grace=self._grace(chosen.pod, shortage),
            annotations=eviction.noted(shortage, amounts),
        )

    def _where(self, signal: Signal) -> Part:
        """Of what pods have on disks, what lies on the one that is short."""
        if not self._levels.images_apart():
            return Part.ALL
        return Part.CONTAINERS if signal in eviction.OF_IMAGES else Part.VOLUMES

    def _grace(self, pod: Pod, shortage: Shortage) -> float:
        if shortage.hard:
            return LEAST_GRACE
        own = pod.spec.termination_grace_period_seconds
        wanted = DEFAULT_GRACE if own is None else float(own)
        return min(wanted, self._limits.longest_grace)

    def _evict(
        self,
        worker: PodWorker,
        message: str,
        signal: str,
        *,
        grace: float,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        meta = worker.pod.metadata
        log.warning("pod %s/%s is evicted: %s", meta.namespace, meta.name, message)
        worker.evict(message, grace, annotations)
        self.evictions[signal] += 1

    def _running(self) -> list[PodWorker]:
        return [
            worker
            for worker in self._manager.workers.values()
            if not worker.context.memory.removed
            and worker.context.memory.eviction is None
            and worker.pod.metadata.deletion_timestamp is None
            and not is_terminal(worker.pod)
        ]

    def _leaving(self) -> bool:
        """Whether a pod that was evicted, for whatever reason, still runs: what it had is not free yet. One
        that does not end, because its shim hangs, is not waited for."""
        now = self._clock.monotonic()
        going = {
            worker.context.uid: eviction.grace
            for worker in self._manager.workers.values()
            if (eviction := worker.context.memory.eviction) is not None
            and any(record.running for record in worker.context.memory.records.values())
        }
        self._ends_by = {
            uid: self._ends_by.get(uid, now + grace + ENDS_WITHIN) for uid, grace in going.items()
        }
        return any(now < moment for moment in self._ends_by.values())

    async def _disks(self, *, only_limited: bool = False) -> dict[str, PodDisk]:
        """What pods use of the disk, by uid."""
        found = {}
        for worker in self._running():
            if only_limited and not _is_limited(worker.pod):
                continue
            try:
                found[worker.context.uid] = await pod_disk(worker, self._runtime)
            except DoesNotAnswer as error:
                log.warning("%r: what it uses of the disk is not known: %s", worker, error)
        return found


def _candidate(
    worker: PodWorker, usage: PodUsage | None, disk: PodDisk | None, part: Part
) -> Candidate:
    pod = worker.pod
    requests = pod_requests(pod)
    used = {}
    if usage is not None:
        used = {"memory": usage.usage.working_set, "pids": usage.counters.threads}
    if disk is not None:
        used |= {"ephemeral-storage": disk.of(part), "inodes": disk.inodes}
    return Candidate(
        uid=pod.metadata.uid,
        priority=pod.spec.priority or 0,
        critical=worker.critical,
        used=used,
        requested=requests,
    )


def _by_container(
    pod: Pod, usage: PodUsage | None, disk: PodDisk | None
) -> dict[str, dict[str, tuple[int, int]]]:
    """By container and resource: what it used, and what it requested."""
    told: dict[str, dict[str, tuple[int, int]]] = {}
    for container in all_containers(pod.spec):
        requests = container.resources.requests
        memory = 0
        if usage is not None and container.name in usage.containers:
            memory = usage.containers[container.name].working_set
        told[container.name] = {"memory": (memory, amount("memory", requests.get("memory", "0")))}
        if disk is not None:
            asked = amount("ephemeral-storage", requests.get("ephemeral-storage", "0"))
            told[container.name]["ephemeral-storage"] = (disk.containers[container.name], asked)
    return told


def _is_limited(pod: Pod) -> bool:
    limited = any("ephemeral-storage" in c.resources.limits for c in all_containers(pod.spec))
    return limited or any(
        volume.empty_dir is not None and volume.empty_dir.size_limit and not volume.empty_dir.medium
        for volume in pod.spec.volumes
    )


def _name(tags: Sequence[str], id: str) -> str:
    return tags[0] if tags else id
