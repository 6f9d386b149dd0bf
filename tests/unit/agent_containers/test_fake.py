"""The fake runtime's own promises: its scripts, and that time is only the clock's."""

from __future__ import annotations

import asyncio

from agent.containers.fake import FakeRuntime
from agent.containers.records import ContainerCreate, ContainerState, EventKind
from agent.containers.script import Script
from base.clock import FakeClock


async def test_a_container_ends_when_its_script_says_so() -> None:
    clock = FakeClock()
    runtime = FakeRuntime(
        clock, scripts={"crash": [Script(run_for=5, exit_code=3), Script()]}, images=["app"]
    )
    first = await runtime.create(ContainerCreate(name="k8s_crash_pod_ns_uid_0", image="app"))
    await runtime.start(first)
    await clock.run_for(60)
    ended = await runtime.inspect(first)
    assert (ended.state, ended.exit_code) == (ContainerState.EXITED, 3)
    assert ended.started_at is not None and ended.finished_at is not None
    assert (ended.finished_at - ended.started_at).total_seconds() == 5

    second = await runtime.create(ContainerCreate(name="k8s_crash_pod_ns_uid_1", image="app"))
    await runtime.start(second)
    await clock.run_for(3600)
    assert (await runtime.inspect(second)).running


async def test_events_wait_for_the_clock() -> None:
    clock = FakeClock()
    runtime = FakeRuntime(clock, scripts={"app": Script(run_for=10, oom=True)}, images=["app"])
    seen: list[EventKind] = []

    async def listen() -> None:
        async for event in runtime.events():
            seen.append(event.kind)
            if event.kind is EventKind.DIED:
                return

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)
    id = await runtime.create(ContainerCreate(name="a", image="app"))
    await runtime.start(id)
    await clock.run_for(9)
    assert EventKind.DIED not in seen
    await clock.run_for(1)
    await listening
    assert [kind.value for kind in seen] == ["engine-back", "create", "start", "oom", "die"]


async def test_term_ignored_until_kill() -> None:
    clock = FakeClock()
    runtime = FakeRuntime(clock, scripts={"app": Script(ignores_term=True)}, images=["app"])
    id = await runtime.create(ContainerCreate(name="a", image="app"))
    await runtime.start(id)
    stopping = asyncio.create_task(runtime.stop(id, grace=30))
    await clock.run_for(29)
    assert not stopping.done()
    await clock.run_for(2)
    await stopping
    assert (await runtime.inspect(id)).exit_code == 137
