"""One engine for all tests of this folder; every test starts and ends without containers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from agent.containers.runtime import DockerRuntime
from base.clock import SystemClock
from tests.engine import Engine, missing, running_engine


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    if reason := missing():
        pytest.skip(reason)
    # Not pytest's own folder: it is too long for a Unix socket, and differs in each run, so that the
    # leftovers of a killed run would never be found again.
    with running_engine(Path("/tmp/podwright-test-containers"), name="pwt-containers") as engine:
        yield engine


@pytest.fixture
async def runtime(engine: Engine) -> AsyncIterator[DockerRuntime]:
    runtime = DockerRuntime(engine.url, clock=SystemClock())
    yield runtime
    for record in await runtime.list_containers(labels={}):
        await runtime.remove(record.id)
    await runtime.close()
