"""Status to the API (step 5 of the pod's walk): coalesced, in order, never lost, never doubled.

Per pod one sender at most. It sends the newest status as a strategic merge patch that holds only
what changed, with the pod's uid, so that a namesake is never written to. What comes while a patch is
under way waits in one slot, the newest winning. A small change (an address, a sandbox) may wait a
moment for a greater one (a container that runs, a phase): most pods start with a single write.

A failure is tried again for as long as there is nothing newer to say; a pod that is gone, or is
another by now, ends the matter.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import msgspec

from agent.pod.alarm import Alarm
from agent.pod.backoff import retry_delay
from agent.pod.status import OWN_CONDITIONS, PASSING_CONDITIONS
from api.client import Client, PatchType
from api.core import Pod, PodStatus
from api.errors import ApiError, is_conflict, is_invalid, is_not_found
from base.clock import Clock
from base.errors import PodwrightError
from base.tasks import TaskGuard

log = logging.getLogger(__name__)

SETTLE = 0.25
"""Seconds that a small change waits for company."""
LONGEST_RETRY = 10.0

_FIELDS = (
    "observedGeneration",
    "phase",
    "reason",
    "message",
    "hostIP",
    "hostIPs",
    "podIP",
    "podIPs",
    "startTime",
    "initContainerStatuses",
    "containerStatuses",
    "ephemeralContainerStatuses",
    "qosClass",
)
_REPLACED = ("hostIPs", "podIPs")
"""Lists that a strategic merge would merge."""


@dataclass
class _Slot:
    """One pod's newest unsent status."""

    name: str
    namespace: str
    base: PodStatus
    """What the API has, as far as we know."""
    alarm: Alarm
    idle: Alarm
    version: int = 0
    """Revision of the object after our last patch: what is older says nothing new."""
    wanted: PodStatus | None = None
    urgent: bool = False
    sending: bool = False
    gone: bool = False


@dataclass
class _Counts:
    sent: int = 0
    coalesced: int = 0
    failed: int = 0


@dataclass
class StatusPusher:
    """Sends statuses."""

    client: Client
    clock: Clock
    guard: TaskGuard
    _slots: dict[str, _Slot] = field(default_factory=dict)
    _counts: _Counts = field(default_factory=_Counts)

    def submit(self, pod: Pod, status: PodStatus) -> None:
        """Have the API told. Never waits."""
        uid = pod.metadata.uid
        slot = self._slots.get(uid)
        if slot is None:
            slot = self._slots[uid] = self._slot(pod)
        if slot.gone:
            return
        newest = slot.wanted or slot.base
        slot.urgent = slot.urgent or _matters(newest, status)
        self._counts.coalesced += slot.wanted is not None
        slot.wanted = status
        slot.alarm.ring()
        if not slot.sending:
            slot.sending = True
            self.guard.start(self._send(uid, slot), name=f"status {slot.namespace}/{slot.name}")

    def heard(self, pod: Pod) -> None:
        """The API says this of the pod: if somebody changed what we told, tell it again.

        The node controller does that to the pods of a node that was out of reach.
        """
        slot = self._slots.get(pod.metadata.uid)
        if slot is None or slot.sending or slot.gone:
            return
        if _version(pod) <= slot.version or not difference(pod.status, slot.base):
            return
        told, slot.base = slot.base, pod.status
        self.submit(pod, told)

    async def flush(self, uid: str) -> None:
        """Wait until everything submitted for the pod was told, or its object is gone."""
        slot = self._slots.get(uid)
        while slot is not None and slot.sending:
            slot.urgent = True
            slot.alarm.ring()
            await slot.idle.wait(None)

    def forget(self, uid: str) -> None:
        """The pod is no more. May be called twice."""
        slot = self._slots.pop(uid, None)
        if slot is not None:
            slot.gone, slot.wanted = True, None
            slot.alarm.ring()

    def statistics(self) -> dict[str, float]:
        return {
            "status_sent": self._counts.sent,
            "status_coalesced": self._counts.coalesced,
            "status_failed": self._counts.failed,
            "status_waiting": sum(1 for slot in self._slots.values() if slot.sending),
        }

    def _slot(self, pod: Pod) -> _Slot:
        meta = pod.metadata
        return _Slot(
            name=meta.name,
            namespace=meta.namespace,
            base=pod.status,
            alarm=Alarm(f"status {meta.name}", clock=self.clock, guard=self.guard),
            idle=Alarm(f"status of {meta.name} told", clock=self.clock, guard=self.guard),
        )

    async def _send(self, uid: str, slot: _Slot) -> None:
        failures = 0
        try:
            while slot.wanted is not None and not slot.gone:
                await self._settle(slot)
                status, slot.wanted, slot.urgent = slot.wanted, None, False
                if status is None:
                    break
                if await self._patch(uid, slot, status):
                    failures = 0
                    continue
                failures += 1
                slot.wanted = slot.wanted or status
                slot.urgent = True
                await slot.alarm.wait(retry_delay(failures, longest=LONGEST_RETRY))
        finally:
            slot.sending = False
            slot.idle.ring()

    async def _settle(self, slot: _Slot) -> None:
        until = self.clock.monotonic() + SETTLE
        while not slot.urgent and (left := until - self.clock.monotonic()) > 0:
            await slot.alarm.wait(left)

    async def _patch(self, uid: str, slot: _Slot, status: PodStatus) -> bool:
        changes = difference(slot.base, status)
        if not changes:
            return True
        body = {"metadata": {"uid": uid}, "status": changes}
        try:
            patched = await self.client.patch(
                Pod,
                slot.name,
                slot.namespace,
                body,
                patch_type=PatchType.STRATEGIC,
                subresource="status",
            )
        except ApiError as error:
            another = (is_conflict(error) or is_invalid(error)) and uid in error.message
            if is_not_found(error) or another:
                slot.gone = True
                return True
            self._failed(slot, error)
            return False
        except PodwrightError as error:
            self._failed(slot, error)
            return False
        slot.base, slot.version = status, _version(patched)
        self._counts.sent += 1
        return True

    def _failed(self, slot: _Slot, error: PodwrightError) -> None:
        self._counts.failed += 1
        log.warning("status of pod %s/%s not told yet: %s", slot.namespace, slot.name, error)


def difference(before: PodStatus, after: PodStatus) -> dict[str, Any]:
    """The strategic merge patch from one status to another. Pure."""
    old, new = msgspec.to_builtins(before), msgspec.to_builtins(after)
    changes: dict[str, Any] = {}
    for name in _FIELDS:
        if old.get(name) == new.get(name):
            continue
        value = new.get(name)
        if name in _REPLACED and value and old.get(name):
            value = [{"$patch": "replace"}, *value]
        changes[name] = value
    conditions = _condition_changes(old.get("conditions", []), new.get("conditions", []))
    if conditions:
        changes["conditions"] = conditions
    return changes


def _condition_changes(old: list[Any], new: list[Any]) -> list[Any]:
    """Conditions that changed, with null for fields that are no more."""
    known = {condition["type"]: condition for condition in old}
    changed = []
    for condition in new:
        before = known.get(condition["type"], {})
        if condition["type"] in OWN_CONDITIONS and condition != before:
            changed.append(dict.fromkeys(before) | condition)
    there = {condition["type"] for condition in new}
    gone = [kind for kind in PASSING_CONDITIONS if kind in known and kind not in there]
    return [*changed, *({"$patch": "delete", "type": kind} for kind in gone)]


def _version(pod: Pod) -> int:
    text = pod.metadata.resource_version
    return int(text) if text.isdigit() else 0


def _matters(before: PodStatus, after: PodStatus) -> bool:
    """Whether somebody waits for this change: a phase, a readiness, a state of a container."""
    return _gist(before) != _gist(after)


def _gist(status: PodStatus) -> object:
    ready = [c.status for c in status.conditions if c.type == "Ready"]
    containers = {
        c.name: (
            c.ready,
            c.restart_count,
            c.state.running is not None,
            c.state.terminated is not None,
            _waiting_reason(c.state.waiting),
        )
        for c in (
            *status.init_container_statuses,
            *status.container_statuses,
            *status.ephemeral_container_statuses,
        )
    }
    moved = {name: gist for name, gist in containers.items() if any(gist)}
    return status.phase or "Pending", ready or ["False"], moved, status.reason


def _waiting_reason(waiting: object) -> str:
    reason = getattr(waiting, "reason", "")
    # The two states in which every pod begins are nobody's news.
    return "" if reason in ("ContainerCreating", "PodInitializing") else str(reason)
