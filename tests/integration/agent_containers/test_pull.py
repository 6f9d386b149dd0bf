"""Pulls from a registry that speaks the real protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from agent.containers.errors import ImageNotFound, PullDenied, RegistryUnavailable
from agent.containers.images import ImageEvent, Images, PullPolicy
from agent.containers.pulls import Progress
from agent.containers.records import PullProgress, RegistryAuth
from agent.containers.runtime import DockerRuntime
from base.clock import SystemClock
from base.tasks import TaskGuard
from tests.engine import Engine
from tests.integration.agent_containers.registry import Registry, running

ME = RegistryAuth(username="me", password="secret")
STRANGER = RegistryAuth(username="stranger", password="wrong")


@pytest.fixture
async def registry(engine: Engine, runtime: DockerRuntime) -> AsyncIterator[Registry]:
    async with running(Registry(), engine.name) as registry:
        yield registry
        await runtime.remove_image(f"{registry.address}/tiny:1")


async def test_a_pull_reports_progress(runtime: DockerRuntime, registry: Registry) -> None:
    steps: list[PullProgress] = []
    progress = Progress()

    def note(step: PullProgress) -> None:
        steps.append(step)
        progress.note(step)

    image = await runtime.pull(f"{registry.address}/tiny:1", progress=note)
    assert image.entrypoint == ("/pause",)
    assert image.digests[0].startswith(f"{registry.address}/tiny@sha256:")
    assert any(step.status == "Pull complete" for step in steps)
    assert str(progress).startswith("1 of 1 layers are there")
    assert await runtime.pull(f"{registry.address}/tiny:1") == image


async def test_a_digest_counts_whatever_the_tag_says(
    runtime: DockerRuntime, registry: Registry
) -> None:
    image = await runtime.pull(f"{registry.address}/tiny:1")
    digest = image.digests[0].partition("@")[2]
    await runtime.remove_image(str(image.id))
    for name in ("tiny", "tiny:1", "tiny:gone"):
        reference = f"{registry.address}/{name}@{digest}"
        assert await runtime.image(reference) is None
        found = await runtime.pull(reference)
        assert (found.id, found.digests) == (image.id, image.digests)
        assert await runtime.image(reference) == found
        await runtime.remove_image(str(found.id))


async def test_a_missing_tag(runtime: DockerRuntime, registry: Registry) -> None:
    with pytest.raises(ImageNotFound, match="manifest unknown"):
        await runtime.pull(f"{registry.address}/tiny:2")


async def test_an_unreachable_registry(runtime: DockerRuntime) -> None:
    with pytest.raises(RegistryUnavailable, match="connection refused"):
        await runtime.pull("127.0.0.1:1/tiny:1")


async def test_credentials(runtime: DockerRuntime, registry: Registry) -> None:
    registry.password = "secret"
    reference = f"{registry.address}/tiny:1"
    for auth in (None, STRANGER):
        with pytest.raises(PullDenied):
            await runtime.pull(reference, auth=auth)
    assert (await runtime.pull(reference, auth=ME)).tags == (reference,)


async def test_pods_share_a_pull(runtime: DockerRuntime, registry: Registry) -> None:
    registry.gate.clear()
    told: list[ImageEvent] = []
    async with TaskGuard("test") as guard:
        images = Images(runtime, clock=SystemClock(), guard=guard)
        pods = [
            asyncio.create_task(
                images.ensure(
                    f"{registry.address}/tiny:1",
                    PullPolicy.IF_NOT_PRESENT,
                    owner=f"uid-{n}",
                    tell=told.append,
                )
            )
            for n in range(5)
        ]
        while [event.reason for event in told].count("Pulling") < 5:
            await asyncio.sleep(0.01)
        registry.gate.set()
        found = await asyncio.gather(*pods)
    assert len({image.id for image in found}) == 1
    assert registry.pulls == 1
    assert [event.reason for event in told].count("Pulled") == 5
