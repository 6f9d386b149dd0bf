"""What was asked of the container engine, counted by kind (step 4 of the pod's walk).

Kinds and bounds are those of a kubelet's `kubelet_runtime_operations_*`, so that its dashboards tell of
this engine, too.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from agent.containers.errors import RuntimeFailure
from base.clock import Clock

BOUNDS = tuple(round(0.005 * 2.5**power, 10) for power in range(14))
"""Seconds."""
PULL = "pull_image"
VERSION = "version"
_KINDS = tuple(
    (method, re.compile(path), kind)
    for method, path, kind in (
        ("GET", "/info", "status"),
        ("GET", "/containers/json", "list_containers"),
        ("POST", "/containers/create", "create_container"),
        ("GET", "/containers/[^/]+/json", "container_status"),
        ("GET", "/containers/[^/]+/archive", "container_status"),
        ("POST", "/containers/[^/]+/start", "start_container"),
        ("POST", "/containers/[^/]+/kill", "stop_container"),
        ("POST", "/containers/[^/]+/update", "update_container_resources"),
        ("POST", "/containers/[^/]+/exec", "exec"),
        ("GET", "/exec/[^/]+/json", "exec"),
        ("POST", "/(containers|exec)/[^/]+/resize", "attach"),
        ("DELETE", "/containers/[^/]+", "remove_container"),
        ("GET", "/images/json", "list_images"),
        ("GET", "/images/.+/json", "image_status"),
        ("DELETE", "/images/.+", "remove_image"),
    )
)


def kind_of(method: str, path: str) -> str:
    """What a call of the engine's API is called."""
    found = (kind for m, pattern, kind in _KINDS if m == method and pattern.fullmatch(path))
    return next(found, "other")


@dataclass(slots=True)
class Tally:
    """The calls of one kind: how many, how many failed, and how long they took."""

    failures: int = 0
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    """Not summed up."""

    @property
    def calls(self) -> int:
        return sum(self.buckets)


class Operations:
    """All calls to one engine."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.tallies: dict[str, Tally] = {}
        """By kind."""

    @contextmanager
    def measured(self, kind: str) -> Iterator[None]:
        """Count what is done within, whatever comes of it."""
        tally, began = self.tallies.setdefault(kind, Tally()), self._clock.monotonic()
        try:
            yield
        except RuntimeFailure:
            tally.failures += 1
            raise
        finally:
            took = self._clock.monotonic() - began
            tally.seconds += took
            tally.buckets[bisect.bisect_left(BOUNDS, took)] += 1
