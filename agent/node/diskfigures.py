"""What each pod has on disks, for `/stats/summary` (any step of the pod's walk).

Walking a pod's volumes takes its time, so nobody waits for it: who asks gets what was found last, and if
that is older than a minute, all pods are looked at anew meanwhile. While nobody asks, nothing is walked.
Concurrency: one task at a time.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from functools import partial

from agent.containers.errors import RuntimeFailure
from agent.containers.interface import Runtime
from agent.node.diskusage import PodDisk, measure, tree
from agent.pod import names
from agent.pod.manager import PodManager
from agent.pod.worker import PodWorker
from agent.server.interface import DiskUse, Volume
from agent.volumes.outside import DoesNotAnswer
from api.core import Pod
from api.pods import all_containers

log = logging.getLogger(__name__)

FRESH = 60.0
_FILE_SYSTEMS = ("persistent_volume_claim", "ephemeral", "nfs")
_FOLDERS = ("empty_dir", "config_map", "secret", "downward_api", "projected")


class DiskFigures:
    """The last look at every pod."""

    def __init__(self, manager: PodManager) -> None:
        self._manager = manager
        self._found: dict[str, DiskUse] = {}
        self._looked_at: float | None = None
        self._looking = False

    def ask(self) -> Mapping[str, DiskUse]:
        """By uid what was found last; has it looked at anew when that is a while ago."""
        agent = self._manager.agent
        now = agent.clock.monotonic()
        if not self._looking and (self._looked_at is None or now - self._looked_at >= FRESH):
            self._looking = True
            agent.guard.start(self._look(), name="disk figures")
        return self._found

    async def _look(self) -> None:
        agent, found = self._manager.agent, {}
        try:
            for uid, worker in list(self._manager.workers.items()):
                try:
                    found[uid] = await _disk_use(worker, agent.runtime)
                except (DoesNotAnswer, OSError) as error:
                    log.debug("%r: what it has on disks is not known: %s", worker, error)
        finally:
            self._found, self._looking = found, False
            self._looked_at = agent.clock.monotonic()


async def pod_disk(worker: PodWorker, runtime: Runtime) -> PodDisk:
    """What counts as the pod's ephemeral storage. Raises DoesNotAnswer."""
    context = worker.context
    containers = {}
    for container in all_containers(worker.pod.spec):
        records = [
            record
            for record in context.memory.records.values()
            if record.labels.get(names.CONTAINER_NAME) == container.name
        ]
        layers = 0
        for record in records:
            try:
                layers += await runtime.disk_usage(record.id)
            except RuntimeFailure as error:
                log.debug("%s: the size of %s is not known: %s", worker, record.id, error)
        containers[container.name] = (layers, [record.log_path for record in records])
    # Programs may have mounted file servers below their volumes, where the node sees them.
    work = partial(measure, worker.pod, context.directory, containers)
    return await context.agent.mounter.outside(f"{context.directory}/disk", work)


async def _disk_use(worker: PodWorker, runtime: Runtime) -> DiskUse:
    context, disk = worker.context, await pod_disk(worker, runtime)
    folders: dict[str, tuple[int, int]] = {}
    mounted: dict[str, Volume] = {}
    for volume in worker.pod.spec.volumes:
        path = context.volumes.paths.get(volume.name)
        if path is None:
            continue
        own = any(getattr(volume, kind) is not None for kind in _FILE_SYSTEMS)
        outside = context.agent.mounter.outside
        if own or (volume.empty_dir is not None and volume.empty_dir.medium):
            work = partial(os.statvfs, path)
            mounted[volume.name] = _volume(await outside(f"{context.directory}/{path}", work))
        elif any(getattr(volume, kind) is not None for kind in _FOLDERS):
            folders[volume.name] = await outside(f"{path}/tree", partial(tree, path))
    return DiskUse(
        layers={name: size - disk.logs[name] for name, size in disk.containers.items()},
        logs=disk.logs,
        folders=folders,
        mounted=mounted,
        claims=_claims(worker.pod),
        total=disk.total,
        inodes=disk.inodes,
    )


def _claims(pod: Pod) -> dict[str, str]:
    found = {}
    for volume in pod.spec.volumes:
        if volume.persistent_volume_claim is not None:
            found[volume.name] = volume.persistent_volume_claim.claim_name
        elif volume.ephemeral is not None:
            found[volume.name] = f"{pod.metadata.name}-{volume.name}"
    return found


def _volume(facts: os.statvfs_result) -> Volume:
    return Volume(
        available=facts.f_bavail * facts.f_frsize,
        capacity=facts.f_blocks * facts.f_frsize,
        inodes=facts.f_files,
        inodes_free=facts.f_favail,
    )
