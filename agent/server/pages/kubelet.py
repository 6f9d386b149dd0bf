"""The kubelet's own metrics, as far as this agent knows the numbers: the lower part of `/metrics`. Pure.

What has no counterpart here (PLEG's relists, workers' queues) is left out: a number under a known name
that means something else is worse than none. The agent's own numbers stand above, under its own name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate

from agent.containers.operations import BOUNDS, Tally
from agent.server.interface import Volume
from agent.server.pages.exposition import Exposition
from api.core import Pod


@dataclass(frozen=True, kw_only=True)
class Kubelet:
    """The agent at one moment."""

    node: str
    version: str
    pods: Sequence[Pod] = ()
    """With their status as the agent sees it."""
    sandboxes: int = 0
    """Pause containers that run."""
    operations: Mapping[str, Tally] = field(default_factory=dict)
    """Calls to the container engine, by kind."""
    claims: Sequence[tuple[str, str, Volume]] = ()
    """Namespace and name of every claim that is mounted, and its file system."""
    evictions: Mapping[str, int] = field(default_factory=dict)
    """By the signal that was the reason."""
    images_collected: Mapping[str, int] = field(default_factory=dict)
    """Unused images that were removed, by why."""
    static_pods: int = 0
    """Of the pods."""
    mirror_pods: int = 0
    """Static pods as the API shows them."""
    shutdown_began: datetime | None = None
    """Of the machine, the last one that this agent has seen."""
    shutdown_ended: datetime | None = None
    preemptions: Mapping[str, int] = field(default_factory=dict)
    """Pods that made room for critical ones, by the resource that was missing."""
    rejections: Mapping[str, int] = field(default_factory=dict)
    """Pods that were turned away, by the reason that they were told."""


def render(agent: Kubelet) -> bytes:
    """The lines."""
    page = Exposition()

    def tell(name: str, type_: str, help_: str, value: float, **labels: str) -> None:
        page.declare(name, type_, help_)
        page.add(name, value, labels)

    tell("kubelet_node_name", "gauge", "The node's name; always 1", 1, node=agent.node)
    build = {"git_version": agent.version, "major": "1", "minor": agent.version.split(".")[1]}
    tell("kubernetes_build_info", "gauge", "Which version this is; always 1", 1, **build)
    tell("kubelet_running_pods", "gauge", "Pods whose sandbox runs", agent.sandboxes)
    wanted = "Pods that are wanted here, static ones apart"
    tell("kubelet_desired_pods", "gauge", wanted, len(agent.pods) - agent.static_pods, static="")
    tell("kubelet_desired_pods", "gauge", wanted, agent.static_pods, static="true")
    tell("kubelet_mirror_pods", "gauge", "Static pods as the API shows them", agent.mirror_pods)
    for state, count in _states(agent.pods).items():
        help_ = "Containers by state"
        tell("kubelet_running_containers", "gauge", help_, count, container_state=state)
    _add_operations(page, agent.operations)
    for signal, count in agent.evictions.items():
        help_ = "Pods evicted, by what was short"
        tell("kubelet_evictions", "counter", help_, count, eviction_signal=signal)
    for reason, count in agent.images_collected.items():
        name, help_ = "kubelet_image_garbage_collected_total", "Images removed, by why"
        tell(name, "counter", help_, count, reason=reason)
    for event, moment in (("start", agent.shutdown_began), ("end", agent.shutdown_ended)):
        help_ = f"The last graceful shutdown's {event}, in seconds since 1970"
        seconds = 0.0 if moment is None else moment.timestamp()
        tell(f"kubelet_graceful_shutdown_{event}_time_seconds", "gauge", help_, seconds)
    for namespace, claim, volume in agent.claims:
        for what, help_, value in _of_volume(volume):
            whose = {"namespace": namespace, "persistentvolumeclaim": claim}
            tell(f"kubelet_volume_stats_{what}", "gauge", help_, value, **whose)
    for signal, count in agent.preemptions.items():
        help_ = "Pods ended for critical ones, by what was missing"
        tell("kubelet_preemptions", "counter", help_, count, preemption_signal=signal)
    for reason, count in agent.rejections.items():
        help_ = "Pods turned away, by the reason that they were told"
        tell("kubelet_admission_rejections_total", "counter", help_, count, reason=reason)
    return page.render()


def _add_operations(page: Exposition, operations: Mapping[str, Tally]) -> None:
    name = "kubelet_runtime_operations"
    page.declare(f"{name}_total", "counter", "Calls to the container engine")
    page.declare(f"{name}_errors_total", "counter", "Calls to the container engine that failed")
    help_ = "How long calls to the container engine took, in seconds"
    page.declare(f"{name}_duration_seconds", "histogram", help_)
    for kind, tally in sorted(operations.items()):
        labels = {"operation_type": kind}
        page.add(f"{name}_total", tally.calls, labels)
        if tally.failures:
            page.add(f"{name}_errors_total", tally.failures, labels)
        sums = accumulate(tally.buckets)
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), sums, strict=True):
            page.add(f"{name}_duration_seconds", count, labels | {"le": bound}, suffix="_bucket")
        page.add(f"{name}_duration_seconds", tally.seconds, labels, suffix="_sum")
        page.add(f"{name}_duration_seconds", tally.calls, labels, suffix="_count")


def _of_volume(volume: Volume) -> Iterator[tuple[str, str, int]]:
    yield "available_bytes", "Bytes of the volume that are free", volume.available
    yield "capacity_bytes", "Bytes of the volume", volume.capacity
    yield "inodes", "Inodes of the volume", volume.inodes
    yield "inodes_free", "Inodes of the volume that are free", volume.inodes_free
    yield "inodes_used", "Inodes of the volume in use", volume.inodes - volume.inodes_free
    yield "used_bytes", "Bytes of the volume in use", volume.capacity - volume.available


def _states(pods: Sequence[Pod]) -> dict[str, int]:
    """How many containers are in which state, in the engine's words."""
    found = {"created": 0, "exited": 0, "running": 0}
    for pod in pods:
        status = pod.status
        for one in (
            *status.init_container_statuses,
            *status.container_statuses,
            *status.ephemeral_container_statuses,
        ):
            if one.state.running is not None:
                found["running"] += 1
            elif one.state.terminated is not None or one.last_state.terminated is not None:
                found["exited"] += 1
            elif one.container_id:
                found["created"] += 1
    return found
