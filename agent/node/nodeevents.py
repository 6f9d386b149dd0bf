"""What happens to the node itself, told as Events (any step of the pod's walk): `kubectl describe node`
ends with them.

Reasons and messages are the kubelet's, because people and their alerts look for them; so is the reference,
whose uid is the node's name: `describe` looks for both, and a node can speak before it is registered.
Which changes of conditions are told is pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.effects.context import Recorder
from api.core import NodeCondition, ObjectReference

_REASONS = {
    ("MemoryPressure", "True"): "NodeHasInsufficientMemory",
    ("MemoryPressure", "False"): "NodeHasSufficientMemory",
    ("DiskPressure", "True"): "NodeHasDiskPressure",
    ("DiskPressure", "False"): "NodeHasNoDiskPressure",
    ("PIDPressure", "True"): "NodeHasInsufficientPID",
    ("PIDPressure", "False"): "NodeHasSufficientPID",
    ("Ready", "True"): "NodeReady",
    ("Ready", "False"): "NodeNotReady",
}


def reasons(before: Sequence[NodeCondition], after: Sequence[NodeCondition]) -> list[str]:
    """Which changes are told. Readiness is news only to those who knew of another; the pressures are told
    of a new node too, as people are used to."""
    known = {condition.type: condition.status for condition in before}
    return [
        _REASONS[condition.type, condition.status]
        for condition in after
        if (condition.type, condition.status) in _REASONS
        and known.get(condition.type) != condition.status
        and (condition.type != "Ready" or "Ready" in known)
    ]


class NodeEvents:
    """Tells of one node."""

    def __init__(self, recorder: Recorder, name: str) -> None:
        self._recorder = recorder
        self._name = name
        self._about = ObjectReference(api_version="v1", kind="Node", name=name, uid=name)

    def tell(self, reason: str, message: str) -> None:
        self._recorder.event(self._about, "Normal", reason, message)

    def warn(self, reason: str, message: str) -> None:
        self._recorder.event(self._about, "Warning", reason, message)

    def now(self, reason: str) -> None:
        """The node is another one from now on."""
        self.tell(reason, f"Node {self._name} status is now: {reason}")

    def conditions(self, before: Sequence[NodeCondition], after: Sequence[NodeCondition]) -> None:
        """The status has been told."""
        for reason in reasons(before, after):
            self.now(reason)

    def schedulable(self, before: bool, after: bool) -> None:
        """Somebody has cordoned the node, or has taken that back."""
        if before != after:
            self.now("NodeSchedulable" if after else "NodeNotSchedulable")

    def booted(self, before: str, after: str) -> None:
        """By the boot ids that were told and that are."""
        if before and before != after:
            self.warn("Rebooted", f"Node {self._name} has been rebooted, boot id: {after}")
