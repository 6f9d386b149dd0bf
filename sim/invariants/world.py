"""The cluster as it truly is, whatever informers show: what invariants are judged by.

Made from the history of the store, one change at a time, so that no state in between is missed.
"""

from __future__ import annotations

from typing import Any

from api import objects, pods
from api.core import Pod
from sim.history import Step


class World:
    """Objects by UID, and the pods of each controller."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        self._owned: dict[str, dict[str, Any]] = {}

    def step(self, step: Step) -> None:
        """Follow a change."""
        uid = step.object.metadata.uid
        owner = objects.controller_of(step.old) if step.old is not None else None
        if owner is not None:
            self._owned.get(owner.uid, {}).pop(uid, None)
        self.objects.pop(uid, None)
        if step.new is None:
            self._owned.pop(uid, None)
            return
        self.objects[uid] = step.new
        owner = objects.controller_of(step.new)
        if owner is not None:
            self._owned.setdefault(owner.uid, {})[uid] = step.new

    def owned(self, uid: str) -> list[Any]:
        """What the object with this UID controls."""
        return list(self._owned.get(uid, {}).values())

    def owner(self, obj: Any) -> Any | None:
        """The object that controls this one, if it is there."""
        reference = objects.controller_of(obj)
        return None if reference is None else self.objects.get(reference.uid)

    def active_pods(self, uid: str) -> list[Pod]:
        """Pods that the object controls, directly or through others, and that are here to stay."""
        found: list[Pod] = []
        for one in self.owned(uid):
            if not isinstance(one, Pod):
                found += self.active_pods(one.metadata.uid)
            elif pods.is_active(one):
                found.append(one)
        return found
