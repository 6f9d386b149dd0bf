"""A kind, made of its definition: codec, rules, cache, and one `Version` for each that is served.

Serves step 1 of the pod's walk for custom resources. What watch caches hold is shown in the stored
version: renamed and with that version's defaults, as Kubernetes does when it reads; only objects of
a kind with a webhook keep the version in which they were written until somebody asks for them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from api.custom import Custom
from api.scheme import Resource
from control.apiserver.custom.codec import CustomCodec, Rules
from control.apiserver.custom.conversion import (
    BetweenVersions,
    Caller,
    Converter,
    Hook,
    rename,
    renamed,
)
from control.apiserver.custom.definition import DefinedVersion, Definition, Tree
from control.apiserver.custom.strategy import CustomStrategy
from control.apiserver.registry.kinds import Kind, head_facts
from control.apiserver.registry.versions import Version
from control.resources.strategy import Column
from control.store.cached import Extract, Facts
from control.store.interface import Store
from control.store.watchcache import WatchCache

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Made:
    """A defined kind, ready to be served."""

    kind: Kind[Any]
    versions: Sequence[Version]

    @property
    def rows(self) -> list[Resource]:
        return [version.resource for version in self.versions]


class Schemas(Protocol):
    """What makes rules and columns of what a definition says."""

    def rules(self, schema: Tree) -> Rules: ...

    def columns(self, columns: Sequence[Tree]) -> Sequence[Column[Any]]:
        """What is printed beside the name; with AGE when nothing is asked for."""
        ...


class _Version:
    """The parts of one version while the kind is made."""

    def __init__(
        self,
        definition: Definition,
        version: DefinedVersion,
        type_: type[Any],
        schemas: Schemas,
    ) -> None:
        names = definition.names
        self.version = version
        self.resource = definition.resource(version, type_)
        self.codec = CustomCodec(
            type_,
            definition.api_version(version.name),
            names.kind,
            schemas.rules(version.schema),
        )
        columns = schemas.columns(version.columns)
        self.strategy = CustomStrategy(self.resource, self.codec, version, columns)


def make(
    definition: Definition,
    type_: type[Custom],
    store: Store,
    caller: Caller,
    schemas: Schemas,
    *,
    cache: WatchCache | None = None,
) -> Made:
    """The kind of a definition. `cache`: of the kind that it takes the place of."""
    parts = [_Version(definition, one, type_, schemas) for one in definition.versions]
    stored = next(one for one in parts if one.version.storage)
    webhook = definition.webhook
    convert: Converter = rename if webhook is None else Hook(webhook, caller)
    prepare = Prepare(stored.codec, renames=webhook is None)
    extract = _extract(stored, prepare)
    cache = cache or WatchCache(store, stored.resource.prefix(), extract, prepare=prepare)
    upgrade = BetweenVersions(stored.resource, stored.codec, stored.codec, convert)

    async def current(body: bytes) -> bytes:
        return (await upgrade.to_served([body]))[0] if upgrade.needed(body) else body

    kind: Kind[Any] = Kind(
        stored.resource,
        stored.strategy,
        cache,
        extract=extract,
        codec=stored.codec,
        prepare=prepare,
        upgrade=None if webhook is None else current,
    )
    versions = [
        Version(
            one.resource,
            kind,
            codec=one.codec,
            rules=one.strategy,
            conversion=(
                None
                if one is stored and webhook is None
                else BetweenVersions(stored.resource, stored.codec, one.codec, convert)
            ),
        )
        for one in parts
        if one.version.served
    ]
    return Made(kind, versions)


class Prepare:
    """What is shown of what is stored: in the stored version of today, complete by its schema."""

    def __init__(self, codec: CustomCodec, *, renames: bool) -> None:
        self._codec = codec
        self._renames = renames

    def __call__(self, value: bytes) -> bytes:
        try:
            return self._shown(value)
        except Exception:  # one odd object, or schema, must not stop the server, nor its next start
            log.exception("%s: shown as it is stored: %.200r", self._codec, value)
            return value

    def _shown(self, value: bytes) -> bytes:
        codec = self._codec
        of_today = value.startswith(codec.head)
        if of_today and not codec.rules.has_defaults:
            return value
        if not of_today and not self._renames:
            return value
        tree: dict[str, Any] = msgspec.json.decode(value)
        if not of_today:
            tree = renamed(tree, codec)
        codec.rules.default(tree)
        return msgspec.json.encode(tree)


def _extract(stored: _Version, prepare: Prepare) -> Extract:
    if not stored.version.selectable:
        return head_facts
    codec, strategy = stored.codec, stored.strategy

    def read(value: bytes) -> Facts:
        obj = codec.decode(prepare(value))
        metadata = obj.metadata
        fields = {"metadata.name": metadata.name, "metadata.namespace": metadata.namespace}
        return metadata.labels, {**fields, **strategy.fields(obj)}

    return read
