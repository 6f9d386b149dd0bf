"""When the node runs short: which pod has to go, and what the node says of itself. Pure.

Thresholds, signals, the ranking and the messages are those of Kubernetes' "Node-pressure Eviction".
A threshold without a grace is hard: what is met is acted on at once. A soft one must have been met for
its grace. A pressure, once reported, stays for the transition period after the last time it was met,
so that pods do not go back and forth.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from api import quantity
from api.core import Pod, Taint
from api.pods import qos_class, tolerates
from api.priorities import CRITICAL_PRIORITY


class Signal(StrEnum):
    """What is measured, in Kubernetes' names."""

    MEMORY = "memory.available"
    NODE_DISK = "nodefs.available"
    NODE_INODES = "nodefs.inodesFree"
    IMAGE_DISK = "imagefs.available"
    IMAGE_INODES = "imagefs.inodesFree"
    PIDS = "pid.available"


PRESSURES: Mapping[Signal, str] = {
    Signal.MEMORY: "MemoryPressure",
    Signal.NODE_DISK: "DiskPressure",
    Signal.NODE_INODES: "DiskPressure",
    Signal.IMAGE_DISK: "DiskPressure",
    Signal.IMAGE_INODES: "DiskPressure",
    Signal.PIDS: "PIDPressure",
}
OF_IMAGES = frozenset({Signal.IMAGE_DISK, Signal.IMAGE_INODES})
RESOURCES: Mapping[Signal, str] = {
    Signal.MEMORY: "memory",
    Signal.NODE_DISK: "ephemeral-storage",
    Signal.NODE_INODES: "inodes",
    Signal.IMAGE_DISK: "ephemeral-storage",
    Signal.IMAGE_INODES: "inodes",
    Signal.PIDS: "pids",
}


@dataclass(frozen=True)
class Amount:
    """So much of a thing, or such a fraction of what there is in all."""

    number: int = 0
    fraction: float = 0.0

    def of(self, capacity: int) -> int:
        return self.number or int(capacity * self.fraction)


def read_amount(text: str) -> Amount:
    """`100Mi` or `10%`. Raises ValueError."""
    if text.endswith("%"):
        percent = float(text[:-1])
        if not 0 <= percent <= 100:
            raise ValueError(text)
        return Amount(fraction=percent / 100)
    return Amount(quantity.value(text))


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """When the node is short of something: below `least`."""

    signal: Signal
    least: Amount = Amount()
    grace: float | None = None
    """Seconds that it must have been met; None for a hard threshold."""
    reclaim: Amount = Amount()
    """How much beyond the threshold is to be free before the shortage counts as over."""


_WORDS = re.compile(r"([a-zA-Z.]+)<(\S+)")


def threshold(text: str) -> Threshold:
    """`memory.available<100Mi`, `nodefs.available<10%`

    Raises:
        ValueError: with what was expected.
    """
    found = _WORDS.fullmatch(text.strip())
    if found is None or found[1] not in set(Signal):
        signals = ", ".join(Signal)
        raise ValueError(f"expected SIGNAL<AMOUNT with one of {signals}, found {text!r}")
    value, signal = found[2], Signal(found[1])
    if value in ("0%", "100%"):  # as documented, this is how one is switched off: it is never met
        return Threshold(signal=signal)
    try:
        least = read_amount(value)
    except ValueError as error:
        expected = (
            "a percentage from 0% to 100%" if value.endswith("%") else "an amount such as 100Mi"
        )
        raise ValueError(f"expected {expected}, found {value!r}") from error
    if least.number <= 0 and least.fraction <= 0:
        raise ValueError(f"expected an amount above 0, found {value!r}")
    return Threshold(signal=signal, least=least)


@dataclass(frozen=True, kw_only=True)
class Level:
    """How much of a thing is there, and how much in all."""

    available: int
    capacity: int


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A pod that may be evicted: what it uses of each resource, and what it asked for."""

    uid: str
    priority: int
    critical: bool
    used: Mapping[str, int]
    requested: Mapping[str, int]

    def above_request(self, resource: str) -> int:
        """How much it uses beyond its request."""
        return self.used.get(resource, 0) - self.requested.get(resource, 0)


@dataclass(frozen=True, kw_only=True)
class History:
    """When thresholds were met: since when without a break, and when last (monotonic seconds)."""

    since: Mapping[Threshold, float] = field(default_factory=dict)
    last: Mapping[str, float] = field(default_factory=dict)
    """By pressure."""
    short: frozenset[Threshold] = frozenset()
    """Met at the last look, or not far enough beyond since."""


@dataclass(frozen=True, kw_only=True)
class Shortage:
    """A threshold that calls for an eviction now."""

    threshold: Threshold
    level: Level

    @property
    def hard(self) -> bool:
        return self.threshold.grace is None

    @property
    def message(self) -> str:
        """The beginning of what the pod is told."""
        least = self.threshold.least.of(self.level.capacity)
        spelled = _amount(self.threshold.signal)
        return (
            f"The node was low on resource: {RESOURCES[self.threshold.signal]}. "
            f"Threshold quantity: {spelled(least)}, available: {spelled(self.level.available)}. "
        )


def look(
    thresholds: Iterable[Threshold],
    levels: Mapping[Signal, Level],
    history: History,
    now: float,
) -> tuple[History, list[Shortage]]:
    """Take note of the levels; returns what is short, memory first.

    What is not measured (a file system that has no inodes to count) is never short.
    """
    since: dict[Threshold, float] = {}
    last = dict(history.last)
    short: set[Threshold] = set()
    found: list[Shortage] = []
    for one in thresholds:
        level = levels.get(one.signal)
        if level is None or level.capacity <= 0:
            continue
        more = one.reclaim.of(level.capacity) if one in history.short else 0
        least = one.least.of(level.capacity) + more
        if level.available >= least:
            continue
        short.add(one)
        since[one] = history.since.get(one, now)
        last[PRESSURES[one.signal]] = now
        if one.grace is None or now - since[one] >= one.grace:
            found.append(Shortage(threshold=one, level=level))
    order = list(Signal)
    found.sort(key=lambda shortage: (order.index(shortage.threshold.signal), not shortage.hard))
    return History(since=since, last=last, short=frozenset(short)), found


def pressures(history: History, now: float, *, transition: float) -> frozenset[str]:
    """The pressures that the node reports."""
    return frozenset(
        name for name, at in history.last.items() if now - at < transition or at == now
    )


def rank(candidates: Iterable[Candidate], signal: Signal) -> list[Candidate]:
    """Who goes first: who uses more than it asked for, then the least important, then the largest."""
    resource = RESOURCES[signal]
    return sorted(
        (one for one in candidates if not one.critical),
        key=lambda one: (
            one.above_request(resource) <= 0,
            one.priority,
            -one.above_request(resource),
            one.uid,
        ),
    )


def told(shortage: Shortage, usage: Sequence[tuple[str, int, int]]) -> str:
    """The message of an eviction. `usage`: by container its name, what it used and requested."""
    signal = shortage.threshold.signal
    resource, spelled = RESOURCES[signal], _amount(signal)
    return shortage.message + "".join(
        f"Container {name} was using {spelled(used)}, request is {spelled(requested)}, "
        f"has larger consumption of {resource}. "
        for name, used, requested in usage
        if used > requested
    )


def noted(shortage: Shortage, usage: Sequence[tuple[str, int, int]]) -> dict[str, str]:
    """The same for programs: annotations of the event, as the kubelet names them."""
    signal = shortage.threshold.signal
    spelled = _amount(signal)
    guilty = [(name, spelled(used)) for name, used, requested in usage if used > requested]
    return {
        "starved_resource": RESOURCES[signal],
        "offending_containers": ",".join(name for name, _ in guilty),
        "offending_containers_usage": ",".join(used for _, used in guilty),
    }


def _amount(signal: Signal) -> Callable[[int], str]:
    if RESOURCES[signal] in ("memory", "ephemeral-storage"):
        return quantity.from_bytes
    return quantity.from_value


def refusal(pod: Pod, pressures: Collection[str]) -> str:
    """Why a node under pressure takes no such pod; empty when it does.

    As documented for node-pressure eviction: critical pods are always let in; where only memory is short
    so are all that request some, and those that tolerate the taint. In Kubernetes' words.
    """
    if not pressures or (pod.spec.priority or 0) >= CRITICAL_PRIORITY:
        return ""
    if set(pressures) == {"MemoryPressure"}:
        taint = Taint(key="node.kubernetes.io/memory-pressure", effect="NoSchedule")
        if qos_class(pod) != "BestEffort" or tolerates(pod.spec.tolerations, taint):
            return ""
    return f"The node had condition: [{' '.join(sorted(pressures))}]. "
