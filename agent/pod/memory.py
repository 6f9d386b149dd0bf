"""What a worker remembers of its pod between two looks (step 4 of the pod's walk).

Docker's records are kept by id and replaced as they are read anew; what Docker does not know
(probe verdicts, hooks, failures, why a container was killed) is kept beside them and is all that a
restarted agent loses. `observe` turns it into the frozen value that plan and status are made from.

Moments are of the monotonic clock. When a container that had ended before is first seen, the wall
clock tells how long ago; from then on only the monotonic clock counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from agent.containers.records import ContainerId, ContainerRecord, ImageId, ImageRecord
from agent.pod import names
from agent.pod.allocation import Verdict, at_first
from agent.pod.backoff import RESTARTS, Backoff, retry_delay
from agent.pod.changes import Changes
from agent.pod.observed import (
    Eviction,
    Failure,
    Hook,
    KilledFor,
    PodObserved,
    Probed,
    Refusal,
    Seen,
)
from agent.resources.values import CpuMemory
from agent.spec.facts import DeadLimits
from agent.spec.fieldref import needs_ip
from api import timestamps
from api.core import Pod, ResourceRequirements
from api.pods import all_containers, ephemeral_containers
from api.why import Death
from base.clock import Clock


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A failure with the moment when it may be tried again."""

    reason: str
    message: str
    retry_at: float
    count: int


@dataclass(frozen=True, kw_only=True)
class Ensured:
    """An image that was made sure of for the next start of a container."""

    reference: str
    """As the pod spelled it then."""
    image: ImageRecord
    restarts: int


@dataclass
class PodMemory:
    """The mutable knowledge of one worker."""

    clock: Clock
    records: dict[ContainerId, ContainerRecord] = field(default_factory=dict)
    adopted: set[ContainerId] = field(default_factory=set)
    """Containers that an earlier agent made."""
    ended_at: dict[ContainerId, float] = field(default_factory=dict)
    messages: dict[ContainerId, str] = field(default_factory=dict)
    killed_for: dict[ContainerId, KilledFor] = field(default_factory=dict)
    asked_to_end: set[ContainerId] = field(default_factory=set)
    """By this agent, for whatever reason."""
    complaints: dict[ContainerId, dict[KilledFor, str]] = field(default_factory=dict)
    """What the last probe or hook that failed was asked, and answered."""
    deaths: list[Death] = field(default_factory=list)
    """Newest first."""
    keeping_deaths: bool = False
    """They are being written to the disk."""
    probed: dict[ContainerId, Probed] = field(default_factory=dict)
    hooks: dict[ContainerId, Hook] = field(default_factory=dict)
    pre_stops: dict[ContainerId, Hook] = field(default_factory=dict)
    images: dict[str, Ensured] = field(default_factory=dict)
    failures: dict[str, Failed] = field(default_factory=dict)
    addresses: dict[ContainerId, str] = field(default_factory=dict)
    """Sandbox → its address, once it is attached."""
    volume_images: dict[str, ImageId] = field(default_factory=dict)
    """Images whose files volumes show."""
    recursive_read_only: bool = False
    """The node can make whole trees of mounts read-only."""
    dead_limits: DeadLimits = field(default_factory=DeadLimits)
    """How many containers that ended the node keeps."""
    volumes_ready: bool = False
    volumes_due: float | None = None
    """When what they show is looked at again; None: never."""
    backoff: Backoff = RESTARTS
    hurried_at: float | None = None
    """When somebody last asked to try again at once."""
    refusal: Refusal | None = None
    eviction: Eviction | None = None
    allocated: dict[str, ResourceRequirements] = field(default_factory=dict)
    cgroup: CpuMemory | None = None
    """What this agent has made the pod's cgroup allow."""
    pending: Verdict | None = None
    pending_since: float = 0.0
    started_at: float | None = None
    removed: bool = False
    stopping_since: float | None = None
    """Since when its containers are ended: it is deleted, or is through."""
    ends_by: float | None = None
    """When they have to have ended at the latest: somebody has shortened their time."""
    released: bool = False
    """It has finished, and has given back what it had besides its containers."""
    leaving: bool = False
    """Its containers are being removed: what is seen of them from now on says nothing."""
    torn_down: bool = False
    deleted: bool = False

    def __post_init__(self) -> None:
        self.changes = Changes(self.clock)

    def note(self, record: ContainerRecord) -> None:
        """A container as Docker has it now."""
        before = self.records.get(record.id)
        self.records[record.id] = record
        # The engine's list of all does not say when a container has ended; looking at it does.
        dated = before is not None and before.finished_at is None and record.finished_at is not None
        if record.running or (record.state.value == "created" and not record.error):
            self.ended_at.pop(record.id, None)
        elif record.id not in self.ended_at or dated:
            self.ended_at[record.id] = self.clock.monotonic() - self._ended_ago(record)

    def forget(self, id: ContainerId) -> None:
        """The container is gone."""
        self.records.pop(id, None)
        self.adopted.discard(id)
        self.asked_to_end.discard(id)
        for memory in (
            self.ended_at,
            self.messages,
            self.killed_for,
            self.complaints,
            self.probed,
            self.hooks,
            self.pre_stops,
            self.addresses,
        ):
            memory.pop(id, None)

    def begin(self, pod: Pod) -> None:
        """The pod starts to be active here, or was already, before this agent."""
        if not self.allocated:
            self.allocated = at_first(pod)
        if self.started_at is None:
            began = pod.status.start_time
            ago = 0.0
            if began:
                ago = (self.clock.now() - timestamps.parse(began)).total_seconds()
            self.started_at = self.clock.monotonic() - max(0.0, ago)

    def fail(self, key: str, reason: str, message: str, retry_in: float | None) -> None:
        """An action failed; without `retry_in` it rests longer each time."""
        before = self.failures.get(key)
        count = before.count + 1 if before is not None else 1
        wait = retry_delay(count) if retry_in is None else retry_in
        self.failures[key] = Failed(
            reason=reason,
            message=message,
            retry_at=self.clock.monotonic() + wait,
            count=count,
        )

    def succeed(self, key: str) -> None:
        self.failures.pop(key, None)

    def hurry(self) -> None:
        """Try again at once whatever has failed or ended."""
        self.hurried_at = self.clock.monotonic()
        self.failures.clear()

    def _hurried(self, id: ContainerId) -> bool:
        ended = self.ended_at.get(id)
        return self.hurried_at is not None and ended is not None and ended <= self.hurried_at

    def sandboxes(self) -> list[ContainerRecord]:
        """Newest first."""
        found = [r for r in self.records.values() if _is_sandbox(r)]
        return sorted(found, key=_age, reverse=True)

    def observe(self, pod: Pod, *, host_ip: str, busy: Iterable[str]) -> PodObserved:
        """Everything, as one frozen value."""
        now = self.clock.monotonic()
        sandboxes = self.sandboxes()
        current = sandboxes[0].id if sandboxes else None
        address = self.addresses.get(current, "") if current is not None else ""
        if pod.spec.host_network:
            address = host_ip
        said = pod.status.pod_ip if current in self.adopted else ""
        return PodObserved(
            sandboxes=tuple(sandboxes),
            ip=address or said,
            network_ready=bool(address),
            containers=self._containers(pod, now),
            volumes_ready=self.volumes_ready,
            images=self._images(pod),
            needs_ip=frozenset(
                c.name
                for c in (*all_containers(pod.spec), *ephemeral_containers(pod.spec))
                if needs_ip(c)
            ),
            busy=frozenset(busy),
            failures={
                key: Failure(
                    reason=f.reason, message=f.message, retry_in=f.retry_at - now, count=f.count
                )
                for key, f in self.failures.items()
            },
            backoff=self.backoff,
            recursive_read_only=self.recursive_read_only,
            dead_limits=self.dead_limits,
            refusal=self.refusal,
            eviction=self.eviction,
            allocated=dict(self.allocated),
            pending=self.pending,
            active_for=0.0 if self.started_at is None else now - self.started_at,
            removed=self.removed,
            stopping_for=0.0 if self.stopping_since is None else now - self.stopping_since,
            ends_in=None if self.ends_by is None else self.ends_by - now,
            released=self.released,
            torn_down=self.torn_down,
            deleted=self.deleted,
        )

    def _images(self, pod: Pod) -> dict[str, int]:
        """Those that the pod still means; somebody may have changed it since."""
        return {
            container.name: found.restarts
            for container in (*all_containers(pod.spec), *ephemeral_containers(pod.spec))
            if (found := self.images.get(container.name)) and found.reference == container.image
        }

    def _containers(self, pod: Pod, now: float) -> dict[str, list[Seen]]:
        specs = {c.name: c for c in (*all_containers(pod.spec), *ephemeral_containers(pod.spec))}
        made: dict[str, list[Seen]] = defaultdict(list)
        causes = {one.container_id: one.cause for one in self.deaths}
        for record in self.records.values():
            if _is_sandbox(record):
                continue
            name = record.labels.get(names.CONTAINER_NAME, "")
            spec = specs.get(name)
            image = spec.image if spec is not None and names.is_made_from(record, spec) else ""
            seen = Seen(
                record=record,
                ended_ago=max(0.0, now - self.ended_at.get(record.id, now)),
                message=self.messages.get(record.id, ""),
                cause=causes.get(record.id, ""),
                killed_for=self.killed_for.get(record.id),
                hurried=self._hurried(record.id),
                probed=self.probed.get(record.id, Probed()),
                post_start=self.hooks.get(record.id, Hook.NONE),
                pre_stop=self.pre_stops.get(record.id, Hook.NONE),
                image=image,
            )
            made[name].append(seen)
        for several in made.values():
            several.sort(key=lambda seen: _age(seen.record), reverse=True)
        return dict(made)

    def _ended_ago(self, record: ContainerRecord) -> float:
        if record.finished_at is None:
            return 0.0
        return max(0.0, (self.clock.now() - record.finished_at).total_seconds())


def _is_sandbox(record: ContainerRecord) -> bool:
    return record.labels.get(names.CONTAINER_TYPE) == names.SANDBOX


def _age(record: ContainerRecord) -> tuple[int, float]:
    """Order of making: by attempt, which names never repeat while a container is there."""
    attempt = record.name.rpartition("_")[2]
    return int(
        attempt
    ) if attempt.isascii() and attempt.isdigit() else 0, record.created_at.timestamp()
