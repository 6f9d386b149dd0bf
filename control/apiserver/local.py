"""The API for what runs inside this process: the same pipeline without HTTP.

Serves steps 3, 6 and 7 of the pod's walk: scheduler and controllers use it as `api.client.Client`.
Defaults, admission and validation apply exactly as to a request from outside; only encoding for the
wire, authentication and authorisation are left out. Objects go in and come out as private copies.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import msgspec

from api import errors, objects
from api.client import Listed, PatchType, WatchEvent, delete_options
from api.meta import ListOptions, ObjectMeta
from api.struct import ApiStruct
from control.apiserver.registry import creating, deleting, reading, subresources, updating
from control.apiserver.registry.call import Call
from control.apiserver.registry.kinds import Kind
from control.apiserver.registry.patching import patcher
from control.apiserver.registry.registry import Registry
from control.apiserver.registry.versions import as_stored
from control.apiserver.registry.watching import open_watch
from control.auth.user import User
from control.store.errors import CompactedError
from control.store.subscription import Subscription

T = TypeVar("T", bound=ApiStruct)

_BOOKMARK_SECONDS = 60.0
_SLICE = 200  # objects decoded at once
_CAPACITY = 10_000
"""Events that may wait for an informer: it shares the loop, and a reconcile may keep it busy."""


class LocalClient:
    """`api.client.Client` in the server's own process."""

    def __init__(self, registry: Registry, user: User) -> None:
        self._registry = registry
        self._user = user

    def __repr__(self) -> str:
        return f"LocalClient({self._user.name})"

    async def get(
        self, type_: type[T], name: str, namespace: str = "", *, resource_version: str = ""
    ) -> T:
        kind = self._registry.kind_of(type_)
        found = await reading.get(
            self._registry,
            kind,
            namespace=namespace,
            name=name,
            resource_version=resource_version,
        )
        return _decode(kind, found.body)

    async def list(
        self,
        type_: type[T],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_: str = "",
        resource_version: str = "",
    ) -> Listed[T]:
        kind = self._registry.kind_of(type_)
        options = ListOptions(
            label_selector=label_selector,
            field_selector=field_selector,
            limit=limit,
            continue_=continue_,
            resource_version=resource_version,
        )
        page = await reading.list_(self._registry, kind, options, namespace=namespace)
        items: list[T] = []
        for number, body in enumerate(page.items):
            if number and number % _SLICE == 0:
                await asyncio.sleep(0)  # others want the loop, too
            items.append(_decode(kind, body))
        return Listed(items, str(page.revision), page.continue_)

    async def create(self, obj: T, *, namespace: str = "", dry_run: bool = False) -> T:
        kind = self._registry.kind_of(type(obj))
        private = kind.copy(obj)
        stored = await creating.create(
            self._registry,
            kind,
            self._call(dry_run),
            private,
            namespace=namespace or _meta(private).namespace,
        )
        return kind.decode(stored.body)

    async def create_subresource(
        self,
        type_: type[ApiStruct],
        name: str,
        namespace: str,
        subresource: str,
        body: ApiStruct,
    ) -> Any:
        kind = self._registry.kind_of(type_)
        handler = subresources.CREATE.get((kind.resource.plural, subresource))
        if handler is None:
            raise errors.method_not_allowed(kind.resource, "create")
        private = msgspec.json.decode(msgspec.json.encode(body), type=type(body))
        return await handler(self._registry, kind, self._call(), private, namespace, name)

    async def update(self, obj: T, *, subresource: str = "") -> T:
        kind, metadata = self._registry.kind_of(type(obj)), _meta(obj)
        stored = await updating.update(
            self._registry,
            kind,
            self._call(),
            kind.copy(obj),
            namespace=metadata.namespace,
            name=metadata.name,
            subresource=subresource,
        )
        return kind.decode(stored.body)

    async def patch(
        self,
        type_: type[T],
        name: str,
        namespace: str,
        body: Any,
        *,
        patch_type: PatchType = PatchType.MERGE,
        subresource: str = "",
    ) -> T:
        kind = self._registry.kind_of(type_)
        call = self._call()
        change = patcher(as_stored(kind), call, msgspec.json.encode(body), patch_type.value)
        stored = await updating.change(
            self._registry, kind, call, namespace, name, change, subresource=subresource
        )
        return kind.decode(stored.body)

    async def delete(
        self,
        type_: type[ApiStruct],
        name: str,
        namespace: str = "",
        *,
        grace_period_seconds: int | None = None,
        propagation_policy: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> None:
        options = delete_options(
            grace_period_seconds=grace_period_seconds,
            propagation_policy=propagation_policy,
            uid=uid,
            resource_version=resource_version,
        )
        await deleting.delete(
            self._registry,
            self._registry.kind_of(type_),
            self._call(),
            options,
            namespace=namespace,
            name=name,
        )

    async def watch(
        self,
        type_: type[T],
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        timeout: float | None = None,
    ) -> AsyncIterator[WatchEvent[T]]:
        kind = self._registry.kind_of(type_)
        options = ListOptions(
            label_selector=label_selector,
            field_selector=field_selector,
            resource_version=resource_version,
        )
        opened = await open_watch(
            self._registry, kind, options, namespace=namespace, capacity=_CAPACITY
        )
        try:
            for item in opened.initial:
                yield WatchEvent("ADDED", _decode(kind, item.body), str(item.revision))
            async for event in self._events(kind, opened.subscription, timeout):
                yield event
        except CompactedError as error:
            raise errors.expired(str(error)) from None
        finally:
            opened.subscription.close()

    def _call(self, dry_run: bool = False) -> Call:
        return Call(user=self._user, dry_run=dry_run, agent=self._user.name.rpartition(":")[2])

    async def _events(
        self, kind: Kind[T], subscription: Subscription, timeout: float | None
    ) -> AsyncIterator[WatchEvent[T]]:
        """Events as they come; a bookmark whenever nothing came for a while, and at the end."""
        clock = self._registry.clock
        ends = clock.monotonic() + timeout if timeout is not None else float("inf")
        while True:
            left = ends - clock.monotonic()
            try:
                async with asyncio.timeout(min(_BOOKMARK_SECONDS, left)):
                    await subscription.filled()
            except TimeoutError:
                yield WatchEvent("BOOKMARK", None, str(subscription.progress))
                if left <= _BOOKMARK_SECONDS:
                    return
                continue
            except StopAsyncIteration:
                return
            while len(subscription):
                event = await anext(subscription)
                entry = event.entry
                yield WatchEvent(event.type, _decode(kind, entry.body), str(entry.revision))


def _decode(kind: Kind[T], body: bytes) -> T:
    """An object for a part of this process: without the owners of its fields."""
    obj = kind.decode(body)
    objects.forget_owners(obj)
    return obj


def _meta(obj: ApiStruct) -> ObjectMeta:
    metadata: ObjectMeta = obj.metadata  # type: ignore[attr-defined]
    return metadata
