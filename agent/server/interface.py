"""What the agent's web server needs of the rest of the agent.

The pod workers implement these; the server neither knows nor changes pods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from agent.containers.records import ContainerId
from api import errors
from api.core import Pod
from api.errors import ApiError
from api.meta import Status
from api.why import Death

Statistics = Callable[[], Mapping[str, float]]
Deaths = Callable[[str, str], Sequence[Death]]
"""How the containers of a pod (namespace, name) died. Raises ApiError for a pod that is not here."""


class PodLookup(Protocol):
    """Finds what a request means. `container` may be empty when the pod has only one.

    Raises ApiError with the words below.
    """

    def find(
        self, namespace: str, pod: str, container: str, *, previous: bool = False
    ) -> ContainerId:
        """The container whose log is meant: the present one, or the one before it."""

    def find_running(self, namespace: str, pod: str, container: str) -> ContainerId:
        """The container to exec into or attach to."""

    def find_sandbox(self, namespace: str, pod: str) -> ContainerId:
        """The running container that holds the pod's network namespace."""

    def pods(self) -> Sequence[Pod]:
        """All pods of this node with their status."""

    def running(self) -> Sequence[Pod]:
        """Those of which something runs, with no more than the engine knows of them."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a cgroup has used; `cpu_nanoseconds` counts from its beginning."""

    cpu_nanoseconds: int
    memory: int
    """Bytes charged, file cache included."""
    working_set: int
    """Bytes that cannot be reclaimed at once: what eviction looks at."""
    rss: int = 0
    page_faults: int = 0
    major_page_faults: int = 0
    limit: int = 0
    """Bytes of memory that it may use; 0: no limit."""
    since: datetime | None = None
    """When it began; told of what stands beside the pods, and of all pods together."""


@dataclass(frozen=True, kw_only=True)
class Counters:
    """What else a cgroup counts. Times in nanoseconds, sizes in bytes."""

    user: int = 0
    system: int = 0
    periods: int = 0
    throttled_periods: int = 0
    throttled: int = 0
    cache: int = 0
    mapped: int = 0
    swap: int = 0
    peak: int = 0
    failures: int = 0
    """How often it hit its memory limit."""
    oom_kills: int = 0
    processes: int = 0
    threads: int = 0
    """Processes and their threads: what limits count."""
    most_threads: int = 0
    """How many there may be; 0: no limit."""
    kernel: int = 0
    """Bytes that the kernel keeps for them."""
    active_file: int = 0
    inactive_file: int = 0
    disks: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """By block device: bytes read and written, reads and writes."""


@dataclass(frozen=True, kw_only=True)
class Interface:
    """One link of a pod: bytes, packets, errors and drops of either direction."""

    name: str
    received: Sequence[int]
    sent: Sequence[int]


@dataclass(frozen=True, kw_only=True)
class ContainerFacts:
    """What is known of a running container besides what it uses."""

    id: str
    cgroup: str
    """Its path in the trees of cgroups."""
    name: str
    """As the engine calls it."""
    image: str
    started: datetime | None = None
    cpu_shares: int = 0
    cpu_quota: int = 0
    log_bytes: int = 0
    counters: Counters = field(default_factory=Counters)


@dataclass(frozen=True, kw_only=True)
class PodUsage:
    namespace: str
    name: str
    uid: str
    started: datetime
    usage: Usage
    containers: Mapping[str, Usage]
    interfaces: Sequence[Interface] = ()
    """Empty for a pod in the host's network: those links are not its own."""
    facts: Mapping[str, ContainerFacts] = field(default_factory=dict)
    """By container; only where they were asked for."""
    cgroup: str = ""
    counters: Counters = field(default_factory=Counters)
    sandbox: ContainerFacts | None = None
    """What holds its network."""


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A cgroup that holds more than a pod: all pods together, or the machine."""

    cgroup: str
    usage: Usage
    counters: Counters = field(default_factory=Counters)
    interfaces: Sequence[Interface] = ()


class UsageSource(Protocol):
    """Reads cgroups when asked."""

    def node(self) -> Usage: ...

    def pods(self, *, facts: bool = False) -> Sequence[PodUsage]:
        """`facts`: with what takes more files to read."""


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A file system as the node's summary shows it."""

    available: int
    capacity: int
    inodes: int = 0
    inodes_free: int = 0


@dataclass(frozen=True, kw_only=True)
class DiskUse:
    """What one pod has on disks, in bytes."""

    layers: Mapping[str, int] = field(default_factory=dict)
    """By container: what it has written outside volumes."""
    logs: Mapping[str, int] = field(default_factory=dict)
    folders: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """By volume that lies on the node's own disk: bytes and inodes."""
    mounted: Mapping[str, Volume] = field(default_factory=dict)
    """By volume that is a file system of its own."""
    claims: Mapping[str, str] = field(default_factory=dict)
    """By volume the claim that it is."""
    total: int = 0
    """What counts as ephemeral storage."""
    inodes: int = 0


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the summary tells of the node besides its pods."""

    started: datetime | None = None
    available_memory: int = 0
    processes: int = 0
    most_processes: int = 0
    disk: Volume | None = None
    image_disk: Volume | None = None
    swap: int = 0
    """Bytes of swap, and how many of them are free."""
    swap_free: int = 0
    interfaces: Sequence[Interface] = ()
    """Empty where several nodes share a machine and its network."""
    pods_since: datetime | None = None
    """When the cgroup of all pods was made."""
    daemons: Mapping[str, Usage] = field(default_factory=dict)
    """What stands beside the pods: `kubelet` is this agent, `runtime` the engine."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page of the web server that is made when it is asked for."""

    render: Callable[[], bytes]
    content_type: str


# The kubelet's words. Each is an answer that kubectl shows to a person as it stands.


def pod_missing(namespace: str, pod: str) -> ApiError:
    return _failure(404, "NotFound", f'pod "{pod}" does not exist on this node in "{namespace}"')


def container_missing(pod: str, container: str) -> ApiError:
    return errors.bad_request(f"container {container} is not valid for pod {pod}")


def container_unnamed(pod: str, names: Sequence[str]) -> ApiError:
    return errors.bad_request(
        f"a container name must be specified for pod {pod}, choose one of: [{' '.join(names)}]"
    )


def waiting_to_start(pod: str, container: str, reason: str) -> ApiError:
    """`reason` is that of `state.waiting`, or what the kubelet says in its place."""
    return errors.bad_request(
        f'container "{container}" in pod "{pod}" is waiting to start: {reason}'
    )


def previous_missing(pod: str, container: str) -> ApiError:
    return errors.bad_request(
        f'previous terminated container "{container}" in pod "{pod}" not found'
    )


def log_gone(pod: str, container: str) -> ApiError:
    """Its container ended and was removed since; Kubernetes has no one word for it."""
    return _failure(
        404,
        "NotFound",
        f'the log of container "{container}" in pod "{pod}" is gone: the container was removed',
    )


def not_running(container: str) -> ApiError:
    return _failure(404, "NotFound", f'container not found ("{container}")')


def pod_not_running(pod: str, phase: str) -> ApiError:
    return errors.bad_request(
        f'unable to forward port because pod "{pod}" is not running. Current status={phase}'
    )


def _failure(code: int, reason: str, message: str) -> ApiError:
    return ApiError(Status(status="Failure", message=message, reason=reason, code=code))
