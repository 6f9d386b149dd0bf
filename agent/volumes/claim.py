"""persistentVolumeClaim and ephemeral: storage that outlives the pod (step 4 of the pod's walk).

    claim (of the pod's namespace) → the volume that it is bound to → the volume's kind (`persistent.py`)

A claim that is not bound, or a volume that is away, is waited for: the pod says FailedMount and tries
again. What was found is kept beside the volume, so that containers of a pod that was here before can
be restarted while the control plane is away.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import msgspec

from agent.volumes.base import VolumeContext, VolumeError
from agent.volumes.mounts import remove_tree
from api.core import PersistentVolume, PersistentVolumeClaim
from api.nodes import matches_selector
from api.objects import controller_of
from base.errors import TemporaryError
from base.files import atomic_write

GROUP = "pv.beta.kubernetes.io/gid"
"""Annotation of a volume: "automatically applied to any Pod that uses" it ("Access control")."""

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


def labelled(context: VolumeContext) -> bool:
    volume = _remembered(context)
    return volume is not None and context.persistent.labelled(volume)


def group(context: VolumeContext) -> int | None:
    volume = _remembered(context)
    said = "" if volume is None else volume.metadata.annotations.get(GROUP, "")
    return int(said) if said.isascii() and said.isdecimal() else None


async def tear_down(context: VolumeContext) -> None:
    """What is left of it lies in the volume's own directory; `Stages.release` has taken away the rest."""
    await context.mounter.aside(lambda: remove_tree(context.directory, context.mounter))
    context.memo.unlink(missing_ok=True)


async def _mount(context: VolumeContext, claim: str, *, owned: bool) -> Path:
    try:
        volume = await _bound(context, claim, owned=owned)
    except TemporaryError:
        remembered = _remembered(context)
        if remembered is None:
            raise
        volume = remembered
    path = await context.persistent.publish(context, volume)
    _remember(context, volume)
    return path


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
    if affinity is None or affinity.required is None or own is None or context.memo.exists():
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


# What was found before.


def _remember(context: VolumeContext, volume: PersistentVolume) -> None:
    memo, text = context.memo, _encoder.encode(volume)
    if not memo.exists() or memo.read_bytes() != text:
        memo.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(memo, text, 0o600)


def _remembered(context: VolumeContext) -> PersistentVolume | None:
    try:
        return _decoder.decode(context.memo.read_bytes())
    except (OSError, msgspec.DecodeError):
        return None
