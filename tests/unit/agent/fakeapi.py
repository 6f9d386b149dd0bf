"""An API of a few dictionaries: enough of `Client` for an agent, with faults on demand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from typing import Any

import msgspec

from api import errors, objects, timestamps
from api.authentication import TokenRequest
from api.client import Listed, PatchType, WatchEvent
from api.core import Pod
from api.patch import merge, strategic
from api.scheme import resource_of
from base.errors import TemporaryError

Watcher = Callable[[Any, Any], None]


class FakeApi:
    """Objects by type, namespace and name; every change has a revision."""

    def __init__(self) -> None:
        self.objects: dict[tuple[type, str, str], Any] = {}
        self.revision = 0
        self.down = False
        self.calls: list[tuple[str, str, str]] = []
        """(verb, kind, name)."""
        self.bodies: list[Any] = []
        self.issued = 0
        self._watchers: list[tuple[type, Watcher]] = []
        self._changed = asyncio.Event()

    # What tests do to it.

    def put(self, obj: Any) -> Any:
        """Create or replace."""
        key = self._key(type(obj), obj.metadata.name, obj.metadata.namespace)
        old = self.objects.get(key)
        self.revision += 1
        tree = msgspec.to_builtins(obj)
        tree["metadata"]["resourceVersion"] = str(self.revision)
        tree["metadata"].setdefault("uid", f"uid-{obj.metadata.name}")
        new = msgspec.convert(tree, type(obj), strict=False)
        self.objects[key] = new
        self._tell(type(obj), old, new)
        return new

    def remove(self, type_: type, name: str, namespace: str = "") -> None:
        old = self.objects.pop(self._key(type_, name, namespace))
        self._tell(type_, old, None)

    def subscribe(self, type_: type, watcher: Watcher) -> None:
        """As an informer would: called with (old, new)."""
        self._watchers.append((type_, watcher))
        for (kind, _, _), obj in list(self.objects.items()):
            if kind is type_:
                watcher(None, obj)

    def pod(self, name: str = "pod", namespace: str = "ns") -> Pod:
        return self.objects[Pod, namespace, name]

    def pods(self) -> list[Pod]:
        return [obj for (kind, _, _), obj in self.objects.items() if kind is Pod]

    def delete_gracefully(self, name: str, namespace: str, *, stamp: str, grace: int) -> None:
        """What a DELETE does to a pod on a node: it asks."""
        pod = objects.copy(self.pod(name, namespace))
        pod.metadata.deletion_timestamp = stamp
        pod.metadata.deletion_grace_period_seconds = grace
        self.put(pod)

    # Client.

    async def get(
        self, type_: type, name: str, namespace: str = "", *, resource_version: str = ""
    ) -> Any:
        self._called("get", type_, name)
        return self._find(type_, name, namespace)

    async def list(self, type_: type, namespace: str = "", **options: Any) -> Listed[Any]:
        self._called("list", type_, namespace)
        found = [o for (kind, _, _), o in self.objects.items() if kind is type_]
        return Listed(items=found, resource_version=str(self.revision))

    async def create(self, obj: Any, *, namespace: str = "", dry_run: bool = False) -> Any:
        self._called("create", type(obj), obj.metadata.name)
        if self._key(type(obj), obj.metadata.name, obj.metadata.namespace) in self.objects:
            raise errors.already_exists(resource_of(type(obj)), obj.metadata.name)
        if isinstance(obj, Pod):  # one that is made again is another one
            obj.metadata.uid = f"uid-{obj.metadata.name}-{self.revision}"
        return self.put(obj)

    async def create_subresource(
        self, type_: type, name: str, namespace: str, subresource: str, body: Any
    ) -> Any:
        self._called("create", type_, f"{name}/{subresource}")
        assert isinstance(body, TokenRequest)
        self.bodies.append(body)
        self.issued += 1
        seconds = body.spec.expiration_seconds or 3600
        body.metadata.creation_timestamp = "2026-01-01T00:00:00Z"
        ends = timestamps.parse("2026-01-01T00:00:00Z") + timedelta(seconds=seconds)
        body.status.token = f"token-{self.issued}"
        body.status.expiration_timestamp = timestamps.format(ends)
        return body

    async def update(self, obj: Any, *, subresource: str = "") -> Any:
        self._called("update", type(obj), obj.metadata.name)
        self._find(type(obj), obj.metadata.name, obj.metadata.namespace)
        return self.put(obj)

    async def patch(
        self,
        type_: type,
        name: str,
        namespace: str,
        body: Any,
        *,
        patch_type: PatchType = PatchType.MERGE,
        subresource: str = "",
    ) -> Any:
        self._called("patch", type_, name)
        self.bodies.append(body)
        found = self._find(type_, name, namespace)
        uid = body.get("metadata", {}).get("uid", found.metadata.uid)
        if uid != found.metadata.uid:
            words = f"Precondition failed: UID in precondition: {uid}, in object: another"
            raise errors.conflict(resource_of(type_), name, words)
        tree = msgspec.to_builtins(found)
        if patch_type is PatchType.STRATEGIC:
            patched = strategic.apply(tree, body, type_)
        else:
            patched = merge.apply(tree, body)
        return self.put(msgspec.convert(patched, type_, strict=False))

    async def delete(
        self,
        type_: type,
        name: str,
        namespace: str = "",
        *,
        grace_period_seconds: int | None = None,
        propagation_policy: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> None:
        self._called("delete", type_, name)
        found = self._find(type_, name, namespace)
        if uid is not None and found.metadata.uid != uid:
            raise errors.conflict(resource_of(type_), name, f"the UID is not {uid}")
        self.remove(type_, name, namespace)

    async def watch(
        self, type_: type, namespace: str = "", **options: Any
    ) -> AsyncIterator[WatchEvent[Any]]:
        queue: asyncio.Queue[WatchEvent[Any]] = asyncio.Queue()

        def watcher(old: Any, new: Any) -> None:
            kind = "ADDED" if old is None else "DELETED" if new is None else "MODIFIED"
            obj = new if new is not None else old
            queue.put_nowait(WatchEvent(kind, obj, obj.metadata.resource_version))

        self._watchers.append((type_, watcher))
        while True:
            yield await queue.get()

    # Parts.

    def _key(self, type_: type, name: str, namespace: str) -> tuple[type, str, str]:
        return type_, namespace, name

    def _find(self, type_: type, name: str, namespace: str) -> Any:
        found = self.objects.get(self._key(type_, name, namespace))
        if found is None:
            raise errors.not_found(resource_of(type_), name)
        return found

    def _called(self, verb: str, type_: type, name: str) -> None:
        self.calls.append((verb, type_.__name__, name))
        if self.down:
            raise TemporaryError("the API cannot be reached")

    def _tell(self, type_: type, old: Any, new: Any) -> None:
        for kind, watcher in list(self._watchers):
            if kind is type_:
                watcher(old, new)


class FakeRecorder:
    """Keeps events."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []
        """(type, reason, message)."""
        self.annotations: list[Mapping[str, str]] = []
        """Of each of them."""
        self.parts: set[str] = set()
        """Parts of objects that events were about, such as `spec.containers{web}`."""

    def event(
        self,
        obj: Any,
        type_: str,
        reason: str,
        message: str,
        *,
        field_path: str = "",
        update: bool = False,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        self.told.append((type_, reason, message))
        self.annotations.append(annotations or {})
        self.parts.add(field_path)

    def reasons(self) -> list[str]:
        return [reason for _, reason, _ in self.told]

    def messages(self, reason: str) -> list[str]:
        return [message for _, r, message in self.told if r == reason]
