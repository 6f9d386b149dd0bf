"""The fake passes the suite of the real engine."""

from __future__ import annotations

import asyncio

import pytest

from agent.containers.fake import FakeRuntime
from agent.containers.records import ContainerCreate
from agent.containers.script import Script
from base.clock import FakeClock
from tests.runtime_suite import RuntimeSuite


class EagerClock(FakeClock):
    """Time passes as soon as somebody waits for it."""

    async def sleep(self, seconds: float) -> None:
        self.advance(max(0.0, seconds))
        await asyncio.sleep(0)


class FakeWorld:
    image = "app:1"

    def __init__(self) -> None:
        self.runtime = FakeRuntime(EagerClock(), images=[self.image])

    def spec(self, name: str, script: Script) -> ContainerCreate:
        self.runtime.scripts[name] = script
        return ContainerCreate(name=name, image=self.image)


class TestFakeRuntime(RuntimeSuite):
    @pytest.fixture
    def world(self) -> FakeWorld:
        return FakeWorld()
