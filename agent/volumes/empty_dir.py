"""emptyDir: a directory that lives as long as its pod (step 4 of the pod's walk).

On the node's disk, in memory (`medium: Memory`) or in huge pages, where sizeLimit is the file system's
size. On disk a sizeLimit is watched by eviction, not enforced here.
"""

from __future__ import annotations

import os
from pathlib import Path

from agent.resources import hugepages
from agent.resources.values import pod_values
from agent.volumes.base import VolumeContext, VolumeError
from agent.volumes.mounts import remove_tree
from api import quantity
from api.core import EmptyDirVolumeSource
from api.pods import pod_requests


async def set_up(context: VolumeContext) -> Path:
    source = context.volume.empty_dir or EmptyDirVolumeSource()
    path, made = context.directory, _made(context.directory)
    path.mkdir(parents=True, exist_ok=True)
    if source.medium and not context.mounter.is_mounted(path):
        made.unlink(missing_ok=True)  # what it was mounted from went with the machine's last run
    if source.medium == "Memory":
        context.mounter.tmpfs(path, size=_size(context))
    elif source.medium:
        limit = quantity.value(source.size_limit) if source.size_limit else 0
        context.mounter.huge_pages(path, page=_page(context, source.medium), size=limit)
    if not made.exists():
        own(path, context.group)
        made.touch()
    return path


async def tear_down(context: VolumeContext) -> None:
    await context.mounter.aside(lambda: remove_tree(context.directory, context.mounter))
    _made(context.directory).unlink(missing_ok=True)


def own(path: Path, group: int | None) -> None:
    """Everybody may write, as in Kubernetes; with fsGroup new files inherit the group."""
    if group is not None:
        os.chown(path, -1, group)
    path.chmod(0o777 if group is None else 0o2777)


def _made(directory: Path) -> Path:
    """There once the volume was made: from then on its modes are the programs', whoever starts anew."""
    return directory.with_name(f".{directory.name}.made")


def _page(context: VolumeContext, medium: str) -> int:
    """The page size of a medium: `HugePages-2Mi`, or `HugePages` where the pod asks for one size only.

    Raises:
        VolumeError: the pod asks for no such pages.
    """
    asked = hugepages.sizes(pod_requests(context.pod))
    if medium == "HugePages" and len(asked) == 1:
        return asked[0]
    named = medium.removeprefix("HugePages-")
    if medium.startswith("HugePages-") and quantity.value(named) in asked:
        return quantity.value(named)
    shown = ", ".join(quantity.from_bytes(size) for size in asked) or "none"
    raise VolumeError(
        f'emptyDir medium "{medium}" does not fit the huge pages that the pod requests: {shown}'
    )


def _size(context: VolumeContext) -> int:
    """The limit in bytes: of sizeLimit, the pod's memory limit if it has one, and what the node has for
    pods, the smallest (concept "Volumes", emptyDir); 0, which is half of the memory to tmpfs: none is
    known.
    """
    source = context.volume.empty_dir
    limits = [quantity.value(context.place.allocatable.get("memory", "0"))]
    if source is not None and source.size_limit:
        limits.append(quantity.value(source.size_limit))
    limits.append(pod_values(context.pod).memory)
    return min((limit for limit in limits if limit > 0), default=0)
