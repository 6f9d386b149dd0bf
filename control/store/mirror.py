"""The current value of every key, in memory: what most reads and all compares are answered from.

Belongs to the event loop, and changes only after a commit is durable: what it shows can never be
taken back.
"""

from __future__ import annotations

from collections.abc import Iterable

from control.store.interface import Change, KeyValue, Range
from control.store.sortedkeys import SortedKeys


class Mirror:
    """The keys that exist at `revision`."""

    def __init__(self, items: Iterable[KeyValue], revision: int) -> None:
        self._items = {item.key: item for item in items}
        self._order = SortedKeys(self._items)
        self.revision = revision

    def __len__(self) -> int:
        return len(self._items)

    def get(self, key: str) -> KeyValue | None:
        return self._items.get(key)

    def range(self, prefix: str, after: str, limit: int) -> Range:
        items: list[KeyValue] = []
        for key in self._order.iterate(prefix, after=after):
            if limit and len(items) == limit:
                remaining = self._order.count(prefix, after=items[-1].key)
                return Range(items, self.revision, remaining)
            items.append(self._items[key])
        return Range(items, self.revision, 0)

    def apply(self, changes: Iterable[Change]) -> None:
        """Take over changes of revisions that follow the mirror's own."""
        for change in changes:
            if change.value is None:
                del self._items[change.key]
                self._order.remove(change.key)
            else:
                if change.previous is None:
                    self._order.add(change.key)
                self._items[change.key] = KeyValue(
                    change.key, change.value, change.create_revision, change.revision
                )
            self.revision = change.revision
