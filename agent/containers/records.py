"""The values in which the agent and a container runtime speak (step 4 of the pod's walk).

All of them are frozen, hold no engine types and may be shared between tasks. Whoever asks for a
container decides everything about it: a runtime passes `ContainerCreate` through as it stands and
adds nothing.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NewType

ContainerId = NewType("ContainerId", str)
ImageId = NewType("ImageId", str)


class ContainerState(enum.Enum):
    """The engine's own states. `CREATED` was never started, `EXITED` and `DEAD` ran once."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"

    @property
    def alive(self) -> bool:
        """Whether processes of the container exist."""
        return self in (ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING)


@dataclass(frozen=True, kw_only=True)
class InForce:
    """The limits that a container has, in the engine's terms; 0 is no limit."""

    cpu_shares: int = 0
    cpu_quota: int = 0
    memory: int = 0


@dataclass(frozen=True, kw_only=True)
class ProcessUser:
    """As whom a process was started."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ContainerRecord:
    """What the engine says of one container at one moment."""

    id: ContainerId
    name: str
    image: str
    """The reference or id that the container was created with."""
    image_id: ImageId
    labels: Mapping[str, str]
    state: ContainerState
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int = 0
    """Meaningful once `state` is EXITED or DEAD; 128 + n after signal n."""
    oom_killed: bool = False
    error: str = ""
    """Why the container could not start, in readable words; empty when it could."""
    pid: int = 0
    """Process 1 of the container as the node sees it; 0 when it does not run."""
    user: ProcessUser | None = None
    """As whom that one was started; None when it does not run, and where the engine was not asked about this
    container."""
    stop_signal: str = "SIGTERM"
    tty: bool = False
    log_path: str = ""
    cpus: str = ""
    """The CPUs that it may run on, as cgroups write them; empty for all."""
    log_driver: str = ""
    in_force: InForce | None = None
    """None where the engine was not asked about this one container."""

    @property
    def running(self) -> bool:
        return self.state.alive


class Propagation(enum.Enum):
    """How mounts made later travel between node and container (mount_namespaces(7))."""

    PRIVATE = "rprivate"
    HOST_TO_CONTAINER = "rslave"
    BIDIRECTIONAL = "rshared"


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A directory or file of the node, bound into the container."""

    source: str
    target: str
    read_only: bool = False
    propagation: Propagation = Propagation.PRIVATE
    relabel: bool = False
    """Where there is SELinux, everything in it gets the label of the container, which may use it only so."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """A device node of the node, made available in the container."""

    source: str
    target: str
    permissions: str = "rwm"


@dataclass(frozen=True, kw_only=True)
class LogLimits:
    """Bounds of the engine's json-file log: Kubernetes' own defaults."""

    max_size: int = 10 * 1024 * 1024
    """Bytes per file."""
    max_files: int = 5


@dataclass(frozen=True, kw_only=True)
class ContainerCreate:
    """Everything about a container that is to be created.

    `None` for `command`, `args`, `user` and `working_dir` means what the image says. Resource
    fields are the engine's: 0 means unlimited, or the engine's default.
    """

    name: str
    image: str
    command: tuple[str, ...] | None = None
    """Replaces the image's entrypoint; the image's arguments are then dropped too."""
    args: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    working_dir: str | None = None
    user: str | None = None
    group_add: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    tmpfs: Mapping[str, str] = field(default_factory=dict)
    """Path → mount options."""

    network_mode: str = "none"
    """`none`, `host` or `container:ID`."""
    ipc_mode: str = "private"
    """`private`, `shareable`, `host` or `container:ID`."""
    pid_mode: str = ""
    """Empty for a namespace of its own, `host` or `container:ID`."""
    hostname: str = ""
    """Only for a sandbox: the engine refuses it beside `network_mode=container:`."""

    cgroup_parent: str = ""
    cpu_shares: int = 0
    cpu_quota: int = 0
    """Microseconds of CPU per `cpu_period`; 0 and -1 mean unlimited."""
    cpu_period: int = 0
    cpuset_cpus: str = ""
    memory: int = 0
    """Bytes; also the limit of memory and swap together, so that there is no swap."""
    oom_score_adj: int = 0
    """The caller clamps it to what `EngineInfo.can_lower_oom_score` allows."""
    pids_limit: int = 0
    shm_size: int = 0
    ulimits: tuple[tuple[str, int, int], ...] = ()
    """(name, soft, hard)."""

    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    read_only_rootfs: bool = False
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    security_options: tuple[str, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    devices: tuple[Device, ...] = ()
    masked_paths: tuple[str, ...] | None = None
    """None keeps the engine's list; empty unmasks /proc (procMount: Unmasked)."""
    readonly_paths: tuple[str, ...] | None = None
    stop_signal: str = ""
    runtime: str = ""
    """One of `EngineInfo.runtimes`; empty for the engine's own."""
    log_limits: LogLimits = field(default_factory=LogLimits)


@dataclass(frozen=True, kw_only=True)
class ExecResult:
    """How a command run inside a container ended."""

    exit_code: int
    """-1 when the command had not ended when the time was up."""
    output: bytes
    """stdout and stderr as they came, cut at the limit given to `exec`."""
    timed_out: bool = False

    @property
    def ok(self) -> bool:
        return self.exit_code == 0 and not self.timed_out


class Channel(enum.IntEnum):
    """A stream of a process; the numbers are those of the engine's and of the API's framing."""

    STDIN = 0
    STDOUT = 1
    STDERR = 2


@dataclass(frozen=True, kw_only=True)
class LogOptions:
    """Which part of a container's log is wanted, as in the API's PodLogOptions."""

    follow: bool = False
    tail_lines: int | None = None
    since: datetime | None = None
    timestamps: bool = False
    limit_bytes: int | None = None
    stream: Channel | None = None
    """Only this one; None: both."""


@dataclass(frozen=True, kw_only=True)
class ImageRecord:
    """An image that the engine holds."""

    id: ImageId
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    """`repository@sha256:…`, present when the image came from a registry."""
    size: int
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""
    env: tuple[str, ...] = ()
    stop_signal: str = ""
    layers: tuple[str, ...] = ()
    """Folders of the node that it consists of, the topmost first; empty where the engine has none."""


@dataclass(frozen=True, kw_only=True)
class RegistryAuth:
    """Credentials for one pull; never logged (its repr hides them)."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    server: str = ""


@dataclass(frozen=True, kw_only=True)
class PullProgress:
    """One step of a running pull."""

    layer: str
    status: str
    current: int = 0
    total: int = 0


class EventKind(enum.Enum):
    """What happened, to a container, to an image or to our view of the engine."""

    CREATED = "create"
    STARTED = "start"
    DIED = "die"
    OOM = "oom"
    REMOVED = "destroy"
    IMAGE_CAME = "image"
    """One was pulled, loaded, imported or tagged, by us or by others."""
    ENGINE_LOST = "engine-lost"
    """The event stream broke; what happens now will not be told."""
    ENGINE_BACK = "engine-back"
    """The stream runs again, possibly with a gap: list everything once."""


@dataclass(frozen=True, kw_only=True)
class RuntimeEvent:
    """Something that happened; a reason to look, never a substitute for looking."""

    kind: EventKind
    time: datetime
    id: ContainerId = ContainerId("")
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    exit_code: int | None = None


@dataclass(frozen=True, kw_only=True)
class EngineInfo:
    """What the engine and this machine can do; probed once at start."""

    version: str
    api_version: str
    os_type: str
    architecture: str
    operating_system: str
    kernel_version: str
    cgroup_version: int
    cgroup_driver: str
    """`cgroupfs` or `systemd`."""
    storage_driver: str
    root_dir: str
    security_options: tuple[str, ...]
    cpus: int
    memory: int
    runtime: str = "runc"
    """The one that is used unless another is asked for."""
    runtimes: tuple[str, ...] = ("runc",)
    """The names of all that the engine can run containers with."""
    components: Mapping[str, str] = field(default_factory=dict)
    """Versions of what stands behind the engine: containerd, runc."""
    can_lower_oom_score: bool = True
    """False without CAP_SYS_RESOURCE: a negative oom_score_adj then fails the start."""
    can_run_privileged: bool = True
    """False when the machine itself lacks capabilities: `unable to apply caps`."""

    @property
    def apparmor(self) -> bool:
        return any(option.startswith("name=apparmor") for option in self.security_options)

    @property
    def recursive_read_only(self) -> bool:
        """Whether the kernel can make a whole tree of mounts read-only: since 5.12."""
        numbers = re.match(r"(\d+)\.(\d+)", self.kernel_version)
        return numbers is not None and (int(numbers[1]), int(numbers[2])) >= (5, 12)

    @property
    def selinux(self) -> bool:
        return any(option.startswith("name=selinux") for option in self.security_options)

    @property
    def seccomp(self) -> bool:
        return any(option.startswith("name=seccomp") for option in self.security_options)

    @property
    def confines(self) -> bool:
        """Whether containers that ask for no seccomp profile get the engine's own."""
        return self.seccomp and "name=seccomp,profile=unconfined" not in self.security_options
