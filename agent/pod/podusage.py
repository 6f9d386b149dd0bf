"""What the pods of this node use, read from their cgroups (for the agent's web server, and for eviction).

Reads the workers' memories and changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from agent.containers.records import ContainerRecord
from agent.pod.lookup import made_of
from agent.pod.manager import PodManager
from agent.pod.observed import Seen
from agent.pod.worker import PodWorker
from agent.server import cgroupfiles
from agent.server.interface import (
    ContainerFacts,
    Counters,
    Interface,
    PodUsage,
    Usage,
    Whole,
)
from api import timestamps
from api.pods import all_containers, ephemeral_containers, qos_class


class PodsUsage:
    """`UsageSource` over the cgroups of this node's pods."""

    def __init__(self, manager: PodManager, *, version: int, alone: bool = False) -> None:
        """`alone`: the machine is this node, and not one of several that share it."""
        self._manager = manager
        self._version = version
        self._alone = alone

    def node(self) -> Usage:
        """The machine; of a shared one all pods together, since what is not ours is not ours to tell."""
        if self._alone:
            return cgroupfiles.usage(self._version, self._manager.agent.cgroups.machine)
        return self._all()

    def wholes(self) -> Sequence[Whole]:
        """The cgroups above the pods."""
        cgroups = self._manager.agent.cgroups
        counters = self._counters("", "", "")
        found = [Whole(cgroup=cgroups.path_of_pods, usage=self._all(), counters=counters)]
        if self._alone:
            counters = cgroupfiles.counters(self._version, cgroups.machine)
            machine = Whole(
                cgroup="/", usage=self.node(), counters=counters, interfaces=self.interfaces()
            )
            found.insert(0, machine)
        return found

    def interfaces(self) -> Sequence[Interface]:
        """The node's own links, where it shares neither the machine nor its network."""
        if not self._alone and not cgroupfiles.has_own_network():
            return ()
        return cgroupfiles.interfaces(os.getpid(), without=cgroupfiles.VIRTUAL)

    def since(self) -> datetime | None:
        """When the cgroup of all pods was made."""
        try:
            made = self._directory("", "", "", "memory").stat().st_mtime
        except OSError:
            return None
        return datetime.fromtimestamp(made, UTC)

    def _all(self) -> Usage:
        return self._read("", "", "")

    def pods(self, *, facts: bool = False) -> Sequence[PodUsage]:
        return [
            self._pod(worker, facts=facts)
            for worker in self._manager.workers.values()
            if worker.reported.start_time and _runs(worker)
        ]

    def peak(self, uid: str, qos: str) -> int:
        """The most memory that a pod ever had, in bytes."""
        return cgroupfiles.peak(self._version, partial(self._directory, uid, qos, ""))

    def _pod(self, worker: PodWorker, *, facts: bool) -> PodUsage:
        pod, memory = worker.pod, worker.context.memory
        uid, qos = pod.metadata.uid, str(qos_class(pod))
        running = {
            container.name: seen
            for container in (*all_containers(pod.spec), *ephemeral_containers(pod.spec))
            if (seen := next((s for s in made_of(worker, container.name) if s.alive), None))
        }
        made = PodUsage(
            namespace=pod.metadata.namespace,
            name=pod.metadata.name,
            uid=uid,
            started=timestamps.parse(worker.reported.start_time or ""),
            usage=self._read(uid, qos, ""),
            containers={name: self._read(uid, qos, seen.id) for name, seen in running.items()},
            cgroup=self._path(uid, qos, ""),
        )
        if not facts:
            return made
        sandbox = next((r for r in memory.sandboxes() if r.running and r.pid), None)
        own_network = sandbox is not None and not pod.spec.host_network
        return replace(
            made,
            interfaces=cgroupfiles.interfaces(sandbox.pid) if sandbox and own_network else (),
            facts={name: self._facts(uid, qos, seen) for name, seen in running.items()},
            counters=self._counters(uid, qos, ""),
            sandbox=None if sandbox is None else self._sandbox(uid, qos, sandbox),
        )

    def _sandbox(self, uid: str, qos: str, record: ContainerRecord) -> ContainerFacts:
        return ContainerFacts(
            id=record.id,
            cgroup=self._path(uid, qos, record.id),
            name=record.name,
            image=record.image,
        )

    def _facts(self, uid: str, qos: str, seen: Seen) -> ContainerFacts:
        record = seen.record
        return ContainerFacts(
            id=record.id,
            cgroup=self._path(uid, qos, record.id),
            name=record.name,
            image=seen.image or record.image,
            started=record.started_at,
            cpu_shares=record.in_force.cpu_shares if record.in_force else 0,
            cpu_quota=record.in_force.cpu_quota if record.in_force else 0,
            log_bytes=_size(record.log_path),
            counters=self._counters(uid, qos, record.id),
        )

    def _read(self, uid: str, qos: str, container: str) -> Usage:
        return cgroupfiles.usage(self._version, partial(self._directory, uid, qos, container))

    def _counters(self, uid: str, qos: str, container: str) -> Counters:
        return cgroupfiles.counters(self._version, partial(self._directory, uid, qos, container))

    def _directory(self, uid: str, qos: str, container: str, controller: str) -> Path:
        cgroups = self._manager.agent.cgroups
        return cgroups.directory(uid, qos, controller) / cgroups.leaf(container)

    def _path(self, uid: str, qos: str, container: str) -> str:
        cgroups = self._manager.agent.cgroups
        path = cgroups.path(uid, qos)
        return f"{path}/{cgroups.leaf(container)}" if container else path


def _runs(worker: PodWorker) -> bool:
    return any(record.running for record in worker.context.memory.records.values())


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size if path else 0
    except OSError:
        return 0
