"""nfs: a folder of a file server (step 4 of the pod's walk).

Mounted by the node's own mount(8), because the kernel takes NFS only with a helper's handshake
(mount.nfs of nfs-common or nfs-utils). Whoever waits for a server that is away is the pod alone: the
mount is a process, and it is given up after a while and tried again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agent.volumes.base import VolumeContext, VolumeError, check_writable
from agent.volumes.mounts import MountError, remove_tree
from api.core import NFSVolumeSource


async def set_up(context: VolumeContext) -> Path:
    source = context.volume.nfs
    assert source is not None
    return await mount(context, source)


async def mount(
    context: VolumeContext, source: NFSVolumeSource, *, options: Sequence[str] = ()
) -> Path:
    """Mount it at the volume's own directory, once."""
    path = context.directory
    if context.mounter.is_mounted(path):
        return path
    path.mkdir(parents=True, exist_ok=True)
    if source.read_only:
        options = ("ro", *options)
    try:
        await context.mounter.remote("nfs", export(source), path, options)
    except MountError as error:
        raise VolumeError(error.message) from error
    return path


def export(source: NFSVolumeSource) -> str:
    """`server:/path` as mount(8) takes it."""
    check_writable(source.server)
    check_writable(source.path)
    if source.server.startswith("-"):
        raise VolumeError(f'nfs server "{source.server}" is not a name')
    server = f"[{source.server}]" if ":" in source.server else source.server
    return f"{server}:{source.path}"


async def tear_down(context: VolumeContext) -> None:
    await context.mounter.aside(lambda: remove_tree(context.directory, context.mounter))
