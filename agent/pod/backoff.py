"""How long a container that ended waits before it runs again (step 4 of the pod's walk). Pure.

The first restart is immediate, the next waits 10 s, then 20, 40, 80, 160 and 300 s at most; a run
of ten minutes clears the slate, and so does another image. A node may have another curve by its
settings, and a pod by the annotation `podwright.io/restart-back-off: first=1s,longest=30s,reset=2m`.
The level is carried in a label of each container, so that an agent which was restarted goes on where
it was, with nothing to remember but what Docker remembers.
"""

from __future__ import annotations

from dataclasses import dataclass

from base.settings import duration


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """A curve of delays."""

    first: float = 10.0
    """Seconds before the second restart; doubled for each one after it."""
    longest: float = 300.0
    reset_after: float = 600.0
    """A run of at least so many seconds counts as healthy and starts the curve again."""

    def delay(self, level: int, *, ran_for: float) -> float:
        """Seconds between the end of a container created at `level` and its next start."""
        if ran_for >= self.reset_after or level <= 0:
            return 0.0
        # 2**20 * 10 s is far beyond any limit; the bound keeps the power small.
        return float(min(self.longest, self.first * 2 ** min(level - 1, 20)))

    def next_level(self, level: int, *, ran_for: float) -> int:
        """The level of the container that follows one created at `level`."""
        return 1 if ran_for >= self.reset_after else level + 1


ANNOTATION = "podwright.io/restart-back-off"
RETRY_ANNOTATION = "podwright.io/retry"
"""A new value of it asks to try again at once, whatever waits."""
LEAST = 1.0
"""Seconds: a pod may not have itself restarted more often."""


def curve(text: str, node: Backoff) -> Backoff:
    """The curve that a pod asks for, beginning with the node's. Raises ValueError."""
    parts = {"first": node.first, "longest": node.longest, "reset": node.reset_after}
    for part in text.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals or name not in parts:
            raise ValueError(f'"{part.strip()}" is not first=, longest= or reset= and a duration')
        try:
            parts[name] = duration(value)
        except ValueError:
            raise ValueError(f'"{value}" is not a duration such as 500ms, 10s or 1m30s') from None
    first = max(LEAST, parts["first"])
    return Backoff(first=first, longest=max(first, parts["longest"]), reset_after=parts["reset"])


RESTARTS = Backoff()
"""Containers that end."""


def retry_delay(failures: int, *, first: float = 1.0, longest: float = 10.0) -> float:
    """Seconds before the next try of something that failed `failures` times in a row."""
    return float(min(longest, first * 2 ** min(max(failures - 1, 0), 20)))
