"""What pods use of the node's disk, and who uses more than it may (`resources.limits`, `sizeLimit`).

Counted are the writable layers and logs of the containers and what lies in disk-backed emptyDirs, as
Kubernetes counts "local ephemeral storage". `measure` walks directories: call it in a thread.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from agent.volumes.registry import VOLUMES_DIRECTORY
from api.core import Pod
from api.pods import all_containers, pod_limits
from api.resources import EPHEMERAL_STORAGE, amount, quantities

_BLOCK = 512


class Part(Enum):
    """The engine, with its images, layers and logs, may have a file system of its own."""

    ALL = auto()
    CONTAINERS = auto()
    VOLUMES = auto()


@dataclass(frozen=True, kw_only=True)
class PodDisk:
    """Bytes by container (layer and log) and by emptyDir; inodes in all."""

    containers: Mapping[str, int] = field(default_factory=dict)
    volumes: Mapping[str, int] = field(default_factory=dict)
    inodes: int = 0
    logs: Mapping[str, int] = field(default_factory=dict)
    """Of a container's bytes those of its log."""

    @property
    def total(self) -> int:
        return self.of(Part.CONTAINERS) + self.of(Part.VOLUMES)

    def of(self, part: Part) -> int:
        match part:
            case Part.CONTAINERS:
                return sum(self.containers.values())
            case Part.VOLUMES:
                return sum(self.volumes.values())
        return self.total


def measure(
    pod: Pod, directory: Path, containers: Mapping[str, tuple[int, Sequence[str]]]
) -> PodDisk:
    """Walk what is the pod's. `containers`: by name the size of its layers, and its logs."""
    volumes, inodes = {}, 0
    for volume in pod.spec.volumes:
        if volume.empty_dir is not None and not volume.empty_dir.medium:
            volumes[volume.name], count = tree(directory / VOLUMES_DIRECTORY / volume.name)
            inodes += count
    written = {name: sum(map(_log, logs)) for name, (_, logs) in containers.items()}
    sizes = {name: size + written[name] for name, (size, _) in containers.items()}
    return PodDisk(containers=sizes, volumes=volumes, inodes=inodes, logs=written)


def tree(root: Path) -> tuple[int, int]:
    """Bytes on disk and inodes below a folder, without what is mounted there; links are not followed."""
    try:
        device = root.lstat().st_dev
    except OSError:
        return 0, 0
    size, count, waiting = 0, 0, [str(root)]
    seen: set[int] = set()
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:  # it was removed while we looked
            continue
        for entry in entries:
            try:
                facts = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if facts.st_dev != device or facts.st_ino in seen:
                continue
            if facts.st_nlink > 1:
                seen.add(facts.st_ino)
            size += facts.st_blocks * _BLOCK
            count += 1
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
    return size, count


def over_limit(pod: Pod, disk: PodDisk) -> str:
    """Why the pod is evicted for what it uses; empty while it keeps within its limits."""
    for volume in pod.spec.volumes:
        source = volume.empty_dir
        if source is None or not source.size_limit or source.medium:
            continue
        if disk.volumes.get(volume.name, 0) > amount(EPHEMERAL_STORAGE, source.size_limit):
            return f'Usage of EmptyDir volume "{volume.name}" exceeds the limit "{source.size_limit}". '
    for container in all_containers(pod.spec):
        limit = container.resources.limits.get(EPHEMERAL_STORAGE)
        if limit and disk.containers.get(container.name, 0) > amount(EPHEMERAL_STORAGE, limit):
            return (
                f'Container {container.name} exceeded its local ephemeral storage limit "{limit}". '
            )
    # The sum of those that there are, as documented, though some container may have none.
    most = pod_limits(pod).get(EPHEMERAL_STORAGE, 0)
    if most and disk.total > most:
        return (
            "Pod ephemeral local storage usage exceeds the total limit of containers"
            f" {quantities({EPHEMERAL_STORAGE: most})[EPHEMERAL_STORAGE]}. "
        )
    return ""


def _log(path: str) -> int:
    """A log with the older parts that rotation left beside it."""
    if not path:
        return 0
    total, log = 0, Path(path)
    for part in log.parent.glob(f"{log.name}*"):
        try:
            total += part.stat().st_blocks * _BLOCK
        except OSError:
            continue
    return total
