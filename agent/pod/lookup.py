"""Finding the container that a request means (logs, exec, attach, port-forward).

Serves the agent's web server; reads the workers' memories and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from agent.containers.records import ContainerId
from agent.pod import names
from agent.pod.manager import PodManager
from agent.pod.observed import Seen
from agent.pod.worker import PodWorker
from agent.server.interface import (
    container_missing,
    container_unnamed,
    log_gone,
    not_running,
    pod_missing,
    pod_not_running,
    previous_missing,
    waiting_to_start,
)
from api.core import Container, ContainerStatus, Pod, PodSpec
from api.meta import ObjectMeta
from api.pods import all_containers, ephemeral_containers
from api.why import Death

_IMAGE_WORDS = {
    "ErrImagePull": "image can't be pulled",
    "ImagePullBackOff": "trying and failing to pull image",
}
"""Reasons that the kubelet spells out to whoever asks for a log."""
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


class Pods:
    """`PodLookup` over the manager's workers."""

    def __init__(self, manager: PodManager) -> None:
        self._manager = manager

    def find(
        self, namespace: str, pod: str, container: str, *, previous: bool = False
    ) -> ContainerId:
        """The container whose log is meant."""
        worker, name = self._named(namespace, pod, container)
        made = [seen for seen in made_of(worker, name) if not seen.unstarted]
        if previous:
            # One that ended for good is no previous one; in a crash loop the last one is.
            present = bool(made) and (made[0].alive or _has_ended(worker, name))
            ended = made[1:] if present else made
            found = next((seen for seen in ended if seen.ended), None)
            if found is None:
                raise previous_missing(pod, name)
            return found.id
        if not made:
            if _has_ended(worker, name):
                raise log_gone(pod, name)
            raise waiting_to_start(pod, name, _waiting(worker, name))
        return made[0].id

    def find_running(self, namespace: str, pod: str, container: str) -> ContainerId:
        """The container to exec into."""
        worker, name = self._named(namespace, pod, container)
        made = made_of(worker, name)
        if not made or not made[0].alive:
            raise not_running(name)
        return made[0].id

    def find_sandbox(self, namespace: str, pod: str) -> ContainerId:
        """The container whose network namespace is the pod's."""
        worker = self._worker(namespace, pod)
        sandbox = worker.context.memory.observe(worker.pod, host_ip="", busy=()).sandbox
        if sandbox is None or not sandbox.running:
            raise pod_not_running(pod, worker.reported.phase or "Pending")
        return sandbox.id

    def pods(self) -> Sequence[Pod]:
        """All pods with the status as this agent sees it."""
        return [
            msgspec.structs.replace(worker.pod, status=worker.reported)
            for worker in self._manager.workers.values()
            if not worker.context.memory.removed
        ]

    def running(self) -> Sequence[Pod]:
        """Pods of which something runs: names, and what the containers were made from."""
        found = []
        for worker in self._manager.workers.values():
            records = [r for r in worker.context.memory.records.values() if r.running]
            meta = worker.pod.metadata
            containers = [
                Container(name=record.labels.get(names.CONTAINER_NAME, ""), image=record.image)
                for record in records
                if record.labels.get(names.CONTAINER_TYPE) == names.CONTAINER
            ]
            if records:
                about = ObjectMeta(name=meta.name, namespace=meta.namespace, uid=meta.uid)
                found.append(Pod(metadata=about, spec=PodSpec(containers=containers)))
        return found

    def log_files(self) -> set[str]:
        """Where the engine keeps the logs of this node's containers, with those of earlier rotations. May be
        called by a thread, while pods come and go."""
        return {
            str(file)
            for worker in list(self._manager.workers.values())
            for record in list(worker.context.memory.records.values())
            if record.log_path
            for file in Path(record.log_path).parent.glob(f"{Path(record.log_path).name}*")
        }

    def deaths(self, namespace: str, pod: str) -> Sequence[Death]:
        """How the containers of a pod died, the newest first."""
        return list(self._worker(namespace, pod).context.memory.deaths)

    def _named(self, namespace: str, pod: str, container: str) -> tuple[PodWorker, str]:
        worker = self._worker(namespace, pod)
        spec = worker.pod.spec
        there = [c.name for c in (*all_containers(spec), *ephemeral_containers(spec))]
        if not container:
            container = worker.pod.metadata.annotations.get(DEFAULT_CONTAINER, "")
            mains = [c.name for c in worker.pod.spec.containers]
            if not container and len(mains) != 1:
                raise container_unnamed(pod, there)
            container = container or mains[0]
        if container not in there:
            raise container_missing(pod, container)
        return worker, container

    def _worker(self, namespace: str, pod: str) -> PodWorker:
        found = [
            worker
            for worker in self._manager.workers.values()
            if (worker.pod.metadata.namespace, worker.pod.metadata.name) == (namespace, pod)
        ]
        if not found:
            raise pod_missing(namespace, pod)
        # A namesake that is being cleaned up is not the one that is meant.
        return next((w for w in found if not w.context.memory.removed), found[0])


def made_of(worker: PodWorker, name: str) -> list[Seen]:
    """The containers of that name, newest first."""
    observed = worker.context.memory.observe(worker.pod, host_ip="", busy=())
    return list(observed.containers.get(name, ()))


def _has_ended(worker: PodWorker, name: str) -> bool:
    return any(
        each.name == name and each.state.terminated is not None for each in _statuses(worker)
    )


def _statuses(worker: PodWorker) -> list[ContainerStatus]:
    status = worker.reported
    return [
        *status.init_container_statuses,
        *status.container_statuses,
        *status.ephemeral_container_statuses,
    ]


def _waiting(worker: PodWorker, name: str) -> str:
    for each in _statuses(worker):
        if each.name == name and each.state.waiting is not None:
            return _IMAGE_WORDS.get(each.state.waiting.reason, each.state.waiting.reason)
    return "ContainerCreating"
