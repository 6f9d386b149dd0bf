"""The SQLite store behaves like the model, whatever happens to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from control.store import logwatch
from control.store.sqlite import log, trim, writer
from tests.integration.store.sqlite_factory import SqliteFactory
from tests.thorough import LONG
from tests.unit.store.model import StoreMachine


@pytest.fixture(autouse=True, scope="module")
def small_sizes() -> Iterator[None]:
    """Every boundary is met within a few steps: of buffers, pages, statements and compaction."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logwatch, "BUFFER_CHANGES", 3)
        patch.setattr(log, "PAGE_ROWS", 2)
        patch.setattr(trim, "STEP_ROWS", 2)
        patch.setattr(writer, "ROWS_PER_STATEMENT", 3)
        yield


class SqliteMachine(StoreMachine):
    def __init__(self) -> None:
        self.factory = SqliteFactory()
        super().__init__()


SqliteMachine.TestCase.settings = settings(
    max_examples=500 if LONG else 25,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestSqlite = SqliteMachine.TestCase
