"""persistentVolumeClaim and ephemeral: storage that outlives the pod (step 4 of the pod's walk).

    claim (of the pod's namespace) → the volume that it is bound to → `SOURCES` by the volume's kind

A claim that is not bound, or a volume that is away, is waited for: the pod says FailedMount and tries
again. What was found is kept beside the volume, so that containers of a pod that was here before can
be restarted while the control plane is away. To add a kind of persistent volume: a function of
(context, volume) → path, and an entry in `SOURCES`; unmounting is `tear_down`'s, for all kinds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec

from agent.volumes import host_path, nfs
from agent.volumes.base import VolumeContext, VolumeError, check_writable
from agent.volumes.mounts import remove_tree
from agent.volumes.ownership import own_tree
from api import names
from api.core import PersistentVolume, PersistentVolumeClaim, PersistentVolumeSource, Volume
from api.nodes import matches_selector
from api.objects import controller_of
from base.errors import TemporaryError
from base.files import atomic_write

_decoder = msgspec.json.Decoder(PersistentVolume)
_encoder = msgspec.json.Encoder()


async def set_up(context: VolumeContext) -> Path:
    source = context.volume.persistent_volume_claim
    assert source is not None
    return await _mount(context, source.claim_name, owned=False)


async def ephemeral(context: VolumeContext) -> Path:
    """A claim that was made for this pod, and goes with it."""
    name = f"{context.pod.metadata.name}-{context.volume.name}"
    return await _mount(context, name, owned=True)


async def tear_down(context: VolumeContext) -> None:
    """Whatever the kind, all that the agent made is in the volume's own directory."""
    await context.mounter.aside(lambda: remove_tree(context.directory, context.mounter))
    _memo(context).unlink(missing_ok=True)


async def _mount(context: VolumeContext, claim: str, *, owned: bool) -> Path:
    try:
        volume = await _bound(context, claim, owned=owned)
    except TemporaryError:
        remembered = _remembered(context)
        if remembered is None:
            raise
        volume = remembered
    path = await _make(context, volume)
    _remember(context, volume)
    return path


async def _make(context: VolumeContext, volume: PersistentVolume) -> Path:
    kind = kind_of(volume)
    if volume.spec.volume_mode == "Block":
        return await _device(context, volume, kind)
    if kind not in SOURCES:
        raise VolumeError(
            f'persistent volume "{volume.metadata.name}": type {names.wire_name(kind)} '
            "is not supported by this agent yet"
        )
    return await SOURCES[kind](context, volume)


async def _bound(context: VolumeContext, name: str, *, owned: bool) -> PersistentVolume:
    """The volume behind the claim. Raises VolumeError in the words that Kubernetes has for it."""
    namespace = context.pod.metadata.namespace
    error = partial(_error, f"{namespace}/{name}")
    claim = await context.objects.claim(namespace, name)
    if claim is None:
        raise error(
            f'failed to fetch PVC from API server: persistentvolumeclaims "{name}" not found'
        )
    if owned and not _is_owner(context, claim):
        pod = f"{namespace}/{context.pod.metadata.name}"
        raise VolumeError(
            f"PVC {namespace}/{name} was not created for pod {pod} (pod is not owner)"
        )
    if claim.metadata.deletion_timestamp is not None and context.pod.status.phase != "Running":
        raise error("PVC is being deleted")
    if claim.status.phase != "Bound" or not claim.spec.volume_name:
        raise error("PVC is not bound")
    volume = await context.objects.persistent_volume(claim.spec.volume_name)
    if volume is None:
        missing = f'persistentvolume "{claim.spec.volume_name}" not found'
        raise error(f"failed to fetch PV from API server: {missing}")
    bound_to = volume.spec.claim_ref
    if bound_to is None or bound_to.uid != claim.metadata.uid:
        raise error(f"PV {volume.metadata.name} is bound to another claim")
    _check_mode(context, volume)
    _check_node(context, volume)
    return volume


def _check_node(context: VolumeContext, volume: PersistentVolume) -> None:
    """Whether this node may reach it: a pod may have come past the scheduler. What is mounted stays so."""
    affinity, own = volume.spec.node_affinity, context.place.own
    if affinity is None or affinity.required is None or own is None or _memo(context).exists():
        return
    if not matches_selector(affinity.required, own):
        name = volume.metadata.name
        raise VolumeError(
            f'MountVolume.NodeAffinity check failed for volume "{name}": no matching NodeSelectorTerms'
        )


def _check_mode(context: VolumeContext, volume: PersistentVolume) -> None:
    """A device is given to containers as such, a file system is mounted."""
    name, mode = context.volume.name, volume.spec.volume_mode or "Filesystem"
    spec = context.pod.spec
    for container in (*spec.init_containers, *spec.containers):
        mounted = any(mount.name == name for mount in container.volume_mounts)
        if mode == "Block" and mounted:
            words = f"volume {name} has volumeMode Block, but is specified in volumeMounts"
            raise VolumeError(words)
        if mode != "Block" and any(device.name == name for device in container.volume_devices):
            words = f"volume {name} has volumeMode {mode}, but is specified in volumeDevices"
            raise VolumeError(words)


def _error(claim: str, why: str) -> VolumeError:
    return VolumeError(f"error processing PVC {claim}: {why}")


def _is_owner(context: VolumeContext, claim: PersistentVolumeClaim) -> bool:
    owner = controller_of(claim)
    return owner is not None and owner.uid == context.pod.metadata.uid


def kind_of(volume: PersistentVolume) -> str:
    """The field of the spec that says where the storage is."""
    for field in PersistentVolumeSource.__struct_fields__:
        if getattr(volume.spec, field) is not None:
            return field
    raise VolumeError(f'persistent volume "{volume.metadata.name}" does not say where it is')


# Kinds.


async def _host_path(context: VolumeContext, volume: PersistentVolume) -> Path:
    inner = Volume(name=context.volume.name, host_path=volume.spec.host_path)
    return await host_path.set_up(replace(context, volume=inner))


async def _nfs(context: VolumeContext, volume: PersistentVolume) -> Path:
    source = volume.spec.nfs
    assert source is not None
    return await nfs.mount(context, source, options=volume.spec.mount_options)


async def _device(context: VolumeContext, volume: PersistentVolume, kind: str) -> Path:
    source = volume.spec.local
    if source is None:
        raise VolumeError(
            f'persistent volume "{volume.metadata.name}": type {names.wire_name(kind)} has no block '
            "devices here, only local has"
        )
    check_writable(source.path)
    path = Path(source.path)
    await context.mounter.outside(str(context.directory), partial(_check_device, path))
    return path


def _check_device(path: Path) -> None:
    if not path.is_block_device():
        why = "is not a block device" if path.exists() else "does not exist"
        raise VolumeError(f'path "{path}" {why}')


async def _local(context: VolumeContext, volume: PersistentVolume) -> Path:
    source = volume.spec.local
    assert source is not None
    check_writable(source.path)
    path = Path(source.path)
    if not path.is_absolute() or ".." in path.parts:
        raise VolumeError(f'local path "{source.path}" must be absolute, without ".."')
    claim = context.volume.persistent_volume_claim
    read_only = claim is not None and claim.read_only
    # What an earlier agent made ready is the programs', which may have set other modes since.
    group = None if read_only or _memo(context).exists() else context.group
    # It may hold millions of files, and lie on a disk that does not answer.
    ready = partial(_ready, path, group, context.group_policy)
    await context.mounter.outside(str(context.directory), ready)
    return path


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
            own_tree(path, group, policy)
    except OSError as error:
        raise VolumeError(f'path "{path}": {error.strerror}') from error


SOURCES: Mapping[str, Callable[[VolumeContext, PersistentVolume], Awaitable[Path]]] = {
    "host_path": _host_path,
    "local": _local,
    "nfs": _nfs,
}
"""By the field of a PersistentVolume's spec: what this agent can mount."""


# What was found before.


def _memo(context: VolumeContext) -> Path:
    return context.directory.parent / f".{context.directory.name}.pv.json"


def _remember(context: VolumeContext, volume: PersistentVolume) -> None:
    memo, text = _memo(context), _encoder.encode(volume)
    if not memo.exists() or memo.read_bytes() != text:
        memo.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(memo, text, 0o600)


def _remembered(context: VolumeContext) -> PersistentVolume | None:
    try:
        return _decoder.decode(_memo(context).read_bytes())
    except (OSError, msgspec.DecodeError):
        return None
