"""A registry over the store in memory: the whole pipeline without HTTP, disk or certificates."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from api.core import Namespace
from api.meta import ObjectMeta
from base.clock import FakeClock
from base.tasks import TaskGuard
from control.apiserver.agents.webhooks import Webhooks
from control.apiserver.build import make_registry
from control.apiserver.local import LocalClient
from control.apiserver.registry.registry import Registry
from control.auth.user import in_process
from control.settings import ControlSettings
from control.store.memory import MemoryStore


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def settings(tmp_path: Path) -> ControlSettings:
    return ControlSettings(
        state_dir=tmp_path / "state",
        pki_dir=tmp_path / "pki",
        kubeconfig_out=tmp_path / "kubeconfig",
        service_cidr="10.96.0.0/24",
        service_node_port_range="30000-30031",
        disable_admission_plugins=("ServiceAccount",),  # nobody makes accounts here
    )


@pytest_asyncio.fixture
async def registry(settings: ControlSettings, clock: FakeClock) -> AsyncIterator[Registry]:
    store = MemoryStore()
    made = make_registry(
        settings=settings, store=store, clock=clock, source=random.Random(7), caller=Webhooks()
    )
    async with TaskGuard("test") as guard:
        for kind in made.kinds:
            guard.start(kind.cache.run(), name=kind.resource.plural)
        for kind in made.kinds:
            await kind.cache.synced()
        yield made
    await store.close()


@pytest_asyncio.fixture
async def client(registry: Registry) -> LocalClient:
    """The API in process, with a namespace `ns`."""
    made = LocalClient(registry, in_process("test"))
    await made.create(Namespace(metadata=ObjectMeta(name="ns")))
    return made
