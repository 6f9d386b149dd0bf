"""The pod: containers that live together on one node, with one address and common volumes.

`PodSpec` is what a user writes in step 1 of the walk and what every later step works on;
`PodStatus` is what the agent reports in step 5. The bodies of the pod's subresources (binding,
log, exec, attach, port-forward) stand here too.
"""

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
    """A line of the pod's /etc/hosts."""

    ip: Annotated[str, pb(1)]
    """Address."""
    hostnames: Annotated[list[str], pb(2), LIST_ATOMIC] = []
    """Names for it."""


class PodDNSConfigOption(ApiStruct, kw_only=True):
    """An option of the resolver."""

    name: Annotated[str, pb(1)] = ""
    """Name, such as `ndots`."""
    value: Annotated[str | None, pb(2)] = None
    """Value; absent for options that have none."""


class PodDNSConfig(ApiStruct, kw_only=True):
    """Entries for the pod's resolv.conf, added to those that its DNS policy yields."""

    nameservers: Annotated[list[str], pb(1), LIST_ATOMIC] = []
    """Addresses of further name servers; at most 3 in all."""
    searches: Annotated[list[str], pb(2), LIST_ATOMIC] = []
    """Further domains in which short names are looked up; at most 32 in all."""
    options: Annotated[list[PodDNSConfigOption], pb(3), LIST_ATOMIC] = []
    """Options of the resolver; one of the same name replaces the policy's."""


class PodReadinessGate(ApiStruct, kw_only=True):
    """A condition that must be true, beside those of the containers, for the pod to be ready."""

    condition_type: Annotated[PodConditionType, pb(1)]
    """Type of the condition in the pod's status."""


class PodOS(ApiStruct, kw_only=True):
    """The operating system that the containers need."""

    name: Annotated[OSName, pb(1)]
    """`linux` or `windows`."""


class PodSpec(ApiStruct, kw_only=True):
    """What should run. Most of it cannot be changed once the pod exists; change the template of its
    owner instead."""

    volumes: Annotated[
        list[Volume], pb(1), patch("merge", "retainKeys", key="name"), list_map("name")
    ] = []
    """Files and folders that containers can mount."""
    init_containers: Annotated[
        list[Container], pb(20), patch("merge", key="name"), list_map("name")
    ] = []
    """Containers that run before the others, one after another; each must succeed. Those with
    restartPolicy Always are sidecars and keep running."""
    containers: Annotated[list[Container], pb(2), patch("merge", key="name"), list_map("name")]
    """Containers that run side by side; at least one. None can be added or removed later."""
    ephemeral_containers: Annotated[
        list[EphemeralContainer], pb(34), patch("merge", key="name"), list_map("name")
    ] = []
    """Containers added to a running pod for debugging. Set only through the `ephemeralcontainers`
    subresource."""
    restart_policy: Annotated[RestartPolicy, pb(3)] = ""
    """When ended containers are restarted: `Always`, `OnFailure` or `Never`. Default: Always."""
    termination_grace_period_seconds: Annotated[Int64 | None, pb(4)] = None
    """Seconds from the request to stop until the processes are killed; 0 kills at once. Default:
    30."""
    active_deadline_seconds: Annotated[Int64 | None, pb(5)] = None
    """Seconds after its start at which the pod is ended and marked as failed. May be set or
    shortened later."""
    dns_policy: Annotated[DNSPolicy, pb(6)] = ""
    """Where names are resolved: `ClusterFirst` uses the cluster's DNS, `ClusterFirstWithHostNet`
    does so for host network pods too, `Default` the node's, `None` only `dnsConfig`. Default:
    ClusterFirst."""
    node_selector: Annotated[dict[str, str], pb(7), ATOMIC] = {}
    """Labels that a node must have to be considered."""
    service_account_name: Annotated[str, pb(8)] = ""
    """The ServiceAccount as which the pod acts. Default: `default`."""
    service_account: Annotated[str, pb(9)] = ""
    """Old name of `serviceAccountName`; both are kept equal."""
    automount_service_account_token: Annotated[bool | None, pb(21)] = None
    """Whether the account's token is mounted into the containers. Default: what the ServiceAccount
    says."""
    node_name: Annotated[str, pb(10)] = ""
    """The node that the pod runs on. The scheduler fills it; a pod created with it is not scheduled
    at all."""
    host_network: Annotated[bool, pb(11)] = False
    """Use the node's network instead of an address of its own. Default: false."""
    host_pid: Annotated[bool, pb(12)] = False
    """See the node's processes. Default: false."""
    host_ipc: Annotated[bool, pb(13)] = False
    """Use the node's IPC. Default: false."""
    share_process_namespace: Annotated[bool | None, pb(27)] = None
    """Let the containers of the pod see each other's processes. Default: false."""
    security_context: Annotated[PodSecurityContext | None, pb(14)] = None
    """Security settings of the pod and of all its containers."""
    image_pull_secrets: Annotated[
        list[LocalObjectReference], pb(15), patch("merge", key="name"), list_map("name")
    ] = []
    """Secrets with credentials for the registries of the images."""
    hostname: Annotated[str, pb(16)] = ""
    """Hostname of the containers. Default: the pod's name."""
    subdomain: Annotated[str, pb(17)] = ""
    """Makes the full hostname `HOSTNAME.SUBDOMAIN.NAMESPACE.svc.DOMAIN`; a headless Service of this
    name puts it into the DNS."""
    affinity: Annotated[Affinity | None, pb(18)] = None
    """Which nodes, and which other pods, it should be near to or away from."""
    scheduler_name: Annotated[str, pb(19)] = ""
    """The scheduler that chooses the node. Default: `default-scheduler`."""
    tolerations: Annotated[list[Toleration], pb(22), LIST_ATOMIC] = []
    """Taints of nodes that the pod can live with. Entries may be added later."""
    host_aliases: Annotated[list[HostAlias], pb(23), patch("merge", key="ip"), list_map("ip")] = []
    """Further lines for /etc/hosts."""
    priority_class_name: Annotated[str, pb(24)] = ""
    """Name of the PriorityClass that sets `priority`."""
    priority: Annotated[Int32 | None, pb(25)] = None
    """The higher, the more important. Set by the server."""
    dns_config: Annotated[PodDNSConfig | None, pb(26)] = None
    """Entries for resolv.conf beside those of `dnsPolicy`."""
    readiness_gates: Annotated[list[PodReadinessGate], pb(28), LIST_ATOMIC] = []
    """Further conditions that must hold for the pod to be ready."""
    runtime_class_name: Annotated[str | None, pb(29)] = None
    """Name of the RuntimeClass; absent means the node's usual runtime."""
    enable_service_links: Annotated[bool | None, pb(30)] = None
    """Set environment variables for every Service of the namespace. Default: true."""
    preemption_policy: Annotated[PreemptionPolicy | None, pb(31)] = None
    """Whether pods of lower priority may be evicted for this one: `PreemptLowerPriority` or
    `Never`. Default: PreemptLowerPriority."""
    overhead: Annotated[dict[str, Quantity], pb(32)] = {}
    """Resources that running the pod takes beside its containers. Set by the server from the
    RuntimeClass."""
    topology_spread_constraints: Annotated[
        list[TopologySpreadConstraint],
        pb(33),
        patch("merge", key="topologyKey"),
        list_map("topologyKey", "whenUnsatisfiable"),
    ] = []
    """How pods of the same kind are spread over zones, nodes or other places."""
    set_hostname_as_fqdn: Annotated[bool | None, pb(35)] = None
    """Make the full name the hostname. Default: false."""
    os: Annotated[PodOS | None, pb(36)] = None
    """The operating system that the containers need."""
    host_users: Annotated[bool | None, pb(37)] = None
    """False runs the pod in a user namespace of its own. Default: true."""
    scheduling_gates: Annotated[
        list[PodSchedulingGate], pb(38), patch("merge", key="name"), list_map("name")
    ] = []
    """While there is one, the pod is not scheduled. They may only be removed later."""
    resource_claims: Annotated[
        list[PodResourceClaim], pb(39), patch("merge", "retainKeys", key="name"), list_map("name")
    ] = []
    """Claims for devices that the containers may use."""
    resources: Annotated[ResourceRequirements | None, pb(40)] = None
    """Requests and limits of the pod as a whole."""
    hostname_override: Annotated[str | None, pb(41)] = None
    """Hostname of the containers whatever the other fields say, and without a DNS record."""


class PodCondition(ApiStruct, kw_only=True):
    """One step that a pod has passed, or not."""

    type: Annotated[PodConditionType, pb(1)]
    """The step: `PodScheduled`, `Initialized`, `ContainersReady`, `Ready`, or a name of your own
    for a readiness gate."""
    observed_generation: Annotated[Int64, pb(7)] = 0
    """The `metadata.generation` that this was concluded from."""
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


class HostIP(ApiStruct, kw_only=True):
    """An address of the node."""

    ip: Annotated[str, pb(1)]
    """The address."""


class PodIP(ApiStruct, kw_only=True):
    """An address of the pod."""

    ip: Annotated[str, pb(1)]
    """The address."""


class PodStatus(ApiStruct, kw_only=True):
    """How the pod is doing, as its node reports it. May lag behind while the node cannot be
    reached."""

    observed_generation: Annotated[Int64, pb(17)] = 0
    """The `metadata.generation` that the node has acted on."""
    phase: Annotated[PodPhase, pb(1)] = ""
    """Where it is in its life: `Pending`, `Running`, `Succeeded`, `Failed`, or `Unknown` when its
    node cannot be reached."""
    conditions: Annotated[
        list[PodCondition], pb(2), patch("merge", key="type"), list_map("type")
    ] = []
    """The steps that it has passed."""
    message: Annotated[str, pb(3)] = ""
    """Why it is in this state, in a sentence."""
    reason: Annotated[str, pb(4)] = ""
    """Why it is in this state, in one word, such as `Evicted`."""
    nominated_node_name: Annotated[str, pb(11)] = ""
    """The node on which room is being made for it."""
    host_ip: Annotated[str, pb(5)] = ""
    """Address of its node."""
    host_ips: Annotated[list[HostIP], pb(16), patch("merge", key="ip"), LIST_ATOMIC] = []
    """Addresses of its node, one for each family."""
    pod_ip: Annotated[str, pb(6)] = ""
    """Its address; every pod and node of the cluster can reach it."""
    pod_ips: Annotated[list[PodIP], pb(12), patch("merge", key="ip"), list_map("ip")] = []
    """Its addresses, one for each family; the first is `podIP`."""
    start_time: Annotated[Time | None, pb(7)] = None
    """When the node accepted the pod."""
    init_container_statuses: Annotated[list[ContainerStatus], pb(10), LIST_ATOMIC] = []
    """State of each init container, in their order."""
    container_statuses: Annotated[list[ContainerStatus], pb(8), LIST_ATOMIC] = []
    """State of each container."""
    qos_class: Annotated[PodQOSClass, pb(9)] = ""
    """`Guaranteed`, `Burstable` or `BestEffort`, from requests and limits. The last is evicted
    first when memory is short."""
    ephemeral_container_statuses: Annotated[list[ContainerStatus], pb(13), LIST_ATOMIC] = []
    """State of each ephemeral container."""
    resize: Annotated[PodResizeStatus, pb(14)] = ""
    """State of a change of resources; replaced by conditions."""
    resource_claim_statuses: Annotated[
        list[PodResourceClaimStatus],
        pb(15),
        patch("merge", "retainKeys", key="name"),
        list_map("name"),
    ] = []
    """Which claims its `resourceClaims` came to use."""
    extended_resource_claim_status: Annotated[PodExtendedResourceClaimStatus | None, pb(18)] = None
    """The claim behind its extended resources."""


class Pod(ApiStruct, kw_only=True):
    """Containers that are placed together on one node and share an address and volumes. Usually
    made by a Deployment or another owner, which replaces it when it is lost."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("Pod")
    """Name of this schema: `Pod`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[PodSpec, pb(2)]
    """The wanted state."""
    status: Annotated[PodStatus, pb(3)] = field(default_factory=PodStatus)
    """The observed state. Set by the cluster, ignored in other writes."""


class PodTemplateSpec(ApiStruct, kw_only=True):
    """The pattern from which pods are made."""

    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Labels and annotations of the pods."""
    spec: Annotated[PodSpec, pb(2)]
    """What each pod should run."""


class Binding(ApiStruct, kw_only=True):
    """Assigns a pod to a node. Sent by schedulers to the `binding` subresource."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("Binding")
    """Name of this schema: `Binding`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    target: Annotated[ObjectReference, pb(2)] = field(default_factory=ObjectReference)
    """The node."""


class PodLogOptions(ApiStruct, kw_only=True):
    """Query parameters of a pod's log."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("PodLogOptions")
    """Name of this schema: `PodLogOptions`."""
    container: Annotated[str, pb(1)] = ""
    """The container; may be left out if there is only one."""
    follow: Annotated[bool, pb(2)] = False
    """Go on as new lines are written."""
    previous: Annotated[bool, pb(3)] = False
    """The log of the run before the last restart."""
    since_seconds: Annotated[Int64 | None, pb(4)] = None
    """Only lines of the last so many seconds."""
    since_time: Annotated[Time | None, pb(5)] = None
    """Only lines after this time."""
    timestamps: Annotated[bool, pb(6)] = False
    """Put the time before each line."""
    tail_lines: Annotated[Int64 | None, pb(7)] = None
    """Only the last so many lines."""
    limit_bytes: Annotated[Int64 | None, pb(8)] = None
    """End after this many bytes."""
    insecure_skip_tls_verify_backend: Annotated[bool, pb(9)] = False
    """Do not verify the certificate of the node."""
    stream: Annotated[str | None, pb(10)] = None
    """`All`, `Stdout` or `Stderr`. Default: All."""


class PodExecOptions(ApiStruct, kw_only=True):
    """Query parameters of a command in a container."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("PodExecOptions")
    """Name of this schema: `PodExecOptions`."""
    stdin: Annotated[bool, pb(1)] = False
    """Send standard input."""
    stdout: Annotated[bool, pb(2)] = False
    """Receive standard output."""
    stderr: Annotated[bool, pb(3)] = False
    """Receive standard error."""
    tty: Annotated[bool, pb(4)] = False
    """Give the command a terminal; standard error is then part of standard output."""
    container: Annotated[str, pb(5)] = ""
    """The container; may be left out if there is only one."""
    command: Annotated[list[str], pb(6), LIST_ATOMIC]
    """The program and its arguments. There is no shell unless you name one."""


class PodAttachOptions(ApiStruct, kw_only=True):
    """Query parameters of attaching to a container's first process."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("PodAttachOptions")
    """Name of this schema: `PodAttachOptions`."""
    stdin: Annotated[bool, pb(1)] = False
    """Send standard input."""
    stdout: Annotated[bool, pb(2)] = False
    """Receive standard output."""
    stderr: Annotated[bool, pb(3)] = False
    """Receive standard error."""
    tty: Annotated[bool, pb(4)] = False
    """The container has a terminal."""
    container: Annotated[str, pb(5)] = ""
    """The container; may be left out if there is only one."""


class PodPortForwardOptions(ApiStruct, kw_only=True):
    """Query parameters of forwarding connections to a pod."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("PodPortForwardOptions")
    """Name of this schema: `PodPortForwardOptions`."""
    ports: Annotated[list[Int32], pb(1), LIST_ATOMIC] = []
    """Ports of the pod."""


class PodProxyOptions(ApiStruct, kw_only=True):
    """Query parameters of a request that is passed on to a pod."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("PodProxyOptions")
    """Name of this schema: `PodProxyOptions`."""
    path: Annotated[str, pb(1)] = ""
    """The path of the request there."""
