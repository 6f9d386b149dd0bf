"""Is a node alive, and what follows from it: the pure part of the node lifecycle controller.

A node lives while its Lease or its status changes. What counts is when *we* saw it change, on our
own monotonic clock, so that a wrong clock on a node or a jump of ours makes no node look dead.
Taints follow the conditions (documented under "Taint based Evictions"): NoSchedule at once; NoExecute
for not-ready and unreachable, which evicts pods once their tolerations have run out, when it is the
node's turn (`zones`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from api import conditions
from api.core import Node, NodeCondition, Taint

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
"""Put by an administrator who knows that a node is off: its pods are removed by force."""
_CONDITION_TAINTS = {
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
    ("Ready", "False"): NOT_READY,
    ("Ready", "Unknown"): UNREACHABLE,
}
EVICTING = frozenset({NOT_READY, UNREACHABLE})
_OURS = frozenset({*_CONDITION_TAINTS.values(), UNSCHEDULABLE})
_REPORTED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What was last seen of a node's Lease and conditions, and when (monotonic seconds)."""

    lease: str
    reported: tuple[str | None, ...]
    at: float


def beat(node: Node, lease_renewed: str, before: Heartbeat | None, monotonic: float) -> Heartbeat:
    """The heartbeat after another look: a new moment only if something changed."""
    reported = tuple(
        condition.last_heartbeat_time
        for condition in node.status.conditions
        if condition.status != "Unknown"
    )
    if before is not None and (before.lease, before.reported) == (lease_renewed, reported):
        return before
    if before is not None and before.lease == lease_renewed and not reported:
        return before  # our own marking as Unknown is not a sign of life
    return Heartbeat(lease_renewed, reported, monotonic)


def with_unknown(node: Node, now: str) -> list[NodeCondition]:
    """The conditions of a node that has fallen silent."""
    told = list(node.status.conditions)
    for type_ in _REPORTED:
        known = conditions.find(told, type_)
        if known is not None and known.status == "Unknown":
            continue
        never = known is None
        told = conditions.put(
            told,
            NodeCondition(
                type=type_,
                status="Unknown",
                reason="NodeStatusNeverUpdated" if never else "NodeStatusUnknown",
                message="Kubelet never posted node status."
                if never
                else "Kubelet stopped posting node status.",
                last_heartbeat_time=known.last_heartbeat_time if known is not None else None,
            ),
            now=now,
        )
    return told


def wanted_taints(node: Node, now: str, *, evicts: bool) -> list[Taint]:
    """The node's taints with ours brought in line with its conditions; foreign ones are kept.

    `evicts` says whether the node's pods may be told to go. `timeAdded` of a taint that stays is
    kept: tolerations count from it.
    """
    keys: list[tuple[str, str]] = []
    for condition in node.status.conditions:
        key = _CONDITION_TAINTS.get((condition.type, condition.status))
        if key is not None:
            keys.append((key, "NoSchedule"))
            if evicts and key in EVICTING:
                keys.append((key, "NoExecute"))
    if node.spec.unschedulable:
        keys.append((UNSCHEDULABLE, "NoSchedule"))
    known = {(taint.key, taint.effect): taint for taint in node.spec.taints}
    kept = [taint for taint in node.spec.taints if taint.key not in _OURS]
    ours = [
        known.get(key) or Taint(key=key[0], effect=key[1], time_added=now)
        for key in sorted(set(keys))
    ]
    return [*kept, *ours]


def no_execute(taints: Sequence[Taint]) -> list[Taint]:
    """The taints that evict."""
    return [taint for taint in taints if taint.effect == "NoExecute"]


def evicts(node: Node) -> bool:
    """Whether a taint of ours has told the node's pods to go."""
    return any(taint.key in EVICTING for taint in no_execute(node.spec.taints))


def is_in_trouble(node: Node) -> bool:
    """Not ready, or not heard of: its pods are to go when it is its turn."""
    ready = conditions.find(node.status.conditions, "Ready")
    return ready is not None and ready.status != "True"


def is_unheard(node: Node) -> bool:
    """Whether we have marked the node as silent ourselves, and it has not spoken since."""
    ready = conditions.find(node.status.conditions, "Ready")
    return ready is not None and ready.status == "Unknown"


def to_json(value: Sequence[object]) -> object:
    """Structs as JSON trees, for a patch."""
    return msgspec.to_builtins(value)
