"""The log of a simulated run: one line per change of an object and per thing that was done to it.

    seconds  revision  verb  kind  name  what it is like now

Made from nothing but the store's changes and the virtual clock, so it is the same for the same
scenario and seed, byte for byte. Leases are left out: they would be most of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, TextIO

from api import nodes, pods
from api.apps import DaemonSet, Deployment, ReplicaSet, StatefulSet
from api.batch import Job
from api.core import Event, Node, Pod
from sim.history import Step


class EventLog:
    """Writes lines and remembers their digest."""

    def __init__(self, target: TextIO | None = None) -> None:
        self._target = target
        self._digest = hashlib.sha256()
        self.lines = 0

    @property
    def digest(self) -> str:
        """SHA-256 of everything written so far."""
        return self._digest.hexdigest()

    def step(self, step: Step) -> None:
        """A change of an object."""
        metadata = step.object.metadata
        name = f"{metadata.namespace}/{metadata.name}" if metadata.namespace else metadata.name
        words = [step.verb, step.resource.kind, name]
        if step.new is not None and (tell := _TOLD.get(type(step.new))) is not None:
            words.append(tell(step.new))
        self._write(f"{step.at:.6f} {step.revision} {' '.join(words)}")

    def note(self, at: float, text: str) -> None:
        """Something that was done to the cluster."""
        self._write(f"{at:.6f} - {text}")

    def _write(self, line: str) -> None:
        line = line.replace("\n", "\\n") + "\n"
        self.lines += 1
        self._digest.update(line.encode())
        if self._target is not None:
            self._target.write(line)


def _pod(pod: Pod) -> str:
    words = [pod.status.phase or "Pending", pod.spec.node_name or "-"]
    words += ["ready"] * pods.is_ready(pod)
    words += ["deleting"] * bool(pod.metadata.deletion_timestamp)
    if pod.status.nominated_node_name:
        words.append(f"nominated={pod.status.nominated_node_name}")
    return " ".join(words)


def _node(node: Node) -> str:
    taints = ",".join(f"{taint.key}:{taint.effect}" for taint in node.spec.taints)
    return f"{'ready' if nodes.is_ready(node) else 'not ready'} {taints}".rstrip()


def _event(event: Event) -> str:
    about = event.involved_object
    return f"{about.kind}/{about.name} x{event.count} {event.reason}: {event.message}"


def _rollout(one: Deployment | StatefulSet) -> str:
    status = one.status
    return _counts(
        wanted=one.spec.replicas,
        pods=status.replicas,
        updated=status.updated_replicas,
        available=status.available_replicas,
    )


def _replica_set(one: ReplicaSet) -> str:
    status = one.status
    return _counts(
        wanted=one.spec.replicas, pods=status.replicas, available=status.available_replicas
    )


def _daemon_set(one: DaemonSet) -> str:
    status = one.status
    return _counts(
        wanted=status.desired_number_scheduled,
        pods=status.current_number_scheduled,
        available=status.number_available,
    )


def _job(one: Job) -> str:
    status = one.status
    done = [c.type for c in status.conditions if c.status == "True"]
    counts = _counts(active=status.active, succeeded=status.succeeded, failed=status.failed)
    return " ".join([counts, *done])


def _counts(**counts: int | None) -> str:
    return " ".join(f"{name}={count or 0}" for name, count in counts.items())


_TOLD: dict[type[Any], Callable[[Any], str]] = {
    DaemonSet: _daemon_set,
    Deployment: _rollout,
    Event: _event,
    Job: _job,
    Node: _node,
    Pod: _pod,
    ReplicaSet: _replica_set,
    StatefulSet: _rollout,
}
