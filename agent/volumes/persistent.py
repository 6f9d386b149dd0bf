"""Kinds of persistent volumes, and what the pods of a node share of one (step 4 of the pod's walk).

A kind says in at most four functions how a volume comes to a pod. They are the node's calls of the
Container Storage Interface, so that one of its drivers is a kind like any other:

    stage      NodeStageVolume      once for the node, before the first pod uses the volume
    publish    NodePublishVolume    for each volume of each pod
    unpublish  NodeUnpublishVolume  when the pod lets go of it
    unstage    NodeUnstageVolume    after the last pod has

Each may be called again at any time: by an agent that has just started, and after one that was killed
halfway. To take away what is not there is fine. `stage` and `unstage` of one volume never run at the
same time, and nothing is unstaged that somebody still uses.

`Stages` keeps on disk who uses what. It is written before anything is made, and removed after
everything is taken away, so that a pod's volumes can be let go of by its uid alone:

    <directory>/<uid of the volume>/volume.json           the volume
    <directory>/<uid of the volume>/users/<pod>.<volume>  where it is published
    <directory>/<uid of the volume>/stage/                what the kind keeps there

Kinds that neither stage nor unpublish leave no such trace: what they mount lies in the pod's own
directory, and goes with it. A volume that one pod may use at a time (`ReadWriteOncePod`) always leaves
it: pods that no scheduler has placed here are kept waiting by it. Concurrency: one lock per volume.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from weakref import WeakValueDictionary

import msgspec

from agent.volumes.base import Objects, VolumeContext, VolumeError
from agent.volumes.mounts import Mounter, remove_tree
from api import names
from api.core import PersistentVolume, PersistentVolumeSource
from base.files import atomic_write, remove_unfinished

VOLUME = "volume.json"
USERS = "users"
ALONE = "ReadWriteOncePod"
STAGE = "stage"

_decoder = msgspec.json.Decoder(PersistentVolume)
_encoder = msgspec.json.Encoder()


class StageError(VolumeError):
    """The volume cannot be made ready on the node, for any pod; the message says all."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A persistent volume on this node, for all pods here that use it."""

    volume: PersistentVolume
    directory: Path
    """The kind's own; made by whoever needs it, and removed with all that is mounted in it."""
    mounter: Mounter
    objects: Objects


Publish = Callable[[VolumeContext, Stage], Awaitable[Path]]
"""Make the volume ready for one pod; the path that containers get. Raises VolumeError, TemporaryError."""
Unpublish = Callable[[Stage, Path], Awaitable[None]]
"""Take it away from the directory that the pod had for it."""
Share = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class PersistentKind:
    """One kind of persistent volume that this agent can mount."""

    field: str
    """The attribute of `api.core.PersistentVolumeSpec` that chooses it."""
    publish: Publish
    unpublish: Unpublish | None = None
    """None: there is nothing to do but to unmount what is in the pod's directory, which is always done."""
    stage: Share | None = None
    unstage: Share | None = None
    blocks: bool = False
    """It has block devices, for volumes with `volumeMode: Block`."""
    labelled: bool = False
    """Where there is SELinux, its files get the label of the pod's containers."""

    @property
    def remembered(self) -> bool:
        """Whether more is to be taken away than a pod's own directory."""
        return any((self.unpublish, self.stage, self.unstage))


class Stages:
    """The persistent volumes of this node, and who uses them."""

    def __init__(
        self,
        directory: Path,
        *,
        kinds: Sequence[PersistentKind],
        mounter: Mounter,
        objects: Objects,
    ) -> None:
        self._directory = directory
        self._kinds = {kind.field: kind for kind in kinds}
        self._mounter = mounter
        self._objects = objects
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def publish(self, context: VolumeContext, volume: PersistentVolume) -> Path:
        """The path of the volume for this pod. Raises VolumeError, TemporaryError."""
        kind = self._kind(volume)
        folder = self._directory / (volume.metadata.uid or volume.metadata.name)
        stage = self._stage(folder, volume)
        alone = volume.spec.access_modes == [ALONE]
        if not kind.remembered and not alone:
            return await kind.publish(context, stage)
        async with self._lock(folder):
            user = folder / USERS / f"{context.pod.metadata.uid}.{context.volume.name}"
            if alone and any(_pod(other) != _pod(user) for other in _users(folder)):
                raise VolumeError(
                    f"volume uses the {ALONE} access mode and is already in use by another pod"
                )
            await self._mounter.aside(partial(_note, user, volume, context.directory))
            await self._make_ready(kind, stage)
        return await kind.publish(context, stage)

    def labelled(self, volume: PersistentVolume) -> bool:
        return self._kind(volume).labelled and volume.spec.volume_mode != "Block"

    async def release(self, uid: str) -> None:
        """Let go of everything that the pod uses. Raises VolumeError, TemporaryError."""
        for folder in self._folders():
            for user in _users(folder):
                if _pod(user) == uid:
                    await self._let_go(folder, user)

    def users(self) -> set[str]:
        """Uids of the pods that use anything."""
        return {_pod(user) for folder in self._folders() for user in _users(folder)}

    async def _let_go(self, folder: Path, user: Path) -> None:
        stage, target = self._remembered(folder), Path(user.read_text())
        kind, name = self._kind(stage.volume), stage.volume.metadata.name
        try:
            if kind.unpublish is not None:
                await kind.unpublish(stage, target)
            await self._mounter.aside(partial(remove_tree, target, self._mounter))
        except VolumeError as error:
            words = f'UnmountVolume.TearDown failed for volume "{name}" : {error.message}'
            raise VolumeError(words) from error
        async with self._lock(folder):
            if _users(folder) == [user]:
                await self._take_away(kind, stage)
            await self._mounter.aside(partial(_forget, user))

    async def _make_ready(self, kind: PersistentKind, stage: Stage) -> None:
        try:
            if kind.stage is not None:
                await kind.stage(stage)
        except VolumeError as error:
            words = f'MountVolume.MountDevice failed for volume "{stage.volume.metadata.name}"'
            raise StageError(f"{words} : {error.message}") from error

    async def _take_away(self, kind: PersistentKind, stage: Stage) -> None:
        try:
            if kind.unstage is not None:
                await kind.unstage(stage)
            await self._mounter.aside(partial(remove_tree, stage.directory, self._mounter))
        except VolumeError as error:
            words = f'UnmountDevice failed for volume "{stage.volume.metadata.name}"'
            raise StageError(f"{words} : {error.message}") from error

    def _kind(self, volume: PersistentVolume) -> PersistentKind:
        field = source_field(volume)
        kind, named = self._kinds.get(field), f'persistent volume "{volume.metadata.name}": type '
        if kind is None:
            raise VolumeError(f"{named}{names.wire_name(field)} is not supported by this agent yet")
        if volume.spec.volume_mode == "Block" and not kind.blocks:
            able = " and ".join(names.wire_name(k.field) for k in self._kinds.values() if k.blocks)
            raise VolumeError(
                f"{named}{names.wire_name(field)} has no block devices here, only {able} has"
            )
        return kind

    def _stage(self, folder: Path, volume: PersistentVolume) -> Stage:
        return Stage(
            volume=volume,
            directory=folder / STAGE,
            mounter=self._mounter,
            objects=self._objects,
        )

    def _remembered(self, folder: Path) -> Stage:
        try:
            return self._stage(folder, _decoder.decode((folder / VOLUME).read_bytes()))
        except (OSError, msgspec.DecodeError) as error:
            raise VolumeError(f"{folder / VOLUME} cannot be read: {error}") from error

    def _folders(self) -> list[Path]:
        return sorted(self._directory.iterdir()) if self._directory.is_dir() else []

    def _lock(self, folder: Path) -> asyncio.Lock:
        return self._locks.setdefault(folder.name, asyncio.Lock())


def source_field(volume: PersistentVolume) -> str:
    """The field of the spec that says where the storage is."""
    for field in PersistentVolumeSource.__struct_fields__:
        if getattr(volume.spec, field) is not None:
            return field
    raise VolumeError(f'persistent volume "{volume.metadata.name}" does not say where it is')


def _users(folder: Path) -> list[Path]:
    users = folder / USERS
    found = users.iterdir() if users.is_dir() else ()
    return sorted(user for user in found if not user.name.startswith("."))


def _pod(user: Path) -> str:
    return user.name.partition(".")[0]


def _note(user: Path, volume: PersistentVolume, target: Path) -> None:
    user.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(user.parent.parent / VOLUME, _encoder.encode(volume), 0o600)
    atomic_write(user, str(target), 0o600)


def _forget(user: Path) -> None:
    user.unlink(missing_ok=True)
    users, folder = user.parent, user.parent.parent
    remove_unfinished(users)
    with suppress(OSError):  # others use it
        users.rmdir()
        shutil.rmtree(folder)
