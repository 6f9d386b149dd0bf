"""DOC core/node."""

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
    """DOC ConfigMapNodeConfigSource."""

    namespace: Annotated[str, pb(1)]
    name: Annotated[str, pb(2)]
    uid: Annotated[str, pb(3)] = ""
    resource_version: Annotated[str, pb(4)] = ""
    kubelet_config_key: Annotated[str, pb(5)]


class NodeConfigSource(ApiStruct, kw_only=True):
    """DOC NodeConfigSource."""

    config_map: Annotated[ConfigMapNodeConfigSource | None, pb(2)] = None


class NodeSpec(ApiStruct, kw_only=True):
    """DOC NodeSpec."""

    pod_cidr: Annotated[str, pb(1)] = ""
    pod_cidrs: Annotated[list[str], pb(7), patch("merge"), LIST_SET] = []
    provider_id: Annotated[str, pb(3)] = ""
    unschedulable: Annotated[bool, pb(4)] = False
    taints: Annotated[list[Taint], pb(5), LIST_ATOMIC] = []
    config_source: Annotated[NodeConfigSource | None, pb(6)] = None
    external_id: Annotated[str, pb(2)] = ""


class NodeCondition(ApiStruct, kw_only=True):
    """DOC NodeCondition."""

    type: Annotated[NodeConditionType, pb(1)]
    status: Annotated[ConditionStatus, pb(2)]
    last_heartbeat_time: Annotated[Time | None, pb(3)] = None
    last_transition_time: Annotated[Time | None, pb(4)] = None
    reason: Annotated[str, pb(5)] = ""
    message: Annotated[str, pb(6)] = ""


class NodeAddress(ApiStruct, kw_only=True):
    """DOC NodeAddress."""

    type: Annotated[NodeAddressType, pb(1)]
    address: Annotated[str, pb(2)]


class DaemonEndpoint(ApiStruct, kw_only=True):
    """DOC DaemonEndpoint."""

    port: Annotated[Int32, pb(1)] = always(0, name="Port")


class NodeDaemonEndpoints(ApiStruct, kw_only=True):
    """DOC NodeDaemonEndpoints."""

    kubelet_endpoint: Annotated[DaemonEndpoint, pb(1)] = field(default_factory=DaemonEndpoint)


class NodeSwapStatus(ApiStruct, kw_only=True):
    """DOC NodeSwapStatus."""

    capacity: Annotated[Int64 | None, pb(1)] = None


class NodeSystemInfo(ApiStruct, kw_only=True):
    """DOC NodeSystemInfo."""

    machine_id: Annotated[str, pb(1)]
    system_uuid: Annotated[str, pb(2)]
    boot_id: Annotated[str, pb(3)]
    kernel_version: Annotated[str, pb(4)]
    os_image: Annotated[str, pb(5)]
    container_runtime_version: Annotated[str, pb(6)]
    kubelet_version: Annotated[str, pb(7)]
    kube_proxy_version: Annotated[str, pb(8)]
    operating_system: Annotated[str, pb(9)]
    architecture: Annotated[str, pb(10)]
    swap: Annotated[NodeSwapStatus | None, pb(11)] = None


class ContainerImage(ApiStruct, kw_only=True):
    """DOC ContainerImage."""

    names: Annotated[list[str], pb(1), LIST_ATOMIC]
    size_bytes: Annotated[Int64, pb(2)] = 0


class AttachedVolume(ApiStruct, kw_only=True):
    """DOC AttachedVolume."""

    name: Annotated[str, pb(1)]
    device_path: Annotated[str, pb(2)]


class NodeConfigStatus(ApiStruct, kw_only=True):
    """DOC NodeConfigStatus."""

    assigned: Annotated[NodeConfigSource | None, pb(1)] = None
    active: Annotated[NodeConfigSource | None, pb(2)] = None
    last_known_good: Annotated[NodeConfigSource | None, pb(3)] = None
    error: Annotated[str, pb(4)] = ""


class NodeRuntimeHandlerFeatures(ApiStruct, kw_only=True):
    """DOC NodeRuntimeHandlerFeatures."""

    recursive_read_only_mounts: Annotated[bool | None, pb(1)] = None
    user_namespaces: Annotated[bool | None, pb(2)] = None


class NodeRuntimeHandler(ApiStruct, kw_only=True):
    """DOC NodeRuntimeHandler."""

    name: Annotated[str, pb(1)]
    features: Annotated[NodeRuntimeHandlerFeatures | None, pb(2)] = None


class NodeFeatures(ApiStruct, kw_only=True):
    """DOC NodeFeatures."""

    supplemental_groups_policy: Annotated[bool | None, pb(1)] = None


class NodeStatus(ApiStruct, kw_only=True):
    """DOC NodeStatus."""

    capacity: Annotated[dict[str, Quantity], pb(1)] = {}
    allocatable: Annotated[dict[str, Quantity], pb(2)] = {}
    phase: Annotated[NodePhase, pb(3)] = ""
    conditions: Annotated[
        list[NodeCondition], pb(4), patch("merge", key="type"), list_map("type")
    ] = []
    addresses: Annotated[
        list[NodeAddress], pb(5), patch("merge", key="type"), list_map("type")
    ] = []
    daemon_endpoints: Annotated[NodeDaemonEndpoints, pb(6)] = field(
        default_factory=NodeDaemonEndpoints
    )
    node_info: Annotated[NodeSystemInfo, pb(7)]
    images: Annotated[list[ContainerImage], pb(8), LIST_ATOMIC] = []
    volumes_in_use: Annotated[list[str], pb(9), LIST_ATOMIC] = []
    volumes_attached: Annotated[list[AttachedVolume], pb(10), LIST_ATOMIC] = []
    config: Annotated[NodeConfigStatus | None, pb(11)] = None
    runtime_handlers: Annotated[list[NodeRuntimeHandler], pb(12), LIST_ATOMIC] = []
    features: Annotated[NodeFeatures | None, pb(13)] = None


class Node(ApiStruct, kw_only=True):
    """DOC Node."""

    api_version: str = type_meta("v1")
    kind: str = type_meta("Node")
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    spec: Annotated[NodeSpec, pb(2)] = field(default_factory=NodeSpec)
    status: Annotated[NodeStatus, pb(3)]
