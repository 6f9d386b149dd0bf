"""Volumes that lie outside the node: what each source needs, in a pod or in a PersistentVolume.

Serves step 1 of the pod's walk. Pods and volumes describe the same storage with types of their own,
whose fields have the same names; what is demanded of a field is one table here.
"""

from collections.abc import Iterator
from typing import Any

from api.core import AzureDataDiskCachingMode, AzureDataDiskKind
from api.core.persistentsource import PersistentVolumeSource
from api.core.volume import VolumeSource
from api.fielderrors import FieldError, Path, invalid, required
from api.names import wire_name
from control.resources.checks import check_enum

MAX_BYTE = 255

_NEEDED: dict[str, tuple[str, ...]] = {
    "aws_elastic_block_store": ("volume_id",),
    "azure_disk": ("disk_name", "disk_uri"),
    "azure_file": ("secret_name", "share_name"),
    "cephfs": ("monitors",),
    "cinder": ("volume_id",),
    "csi": ("driver",),
    "flex_volume": ("driver",),
    "gce_persistent_disk": ("pd_name",),
    "git_repo": ("repository",),
    "glusterfs": ("endpoints", "path"),
    "iscsi": ("target_portal", "iqn"),
    "nfs": ("server", "path"),
    "photon_persistent_disk": ("pd_id",),
    "portworx_volume": ("volume_id",),
    "quobyte": ("registry", "volume"),
    "rbd": ("monitors", "image"),
    "scale_io": ("gateway", "system", "volume_name"),
    "vsphere_volume": ("volume_path",),
}
"""Fields that may not be empty, by source."""

_IQN = ("iqn", "eui", "naa")


def remote_source_errors(
    holder: VolumeSource | PersistentVolumeSource, path: Path
) -> Iterator[FieldError]:
    """Errors of whichever of these sources is set."""
    for attribute, needed in _NEEDED.items():
        source = getattr(holder, attribute, None)
        if source is None:
            continue
        where = path.child(wire_name(attribute))
        for name in needed:
            if not getattr(source, name):
                yield required(where.child(wire_name(name)), "")
    yield from _number_errors(holder, path)
    yield from _particular_errors(holder, path)


def _number_errors(holder: Any, path: Path) -> Iterator[FieldError]:
    for attribute, name in (
        ("aws_elastic_block_store", "partition"),
        ("gce_persistent_disk", "partition"),
        ("iscsi", "lun"),
    ):
        source = getattr(holder, attribute)
        if source is not None:
            where = path.child(wire_name(attribute), name)
            yield from _byte_errors(where, getattr(source, name))


def _byte_errors(path: Path, number: int) -> Iterator[FieldError]:
    if not 0 <= number <= MAX_BYTE:
        yield invalid(path, number, f"must be between 0 and {MAX_BYTE}, inclusive")


def _particular_errors(
    holder: VolumeSource | PersistentVolumeSource, path: Path
) -> Iterator[FieldError]:
    if holder.nfs is not None and holder.nfs.path and not holder.nfs.path.startswith("/"):
        yield invalid(path.child("nfs", "path"), holder.nfs.path, "must be an absolute path")
    disk = holder.azure_disk
    if disk is not None:
        where = path.child("azureDisk")
        yield from check_enum(
            where.child("cachingMode"), disk.caching_mode, AzureDataDiskCachingMode
        )
        yield from check_enum(where.child("kind"), disk.kind, AzureDataDiskKind)
    yield from _iscsi_errors(holder, path.child("iscsi"))
    yield from _fibre_channel_errors(holder, path.child("fc"))
    yield from _flocker_errors(holder, path.child("flocker"))


def _iscsi_errors(
    holder: VolumeSource | PersistentVolumeSource, path: Path
) -> Iterator[FieldError]:
    iscsi = holder.iscsi
    if iscsi is None:
        return
    if iscsi.iqn and not iscsi.iqn.startswith(_IQN):
        yield invalid(path.child("iqn"), iscsi.iqn, "invalid format")
    if (iscsi.chap_auth_discovery or iscsi.chap_auth_session) and iscsi.secret_ref is None:
        yield required(path.child("secretRef"), "")


def _fibre_channel_errors(
    holder: VolumeSource | PersistentVolumeSource, path: Path
) -> Iterator[FieldError]:
    disk = holder.fc
    if disk is None:
        return
    where = path.child("targetWWNs")
    if disk.target_wwns and disk.wwids:
        words = "targetWWNs and wwids can not be specified simultaneously"
        yield invalid(where, disk.target_wwns, words)
    elif disk.target_wwns and disk.lun is None:
        yield required(path.child("lun"), "lun is required if targetWWNs is specified")
    elif disk.target_wwns and disk.lun is not None:
        yield from _byte_errors(path.child("lun"), disk.lun)
    elif not disk.wwids:
        yield required(where, "must specify either targetWWNs or wwids, but not both")


def _flocker_errors(
    holder: VolumeSource | PersistentVolumeSource, path: Path
) -> Iterator[FieldError]:
    flocker = holder.flocker
    if flocker is None:
        return
    if not flocker.dataset_name and not flocker.dataset_uuid:
        yield required(path, "one of datasetName and datasetUUID is required")
    elif flocker.dataset_name and flocker.dataset_uuid:
        words = "datasetName and datasetUUID can not be specified simultaneously"
        yield invalid(path, "resource", words)
    if "/" in flocker.dataset_name:
        yield invalid(path.child("datasetName"), flocker.dataset_name, "must not contain '/'")
