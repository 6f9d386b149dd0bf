"""DOC core/pod."""

from typing import Annotated

from msgspec import field

from api.core.container import Container, ContainerStatus, EphemeralContainer
from api.core.references import LocalObjectReference, ObjectReference
from api.core.resources import (
    PodExtendedResourceClaimStatus,
    PodResourceClaim,
    PodResourceClaimStatus,
    ResourceRequirements,
)
from api.core.scheduling import Affinity, PodSchedulingGate, Toleration, TopologySpreadConstraint
from api.core.security import PodSecurityContext
from api.core.volume import Volume
from api.meta import ObjectMeta
from api.struct import (
    ATOMIC,
    LIST_ATOMIC,
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

PodConditionType = Annotated[
    str,
    enum(
        "ContainersReady",
        "Initialized",
        "Ready",
        "PodScheduled",
        "DisruptionTarget",
        "PodReadyToStartContainers",
        "PodResizePending",
        "PodResizeInProgress",
    ),
]
OSName = Annotated[str, enum("linux", "windows")]
RestartPolicy = Annotated[str, enum("Always", "OnFailure", "Never")]
DNSPolicy = Annotated[str, enum("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")]
PreemptionPolicy = Annotated[str, enum("PreemptLowerPriority", "Never")]
ConditionStatus = Annotated[str, enum("True", "False", "Unknown")]
PodPhase = Annotated[str, enum("Pending", "Running", "Succeeded", "Failed", "Unknown")]
PodQOSClass = Annotated[str, enum("Guaranteed", "Burstable", "BestEffort")]
PodResizeStatus = Annotated[str, enum("InProgress", "Deferred", "Infeasible")]


class HostAlias(ApiStruct, kw_only=True):
    """DOC HostAlias."""

    ip: Annotated[str, pb(1)]
    hostnames: Annotated[list[str], pb(2), LIST_ATOMIC] = []


class PodDNSConfigOption(ApiStruct, kw_only=True):
    """DOC PodDNSConfigOption."""

    name: Annotated[str, pb(1)] = ""
    value: Annotated[str | None, pb(2)] = None


class PodDNSConfig(ApiStruct, kw_only=True):
    """DOC PodDNSConfig."""

    nameservers: Annotated[list[str], pb(1), LIST_ATOMIC] = []
    searches: Annotated[list[str], pb(2), LIST_ATOMIC] = []
    options: Annotated[list[PodDNSConfigOption], pb(3), LIST_ATOMIC] = []


class PodReadinessGate(ApiStruct, kw_only=True):
    """DOC PodReadinessGate."""

    condition_type: Annotated[PodConditionType, pb(1)]


class PodOS(ApiStruct, kw_only=True):
    """DOC PodOS."""

    name: Annotated[OSName, pb(1)]


class PodSpec(ApiStruct, kw_only=True):
    """DOC PodSpec."""

    volumes: Annotated[
        list[Volume], pb(1), patch("merge", "retainKeys", key="name"), list_map("name")
    ] = []
    init_containers: Annotated[
        list[Container], pb(20), patch("merge", key="name"), list_map("name")
    ] = []
    containers: Annotated[list[Container], pb(2), patch("merge", key="name"), list_map("name")]
    ephemeral_containers: Annotated[
        list[EphemeralContainer], pb(34), patch("merge", key="name"), list_map("name")
    ] = []
    restart_policy: Annotated[RestartPolicy, pb(3)] = ""
    termination_grace_period_seconds: Annotated[Int64 | None, pb(4)] = None
    active_deadline_seconds: Annotated[Int64 | None, pb(5)] = None
    dns_policy: Annotated[DNSPolicy, pb(6)] = ""
    node_selector: Annotated[dict[str, str], pb(7), ATOMIC] = {}
    service_account_name: Annotated[str, pb(8)] = ""
    service_account: Annotated[str, pb(9)] = ""
    automount_service_account_token: Annotated[bool | None, pb(21)] = None
    node_name: Annotated[str, pb(10)] = ""
    host_network: Annotated[bool, pb(11)] = False
    host_pid: Annotated[bool, pb(12)] = False
    host_ipc: Annotated[bool, pb(13)] = False
    share_process_namespace: Annotated[bool | None, pb(27)] = None
    security_context: Annotated[PodSecurityContext | None, pb(14)] = None
    image_pull_secrets: Annotated[
        list[LocalObjectReference], pb(15), patch("merge", key="name"), list_map("name")
    ] = []
    hostname: Annotated[str, pb(16)] = ""
    subdomain: Annotated[str, pb(17)] = ""
    affinity: Annotated[Affinity | None, pb(18)] = None
    scheduler_name: Annotated[str, pb(19)] = ""
    tolerations: Annotated[list[Toleration], pb(22), LIST_ATOMIC] = []
    host_aliases: Annotated[list[HostAlias], pb(23), patch("merge", key="ip"), list_map("ip")] = []
    priority_class_name: Annotated[str, pb(24)] = ""
    priority: Annotated[Int32 | None, pb(25)] = None
    dns_config: Annotated[PodDNSConfig | None, pb(26)] = None
    readiness_gates: Annotated[list[PodReadinessGate], pb(28), LIST_ATOMIC] = []
    runtime_class_name: Annotated[str | None, pb(29)] = None
    enable_service_links: Annotated[bool | None, pb(30)] = None
    preemption_policy: Annotated[PreemptionPolicy | None, pb(31)] = None
    overhead: Annotated[dict[str, Quantity], pb(32)] = {}
    topology_spread_constraints: Annotated[
        list[TopologySpreadConstraint],
        pb(33),
        patch("merge", key="topologyKey"),
        list_map("topologyKey", "whenUnsatisfiable"),
    ] = []
    set_hostname_as_fqdn: Annotated[bool | None, pb(35)] = None
    os: Annotated[PodOS | None, pb(36)] = None
    host_users: Annotated[bool | None, pb(37)] = None
    scheduling_gates: Annotated[
        list[PodSchedulingGate], pb(38), patch("merge", key="name"), list_map("name")
    ] = []
    resource_claims: Annotated[
        list[PodResourceClaim], pb(39), patch("merge", "retainKeys", key="name"), list_map("name")
    ] = []
    resources: Annotated[ResourceRequirements | None, pb(40)] = None
    hostname_override: Annotated[str | None, pb(41)] = None


class PodCondition(ApiStruct, kw_only=True):
    """DOC PodCondition."""

    type: Annotated[PodConditionType, pb(1)]
    observed_generation: Annotated[Int64, pb(7)] = 0
    status: Annotated[ConditionStatus, pb(2)]
    last_probe_time: Annotated[Time | None, pb(3)] = None
    last_transition_time: Annotated[Time | None, pb(4)] = None
    reason: Annotated[str, pb(5)] = ""
    message: Annotated[str, pb(6)] = ""


class HostIP(ApiStruct, kw_only=True):
    """DOC HostIP."""

    ip: Annotated[str, pb(1)]


class PodIP(ApiStruct, kw_only=True):
    """DOC PodIP."""

    ip: Annotated[str, pb(1)]


class PodStatus(ApiStruct, kw_only=True):
    """DOC PodStatus."""

    observed_generation: Annotated[Int64, pb(17)] = 0
    phase: Annotated[PodPhase, pb(1)] = ""
    conditions: Annotated[
        list[PodCondition], pb(2), patch("merge", key="type"), list_map("type")
    ] = []
    message: Annotated[str, pb(3)] = ""
    reason: Annotated[str, pb(4)] = ""
    nominated_node_name: Annotated[str, pb(11)] = ""
    host_ip: Annotated[str, pb(5)] = ""
    host_ips: Annotated[list[HostIP], pb(16), patch("merge", key="ip"), LIST_ATOMIC] = []
    pod_ip: Annotated[str, pb(6)] = ""
    pod_ips: Annotated[list[PodIP], pb(12), patch("merge", key="ip"), list_map("ip")] = []
    start_time: Annotated[Time | None, pb(7)] = None
    init_container_statuses: Annotated[list[ContainerStatus], pb(10), LIST_ATOMIC] = []
    container_statuses: Annotated[list[ContainerStatus], pb(8), LIST_ATOMIC] = []
    qos_class: Annotated[PodQOSClass, pb(9)] = ""
    ephemeral_container_statuses: Annotated[list[ContainerStatus], pb(13), LIST_ATOMIC] = []
    resize: Annotated[PodResizeStatus, pb(14)] = ""
    resource_claim_statuses: Annotated[
        list[PodResourceClaimStatus],
        pb(15),
        patch("merge", "retainKeys", key="name"),
        list_map("name"),
    ] = []
    extended_resource_claim_status: Annotated[PodExtendedResourceClaimStatus | None, pb(18)] = None


class Pod(ApiStruct, kw_only=True):
    """DOC Pod."""

    api_version: str = type_meta("v1")
    kind: str = type_meta("Pod")
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    spec: Annotated[PodSpec, pb(2)]
    status: Annotated[PodStatus, pb(3)] = field(default_factory=PodStatus)


class PodTemplateSpec(ApiStruct, kw_only=True):
    """DOC PodTemplateSpec."""

    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    spec: Annotated[PodSpec, pb(2)]


class Binding(ApiStruct, kw_only=True):
    """DOC Binding."""

    api_version: str = type_meta("v1")
    kind: str = type_meta("Binding")
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    target: Annotated[ObjectReference, pb(2)] = field(default_factory=ObjectReference)


class PodLogOptions(ApiStruct, kw_only=True):
    """DOC PodLogOptions."""

    api_version: str = type_meta("v1")
    kind: str = type_meta("PodLogOptions")
    container: Annotated[str, pb(1)] = ""
    follow: Annotated[bool, pb(2)] = False
    previous: Annotated[bool, pb(3)] = False
    since_seconds: Annotated[Int64 | None, pb(4)] = None
    since_time: Annotated[Time | None, pb(5)] = None
    timestamps: Annotated[bool, pb(6)] = False
    tail_lines: Annotated[Int64 | None, pb(7)] = None
    limit_bytes: Annotated[Int64 | None, pb(8)] = None
    insecure_skip_tls_verify_backend: Annotated[bool, pb(9)] = False
    stream: Annotated[str | None, pb(10)] = None


class PodExecOptions(ApiStruct, kw_only=True):
    """DOC PodExecOptions."""

    api_version: str = type_meta("v1")
    kind: str = type_meta("PodExecOptions")
    stdin: Annotated[bool, pb(1)] = False
    stdout: Annotated[bool, pb(2)] = False
    stderr: Annotated[bool, pb(3)] = False
    tty: Annotated[bool, pb(4)] = False
    container: Annotated[str, pb(5)] = ""
    command: Annotated[list[str], pb(6), LIST_ATOMIC]


class PodAttachOptions(ApiStruct, kw_only=True):
    """DOC PodAttachOptions."""

    api_version: str = type_meta("v1")
    kind: str = type_meta("PodAttachOptions")
    stdin: Annotated[bool, pb(1)] = False
    stdout: Annotated[bool, pb(2)] = False
    stderr: Annotated[bool, pb(3)] = False
    tty: Annotated[bool, pb(4)] = False
    container: Annotated[str, pb(5)] = ""


class PodPortForwardOptions(ApiStruct, kw_only=True):
    """DOC PodPortForwardOptions."""

    api_version: str = type_meta("v1")
    kind: str = type_meta("PodPortForwardOptions")
    ports: Annotated[list[Int32], pb(1), LIST_ATOMIC] = []
