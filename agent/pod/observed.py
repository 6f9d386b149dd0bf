"""What a pod's worker knows of its pod at one moment: the input of plan and status (step 4).

Everything here is a frozen value. Moments of the past are given as "seconds ago", measured by the
worker on the monotonic clock, so that the pure functions need no clock and a jump of the wall clock
neither shortens nor lengthens a wait.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agent.containers.records import ContainerId, ContainerRecord, ContainerState
from agent.pod import names
from agent.pod.allocation import Verdict
from agent.pod.backoff import RESTARTS, Backoff
from agent.spec.facts import DeadLimits
from api.core import Container, ContainerStatus, Pod, ResourceRequirements
from api.pods import restarts


class KilledFor(enum.Enum):
    """Why this agent ended a container that the pod still wants."""

    LIVENESS = "liveness"
    STARTUP = "startup"
    POST_START = "postStart"
    CHANGED = "changed"
    RESIZED = "resized"
    SANDBOX = "sandbox"


class Hook(enum.Enum):
    """Where a hook of a container stands."""

    NONE = "none"
    """postStart: there is none, or it was run by an agent before this one. preStop: not asked yet."""
    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


CANNOT_RUN = 128
"""The exit code that stands for a program which could not be started."""


@dataclass(frozen=True, kw_only=True)
class Probed:
    """What the probes of a running container say. `None`: nothing yet."""

    started: bool | None = None
    ready: bool | None = None
    alive: bool | None = None
    startup_failed: bool = False


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Something that did not work, and will be tried again."""

    reason: str
    message: str
    retry_in: float
    """Seconds until the next try; 0 or less means now."""
    count: int = 1


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One container of the pod, as Docker and the worker's memory have it."""

    record: ContainerRecord
    ended_ago: float = 0.0
    """Seconds since it ended; 0 while it lives."""
    message: str = ""
    """Its termination message, once it ended."""
    cause: str = ""
    """Why it died, as far as that was found out."""
    killed_for: KilledFor | None = None
    probed: Probed = field(default_factory=Probed)
    post_start: Hook = Hook.NONE
    pre_stop: Hook = Hook.NONE
    """NONE: nobody has asked it to stop yet."""
    hurried: bool = False
    """Somebody has asked to try again since it ended: no back-off."""
    image: str = ""
    """The image reference as the pod spelled it when the container was made."""

    @property
    def id(self) -> ContainerId:
        return self.record.id

    @property
    def alive(self) -> bool:
        return self.record.running

    @property
    def unstarted(self) -> bool:
        """Created and not yet started: what is left when an agent is killed in between."""
        return self.record.state is ContainerState.CREATED and not self.record.error

    @property
    def ended(self) -> bool:
        """It ran and ended, or could not be started."""
        return not self.alive and not self.unstarted

    @property
    def succeeded(self) -> bool:
        return self.ended and not self.record.error and self.record.exit_code == 0

    @property
    def restarts(self) -> int:
        return names.label_number(self.record.labels, names.RESTART_COUNT)

    @property
    def backoff_level(self) -> int:
        return names.label_number(self.record.labels, names.BACKOFF_LEVEL)

    @property
    def sandbox_id(self) -> str:
        return self.record.labels.get(names.SANDBOX_ID, "")

    @property
    def ran_for(self) -> float:
        """Seconds between start and end; 0 when it never ran or still does."""
        started, finished = self.record.started_at, self.record.finished_at
        if started is None or finished is None or not self.ended:
            return 0.0
        return max(0.0, (finished - started).total_seconds())

    def matches(self, container: Container) -> bool:
        """Whether it was made from this spec."""
        return names.is_made_from(self.record, container)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why this agent will not run the pod."""

    reason: str
    field: str
    message: str
    rejected: bool = False
    """It does not wait for better times: the pod fails, if nothing of it was started before."""

    @property
    def told(self) -> str:
        """The message of a pod that was rejected."""
        said = self.message.startswith("Pod was rejected")
        return self.message if said else f"Pod was rejected: {self.message}"


@dataclass(frozen=True, kw_only=True)
class Eviction:
    """The node is short of something or shuts down, or the pod used more than it may: it has to go."""

    message: str
    reason: str = "Evicted"
    disrupts: bool = True
    """The condition DisruptionTarget tells of it: not when the pod itself has set its end."""
    condition: str = ""
    """What that condition says, where it is not the message."""
    grace: float
    """Seconds that its containers get to end."""


@dataclass(frozen=True, kw_only=True)
class PodObserved:
    """Everything about one pod that the plan and the status are made from."""

    sandboxes: Sequence[ContainerRecord] = ()
    """Newest first."""
    ip: str = ""
    """The pod's address; for a pod in the host's network the node's.

    An adopted sandbox has the address that the API knows, even before it was made sure of again:
    else a restart of the agent would take every pod out of its services for a moment.
    """
    network_ready: bool = False
    """The address was made sure of by this agent."""
    containers: Mapping[str, Sequence[Seen]] = field(default_factory=dict)
    """By container name, newest first."""
    volumes_ready: bool = False
    images: Mapping[str, int] = field(default_factory=dict)
    """Container name → the restart number for which its image was made sure of."""
    needs_ip: frozenset[str] = frozenset()
    """Containers whose environment names the pod's address."""
    busy: frozenset[str] = frozenset()
    """Keys of actions under way."""
    failures: Mapping[str, Failure] = field(default_factory=dict)
    """By action key: the last try failed."""
    backoff: Backoff = RESTARTS
    """How long containers that end wait."""
    recursive_read_only: bool = False
    """The node can make whole trees of mounts read-only."""
    dead_limits: DeadLimits = field(default_factory=DeadLimits)
    """How many of its containers that ended are kept."""
    refusal: Refusal | None = None
    eviction: Eviction | None = None
    allocated: Mapping[str, ResourceRequirements] = field(default_factory=dict)
    """By container, the amounts that it was admitted with."""
    pending: Verdict | None = None
    """Why other amounts, for which the spec asks, are not admitted."""
    active_for: float = 0.0
    """Seconds since the pod started on this node."""
    removed: bool = False
    """The API has no such pod (any more): tear it down, tell nobody."""
    stopping_for: float = 0.0
    """Seconds since the first plan that stops the pod; 0 while it does not stop."""
    ends_in: float | None = None
    """Seconds that are left of a time which somebody has shortened."""
    released: bool = False
    """It has finished, and has given back what it had besides its containers."""
    torn_down: bool = False
    deleted: bool = False
    """Its API object is gone, or there never was one."""

    @property
    def sandbox(self) -> ContainerRecord | None:
        return self.sandboxes[0] if self.sandboxes else None

    @property
    def sandbox_running(self) -> bool:
        return self.sandbox is not None and self.sandbox.running

    @property
    def reachable(self) -> bool:
        """The sandbox runs and has its address."""
        return self.sandbox_running and bool(self.network_ready or self.ip)

    def newest(self, name: str) -> Seen | None:
        """The newest container of that name, of this sandbox or an older one."""
        made = self.containers.get(name)
        return made[0] if made else None

    def current(self, name: str) -> Seen | None:
        """The newest container of that name, if it lives in the present sandbox."""
        seen = self.newest(name)
        if seen is None or self.sandbox is None or seen.sandbox_id != self.sandbox.id:
            return None
        return seen

    def alive(self, name: str) -> Seen | None:
        """A container of that name whose processes exist, whatever sandbox it is in."""
        return next((seen for seen in self.containers.get(name, ()) if seen.alive), None)


def told(pod: Pod, name: str) -> ContainerStatus | None:
    """What the API knows of a container that ran: all that is left after `docker container prune`."""
    for status in (
        *pod.status.init_container_statuses,
        *pod.status.container_statuses,
        *pod.status.ephemeral_container_statuses,
    ):
        ran = status.state.running or status.state.terminated or status.last_state.terminated
        if status.name == name and ran:
            return status
    return None


def is_sidecar(container: Container) -> bool:
    """A restartable init container: starts in order, runs beside the others, stops last."""
    return container.restart_policy == "Always"


def sidecars(pod: Pod) -> list[Container]:
    return [c for c in pod.spec.init_containers if is_sidecar(c)]


def one_shot_inits(pod: Pod) -> list[Container]:
    return [c for c in pod.spec.init_containers if not is_sidecar(c)]


def restart_policy(pod: Pod, container: Container) -> str:
    """The container's own, or else the pod's."""
    return container.restart_policy or pod.spec.restart_policy or "Always"


def wanted_restart(pod: Pod, container: Container, seen: Seen) -> bool:
    """Whether a container that ended is to run again."""
    if seen.killed_for in (KilledFor.CHANGED, KilledFor.RESIZED):
        return True
    at_fault = seen.killed_for not in (None, KilledFor.SANDBOX)
    if at_fault and restart_policy(pod, container) == "OnFailure":
        return True  # a program that ends well when told to by a probe has still failed
    code = seen.record.exit_code
    if seen.record.error:
        code = code or CANNOT_RUN
    return restarts(pod, container, exit_code=code)


def may_restart(pod: Pod, container: Container) -> bool:
    """Whether there is any end after which it would run again."""
    return restart_policy(pod, container) != "Never" or bool(container.restart_policy_rules)


def container_started(container: Container, seen: Seen) -> bool:
    """Running, its postStart hook done and its startup probe passed: readiness may begin."""
    if not seen.alive or seen.post_start not in (Hook.NONE, Hook.DONE):
        return False
    return container.startup_probe is None or seen.probed.started is True


def container_ready(container: Container, seen: Seen) -> bool:
    """May receive traffic: started, and its readiness probe (if any) says so."""
    if not container_started(container, seen):
        return False
    return container.readiness_probe is None or seen.probed.ready is True
