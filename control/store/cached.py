"""Objects as the watch cache holds them: bytes that are sent as they are, and what selectors ask.

The store's bytes have no resourceVersion, because it is known only at commit. It is spliced in when
they are sent: right after the brace that opens `metadata`, so that nothing behind it has to be looked
at, and so that a DELETED event can show another revision. Until then the cache holds the very bytes
that the store holds: a second copy of every object would be most of what an object costs.

Where that brace is may not be guessed by searching for `"metadata":{`: a ConfigMap may contain that
text. Our encoder writes apiVersion and kind first, so the head of an object is plain strings up to
`metadata`; anything else goes the slow way, through a JSON parser.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import overload

import msgspec

from control.store.interface import KeyValue
from control.store.sortedkeys import SortedKeys

Facts = tuple[Mapping[str, str], Mapping[str, str]]  # labels, fields
Extract = Callable[[bytes], Facts]

# Members whose values are strings without escapes, then metadata: nothing in it can be nested.
_HEAD = re.compile(rb'\{(?:"[^"\\]*":"[^"\\]*",)*"metadata":\{')


class Cached(msgspec.Struct, frozen=True, gc=False):
    """One object at one revision. Never changed."""

    key: str
    value: bytes
    """JSON without a resourceVersion."""
    revision: int
    labels: Mapping[str, str]
    fields: Mapping[str, str]
    splice_at: int

    @property
    def body(self) -> bytes:
        """JSON with its resourceVersion, made anew each time."""
        return _spliced(self.value, self.splice_at, self.revision)

    def at(self, revision: int) -> Cached:
        """The same object under another resourceVersion."""
        return Cached(self.key, self.value, revision, self.labels, self.fields, self.splice_at)


class Bodies(Sequence[bytes]):
    """The bytes of objects for clients, each made when it is asked for and not kept."""

    __slots__ = ("_entries",)

    def __init__(self, entries: Sequence[Cached]) -> None:
        self._entries = entries

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, position: int) -> bytes: ...
    @overload
    def __getitem__(self, position: slice) -> Bodies: ...
    def __getitem__(self, position: int | slice) -> bytes | Bodies:
        if isinstance(position, slice):
            return Bodies(self._entries[position])
        return self._entries[position].body

    def __iter__(self) -> Iterator[bytes]:
        return (entry.body for entry in self._entries)

    @property
    def size(self) -> int:
        """Bytes of all together, but for their resourceVersions."""
        return sum(len(entry.value) for entry in self._entries)


def render(item: KeyValue, extract: Extract) -> Cached:
    """An object of the store as clients see it."""
    value, at = _prepared(item.value)
    labels, fields = extract(item.value)
    return Cached(item.key, value, item.mod_revision, labels, fields, at)


def splice(value: bytes, revision: int) -> bytes:
    """The object with its resourceVersion as the first field of metadata."""
    value, at = _prepared(value)
    return _spliced(value, at, revision)


def _prepared(value: bytes) -> tuple[bytes, int]:
    """The object, and where its resourceVersion belongs."""
    head = _HEAD.match(value)
    if head is None:
        value = _metadata_first(value)
        head = _HEAD.match(value)
        assert head is not None
    return value, head.end()


def _spliced(value: bytes, at: int, revision: int) -> bytes:
    comma = b"" if value.startswith(b"}", at) else b","
    return b'%b"resourceVersion":"%d"%b%b' % (value[:at], revision, comma, value[at:])


def _metadata_first(value: bytes) -> bytes:
    """The same object, compact, with metadata in front and no resourceVersion in it."""
    try:
        members = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
        metadata = msgspec.json.decode(members.pop("metadata"), type=dict[str, msgspec.Raw])
    except (KeyError, msgspec.DecodeError) as error:
        raise ValueError(f"a stored object needs metadata: {value[:200]!r}") from error
    metadata.pop("resourceVersion", None)
    return msgspec.json.encode({"metadata": metadata, **members})


class Objects:
    """Objects by key, in order, and by the value of the fields that are indexed."""

    def __init__(self, indexed: Iterable[str], objects: Iterable[Cached] = ()) -> None:
        self._indexed = tuple(indexed)
        self._by_key = {item.key: item for item in objects}
        self._order = SortedKeys(self._by_key)
        self._by_field: dict[tuple[str, str], set[str]] = {}
        for item in self._by_key.values():
            self._file(item)

    def __len__(self) -> int:
        return len(self._by_key)

    def get(self, key: str) -> Cached | None:
        return self._by_key.get(key)

    def iterate(self, prefix: str, after: str) -> Iterator[Cached]:
        by_key = self._by_key
        return (by_key[key] for key in self._order.iterate(prefix, after=after))

    def count(self, prefix: str, after: str) -> int:
        return self._order.count(prefix, after=after)

    def where(self, field: str, value: str) -> list[Cached]:
        """The objects whose indexed `field` has this value, in order."""
        if field not in self._indexed:
            raise ValueError(f"{field} is not indexed")
        return [self._by_key[key] for key in sorted(self._by_field.get((field, value), ()))]

    def topics(self, entry: Cached) -> list[tuple[str, str]]:
        """The indexed fields with this object's values."""
        return [(field, entry.fields.get(field, "")) for field in self._indexed]

    def set(self, entry: Cached) -> Cached | None:
        """Returns what was there before."""
        previous = self._by_key.get(entry.key)
        if previous is None:
            self._order.add(entry.key)
        else:
            self._unfile(previous)
        self._by_key[entry.key] = entry
        self._file(entry)
        return previous

    def remove(self, key: str) -> Cached:
        """Returns what was removed."""
        previous = self._by_key.pop(key)
        self._order.remove(key)
        self._unfile(previous)
        return previous

    def _file(self, entry: Cached) -> None:
        for topic in self.topics(entry):
            self._by_field.setdefault(topic, set()).add(entry.key)

    def _unfile(self, entry: Cached) -> None:
        for topic in self.topics(entry):
            keys = self._by_field[topic]
            keys.discard(entry.key)
            if not keys:
                del self._by_field[topic]
