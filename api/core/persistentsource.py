"""Where the data of a persistent volume lies: one of these sources (core group).

They differ from those of `api/core/remotevolume.py` in that their secrets may lie in any namespace: a
volume has none of its own. Read when a volume is bound to a claim (walk step 3).
"""

from typing import Annotated

from api.core.references import ObjectReference, SecretReference
from api.core.remotevolume import (
    AWSElasticBlockStoreVolumeSource,
    AzureDiskVolumeSource,
    FCVolumeSource,
    FlockerVolumeSource,
    GCEPersistentDiskVolumeSource,
    NFSVolumeSource,
    PhotonPersistentDiskVolumeSource,
    PortworxVolumeSource,
    QuobyteVolumeSource,
    VsphereVirtualDiskVolumeSource,
)
from api.core.volume import HostPathVolumeSource
from api.struct import LIST_ATOMIC, ApiStruct, Int32, pb


class GlusterfsPersistentVolumeSource(ApiStruct, kw_only=True):
    """A Gluster volume."""

    endpoints: Annotated[str, pb(1)]
    """Name of the Endpoints that list the servers."""
    path: Annotated[str, pb(2)]
    """Name of the volume."""
    read_only: Annotated[bool, pb(3)] = False
    """Mount it read-only. Default: false."""
    endpoints_namespace: Annotated[str | None, pb(4)] = None
    """Namespace of the Endpoints. Default: the claim's."""


class RBDPersistentVolumeSource(ApiStruct, kw_only=True):
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
    secret_ref: Annotated[SecretReference | None, pb(7)] = None
    """Secret with the key; goes before `keyring`."""
    read_only: Annotated[bool, pb(8)] = False
    """Mount it read-only. Default: false."""


class ISCSIPersistentVolumeSource(ApiStruct, kw_only=True):
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
    secret_ref: Annotated[SecretReference | None, pb(10)] = None
    """Secret with the CHAP credentials."""
    initiator_name: Annotated[str | None, pb(12)] = None
    """Name to give as the initiator."""


class CinderPersistentVolumeSource(ApiStruct, kw_only=True):
    """A disk of OpenStack."""

    volume_id: Annotated[str, pb(1)]
    """Identity of the disk."""
    fs_type: Annotated[str, pb(2)] = ""
    """File system, such as `ext4`."""
    read_only: Annotated[bool, pb(3)] = False
    """Mount it read-only. Default: false."""
    secret_ref: Annotated[SecretReference | None, pb(4)] = None
    """Secret with the credentials."""


class CephFSPersistentVolumeSource(ApiStruct, kw_only=True):
    """A folder of Ceph's file system."""

    monitors: Annotated[list[str], pb(1), LIST_ATOMIC]
    """Addresses of the monitors."""
    path: Annotated[str, pb(2)] = ""
    """Folder to mount. Default: `/`."""
    user: Annotated[str, pb(3)] = ""
    """Name of the user. Default: `admin`."""
    secret_file: Annotated[str, pb(4)] = ""
    """Path of the key on the node. Default: `/etc/ceph/user.secret`."""
    secret_ref: Annotated[SecretReference | None, pb(5)] = None
    """Secret with the key; goes before `secretFile`."""
    read_only: Annotated[bool, pb(6)] = False
    """Mount it read-only. Default: false."""


class FlexPersistentVolumeSource(ApiStruct, kw_only=True):
    """Storage through a driver program on the node. Deprecated: use CSI."""

    driver: Annotated[str, pb(1)]
    """Name of the driver."""
    fs_type: Annotated[str, pb(2)] = ""
    """File system, such as `ext4`."""
    secret_ref: Annotated[SecretReference | None, pb(3)] = None
    """Secret for the driver."""
    read_only: Annotated[bool, pb(4)] = False
    """Mount it read-only. Default: false."""
    options: Annotated[dict[str, str], pb(5)] = {}
    """Further options for the driver."""


class AzureFilePersistentVolumeSource(ApiStruct, kw_only=True):
    """A file share of Azure."""

    secret_name: Annotated[str, pb(1)]
    """Secret with the account's name and key."""
    share_name: Annotated[str, pb(2)]
    """Name of the share."""
    read_only: Annotated[bool, pb(3)] = False
    """Mount it read-only. Default: false."""
    secret_namespace: Annotated[str | None, pb(4)]
    """Namespace of the Secret. Default: the claim's."""


class ScaleIOPersistentVolumeSource(ApiStruct, kw_only=True):
    """A volume of ScaleIO."""

    gateway: Annotated[str, pb(1)]
    """Address of the gateway's API."""
    system: Annotated[str, pb(2)]
    """Name of the storage system."""
    secret_ref: Annotated[SecretReference | None, pb(3)]
    """Secret with the credentials."""
    ssl_enabled: Annotated[bool, pb(4)] = False
    """Speak TLS with the gateway."""
    protection_domain: Annotated[str, pb(5)] = ""
    """Name of the protection domain."""
    storage_pool: Annotated[str, pb(6)] = ""
    """Pool within the protection domain."""
    storage_mode: Annotated[str, pb(7)] = ""
    """`ThickProvisioned` or `ThinProvisioned`. Default: ThinProvisioned."""
    volume_name: Annotated[str, pb(8)] = ""
    """Name of the volume."""
    fs_type: Annotated[str, pb(9)] = ""
    """File system, such as `ext4`. Default: xfs."""
    read_only: Annotated[bool, pb(10)] = False
    """Mount it read-only. Default: false."""


class LocalVolumeSource(ApiStruct, kw_only=True):
    """A disk or folder of one node. The volume's `nodeAffinity` has to name the node."""

    path: Annotated[str, pb(1)]
    """Where it lies on the node: a folder or a block device."""
    fs_type: Annotated[str | None, pb(2)] = None
    """File system of a block device, such as `ext4`; found out if nothing is said."""


class StorageOSPersistentVolumeSource(ApiStruct, kw_only=True):
    """A volume of StorageOS."""

    volume_name: Annotated[str, pb(1)] = ""
    """Name of the volume."""
    volume_namespace: Annotated[str, pb(2)] = ""
    """Its namespace within StorageOS. Default: that of the pod."""
    fs_type: Annotated[str, pb(3)] = ""
    """File system, such as `ext4`."""
    read_only: Annotated[bool, pb(4)] = False
    """Mount it read-only. Default: false."""
    secret_ref: Annotated[ObjectReference | None, pb(5)] = None
    """Secret with the credentials."""


class CSIPersistentVolumeSource(ApiStruct, kw_only=True):
    """A volume of a CSI driver."""

    driver: Annotated[str, pb(1)]
    """Name of the driver."""
    volume_handle: Annotated[str, pb(2)]
    """What the driver calls the volume. Cannot be changed."""
    read_only: Annotated[bool, pb(3)] = False
    """Attach it read-only. Default: false."""
    fs_type: Annotated[str, pb(4)] = ""
    """File system, such as `ext4`."""
    volume_attributes: Annotated[dict[str, str], pb(5)] = {}
    """What the driver wants to know about the volume."""
    controller_publish_secret_ref: Annotated[SecretReference | None, pb(6)] = None
    """Secret for attaching and detaching it."""
    node_stage_secret_ref: Annotated[SecretReference | None, pb(7)] = None
    """Secret for preparing it on a node."""
    node_publish_secret_ref: Annotated[SecretReference | None, pb(8)] = None
    """Secret for mounting it into a pod."""
    controller_expand_secret_ref: Annotated[SecretReference | None, pb(9)] = None
    """Secret for making it larger."""
    node_expand_secret_ref: Annotated[SecretReference | None, pb(10)] = None
    """Secret for making its file system larger on the node."""


class PersistentVolumeSource(ApiStruct, kw_only=True):
    """Where the data lies; exactly one of these."""

    gce_persistent_disk: Annotated[GCEPersistentDiskVolumeSource | None, pb(1)] = None
    """A disk of Google Compute Engine."""
    aws_elastic_block_store: Annotated[AWSElasticBlockStoreVolumeSource | None, pb(2)] = None
    """A disk of AWS."""
    host_path: Annotated[HostPathVolumeSource | None, pb(3)] = None
    """A folder of the node's own file system. For clusters of one node."""
    glusterfs: Annotated[GlusterfsPersistentVolumeSource | None, pb(4)] = None
    """A Gluster volume."""
    nfs: Annotated[NFSVolumeSource | None, pb(5)] = None
    """A folder of an NFS server."""
    rbd: Annotated[RBDPersistentVolumeSource | None, pb(6)] = None
    """A block device of Ceph."""
    iscsi: Annotated[ISCSIPersistentVolumeSource | None, pb(7)] = None
    """An iSCSI disk."""
    cinder: Annotated[CinderPersistentVolumeSource | None, pb(8)] = None
    """A disk of OpenStack."""
    cephfs: Annotated[CephFSPersistentVolumeSource | None, pb(9)] = None
    """A folder of Ceph's file system."""
    fc: Annotated[FCVolumeSource | None, pb(10)] = None
    """A Fibre Channel disk."""
    flocker: Annotated[FlockerVolumeSource | None, pb(11)] = None
    """A dataset of Flocker."""
    flex_volume: Annotated[FlexPersistentVolumeSource | None, pb(12)] = None
    """Storage through a driver program on the node."""
    azure_file: Annotated[AzureFilePersistentVolumeSource | None, pb(13)] = None
    """A file share of Azure."""
    vsphere_volume: Annotated[VsphereVirtualDiskVolumeSource | None, pb(14)] = None
    """A disk of vSphere."""
    quobyte: Annotated[QuobyteVolumeSource | None, pb(15)] = None
    """A Quobyte volume."""
    azure_disk: Annotated[AzureDiskVolumeSource | None, pb(16)] = None
    """A disk of Azure."""
    photon_persistent_disk: Annotated[PhotonPersistentDiskVolumeSource | None, pb(17)] = None
    """A disk of Photon."""
    portworx_volume: Annotated[PortworxVolumeSource | None, pb(18)] = None
    """A Portworx volume."""
    scale_io: Annotated[ScaleIOPersistentVolumeSource | None, pb(19)] = None
    """A volume of ScaleIO."""
    local: Annotated[LocalVolumeSource | None, pb(20)] = None
    """A disk or folder of one node."""
    storageos: Annotated[StorageOSPersistentVolumeSource | None, pb(21)] = None
    """A volume of StorageOS."""
    csi: Annotated[CSIPersistentVolumeSource | None, pb(22)] = None
    """A volume of a CSI driver."""
