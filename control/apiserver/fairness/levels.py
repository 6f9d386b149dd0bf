"""Priority levels and flows: what the gate sorts requests by. Pure.

Before step 1 of the pod's walk. Each level has a share of the seats; within a level, flows (a user, or a
namespace) have equal rights. Which levels there are, and who belongs to them, is in objects
(`control/apiserver/fairness/book.py`; `defaults` has those that a cluster begins with).
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

SEATS = 64
"""Requests that run at once, over all levels. Most wait for the disk meanwhile: the store commits
whatever waits together, so a few dozen writers are needed to keep it busy."""

WIDE = frozenset({"list", "watch", "deletecollection"})
"""Verbs that go through many objects."""
OBJECTS_PER_SEAT = 100
MOST_SEATS = 10


@dataclass(frozen=True, slots=True)
class LevelSpec:
    """A priority level. `shares` of the seats are its own; the rest of it says how it queues."""

    name: str
    shares: int
    queues: int = 64
    """0: whoever finds no seat is turned away."""
    hand: int = 6
    length: int = 50
    lendable: int = 100
    """Percent of its own seats that others may use while it does not."""
    borrowing: int | None = None
    """How many seats of others it may use, in percent of its own; None: as many as there are."""


class Flow(msgspec.Struct, frozen=True, gc=False):
    """Where a request belongs: its schema, its level, and who its peers are within it."""

    schema: str
    level: str
    distinguisher: str = ""
    exempt: bool = False
    """It passes at once, whatever else is going on."""


def seats(verb: str, objects: int) -> int:
    """How many seats a request takes: reading many objects keeps the loop busy for long."""
    if verb not in WIDE:
        return 1
    return min(MOST_SEATS, max(1, -(-objects // OBJECTS_PER_SEAT)))
