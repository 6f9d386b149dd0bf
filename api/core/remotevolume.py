"""Volumes that come over the network or from one vendor's storage.

They are stored and returned as they are; step 4 of the pod's walk ends at a pod that uses one,
because the agent cannot mount them.
"""

from typing import Annotated

from api.core.references import LocalObjectReference
from api.struct import LIST_ATOMIC, ApiStruct, Int32, enum, pb

AzureDataDiskCachingMode = Annotated[str, enum("None", "ReadOnly", "ReadWrite")]
AzureDataDiskKind = Annotated[str, enum("Shared", "Dedicated", "Managed")]


class GCEPersistentDiskVolumeSource(ApiStruct, kw_only=True):
    """A disk of Google Compute Engine."""

    pd_name: Annotated[str, pb(1)]
    """Name of the disk."""
    fs_type: Annotated[str, pb(2)] = ""
    """File system, such as `ext4`."""
    partition: Annotated[Int32, pb(3)] = 0
    """Number of the partition; 0 means the whole disk."""
    read_only: Annotated[bool, pb(4)] = False
    """Mount it read-only. Default: false."""


class AWSElasticBlockStoreVolumeSource(ApiStruct, kw_only=True):
    """A disk of AWS."""

    volume_id: Annotated[str, pb(1)]
    """Identity of the disk."""
    fs_type: Annotated[str, pb(2)] = ""
    """File system, such as `ext4`."""
    partition: Annotated[Int32, pb(3)] = 0
    """Number of the partition; 0 means the whole disk."""
    read_only: Annotated[bool, pb(4)] = False
    """Mount it read-only. Default: false."""


class GitRepoVolumeSource(ApiStruct, kw_only=True):
    """A clone of a git repository. Deprecated: clone it in an init container."""

    repository: Annotated[str, pb(1)]
    """URL of the repository."""
    revision: Annotated[str, pb(2)] = ""
    """Commit to check out."""
    directory: Annotated[str, pb(3)] = ""
    """Folder in the volume to clone into."""


class NFSVolumeSource(ApiStruct, kw_only=True):
    """A folder of an NFS server."""

    server: Annotated[str, pb(1)]
    """Name or address of the server."""
    path: Annotated[str, pb(2)]
    """Exported path."""
    read_only: Annotated[bool, pb(3)] = False
    """Mount it read-only. Default: false."""


class ISCSIVolumeSource(ApiStruct, kw_only=True):
    """An iSCSI disk."""

    target_portal: Annotated[str, pb(1)]
    """Address and port of the target."""
    iqn: Annotated[str, pb(2)]
    """Name of the target."""
    lun: Annotated[Int32, pb(3)]
    """Number of the unit."""
    iscsi_interface: Annotated[str, pb(4)] = ""
    """Interface to use. Default: `default`, which is TCP."""
    fs_type: Annotated[str, pb(5)] = ""
    """File system, such as `ext4`."""
    read_only: Annotated[bool, pb(6)] = False
    """Mount it read-only. Default: false."""
    portals: Annotated[list[str], pb(7), LIST_ATOMIC] = []
    """Further addresses of the target."""
    chap_auth_discovery: Annotated[bool, pb(8)] = False
    """Authenticate the discovery with CHAP."""
    chap_auth_session: Annotated[bool, pb(11)] = False
    """Authenticate the session with CHAP."""
    secret_ref: Annotated[LocalObjectReference | None, pb(10)] = None
    """Secret with the CHAP credentials."""
    initiator_name: Annotated[str | None, pb(12)] = None
    """Name to give as the initiator."""


class GlusterfsVolumeSource(ApiStruct, kw_only=True):
    """A Gluster volume."""

    endpoints: Annotated[str, pb(1)]
    """Name of the Endpoints that list the servers."""
    path: Annotated[str, pb(2)]
    """Name of the volume."""
    read_only: Annotated[bool, pb(3)] = False
    """Mount it read-only. Default: false."""


class RBDVolumeSource(ApiStruct, kw_only=True):
    """A block device of Ceph."""

    monitors: Annotated[list[str], pb(1), LIST_ATOMIC]
    """Addresses of the monitors."""
    image: Annotated[str, pb(2)]
    """Name of the image."""
    fs_type: Annotated[str, pb(3)] = ""
    """File system, such as `ext4`."""
    pool: Annotated[str, pb(4)] = ""
    """Name of the pool. Default: `rbd`."""
    user: Annotated[str, pb(5)] = ""
    """Name of the user. Default: `admin`."""
    keyring: Annotated[str, pb(6)] = ""
    """Path of the keyring on the node. Default: `/etc/ceph/keyring`."""
    secret_ref: Annotated[LocalObjectReference | None, pb(7)] = None
    """Secret with the key; goes before `keyring`."""
    read_only: Annotated[bool, pb(8)] = False
    """Mount it read-only. Default: false."""


class FlexVolumeSource(ApiStruct, kw_only=True):
    """Storage through a driver program on the node. Deprecated: use CSI."""

    driver: Annotated[str, pb(1)]
    """Name of the driver."""
    fs_type: Annotated[str, pb(2)] = ""
    """File system, such as `ext4`."""
    secret_ref: Annotated[LocalObjectReference | None, pb(3)] = None
    """Secret for the driver."""
    read_only: Annotated[bool, pb(4)] = False
    """Mount it read-only. Default: false."""
    options: Annotated[dict[str, str], pb(5)] = {}
    """Further options for the driver."""


class CinderVolumeSource(ApiStruct, kw_only=True):
    """A disk of OpenStack."""

    volume_id: Annotated[str, pb(1)]
    """Identity of the disk."""
    fs_type: Annotated[str, pb(2)] = ""
    """File system, such as `ext4`."""
    read_only: Annotated[bool, pb(3)] = False
    """Mount it read-only. Default: false."""
    secret_ref: Annotated[LocalObjectReference | None, pb(4)] = None
    """Secret with the credentials."""


class CephFSVolumeSource(ApiStruct, kw_only=True):
    """A folder of Ceph's file system."""

    monitors: Annotated[list[str], pb(1), LIST_ATOMIC]
    """Addresses of the monitors."""
    path: Annotated[str, pb(2)] = ""
    """Folder to mount. Default: `/`."""
    user: Annotated[str, pb(3)] = ""
    """Name of the user. Default: `admin`."""
    secret_file: Annotated[str, pb(4)] = ""
    """Path of the key on the node. Default: `/etc/ceph/user.secret`."""
    secret_ref: Annotated[LocalObjectReference | None, pb(5)] = None
    """Secret with the key; goes before `secretFile`."""
    read_only: Annotated[bool, pb(6)] = False
    """Mount it read-only. Default: false."""


class FlockerVolumeSource(ApiStruct, kw_only=True):
    """A dataset of Flocker."""

    dataset_name: Annotated[str, pb(1)] = ""
    """Name of the dataset."""
    dataset_uuid: Annotated[str, pb(2)] = ""
    """UUID of the dataset."""


class FCVolumeSource(ApiStruct, kw_only=True):
    """A Fibre Channel disk."""

    target_wwns: Annotated[list[str], pb(1), LIST_ATOMIC] = []
    """World wide names of the target."""
    lun: Annotated[Int32 | None, pb(2)] = None
    """Number of the unit."""
    fs_type: Annotated[str, pb(3)] = ""
    """File system, such as `ext4`."""
    read_only: Annotated[bool, pb(4)] = False
    """Mount it read-only. Default: false."""
    wwids: Annotated[list[str], pb(5), LIST_ATOMIC] = []
    """World wide identifiers, instead of target and unit."""


class AzureFileVolumeSource(ApiStruct, kw_only=True):
    """A file share of Azure."""

    secret_name: Annotated[str, pb(1)]
    """Secret with the account's name and key."""
    share_name: Annotated[str, pb(2)]
    """Name of the share."""
    read_only: Annotated[bool, pb(3)] = False
    """Mount it read-only. Default: false."""


class VsphereVirtualDiskVolumeSource(ApiStruct, kw_only=True):
    """A disk of vSphere."""

    volume_path: Annotated[str, pb(1)]
    """Path of the disk."""
    fs_type: Annotated[str, pb(2)] = ""
    """File system, such as `ext4`."""
    storage_policy_name: Annotated[str, pb(3)] = ""
    """Name of the storage policy."""
    storage_policy_id: Annotated[str, pb(4)] = ""
    """Identity of the storage policy."""


class QuobyteVolumeSource(ApiStruct, kw_only=True):
    """A Quobyte volume."""

    registry: Annotated[str, pb(1)]
    """Addresses of the registries."""
    volume: Annotated[str, pb(2)]
    """Name of the volume."""
    read_only: Annotated[bool, pb(3)] = False
    """Mount it read-only. Default: false."""
    user: Annotated[str, pb(4)] = ""
    """User to act as."""
    group: Annotated[str, pb(5)] = ""
    """Group to act as."""
    tenant: Annotated[str, pb(6)] = ""
    """Tenant that owns the volume."""


class AzureDiskVolumeSource(ApiStruct, kw_only=True):
    """A disk of Azure."""

    disk_name: Annotated[str, pb(1)]
    """Name of the disk."""
    disk_uri: Annotated[str, pb(2)]
    """URI of the disk."""
    caching_mode: Annotated[AzureDataDiskCachingMode | None, pb(3)] = None
    """`None`, `ReadOnly` or `ReadWrite`. Default: ReadWrite."""
    fs_type: Annotated[str | None, pb(4)] = None
    """File system. Default: `ext4`."""
    read_only: Annotated[bool | None, pb(5)] = None
    """Mount it read-only. Default: false."""
    kind: Annotated[AzureDataDiskKind | None, pb(6)] = None
    """`Shared`, `Dedicated` or `Managed`. Default: Shared."""


class PhotonPersistentDiskVolumeSource(ApiStruct, kw_only=True):
    """A disk of Photon Controller."""

    pd_id: Annotated[str, pb(1)]
    """Identity of the disk."""
    fs_type: Annotated[str, pb(2)] = ""
    """File system, such as `ext4`."""


class PortworxVolumeSource(ApiStruct, kw_only=True):
    """A Portworx volume."""

    volume_id: Annotated[str, pb(1)]
    """Identity of the volume."""
    fs_type: Annotated[str, pb(2)] = ""
    """File system, such as `ext4`."""
    read_only: Annotated[bool, pb(3)] = False
    """Mount it read-only. Default: false."""


class ScaleIOVolumeSource(ApiStruct, kw_only=True):
    """A ScaleIO volume."""

    gateway: Annotated[str, pb(1)]
    """Address of the gateway."""
    system: Annotated[str, pb(2)]
    """Name of the system."""
    secret_ref: Annotated[LocalObjectReference | None, pb(3)]
    """Secret with the credentials."""
    ssl_enabled: Annotated[bool, pb(4)] = False
    """Use TLS towards the gateway. Default: false."""
    protection_domain: Annotated[str, pb(5)] = ""
    """Name of the protection domain."""
    storage_pool: Annotated[str, pb(6)] = ""
    """Name of the pool."""
    storage_mode: Annotated[str, pb(7)] = ""
    """`ThickProvisioned` or `ThinProvisioned`. Default: ThinProvisioned."""
    volume_name: Annotated[str, pb(8)] = ""
    """Name of the volume."""
    fs_type: Annotated[str, pb(9)] = ""
    """File system. Default: `xfs`."""
    read_only: Annotated[bool, pb(10)] = False
    """Mount it read-only. Default: false."""


class StorageOSVolumeSource(ApiStruct, kw_only=True):
    """A StorageOS volume."""

    volume_name: Annotated[str, pb(1)] = ""
    """Name of the volume."""
    volume_namespace: Annotated[str, pb(2)] = ""
    """Its namespace there. Default: the pod's."""
    fs_type: Annotated[str, pb(3)] = ""
    """File system, such as `ext4`."""
    read_only: Annotated[bool, pb(4)] = False
    """Mount it read-only. Default: false."""
    secret_ref: Annotated[LocalObjectReference | None, pb(5)] = None
    """Secret with the credentials."""
