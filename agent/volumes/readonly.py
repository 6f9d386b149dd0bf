"""recursiveReadOnly: mounts below a read-only mount are read-only, too (step 4 of the pod's walk).

Engines before Docker 25 cannot do that, so the agent does: it binds the volume with all that is mounted
below it to a place of its own, makes the whole tree read-only there (mount_setattr(2), Linux 5.12), and
gives the engine that place. See "Read-only mounts" in Kubernetes' documentation of volumes.
"""

from __future__ import annotations

from pathlib import Path

from agent.volumes.mounts import Mounter
from agent.volumes.subpath import READ_ONLY_DIRECTORY, make_place
from api.core import VolumeMount


def wanted(mount: VolumeMount, *, possible: bool) -> bool:
    """Whether this mount gets it: asked for, and not only if it were possible."""
    return mount.read_only and possible and mount.recursive_read_only in ("Enabled", "IfPossible")


def place(pod_directory: Path, mount: VolumeMount, container: str, position: int) -> Path:
    """Where the view lies that one container has by one of its mounts."""
    return pod_directory / READ_ONLY_DIRECTORY / mount.name / container / str(position)


def bind(source: Path, target: Path, mounter: Mounter) -> Path:
    """The read-only view of `source`, made anew: what is mounted below it may be new."""
    mounter.unmount(target)
    make_place(target, is_directory=source.is_dir())
    mounter.bind_read_only(source, target)
    return target
