"""Volumes of a pod: where files come from and where containers see them.

The agent prepares them in step 4 of the pod's walk, before the first container starts, and takes
them down in step 7.
"""

from typing import Annotated, ClassVar

from msgspec import field

from api.core.references import (
    LocalObjectReference,
    TypedLocalObjectReference,
    TypedObjectReference,
)
from api.core.remotevolume import (
    AWSElasticBlockStoreVolumeSource,
    AzureDiskVolumeSource,
    AzureFileVolumeSource,
    CephFSVolumeSource,
    CinderVolumeSource,
    FCVolumeSource,
    FlexVolumeSource,
    FlockerVolumeSource,
    GCEPersistentDiskVolumeSource,
    GitRepoVolumeSource,
    GlusterfsVolumeSource,
    ISCSIVolumeSource,
    NFSVolumeSource,
    PhotonPersistentDiskVolumeSource,
    PortworxVolumeSource,
    QuobyteVolumeSource,
    RBDVolumeSource,
    ScaleIOVolumeSource,
    StorageOSVolumeSource,
    VsphereVirtualDiskVolumeSource,
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
PersistentVolumeAccessMode = Annotated[
    str, enum("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")
]
PersistentVolumeMode = Annotated[str, enum("Block", "Filesystem")]
PullPolicy = Annotated[str, enum("Always", "Never", "IfNotPresent")]
RecursiveReadOnlyMode = Annotated[str, enum("Disabled", "IfPossible", "Enabled")]
MountPropagationMode = Annotated[str, enum("None", "HostToContainer", "Bidirectional")]


class HostPathVolumeSource(ApiStruct, kw_only=True):
    """A file or folder of the node. A pod that may use it can reach much of the node."""

    path: Annotated[str, pb(1)]
    """Absolute path on the node."""
    type: Annotated[HostPathType | None, pb(2)] = None
    """What must be there, or be made if it is missing: `DirectoryOrCreate`, `Directory`,
    `FileOrCreate`, `File`, `Socket`, `CharDevice`, `BlockDevice`. Default: empty, no check."""


class EmptyDirVolumeSource(ApiStruct, kw_only=True):
    """An empty folder that lives as long as the pod and is shared by its containers."""

    medium: Annotated[StorageMedium, pb(1)] = ""
    """`Memory` keeps it in memory, where it counts as the containers' own. Default: the node's
    disk."""
    size_limit: Annotated[Quantity | None, pb(2)] = None
    """The largest size; a pod that exceeds it is evicted. Default: no limit."""


class KeyToPath(ApiStruct, kw_only=True):
    """Gives one key a file name of its own."""

    key: Annotated[str, pb(1)]
    """The key."""
    path: Annotated[str, pb(2)]
    """Relative path of the file in the volume."""
    mode: Annotated[Int32 | None, pb(3)] = None
    """Permissions of the file, 0 to 0777 (511). Default: the volume's."""


class SecretVolumeSource(ApiStruct, kw_only=True):
    """Files with the values of a Secret, kept in memory. They follow its changes."""

    secret_name: Annotated[str, pb(1)] = ""
    """Name of the Secret."""
    items: Annotated[list[KeyToPath], pb(2), LIST_ATOMIC] = []
    """Which keys become which files. Default: each key becomes a file of its name."""
    default_mode: Annotated[Int32 | None, pb(3)] = None
    """Permissions of the files. Default: 0644 (420)."""
    optional: Annotated[bool | None, pb(4)] = None
    """Go on without it if the Secret or a listed key is missing. Default: false, the pod waits."""


class PersistentVolumeClaimVolumeSource(ApiStruct, kw_only=True):
    """Storage that outlives the pod, through a claim in the same namespace."""

    claim_name: Annotated[str, pb(1)]
    """Name of the PersistentVolumeClaim."""
    read_only: Annotated[bool, pb(2)] = False
    """Mount it read-only. Default: false."""


class ObjectFieldSelector(ApiStruct, kw_only=True):
    """One field of the pod."""

    __atomic__: ClassVar[bool] = True

    api_version: Annotated[str, pb(1)] = ""
    """Version in which the path is meant. Default: `v1`."""
    field_path: Annotated[str, pb(2)]
    """Path of the field, such as `metadata.labels['app']` or `status.hostIP`."""


class ResourceFieldSelector(ApiStruct, kw_only=True):
    """One request or limit of a container."""

    __atomic__: ClassVar[bool] = True

    container_name: Annotated[str, pb(1)] = ""
    """The container; needed in volumes. Default for variables: the container itself."""
    resource: Annotated[str, pb(2)]
    """Which one, such as `limits.memory`."""
    divisor: Annotated[Quantity, pb(3)] = ""
    """Unit of the result, such as `1Mi`; it is rounded up. Default: 1."""


class DownwardAPIVolumeFile(ApiStruct, kw_only=True):
    """A file with a fact about the pod. Exactly one source must be set."""

    path: Annotated[str, pb(1)]
    """Relative path of the file in the volume."""
    field_ref: Annotated[ObjectFieldSelector | None, pb(2)] = None
    """A field of the pod."""
    resource_field_ref: Annotated[ResourceFieldSelector | None, pb(3)] = None
    """A request or limit of a container."""
    mode: Annotated[Int32 | None, pb(4)] = None
    """Permissions of the file, 0 to 0777 (511). Default: the volume's."""


class DownwardAPIVolumeSource(ApiStruct, kw_only=True):
    """Files with facts about the pod. They follow changes of its labels and annotations."""

    items: Annotated[list[DownwardAPIVolumeFile], pb(1), LIST_ATOMIC] = []
    """The files."""
    default_mode: Annotated[Int32 | None, pb(2)] = None
    """Permissions of the files. Default: 0644 (420)."""


class ConfigMapVolumeSource(LocalObjectReference, kw_only=True):
    """Files with the values of a ConfigMap. They follow its changes."""

    __inline__: ClassVar[Inline] = {1: LocalObjectReference}
    items: Annotated[list[KeyToPath], pb(2), LIST_ATOMIC] = []
    """Which keys become which files. Default: each key becomes a file of its name."""
    default_mode: Annotated[Int32 | None, pb(3)] = None
    """Permissions of the files. Default: 0644 (420)."""
    optional: Annotated[bool | None, pb(4)] = None
    """Go on without it if the ConfigMap or a listed key is missing. Default: false, the pod waits.
    """


class SecretProjection(LocalObjectReference, kw_only=True):
    """Values of a Secret as part of a projected volume."""

    __inline__: ClassVar[Inline] = {1: LocalObjectReference}
    items: Annotated[list[KeyToPath], pb(2), LIST_ATOMIC] = []
    """Which keys become which files. Default: each key becomes a file of its name."""
    optional: Annotated[bool | None, pb(4)] = None
    """Go on without it if the Secret or a listed key is missing. Default: false."""


class DownwardAPIProjection(ApiStruct, kw_only=True):
    """Facts about the pod as part of a projected volume."""

    items: Annotated[list[DownwardAPIVolumeFile], pb(1), LIST_ATOMIC] = []
    """The files."""


class ConfigMapProjection(LocalObjectReference, kw_only=True):
    """Values of a ConfigMap as part of a projected volume."""

    __inline__: ClassVar[Inline] = {1: LocalObjectReference}
    items: Annotated[list[KeyToPath], pb(2), LIST_ATOMIC] = []
    """Which keys become which files. Default: each key becomes a file of its name."""
    optional: Annotated[bool | None, pb(4)] = None
    """Go on without it if the ConfigMap or a listed key is missing. Default: false."""


class ServiceAccountTokenProjection(ApiStruct, kw_only=True):
    """A token of the pod's account that is renewed before it expires."""

    audience: Annotated[str, pb(1)] = ""
    """Whom the token is for. Default: the API server."""
    expiration_seconds: Annotated[Int64 | None, pb(2)] = None
    """Lifetime in seconds, at least 600. Default: 3600."""
    path: Annotated[str, pb(3)]
    """Relative path of the file in the volume."""


class ClusterTrustBundleProjection(ApiStruct, kw_only=True):
    """Certificates that the cluster trusts, in one file."""

    name: Annotated[str | None, pb(1)] = None
    """Name of one bundle; excludes `signerName`."""
    signer_name: Annotated[str | None, pb(2)] = None
    """All bundles of this signer; excludes `name`."""
    label_selector: Annotated[LabelSelector | None, pb(3)] = None
    """Which bundles of the signer; absent means none, an empty selector all."""
    optional: Annotated[bool | None, pb(5)] = None
    """Go on without it if there is no bundle. Default: false."""
    path: Annotated[str, pb(4)]
    """Relative path of the file in the volume."""


class PodCertificateProjection(ApiStruct, kw_only=True):
    """A key and a certificate made for this pod."""

    signer_name: Annotated[str, pb(1)] = ""
    """Who signs the certificate."""
    key_type: Annotated[str, pb(2)] = ""
    """Kind of the key, such as `ED25519`."""
    max_expiration_seconds: Annotated[Int32 | None, pb(3)] = None
    """Longest lifetime in seconds. Default: 86400, one day."""
    credential_bundle_path: Annotated[str, pb(4)] = ""
    """File for key and certificates together."""
    key_path: Annotated[str, pb(5)] = ""
    """File for the key."""
    certificate_chain_path: Annotated[str, pb(6)] = ""
    """File for the certificates."""


class VolumeProjection(ApiStruct, kw_only=True):
    """One part of a projected volume. Exactly one must be set."""

    secret: Annotated[SecretProjection | None, pb(1)] = None
    """Values of a Secret."""
    downward_api: Annotated[DownwardAPIProjection | None, pb(2)] = None
    """Facts about the pod."""
    config_map: Annotated[ConfigMapProjection | None, pb(3)] = None
    """Values of a ConfigMap."""
    service_account_token: Annotated[ServiceAccountTokenProjection | None, pb(4)] = None
    """A token of the pod's account."""
    cluster_trust_bundle: Annotated[ClusterTrustBundleProjection | None, pb(5)] = None
    """Certificates that the cluster trusts."""
    pod_certificate: Annotated[PodCertificateProjection | None, pb(6)] = None
    """A key and certificate of the pod."""


class ProjectedVolumeSource(ApiStruct, kw_only=True):
    """Several sources in one folder."""

    sources: Annotated[list[VolumeProjection], pb(1), LIST_ATOMIC]
    """The sources."""
    default_mode: Annotated[Int32 | None, pb(2)] = None
    """Permissions of the files. Default: 0644 (420)."""


class CSIVolumeSource(ApiStruct, kw_only=True):
    """A volume that a CSI driver makes for this pod and removes with it."""

    driver: Annotated[str, pb(1)]
    """Name of the driver."""
    read_only: Annotated[bool | None, pb(2)] = None
    """Mount it read-only. Default: false."""
    fs_type: Annotated[str | None, pb(3)] = None
    """File system. Default: the driver's."""
    volume_attributes: Annotated[dict[str, str], pb(4)] = {}
    """Settings for the driver."""
    node_publish_secret_ref: Annotated[LocalObjectReference | None, pb(5)] = None
    """Secret for the driver."""


class PersistentVolumeClaimSpec(ApiStruct, kw_only=True):
    """What storage is asked for."""

    access_modes: Annotated[list[PersistentVolumeAccessMode], pb(1), LIST_ATOMIC] = []
    """How it may be mounted, such as `ReadWriteOnce`."""
    selector: Annotated[LabelSelector | None, pb(4)] = None
    """Labels of the volumes that come into question."""
    resources: Annotated[VolumeResourceRequirements, pb(2)] = field(
        default_factory=VolumeResourceRequirements
    )
    """Wanted size."""
    volume_name: Annotated[str, pb(3)] = ""
    """The volume that is bound to the claim."""
    storage_class_name: Annotated[str | None, pb(5)] = None
    """Class of the storage. Default: the cluster's default class; empty means none."""
    volume_mode: Annotated[PersistentVolumeMode | None, pb(6)] = None
    """`Filesystem` or `Block`. Default: Filesystem."""
    data_source: Annotated[TypedLocalObjectReference | None, pb(7)] = None
    """A snapshot or claim to copy from."""
    data_source_ref: Annotated[TypedObjectReference | None, pb(8)] = None
    """Any object to fill it from."""
    volume_attributes_class_name: Annotated[str | None, pb(9)] = None
    """Class of attributes that may be changed later."""


class PersistentVolumeClaimTemplate(ApiStruct, kw_only=True):
    """The pattern of a claim."""

    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Labels and annotations of the claim."""
    spec: Annotated[PersistentVolumeClaimSpec, pb(2)] = field(
        default_factory=PersistentVolumeClaimSpec
    )
    """What storage is asked for."""


class EphemeralVolumeSource(ApiStruct, kw_only=True):
    """Storage through a claim that is made for this pod and deleted with it."""

    volume_claim_template: Annotated[PersistentVolumeClaimTemplate | None, pb(1)] = None
    """Pattern of the claim."""


class ImageVolumeSource(ApiStruct, kw_only=True):
    """The contents of an image, read-only."""

    reference: Annotated[str, pb(1)] = ""
    """The image."""
    pull_policy: Annotated[PullPolicy, pb(2)] = ""
    """`Always`, `IfNotPresent` or `Never`. Default: as for a container's image."""


class VolumeSource(ApiStruct, kw_only=True):
    """Where a volume's files come from. Exactly one must be set."""

    host_path: Annotated[HostPathVolumeSource | None, pb(1)] = None
    """A file or folder of the node."""
    empty_dir: Annotated[EmptyDirVolumeSource | None, pb(2)] = None
    """An empty folder that lives as long as the pod."""
    gce_persistent_disk: Annotated[GCEPersistentDiskVolumeSource | None, pb(3)] = None
    """A disk of Google Compute Engine."""
    aws_elastic_block_store: Annotated[AWSElasticBlockStoreVolumeSource | None, pb(4)] = None
    """A disk of AWS."""
    git_repo: Annotated[GitRepoVolumeSource | None, pb(5)] = None
    """Deprecated: a clone of a git repository."""
    secret: Annotated[SecretVolumeSource | None, pb(6)] = None
    """Files with the values of a Secret."""
    nfs: Annotated[NFSVolumeSource | None, pb(7)] = None
    """A folder of an NFS server."""
    iscsi: Annotated[ISCSIVolumeSource | None, pb(8)] = None
    """An iSCSI disk."""
    glusterfs: Annotated[GlusterfsVolumeSource | None, pb(9)] = None
    """A Gluster volume."""
    persistent_volume_claim: Annotated[PersistentVolumeClaimVolumeSource | None, pb(10)] = None
    """Storage that outlives the pod."""
    rbd: Annotated[RBDVolumeSource | None, pb(11)] = None
    """A block device of Ceph."""
    flex_volume: Annotated[FlexVolumeSource | None, pb(12)] = None
    """Deprecated: storage through a driver program."""
    cinder: Annotated[CinderVolumeSource | None, pb(13)] = None
    """A disk of OpenStack."""
    cephfs: Annotated[CephFSVolumeSource | None, pb(14)] = None
    """A folder of Ceph's file system."""
    flocker: Annotated[FlockerVolumeSource | None, pb(15)] = None
    """A dataset of Flocker."""
    downward_api: Annotated[DownwardAPIVolumeSource | None, pb(16)] = None
    """Files with facts about the pod."""
    fc: Annotated[FCVolumeSource | None, pb(17)] = None
    """A Fibre Channel disk."""
    azure_file: Annotated[AzureFileVolumeSource | None, pb(18)] = None
    """A file share of Azure."""
    config_map: Annotated[ConfigMapVolumeSource | None, pb(19)] = None
    """Files with the values of a ConfigMap."""
    vsphere_volume: Annotated[VsphereVirtualDiskVolumeSource | None, pb(20)] = None
    """A disk of vSphere."""
    quobyte: Annotated[QuobyteVolumeSource | None, pb(21)] = None
    """A Quobyte volume."""
    azure_disk: Annotated[AzureDiskVolumeSource | None, pb(22)] = None
    """A disk of Azure."""
    photon_persistent_disk: Annotated[PhotonPersistentDiskVolumeSource | None, pb(23)] = None
    """A disk of Photon Controller."""
    projected: Annotated[ProjectedVolumeSource | None, pb(26)] = None
    """Several sources in one folder."""
    portworx_volume: Annotated[PortworxVolumeSource | None, pb(24)] = None
    """A Portworx volume."""
    scale_io: Annotated[ScaleIOVolumeSource | None, pb(25)] = None
    """A ScaleIO volume."""
    storageos: Annotated[StorageOSVolumeSource | None, pb(27)] = None
    """A StorageOS volume."""
    csi: Annotated[CSIVolumeSource | None, pb(28)] = None
    """A volume that a CSI driver makes for this pod."""
    ephemeral: Annotated[EphemeralVolumeSource | None, pb(29)] = None
    """Storage through a claim that is made for this pod."""
    image: Annotated[ImageVolumeSource | None, pb(30)] = None
    """The contents of an image."""


class Volume(VolumeSource, kw_only=True):
    """Files that containers of the pod can mount under a common name."""

    __inline__: ClassVar[Inline] = {2: VolumeSource}
    name: Annotated[str, pb(1)]
    """Name, unique within the pod; a DNS label."""


class VolumeMount(ApiStruct, kw_only=True):
    """Where a volume appears in a container."""

    name: Annotated[str, pb(1)]
    """Name of the volume."""
    read_only: Annotated[bool, pb(2)] = False
    """Mount it read-only. Default: false."""
    recursive_read_only: Annotated[RecursiveReadOnlyMode | None, pb(7)] = None
    """Whether mounts below it are read-only too: `Disabled`, `IfPossible` or `Enabled`. Default:
    Disabled."""
    mount_path: Annotated[str, pb(3)]
    """Path in the container; must not contain `:`."""
    sub_path: Annotated[str, pb(4)] = ""
    """File or folder in the volume to mount instead of its root. Such a mount does not follow
    changes. Default: the root."""
    mount_propagation: Annotated[MountPropagationMode | None, pb(5)] = None
    """Whether later mounts are passed on: `None`, `HostToContainer` or `Bidirectional`. Default:
    None."""
    sub_path_expr: Annotated[str, pb(6)] = ""
    """Like `subPath`, with `$(NAME)` replaced by environment variables. Excludes `subPath`."""


class VolumeDevice(ApiStruct, kw_only=True):
    """Where a raw block volume appears in a container."""

    name: Annotated[str, pb(1)]
    """Name of the volume."""
    device_path: Annotated[str, pb(2)]
    """Path of the device in the container."""


class VolumeMountStatus(ApiStruct, kw_only=True):
    """How a volume is mounted."""

    name: Annotated[str, pb(1)]
    """Name of the volume."""
    mount_path: Annotated[str, pb(2)]
    """Path in the container."""
    read_only: Annotated[bool, pb(3)] = False
    """Whether it is read-only."""
    recursive_read_only: Annotated[RecursiveReadOnlyMode | None, pb(4)] = None
    """Whether mounts below it are read-only too."""
