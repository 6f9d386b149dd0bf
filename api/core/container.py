"""DOC core/container."""

from typing import Annotated, ClassVar

from msgspec import field

from api.core.references import LocalObjectReference
from api.core.resources import ResourceName, ResourceRequirements, ResourceStatus
from api.core.security import SecurityContext
from api.core.volume import (
    ObjectFieldSelector,
    PullPolicy,
    ResourceFieldSelector,
    VolumeDevice,
    VolumeMount,
    VolumeMountStatus,
)
from api.struct import (
    LIST_ATOMIC,
    LIST_SET,
    ApiStruct,
    Inline,
    Int32,
    Int64,
    IntOrString,
    Quantity,
    Time,
    enum,
    list_map,
    patch,
    pb,
)

Protocol = Annotated[str, enum("TCP", "UDP", "SCTP")]
ResourceResizeRestartPolicy = Annotated[str, enum("NotRequired", "RestartContainer")]
ContainerRestartRuleOnExitCodesOperator = Annotated[str, enum("In", "NotIn")]
ContainerRestartRuleAction = Annotated[str, enum("Restart")]
URIScheme = Annotated[str, enum("HTTP", "HTTPS")]
Signal = Annotated[
    str,
    enum(
        "SIGABRT",
        "SIGALRM",
        "SIGBUS",
        "SIGCHLD",
        "SIGCLD",
        "SIGCONT",
        "SIGFPE",
        "SIGHUP",
        "SIGILL",
        "SIGINT",
        "SIGIO",
        "SIGIOT",
        "SIGKILL",
        "SIGPIPE",
        "SIGPOLL",
        "SIGPROF",
        "SIGPWR",
        "SIGQUIT",
        "SIGSEGV",
        "SIGSTKFLT",
        "SIGSTOP",
        "SIGSYS",
        "SIGTERM",
        "SIGTRAP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGUSR1",
        "SIGUSR2",
        "SIGVTALRM",
        "SIGWINCH",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGRTMIN",
        "SIGRTMIN+1",
        "SIGRTMIN+2",
        "SIGRTMIN+3",
        "SIGRTMIN+4",
        "SIGRTMIN+5",
        "SIGRTMIN+6",
        "SIGRTMIN+7",
        "SIGRTMIN+8",
        "SIGRTMIN+9",
        "SIGRTMIN+10",
        "SIGRTMIN+11",
        "SIGRTMIN+12",
        "SIGRTMIN+13",
        "SIGRTMIN+14",
        "SIGRTMIN+15",
        "SIGRTMAX-14",
        "SIGRTMAX-13",
        "SIGRTMAX-12",
        "SIGRTMAX-11",
        "SIGRTMAX-10",
        "SIGRTMAX-9",
        "SIGRTMAX-8",
        "SIGRTMAX-7",
        "SIGRTMAX-6",
        "SIGRTMAX-5",
        "SIGRTMAX-4",
        "SIGRTMAX-3",
        "SIGRTMAX-2",
        "SIGRTMAX-1",
        "SIGRTMAX",
    ),
]
ContainerRestartPolicy = Annotated[str, enum("Always", "Never", "OnFailure")]
TerminationMessagePolicy = Annotated[str, enum("File", "FallbackToLogsOnError")]


class ContainerPort(ApiStruct, kw_only=True):
    """DOC ContainerPort."""

    name: Annotated[str, pb(1)] = ""
    host_port: Annotated[Int32, pb(2)] = 0
    container_port: Annotated[Int32, pb(3)]
    protocol: Annotated[Protocol, pb(4)] = ""
    host_ip: Annotated[str, pb(5)] = ""


class ConfigMapEnvSource(LocalObjectReference, kw_only=True):
    """DOC ConfigMapEnvSource."""

    __inline__: ClassVar[Inline] = {1: LocalObjectReference}
    optional: Annotated[bool | None, pb(2)] = None


class SecretEnvSource(LocalObjectReference, kw_only=True):
    """DOC SecretEnvSource."""

    __inline__: ClassVar[Inline] = {1: LocalObjectReference}
    optional: Annotated[bool | None, pb(2)] = None


class EnvFromSource(ApiStruct, kw_only=True):
    """DOC EnvFromSource."""

    prefix: Annotated[str, pb(1)] = ""
    config_map_ref: Annotated[ConfigMapEnvSource | None, pb(2)] = None
    secret_ref: Annotated[SecretEnvSource | None, pb(3)] = None


class ConfigMapKeySelector(LocalObjectReference, kw_only=True):
    """DOC ConfigMapKeySelector."""

    __inline__: ClassVar[Inline] = {1: LocalObjectReference}
    key: Annotated[str, pb(2)]
    optional: Annotated[bool | None, pb(3)] = None


class SecretKeySelector(LocalObjectReference, kw_only=True):
    """DOC SecretKeySelector."""

    __inline__: ClassVar[Inline] = {1: LocalObjectReference}
    key: Annotated[str, pb(2)]
    optional: Annotated[bool | None, pb(3)] = None


class FileKeySelector(ApiStruct, kw_only=True):
    """DOC FileKeySelector."""

    volume_name: Annotated[str, pb(1)]
    path: Annotated[str, pb(2)]
    key: Annotated[str, pb(3)]
    optional: Annotated[bool | None, pb(4)] = None


class EnvVarSource(ApiStruct, kw_only=True):
    """DOC EnvVarSource."""

    field_ref: Annotated[ObjectFieldSelector | None, pb(1)] = None
    resource_field_ref: Annotated[ResourceFieldSelector | None, pb(2)] = None
    config_map_key_ref: Annotated[ConfigMapKeySelector | None, pb(3)] = None
    secret_key_ref: Annotated[SecretKeySelector | None, pb(4)] = None
    file_key_ref: Annotated[FileKeySelector | None, pb(5)] = None


class EnvVar(ApiStruct, kw_only=True):
    """DOC EnvVar."""

    name: Annotated[str, pb(1)]
    value: Annotated[str, pb(2)] = ""
    value_from: Annotated[EnvVarSource | None, pb(3)] = None


class ContainerResizePolicy(ApiStruct, kw_only=True):
    """DOC ContainerResizePolicy."""

    resource_name: Annotated[ResourceName, pb(1)]
    restart_policy: Annotated[ResourceResizeRestartPolicy, pb(2)]


class ContainerRestartRuleOnExitCodes(ApiStruct, kw_only=True):
    """DOC ContainerRestartRuleOnExitCodes."""

    operator: Annotated[ContainerRestartRuleOnExitCodesOperator, pb(1)] = ""
    values: Annotated[list[Int32], pb(2), LIST_SET] = []


class ContainerRestartRule(ApiStruct, kw_only=True):
    """DOC ContainerRestartRule."""

    action: Annotated[ContainerRestartRuleAction, pb(1)] = ""
    exit_codes: Annotated[ContainerRestartRuleOnExitCodes | None, pb(2)] = None


class ExecAction(ApiStruct, kw_only=True):
    """DOC ExecAction."""

    command: Annotated[list[str], pb(1), LIST_ATOMIC] = []


class HTTPHeader(ApiStruct, kw_only=True):
    """DOC HTTPHeader."""

    name: Annotated[str, pb(1)]
    value: Annotated[str, pb(2)]


class HTTPGetAction(ApiStruct, kw_only=True):
    """DOC HTTPGetAction."""

    path: Annotated[str, pb(1)] = ""
    port: Annotated[IntOrString, pb(2)]
    host: Annotated[str, pb(3)] = ""
    scheme: Annotated[URIScheme, pb(4)] = ""
    http_headers: Annotated[list[HTTPHeader], pb(5), LIST_ATOMIC] = []


class TCPSocketAction(ApiStruct, kw_only=True):
    """DOC TCPSocketAction."""

    port: Annotated[IntOrString, pb(1)]
    host: Annotated[str, pb(2)] = ""


class GRPCAction(ApiStruct, kw_only=True):
    """DOC GRPCAction."""

    port: Annotated[Int32, pb(1)]
    service: Annotated[str | None, pb(2)]


class ProbeHandler(ApiStruct, kw_only=True):
    """DOC ProbeHandler."""

    exec: Annotated[ExecAction | None, pb(1)] = None
    http_get: Annotated[HTTPGetAction | None, pb(2)] = None
    tcp_socket: Annotated[TCPSocketAction | None, pb(3)] = None
    grpc: Annotated[GRPCAction | None, pb(4)] = None


class Probe(ProbeHandler, kw_only=True):
    """DOC Probe."""

    __inline__: ClassVar[Inline] = {1: ProbeHandler}
    initial_delay_seconds: Annotated[Int32, pb(2)] = 0
    timeout_seconds: Annotated[Int32, pb(3)] = 0
    period_seconds: Annotated[Int32, pb(4)] = 0
    success_threshold: Annotated[Int32, pb(5)] = 0
    failure_threshold: Annotated[Int32, pb(6)] = 0
    termination_grace_period_seconds: Annotated[Int64 | None, pb(7)] = None


class SleepAction(ApiStruct, kw_only=True):
    """DOC SleepAction."""

    seconds: Annotated[Int64, pb(1)]


class LifecycleHandler(ApiStruct, kw_only=True):
    """DOC LifecycleHandler."""

    exec: Annotated[ExecAction | None, pb(1)] = None
    http_get: Annotated[HTTPGetAction | None, pb(2)] = None
    tcp_socket: Annotated[TCPSocketAction | None, pb(3)] = None
    sleep: Annotated[SleepAction | None, pb(4)] = None


class Lifecycle(ApiStruct, kw_only=True):
    """DOC Lifecycle."""

    post_start: Annotated[LifecycleHandler | None, pb(1)] = None
    pre_stop: Annotated[LifecycleHandler | None, pb(2)] = None
    stop_signal: Annotated[Signal | None, pb(3)] = None


class Container(ApiStruct, kw_only=True):
    """DOC Container."""

    name: Annotated[str, pb(1)]
    image: Annotated[str, pb(2)] = ""
    command: Annotated[list[str], pb(3), LIST_ATOMIC] = []
    args: Annotated[list[str], pb(4), LIST_ATOMIC] = []
    working_dir: Annotated[str, pb(5)] = ""
    ports: Annotated[
        list[ContainerPort],
        pb(6),
        patch("merge", key="containerPort"),
        list_map("containerPort", "protocol"),
    ] = []
    env_from: Annotated[list[EnvFromSource], pb(19), LIST_ATOMIC] = []
    env: Annotated[list[EnvVar], pb(7), patch("merge", key="name"), list_map("name")] = []
    resources: Annotated[ResourceRequirements, pb(8)] = field(default_factory=ResourceRequirements)
    resize_policy: Annotated[list[ContainerResizePolicy], pb(23), LIST_ATOMIC] = []
    restart_policy: Annotated[ContainerRestartPolicy | None, pb(24)] = None
    restart_policy_rules: Annotated[list[ContainerRestartRule], pb(25), LIST_ATOMIC] = []
    volume_mounts: Annotated[
        list[VolumeMount], pb(9), patch("merge", key="mountPath"), list_map("mountPath")
    ] = []
    volume_devices: Annotated[
        list[VolumeDevice], pb(21), patch("merge", key="devicePath"), list_map("devicePath")
    ] = []
    liveness_probe: Annotated[Probe | None, pb(10)] = None
    readiness_probe: Annotated[Probe | None, pb(11)] = None
    startup_probe: Annotated[Probe | None, pb(22)] = None
    lifecycle: Annotated[Lifecycle | None, pb(12)] = None
    termination_message_path: Annotated[str, pb(13)] = ""
    termination_message_policy: Annotated[TerminationMessagePolicy, pb(20)] = ""
    image_pull_policy: Annotated[PullPolicy, pb(14)] = ""
    security_context: Annotated[SecurityContext | None, pb(15)] = None
    stdin: Annotated[bool, pb(16)] = False
    stdin_once: Annotated[bool, pb(17)] = False
    tty: Annotated[bool, pb(18)] = False


class EphemeralContainerCommon(ApiStruct, kw_only=True):
    """DOC EphemeralContainerCommon."""

    name: Annotated[str, pb(1)]
    image: Annotated[str, pb(2)] = ""
    command: Annotated[list[str], pb(3), LIST_ATOMIC] = []
    args: Annotated[list[str], pb(4), LIST_ATOMIC] = []
    working_dir: Annotated[str, pb(5)] = ""
    ports: Annotated[
        list[ContainerPort],
        pb(6),
        patch("merge", key="containerPort"),
        list_map("containerPort", "protocol"),
    ] = []
    env_from: Annotated[list[EnvFromSource], pb(19), LIST_ATOMIC] = []
    env: Annotated[list[EnvVar], pb(7), patch("merge", key="name"), list_map("name")] = []
    resources: Annotated[ResourceRequirements, pb(8)] = field(default_factory=ResourceRequirements)
    resize_policy: Annotated[list[ContainerResizePolicy], pb(23), LIST_ATOMIC] = []
    restart_policy: Annotated[ContainerRestartPolicy | None, pb(24)] = None
    restart_policy_rules: Annotated[list[ContainerRestartRule], pb(25), LIST_ATOMIC] = []
    volume_mounts: Annotated[
        list[VolumeMount], pb(9), patch("merge", key="mountPath"), list_map("mountPath")
    ] = []
    volume_devices: Annotated[
        list[VolumeDevice], pb(21), patch("merge", key="devicePath"), list_map("devicePath")
    ] = []
    liveness_probe: Annotated[Probe | None, pb(10)] = None
    readiness_probe: Annotated[Probe | None, pb(11)] = None
    startup_probe: Annotated[Probe | None, pb(22)] = None
    lifecycle: Annotated[Lifecycle | None, pb(12)] = None
    termination_message_path: Annotated[str, pb(13)] = ""
    termination_message_policy: Annotated[TerminationMessagePolicy, pb(20)] = ""
    image_pull_policy: Annotated[PullPolicy, pb(14)] = ""
    security_context: Annotated[SecurityContext | None, pb(15)] = None
    stdin: Annotated[bool, pb(16)] = False
    stdin_once: Annotated[bool, pb(17)] = False
    tty: Annotated[bool, pb(18)] = False


class EphemeralContainer(EphemeralContainerCommon, kw_only=True):
    """DOC EphemeralContainer."""

    __inline__: ClassVar[Inline] = {1: EphemeralContainerCommon}
    target_container_name: Annotated[str, pb(2)] = ""


class ContainerStateWaiting(ApiStruct, kw_only=True):
    """DOC ContainerStateWaiting."""

    reason: Annotated[str, pb(1)] = ""
    message: Annotated[str, pb(2)] = ""


class ContainerStateRunning(ApiStruct, kw_only=True):
    """DOC ContainerStateRunning."""

    started_at: Annotated[Time | None, pb(1)] = None


class ContainerStateTerminated(ApiStruct, kw_only=True):
    """DOC ContainerStateTerminated."""

    exit_code: Annotated[Int32, pb(1)]
    signal: Annotated[Int32, pb(2)] = 0
    reason: Annotated[str, pb(3)] = ""
    message: Annotated[str, pb(4)] = ""
    started_at: Annotated[Time | None, pb(5)] = None
    finished_at: Annotated[Time | None, pb(6)] = None
    container_id: Annotated[str, pb(7)] = ""


class ContainerState(ApiStruct, kw_only=True):
    """DOC ContainerState."""

    waiting: Annotated[ContainerStateWaiting | None, pb(1)] = None
    running: Annotated[ContainerStateRunning | None, pb(2)] = None
    terminated: Annotated[ContainerStateTerminated | None, pb(3)] = None


class LinuxContainerUser(ApiStruct, kw_only=True):
    """DOC LinuxContainerUser."""

    uid: Annotated[Int64, pb(1)]
    gid: Annotated[Int64, pb(2)]
    supplemental_groups: Annotated[list[Int64], pb(3), LIST_ATOMIC] = []


class ContainerUser(ApiStruct, kw_only=True):
    """DOC ContainerUser."""

    linux: Annotated[LinuxContainerUser | None, pb(1)] = None


class ContainerStatus(ApiStruct, kw_only=True):
    """DOC ContainerStatus."""

    name: Annotated[str, pb(1)]
    state: Annotated[ContainerState, pb(2)] = field(default_factory=ContainerState)
    last_state: Annotated[ContainerState, pb(3)] = field(default_factory=ContainerState)
    ready: Annotated[bool, pb(4)]
    restart_count: Annotated[Int32, pb(5)]
    image: Annotated[str, pb(6)]
    image_id: Annotated[str, pb(7)]
    container_id: Annotated[str, pb(8)] = ""
    started: Annotated[bool | None, pb(9)] = None
    allocated_resources: Annotated[dict[str, Quantity], pb(10)] = {}
    resources: Annotated[ResourceRequirements | None, pb(11)] = None
    volume_mounts: Annotated[
        list[VolumeMountStatus], pb(12), patch("merge", key="mountPath"), list_map("mountPath")
    ] = []
    user: Annotated[ContainerUser | None, pb(13)] = None
    allocated_resources_status: Annotated[
        list[ResourceStatus], pb(14), patch("merge", key="name"), list_map("name")
    ] = []
    stop_signal: Annotated[Signal | None, pb(15)] = None
