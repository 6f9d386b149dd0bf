"""One kind as the pipeline needs it: its resource, its rules, its cache, and its bytes.

Serves steps 1 and 2 of the pod's walk. The store holds an object's JSON without resourceVersion,
which is known only at commit; it is spliced in at a place that is the same for all objects of a
kind, because `apiVersion` and `kind` stand first, with known values, and `metadata` follows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from sys import intern
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from api.codec.decode import Decoded
from api.core import Pod
from api.meta import ObjectMeta
from api.scheme import Resource
from api.struct import ApiStruct
from control.apiserver.registry.codecs import Codec, codec_of
from control.resources.strategy import Strategy
from control.store.cached import Extract, Facts, splice
from control.store.interface import KeyValue, Store
from control.store.watchcache import WatchCache

T = TypeVar("T")


class View(Protocol):
    """A kind in one version, as far as it can be shown at once."""

    @property
    def api_version(self) -> str: ...

    @property
    def codec(self) -> Codec: ...

    def tree(self, obj: Any) -> dict[str, Any]:
        """A stored object as plain values of this version, without its owners."""
        ...

    def stored(self, tree: Any) -> Any:
        """The object of such a tree as it is stored. Raises 400 for what does not fit the kind."""
        ...


class Kind(Generic[T]):
    """Everything about one resource; its codec is of the version that is stored."""

    __slots__ = (
        "cache",
        "closed",
        "codec",
        "extract",
        "has_generation",
        "indexed",
        "prepare",
        "resource",
        "selectable",
        "splice_at",
        "strategy",
        "upgrade",
        "views",
    )

    def __init__(
        self,
        resource: Resource,
        strategy: Strategy[Any],
        cache: WatchCache,
        *,
        extract: Extract,
        codec: Codec | None = None,
        prepare: Callable[[bytes], bytes] | None = None,
        upgrade: Callable[[bytes], Awaitable[bytes]] | None = None,
        indexed: Sequence[str] = (),
    ) -> None:
        self.resource = resource
        self.codec: Codec = codec or codec_of(resource.type)
        self.strategy = strategy
        self.cache = cache
        self.closed = ""  # why nothing can be created: its definition is on its way out
        self.prepare = prepare  # what is shown of what is stored, where that is not the same
        self.upgrade = upgrade  # from a version that was the stored one once
        self.extract = extract
        self.indexed = tuple(indexed)
        self.views: dict[str, View] = {}  # by apiVersion: in which owners of fields are told
        self.selectable = strategy.selectable_fields()
        self.splice_at = splice_offset(resource)
        self.has_generation = strategy.has_generation

    def __repr__(self) -> str:
        return f"Kind({self.resource.qualified_name})"

    def key(self, namespace: str, name: str) -> str:
        return self.resource.key(namespace, name)

    def encode(self, obj: T) -> bytes:
        """The bytes for the store: without resourceVersion. Changes the object's metadata."""
        metadata = obj.metadata  # type: ignore[attr-defined]
        metadata.resource_version = ""
        return self.codec.encode(obj)

    def decode(self, body: bytes) -> T:
        """A private copy of a stored object."""
        decoded: T = self.codec.decode(body)
        return decoded

    def body(self, obj: T) -> bytes:
        """The object as it is, with whatever resourceVersion it has."""
        return self.codec.encode(obj)

    def copy(self, obj: T) -> T:
        """A private copy of an object."""
        copied: T = self.codec.copy(obj)
        return copied

    def load(self, stored: KeyValue) -> T:
        """A private copy of what the store has, with its resourceVersion."""
        decoded = self.decode(self._shown(stored.value))
        decoded.metadata.resource_version = str(stored.mod_revision)  # type: ignore[attr-defined]
        return decoded

    async def current(self, stored: KeyValue) -> T:
        """As `load`, in the version that is stored now."""
        if self.upgrade is not None:
            value = await self.upgrade(self._shown(stored.value))
            stored = KeyValue(stored.key, value, stored.create_revision, stored.mod_revision)
        return self.load(stored)

    def _shown(self, value: bytes) -> bytes:
        return value if self.prepare is None else self.prepare(value)

    def tree(self, obj: T) -> dict[str, Any]:
        """The object as plain JSON values: what patches are applied to."""
        return self.codec.tree(obj)

    def from_tree(self, tree: Any, validation: str) -> Decoded[Any]:
        """The object of a tree that a patch made. Raises 400 for what does not fit the kind."""
        return self.codec.from_tree(tree, validation)

    def decode_body(self, body: bytes, content_type: str, validation: str) -> Decoded[Any]:
        """The object of a request's body. Raises 400 and 415."""
        return self.codec.decode_body(body, content_type, validation)

    def splice(self, value: bytes, revision: int) -> bytes:
        """The bytes for clients: those of the store with the resourceVersion."""
        if self.prepare is not None:
            return splice(self.prepare(value), revision)
        at = self.splice_at
        return b'%b"resourceVersion":"%d",%b' % (value[:at], revision, value[at:])


def splice_offset(resource: Resource) -> int:
    """Where, in every stored object of this resource, the first field of metadata begins."""
    return len(f'{{"apiVersion":"{resource.api_version}","kind":"{resource.kind}","metadata":{{')


class _Named(msgspec.Struct, gc=False):
    name: str = ""
    namespace: str = ""
    labels: dict[str, str] = {}


class _Head(msgspec.Struct, gc=False):
    metadata: _Named


_HEADS = msgspec.json.Decoder(_Head)


def extractor(strategy: Strategy[Any]) -> Extract:
    """What reads the labels and fields of a stored object that selectors may ask for.

    Most kinds offer no more than their name: for those only the metadata is looked at.
    """
    if type(strategy).fields is Strategy.fields:
        return head_facts
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(strategy.resource.type)

    def read(value: bytes) -> Facts:
        obj = decoder.decode(value)
        metadata = obj.metadata
        return _facts(metadata, strategy.fields(obj))

    return read


def head_facts(value: bytes) -> Facts:
    """What selectors may ask of a kind that offers no more than its name."""
    named = _HEADS.decode(value).metadata
    return _facts(named, {})


def _facts(metadata: _Named | ObjectMeta, more: Mapping[str, str]) -> Facts:
    """They are kept with every object, and say the same of most: each text is in memory once."""
    fields = {"metadata.name": metadata.name, "metadata.namespace": intern(metadata.namespace)}
    for name, value in more.items():
        fields[name] = intern(value)
    if not metadata.labels:
        return _NO_LABELS, fields
    return {intern(name): intern(value) for name, value in metadata.labels.items()}, fields


_NO_LABELS: Mapping[str, str] = {}


_INDEXED: dict[type[ApiStruct], tuple[str, ...]] = {Pod: ("spec.nodeName",)}
"""Fields by which objects are looked up so often that the cache keeps an index."""


def make_kind(resource: Resource, strategy: Strategy[Any], store: Store) -> Kind[Any]:
    """A kind with a cache of its own, which its owner must run."""
    extract = extractor(strategy)
    indexed = _INDEXED.get(resource.type, ())
    cache = WatchCache(store, resource.prefix(), extract, indexed=indexed)
    return Kind(resource, strategy, cache, extract=extract, indexed=indexed)
