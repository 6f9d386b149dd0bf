"""The kinds of persistent volumes that this agent can mount (step 4 of the pod's walk)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from agent.volumes import host_path, nfs
from agent.volumes.base import Objects, VolumeContext, VolumeError, check_writable
from agent.volumes.mounts import Mounter
from agent.volumes.ownership import own_tree
from agent.volumes.persistent import PersistentKind, Stage, Stages
from api.core import Volume


async def _host_path(context: VolumeContext, stage: Stage) -> Path:
    inner = Volume(name=context.volume.name, host_path=stage.volume.spec.host_path)
    return await host_path.set_up(replace(context, volume=inner))


async def _nfs(context: VolumeContext, stage: Stage) -> Path:
    source = stage.volume.spec.nfs
    assert source is not None
    return await nfs.mount(context, source, options=stage.volume.spec.mount_options)


async def _local(context: VolumeContext, stage: Stage) -> Path:
    source = stage.volume.spec.local
    assert source is not None
    check_writable(source.path)
    path = Path(source.path)
    if stage.volume.spec.volume_mode == "Block":
        await context.mounter.outside(str(context.directory), partial(_check_device, path))
        return path
    if not path.is_absolute() or ".." in path.parts:
        raise VolumeError(f'local path "{source.path}" must be absolute, without ".."')
    # What an earlier agent made ready is the programs', which may have set other modes since.
    group = None if context.claimed_read_only or context.memo.exists() else context.group
    # It may hold millions of files, and lie on a disk that does not answer.
    ready = partial(_ready, path, group, context.group_policy)
    await context.mounter.outside(str(context.directory), ready)
    return path


def _check_device(path: Path) -> None:
    if not path.is_block_device():
        why = "is not a block device" if path.exists() else "does not exist"
        raise VolumeError(f'path "{path}" {why}')


def _ready(path: Path, group: int | None, policy: str | None) -> None:
    try:
        if path.is_block_device():
            raise VolumeError(
                f'path "{path}" is a block device: mount its file system on the node, and let the '
                "volume name the folder"
            )
        if not path.is_dir():
            why = "is not a directory" if path.exists() else "does not exist"
            raise VolumeError(f'path "{path}" {why}')
        if group is not None:
            # Its owner may have named a link to the folder, and a walk begins at no link.
            own_tree(path.resolve(), group, policy)
    except OSError as error:
        raise VolumeError(f'path "{path}": {error.strerror}') from error


KINDS: tuple[PersistentKind, ...] = (
    PersistentKind(field="host_path", publish=_host_path),
    PersistentKind(field="local", publish=_local, blocks=True, labelled=True),
    PersistentKind(field="nfs", publish=_nfs),
)
"""To add a kind: its functions, and an entry here."""


def stages(directory: Path, *, mounter: Mounter, objects: Objects) -> Stages:
    """The persistent volumes of a node, of all these kinds."""
    return Stages(directory, kinds=KINDS, mounter=mounter, objects=objects)
