"""The store in memory behaves like the model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from control.store import logwatch
from control.store.interface import Store
from control.store.memory import MemoryStore
from tests.thorough import LONG
from tests.unit.store.model import StoreMachine


class InMemory:
    """There is no disk: a crash only ends the watches."""

    async def open(self) -> Store:
        return MemoryStore()

    async def crash(self, store: Store) -> Store:
        assert isinstance(store, MemoryStore)
        for watch in list(store._watches):
            watch.close()
        return store

    def clean_up(self) -> None: ...


@pytest.fixture(autouse=True, scope="module")
def small_buffers() -> Iterator[None]:
    """A watch falls behind after a few changes, so that the way back is walked often."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logwatch, "BUFFER_CHANGES", 3)
        yield


class MemoryMachine(StoreMachine):
    def __init__(self) -> None:
        self.factory = InMemory()
        super().__init__()


MemoryMachine.TestCase.settings = settings(
    max_examples=1000 if LONG else 50,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestMemory = MemoryMachine.TestCase
