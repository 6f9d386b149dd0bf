"""NodeStatus from what is observed (before step 3 of the pod's walk: the scheduler reads it). Pure.

Conditions use the kubelet's reasons and messages. A heartbeat moves every time it is told; a
transition only when the status changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from agent.containers.records import ImageRecord
from agent.node.engine import EngineState
from api import timestamps
from api.core import (
    ContainerImage,
    DaemonEndpoint,
    NodeAddress,
    NodeCondition,
    NodeDaemonEndpoints,
    NodeFeatures,
    NodeRuntimeHandler,
    NodeRuntimeHandlerFeatures,
    NodeStatus,
    NodeSystemInfo,
    Taint,
)

MAX_IMAGES = 50
MAX_NAMES = 5
"""Of one image, digests before tags: the status is read by every scheduler."""
ENGINE_PATIENCE = 15.0
"""Seconds that the engine may be away (a restart of its daemon) before the node is not ready."""


@dataclass(frozen=True, kw_only=True)
class NodeObserved:
    """The node at one moment."""

    engine_away_for: float = 0.0
    """Seconds since the engine answered last; 0 while it answers."""
    engine: EngineState = EngineState.WELL
    engine_error: str = ""
    unwritable: str = ""
    """Which file system takes no writes, and why; empty while all do."""
    network_ready: bool = True
    network_error: str = ""
    shutting_down: bool = False
    pressures: frozenset[str] = frozenset()
    """Conditions that `agent/node/eviction.py` found to be true."""
    images: Sequence[ImageRecord] = ()


@dataclass(frozen=True, kw_only=True)
class NodeIdentity:
    """What does not change while the agent runs."""

    name: str
    address: str
    port: int
    capacity: Mapping[str, str]
    allocatable: Mapping[str, str]
    info: NodeSystemInfo
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    runtime_handlers: Sequence[str] = ("",)
    recursive_read_only: bool = False
    taints: Sequence[Taint] = ()
    """Of the Node when it is made; afterwards they are others' affair."""
    registers: bool = True
    """Otherwise somebody else makes the Node."""
    max_images: int = MAX_IMAGES
    """How many its status names; below 0: all."""


def node_status(
    identity: NodeIdentity,
    observed: NodeObserved,
    *,
    previous: Sequence[NodeCondition],
    now: datetime,
) -> NodeStatus:
    """The status to report."""
    return NodeStatus(
        capacity=dict(identity.capacity),
        allocatable=dict(identity.allocatable),
        conditions=[_condition(said, previous=previous, now=now) for said in _conditions(observed)],
        addresses=[
            NodeAddress(type="InternalIP", address=identity.address),
            NodeAddress(type="Hostname", address=identity.name),
        ],
        daemon_endpoints=NodeDaemonEndpoints(kubelet_endpoint=DaemonEndpoint(port=identity.port)),
        node_info=identity.info,
        images=[_image(image) for image in _largest(observed.images, identity.max_images)],
        runtime_handlers=[_handler(name, identity) for name in identity.runtime_handlers],
        features=NodeFeatures(supplemental_groups_policy=True),
    )


def engine_conditions(
    observed: NodeObserved, *, previous: Sequence[NodeCondition], now: datetime
) -> list[NodeCondition]:
    """Those that an engine which is away decides, for a node of which nothing else is known."""
    said = (_runtime(observed), _ready(observed))
    return [_condition(one, previous=previous, now=now) for one in said]


def _handler(name: str, identity: NodeIdentity) -> NodeRuntimeHandler:
    can = NodeRuntimeHandlerFeatures(
        recursive_read_only_mounts=identity.recursive_read_only, user_namespaces=False
    )
    return NodeRuntimeHandler(name=name, features=can)


@dataclass(frozen=True)
class _Said:
    type: str
    status: bool
    reason: str
    message: str


def _conditions(observed: NodeObserved) -> list[_Said]:
    there = observed.pressures
    return [
        _network(observed),
        _pressure("MemoryPressure", there, "InsufficientMemory", "SufficientMemory", "memory"),
        _pressure("DiskPressure", there, "DiskPressure", "NoDiskPressure", "disk"),
        _pressure("PIDPressure", there, "InsufficientPID", "SufficientPID", "PID"),
        _runtime(observed),
        _writable(observed),
        _ready(observed),
    ]


def _ready(observed: NodeObserved) -> _Said:
    if observed.shutting_down:
        return _Said("Ready", False, "KubeletNotReady", "node is shutting down")
    if _engine_is_away(observed):
        reason, words = _AWAY[observed.engine is EngineState.STUCK]
        return _Said(
            "Ready", False, reason, f"{words}: {observed.engine_error or _SILENT}. {_ALIVE}"
        )
    if not observed.network_ready:
        words = f"container runtime network not ready: {observed.network_error}"
        return _Said("Ready", False, "KubeletNotReady", words)
    return _Said("Ready", True, "KubeletReady", "kubelet is posting ready status")


_SILENT = "it does not answer"
_ALIVE = "The agent itself works"
"""Else its Lease would expire and all be Unknown: an engine that is ill is another thing than a node."""
_AWAY = {
    True: ("RuntimeStuck", "container runtime is stuck"),
    False: ("RuntimeDown", "container runtime is down"),
}


def _engine_is_away(observed: NodeObserved) -> bool:
    return observed.engine_away_for >= ENGINE_PATIENCE


def _runtime(observed: NodeObserved) -> _Said:
    """The engine by itself; Kubernetes has no condition for it."""
    if _engine_is_away(observed):
        reason, words = _AWAY[observed.engine is EngineState.STUCK]
        return _Said("RuntimeReady", False, reason, f"{words}: {observed.engine_error or _SILENT}")
    if observed.engine is EngineState.SLOW:
        words = f"container runtime is slow: {observed.engine_error}; pods start and stop late"
        return _Said("RuntimeReady", True, "RuntimeSlow", words)
    return _Said("RuntimeReady", True, "RuntimeAnswers", "container runtime answers")


def _writable(observed: NodeObserved) -> _Said:
    """Under the name that node-problem-detector gave it."""
    if observed.unwritable:
        words = f"{observed.unwritable}: pods that run go on, new ones are not started"
        return _Said("ReadonlyFilesystem", True, "FilesystemIsReadOnly", words)
    words = "the node's file systems take writes"
    return _Said("ReadonlyFilesystem", False, "FilesystemIsNotReadOnly", words)


def _network(observed: NodeObserved) -> _Said:
    if observed.network_ready:
        return _Said("NetworkUnavailable", False, "RouteCreated", "the pod network is up")
    return _Said("NetworkUnavailable", True, "NoRouteCreated", observed.network_error)


_WORDS = {
    "memory": (
        "kubelet has insufficient memory available",
        "kubelet has sufficient memory available",
    ),
    "disk": ("kubelet has disk pressure", "kubelet has no disk pressure"),
    "PID": ("kubelet has insufficient PID available", "kubelet has sufficient PID available"),
}


def _pressure(type_: str, pressures: frozenset[str], bad: str, good: str, what: str) -> _Said:
    there = type_ in pressures
    reason = f"KubeletHas{bad if there else good}"
    return _Said(type_, there, reason, _WORDS[what][0 if there else 1])


def _condition(said: _Said, *, previous: Sequence[NodeCondition], now: datetime) -> NodeCondition:
    before = next((c for c in previous if c.type == said.type), None)
    text = "True" if said.status else "False"
    same = before is not None and before.status == text
    stamp = timestamps.format(now)
    return NodeCondition(
        type=said.type,
        status=text,
        last_heartbeat_time=stamp,
        last_transition_time=(
            before.last_transition_time if same and before is not None else stamp
        ),
        reason=said.reason,
        message=said.message,
    )


def _largest(images: Sequence[ImageRecord], most: int) -> list[ImageRecord]:
    named = [image for image in images if image.tags or image.digests]
    named.sort(key=lambda image: (-image.size, image.id))
    return named if most < 0 else named[:most]


def _image(image: ImageRecord) -> ContainerImage:
    return ContainerImage(names=[*image.digests, *image.tags][:MAX_NAMES], size_bytes=image.size)


def same_but_for_heartbeats(left: NodeStatus, right: NodeStatus) -> bool:
    """Whether telling the second after the first would tell anything new."""
    return _still(left) == _still(right)


def _still(status: NodeStatus) -> object:
    conditions = [(c.type, c.status, c.reason, c.message) for c in status.conditions]
    return (
        conditions,
        status.capacity,
        status.allocatable,
        status.addresses,
        status.images,
        status.node_info,
        status.daemon_endpoints,
    )
