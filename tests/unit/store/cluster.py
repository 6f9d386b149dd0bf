"""A watch cache over a store in memory, with objects that are easy to make. For tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from base.tasks import TaskGuard
from control.store.interface import Store
from control.store.memory import MemoryStore
from control.store.watchcache import WatchCache

PREFIX = "/registry/pods/"


def pod(name: str, namespace: str = "default", *, node: str = "", **labels: str) -> bytes:
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    tree = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"nodeName": node}}
    return msgspec.json.encode(tree)


def extract(value: bytes) -> tuple[dict[str, str], dict[str, str]]:
    tree = json.loads(value)
    return tree["metadata"]["labels"], {"spec.nodeName": tree["spec"]["nodeName"]}


class Pods:
    """Writes pods and knows their revisions."""

    def __init__(self, store: Store, cache: WatchCache) -> None:
        self.store = store
        self.cache = cache
        self.at: dict[str, int] = {}

    def key(self, name: str, namespace: str = "default") -> str:
        return f"{PREFIX}{namespace}/{name}"

    async def set(self, name: str, namespace: str = "default", **what: str) -> int:
        key = self.key(name, namespace)
        value = pod(name, namespace, **what)
        self.at[key] = await self.store.put(key, value, expected=self.at.get(key, 0))
        return self.at[key]

    async def delete(self, name: str, namespace: str = "default") -> int:
        key = self.key(name, namespace)
        return await self.store.delete(key, expected=self.at.pop(key))

    async def settled(self) -> None:
        await self.cache.wait_for(self.store.revision(), timeout=60)


@asynccontextmanager
async def running(store: Store | None = None, **sizes: Any) -> AsyncIterator[Pods]:
    """A cache that is loaded and follows."""
    store = store or MemoryStore()
    async with TaskGuard("test") as guard:
        cache = WatchCache(store, PREFIX, extract, indexed=["spec.nodeName"], **sizes)
        guard.start(cache.run(), name="watch cache")
        async with asyncio.timeout(60):
            await cache.synced()
        yield Pods(store, cache)
        await store.close()
