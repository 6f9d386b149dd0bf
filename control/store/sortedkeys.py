"""Keys in order, for lists and pages: insertion and removal cost the same at 100 keys and 100,000.

A plain sorted list moves half of itself on each insertion; here it is cut into chunks of bounded
size, so that only one chunk moves. Python compares strings by code point, SQLite and etcd by UTF-8
bytes: the order is the same.

Not thread-safe; belongs to the event loop.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from typing import Protocol

_CHUNK = 512


class Bisect(Protocol):
    """bisect_left or bisect_right."""

    def __call__(self, a: list[str], x: str, /) -> int: ...


def end_of_prefix(prefix: str) -> str:
    """The smallest string greater than every string that begins with `prefix`; "" if there is none."""
    while prefix:
        last = ord(prefix[-1])
        if last < 0x10FFFF:
            # Surrogates cannot be encoded, so no key contains one: step over them.
            return prefix[:-1] + chr(0xE000 if last == 0xD7FF else last + 1)
        prefix = prefix[:-1]
    return ""


class SortedKeys:
    """A set of strings that knows their order."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        ordered = sorted(set(keys))
        self._chunks = [ordered[i : i + _CHUNK] for i in range(0, len(ordered), _CHUNK)]
        self._firsts = [chunk[0] for chunk in self._chunks]
        self._size = len(ordered)

    def __len__(self) -> int:
        return self._size

    def add(self, key: str) -> None:
        """Add a key that is not there yet."""
        if not self._chunks:
            self._chunks, self._firsts, self._size = [[key]], [key], 1
            return
        at = max(bisect_right(self._firsts, key) - 1, 0)
        chunk = self._chunks[at]
        insort(chunk, key)
        self._firsts[at] = chunk[0]
        self._size += 1
        if len(chunk) > 2 * _CHUNK:
            self._chunks.insert(at + 1, chunk[_CHUNK:])
            self._firsts.insert(at + 1, chunk[_CHUNK])
            del chunk[_CHUNK:]

    def remove(self, key: str) -> None:
        """Remove a key; KeyError if it is not there."""
        at = bisect_right(self._firsts, key) - 1
        chunk = self._chunks[at] if at >= 0 else []
        position = bisect_left(chunk, key)
        if position == len(chunk) or chunk[position] != key:
            raise KeyError(key)
        del chunk[position]
        self._size -= 1
        if chunk:
            self._firsts[at] = chunk[0]
        else:
            del self._chunks[at], self._firsts[at]

    def iterate(self, prefix: str = "", *, after: str = "") -> Iterator[str]:
        """The keys that begin with `prefix` and sort after `after`. Not to be changed meanwhile."""
        end = end_of_prefix(prefix)
        if after >= prefix:
            at, position = self._find(after, bisect_right)
        else:
            at, position = self._find(prefix, bisect_left)
        for chunk in self._chunks[at:]:
            stop = len(chunk)
            if end and chunk[-1] >= end:
                stop = bisect_left(chunk, end)
            yield from chunk[position:stop] if position or stop < len(chunk) else chunk
            if stop < len(chunk):
                return
            position = 0

    def count(self, prefix: str = "", *, after: str = "") -> int:
        """How many keys `iterate` would give, without visiting them."""
        end = end_of_prefix(prefix)
        begin = self._rank(after, bisect_right) if after >= prefix else self._rank(prefix)
        return max(0, (self._rank(end) if end else self._size) - begin)

    def _find(self, key: str, bisect: Bisect) -> tuple[int, int]:
        at = max(bisect_right(self._firsts, key) - 1, 0)
        return at, bisect(self._chunks[at], key) if self._chunks else 0

    def _rank(self, key: str, bisect: Bisect = bisect_left) -> int:
        at, position = self._find(key, bisect)
        return sum(len(chunk) for chunk in self._chunks[:at]) + position
