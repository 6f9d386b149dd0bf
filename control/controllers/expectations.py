"""What a controller has written but not yet seen: so that it does not write it twice.

Between a create and the moment the informer shows it, the world looks as if the object was missing.
A controller that creates or deletes pods notes their UIDs here and does not count again before the
informer has caught up with every one of them. A note that is never redeemed (the object was deleted
at once by somebody else) lapses after five minutes.
"""

from collections.abc import Hashable
from typing import Generic, TypeVar

from base.clock import Clock

K = TypeVar("K", bound=Hashable)

LAPSE_SECONDS = 300.0


class Expectations(Generic[K]):
    """Per owner: UIDs of objects created but not seen, and deleted but not seen gone."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._created: dict[K, dict[str, float]] = {}
        self._deleted: dict[K, dict[str, float]] = {}

    def statistics(self) -> dict[str, float]:
        """How much is outstanding."""
        return {
            "created": sum(map(len, self._created.values())),
            "deleted": sum(map(len, self._deleted.values())),
        }

    def created(self, owner: K, uid: str) -> None:
        """An object was created for this owner."""
        self._created.setdefault(owner, {})[uid] = self._clock.monotonic()

    def deleted(self, owner: K, uid: str) -> None:
        """An object of this owner was asked to be deleted."""
        self._deleted.setdefault(owner, {})[uid] = self._clock.monotonic()

    def seen(self, owner: K, uid: str, *, leaving: bool) -> None:
        """The informer showed the object; `leaving` when it is gone or being deleted."""
        _drop(self._created, owner, uid)
        if leaving:
            _drop(self._deleted, owner, uid)

    def met(self, owner: K) -> bool:
        """Whether the informer shows everything that was written for this owner."""
        oldest = self._clock.monotonic() - LAPSE_SECONDS
        for table in (self._created, self._deleted):
            if any(at > oldest for at in table.get(owner, {}).values()):
                return False
            table.pop(owner, None)
        return True

    def forget(self, owner: K) -> None:
        """The owner is gone."""
        self._created.pop(owner, None)
        self._deleted.pop(owner, None)


def _drop(table: dict[K, dict[str, float]], owner: K, uid: str) -> None:
    waiting = table.get(owner)
    if waiting is not None:
        waiting.pop(uid, None)
        if not waiting:
            del table[owner]
