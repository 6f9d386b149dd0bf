"""DOC core/volume."""

from typing import Annotated, ClassVar

from msgspec import field

from api.core.references import (
    LocalObjectReference,
    TypedLocalObjectReference,
    TypedObjectReference,
)
from api.core.resources import VolumeResourceRequirements
from api.meta import LabelSelector, ObjectMeta
from api.struct import LIST_ATOMIC, ApiStruct, Inline, Int32, Int64, Quantity, enum, pb

HostPathType = Annotated[
    str,
    enum(
        "",
        "DirectoryOrCreate",
        "Directory",
        "FileOrCreate",
        "File",
        "Socket",
        "CharDevice",
        "BlockDevice",
    ),
]
StorageMedium = Annotated[str, enum("", "Memory", "HugePages", "HugePages-")]
AzureDataDiskCachingMode = Annotated[str, enum("None", "ReadOnly", "ReadWrite")]
AzureDataDiskKind = Annotated[str, enum("Shared", "Dedicated", "Managed")]
PersistentVolumeAccessMode = Annotated[
    str, enum("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")
]
PersistentVolumeMode = Annotated[str, enum("Block", "Filesystem")]
PullPolicy = Annotated[str, enum("Always", "Never", "IfNotPresent")]
RecursiveReadOnlyMode = Annotated[str, enum("Disabled", "IfPossible", "Enabled")]
MountPropagationMode = Annotated[str, enum("None", "HostToContainer", "Bidirectional")]


class HostPathVolumeSource(ApiStruct, kw_only=True):
    """DOC HostPathVolumeSource."""

    path: Annotated[str, pb(1)]
    type: Annotated[HostPathType | None, pb(2)] = None


class EmptyDirVolumeSource(ApiStruct, kw_only=True):
    """DOC EmptyDirVolumeSource."""

    medium: Annotated[StorageMedium, pb(1)] = ""
    size_limit: Annotated[Quantity | None, pb(2)] = None


class GCEPersistentDiskVolumeSource(ApiStruct, kw_only=True):
    """DOC GCEPersistentDiskVolumeSource."""

    pd_name: Annotated[str, pb(1)]
    fs_type: Annotated[str, pb(2)] = ""
    partition: Annotated[Int32, pb(3)] = 0
    read_only: Annotated[bool, pb(4)] = False


class AWSElasticBlockStoreVolumeSource(ApiStruct, kw_only=True):
    """DOC AWSElasticBlockStoreVolumeSource."""

    volume_id: Annotated[str, pb(1)]
    fs_type: Annotated[str, pb(2)] = ""
    partition: Annotated[Int32, pb(3)] = 0
    read_only: Annotated[bool, pb(4)] = False


class GitRepoVolumeSource(ApiStruct, kw_only=True):
    """DOC GitRepoVolumeSource."""

    repository: Annotated[str, pb(1)]
    revision: Annotated[str, pb(2)] = ""
    directory: Annotated[str, pb(3)] = ""


class KeyToPath(ApiStruct, kw_only=True):
    """DOC KeyToPath."""

    key: Annotated[str, pb(1)]
    path: Annotated[str, pb(2)]
    mode: Annotated[Int32 | None, pb(3)] = None


class SecretVolumeSource(ApiStruct, kw_only=True):
    """DOC SecretVolumeSource."""

    secret_name: Annotated[str, pb(1)] = ""
    items: Annotated[list[KeyToPath], pb(2), LIST_ATOMIC] = []
    default_mode: Annotated[Int32 | None, pb(3)] = None
    optional: Annotated[bool | None, pb(4)] = None


class NFSVolumeSource(ApiStruct, kw_only=True):
    """DOC NFSVolumeSource."""

    server: Annotated[str, pb(1)]
    path: Annotated[str, pb(2)]
    read_only: Annotated[bool, pb(3)] = False


class ISCSIVolumeSource(ApiStruct, kw_only=True):
    """DOC ISCSIVolumeSource."""

    target_portal: Annotated[str, pb(1)]
    iqn: Annotated[str, pb(2)]
    lun: Annotated[Int32, pb(3)]
    iscsi_interface: Annotated[str, pb(4)] = ""
    fs_type: Annotated[str, pb(5)] = ""
    read_only: Annotated[bool, pb(6)] = False
    portals: Annotated[list[str], pb(7), LIST_ATOMIC] = []
    chap_auth_discovery: Annotated[bool, pb(8)] = False
    chap_auth_session: Annotated[bool, pb(11)] = False
    secret_ref: Annotated[LocalObjectReference | None, pb(10)] = None
    initiator_name: Annotated[str | None, pb(12)] = None


class GlusterfsVolumeSource(ApiStruct, kw_only=True):
    """DOC GlusterfsVolumeSource."""

    endpoints: Annotated[str, pb(1)]
    path: Annotated[str, pb(2)]
    read_only: Annotated[bool, pb(3)] = False


class PersistentVolumeClaimVolumeSource(ApiStruct, kw_only=True):
    """DOC PersistentVolumeClaimVolumeSource."""

    claim_name: Annotated[str, pb(1)]
    read_only: Annotated[bool, pb(2)] = False


class RBDVolumeSource(ApiStruct, kw_only=True):
    """DOC RBDVolumeSource."""

    monitors: Annotated[list[str], pb(1), LIST_ATOMIC]
    image: Annotated[str, pb(2)]
    fs_type: Annotated[str, pb(3)] = ""
    pool: Annotated[str, pb(4)] = ""
    user: Annotated[str, pb(5)] = ""
    keyring: Annotated[str, pb(6)] = ""
    secret_ref: Annotated[LocalObjectReference | None, pb(7)] = None
    read_only: Annotated[bool, pb(8)] = False


class FlexVolumeSource(ApiStruct, kw_only=True):
    """DOC FlexVolumeSource."""

    driver: Annotated[str, pb(1)]
    fs_type: Annotated[str, pb(2)] = ""
    secret_ref: Annotated[LocalObjectReference | None, pb(3)] = None
    read_only: Annotated[bool, pb(4)] = False
    options: Annotated[dict[str, str], pb(5)] = {}


class CinderVolumeSource(ApiStruct, kw_only=True):
    """DOC CinderVolumeSource."""

    volume_id: Annotated[str, pb(1)]
    fs_type: Annotated[str, pb(2)] = ""
    read_only: Annotated[bool, pb(3)] = False
    secret_ref: Annotated[LocalObjectReference | None, pb(4)] = None


class CephFSVolumeSource(ApiStruct, kw_only=True):
    """DOC CephFSVolumeSource."""

    monitors: Annotated[list[str], pb(1), LIST_ATOMIC]
    path: Annotated[str, pb(2)] = ""
    user: Annotated[str, pb(3)] = ""
    secret_file: Annotated[str, pb(4)] = ""
    secret_ref: Annotated[LocalObjectReference | None, pb(5)] = None
    read_only: Annotated[bool, pb(6)] = False


class FlockerVolumeSource(ApiStruct, kw_only=True):
    """DOC FlockerVolumeSource."""

    dataset_name: Annotated[str, pb(1)] = ""
    dataset_uuid: Annotated[str, pb(2)] = ""


class ObjectFieldSelector(ApiStruct, kw_only=True):
    """DOC ObjectFieldSelector."""

    api_version: Annotated[str, pb(1)] = ""
    field_path: Annotated[str, pb(2)]


class ResourceFieldSelector(ApiStruct, kw_only=True):
    """DOC ResourceFieldSelector."""

    container_name: Annotated[str, pb(1)] = ""
    resource: Annotated[str, pb(2)]
    divisor: Annotated[Quantity, pb(3)] = ""


class DownwardAPIVolumeFile(ApiStruct, kw_only=True):
    """DOC DownwardAPIVolumeFile."""

    path: Annotated[str, pb(1)]
    field_ref: Annotated[ObjectFieldSelector | None, pb(2)] = None
    resource_field_ref: Annotated[ResourceFieldSelector | None, pb(3)] = None
    mode: Annotated[Int32 | None, pb(4)] = None


class DownwardAPIVolumeSource(ApiStruct, kw_only=True):
    """DOC DownwardAPIVolumeSource."""

    items: Annotated[list[DownwardAPIVolumeFile], pb(1), LIST_ATOMIC] = []
    default_mode: Annotated[Int32 | None, pb(2)] = None


class FCVolumeSource(ApiStruct, kw_only=True):
    """DOC FCVolumeSource."""

    target_wwns: Annotated[list[str], pb(1), LIST_ATOMIC] = []
    lun: Annotated[Int32 | None, pb(2)] = None
    fs_type: Annotated[str, pb(3)] = ""
    read_only: Annotated[bool, pb(4)] = False
    wwids: Annotated[list[str], pb(5), LIST_ATOMIC] = []


class AzureFileVolumeSource(ApiStruct, kw_only=True):
    """DOC AzureFileVolumeSource."""

    secret_name: Annotated[str, pb(1)]
    share_name: Annotated[str, pb(2)]
    read_only: Annotated[bool, pb(3)] = False


class ConfigMapVolumeSource(LocalObjectReference, kw_only=True):
    """DOC ConfigMapVolumeSource."""

    __inline__: ClassVar[Inline] = {1: LocalObjectReference}
    items: Annotated[list[KeyToPath], pb(2), LIST_ATOMIC] = []
    default_mode: Annotated[Int32 | None, pb(3)] = None
    optional: Annotated[bool | None, pb(4)] = None


class VsphereVirtualDiskVolumeSource(ApiStruct, kw_only=True):
    """DOC VsphereVirtualDiskVolumeSource."""

    volume_path: Annotated[str, pb(1)]
    fs_type: Annotated[str, pb(2)] = ""
    storage_policy_name: Annotated[str, pb(3)] = ""
    storage_policy_id: Annotated[str, pb(4)] = ""


class QuobyteVolumeSource(ApiStruct, kw_only=True):
    """DOC QuobyteVolumeSource."""

    registry: Annotated[str, pb(1)]
    volume: Annotated[str, pb(2)]
    read_only: Annotated[bool, pb(3)] = False
    user: Annotated[str, pb(4)] = ""
    group: Annotated[str, pb(5)] = ""
    tenant: Annotated[str, pb(6)] = ""


class AzureDiskVolumeSource(ApiStruct, kw_only=True):
    """DOC AzureDiskVolumeSource."""

    disk_name: Annotated[str, pb(1)]
    disk_uri: Annotated[str, pb(2)]
    caching_mode: Annotated[AzureDataDiskCachingMode | None, pb(3)] = None
    fs_type: Annotated[str | None, pb(4)] = None
    read_only: Annotated[bool | None, pb(5)] = None
    kind: Annotated[AzureDataDiskKind | None, pb(6)] = None


class PhotonPersistentDiskVolumeSource(ApiStruct, kw_only=True):
    """DOC PhotonPersistentDiskVolumeSource."""

    pd_id: Annotated[str, pb(1)]
    fs_type: Annotated[str, pb(2)] = ""


class SecretProjection(LocalObjectReference, kw_only=True):
    """DOC SecretProjection."""

    __inline__: ClassVar[Inline] = {1: LocalObjectReference}
    items: Annotated[list[KeyToPath], pb(2), LIST_ATOMIC] = []
    optional: Annotated[bool | None, pb(4)] = None


class DownwardAPIProjection(ApiStruct, kw_only=True):
    """DOC DownwardAPIProjection."""

    items: Annotated[list[DownwardAPIVolumeFile], pb(1), LIST_ATOMIC] = []


class ConfigMapProjection(LocalObjectReference, kw_only=True):
    """DOC ConfigMapProjection."""

    __inline__: ClassVar[Inline] = {1: LocalObjectReference}
    items: Annotated[list[KeyToPath], pb(2), LIST_ATOMIC] = []
    optional: Annotated[bool | None, pb(4)] = None


class ServiceAccountTokenProjection(ApiStruct, kw_only=True):
    """DOC ServiceAccountTokenProjection."""

    audience: Annotated[str, pb(1)] = ""
    expiration_seconds: Annotated[Int64 | None, pb(2)] = None
    path: Annotated[str, pb(3)]


class ClusterTrustBundleProjection(ApiStruct, kw_only=True):
    """DOC ClusterTrustBundleProjection."""

    name: Annotated[str | None, pb(1)] = None
    signer_name: Annotated[str | None, pb(2)] = None
    label_selector: Annotated[LabelSelector | None, pb(3)] = None
    optional: Annotated[bool | None, pb(5)] = None
    path: Annotated[str, pb(4)]


class PodCertificateProjection(ApiStruct, kw_only=True):
    """DOC PodCertificateProjection."""

    signer_name: Annotated[str, pb(1)] = ""
    key_type: Annotated[str, pb(2)] = ""
    max_expiration_seconds: Annotated[Int32 | None, pb(3)] = None
    credential_bundle_path: Annotated[str, pb(4)] = ""
    key_path: Annotated[str, pb(5)] = ""
    certificate_chain_path: Annotated[str, pb(6)] = ""


class VolumeProjection(ApiStruct, kw_only=True):
    """DOC VolumeProjection."""

    secret: Annotated[SecretProjection | None, pb(1)] = None
    downward_api: Annotated[DownwardAPIProjection | None, pb(2)] = None
    config_map: Annotated[ConfigMapProjection | None, pb(3)] = None
    service_account_token: Annotated[ServiceAccountTokenProjection | None, pb(4)] = None
    cluster_trust_bundle: Annotated[ClusterTrustBundleProjection | None, pb(5)] = None
    pod_certificate: Annotated[PodCertificateProjection | None, pb(6)] = None


class ProjectedVolumeSource(ApiStruct, kw_only=True):
    """DOC ProjectedVolumeSource."""

    sources: Annotated[list[VolumeProjection], pb(1), LIST_ATOMIC]
    default_mode: Annotated[Int32 | None, pb(2)] = None


class PortworxVolumeSource(ApiStruct, kw_only=True):
    """DOC PortworxVolumeSource."""

    volume_id: Annotated[str, pb(1)]
    fs_type: Annotated[str, pb(2)] = ""
    read_only: Annotated[bool, pb(3)] = False


class ScaleIOVolumeSource(ApiStruct, kw_only=True):
    """DOC ScaleIOVolumeSource."""

    gateway: Annotated[str, pb(1)]
    system: Annotated[str, pb(2)]
    secret_ref: Annotated[LocalObjectReference | None, pb(3)]
    ssl_enabled: Annotated[bool, pb(4)] = False
    protection_domain: Annotated[str, pb(5)] = ""
    storage_pool: Annotated[str, pb(6)] = ""
    storage_mode: Annotated[str, pb(7)] = ""
    volume_name: Annotated[str, pb(8)] = ""
    fs_type: Annotated[str, pb(9)] = ""
    read_only: Annotated[bool, pb(10)] = False


class StorageOSVolumeSource(ApiStruct, kw_only=True):
    """DOC StorageOSVolumeSource."""

    volume_name: Annotated[str, pb(1)] = ""
    volume_namespace: Annotated[str, pb(2)] = ""
    fs_type: Annotated[str, pb(3)] = ""
    read_only: Annotated[bool, pb(4)] = False
    secret_ref: Annotated[LocalObjectReference | None, pb(5)] = None


class CSIVolumeSource(ApiStruct, kw_only=True):
    """DOC CSIVolumeSource."""

    driver: Annotated[str, pb(1)]
    read_only: Annotated[bool | None, pb(2)] = None
    fs_type: Annotated[str | None, pb(3)] = None
    volume_attributes: Annotated[dict[str, str], pb(4)] = {}
    node_publish_secret_ref: Annotated[LocalObjectReference | None, pb(5)] = None


class PersistentVolumeClaimSpec(ApiStruct, kw_only=True):
    """DOC PersistentVolumeClaimSpec."""

    access_modes: Annotated[list[PersistentVolumeAccessMode], pb(1), LIST_ATOMIC] = []
    selector: Annotated[LabelSelector | None, pb(4)] = None
    resources: Annotated[VolumeResourceRequirements, pb(2)] = field(
        default_factory=VolumeResourceRequirements
    )
    volume_name: Annotated[str, pb(3)] = ""
    storage_class_name: Annotated[str | None, pb(5)] = None
    volume_mode: Annotated[PersistentVolumeMode | None, pb(6)] = None
    data_source: Annotated[TypedLocalObjectReference | None, pb(7)] = None
    data_source_ref: Annotated[TypedObjectReference | None, pb(8)] = None
    volume_attributes_class_name: Annotated[str | None, pb(9)] = None


class PersistentVolumeClaimTemplate(ApiStruct, kw_only=True):
    """DOC PersistentVolumeClaimTemplate."""

    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    spec: Annotated[PersistentVolumeClaimSpec, pb(2)] = field(
        default_factory=PersistentVolumeClaimSpec
    )


class EphemeralVolumeSource(ApiStruct, kw_only=True):
    """DOC EphemeralVolumeSource."""

    volume_claim_template: Annotated[PersistentVolumeClaimTemplate | None, pb(1)] = None


class ImageVolumeSource(ApiStruct, kw_only=True):
    """DOC ImageVolumeSource."""

    reference: Annotated[str, pb(1)] = ""
    pull_policy: Annotated[PullPolicy, pb(2)] = ""


class VolumeSource(ApiStruct, kw_only=True):
    """DOC VolumeSource."""

    host_path: Annotated[HostPathVolumeSource | None, pb(1)] = None
    empty_dir: Annotated[EmptyDirVolumeSource | None, pb(2)] = None
    gce_persistent_disk: Annotated[GCEPersistentDiskVolumeSource | None, pb(3)] = None
    aws_elastic_block_store: Annotated[AWSElasticBlockStoreVolumeSource | None, pb(4)] = None
    git_repo: Annotated[GitRepoVolumeSource | None, pb(5)] = None
    secret: Annotated[SecretVolumeSource | None, pb(6)] = None
    nfs: Annotated[NFSVolumeSource | None, pb(7)] = None
    iscsi: Annotated[ISCSIVolumeSource | None, pb(8)] = None
    glusterfs: Annotated[GlusterfsVolumeSource | None, pb(9)] = None
    persistent_volume_claim: Annotated[PersistentVolumeClaimVolumeSource | None, pb(10)] = None
    rbd: Annotated[RBDVolumeSource | None, pb(11)] = None
    flex_volume: Annotated[FlexVolumeSource | None, pb(12)] = None
    cinder: Annotated[CinderVolumeSource | None, pb(13)] = None
    cephfs: Annotated[CephFSVolumeSource | None, pb(14)] = None
    flocker: Annotated[FlockerVolumeSource | None, pb(15)] = None
    downward_api: Annotated[DownwardAPIVolumeSource | None, pb(16)] = None
    fc: Annotated[FCVolumeSource | None, pb(17)] = None
    azure_file: Annotated[AzureFileVolumeSource | None, pb(18)] = None
    config_map: Annotated[ConfigMapVolumeSource | None, pb(19)] = None
    vsphere_volume: Annotated[VsphereVirtualDiskVolumeSource | None, pb(20)] = None
    quobyte: Annotated[QuobyteVolumeSource | None, pb(21)] = None
    azure_disk: Annotated[AzureDiskVolumeSource | None, pb(22)] = None
    photon_persistent_disk: Annotated[PhotonPersistentDiskVolumeSource | None, pb(23)] = None
    projected: Annotated[ProjectedVolumeSource | None, pb(26)] = None
    portworx_volume: Annotated[PortworxVolumeSource | None, pb(24)] = None
    scale_io: Annotated[ScaleIOVolumeSource | None, pb(25)] = None
    storageos: Annotated[StorageOSVolumeSource | None, pb(27)] = None
    csi: Annotated[CSIVolumeSource | None, pb(28)] = None
    ephemeral: Annotated[EphemeralVolumeSource | None, pb(29)] = None
    image: Annotated[ImageVolumeSource | None, pb(30)] = None


class Volume(VolumeSource, kw_only=True):
    """DOC Volume."""

    __inline__: ClassVar[Inline] = {2: VolumeSource}
    name: Annotated[str, pb(1)]


class VolumeMount(ApiStruct, kw_only=True):
    """DOC VolumeMount."""

    name: Annotated[str, pb(1)]
    read_only: Annotated[bool, pb(2)] = False
    recursive_read_only: Annotated[RecursiveReadOnlyMode | None, pb(7)] = None
    mount_path: Annotated[str, pb(3)]
    sub_path: Annotated[str, pb(4)] = ""
    mount_propagation: Annotated[MountPropagationMode | None, pb(5)] = None
    sub_path_expr: Annotated[str, pb(6)] = ""


class VolumeDevice(ApiStruct, kw_only=True):
    """DOC VolumeDevice."""

    name: Annotated[str, pb(1)]
    device_path: Annotated[str, pb(2)]


class VolumeMountStatus(ApiStruct, kw_only=True):
    """DOC VolumeMountStatus."""

    name: Annotated[str, pb(1)]
    mount_path: Annotated[str, pb(2)]
    read_only: Annotated[bool, pb(3)] = False
    recursive_read_only: Annotated[RecursiveReadOnlyMode | None, pb(4)] = None
