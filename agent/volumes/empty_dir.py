"""emptyDir: a directory that lives as long as its pod (step 4 of the pod's walk).

On the node's disk, or in memory (`medium: Memory`), where sizeLimit is the file system's size. On
disk a sizeLimit is watched by eviction, not enforced here.
"""

from __future__ import annotations

import os
from pathlib import Path

from agent.volumes.base import VolumeContext, VolumeError
from agent.volumes.mounts import remove_tree
from api import quantity
from api.core import EmptyDirVolumeSource


async def set_up(context: VolumeContext) -> Path:
    source = context.volume.empty_dir or EmptyDirVolumeSource()
    path = context.directory
    path.mkdir(parents=True, exist_ok=True)
    if source.medium == "Memory":
        context.mounter.tmpfs(path, size=_size(context))
    elif source.medium:
        raise VolumeError(f'emptyDir medium "{source.medium}" is not supported by this agent yet')
    own(path, context.group)
    return path


async def tear_down(context: VolumeContext) -> None:
    await context.mounter.aside(lambda: remove_tree(context.directory, context.mounter))


def own(path: Path, group: int | None) -> None:
    """Everybody may write, as in Kubernetes; with fsGroup new files inherit the group."""
    if group is not None:
        os.chown(path, -1, group)
    path.chmod(0o777 if group is None else 0o2777)


def _size(context: VolumeContext) -> int:
    """The limit in bytes: sizeLimit, or the containers' memory limits if all have one; 0: none."""
    source = context.volume.empty_dir
    limits = []
    if source is not None and source.size_limit:
        limits.append(quantity.value(source.size_limit))
    memory = [c.resources.limits.get("memory", "") for c in context.pod.spec.containers]
    if all(memory):
        limits.append(sum(quantity.value(limit) for limit in memory))
    return min((limit for limit in limits if limit > 0), default=0)
