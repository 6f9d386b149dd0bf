"""The registry: what the operations of the pipeline share, and the one place that commits.

Serves step 1 of the pod's walk. Concurrency: everything runs on one event loop, and nothing is
locked. An operation reads the current object, decides, and writes it under the revision it read; if
somebody was faster, the store refuses and the operation starts over with what is there now
(`updating`), or tells the client (a resourceVersion was given). Objects handed out by caches are
shared and never changed; everything decoded here is private to its request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from api import errors
from api.core import ResourceQuota
from api.custom import Custom
from api.errors import ApiError
from api.scheme import Catalogue, Resource
from api.struct import ApiStruct
from api.timestamps import now_string
from base.clock import Clock
from control.admission.chain import Chain
from control.apiserver.registry.kinds import Kind
from control.apiserver.registry.metadata import Identity
from control.apiserver.registry.versions import Version, as_stored
from control.store.errors import BusyError, StoreClosedError, UnwritableError
from control.store.interface import Amend, Delete, KeyValue, Put, Store, Write

T = TypeVar("T", bound=ApiStruct)

MAX_OBJECT = 4 * 1024 * 1024
"""Bytes of a stored object: what a body may have, and what defaults and the server add to it."""
FRESH_TIMEOUT = 3.0
"""Seconds a read waits for a revision that the cache has not reached."""


class Companion(Protocol):
    """Keys beside the object that change in the same transaction: a Service's addresses.

    Called again when a write lost a race; `new` is private and may be filled in.
    """

    async def on_create(self, new: Any) -> Sequence[Put | Delete]: ...

    async def on_update(self, new: Any, old: Any) -> Sequence[Put | Delete]: ...

    async def on_delete(self, old: Any) -> Sequence[Put | Delete]: ...


class Registry:
    """The kinds that are served, and what every operation needs."""

    def __init__(
        self,
        *,
        store: Store,
        catalogue: Catalogue,
        kinds: Iterable[Kind[Any]],
        clock: Clock,
        identity: Identity,
    ) -> None:
        self.store = store
        self.catalogue = catalogue
        self.clock = clock
        self.identity = identity
        self.admission = Chain()  # set by `build`: its plugins read through this registry
        self.write_failure = ""  # why the last write failed; "" when it did not
        self.companions: dict[type[ApiStruct], Companion] = {}
        self._kinds: dict[tuple[str, str], Kind[Any]] = {}
        self._by_type: dict[type[Any], Kind[Any]] = {}
        self._versions: dict[tuple[str, str, str], Version] = {}
        for kind in kinds:
            self.add(kind, [as_stored(kind)])

    def __repr__(self) -> str:
        return f"Registry({len(self._kinds)} kinds)"

    @property
    def kinds(self) -> Iterable[Kind[Any]]:
        return tuple(self._kinds.values())

    def add(self, kind: Kind[Any], versions: Iterable[Version]) -> None:
        """Serve a kind from now on, in these versions; its cache is run by whoever adds it."""
        self._kinds[kind.resource.group, kind.resource.plural] = kind
        self._by_type[kind.resource.type] = kind
        kind.views[kind.resource.api_version] = as_stored(kind)
        for version in versions:
            self.add_version(version)

    def add_version(self, version: Version) -> None:
        row = version.resource
        self._versions[row.group, row.version, row.plural] = version
        if version.direct:
            version.kind.views[row.api_version] = version

    def remove(self, kind: Kind[Any]) -> None:
        """Serve a kind no longer, in no version."""
        del self._kinds[kind.resource.group, kind.resource.plural]
        del self._by_type[kind.resource.type]
        for name in [name for name, one in self._versions.items() if one.kind is kind]:
            del self._versions[name]

    def version(self, resource: Resource) -> Version:
        """A kind as it is served under this row. Raises 404 when it has just ended."""
        found = self._versions.get((resource.group, resource.version, resource.plural))
        if found is None:
            raise errors.path_not_found()
        return found

    def versions(self, resource: Resource) -> list[Version]:
        """Every version in which the kind of a stored row is served."""
        kind = self._kinds.get((resource.group, resource.plural))
        return [version for version in self._versions.values() if version.kind is kind]

    def kind(self, resource: Resource) -> Kind[Any]:
        return self._kinds[resource.group, resource.plural]

    def kind_named(self, api_version: str, kind: str) -> Kind[Any]:
        """The kind that is stored under this apiVersion and kind."""
        resource = self.catalogue.by_kind(api_version, kind)
        if resource is None:
            raise KeyError(f"{kind} of {api_version} is not served")
        return self.kind(resource)

    def kind_of(self, type_: type[T]) -> Kind[T]:
        """The kind whose objects have this type. Raises KeyError: it is no kind, or no longer."""
        found = self._by_type.get(type_)
        if found is None and issubclass(type_, Custom):
            raise errors.path_not_found()  # its definition is gone
        return self._by_type[type_] if found is None else found

    def now(self) -> str:
        """The time, as objects carry it."""
        return now_string(self.clock)

    async def fresh(self, kind: Kind[Any]) -> None:
        """Wait until the kind's cache shows every write that was acknowledged."""
        await self.reach(kind, self.store.revision())

    async def reach(self, kind: Kind[Any], revision: int) -> None:
        """Wait until the kind's cache is at `revision`; 504 when it does not get there."""
        if kind.cache.revision >= revision:
            return
        try:
            await kind.cache.wait_for(revision, timeout=FRESH_TIMEOUT)
        except TimeoutError:
            raise errors.too_large_resource_version(revision, kind.cache.revision) from None
        except StoreClosedError:  # its definition went meanwhile, or all of us
            name = kind.resource.qualified_name
            raise errors.unavailable(f"{name} are no longer served here") from None

    async def commit(self, write: Put | Delete, beside: Sequence[Write] = ()) -> int:
        """Write an object and what goes with it. Raises the store's ConflictError as it is."""
        try:
            revision = await self._write(write, beside)
        except (BusyError, UnwritableError, StoreClosedError) as error:
            self.write_failure = str(error)
            raise translate(error) from error
        self.write_failure = ""
        return revision

    def check_size(self, value: bytes, before: bytes = b"") -> None:
        """Raises 413 for an object that has grown too large, be it patch by patch."""
        if len(value) > max(MAX_OBJECT, len(before)):
            raise errors.too_large(f"the object would have {len(value)} bytes of {MAX_OBJECT}")

    async def _write(self, write: Put | Delete, beside: Sequence[Write]) -> int:
        if beside:
            return await self.store.txn([write, *beside])
        if isinstance(write, Put):
            return await self.store.put(write.key, write.value, expected=write.expected)
        return await self.store.delete(write.key, expected=write.expected)

    def statistics(self) -> dict[str, float]:
        return {"kinds": len(self._kinds), "revision": self.store.revision()}


class CacheReader:
    """Other objects, for admission and authorisation: read from the caches without waiting."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def get(self, type_: type[T], name: str, namespace: str = "") -> T | None:
        kind = self._registry.kind_of(type_)
        entry = kind.cache.get(kind.key(namespace, name))
        return None if entry is None else kind.decode(entry.body)

    def list(self, type_: type[T], namespace: str = "") -> Sequence[T]:
        kind = self._registry.kind_of(type_)
        prefix = kind.resource.prefix(namespace)
        return [kind.decode(entry.body) for entry in kind.cache.items(prefix)]

    async def fresh(self, type_: type[ApiStruct]) -> None:
        await self._registry.fresh(self._registry.kind_of(type_))


class StoreLedger:
    """The quotas of a namespace for admission: read from the store, for a cache may lag behind."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._kind = registry.kind_of(ResourceQuota)

    async def quotas(self, namespace: str) -> Sequence[ResourceQuota]:
        found = await self._registry.store.range(self._kind.resource.prefix(namespace))
        return [self._kind.load(item) for item in found.items]

    def amend(self, quota: ResourceQuota, change: Callable[[ResourceQuota], None]) -> Amend:
        """What changes the quota in somebody's transaction, as it is then."""
        kind = self._kind

        def rewrite(current: KeyValue) -> bytes:
            found = kind.load(current)
            change(found)
            return kind.encode(found)

        return Amend(kind.key(quota.metadata.namespace, quota.metadata.name), rewrite)


def translate(error: Exception) -> ApiError:
    """What a failure of the store is to a client."""
    if isinstance(error, BusyError):
        return errors.too_many_requests(str(error), retry_after=1)
    if isinstance(error, StoreClosedError):
        return errors.unavailable("the control plane is shutting down")
    if isinstance(error, UnwritableError):
        failure = errors.unavailable(f"the store cannot be written: {error}")
        # 507 says what happened better than 503, and clients treat it alike.
        failure.status.code = 507
        failure.status.reason = "InsufficientStorage"
        return failure
    return errors.internal(str(error))
