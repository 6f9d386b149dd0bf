"""Which images may go: the least recently used first, and none that is in use. Pure.

As Kubernetes documents it ("Garbage collection of unused containers and images"): above the high
threshold of its file system the agent removes unused images until the low one is reached; images that
nobody used for `unused_age` go in any case. No image goes before it has been here for `least_age`,
so that one that was pulled for a pod is there when its container is made.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from agent.containers.records import ImageId, ImageRecord
from agent.node.machine import Disk


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Thresholds in percent of the file system in use, ages in seconds."""

    high: int = 85
    low: int = 80
    least_age: float = 120.0
    unused_age: float = 0.0
    """0: images may lie here for ever as long as there is room."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """An image as the agent has seen it (monotonic seconds)."""

    first: float
    used: float


Memory = Mapping[ImageId, Known]


def look(
    memory: Memory, images: Sequence[ImageRecord], used: Collection[ImageId], now: float
) -> dict[ImageId, Known]:
    """Take note of which images are there and which are in use."""
    seen = {}
    for image in images:
        known = memory.get(image.id, Known(first=now, used=now))
        seen[image.id] = replace(known, used=now) if image.id in used else known
    return seen


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What to remove, in this order; `wanted` is how much should come free, in bytes."""

    remove: tuple[ImageRecord, ...] = ()
    wanted: int = 0
    expired: frozenset[ImageId] = field(default_factory=frozenset)
    """Those that go for their age, whatever room there is."""


def choose(
    memory: Memory,
    images: Sequence[ImageRecord],
    used: Collection[ImageId],
    disk: Disk | None,
    policy: Policy,
    now: float,
    *,
    everything: bool = False,
) -> Verdict:
    """What to remove now. `everything` that is not in use: the disk is short."""
    unused = sorted(
        (image for image in images if image.id not in used and image.id in memory),
        key=lambda image: (memory[image.id].used, memory[image.id].first, image.id),
    )
    ripe = [image for image in unused if now - memory[image.id].first >= policy.least_age]
    expired = frozenset(
        image.id
        for image in ripe
        if policy.unused_age and now - memory[image.id].used >= policy.unused_age
    )
    wanted = _wanted(disk, policy)
    if everything:
        return Verdict(remove=tuple(ripe), wanted=wanted, expired=expired)
    chosen, freed = [], 0
    for image in ripe:
        if image.id in expired or freed < wanted:
            chosen.append(image)
            freed += image.size
    return Verdict(remove=tuple(chosen), wanted=wanted, expired=expired)


def _wanted(disk: Disk | None, policy: Policy) -> int:
    """Bytes to free: none below the high threshold, else down to the low one."""
    if disk is None or disk.total <= 0 or policy.high >= 100:
        return 0
    taken = 100 - disk.available * 100 // disk.total
    if taken < policy.high:
        return 0
    return max(0, disk.total * (100 - policy.low) // 100 - disk.available)


def failure(disk: Disk, freed: int) -> str:
    """What is told when not enough could be removed, in Kubernetes' words."""
    taken = 100 - disk.available * 100 // disk.total
    return (
        f"Insufficient free disk space on the node's image filesystem ({taken}% of "
        f"{_readable(disk.total)} used). Failed to free sufficient space by deleting unused images "
        f"(freed {freed} bytes). Investigate disk usage, as it could be used by active images, logs, "
        "volumes, or other data."
    )


def _readable(size: int) -> str:
    """`26.4 GiB`"""
    amount, units = float(size), ["B", "KiB", "MiB", "GiB", "TiB"]
    while amount >= 1024 and len(units) > 1:
        amount /= 1024
        units.pop(0)
    return f"{amount:.1f} {units[0]}"
