"""image: the files of an image, read-only (step 4 of the pod's walk).

The image is fetched as a container's would be, with the pod's credentials and the same events; what its
containers wait for is then ErrImagePull and the like. Its layers lie on the node as the engine unpacked
them; they are laid over each other anew, without a container and without a copy.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from agent.volumes.base import VolumeContext, VolumeError
from agent.volumes.mounts import MountError, remove_tree


async def set_up(context: VolumeContext) -> Path:
    source, path = context.volume.image, context.directory
    assert source is not None
    if not source.reference:
        raise VolumeError("the volume names no image")
    if context.mounter.is_mounted(path):
        # An agent before this one did it: the image is only looked up, so that it is not removed.
        source = msgspec.structs.replace(source, pull_policy="IfNotPresent")
    image = await context.fetch(context.volume.name, source)
    if not image.layers:
        raise VolumeError(
            f'the files of image "{source.reference}" cannot be reached: that needs a container engine '
            "with the storage driver overlay2"
        )
    path.mkdir(parents=True, exist_ok=True)
    try:
        context.mounter.layers(image.layers, path)
    except MountError as error:
        raise VolumeError(error.message) from error
    return path


async def tear_down(context: VolumeContext) -> None:
    await context.mounter.aside(lambda: remove_tree(context.directory, context.mounter))
