"""A client of our own for the tests of informers and events: objects in memory, faults on demand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from hypothesis import settings

from api import errors, objects
from api.client import Listed, PatchType, WatchEvent
from api.meta import ObjectMeta
from api.scheme import resource_of
from api.struct import ApiStruct
from tests.thorough import LONG

if LONG:
    settings.register_profile("long", max_examples=5000, deadline=None)
    settings.load_profile("long")


class MemoryClient:
    """One kind, one list of changes; `fail` holds errors to raise for the next calls."""

    def __init__(self) -> None:
        self.revision = 10
        self.oldest = 0
        self.objects: dict[objects.Key, ApiStruct] = {}
        self.changes: list[tuple[int, str, ApiStruct]] = []
        self.fail: list[Exception] = []
        self.calls: list[str] = []
        self.changed = asyncio.Event()
        self.breaks: list[Exception | None] = []  # how the next watches end

    def put(self, obj: ApiStruct) -> None:
        self.revision += 1
        key = objects.key(obj)
        obj = self._stamped(obj)
        self._tell("MODIFIED" if key in self.objects else "ADDED", obj)
        self.objects[key] = obj

    def remove(self, name: str, namespace: str = "n") -> None:
        self.revision += 1
        self._tell("DELETED", self._stamped(self.objects.pop(objects.Key(namespace, name))))

    def end_watches(self, error: Exception | None = None) -> None:
        self.breaks.append(error)
        self._wake()

    def _stamped(self, obj: ApiStruct) -> ApiStruct:
        obj = objects.copy(obj)
        metadata = objects.meta(obj)
        metadata.resource_version = str(self.revision)
        metadata.uid = metadata.uid or f"uid-{metadata.name}"
        return obj

    def _tell(self, type_: str, obj: ApiStruct) -> None:
        self.changes.append((self.revision, type_, obj))
        self._wake()

    def _wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def _begin(self, call: str) -> None:
        self.calls.append(call)
        if self.fail:
            raise self.fail.pop(0)

    async def list(self, type_: Any, namespace: str = "", **query: Any) -> Any:
        self._begin(f"list {query.get('continue_')}".strip())
        everything = list(self.objects.values())
        start = int(query.get("continue_") or 0)
        limit = query.get("limit") or len(everything) or 1
        page = everything[start : start + limit]
        rest = str(start + limit) if start + limit < len(everything) else ""
        return Listed(page, str(self.revision), rest)

    async def watch(
        self, type_: Any, namespace: str = "", *, resource_version: str, **query: Any
    ) -> AsyncIterator[Any]:
        self._begin(f"watch {resource_version}")
        after = int(resource_version)
        if after < self.oldest:
            raise errors.too_old(after, self.oldest)
        while True:
            for revision, type_name, obj in list(self.changes):
                if revision > after:
                    after = revision
                    yield WatchEvent(type_name, obj, str(revision))
            if self.breaks:
                error = self.breaks.pop(0)
                if error is not None:
                    raise error
                return
            await self.changed.wait()

    async def create(self, obj: Any, *, namespace: str = "", dry_run: bool = False) -> Any:
        self._begin(f"create {objects.meta(obj).name}")
        self.put(obj)
        return self.objects[objects.key(obj)]

    async def patch(
        self, type_: Any, name: str, namespace: str, body: Any,
        *, patch_type: PatchType = PatchType.MERGE, subresource: str = "",
    ) -> Any:  # fmt: skip
        self._begin(f"patch {name}")
        found = self.objects.get(objects.Key(namespace, name))
        if found is None:
            raise errors.not_found(resource_of(type_), name)
        self.put(msgspec.convert({**msgspec.to_builtins(found), **body}, type_))
        return self.objects[objects.Key(namespace, name)]


def metadata(name: str, **more: Any) -> ObjectMeta:
    return ObjectMeta(name=name, namespace="n", **more)


@pytest.fixture
async def memory() -> MemoryClient:
    return MemoryClient()
