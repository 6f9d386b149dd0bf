"""All volume types, and a pod's volumes as a whole (step 4 of the pod's walk).

`PodVolumes` sets up every volume of a pod, keeps the live ones current and takes all away at the
end. Concurrency: one worker owns it; `set_up` may run again while containers use the volumes. A
failure names the volume and its type: `volume "data": type nfs is not supported by this agent yet`.
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

from agent.containers.records import ImageRecord
from agent.spec.fieldref import Place
from agent.volumes import atomic, claim, empty_dir, host_path, image, nfs, projected
from agent.volumes.base import Fetch, Objects, VolumeContext, VolumeError, VolumeType
from agent.volumes.mounts import Mounter
from agent.volumes.outside import DoesNotAnswer
from agent.volumes.persistent import StageError, Stages
from agent.volumes.tokens import PodTokens
from api import names
from api.core import ImageVolumeSource, Pod, ResourceRequirements, Volume
from api.pods import all_containers
from base.clock import Clock, SystemClock


def _always(context: VolumeContext) -> bool:
    return True


TYPES: tuple[VolumeType, ...] = (
    VolumeType(
        field="empty_dir",
        wire="emptyDir",
        set_up=empty_dir.set_up,
        tear_down=empty_dir.tear_down,
        labelled=_always,
    ),
    VolumeType(
        field="host_path",
        wire="hostPath",
        set_up=host_path.set_up,
        tear_down=host_path.tear_down,
    ),
    VolumeType(
        field="nfs",
        wire="nfs",
        set_up=nfs.set_up,
        tear_down=nfs.tear_down,
    ),
    VolumeType(
        field="image",
        wire="image",
        set_up=image.set_up,
        tear_down=image.tear_down,
        sealed=True,
    ),
    VolumeType(
        field="persistent_volume_claim",
        wire="persistentVolumeClaim",
        set_up=claim.set_up,
        tear_down=claim.tear_down,
        labelled=claim.labelled,
        group=claim.group,
    ),
    VolumeType(
        field="ephemeral",
        wire="ephemeral",
        set_up=claim.ephemeral,
        tear_down=claim.tear_down,
        labelled=claim.labelled,
        group=claim.group,
    ),
    VolumeType(
        field="config_map",
        wire="configMap",
        set_up=projected.config_map,
        tear_down=projected.tear_down,
        read_only=True,
        live=True,
        labelled=_always,
    ),
    VolumeType(
        field="secret",
        wire="secret",
        set_up=projected.secret,
        tear_down=projected.tear_down,
        read_only=True,
        live=True,
        labelled=_always,
    ),
    VolumeType(
        field="downward_api",
        wire="downwardAPI",
        set_up=projected.downward_api,
        tear_down=projected.tear_down,
        read_only=True,
        live=True,
        labelled=_always,
    ),
    VolumeType(
        field="projected",
        wire="projected",
        set_up=projected.projected,
        tear_down=projected.tear_down,
        read_only=True,
        live=True,
        labelled=_always,
    ),
)
"""To add a volume type: a module beside this one, and an entry here."""

_INSTEAD = {
    "git_repo": "is not supported any more: clone into an emptyDir, in an init container",
}
"""What takes the place of types that Kubernetes has given up."""

VOLUMES_DIRECTORY = "volumes"


def volume_type(volume: Volume) -> VolumeType:
    """The type of a volume. Raises VolumeError for one that this agent does not know."""
    for kind in TYPES:
        if getattr(volume, kind.field) is not None:
            return kind
    for field in Volume.__struct_fields__:
        if field != "name" and getattr(volume, field) is not None:
            instead = _INSTEAD.get(field, "is not supported by this agent yet")
            raise VolumeError(f'volume "{volume.name}": type {names.wire_name(field)} {instead}')
    # The API turns a volume without a source into an emptyDir.
    return TYPES[0]


def shown_differently(before: Pod, now: Pod) -> bool:
    """Whether volumes show the pod itself (downwardAPI), and may have to show something else by now."""
    parts = [part for v in now.spec.volumes if v.projected for part in v.projected.sources]
    alone = any(volume.downward_api is not None for volume in now.spec.volumes)
    if not alone and all(part.downward_api is None for part in parts):
        return False
    meta, old = now.metadata, before.metadata
    if (meta.labels, meta.annotations) != (old.labels, old.annotations):
        return True
    return _amounts(now) != _amounts(before)


def _amounts(pod: Pod) -> list[ResourceRequirements]:
    return [container.resources for container in all_containers(pod.spec)]


async def _no_images(name: str, source: ImageVolumeSource) -> ImageRecord:
    raise VolumeError(f'nobody can fetch image "{source.reference}"')


class PodVolumes:
    """The volumes of one pod."""

    def __init__(
        self,
        directory: Path,
        *,
        objects: Objects,
        mounter: Mounter,
        stages: Stages,
        clock: Clock | None = None,
        fetch: Fetch | None = None,
    ) -> None:
        self._directory = directory / VOLUMES_DIRECTORY
        self._objects = objects
        self._tokens = PodTokens(objects, clock or SystemClock())
        self._mounter = mounter
        self._stages = stages
        self.fetch = fetch or _no_images
        self.paths: dict[str, Path] = {}
        self.read_only: set[str] = set()
        self.sealed: set[str] = set()
        self.labelled: set[str] = set()
        self.live: set[str] = set()
        self.groups: dict[str, int] = {}
        self._immutable: dict[tuple[type, str], Any] = {}

    async def set_up(self, pod: Pod, place: Place) -> None:
        """Make every volume; several that need the API are read side by side.

        May run again: those that follow the API are made current, all others are left as they are. By
        now a program may have given its files other modes and owners than they had in the beginning.
        """
        kinds = [(volume_type(volume), volume) for volume in pod.spec.volumes]
        due = [(kind, v) for kind, v in kinds if kind.live or v.name not in self.paths]
        # An exception of one must not leave the others running unseen.
        results = await asyncio.gather(
            *(kind.set_up(self._context(pod, volume, place)) for kind, volume in due),
            return_exceptions=True,
        )
        for (kind, volume), result in zip(due, results, strict=True):
            if isinstance(result, VolumeError) and not isinstance(result, StageError):
                words = f'MountVolume.SetUp failed for volume "{volume.name}" : {result.message}'
                raise VolumeError(words) from result
            if isinstance(result, DoesNotAnswer):
                words = f'MountVolume.SetUp failed for volume "{volume.name}" : {result.message}'
                raise DoesNotAnswer(words) from result
            if isinstance(result, BaseException):
                raise result
            self.paths[volume.name] = result
            if kind.live:
                self.live.add(volume.name)
            context = self._context(pod, volume, place)
            if kind.read_only or context.claimed_read_only:
                self.read_only.add(volume.name)
            if kind.labelled(context):
                self.labelled.add(volume.name)
            if kind.sealed:
                self.sealed.add(volume.name)
            if (group := kind.group(context)) is not None:
                self.groups[volume.name] = group

    def versions(self) -> dict[str, str]:
        """Which contents the volumes show that follow the API: another word means other contents."""
        return {name: atomic.version(self.paths[name]) for name in self.live}

    async def tear_down(self, pod: Pod, place: Place) -> None:
        """Unmount and remove everything."""
        await self._stages.release(pod.metadata.uid)
        for volume in pod.spec.volumes:
            try:
                kind = volume_type(volume)
            except VolumeError:
                continue
            await kind.tear_down(self._context(pod, volume, place))
        self.paths.clear()
        self.live.clear()
        self._immutable.clear()
        self._tokens.clear()

    def follows_api(self, pod: Pod) -> bool:
        """Whether any volume has to be set up again from time to time."""
        return any(
            getattr(volume, kind.field) is not None
            for volume in pod.spec.volumes
            for kind in TYPES
            if kind.live
        )

    def _context(self, pod: Pod, volume: Volume, place: Place) -> VolumeContext:
        return VolumeContext(
            pod=pod,
            volume=volume,
            directory=self._directory / volume.name,
            objects=self._objects,
            tokens=partial(self._tokens.get, pod),
            mounter=self._mounter,
            persistent=self._stages,
            immutable=self._immutable,
            fetch=self.fetch,
            place=place,
        )
