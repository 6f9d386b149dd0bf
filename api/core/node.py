"""A machine that runs pods.

Its agent registers it and reports capacity and conditions; the scheduler chooses among nodes in
step 3 of the pod's walk; the node controllers taint the lost and give each its pod addresses.
"""

from typing import Annotated

from msgspec import field

from api.core.pod import ConditionStatus
from api.core.scheduling import Taint
from api.meta import ObjectMeta
from api.struct import (
    LIST_ATOMIC,
    LIST_SET,
    ApiStruct,
    Int32,
    Int64,
    Quantity,
    Time,
    always,
    enum,
    list_map,
    patch,
    pb,
    type_meta,
)

NodeConditionType = Annotated[
    str, enum("Ready", "MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
]
NodeAddressType = Annotated[
    str, enum("Hostname", "InternalIP", "ExternalIP", "InternalDNS", "ExternalDNS")
]
NodePhase = Annotated[str, enum("Pending", "Running", "Terminated")]


class ConfigMapNodeConfigSource(ApiStruct, kw_only=True):
    """A ConfigMap with settings for an agent. No longer used; kept because the fields exist."""

    namespace: Annotated[str, pb(1)]
    """Namespace of the ConfigMap."""
    name: Annotated[str, pb(2)]
    """Name of the ConfigMap."""
    uid: Annotated[str, pb(3)] = ""
    """UID of the ConfigMap."""
    resource_version: Annotated[str, pb(4)] = ""
    """Revision of the ConfigMap."""
    kubelet_config_key: Annotated[str, pb(5)]
    """Key that holds the settings."""


class NodeConfigSource(ApiStruct, kw_only=True):
    """Where an agent's settings come from. No longer used."""

    config_map: Annotated[ConfigMapNodeConfigSource | None, pb(2)] = None
    """A ConfigMap."""


class NodeSpec(ApiStruct, kw_only=True):
    """What the cluster wants from a node."""

    pod_cidr: Annotated[str, pb(1)] = ""
    """Network from which its pods get addresses. Set by the server, then fixed."""
    pod_cidrs: Annotated[list[str], pb(7), patch("merge"), LIST_SET] = []
    """The same for each address family; the first equals `podCIDR`."""
    provider_id: Annotated[str, pb(3)] = ""
    """Identity of the machine at a cloud provider. Cannot be changed once set."""
    unschedulable: Annotated[bool, pb(4)] = False
    """Keep new pods away, as `kubectl cordon` does. Default: false."""
    taints: Annotated[list[Taint], pb(5), LIST_ATOMIC] = []
    """Keep pods away that do not tolerate them."""
    config_source: Annotated[NodeConfigSource | None, pb(6)] = None
    """No longer used."""
    external_id: Annotated[str, pb(2)] = ""
    """No longer used."""


class NodeCondition(ApiStruct, kw_only=True):
    """One aspect of a node's health."""

    type: Annotated[NodeConditionType, pb(1)]
    """`Ready`, `MemoryPressure`, `DiskPressure`, `PIDPressure` or `NetworkUnavailable`."""
    status: Annotated[ConditionStatus, pb(2)]
    """`True`, `False`, or `Unknown` when the node has not been heard of."""
    last_heartbeat_time: Annotated[Time | None, pb(3)] = None
    """When it was last reported."""
    last_transition_time: Annotated[Time | None, pb(4)] = None
    """When `status` last changed."""
    reason: Annotated[str, pb(5)] = ""
    """Why, in one word."""
    message: Annotated[str, pb(6)] = ""
    """Why, in a sentence."""


class NodeAddress(ApiStruct, kw_only=True):
    """One address of a node."""

    type: Annotated[NodeAddressType, pb(1)]
    """`InternalIP`, `ExternalIP`, `Hostname`, `InternalDNS` or `ExternalDNS`."""
    address: Annotated[str, pb(2)]
    """The address."""


class DaemonEndpoint(ApiStruct, kw_only=True):
    """A port on a node."""

    port: Annotated[Int32, pb(1)] = always(0, name="Port")
    """Port number."""


class NodeDaemonEndpoints(ApiStruct, kw_only=True):
    """Ports of the programs that make a machine a node."""

    kubelet_endpoint: Annotated[DaemonEndpoint, pb(1)] = field(default_factory=DaemonEndpoint)
    """Port of the agent."""


class NodeSwapStatus(ApiStruct, kw_only=True):
    """Swap space of a node."""

    capacity: Annotated[Int64 | None, pb(1)] = None
    """Its size in bytes."""


class NodeSystemInfo(ApiStruct, kw_only=True):
    """What a machine says about itself."""

    machine_id: Annotated[str, pb(1)]
    """Contents of /etc/machine-id."""
    system_uuid: Annotated[str, pb(2)]
    """UUID that the firmware reports."""
    boot_id: Annotated[str, pb(3)]
    """Changes at every boot."""
    kernel_version: Annotated[str, pb(4)]
    """Version of the kernel."""
    os_image: Annotated[str, pb(5)]
    """Name of the distribution."""
    container_runtime_version: Annotated[str, pb(6)]
    """Container runtime with its version, such as `docker://20.10.24`."""
    kubelet_version: Annotated[str, pb(7)]
    """Version of the agent."""
    kube_proxy_version: Annotated[str, pb(8)]
    """Deprecated; the same as the agent's."""
    operating_system: Annotated[str, pb(9)]
    """`linux`."""
    architecture: Annotated[str, pb(10)]
    """Processor architecture in Go's words, such as `amd64`."""
    swap: Annotated[NodeSwapStatus | None, pb(11)] = None
    """Swap space."""


class ContainerImage(ApiStruct, kw_only=True):
    """An image that is on a node."""

    names: Annotated[list[str], pb(1), LIST_ATOMIC]
    """Its names: tags and digests."""
    size_bytes: Annotated[Int64, pb(2)] = 0
    """Its size in bytes."""


class AttachedVolume(ApiStruct, kw_only=True):
    """A volume that is attached to a node."""

    name: Annotated[str, pb(1)]
    """Name of the volume."""
    device_path: Annotated[str, pb(2)]
    """Device under which it appears."""


class NodeConfigStatus(ApiStruct, kw_only=True):
    """State of an agent's settings. No longer used."""

    assigned: Annotated[NodeConfigSource | None, pb(1)] = None
    """What it was told to use."""
    active: Annotated[NodeConfigSource | None, pb(2)] = None
    """What it uses."""
    last_known_good: Annotated[NodeConfigSource | None, pb(3)] = None
    """What it would fall back to."""
    error: Annotated[str, pb(4)] = ""
    """What is wrong with the assigned settings."""


class NodeRuntimeHandlerFeatures(ApiStruct, kw_only=True):
    """What a runtime can do."""

    recursive_read_only_mounts: Annotated[bool | None, pb(1)] = None
    """It can make whole trees of mounts read-only."""
    user_namespaces: Annotated[bool | None, pb(2)] = None
    """It can run pods in user namespaces of their own."""


class NodeRuntimeHandler(ApiStruct, kw_only=True):
    """A runtime that a node offers."""

    name: Annotated[str, pb(1)]
    """Name; empty for the usual one."""
    features: Annotated[NodeRuntimeHandlerFeatures | None, pb(2)] = None
    """What it can do."""


class NodeFeatures(ApiStruct, kw_only=True):
    """What a node's runtime can do, whichever handler is used."""

    supplemental_groups_policy: Annotated[bool | None, pb(1)] = None
    """It knows `supplementalGroupsPolicy`."""


class NodeStatus(ApiStruct, kw_only=True):
    """How a node is doing, as its agent reports it."""

    capacity: Annotated[dict[str, Quantity], pb(1)] = {}
    """What the machine has of each resource."""
    allocatable: Annotated[dict[str, Quantity], pb(2)] = {}
    """What of it pods may use."""
    phase: Annotated[NodePhase, pb(3)] = ""
    """No longer used."""
    conditions: Annotated[
        list[NodeCondition], pb(4), patch("merge", key="type"), list_map("type")
    ] = []
    """Its health."""
    addresses: Annotated[
        list[NodeAddress], pb(5), patch("merge", key="type"), list_map("type")
    ] = []
    """Where it can be reached."""
    daemon_endpoints: Annotated[NodeDaemonEndpoints, pb(6)] = field(
        default_factory=NodeDaemonEndpoints
    )
    """Ports of its agent."""
    node_info: Annotated[NodeSystemInfo, pb(7)]
    """Versions and identities."""
    images: Annotated[list[ContainerImage], pb(8), LIST_ATOMIC] = []
    """The largest images on it."""
    volumes_in_use: Annotated[list[str], pb(9), LIST_ATOMIC] = []
    """Attachable volumes that are mounted."""
    volumes_attached: Annotated[list[AttachedVolume], pb(10), LIST_ATOMIC] = []
    """Volumes that are attached."""
    config: Annotated[NodeConfigStatus | None, pb(11)] = None
    """No longer used."""
    runtime_handlers: Annotated[list[NodeRuntimeHandler], pb(12), LIST_ATOMIC] = []
    """Runtimes that it offers."""
    features: Annotated[NodeFeatures | None, pb(13)] = None
    """What its runtime can do."""


class Node(ApiStruct, kw_only=True):
    """A machine that runs pods. Made by its agent when it joins."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("Node")
    """Name of this schema: `Node`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[NodeSpec, pb(2)] = field(default_factory=NodeSpec)
    """The wanted state."""
    status: Annotated[NodeStatus, pb(3)]
    """The observed state. Set by the cluster, ignored in other writes."""


class NodeProxyOptions(ApiStruct, kw_only=True):
    """Query parameters of a request that is passed on to a node."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("NodeProxyOptions")
    """Name of this schema: `NodeProxyOptions`."""
    path: Annotated[str, pb(1)] = ""
    """The path of the request there."""
