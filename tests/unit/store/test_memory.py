"""The store in memory keeps the promises of a store."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from control.store.interface import Store
from control.store.memory import MemoryStore
from tests.unit.store.promises import StorePromises


class TestMemoryStore(StorePromises):
    @pytest.fixture
    async def store(self) -> AsyncIterator[Store]:
        store = MemoryStore()
        yield store
        await store.close()
