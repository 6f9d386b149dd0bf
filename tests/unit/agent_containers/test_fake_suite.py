"""The fake passes the suite of the real engine, driven by scripts and driven by annotations."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from agent.containers.behaviour import PREFIX
from agent.containers.fake import FakeRuntime
from agent.containers.records import ContainerCreate
from agent.containers.script import Script, short_name
from api.core import Container, Pod, PodSpec
from api.meta import ObjectMeta
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


class AnnotatedWorld(FakeWorld):
    """Annotations say all that they can; only the rest is left to scripts."""

    def __init__(self) -> None:
        self.pods: list[Pod] = []
        self.runtime = FakeRuntime(EagerClock(), images=[self.image], pods=lambda: self.pods)

    def spec(self, name: str, script: Script) -> ContainerCreate:
        own = short_name(name)
        self.pods.append(
            Pod(
                metadata=ObjectMeta(name=own, namespace="ns", annotations=annotations(script)),
                spec=PodSpec(containers=[Container(name=own, image=self.image)]),
            )
        )
        rest = replace(script, run_for=None, exit_code=0, start_error="", ignores_term=False)
        return super().spec(f"k8s_{own}_{own}_ns_uid_0", rest)


class TestAnnotatedRuntime(RuntimeSuite):
    @pytest.fixture
    def world(self) -> AnnotatedWorld:
        return AnnotatedWorld()


def annotations(script: Script) -> dict[str, str]:
    said = {
        "run-for": "" if script.run_for is None else f"{script.run_for}s",
        "exit-code": str(script.exit_code),
        "start-error": script.start_error,
        "ignore-term": str(script.ignores_term).lower(),
    }
    return {PREFIX + word: text for word, text in said.items() if text}
