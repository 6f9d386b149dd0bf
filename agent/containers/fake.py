"""A runtime without containers, for tests of everything above it (step 4 of the pod's walk).

A test says with a `Script` per image or per container name what its containers do: run for some
seconds of the clock, end with a code, fail to start, ignore TERM. Annotations of their pods may say
it too (`behaviour.py`), so that a test may need no more than the API. Time is the clock's, so with a
FakeClock an hour of crash loops passes at once. No tasks and no threads: whatever is due by now is
settled at the start of each call, and a waiter sleeps on the clock until the next due moment.

It passes the same interface suite as `DockerRuntime`, so its refusals (names, states, missing
images) are the engine's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from agent.containers.behaviour import BadAnnotations, script_for
from agent.containers.errors import (
    EngineError,
    EngineUnavailable,
    ImageNotFound,
    NameInUse,
    NotFound,
    NotRunning,
    RuntimeFailure,
    StartError,
)
from agent.containers.fakeimages import FakeImages
from agent.containers.interface import EXEC_OUTPUT_LIMIT, Stream
from agent.containers.operations import Tally
from agent.containers.records import (
    Channel,
    ContainerCreate,
    ContainerId,
    ContainerRecord,
    ContainerState,
    EngineInfo,
    EventKind,
    ExecResult,
    ImageId,
    ImageRecord,
    InForce,
    LogOptions,
    RuntimeEvent,
)
from agent.containers.script import (
    FAKE_ENGINE,
    FakeContainer,
    FakeStream,
    Listener,
    Script,
    short_name,
    stamp,
    tagged,
    user_asked,
)
from api.core import Pod
from base.clock import Clock


class FakeRuntime(FakeImages):
    """`Runtime` driven by scripts and annotations.

    `scripts` is keyed by container name, by the name's `k8s_NAME_…` part or by image, looked up in
    that order; a sequence gives each next container its own script and repeats the last. Images in
    `images` are on the node from the start, those in `registry` can be pulled; a registry value
    that is an error is raised. `pods` are those whose annotations may say otherwise (`behaviour`).
    """

    def __init__(
        self,
        clock: Clock,
        *,
        scripts: Mapping[str, Script | Sequence[Script]] | None = None,
        images: Iterable[str] = (),
        registry: Mapping[str, ImageRecord | RuntimeFailure | None] | None = None,
        info: EngineInfo | None = None,
        pods: Callable[[], Iterable[Pod]] = tuple,
    ) -> None:
        self._listeners: list[Listener] = []
        self._waiters: list[asyncio.Future[None]] = []
        super().__init__(clock, images=images, registry=registry or {}, pods=pods)
        self.scripts: dict[str, Script | Sequence[Script]] = dict(scripts or {})
        self.specs: dict[ContainerId, ContainerCreate] = {}
        """Every container ever created, removed or not, as it was asked for."""
        self.unreachable = False
        self._info = info or FAKE_ENGINE
        self._containers: dict[ContainerId, FakeContainer] = {}
        self._used: dict[str, int] = {}

    # What tests do to it.

    def end(self, id: ContainerId, *, exit_code: int = 0, oom: bool = False) -> None:
        """Make a running container end now, as if by itself."""
        container = self._find(id)
        container.ends_at, container.ends_with = self.clock.monotonic(), (exit_code, oom)
        self._settle()
        self._wake()

    def lose_engine(self) -> None:
        """Every call fails with EngineUnavailable until `recover_engine`."""
        self.unreachable = True
        self._tell(RuntimeEvent(kind=EventKind.ENGINE_LOST, time=self.clock.now()))
        self._wake()

    def recover_engine(self) -> None:
        self.unreachable = False
        self._tell(RuntimeEvent(kind=EventKind.ENGINE_BACK, time=self.clock.now()))
        self._wake()

    def by_name(self, name: str) -> ContainerRecord:
        """The container of this full name, or of this `k8s_NAME_…` part (the youngest such)."""
        self._settle()
        found = [
            c.record
            for c in self._containers.values()
            if name in (c.record.name, short_name(c.record.name))
        ]
        if not found:
            raise NotFound(f"No such container: {name}")
        return found[-1]

    # Runtime.

    async def info(self) -> EngineInfo:
        self._reach()
        return self._info

    async def list_containers(self, *, labels: Mapping[str, str]) -> list[ContainerRecord]:
        self._reach()
        self.questions["list_containers"] += 1
        return [
            c.record for c in self._containers.values() if labels.items() <= c.record.labels.items()
        ]

    async def inspect(self, id: ContainerId) -> ContainerRecord:
        self._reach()
        self.questions["inspect"] += 1
        return self._find(id).record

    async def create(self, spec: ContainerCreate) -> ContainerId:
        self._reach()
        self.calls.append(("create", spec.name))
        if any(c.record.name == spec.name for c in self._containers.values()):
            raise NameInUse(f'The container name "{spec.name}" is already in use')
        image = self._lookup_image(spec.image)
        if image is None:
            raise ImageNotFound(f"No such image: {tagged(spec.image)}")
        script = self._behaviour(spec)
        if script.create_error:
            raise StartError(script.create_error)
        self._serial += 1
        id = ContainerId(f"{self._serial:064x}")
        record = ContainerRecord(
            id=id,
            name=spec.name,
            image=spec.image,
            image_id=image.id,
            labels=dict(spec.labels),
            state=ContainerState.CREATED,
            created_at=self.clock.now(),
            stop_signal=spec.stop_signal or image.stop_signal or "SIGTERM",
            tty=spec.tty,
            cpus=spec.cpuset_cpus,
            in_force=InForce(
                cpu_shares=spec.cpu_shares, cpu_quota=spec.cpu_quota, memory=spec.memory
            ),
        )
        self.specs[id] = spec
        self._containers[id] = FakeContainer(record=record, spec=spec, script=script)
        self._tell_of(record, EventKind.CREATED)
        self._wake()
        return id

    async def update(self, id: ContainerId, limits: InForce) -> None:
        self._reach()
        container = self._find(id)
        self.calls.append(("update", container.record.name))
        if container.script.update_error:
            raise EngineError(container.script.update_error)
        container.record = replace(container.record, in_force=limits)

    async def pin(self, id: ContainerId, cpus: str) -> None:
        self._reach()
        container = self._find(id)
        self.calls.append(("pin", container.record.name))
        container.record = replace(container.record, cpus=cpus)

    async def start(self, id: ContainerId) -> None:
        self._reach()
        container = self._find(id)
        self.calls.append(("start", container.record.name))
        if container.record.running:
            return
        if error := self._start_error(container):
            container.record = replace(container.record, error=error, exit_code=128)
            raise StartError(error)
        script = container.script
        self._serial += 1
        container.record = replace(
            container.record,
            state=ContainerState.RUNNING,
            started_at=self.clock.now(),
            finished_at=None,
            exit_code=0,
            oom_killed=False,
            pid=100_000 + self._serial,
            user=user_asked(container.spec),
            log_path=f"/fake/containers/{id}/{id}-json.log",
        )
        container.ends_at = (
            None if script.run_for is None else self.clock.monotonic() + script.run_for
        )
        container.ends_with = (137 if script.oom else script.exit_code, script.oom)
        self._tell_of(container.record, EventKind.STARTED)
        self._wake()

    async def stop(self, id: ContainerId, *, grace: float) -> None:
        self._reach()
        container = self._containers.get(id)
        if container is None or not container.record.running:
            return
        self.calls.append(("stop", container.record.name))
        self._signal(container, container.record.stop_signal)
        deadline = self.clock.monotonic() + grace
        if not await self._until(lambda: not container.record.running, deadline=deadline):
            self._signal(container, "SIGKILL")

    async def kill(self, id: ContainerId, *, signal: str = "SIGKILL") -> None:
        self._reach()
        container = self._containers.get(id)
        if container is not None and container.record.running:
            self.calls.append(("kill", container.record.name))
            self._signal(container, signal)

    async def wait(self, id: ContainerId) -> ContainerRecord:
        self._reach()
        container = self._find(id)
        await self._until(lambda: not container.record.running)
        return container.record

    async def remove(self, id: ContainerId) -> None:
        self._reach()
        container = self._containers.get(id) or self._named(id)
        if container is None:
            return
        self.calls.append(("remove", container.record.name))
        if container.record.running:
            self._signal(container, "SIGKILL")
        self._containers.pop(container.record.id, None)
        self._tell_of(container.record, EventKind.REMOVED)
        self._wake()

    async def read_file(self, id: ContainerId, path: str) -> bytes | None:
        self._reach()
        return self._find(id).script.files.get(path)

    async def exec(
        self,
        id: ContainerId,
        argv: Sequence[str],
        *,
        timeout: float | None,
        output_limit: int = EXEC_OUTPUT_LIMIT,
    ) -> ExecResult:
        self._reach()
        container = self._find(id)
        self._must_run(container)
        self.calls.append(("exec", container.record.name))
        seconds = container.script.exec_seconds
        if timeout is not None and seconds > timeout:
            await self.clock.sleep(timeout)
            return ExecResult(exit_code=-1, output=b"", timed_out=True)
        if seconds:
            await self.clock.sleep(seconds)
        self._must_run(container)
        result = container.script.exec(argv)
        return replace(result, output=result.output[:output_limit])

    async def exec_stream(
        self,
        id: ContainerId,
        argv: Sequence[str],
        *,
        stdin: bool,
        stdout: bool,
        stderr: bool,
        tty: bool,
    ) -> Stream:
        self._reach()
        container = self._find(id)
        self._must_run(container)
        result = container.script.exec(argv)
        return FakeStream(
            [(Channel.STDOUT, result.output)] if stdout and result.output else [], result.exit_code
        )

    async def attach_stream(
        self, id: ContainerId, *, stdin: bool, stdout: bool, stderr: bool
    ) -> Stream:
        self._reach()
        container = self._find(id)
        self._must_run(container)
        return FakeStream(list(container.script.log), None)

    async def logs(
        self, id: ContainerId, options: LogOptions
    ) -> AsyncGenerator[tuple[Channel, bytes], None]:
        self._reach()
        container = self._find(id)
        lines = list(container.script.log) if container.record.started_at else []
        if options.stream is not None:
            lines = [line for line in lines if line[0] is options.stream]
        if options.tail_lines is not None:
            lines = lines[max(0, len(lines) - options.tail_lines) :]
        for channel, line in lines:
            moment = stamp(container.record.created_at) + " " if options.timestamps else ""
            yield channel, moment.encode() + line
        if options.follow:
            await self._until(lambda: not container.record.running)

    async def events(self) -> AsyncGenerator[RuntimeEvent, None]:
        listener = Listener()
        if not self.unreachable:
            listener.events.append(RuntimeEvent(kind=EventKind.ENGINE_BACK, time=self.clock.now()))
        self._listeners.append(listener)
        try:
            while True:
                await self._until(lambda: bool(listener.events))
                yield listener.events.popleft()
        finally:
            self._listeners.remove(listener)

    async def disk_usage(self, id: ContainerId) -> int:
        self._reach()
        return self._find(id).script.disk_usage

    def statistics(self) -> dict[str, float]:
        return {
            "containers": float(len(self._containers)),
            "listeners": float(len(self._listeners)),
        }

    def operations(self) -> Mapping[str, Tally]:
        return {}

    async def close(self) -> None:
        pass

    # Inside.

    def _reach(self) -> None:
        if self.unreachable:
            raise EngineUnavailable("Cannot connect to the container engine")
        self._settle()

    def _find(self, id: ContainerId) -> FakeContainer:
        if id not in self._containers:
            raise NotFound(f"No such container: {id}")
        return self._containers[id]

    def _named(self, name: str) -> FakeContainer | None:
        return next((c for c in self._containers.values() if c.record.name == name), None)

    def _must_run(self, container: FakeContainer) -> None:
        self._settle()
        if not container.record.running:
            raise NotRunning(f"Container {container.record.id} is not running")

    def _images_in_use(self) -> set[ImageId]:
        return {c.record.image_id for c in self._containers.values()}

    def _behaviour(self, spec: ContainerCreate) -> Script:
        try:
            return script_for(spec.name, self._script(spec), self.pods())
        except BadAnnotations as error:
            raise EngineError(error.message) from error

    def _script(self, spec: ContainerCreate) -> Script:
        for key in (spec.name, short_name(spec.name), spec.image):
            if key in self.scripts:
                found = self.scripts[key]
                if isinstance(found, Script):
                    return found
                turn = self._used.get(key, 0)
                self._used[key] = turn + 1
                return found[min(turn, len(found) - 1)]
        return Script()

    def _start_error(self, container: FakeContainer) -> str:
        """The script's error, or the engine's: a namespace is joined only while its owner runs."""
        for mode in (container.spec.network_mode, container.spec.ipc_mode, container.spec.pid_mode):
            if not mode.startswith("container:"):
                continue
            owner = self._containers.get(ContainerId(mode.removeprefix("container:")))
            if owner is None or not owner.record.running:
                return f"cannot join the namespace of a container that does not run: {mode}"
        return container.script.start_error

    def _signal(self, container: FakeContainer, signal: str) -> None:
        script, now = container.script, self.clock.monotonic()
        if signal in ("SIGKILL", "KILL", "9"):
            container.ends_at, container.ends_with = now, (137, False)
        elif (
            signal in (container.record.stop_signal, "SIGTERM", "TERM", "15")
            and not script.ignores_term
        ):
            end = now + script.term_seconds
            if container.ends_at is None or end < container.ends_at:
                container.ends_at, container.ends_with = end, (script.term_exit_code, False)
        self._settle()
        self._wake()

    def _settle(self) -> None:
        """End what is due, oldest first, at the moment it was due."""
        now = self.clock.monotonic()
        due = [
            c
            for c in self._containers.values()
            if c.record.running and c.ends_at is not None and c.ends_at <= now
        ]
        for container in sorted(due, key=lambda c: c.ends_at or 0.0):
            exit_code, oom = container.ends_with
            ended = self.clock.now() - timedelta(seconds=now - (container.ends_at or now))
            container.record = replace(
                container.record,
                state=ContainerState.EXITED,
                finished_at=ended,
                exit_code=exit_code,
                oom_killed=oom,
                pid=0,
                user=None,
            )
            if oom:
                self._tell_of(container.record, EventKind.OOM)
            self._tell_of(container.record, EventKind.DIED)

    def _tell_of(self, record: ContainerRecord, kind: EventKind) -> None:
        code = record.exit_code if kind is EventKind.DIED else None
        self._tell(
            RuntimeEvent(
                kind=kind,
                time=self.clock.now(),
                id=record.id,
                name=record.name,
                labels=record.labels,
                exit_code=code,
            )
        )

    def _tell(self, event: RuntimeEvent) -> None:
        for listener in self._listeners:
            listener.events.append(event)

    def _image_came(self) -> None:
        self._tell(RuntimeEvent(kind=EventKind.IMAGE_CAME, time=self.clock.now()))
        self._wake()

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _until(self, condition: Callable[[], bool], *, deadline: float | None = None) -> bool:
        """Wait for `condition`; False when `deadline` (monotonic) came first."""
        while True:
            self._settle()
            if condition():
                return True
            now = self.clock.monotonic()
            if deadline is not None and now >= deadline:
                return False
            dues = [
                c.ends_at
                for c in self._containers.values()
                if c.record.running and c.ends_at is not None
            ]
            moments = dues if deadline is None else [*dues, deadline]
            await self._next_change(min(moments) - now if moments else None)

    async def _next_change(self, seconds: float | None) -> None:
        """Sleep until something is told to this runtime, or for `seconds` of the clock."""
        woken = asyncio.get_running_loop().create_future()
        self._waiters.append(woken)
        try:
            async with asyncio.TaskGroup() as group:
                alarm = group.create_task(self._ring(woken, seconds))
                await woken
                alarm.cancel()
        finally:
            self._waiters.remove(woken)

    async def _ring(self, woken: asyncio.Future[None], seconds: float | None) -> None:
        if seconds is not None:
            await self.clock.sleep(seconds)
            if not woken.done():
                woken.set_result(None)
