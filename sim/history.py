"""Every change of the store, in order, decoded: what log, figures and invariants are made from.

The store's own watch tells of each accepted write exactly once, before time goes on, so whoever
listens here sees every step that the cluster took, whatever the informers have missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from api.coordination import Lease
from api.scheme import Resource
from control.apiserver.registry.kinds import Kind
from control.apiserver.registry.registry import Registry
from control.store.interface import Change
from control.store.memory import MemoryStore

ROOT = "/registry/"


@dataclass(frozen=True)
class Step:
    """One object changed. `old` None: it came; `new` None: it went."""

    at: float
    revision: int
    resource: Resource
    old: Any
    new: Any

    @property
    def object(self) -> Any:
        """The object, as it is now or was last."""
        return self.new if self.new is not None else self.old

    @property
    def verb(self) -> str:
        if self.old is None:
            return "create"
        return "update" if self.new is not None else "delete"


Listener = Callable[[Step], None]


class History:
    """Follows a store and tells its listeners."""

    def __init__(self, store: MemoryStore, registry: Registry) -> None:
        self._store = store
        self._kinds = {kind.resource.prefix(): kind for kind in registry.kinds}
        self._known: dict[str, Any] = {}
        self._listeners: list[Listener] = []
        self.steps = 0

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    async def run(self) -> None:
        """Tell every change until cancelled."""
        loop = asyncio.get_running_loop()
        async for changes in self._store.watch(ROOT, after=0):
            self._tell(changes, loop.time())

    def _tell(self, changes: Sequence[Change], now: float) -> None:
        for change in changes:
            kind = self._kind(change.key)
            if kind is None or kind.resource.type is Lease:  # most writes are heartbeats
                continue
            old = self._known.pop(change.key, None)
            new = None
            if change.value is not None:
                new = self._known[change.key] = kind.decode(change.value)
            self.steps += 1
            step = Step(now, change.revision, kind.resource, old, new)
            for listener in self._listeners:
                listener(step)

    def _kind(self, key: str) -> Kind[Any] | None:
        end = key.find("/", len(ROOT)) + 1
        return self._kinds.get(key[:end]) or self._kinds.get(key[: key.find("/", end) + 1])
