"""The Docker Engine as a `Runtime` (step 4 of the pod's walk).

Concurrency: one event loop, and no threads but those that read logs. Short calls (list, inspect, create,
start, kill, remove) take turns, see `engine_calls`; whatever lasts (waits, stops, exec, attach, events,
pulls) has a connection to the engine's socket to itself, see `engine_http`. Logs are read from the disk,
see `logreader`.

Invariants:
- Every failure is one of `errors`, whatever the engine or the socket said.
- A call that was cancelled or timed out may still have happened; all calls that change something may be
  repeated, see `interface`.
- `list_containers` inspects only what it has not seen in its present state. What it remembers is dropped
  when an event mentions the container, when the event stream broke, and when the container is gone.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import posixpath
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any
from urllib.parse import quote

from agent.containers import engine_http, engine_json, engine_logs
from agent.containers.engine_calls import EngineCalls
from agent.containers.engine_http import EngineAddress
from agent.containers.errors import (
    EngineError,
    EngineUnavailable,
    NotFound,
    NotRunning,
    PullError,
    RuntimeFailure,
)
from agent.containers.execs import Execs
from agent.containers.interface import EXEC_OUTPUT_LIMIT, Stream
from agent.containers.logreader import LogReader
from agent.containers.operations import PULL, Tally
from agent.containers.processes import user_of
from agent.containers.records import (
    Channel,
    ContainerCreate,
    ContainerId,
    ContainerRecord,
    EngineInfo,
    EventKind,
    ExecResult,
    ImageRecord,
    InForce,
    LogOptions,
    PullProgress,
    RegistryAuth,
    RuntimeEvent,
)
from agent.containers.streams import HijackedStream
from agent.containers.turns import Rank
from base.clock import Clock

log = logging.getLogger(__name__)

DEFAULT_URL = "unix:///var/run/docker.sock"
WORKERS = min(16, (os.cpu_count() or 1) + 2)
"""Changes at a time. With more the engine starts no more pods a second, and each of them later
(docs/performance.md); with fewer processors stand idle while it waits for disks and locks of the kernel."""
LINKS = 8
"""Links that are followed to a file of an image, one after the other."""
LIST_PATIENCE = 10.0
"""Seconds that a list waits to look at one container; then it tells what the engine's own list says."""
PULL_PATIENCE = 300.0
"""Seconds without any progress after which a pull is given up: else a registry that has stopped in
the middle would hold its image back from all pods for ever."""
SIZE_PATIENCE = 300.0
"""Seconds that the engine may take to count the files of one container."""
RECONNECT_SECONDS = 1.0
KILL_MARGIN = 60.0
"""Seconds that the engine may need after the grace period to KILL and clean up."""
EVENT_FILTERS = {
    "type": ["container", "image"],
    "event": [*engine_json.CONTAINER_EVENTS, *engine_json.IMAGE_EVENTS],
}


class DockerRuntime:
    """`Runtime` on a Docker Engine; connects on first use, so the engine may come up later."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        clock: Clock,
        workers: int = WORKERS,
        proc: Path = Path("/proc"),
    ) -> None:
        self._engine = EngineCalls(EngineAddress.parse(url), workers=workers, clock=clock)
        self._socket = self._engine.socket
        self._execs = Execs(self._engine, clock=clock, proc=proc)
        self._clock = clock
        self._workers = workers
        self._proc = proc
        self._known: dict[ContainerId, ContainerRecord] = {}
        self._logged: dict[ContainerId, ContainerRecord] = {}
        """Where logs lie, which does not change: they can be read while the engine is away."""
        self._log_reader = LogReader(clock)
        self._reconnects = 0

    # Facts.

    async def info(self) -> EngineInfo:
        facts, version = await asyncio.gather(
            self._engine.call("GET", "/info"), self._engine.version()
        )
        status = (self._proc / "self/status").read_text()
        return engine_json.engine_info(
            facts,
            version,
            capabilities=engine_json.effective_capabilities(status),
            last_capability=int((self._proc / "sys/kernel/cap_last_cap").read_text()),
        )

    async def list_containers(self, *, labels: Mapping[str, str]) -> list[ContainerRecord]:
        query = {"all": "true", "filters": engine_json.label_filters(labels)}
        listed = await self._engine.call("GET", "/containers/json", query=query)
        if not labels:
            present = {item["Id"] for item in listed}
            self._known = {id: known for id, known in self._known.items() if id in present}
            self._logged = {id: known for id, known in self._logged.items() if id in present}
        found = await asyncio.gather(*(self._record(item) for item in listed))
        return [record for record in found if record is not None]

    async def _record(self, listed: dict[str, Any]) -> ContainerRecord | None:
        id = ContainerId(listed["Id"])
        known = self._known.get(id)
        if known is not None and known.state.value == listed["State"]:
            return known
        try:
            async with asyncio.timeout(LIST_PATIENCE):
                return await self.inspect(id)
        except NotFound:
            return None
        except (TimeoutError, EngineUnavailable):
            return engine_json.listed_container(listed)

    async def inspect(self, id: ContainerId) -> ContainerRecord:
        try:
            found = await self._engine.look(id, "GET", f"/containers/{id}/json")
            record = engine_json.container_record(found)
            if record.pid:
                record = replace(record, user=user_of(record.id, record.pid, self._proc))
        except NotFound:
            self._known.pop(id, None)
            self._logged.pop(id, None)
            raise
        self._known[record.id] = record
        if record.log_path:
            self._logged[record.id] = record
        return record

    # Containers.

    async def create(self, spec: ContainerCreate) -> ContainerId:
        created = await self._engine.call(
            "POST",
            "/containers/create",
            query={"name": spec.name},
            body=engine_json.container_config(spec),
            rank=Rank.CONTINUE if spec.network_mode.startswith("container:") else Rank.BEGIN,
        )
        return ContainerId(created["Id"])

    async def update(self, id: ContainerId, limits: InForce) -> None:
        self._known.pop(id, None)
        body = engine_json.limits_config(limits)
        await self._engine.call("POST", f"/containers/{id}/update", body=body)

    async def pin(self, id: ContainerId, cpus: str) -> None:
        self._known.pop(id, None)
        await self._engine.call("POST", f"/containers/{id}/update", body={"CpusetCpus": cpus})

    async def start(self, id: ContainerId) -> None:
        try:
            await self._engine.call(
                "POST", f"/containers/{id}/start", translate=engine_json.start_failure
            )
        finally:  # a start that failed leaves the state as it was, with an error and an exit code
            self._known.pop(id, None)

    async def stop(self, id: ContainerId, *, grace: float) -> None:
        self._known.pop(id, None)
        # The engine's own stop goes on to KILL even when we are gone. It counts whole seconds.
        seconds = ceil(max(0.0, grace))
        try:
            async with asyncio.timeout(seconds + KILL_MARGIN):
                await self._socket.wait("POST", f"/containers/{id}/stop", query={"t": seconds})
        except NotFound:
            return
        except TimeoutError as error:
            raise EngineUnavailable(
                "the Docker Engine does not get the container stopped"
            ) from error

    async def kill(self, id: ContainerId, *, signal: str = "SIGKILL") -> None:
        self._known.pop(id, None)
        with suppress(NotFound, NotRunning):
            await self._engine.call("POST", f"/containers/{id}/kill", query={"signal": signal})

    async def wait(self, id: ContainerId) -> ContainerRecord:
        query = {"condition": "not-running"}
        await self._socket.wait("POST", f"/containers/{id}/wait", query=query)
        return await self.inspect(id)

    async def remove(self, id: ContainerId) -> None:
        self._known.pop(id, None)
        try:
            query = {"v": "true", "force": "true"}
            await self._engine.call("DELETE", f"/containers/{id}", query=query)
        except NotFound:
            return
        except EngineError as error:
            if "is already in progress" not in error.message:
                raise

    async def read_file(self, id: ContainerId, path: str) -> bytes | None:
        for _ in range(LINKS):
            content, link = await self._read_file(id, path)
            if not link:
                return content
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
        return None

    async def _read_file(self, id: ContainerId, path: str) -> tuple[bytes | None, str]:
        try:
            found = await self._engine.archive(
                f"/containers/{id}/archive", query={"path": path}, of=path
            )
        except NotFound as error:
            if "No such container:" in error.message:
                raise
            return None, ""
        return engine_json.file_of_archive(found)

    # Processes inside.

    async def exec(
        self,
        id: ContainerId,
        argv: Sequence[str],
        *,
        timeout: float | None,
        output_limit: int = EXEC_OUTPUT_LIMIT,
    ) -> ExecResult:
        return await self._execs.run(id, argv, timeout=timeout, output_limit=output_limit)

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
        return await self._execs.open(id, argv, stdin=stdin, stdout=stdout, stderr=stderr, tty=tty)

    async def attach_stream(
        self, id: ContainerId, *, stdin: bool, stdout: bool, stderr: bool
    ) -> Stream:
        record = await self.inspect(id)
        if not record.running:
            raise NotRunning(f"container {record.name} is not running")

        async def resize(width: int, height: int) -> None:
            size = {"h": height, "w": width}
            await self._engine.call("POST", f"/containers/{id}/resize", query=size)

        async def exit_code() -> int | None:
            ended = await self.inspect(id)
            return None if ended.running else ended.exit_code

        wanted = {"stream": 1, "stdin": int(stdin), "stdout": int(stdout), "stderr": int(stderr)}
        connection = await self._socket.open(
            "POST",
            f"/containers/{id}/attach",
            query=wanted,
            upgrade=True,
        )
        return HijackedStream(connection, tty=record.tty, resize=resize, exit_code=exit_code)

    # Streams.

    async def logs(
        self, id: ContainerId, options: LogOptions
    ) -> AsyncGenerator[tuple[Channel, bytes], None]:
        record = self._logged.get(id) or await self.inspect(id)

        async def running() -> bool:
            return (await self.inspect(id)).running

        if self._log_reader.can_read(record):
            found = self._log_reader.read(Path(record.log_path), options, running)
        else:
            found = engine_logs.read(self._socket, record, options)
        async with aclosing(found) as pieces:
            async for piece in pieces:
                yield piece

    async def events(self) -> AsyncGenerator[RuntimeEvent, None]:
        since, there, complaint = "", True, ""
        while True:
            query = {"filters": json.dumps(EVENT_FILTERS)} | ({"since": since} if since else {})
            began, asked = self._clock.monotonic(), since
            try:
                async with self._socket.request("GET", "/events", query=query) as body:
                    yield self._mark(EventKind.ENGINE_BACK)
                    there = True
                    async with aclosing(engine_http.json_lines(body)) as messages:
                        async for message in messages:
                            since, event = engine_json.event_message(message)
                            if event is not None:
                                self._known.pop(event.id, None)
                                yield event
            except RuntimeFailure as error:
                if error.message != complaint:
                    log.warning("events of the container engine are not heard: %s", error.message)
                complaint = error.message
                if there and since == asked:
                    since = ""  # what cannot be read would come again; who lists misses nothing
            if there:
                yield self._mark(EventKind.ENGINE_LOST)
                there = False
            # One that refuses, or ends what it has just begun, is not asked in circles.
            if self._clock.monotonic() - began < RECONNECT_SECONDS:
                await self._clock.sleep(RECONNECT_SECONDS)
            else:
                complaint = ""
            while not await self._socket.answers():
                await self._clock.sleep(RECONNECT_SECONDS)
            self._reconnects += 1

    def _mark(self, kind: EventKind) -> RuntimeEvent:
        self._known.clear()
        return RuntimeEvent(kind=kind, time=self._clock.now())

    # Images.

    async def disk_usage(self, id: ContainerId) -> int:
        path = f"/containers/{id}/json"
        found = await self._socket.ask("GET", path, query={"size": "true"}, patience=SIZE_PATIENCE)
        return int((found or {}).get("SizeRw") or 0)

    async def list_images(self) -> list[ImageRecord]:
        listed = await self._engine.call("GET", "/images/json")
        return [engine_json.listed_image(item) for item in listed]

    async def image(self, reference: str) -> ImageRecord | None:
        try:
            found = await self._engine.call(
                "GET", f"{_of_image(reference)}/json", translate=_image_failure
            )
        except NotFound:
            return None
        return engine_json.image_record(found)

    async def pull(
        self,
        reference: str,
        *,
        auth: RegistryAuth | None = None,
        progress: Callable[[PullProgress], None] | None = None,
    ) -> ImageRecord:
        repository, tag = engine_json.split_reference(reference)
        headers = {"X-Registry-Auth": engine_json.registry_header(auth)} if auth is not None else {}
        query = {"fromImage": repository, "tag": tag}
        with self._engine.operations.measured(PULL):
            try:
                await self._socket.transfer(
                    "/images/create",
                    query=query,
                    headers=headers,
                    progress=progress,
                    patience=PULL_PATIENCE,
                )
            except TimeoutError as error:
                raise PullError(f"no progress for {PULL_PATIENCE:g} s") from error
            except (EngineError, NotFound) as error:  # refused before the stream of progress began
                raise engine_json.pull_failure(error.message) from error
        return await self._present(reference)

    async def import_image(
        self, layer: bytes, reference: str, *, changes: Sequence[str] = ()
    ) -> ImageRecord:
        repository, tag = engine_json.split_reference(reference)
        query = [("fromSrc", "-"), ("repo", repository), ("tag", tag)]
        query += [("changes", change) for change in changes]
        await self._socket.transfer("/images/create", query=query, body=layer)
        return await self._present(reference)

    async def load_image(self, archive: bytes) -> None:
        await self._socket.transfer("/images/load", query={"quiet": 1}, body=archive)

    async def save_image(self, reference: str) -> bytes:
        async with self._socket.request("GET", f"{_of_image(reference)}/get") as body:
            return await body.read()

    async def remove_image(self, reference: str) -> None:
        # A reference takes away one name; an id takes away the image, whatever names it has.
        force = reference.startswith("sha256:")
        with suppress(NotFound):
            await self._engine.call(
                "DELETE",
                _of_image(reference),
                query={"force": str(force).lower()},
                translate=_image_failure,
            )

    async def _present(self, reference: str) -> ImageRecord:
        image = await self.image(reference)
        if image is None:
            raise EngineError(f"the engine took the image {reference} and does not have it now")
        return image

    # The engine itself.

    def statistics(self) -> dict[str, float]:
        own = {
            "known": len(self._known),
            "workers": self._workers,
            "reconnects": self._reconnects,
        }
        return own | self._engine.statistics() | self._log_reader.statistics()

    def operations(self) -> Mapping[str, Tally]:
        return self._engine.operations.tallies

    async def close(self) -> None:
        await self._engine.close()
        self._log_reader.close()


def _of_image(reference: str) -> str:
    return "/images/" + quote(reference, safe="/:")


def _image_failure(status: int, message: str) -> RuntimeFailure:
    return NotFound(message) if status == 404 else engine_json.failure(status, message)
