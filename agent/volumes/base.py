"""What a volume type is (step 4 of the pod's walk).

A type is three functions over a `VolumeContext`: `set_up` makes the volume and returns its path on
the node, `tear_down` takes it away, and `follows` names the API objects whose changes it shows.
All may be called twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from agent.containers.records import ImageRecord
from agent.spec.fieldref import Place
from agent.volumes.mounts import Mounter
from api.core import (
    ConfigMap,
    ImageVolumeSource,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    Secret,
    Volume,
)
from api.node import RuntimeClass
from base.errors import PermanentError, TemporaryError


class VolumeError(PermanentError):
    """The volume cannot be set up as the spec says; the message ends up in a FailedMount event."""


class VolumeUnavailable(TemporaryError):
    """The volume cannot be set up for now: what it shows could not be read."""


def check_writable(path: str) -> None:
    """JSON can write a path that no file system can."""
    if "\0" in path:
        raise VolumeError(f"invalid path {path!r}: it holds a null byte")


@dataclass(frozen=True, kw_only=True)
class IssuedToken:
    """A token of a pod's service account."""

    text: str = field(repr=False)
    lifetime: timedelta
    """Not the time of its end: the server's clock may not agree with this machine's."""


class Objects(Protocol):
    """What pods of this node refer to, and tokens of their accounts."""

    async def config_map(self, namespace: str, name: str) -> ConfigMap | None:
        """None when it does not exist. Raises TemporaryError when nobody can say."""
        ...

    async def secret(self, namespace: str, name: str) -> Secret | None:
        """None when it does not exist. Raises TemporaryError when nobody can say."""
        ...

    async def claim(self, namespace: str, name: str) -> PersistentVolumeClaim | None:
        """None when it does not exist. Raises TemporaryError when nobody can say."""
        ...

    async def persistent_volume(self, name: str) -> PersistentVolume | None:
        """None when it does not exist. Raises TemporaryError when nobody can say."""
        ...

    async def runtime_class(self, name: str) -> RuntimeClass | None:
        """None when it does not exist. Raises TemporaryError when nobody can say."""
        ...

    async def token(self, pod: Pod, *, audience: str, seconds: int) -> IssuedToken:
        """A new token that ends with the pod; no audience: the API server's.

        Raises VolumeError when there is none to be had, TemporaryError when nobody can say.
        """
        ...


Fetch = Callable[[str, ImageVolumeSource], Awaitable[ImageRecord]]
"""(name of the volume, its source) → the image, fetched if the node does not have it."""

Tokens = Callable[[str, int], Awaitable[str]]
"""(audience, lifetime in seconds) → a token of the pod that is good for a while yet."""


class Persistent(Protocol):
    """The persistent volumes of the node (`persistent.py`)."""

    async def publish(self, context: VolumeContext, volume: PersistentVolume) -> Path:
        """The path of the volume for the context's pod. Raises VolumeError, TemporaryError."""
        ...

    def labelled(self, volume: PersistentVolume) -> bool:
        """Whether its files get the label of the pod's containers."""
        ...


@dataclass(frozen=True, kw_only=True)
class VolumeContext:
    """Where and for whom a volume is made."""

    pod: Pod
    volume: Volume
    directory: Path
    """The volume's own directory below the pod's."""
    objects: Objects
    tokens: Tokens
    fetch: Fetch
    mounter: Mounter
    persistent: Persistent
    place: Place
    immutable: dict[tuple[type, str], Any] = field(default_factory=dict)
    """What the pod's volumes have read and nobody can change any more, by type and name."""

    @property
    def memo(self) -> Path:
        """The file that tells what a claim led to; it is there once that was mounted."""
        return self.directory.with_name(f".{self.directory.name}.pv.json")

    @property
    def claimed_read_only(self) -> bool:
        claim = self.volume.persistent_volume_claim
        return claim is not None and claim.read_only

    @property
    def group(self) -> int | None:
        """fsGroup: the group that owns the volume's files."""
        context = self.pod.spec.security_context
        return None if context is None else context.fs_group

    @property
    def group_policy(self) -> str | None:
        """fsGroupChangePolicy: whether files that look right already are given to the group anew."""
        context = self.pod.spec.security_context
        return None if context is None else context.fs_group_change_policy

    @property
    def user(self) -> int | None:
        """The user of every container, when all have the same and say so."""
        shared = self.pod.spec.security_context
        default = None if shared is None else shared.run_as_user
        users = set()
        for container in (*self.pod.spec.init_containers, *self.pod.spec.containers):
            own = container.security_context
            users.add(default if own is None or own.run_as_user is None else own.run_as_user)
        return users.pop() if len(users) == 1 else None


SetUp = Callable[[VolumeContext], Awaitable[Path]]
TearDown = Callable[[VolumeContext], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class VolumeType:
    """One entry of the registry."""

    field: str
    """The attribute of `api.core.Volume` that chooses it."""
    wire: str
    """How users write it."""
    set_up: SetUp
    tear_down: TearDown
    read_only: bool = False
    """Containers may not write to it, whatever the mount says."""
    sealed: bool = False
    """Read-only by itself. The engine is not told, because its own mount over it would take away the rest
    (that programs in it cannot be run)."""
    live: bool = False
    """Follows API objects: is set up again from time to time."""
    labelled: Callable[[VolumeContext], bool] = lambda context: False
    """Where there is SELinux, its files get the label of the pod's containers: they are nobody else's."""
    group: Callable[[VolumeContext], int | None] = lambda context: None
    """The group that its files are for; every container of the pod gets it."""
