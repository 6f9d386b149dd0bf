"""A container of a pod: what to run, and how it is doing.

The agent makes a container of each entry (step 4 of the pod's walk), passes its state on in
`ContainerStatus` (step 5), and stops it in step 7.
"""

from typing import Annotated, ClassVar

from msgspec import field

from api.core.probe import Lifecycle, Probe, Signal
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
ContainerRestartPolicy = Annotated[str, enum("Always", "Never", "OnFailure")]
TerminationMessagePolicy = Annotated[str, enum("File", "FallbackToLogsOnError")]


class ContainerPort(ApiStruct, kw_only=True):
    """A port that the container listens on. Listing it informs people and Services; it opens
    nothing, except `hostPort`."""

    name: Annotated[str, pb(1)] = ""
    """Name for use in Services and probes, unique within the pod."""
    host_port: Annotated[Int32, pb(2)] = 0
    """Port of the node that is forwarded here. With `hostNetwork` it must equal `containerPort`."""
    container_port: Annotated[Int32, pb(3)]
    """Port in the pod, 1 to 65535."""
    protocol: Annotated[Protocol, pb(4)] = ""
    """`TCP`, `UDP` or `SCTP`. Default: TCP."""
    host_ip: Annotated[str, pb(5)] = ""
    """Address of the node that `hostPort` is bound to. Default: all of them."""


class ConfigMapEnvSource(LocalObjectReference, kw_only=True):
    """All keys of a ConfigMap as environment variables."""

    __inline__: ClassVar[Inline] = {1: LocalObjectReference}
    optional: Annotated[bool | None, pb(2)] = None
    """Go on without it if the ConfigMap is missing. Default: false, the container waits."""


class SecretEnvSource(LocalObjectReference, kw_only=True):
    """All keys of a Secret as environment variables."""

    __inline__: ClassVar[Inline] = {1: LocalObjectReference}
    optional: Annotated[bool | None, pb(2)] = None
    """Go on without it if the Secret is missing. Default: false, the container waits."""


class EnvFromSource(ApiStruct, kw_only=True):
    """Makes an environment variable of every key of a ConfigMap or Secret."""

    prefix: Annotated[str, pb(1)] = ""
    """Put before each key."""
    config_map_ref: Annotated[ConfigMapEnvSource | None, pb(2)] = None
    """The ConfigMap to read."""
    secret_ref: Annotated[SecretEnvSource | None, pb(3)] = None
    """The Secret to read."""


class ConfigMapKeySelector(LocalObjectReference, kw_only=True):
    """One key of a ConfigMap in the pod's namespace."""

    __inline__: ClassVar[Inline] = {1: LocalObjectReference}
    key: Annotated[str, pb(2)]
    """The key."""
    optional: Annotated[bool | None, pb(3)] = None
    """Leave the variable out if the ConfigMap or the key is missing. Default: false, the container
    waits."""


class SecretKeySelector(LocalObjectReference, kw_only=True):
    """One key of a Secret in the pod's namespace."""

    __inline__: ClassVar[Inline] = {1: LocalObjectReference}
    key: Annotated[str, pb(2)]
    """The key."""
    optional: Annotated[bool | None, pb(3)] = None
    """Leave the variable out if the Secret or the key is missing. Default: false, the container
    waits."""


class FileKeySelector(ApiStruct, kw_only=True):
    """One variable out of a file that an init container wrote into an emptyDir volume."""

    __atomic__: ClassVar[bool] = True

    volume_name: Annotated[str, pb(1)]
    """The volume."""
    path: Annotated[str, pb(2)]
    """Path of the file in the volume, relative."""
    key: Annotated[str, pb(3)]
    """Name of the variable in the file."""
    optional: Annotated[bool | None, pb(4)] = None
    """Leave the variable out if the file or the key is missing. Default: false."""


class EnvVarSource(ApiStruct, kw_only=True):
    """Where a variable's value comes from. Exactly one must be set."""

    field_ref: Annotated[ObjectFieldSelector | None, pb(1)] = None
    """A field of the pod, such as `metadata.name` or `status.podIP`."""
    resource_field_ref: Annotated[ResourceFieldSelector | None, pb(2)] = None
    """A request or limit of a container."""
    config_map_key_ref: Annotated[ConfigMapKeySelector | None, pb(3)] = None
    """A key of a ConfigMap."""
    secret_key_ref: Annotated[SecretKeySelector | None, pb(4)] = None
    """A key of a Secret."""
    file_key_ref: Annotated[FileKeySelector | None, pb(5)] = None
    """A key in a file of a volume."""


class EnvVar(ApiStruct, kw_only=True):
    """An environment variable."""

    name: Annotated[str, pb(1)]
    """Name of the variable."""
    value: Annotated[str, pb(2)] = ""
    """The value. `$(NAME)` is replaced by a variable defined earlier; `$$` is a literal `$`.
    Default: empty."""
    value_from: Annotated[EnvVarSource | None, pb(3)] = None
    """Where to take the value from; cannot be combined with `value`."""


class ContainerResizePolicy(ApiStruct, kw_only=True):
    """Whether a change of a resource in a running container needs a restart."""

    resource_name: Annotated[ResourceName, pb(1)]
    """`cpu` or `memory`."""
    restart_policy: Annotated[ResourceResizeRestartPolicy, pb(2)]
    """`NotRequired` or `RestartContainer`."""


class ContainerRestartRuleOnExitCodes(ApiStruct, kw_only=True):
    """Compares the exit code of a container with a list."""

    operator: Annotated[ContainerRestartRuleOnExitCodesOperator, pb(1)] = ""
    """`In` or `NotIn`."""
    values: Annotated[list[Int32], pb(2), LIST_SET] = []
    """Exit codes, at most 255 of them."""


class ContainerRestartRule(ApiStruct, kw_only=True):
    """What to do when a container exits in a certain way."""

    action: Annotated[ContainerRestartRuleAction, pb(1)] = ""
    """What to do: `Restart`."""
    exit_codes: Annotated[ContainerRestartRuleOnExitCodes | None, pb(2)] = None
    """The exit codes for which the rule holds."""


class Container(ApiStruct, kw_only=True):
    """A process with its image, environment, mounts and checks, that runs as part of a pod."""

    name: Annotated[str, pb(1)]
    """Name, unique within the pod; a DNS label. Cannot be changed."""
    image: Annotated[str, pb(2)] = ""
    """Image to run, such as `nginx:1.27` or `registry:5000/team/app@sha256:…`. The one field of a
    running pod's container that may be changed; the container is restarted with the new image."""
    command: Annotated[list[str], pb(3), LIST_ATOMIC] = []
    """Program and first arguments instead of the image's entrypoint. `$(NAME)` is replaced by
    environment variables."""
    args: Annotated[list[str], pb(4), LIST_ATOMIC] = []
    """Arguments instead of the image's command. `$(NAME)` is replaced by environment variables."""
    working_dir: Annotated[str, pb(5)] = ""
    """Folder to start in. Default: the image's."""
    ports: Annotated[
        list[ContainerPort],
        pb(6),
        patch("merge", key="containerPort"),
        list_map("containerPort", "protocol"),
    ] = []
    """Ports that the container listens on."""
    env_from: Annotated[list[EnvFromSource], pb(19), LIST_ATOMIC] = []
    """ConfigMaps and Secrets whose keys all become variables. Of equal names the last one wins, and
    `env` goes before them."""
    env: Annotated[list[EnvVar], pb(7), patch("merge", key="name"), list_map("name")] = []
    """Environment variables."""
    resources: Annotated[ResourceRequirements, pb(8)] = field(default_factory=ResourceRequirements)
    """What the container needs and the most it may use."""
    resize_policy: Annotated[list[ContainerResizePolicy], pb(23), LIST_ATOMIC] = []
    """Whether changes of its resources need a restart."""
    restart_policy: Annotated[ContainerRestartPolicy | None, pb(24)] = None
    """For init containers, `Always` makes a sidecar: it starts in its turn and keeps running beside
    the others. For other containers, it replaces the pod's policy."""
    restart_policy_rules: Annotated[list[ContainerRestartRule], pb(25), LIST_ATOMIC] = []
    """Rules by exit code that go before the restart policy."""
    volume_mounts: Annotated[
        list[VolumeMount], pb(9), patch("merge", key="mountPath"), list_map("mountPath")
    ] = []
    """Where the pod's volumes appear in the container."""
    volume_devices: Annotated[
        list[VolumeDevice], pb(21), patch("merge", key="devicePath"), list_map("devicePath")
    ] = []
    """Where raw block volumes appear in the container."""
    liveness_probe: Annotated[Probe | None, pb(10)] = None
    """When it fails, the container is restarted according to the restart policy."""
    readiness_probe: Annotated[Probe | None, pb(11)] = None
    """While it fails, the pod gets no traffic from Services."""
    startup_probe: Annotated[Probe | None, pb(22)] = None
    """Until it succeeds the other probes wait. When it fails, the container is restarted."""
    lifecycle: Annotated[Lifecycle | None, pb(12)] = None
    """What to do right after the start and before the stop."""
    termination_message_path: Annotated[str, pb(13)] = ""
    """File whose contents become the message of the terminated state, at most 4096 bytes. Default:
    `/dev/termination-log`."""
    termination_message_policy: Annotated[TerminationMessagePolicy, pb(20)] = ""
    """`File` reads that file only; `FallbackToLogsOnError` takes the end of the log if the
    container failed and the file is empty. Default: File."""
    image_pull_policy: Annotated[PullPolicy, pb(14)] = ""
    """`Always`, `IfNotPresent` or `Never`. Default: Always if the tag is `latest` or absent, else
    IfNotPresent."""
    security_context: Annotated[SecurityContext | None, pb(15)] = None
    """What the process may do."""
    stdin: Annotated[bool, pb(16)] = False
    """Keep standard input open, for attaching to it. Default: false, reading it meets the end at
    once."""
    stdin_once: Annotated[bool, pb(17)] = False
    """Close standard input after the first client has gone. Default: false."""
    tty: Annotated[bool, pb(18)] = False
    """Give the process a terminal; needs `stdin`. Default: false."""


class EphemeralContainerCommon(ApiStruct, kw_only=True):
    """The fields that an ephemeral container shares with other containers."""

    name: Annotated[str, pb(1)]
    """Name, unique within the pod; a DNS label. Cannot be changed."""
    image: Annotated[str, pb(2)] = ""
    """Image to run, such as `nginx:1.27` or `registry:5000/team/app@sha256:…`. The one field of a
    running pod's container that may be changed; the container is restarted with the new image."""
    command: Annotated[list[str], pb(3), LIST_ATOMIC] = []
    """Program and first arguments instead of the image's entrypoint. `$(NAME)` is replaced by
    environment variables."""
    args: Annotated[list[str], pb(4), LIST_ATOMIC] = []
    """Arguments instead of the image's command. `$(NAME)` is replaced by environment variables."""
    working_dir: Annotated[str, pb(5)] = ""
    """Folder to start in. Default: the image's."""
    ports: Annotated[
        list[ContainerPort],
        pb(6),
        patch("merge", key="containerPort"),
        list_map("containerPort", "protocol"),
    ] = []
    """Ports that the container listens on."""
    env_from: Annotated[list[EnvFromSource], pb(19), LIST_ATOMIC] = []
    """ConfigMaps and Secrets whose keys all become variables. Of equal names the last one wins, and
    `env` goes before them."""
    env: Annotated[list[EnvVar], pb(7), patch("merge", key="name"), list_map("name")] = []
    """Environment variables."""
    resources: Annotated[ResourceRequirements, pb(8)] = field(default_factory=ResourceRequirements)
    """What the container needs and the most it may use."""
    resize_policy: Annotated[list[ContainerResizePolicy], pb(23), LIST_ATOMIC] = []
    """Whether changes of its resources need a restart."""
    restart_policy: Annotated[ContainerRestartPolicy | None, pb(24)] = None
    """For init containers, `Always` makes a sidecar: it starts in its turn and keeps running beside
    the others. For other containers, it replaces the pod's policy."""
    restart_policy_rules: Annotated[list[ContainerRestartRule], pb(25), LIST_ATOMIC] = []
    """Rules by exit code that go before the restart policy."""
    volume_mounts: Annotated[
        list[VolumeMount], pb(9), patch("merge", key="mountPath"), list_map("mountPath")
    ] = []
    """Where the pod's volumes appear in the container."""
    volume_devices: Annotated[
        list[VolumeDevice], pb(21), patch("merge", key="devicePath"), list_map("devicePath")
    ] = []
    """Where raw block volumes appear in the container."""
    liveness_probe: Annotated[Probe | None, pb(10)] = None
    """When it fails, the container is restarted according to the restart policy."""
    readiness_probe: Annotated[Probe | None, pb(11)] = None
    """While it fails, the pod gets no traffic from Services."""
    startup_probe: Annotated[Probe | None, pb(22)] = None
    """Until it succeeds the other probes wait. When it fails, the container is restarted."""
    lifecycle: Annotated[Lifecycle | None, pb(12)] = None
    """What to do right after the start and before the stop."""
    termination_message_path: Annotated[str, pb(13)] = ""
    """File whose contents become the message of the terminated state, at most 4096 bytes. Default:
    `/dev/termination-log`."""
    termination_message_policy: Annotated[TerminationMessagePolicy, pb(20)] = ""
    """`File` reads that file only; `FallbackToLogsOnError` takes the end of the log if the
    container failed and the file is empty. Default: File."""
    image_pull_policy: Annotated[PullPolicy, pb(14)] = ""
    """`Always`, `IfNotPresent` or `Never`. Default: Always if the tag is `latest` or absent, else
    IfNotPresent."""
    security_context: Annotated[SecurityContext | None, pb(15)] = None
    """What the process may do."""
    stdin: Annotated[bool, pb(16)] = False
    """Keep standard input open, for attaching to it. Default: false, reading it meets the end at
    once."""
    stdin_once: Annotated[bool, pb(17)] = False
    """Close standard input after the first client has gone. Default: false."""
    tty: Annotated[bool, pb(18)] = False
    """Give the process a terminal; needs `stdin`. Default: false."""


class EphemeralContainer(EphemeralContainerCommon, kw_only=True):
    """A container that is added to a running pod to look into it. It is never restarted and has no
    resources of its own."""

    __inline__: ClassVar[Inline] = {1: EphemeralContainerCommon}
    target_container_name: Annotated[str, pb(2)] = ""
    """The container whose processes it sees. Default: none, only its own."""


class ContainerStateWaiting(ApiStruct, kw_only=True):
    """The container does not run yet, or not at the moment."""

    reason: Annotated[str, pb(1)] = ""
    """Why, in one word, such as `ContainerCreating`, `ImagePullBackOff` or `CrashLoopBackOff`."""
    message: Annotated[str, pb(2)] = ""
    """Why, in a sentence."""


class ContainerStateRunning(ApiStruct, kw_only=True):
    """The container runs."""

    started_at: Annotated[Time | None, pb(1)] = None
    """When it was started."""


class ContainerStateTerminated(ApiStruct, kw_only=True):
    """The container has ended."""

    exit_code: Annotated[Int32, pb(1)]
    """Exit code of its first process; 128 plus the signal's number if a signal ended it."""
    signal: Annotated[Int32, pb(2)] = 0
    """The signal that ended it, if known."""
    reason: Annotated[str, pb(3)] = ""
    """`Completed`, `Error`, `OOMKilled` or another word."""
    message: Annotated[str, pb(4)] = ""
    """What the container left in its termination message."""
    started_at: Annotated[Time | None, pb(5)] = None
    """When it was started."""
    finished_at: Annotated[Time | None, pb(6)] = None
    """When it ended."""
    container_id: Annotated[str, pb(7)] = ""
    """Identity of the container in the runtime, such as `docker://…`."""


class ContainerState(ApiStruct, kw_only=True):
    """What a container is doing. Exactly one member is set; none means waiting."""

    waiting: Annotated[ContainerStateWaiting | None, pb(1)] = None
    """It does not run yet."""
    running: Annotated[ContainerStateRunning | None, pb(2)] = None
    """It runs."""
    terminated: Annotated[ContainerStateTerminated | None, pb(3)] = None
    """It has ended."""


class LinuxContainerUser(ApiStruct, kw_only=True):
    """The user and groups of a container's first process."""

    uid: Annotated[Int64, pb(1)]
    """User ID."""
    gid: Annotated[Int64, pb(2)]
    """Group ID."""
    supplemental_groups: Annotated[list[Int64], pb(3), LIST_ATOMIC] = []
    """Further groups."""


class ContainerUser(ApiStruct, kw_only=True):
    """As whom a container's first process was started."""

    linux: Annotated[LinuxContainerUser | None, pb(1)] = None
    """On Linux."""


class ContainerStatus(ApiStruct, kw_only=True):
    """How one container is doing, as its node reports it."""

    name: Annotated[str, pb(1)]
    """Name of the container."""
    state: Annotated[ContainerState, pb(2)] = field(default_factory=ContainerState)
    """What it is doing now."""
    last_state: Annotated[ContainerState, pb(3)] = field(default_factory=ContainerState)
    """How its previous run ended; empty before the first restart."""
    ready: Annotated[bool, pb(4)]
    """Whether it passes its readiness probe; without one, whether it runs."""
    restart_count: Annotated[Int32, pb(5)]
    """How often it has been restarted."""
    image: Annotated[str, pb(6)]
    """Image that it runs."""
    image_id: Annotated[str, pb(7)]
    """Digest of that image."""
    container_id: Annotated[str, pb(8)] = ""
    """Identity of the container in the runtime, such as `docker://…`."""
    started: Annotated[bool | None, pb(9)] = None
    """Whether it runs and has passed its startup probe."""
    allocated_resources: Annotated[dict[str, Quantity], pb(10)] = {}
    """Requests that the node has set aside for it."""
    resources: Annotated[ResourceRequirements | None, pb(11)] = None
    """Requests and limits that are in force."""
    volume_mounts: Annotated[
        list[VolumeMountStatus], pb(12), patch("merge", key="mountPath"), list_map("mountPath")
    ] = []
    """How its volumes are mounted."""
    user: Annotated[ContainerUser | None, pb(13)] = None
    """As whom its first process was started."""
    allocated_resources_status: Annotated[
        list[ResourceStatus], pb(14), patch("merge", key="name"), list_map("name")
    ] = []
    """Health of its devices."""
    stop_signal: Annotated[Signal | None, pb(15)] = None
    """Signal that asks it to stop."""
