"""Classes of volumes, and what storage drivers tell the cluster (group `storage.k8s.io`).

A volume is made, and attached to the node, before the agent can mount it (walk step 4).
"""

from typing import Annotated

from msgspec import field

from api.core import PersistentVolumeReclaimPolicy, PersistentVolumeSpec, TopologySelectorTerm
from api.meta import LabelSelector, ObjectMeta
from api.struct import (
    LIST_ATOMIC,
    LIST_SET,
    ApiStruct,
    Int32,
    Int64,
    Quantity,
    Time,
    enum,
    list_map,
    patch,
    pb,
    type_meta,
)

VolumeBindingMode = Annotated[str, enum("Immediate", "WaitForFirstConsumer")]
VolumeLifecycleMode = Annotated[str, enum("Persistent", "Ephemeral")]
FSGroupPolicy = Annotated[str, enum("ReadWriteOnceWithFSType", "File", "None")]


class StorageClass(ApiStruct, kw_only=True):
    """A kind of storage that claims can ask for by name, and how volumes of it are made."""

    api_version: str = type_meta("storage.k8s.io/v1")
    """Group and version of this schema: `storage.k8s.io/v1`."""
    kind: str = type_meta("StorageClass")
    """Name of this schema: `StorageClass`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    provisioner: Annotated[str, pb(2)]
    """The program that makes the volumes."""
    parameters: Annotated[dict[str, str], pb(3)] = {}
    """What it is told about them; what it understands, its manual says."""
    reclaim_policy: Annotated[PersistentVolumeReclaimPolicy | None, pb(4)] = None
    """What becomes of a volume once its claim is gone: `Delete`, which is the default, or
    `Retain`."""
    mount_options: Annotated[list[str], pb(5), LIST_ATOMIC] = []
    """Options with which its volumes are mounted. They are not checked here; a wrong one fails the
    mount."""
    allow_volume_expansion: Annotated[bool | None, pb(6)] = None
    """Whether claims may ask for more space later."""
    volume_binding_mode: Annotated[VolumeBindingMode | None, pb(7)] = None
    """When a volume is made: `Immediate`, with the claim, or `WaitForFirstConsumer`, with the
    first pod that uses it."""
    allowed_topologies: Annotated[list[TopologySelectorTerm], pb(8), LIST_ATOMIC] = []
    """Where volumes may be made; anywhere if nothing is said."""


class TokenRequest(ApiStruct, kw_only=True):
    """A token of the pod's account that the driver wants for its work."""

    audience: Annotated[str, pb(1)]
    """Whom the token is meant for. Empty stands for the API server."""
    expiration_seconds: Annotated[Int64 | None, pb(2)] = None
    """How long it is to be good for, at least 600."""


class CSIDriverSpec(ApiStruct, kw_only=True):
    """What the cluster has to know about a driver."""

    attach_required: Annotated[bool | None, pb(1)] = None
    """Whether volumes have to be attached to a node before they can be mounted there. True unless
    said otherwise."""
    pod_info_on_mount: Annotated[bool | None, pb(2)] = None
    """Whether the driver is told which pod a volume is mounted for."""
    volume_lifecycle_modes: Annotated[list[VolumeLifecycleMode], pb(3), LIST_SET] = []
    """Which volumes it makes: `Persistent` ones, which outlive pods, and `Ephemeral` ones, which
    end with theirs."""
    storage_capacity: Annotated[bool | None, pb(4)] = None
    """Whether the driver tells how much room there is where, for the scheduler to go by."""
    fs_group_policy: Annotated[FSGroupPolicy | None, pb(5)] = None
    """Whether the ownership of files is set to the pod's `fsGroup`: `File` always, `None` never,
    `ReadWriteOnceWithFSType` where one node alone writes to a file system."""
    token_requests: Annotated[list[TokenRequest], pb(6), LIST_ATOMIC] = []
    """Tokens of the pod's account that are handed to the driver with each mount."""
    requires_republish: Annotated[bool | None, pb(7)] = None
    """Whether the driver is called again and again while a volume is mounted, to renew what is in
    it."""
    se_linux_mount: Annotated[bool | None, pb(8)] = None
    """Whether its volumes can be mounted with a label of SELinux each."""
    node_allocatable_update_period_seconds: Annotated[Int64 | None, pb(9)] = None
    """How often, in seconds, the number of volumes that a node can take is asked for anew, at
    least 10. Not at all if nothing is said."""


class CSIDriver(ApiStruct, kw_only=True):
    """A storage driver that is installed in the cluster. Its name is the driver's."""

    api_version: str = type_meta("storage.k8s.io/v1")
    """Group and version of this schema: `storage.k8s.io/v1`."""
    kind: str = type_meta("CSIDriver")
    """Name of this schema: `CSIDriver`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[CSIDriverSpec, pb(2)] = field(default_factory=CSIDriverSpec)
    """The wanted state."""


class VolumeNodeResources(ApiStruct, kw_only=True):
    """How much of a driver a node can take."""

    count: Annotated[Int32 | None, pb(1)] = None
    """How many of its volumes can be in use on the node at a time; no limit if nothing is said."""


class CSINodeDriver(ApiStruct, kw_only=True):
    """One driver on one node."""

    name: Annotated[str, pb(1)]
    """The driver."""
    node_id: Annotated[str, pb(2)]
    """What the driver calls the node."""
    topology_keys: Annotated[list[str], pb(3), LIST_ATOMIC]
    """The labels of nodes by which the driver tells places apart."""
    allocatable: Annotated[VolumeNodeResources | None, pb(4)] = None
    """How much of it the node can take."""


class CSINodeSpec(ApiStruct, kw_only=True):
    """The drivers on one node."""

    drivers: Annotated[list[CSINodeDriver], pb(1), patch("merge", key="name"), list_map("name")]
    """Each of them, once."""


class CSINode(ApiStruct, kw_only=True):
    """Which storage drivers a node has. It has the node's name, and the node writes it."""

    api_version: str = type_meta("storage.k8s.io/v1")
    """Group and version of this schema: `storage.k8s.io/v1`."""
    kind: str = type_meta("CSINode")
    """Name of this schema: `CSINode`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[CSINodeSpec, pb(2)]
    """The wanted state."""


class CSIStorageCapacity(ApiStruct, kw_only=True):
    """How much room a driver has for volumes of one class in one place."""

    api_version: str = type_meta("storage.k8s.io/v1")
    """Group and version of this schema: `storage.k8s.io/v1`."""
    kind: str = type_meta("CSIStorageCapacity")
    """Name of this schema: `CSIStorageCapacity`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    node_topology: Annotated[LabelSelector | None, pb(2)] = None
    """The place: the nodes that can reach it. Nothing said stands for no node, an empty selector
    for all."""
    storage_class_name: Annotated[str, pb(3)]
    """The class of storage that it is about."""
    capacity: Annotated[Quantity | None, pb(4)] = None
    """How much room is left."""
    maximum_volume_size: Annotated[Quantity | None, pb(5)] = None
    """The largest volume that can be made."""


class VolumeAttachmentSource(ApiStruct, kw_only=True):
    """Which volume is meant: exactly one of these."""

    persistent_volume_name: Annotated[str | None, pb(1)] = None
    """The PersistentVolume."""
    inline_volume_spec: Annotated[PersistentVolumeSpec | None, pb(2)] = None
    """A volume that no object stands for, as a pod of old describes it."""


class VolumeAttachmentSpec(ApiStruct, kw_only=True):
    """Which volume is to be attached to which node, and by whom."""

    attacher: Annotated[str, pb(1)]
    """The driver that does it."""
    source: Annotated[VolumeAttachmentSource, pb(2)] = field(default_factory=VolumeAttachmentSource)
    """The volume."""
    node_name: Annotated[str, pb(3)]
    """The node."""


class VolumeError(ApiStruct, kw_only=True):
    """What went wrong."""

    time: Annotated[Time | None, pb(1)] = None
    """When."""
    message: Annotated[str, pb(2)] = ""
    """What, in a sentence. Do not put secrets into it."""
    error_code: Annotated[Int32 | None, pb(3)] = None
    """The number that the driver gave."""


class VolumeAttachmentStatus(ApiStruct, kw_only=True):
    """How far it has got. Written by the driver."""

    attached: Annotated[bool, pb(1)]
    """Whether the volume is attached."""
    attachment_metadata: Annotated[dict[str, str], pb(2)] = {}
    """What the node has to know to mount it."""
    attach_error: Annotated[VolumeError | None, pb(3)] = None
    """Why it could not be attached the last time."""
    detach_error: Annotated[VolumeError | None, pb(4)] = None
    """Why it could not be detached the last time."""


class VolumeAttachment(ApiStruct, kw_only=True):
    """The wish that a volume be attached to a node, for as long as this object is there."""

    api_version: str = type_meta("storage.k8s.io/v1")
    """Group and version of this schema: `storage.k8s.io/v1`."""
    kind: str = type_meta("VolumeAttachment")
    """Name of this schema: `VolumeAttachment`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[VolumeAttachmentSpec, pb(2)]
    """The wanted state."""
    status: Annotated[VolumeAttachmentStatus, pb(3)]
    """The observed state. Set by the cluster, ignored in other writes."""


class VolumeAttributesClass(ApiStruct, kw_only=True):
    """A set of properties that a volume can be given, and later exchanged for another set."""

    api_version: str = type_meta("storage.k8s.io/v1")
    """Group and version of this schema: `storage.k8s.io/v1`."""
    kind: str = type_meta("VolumeAttributesClass")
    """Name of this schema: `VolumeAttributesClass`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    driver_name: Annotated[str, pb(2)]
    """The driver that it is for."""
    parameters: Annotated[dict[str, str], pb(3)] = {}
    """What the driver is told. Never changes."""
