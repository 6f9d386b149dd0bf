"""What every runtime must do: one suite for the fake and for the Docker Engine.

A subclass provides the fixture `world`. Containers are described by what they do (`Script`), which the
fake plays and a real engine does with a line of shell.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Protocol

import pytest

from agent.containers.errors import (
    EngineError,
    ImageNotFound,
    NameInUse,
    NotFound,
    NotRunning,
    StartError,
)
from agent.containers.interface import Runtime
from agent.containers.records import (
    Channel,
    ContainerCreate,
    ContainerId,
    ContainerState,
    EventKind,
    LogOptions,
    RuntimeEvent,
)
from agent.containers.script import Script

DEADLINE = 60.0
ABSENT = ContainerId("0" * 64)


class World(Protocol):
    runtime: Runtime
    image: str

    def spec(self, name: str, script: Script) -> ContainerCreate:
        """A container that does what the script says."""


@dataclass
class Listener:
    """Collects events in the background until a kind has come."""

    runtime: Runtime
    seen: list[RuntimeEvent] = field(default_factory=list)

    async def until(self, kind: EventKind) -> None:
        async with asyncio.timeout(DEADLINE):
            async for event in self.runtime.events():
                self.seen.append(event)
                if event.kind is kind:
                    return


async def run(world: World, script: Script, name: str = "web") -> ContainerId:
    id = await world.runtime.create(world.spec(name, script))
    await world.runtime.start(id)
    return id


class RuntimeSuite:
    async def test_info_names_the_engine(self, world: World) -> None:
        info = await world.runtime.info()
        assert info.version
        assert info.cgroup_version in (1, 2)
        assert info.os_type == "linux"

    async def test_a_created_container_does_not_run(self, world: World) -> None:
        spec = world.spec("k8s_a_pod_ns_uid_0", Script())
        id = await world.runtime.create(spec)
        record = await world.runtime.inspect(id)
        assert (record.name, record.image, record.state) == (
            spec.name,
            spec.image,
            ContainerState.CREATED,
        )
        assert record.started_at is None and record.finished_at is None and not record.running

    async def test_a_name_is_given_once(self, world: World) -> None:
        await world.runtime.create(world.spec("web", Script()))
        with pytest.raises(NameInUse):
            await world.runtime.create(world.spec("web", Script()))

    async def test_create_needs_the_image(self, world: World) -> None:
        with pytest.raises(ImageNotFound):
            await world.runtime.create(ContainerCreate(name="web", image="no/such:image"))

    async def test_start_may_be_called_twice(self, world: World) -> None:
        id = await run(world, Script())
        first = await world.runtime.inspect(id)
        await world.runtime.start(id)
        assert first.running and first.pid > 0 and first.started_at is not None
        assert await world.runtime.inspect(id) == first

    async def test_a_container_may_be_kept_to_some_cpus(self, world: World) -> None:
        spec = replace(world.spec("bound", Script()), cpuset_cpus="0")
        id = await world.runtime.create(spec)
        assert (await world.runtime.inspect(id)).cpus == "0"
        free = await world.runtime.create(world.spec("free", Script()))
        await world.runtime.start(free)
        assert (await world.runtime.inspect(free)).cpus == ""
        for _ in range(2):
            await world.runtime.pin(free, "0")
        assert (await world.runtime.inspect(free)).cpus == "0"
        with pytest.raises(NotFound):
            await world.runtime.pin(ABSENT, "0")

    async def test_as_whom_it_runs(self, world: World) -> None:
        spec = replace(world.spec("web", Script()), user="1000:3000", group_add=("4000",))
        id = await world.runtime.create(spec)
        assert (await world.runtime.inspect(id)).user is None
        await world.runtime.start(id)
        user = (await world.runtime.inspect(id)).user
        assert user is not None
        assert (user.uid, user.gid, set(user.groups)) == (1000, 3000, {3000, 4000})
        await world.runtime.stop(id, grace=0)
        assert (await world.runtime.inspect(id)).user is None

    async def test_start_of_nothing(self, world: World) -> None:
        with pytest.raises(NotFound):
            await world.runtime.start(ABSENT)

    async def test_a_program_that_does_not_exist(self, world: World) -> None:
        id = await world.runtime.create(world.spec("web", Script(start_error="no such program")))
        with pytest.raises(StartError):
            await world.runtime.start(id)
        record = await world.runtime.inspect(id)
        assert not record.running and record.error and record.exit_code >= 126

    async def test_wait_says_how_it_ended(self, world: World) -> None:
        id = await run(world, Script(run_for=0.1, exit_code=3))
        ended = await world.runtime.wait(id)
        assert (ended.state, ended.exit_code, ended.pid) == (ContainerState.EXITED, 3, 0)
        assert ended.started_at is not None and ended.finished_at is not None
        assert ended.started_at <= ended.finished_at
        assert await world.runtime.wait(id) == ended

    async def test_stop_is_graceful_and_may_be_called_twice(self, world: World) -> None:
        id = await run(world, Script(term_exit_code=7))
        await world.runtime.stop(id, grace=10)
        assert (await world.runtime.inspect(id)).exit_code == 7
        await world.runtime.stop(id, grace=10)
        await world.runtime.stop(ABSENT, grace=10)

    async def test_stop_ends_with_kill(self, world: World) -> None:
        id = await run(world, Script(ignores_term=True))
        await world.runtime.stop(id, grace=1)
        assert (await world.runtime.inspect(id)).exit_code == 137

    async def test_kill_may_be_called_twice(self, world: World) -> None:
        id = await run(world, Script())
        await world.runtime.kill(id)
        ended = await world.runtime.wait(id)
        assert ended.exit_code == 137
        await world.runtime.kill(id)
        await world.runtime.kill(ABSENT)

    async def test_remove_takes_a_running_container_and_may_be_called_twice(
        self, world: World
    ) -> None:
        id = await run(world, Script())
        await world.runtime.remove(id)
        with pytest.raises(NotFound):
            await world.runtime.inspect(id)
        await world.runtime.remove(id)

    async def test_list_by_label(self, world: World) -> None:
        mine, other = {"pod": "one", "kind": "app"}, {"pod": "two", "kind": "app"}
        first = await run_labelled(world, "web", mine)
        second = await run_labelled(world, "db", other)
        await world.runtime.stop(second, grace=0)

        async def listed(**labels: str) -> set[str]:
            return {record.id for record in await world.runtime.list_containers(labels=labels)}

        assert await listed() == {first, second}
        assert await listed(kind="app") == {first, second}
        assert await listed(kind="app", pod="one") == {first}
        assert await listed(pod="three") == set()

    async def test_the_list_is_what_inspect_says(self, world: World) -> None:
        id = await run(world, Script(run_for=0.1, exit_code=4))
        await world.runtime.list_containers(labels={})
        ended = await world.runtime.wait(id)
        assert await world.runtime.list_containers(labels={}) == [ended]

    async def test_events_tell_a_life(self, world: World) -> None:
        listener = Listener(world.runtime)
        connected = Listener(world.runtime)
        await connected.until(EventKind.ENGINE_BACK)
        listening = asyncio.create_task(listener.until(EventKind.REMOVED))
        while not listener.seen:
            await asyncio.sleep(0)
        id = await run_labelled(world, "web", {"pod": "one"}, Script(run_for=0.1, exit_code=5))
        name = (await world.runtime.wait(id)).name
        await world.runtime.remove(id)
        await listening
        kinds = [event.kind.value for event in listener.seen]
        assert kinds == ["engine-back", "create", "start", "die", "destroy"]
        died = listener.seen[3]
        assert (died.id, died.exit_code, died.name) == (id, 5, name)
        assert died.labels["pod"] == "one"

    async def test_events_tell_that_an_image_came(self, world: World) -> None:
        listener = Listener(world.runtime)
        listening = asyncio.create_task(listener.until(EventKind.IMAGE_CAME))
        while not listener.seen:
            await asyncio.sleep(0)
        await world.runtime.import_image(b"\0" * 1024, "podwright/came:1")
        await listening
        assert [event.kind.value for event in listener.seen] == ["engine-back", "image"]
        await world.runtime.remove_image("podwright/came:1")

    async def test_exec(self, world: World) -> None:
        id = await run(world, Script())
        result = await world.runtime.exec(id, ["true"], timeout=DEADLINE)
        assert (result.exit_code, result.timed_out, result.ok) == (0, False, True)

    async def test_exec_that_takes_too_long(self, world: World) -> None:
        id = await run(world, Script(exec_seconds=60))
        result = await world.runtime.exec(id, ["sleep", "60"], timeout=0.5)
        assert result.timed_out and not result.ok

    async def test_exec_needs_a_running_container(self, world: World) -> None:
        id = await world.runtime.create(world.spec("web", Script()))
        with pytest.raises(NotRunning):
            await world.runtime.exec(id, ["true"], timeout=DEADLINE)
        with pytest.raises(NotFound):
            await world.runtime.exec(ABSENT, ["true"], timeout=DEADLINE)
        with pytest.raises(NotRunning):
            await world.runtime.attach_stream(id, stdin=False, stdout=True, stderr=True)

    async def test_a_file_of_a_container_that_does_not_run(self, world: World) -> None:
        hosts = {"/etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n"}
        id = await world.runtime.create(world.spec("files", Script(files=hosts)))
        found = await world.runtime.read_file(id, "/etc/passwd")
        assert found is not None and found.startswith(b"root:x:0:0")
        assert await world.runtime.read_file(id, "/etc/nobody-has-this") is None
        await world.runtime.remove(id)
        with pytest.raises(NotFound):
            await world.runtime.read_file(id, "/etc/passwd")

    async def test_logs(self, world: World) -> None:
        lines = ((Channel.STDOUT, b"one\n"), (Channel.STDOUT, b"two\n"))
        id = await run(world, Script(run_for=0.1, log=lines))
        await world.runtime.wait(id)
        assert await read_log(world, id, LogOptions()) == b"one\ntwo\n"
        assert await read_log(world, id, LogOptions(follow=True)) == b"one\ntwo\n"
        assert await read_log(world, id, LogOptions(tail_lines=1)) == b"two\n"
        assert await read_log(world, id, LogOptions(tail_lines=0)) == b""
        stamped = (await read_log(world, id, LogOptions(timestamps=True))).splitlines()[1]
        assert stamped.startswith(b"20") and stamped.endswith(b"Z two")

    async def test_one_stream_of_a_log(self, world: World) -> None:
        lines = ((Channel.STDOUT, b"one\n"), (Channel.STDERR, b"two\n"))
        id = await run(world, Script(run_for=0.1, log=lines))
        await world.runtime.wait(id)
        assert await read_log(world, id, LogOptions(stream=Channel.STDOUT)) == b"one\n"
        assert await read_log(world, id, LogOptions(stream=Channel.STDERR)) == b"two\n"

    async def test_logs_of_nothing(self, world: World) -> None:
        with pytest.raises(NotFound):
            await read_log(world, ABSENT, LogOptions())

    async def test_a_namespace_needs_its_owner(self, world: World) -> None:
        sandbox = await run(world, Script(), "sandbox")
        spec = world.spec("app", Script())
        joined = ContainerCreate(
            name=spec.name,
            image=spec.image,
            command=spec.command,
            network_mode=f"container:{sandbox}",
        )
        app = await world.runtime.create(joined)
        await world.runtime.stop(sandbox, grace=0)
        with pytest.raises(StartError):
            await world.runtime.start(app)

    async def test_images(self, world: World) -> None:
        assert await world.runtime.image("no/such:image") is None
        made = await world.runtime.import_image(b"\0" * 10240, "suite/empty:1")
        assert await world.runtime.image("suite/empty:1") == made
        assert made.id in {image.id for image in await world.runtime.list_images()}

        archive = await world.runtime.save_image("suite/empty:1")
        await world.runtime.remove_image("suite/empty:1")
        await world.runtime.remove_image("suite/empty:1")
        assert await world.runtime.image("suite/empty:1") is None
        with pytest.raises(ImageNotFound):
            await world.runtime.save_image("suite/empty:1")
        await world.runtime.load_image(archive)
        assert await world.runtime.image("suite/empty:1") is not None
        await world.runtime.remove_image("suite/empty:1")

    async def test_an_image_in_use_stays(self, world: World) -> None:
        await run(world, Script())
        image = await world.runtime.image(world.image)
        assert image is not None
        with pytest.raises(EngineError):
            await world.runtime.remove_image(image.id)


async def run_labelled(
    world: World, name: str, labels: dict[str, str], script: Script | None = None
) -> ContainerId:
    spec = world.spec(name, script or Script())
    id = await world.runtime.create(replace(spec, labels=labels))
    await world.runtime.start(id)
    return id


async def read_log(world: World, id: ContainerId, options: LogOptions) -> bytes:
    async with asyncio.timeout(DEADLINE):
        return b"".join([data async for _, data in world.runtime.logs(id, options)])
