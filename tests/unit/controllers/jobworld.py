"""A tiny cluster for the Job controller: a store that tells of changes late, and can stop answering.

It keeps Jobs and pods as the API server does where the controller relies on it: versions that must
match, finalizers that hold what is deleted. Informers show a change only when a test delivers it, and
any write can be the last one before the controller is killed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import msgspec

from api import errors, objects, pods, timestamps
from api.batch import Job
from api.core import Pod
from api.objects import Key
from api.scheme import resource_of
from base.clock import FakeClock
from control.controllers.workloads.jobs.controller import JobController
from control.controllers.workloads.jobs.strays import StrayJobPodController
from control.controllers.workloads.jobs.view import TRACKING
from control.resources import strategy_of

JOB = Key("default", "sums")


class Killed(Exception):
    """The controller's process ends at this very write."""


class LateInformer:
    """Shows the objects of one kind as they were some changes ago."""

    def __init__(self) -> None:
        self._objects: dict[Key, Any] = {}
        self._handlers: list[Callable[[Any, Any], None]] = []
        self._indexes: dict[str, Callable[[Any], list[str]]] = {}
        self._revision = 0
        self.waiting: deque[tuple[int, Key, Any]] = deque()

    def subscribe(self, handler: Callable[[Any, Any], None]) -> None:
        self._handlers.append(handler)

    def add_index(self, name: str, values: Callable[[Any], list[str]]) -> None:
        self._indexes[name] = values

    def get(self, name: str, namespace: str = "") -> Any:
        return self._objects.get(Key(namespace, name))

    def by_index(self, name: str, value: str) -> list[Any]:
        return [one for one in self._objects.values() if value in self._indexes[name](one)]

    def count(self, name: str, value: str) -> int:
        return len(self.by_index(name, value))

    def shows(self, resource_version: str) -> bool:
        return self._revision >= int(resource_version or 0)

    def deliver(self, count: int = 1_000_000) -> None:
        while self.waiting and count:
            count -= 1
            self._revision, key, new = self.waiting.popleft()
            old = self._objects.get(key)
            if new is None:
                self._objects.pop(key, None)
            else:
                self._objects[key] = new
            for handler in self._handlers:
                handler(old, new)


@dataclass
class World:
    """The store, and the clients' view of it."""

    clock: FakeClock = field(default_factory=FakeClock)
    objects: dict[tuple[type[Any], Key], Any] = field(default_factory=dict)
    revision: int = 0
    writes_left: int | None = None
    statuses: list[Any] = field(default_factory=list)
    """Every status of the Job that was written, in order."""
    ended_while_tracked: dict[str, str] = field(default_factory=dict)
    """The phase in which each pod ended that was not counted then."""
    most_active: int = 0

    def __post_init__(self) -> None:
        self.restart()

    # -- the controller's process

    def restart(self) -> None:
        """A new process: it knows nothing but what is stored."""
        self.writes_left = None
        self.informers = {Job: LateInformer(), Pod: LateInformer()}
        context: Any = SimpleNamespace(
            client=self,
            clock=self.clock,
            informers=SimpleNamespace(of=self.informers.__getitem__),
            recorder=lambda name: SimpleNamespace(event=lambda *told: None),
        )
        self.controller = JobController(context)
        self.strays = StrayJobPodController(context)
        for (type_, key), obj in sorted(
            self.objects.items(), key=lambda item: int(item[1].metadata.resource_version)
        ):
            self.informers[type_].waiting.append((self.revision, key, obj))
        self.deliver()

    def deliver(self) -> None:
        for informer in self.informers.values():
            informer.deliver()

    # -- what controllers ask of the API

    async def create(self, obj: Any) -> Any:
        self._count_write()
        made = objects.copy(obj)
        self.revision += 1
        made.metadata.name = made.metadata.name or f"{made.metadata.generate_name}{self.revision}"
        made.metadata.uid = f"uid-{self.revision}"
        made.metadata.creation_timestamp = timestamps.now_string(self.clock)
        strategy = strategy_of(resource_of(type(made)))
        strategy.default(made)
        strategy.prepare_create(made)
        assert not strategy.validate(made)
        self._store(made)
        return made

    async def get(self, type_: type[Any], name: str, namespace: str) -> Any:
        return self._live(type_, Key(namespace, name))

    async def update(self, obj: Any, *, subresource: str) -> Any:
        self._count_write()
        old = self._live(type(obj), objects.key(obj))
        if old.metadata.resource_version != obj.metadata.resource_version:
            raise errors.conflict(resource_of(type(obj)), obj.metadata.name)
        new = objects.copy(obj)
        found = strategy_of(resource_of(type(obj))).validate_subresource(subresource, new, old)
        assert not found, found
        self.statuses.append(new.status)
        return self._store(new)

    async def patch(
        self, type_: type[Any], name: str, namespace: str, body: Any, **more: Any
    ) -> Any:
        """Finalizers and owners are all that controllers patch here."""
        self._count_write()
        old = self._live(type_, Key(namespace, name))
        wanted = body["metadata"]
        if wanted["uid"] != old.metadata.uid:
            raise errors.conflict(resource_of(type_), name)
        if wanted.get("resourceVersion", old.metadata.resource_version) != (
            old.metadata.resource_version
        ):
            raise errors.conflict(resource_of(type_), name)
        new = objects.copy(old)
        if "finalizers" in wanted:
            new.metadata.finalizers = wanted["finalizers"] or []
        for finalizer in wanted.get("$deleteFromPrimitiveList/finalizers", []):
            new.metadata.finalizers = [one for one in new.metadata.finalizers if one != finalizer]
        return self._store(new) if new != old else old

    async def delete(
        self, type_: type[Any], name: str, namespace: str, *, uid: str, **more: Any
    ) -> None:
        self._count_write()
        old = self._live(type_, Key(namespace, name))
        if old.metadata.uid == uid and not old.metadata.deletion_timestamp:
            self.mark_deleted(old)

    # -- what others do

    def mark_deleted(self, old: Any) -> None:
        new = objects.copy(old)
        new.metadata.deletion_timestamp = timestamps.now_string(self.clock)
        self._store(new)

    def change_job(self, **spec: Any) -> None:
        job = objects.copy(self.job)
        job.spec = msgspec.structs.replace(job.spec, **spec)
        self._store(job)

    def end_pod(self, pod: Pod, phase: str) -> None:
        """The agent tells how the pod ended."""
        new = objects.copy(pod)
        new.status.phase = phase
        new.status.container_statuses = []
        if TRACKING in pod.metadata.finalizers:
            self.ended_while_tracked[pod.metadata.uid] = phase
        self._store(new)

    def remove_pod(self, pod: Pod) -> None:
        """The agent has ended a deleted pod; a finalizer may hold the object."""
        if not pods.is_terminal(pod):
            self.end_pod(pod, "Failed")
            pod = self._live(Pod, objects.key(pod))
        if not pod.metadata.finalizers:
            self.revision += 1
            del self.objects[Pod, objects.key(pod)]
            self.informers[Pod].waiting.append((self.revision, objects.key(pod), None))

    @property
    def job(self) -> Job:
        found: Job = self._live(Job, JOB)
        return found

    def pods(self) -> list[Pod]:
        found = [obj for (type_, _), obj in self.objects.items() if type_ is Pod]
        return sorted(found, key=lambda pod: pod.metadata.name)

    def active(self) -> list[Pod]:
        return [pod for pod in self.pods() if pods.is_active(pod)]

    def leaving(self) -> list[Pod]:
        return [pod for pod in self.pods() if pods.is_terminating(pod)]

    def _count_write(self) -> None:
        if self.writes_left is not None:
            if self.writes_left == 0:
                raise Killed
            self.writes_left -= 1

    def _live(self, type_: type[Any], key: Key) -> Any:
        found = self.objects.get((type_, key))
        if found is None:
            raise errors.not_found(resource_of(type_), key.name)
        return found

    def _store(self, obj: Any) -> Any:
        self.revision += 1
        obj.metadata.resource_version = str(self.revision)
        self.objects[type(obj), objects.key(obj)] = obj
        self.informers[type(obj)].waiting.append((self.revision, objects.key(obj), obj))
        self.most_active = max(self.most_active, len(self.active()))
        return obj
