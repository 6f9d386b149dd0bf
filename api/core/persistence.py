"""Storage that outlives pods: volumes, and the claims by which pods ask for them (core group).

A pod names a claim, a claim is bound to a volume, and the node mounts the volume (walk step 5).
"""

from typing import Annotated, ClassVar

from msgspec import field

from api.core.persistentsource import PersistentVolumeSource
from api.core.pod import ConditionStatus
from api.core.references import ObjectReference
from api.core.scheduling import NodeSelector
from api.core.volume import (
    PersistentVolumeAccessMode,
    PersistentVolumeClaimSpec,
    PersistentVolumeMode,
)
from api.meta import ObjectMeta
from api.struct import (
    LIST_ATOMIC,
    ApiStruct,
    Inline,
    Quantity,
    Time,
    enum,
    list_map,
    patch,
    pb,
    type_meta,
)

PersistentVolumeReclaimPolicy = Annotated[str, enum("Recycle", "Delete", "Retain")]
PersistentVolumePhase = Annotated[str, enum("Pending", "Available", "Bound", "Released", "Failed")]
PersistentVolumeClaimConditionType = Annotated[
    str,
    enum(
        "Resizing",
        "FileSystemResizePending",
        "ControllerResizeError",
        "NodeResizeError",
        "ModifyVolumeError",
        "ModifyingVolume",
    ),
]
PersistentVolumeClaimModifyVolumeStatus = Annotated[
    str, enum("Pending", "InProgress", "Infeasible")
]
PersistentVolumeClaimPhase = Annotated[str, enum("Pending", "Bound", "Lost")]
ClaimResourceStatus = Annotated[
    str,
    enum(
        "ControllerResizeInProgress",
        "ControllerResizeInfeasible",
        "NodeResizePending",
        "NodeResizeInProgress",
        "NodeResizeInfeasible",
    ),
]


class VolumeNodeAffinity(ApiStruct, kw_only=True):
    """From which nodes a volume can be reached."""

    required: Annotated[NodeSelector | None, pb(1)] = None
    """What a node must satisfy."""


class PersistentVolumeSpec(PersistentVolumeSource, kw_only=True):
    """A piece of storage and how it may be used."""

    __inline__: ClassVar[Inline] = {2: PersistentVolumeSource}
    capacity: Annotated[dict[str, Quantity], pb(1)] = {}
    """How much it holds, as `storage`."""
    access_modes: Annotated[list[PersistentVolumeAccessMode], pb(3), LIST_ATOMIC] = []
    """How it may be mounted, such as `ReadWriteOnce`."""
    claim_ref: Annotated[ObjectReference | None, pb(4)] = None
    """The claim it is bound to, or kept for."""
    persistent_volume_reclaim_policy: Annotated[PersistentVolumeReclaimPolicy, pb(5)] = ""
    """What becomes of it once its claim is gone: `Retain`, `Delete` or `Recycle` (deprecated).
    Default: Retain."""
    storage_class_name: Annotated[str, pb(6)] = ""
    """Class of the storage; empty means none."""
    mount_options: Annotated[list[str], pb(7), LIST_ATOMIC] = []
    """Options of the mount. They are not checked here; a wrong one fails the mount."""
    volume_mode: Annotated[PersistentVolumeMode | None, pb(8)] = None
    """`Filesystem` or `Block`. Default: Filesystem."""
    node_affinity: Annotated[VolumeNodeAffinity | None, pb(9)] = None
    """From which nodes it can be reached. All if nothing is said."""
    volume_attributes_class_name: Annotated[str | None, pb(10)] = None
    """Class of its attributes, as its claim wants them."""


class PersistentVolumeStatus(ApiStruct, kw_only=True):
    """Whether the volume is in use."""

    phase: Annotated[PersistentVolumePhase, pb(1)] = ""
    """`Pending`, `Available`, `Bound`, `Released` (its claim is gone) or `Failed` (it could not be
    reclaimed)."""
    message: Annotated[str, pb(2)] = ""
    """Why it is so, in a sentence."""
    reason: Annotated[str, pb(3)] = ""
    """Why it is so, in one word."""
    last_phase_transition_time: Annotated[Time | None, pb(4)] = None
    """When `phase` last changed."""


class PersistentVolume(ApiStruct, kw_only=True):
    """A piece of storage in the cluster. Belongs to no namespace and outlives the pods that use
    it."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("PersistentVolume")
    """Name of this schema: `PersistentVolume`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[PersistentVolumeSpec, pb(2)] = field(default_factory=PersistentVolumeSpec)
    """The wanted state."""
    status: Annotated[PersistentVolumeStatus, pb(3)] = field(default_factory=PersistentVolumeStatus)
    """The observed state. Set by the cluster, ignored in other writes."""


class PersistentVolumeClaimCondition(ApiStruct, kw_only=True):
    """One aspect of a claim."""

    type: Annotated[PersistentVolumeClaimConditionType, pb(1)]
    """Which aspect, such as `Resizing`."""
    status: Annotated[ConditionStatus, pb(2)]
    """`True`, `False` or `Unknown`."""
    last_probe_time: Annotated[Time | None, pb(3)] = None
    """When it was last looked at."""
    last_transition_time: Annotated[Time | None, pb(4)] = None
    """When `status` last changed."""
    reason: Annotated[str, pb(5)] = ""
    """Why, in one word."""
    message: Annotated[str, pb(6)] = ""
    """Why, in a sentence."""


class ModifyVolumeStatus(ApiStruct, kw_only=True):
    """How far a change of the volume's attributes has got."""

    target_volume_attributes_class_name: Annotated[str, pb(1)] = ""
    """The class that is being applied."""
    status: Annotated[PersistentVolumeClaimModifyVolumeStatus, pb(2)]
    """`Pending`, `InProgress` or `Infeasible`."""


class PersistentVolumeClaimStatus(ApiStruct, kw_only=True):
    """Which storage the claim has got."""

    phase: Annotated[PersistentVolumeClaimPhase, pb(1)] = ""
    """`Pending`, `Bound` or `Lost` (its volume is gone)."""
    access_modes: Annotated[list[PersistentVolumeAccessMode], pb(2), LIST_ATOMIC] = []
    """How the volume may be mounted."""
    capacity: Annotated[dict[str, Quantity], pb(3)] = {}
    """What the volume holds."""
    conditions: Annotated[
        list[PersistentVolumeClaimCondition], pb(4), patch("merge", key="type"), list_map("type")
    ] = []
    """Its state, a change of size for instance."""
    allocated_resources: Annotated[dict[str, Quantity], pb(5)] = {}
    """Size that is reserved for it while it grows."""
    allocated_resource_statuses: Annotated[dict[str, ClaimResourceStatus], pb(7)] = {}
    """How far a change of size has got, for each resource."""
    current_volume_attributes_class_name: Annotated[str | None, pb(8)] = None
    """The class of attributes that the volume has."""
    modify_volume_status: Annotated[ModifyVolumeStatus | None, pb(9)] = None
    """A change of attributes that is under way."""


class PersistentVolumeClaim(ApiStruct, kw_only=True):
    """A wish for storage of some size and kind, by which pods of its namespace use a volume."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("PersistentVolumeClaim")
    """Name of this schema: `PersistentVolumeClaim`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[PersistentVolumeClaimSpec, pb(2)] = field(
        default_factory=PersistentVolumeClaimSpec
    )
    """The wanted state."""
    status: Annotated[PersistentVolumeClaimStatus, pb(3)] = field(
        default_factory=PersistentVolumeClaimStatus
    )
    """The observed state. Set by the cluster, ignored in other writes."""
