"""Finding the container that a request means (logs, exec, attach, port-forward), and what pods use.

Serves the agent's web server; reads the workers' memories and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from agent.containers.records import ContainerId
from agent.pod.manager import PodManager
from agent.pod.observed import Seen
from agent.pod.worker import PodWorker
from agent.server.interface import (
    PodUsage,
    Usage,
    container_missing,
    container_unnamed,
    not_running,
    pod_missing,
    pod_not_running,
    previous_missing,
    waiting_to_start,
)
from agent.server.usage import read_legacy, read_unified
from api import timestamps
from api.core import Pod
from api.pods import all_containers, ephemeral_containers, qos_class

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
        made = [seen for seen in _containers(worker, name) if not seen.unstarted]
        if previous:
            ended = made[1:] if made and made[0].alive else made
            found = next((seen for seen in ended if seen.ended), None)
            if found is None:
                raise previous_missing(pod, name)
            return found.id
        if not made:
            raise waiting_to_start(pod, name, _waiting(worker, name))
        return made[0].id

    def find_running(self, namespace: str, pod: str, container: str) -> ContainerId:
        """The container to exec into."""
        worker, name = self._named(namespace, pod, container)
        made = _containers(worker, name)
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

    def _named(self, namespace: str, pod: str, container: str) -> tuple[PodWorker, str]:
        worker = self._worker(namespace, pod)
        spec = worker.pod.spec
        names = [c.name for c in (*all_containers(spec), *ephemeral_containers(spec))]
        if not container:
            container = worker.pod.metadata.annotations.get(DEFAULT_CONTAINER, "")
            mains = [c.name for c in worker.pod.spec.containers]
            if not container and len(mains) != 1:
                raise container_unnamed(pod, names)
            container = container or mains[0]
        if container not in names:
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


class PodsUsage:
    """`UsageSource` over the cgroups of this node's pods."""

    def __init__(self, manager: PodManager, *, version: int, systemd: bool) -> None:
        self._manager = manager
        self._version = version
        self._systemd = systemd

    def node(self) -> Usage:
        """All pods together: on a shared machine what is not ours is not ours to tell."""
        return self._read("", "", "")

    def pods(self) -> Sequence[PodUsage]:
        made = []
        for worker in self._manager.workers.values():
            pod, started = worker.pod, worker.reported.start_time
            if not started:
                continue
            uid, qos = pod.metadata.uid, str(qos_class(pod))
            containers = {}
            for container in (*all_containers(pod.spec), *ephemeral_containers(pod.spec)):
                running = [s for s in _containers(worker, container.name) if s.alive]
                if running:
                    containers[container.name] = self._read(uid, qos, running[0].id)
            made.append(
                PodUsage(
                    namespace=pod.metadata.namespace,
                    name=pod.metadata.name,
                    uid=uid,
                    started=timestamps.parse(started),
                    usage=self._read(uid, qos, ""),
                    containers=containers,
                )
            )
        return made

    def _read(self, uid: str, qos: str, container: str) -> Usage:
        cgroups = self._manager.agent.cgroups
        leaf = f"docker-{container}.scope" if self._systemd and container else container

        def directory(controller: str) -> Path:
            return cgroups.directory(uid, qos, controller) / leaf

        if self._version == 2:
            return read_unified(directory("memory"))
        return read_legacy(directory("cpuacct"), directory("memory"))


def _containers(worker: PodWorker, name: str) -> list[Seen]:
    observed = worker.context.memory.observe(worker.pod, host_ip="", busy=())
    return list(observed.containers.get(name, ()))


def _waiting(worker: PodWorker, name: str) -> str:
    status = worker.reported
    for each in (
        *status.init_container_statuses,
        *status.container_statuses,
        *status.ephemeral_container_statuses,
    ):
        if each.name == name and each.state.waiting is not None:
            return each.state.waiting.reason
    return "ContainerCreating"
