"""One kind as clients see it in one of its versions: what is stored is converted on the way.

Serves steps 1 and 2 of the pod's walk. A kind is stored, cached and checked in one version; every
version that is served is a `Version` beside it. Handlers and watches go through it, so that nobody
behind them knows more than one version. Where nothing has to be converted, which is the rule, bytes
pass through untouched.

Conversions may leave the process (webhooks), so they are asynchronous and take many objects at
once. Those of a watch event are shared: the first watcher of a version converts, all others of it
wait for the same result (`of_events`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from api import errors
from api.codec.decode import IGNORE
from api.fielderrors import FieldError
from api.scheme import Resource
from api.selectors import FieldSelector, FieldTerm, parse_field_selector
from control.apiserver.registry.codecs import Codec, Typed
from control.apiserver.registry.kinds import Kind
from control.resources.strategy import Strategy
from control.store.subscription import CachedEvent


class Conversion(Protocol):
    """Between the stored version of a kind and another one."""

    direct: bool
    """Whether one object can be converted at once, by `shown` and `back`."""

    def needed(self, body: bytes) -> bool:
        """Whether these bytes are not of the served version already."""
        ...

    async def to_served(self, bodies: Sequence[bytes]) -> Sequence[bytes]:
        """Stored objects as this version shows them, each with its resourceVersion."""
        ...

    async def to_stored(self, obj: Any, old: Any | None) -> Any:
        """A decoded object of this version as the kind keeps it. `old`: what it replaces."""
        ...

    def shown(self, obj: Any) -> Any:
        """A stored object in the served version; it may share parts with what was given."""
        ...

    def back(self, obj: Any) -> Any:
        """An object of the served version as it is stored; it may share parts, too."""
        ...


class Version:
    """A kind in one served version."""

    __slots__ = ("_checks", "_keep", "codec", "conversion", "fields", "kind", "resource", "rules")

    def __init__(
        self,
        resource: Resource,
        kind: Kind[Any],
        *,
        codec: Codec,
        rules: Strategy[Any] | None = None,
        conversion: Conversion | None = None,
        fields: Mapping[str, str] | None = None,
        checks: bool = False,
        keep: Callable[[Any, Any], None] | None = None,
    ) -> None:
        self.resource = resource
        self.kind = kind
        self.codec = codec
        self.rules = rules or kind.strategy  # of columns: what is printed is of this version
        self.conversion = conversion
        self.fields = fields
        self._checks = checks  # by its own rules, not by those of the kind
        self._keep = keep

    def __repr__(self) -> str:
        return f"Version({self.resource.api_version} {self.resource.plural})"

    async def to_served(self, bodies: Sequence[bytes]) -> Sequence[bytes]:
        """What the kind keeps, as this version shows it."""
        conversion = self.conversion
        if conversion is None:
            return bodies
        positions = [at for at, body in enumerate(bodies) if conversion.needed(body)]
        if not positions:
            return bodies
        converted = await conversion.to_served([bodies[at] for at in positions])
        shown = list(bodies)
        for at, body in zip(positions, converted, strict=True):
            shown[at] = body
        return shown

    async def one(self, body: bytes) -> bytes:
        """As `to_served`, of one object."""
        return body if self.conversion is None else (await self.to_served([body]))[0]

    async def from_served(self, obj: Any, old: Any | None = None) -> Any:
        """An object of this version as the kind keeps it."""
        return obj if self.conversion is None else await self.conversion.to_stored(obj, old)

    async def show(self, obj: Any) -> bytes:
        """A decoded object of the kind as JSON of this version."""
        return await self.one(self.kind.body(obj))

    async def take(self, tree: Any, current: Any) -> Any:
        """What a tree of this version means to the kind, in place of `current`. Raises 400."""
        made = await self.from_served(self.codec.from_tree(tree, IGNORE).obj, current)
        self.keep(made, current)
        return made

    @property
    def api_version(self) -> str:
        return self.resource.api_version

    @property
    def direct(self) -> bool:
        """Whether objects can be shown in this version at once."""
        return self.conversion is None or self.conversion.direct

    def shown(self, obj: Any) -> Any:
        """A stored object in this version; it may share parts with what was given."""
        return obj if self.conversion is None else self.conversion.shown(obj)

    def tree(self, obj: Any) -> dict[str, Any]:
        """A stored object as plain values of this version, without its owners."""
        shown = self.shown(obj)
        metadata = shown.metadata
        entries, metadata.managed_fields = metadata.managed_fields, []
        plain = self.codec.tree(shown)
        metadata.managed_fields = entries
        return plain

    def stored(self, tree: Any) -> Any:
        """The object of such a tree as it is stored. Raises 400 for what does not fit the kind."""
        obj = self.codec.from_tree(tree, "Ignore").obj
        return obj if self.conversion is None else self.conversion.back(obj)

    def keep(self, new: Any, old: Any) -> None:
        """Give a changed object back what clients of this version could not see, and left alone."""
        if self._keep is not None:
            self._keep(new, old)

    def validate(self, obj: Any) -> list[FieldError]:
        """What is wrong with a new object, as it is to be stored, to clients of this version."""
        if self._checks:
            return self.rules.validate(self.shown(obj))
        return self.kind.strategy.validate(obj)

    def validate_update(self, new: Any, old: Any) -> list[FieldError]:
        """As `validate`, of a change."""
        if self._checks:
            return self.rules.validate_update(self.shown(new), self.shown(old))
        return self.kind.strategy.validate_update(new, old)

    async def of_events(self, events: Sequence[CachedEvent]) -> Sequence[bytes]:
        """The objects of watch events, each converted once for all watchers of this version."""
        if self.conversion is None:
            return [event.entry.body for event in events]
        mine = [event for event in events if self._key not in event.conversions]
        if mine:
            await self._convert(mine)
        return [await self._converted(event) for event in events]

    def stored_selector(self, text: str) -> str:
        """A field selector of this version, in the names of the stored one. Raises 400."""
        if not text or self.fields is None:
            return text
        try:
            parsed = parse_field_selector(text)
        except ValueError as error:
            raise errors.bad_request(f"unable to parse requirement: {error}") from None
        return str(FieldSelector(tuple(self._stored_term(term) for term in parsed.terms)))

    def _stored_term(self, term: FieldTerm) -> FieldTerm:
        fields = self.fields or {}
        if term.path in ("metadata.name", "metadata.namespace"):
            return term
        if term.path not in fields:
            known = ", ".join(sorted({"metadata.name", "metadata.namespace", *fields}))
            raise errors.bad_request(
                f"field label not supported: {term.path} (those of {self.resource.plural}: {known})"
            )
        return FieldTerm(fields[term.path], term.value, term.equal)

    @property
    def _key(self) -> tuple[str, int]:
        return self.resource.version, id(self.conversion)

    async def _convert(self, events: Sequence[CachedEvent]) -> None:
        key, loop = self._key, asyncio.get_running_loop()
        for event in events:
            event.conversions[key] = loop.create_future()
        try:
            bodies = await self.to_served([event.entry.body for event in events])
        except BaseException:
            # Whoever waits tries by itself: the failure, or the end of this watch, is not theirs.
            for event in events:
                event.conversions.pop(key).set_result(None)
            raise
        for event, body in zip(events, bodies, strict=True):
            event.conversions[key].set_result(body)

    async def _converted(self, event: CachedEvent) -> bytes:
        while True:
            pending = event.conversions.get(self._key)
            found = await asyncio.shield(pending) if pending is not None else None
            if found is not None:
                return found
            if self._key not in event.conversions:
                await self._convert([event])


class Pure:
    """A conversion between two types that the code knows."""

    direct = True

    def __init__(
        self,
        stored: Codec,
        served: Codec,
        *,
        to_served: Callable[[Any], Any],
        to_stored: Callable[[Any], Any],
    ) -> None:
        self._stored = stored
        self._served = served
        self._to_served = to_served
        self._to_stored = to_stored

    def needed(self, body: bytes) -> bool:
        return True

    def shown(self, obj: Any) -> Any:
        """A stored object in the served version."""
        return self._to_served(obj)

    def back(self, obj: Any) -> Any:
        """An object of the served version as it is stored."""
        return self._to_stored(obj)

    async def to_served(self, bodies: Sequence[bytes]) -> Sequence[bytes]:
        decode, encode = self._stored.decode, self._served.encode
        shown: list[bytes] = []
        for start in range(0, len(bodies), _SLICE):
            if start:
                await asyncio.sleep(0)  # others want the loop, too
            for body in bodies[start : start + _SLICE]:
                shown.append(encode(self._to_served(decode(body))))
        return shown

    async def to_stored(self, obj: Any, old: Any | None) -> Any:
        return self._to_stored(obj)


_SLICE = 100


def as_stored(kind: Kind[Any]) -> Version:
    """The version in which a kind is stored."""
    return Version(kind.resource, kind, codec=kind.codec)


def alternates(
    rows: Iterable[Resource],
    kind_of: Callable[[str, str], Kind[Any]],
    conversions: Mapping[Resource, Any],
) -> list[Version]:
    """The further versions of kinds that the code knows."""
    made = []
    for resource in rows:
        known = conversions[resource]
        kind, codec = kind_of(resource.stored_as, resource.kind), Typed(resource.type)
        pure = Pure(kind.codec, codec, to_served=known.to_served, to_stored=known.to_stored)
        made.append(
            Version(
                resource,
                kind,
                codec=codec,
                rules=known.rules,
                conversion=pure,
                fields=known.fields,
                checks=known.checks,
                keep=known.keep,
            )
        )
    return made
