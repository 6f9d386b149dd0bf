"""The Docker Engine as a `Runtime` (step 4 of the pod's walk): the only module that imports docker.

Concurrency: the SDK is synchronous, so short calls (list, inspect, create, start, kill, remove) run
in a thread pool of `workers` threads; a call that finds them all busy waits its turn (`turns`). An
engine may answer for all containers but one: about each there is one question at a time, and questions
have a pool of their own, so that those without an answer hold up neither others nor changes. Whatever
lasts (waits, stops, exec, attach, events, pulls) speaks to the engine's socket from asyncio, see
`engine_http`, and holds no thread. Logs are read from the disk, see `logreader`.

Invariants:
- Every failure is one of `errors`, whatever the SDK or the socket raised.
- A call that was cancelled or timed out may still have happened; all calls that change something may be
  repeated, see `interface`.
- `list_containers` inspects only what it has not seen in its present state. What it remembers is dropped
  when an event mentions the container, when the event stream broke, and when the container is gone.
"""

from __future__ import annotations

import asyncio
import json
import posixpath
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from math import ceil
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import docker
import requests
from docker.errors import APIError, DockerException

from agent.containers import engine_http, engine_json, engine_logs
from agent.containers.engine_http import EngineAddress, EngineSocket
from agent.containers.errors import (
    EngineError,
    EngineUnavailable,
    NotFound,
    NotRunning,
    PullError,
    RuntimeFailure,
)
from agent.containers.interface import EXEC_OUTPUT_LIMIT, Stream
from agent.containers.logreader import LogReader
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
from agent.containers.turns import Rank, Turns
from base.clock import Clock

T = TypeVar("T")

DEFAULT_URL = "unix:///var/run/docker.sock"
WORKERS = 8
CALL_TIMEOUT = 120
"""Seconds for one short call, its turn in the pool included: what kubelets allow a runtime."""
LINKS = 8
"""Links that are followed to a file of an image, one after the other."""
LOOKERS = 16
"""Threads for questions about one container."""
LIST_PATIENCE = 10.0
"""Seconds that a list waits to look at one container; then it tells what the engine's own list says."""
PULL_PATIENCE = 300.0
"""Seconds without any progress after which a pull is given up: else a registry that has stopped in
the middle would hold its image back from all pods for ever."""
RECONNECT_SECONDS = 1.0
EXIT_POLL_SECONDS = 0.01
EXIT_POLL_LIMIT = 1.0
CPU_PERIOD = 100_000
"""Microseconds in which a quota counts."""
KILL_MARGIN = 60.0
"""Seconds that the engine may need after the grace period to KILL and clean up."""
EVENT_FILTERS = {
    "type": ["container"],
    "event": [kind.value for kind in EventKind if not kind.value.startswith("engine-")],
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
        self._url = url
        self._socket = EngineSocket(EngineAddress.parse(url), self._version_prefix)
        self._clock = clock
        self._workers = workers
        self._proc = proc
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="engine")
        self._turns = Turns(workers)
        self._lookers = ThreadPoolExecutor(max_workers=LOOKERS, thread_name_prefix="look")
        self._looks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._connecting = asyncio.Lock()
        self._client: docker.APIClient | None = None
        self._api = ""
        self._known: dict[ContainerId, ContainerRecord] = {}
        self._logged: dict[ContainerId, ContainerRecord] = {}
        """Where logs lie, which does not change: they can be read while the engine is away."""
        self._log_reader = LogReader(clock)
        self._counts = dict.fromkeys(("calls", "failures", "pending", "reconnects"), 0)

    # Facts.

    async def info(self) -> EngineInfo:
        facts, version = await asyncio.gather(
            self._call(lambda c: c.info()), self._call(lambda c: c.version(api_version=False))
        )
        status = (self._proc / "self/status").read_text()
        return engine_json.engine_info(
            facts,
            version,
            capabilities=engine_json.effective_capabilities(status),
            last_capability=int((self._proc / "sys/kernel/cap_last_cap").read_text()),
        )

    async def list_containers(self, *, labels: Mapping[str, str]) -> list[ContainerRecord]:
        filters = engine_json.label_filters(labels)
        listed = await self._call(lambda c: c.containers(all=True, filters=filters))
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
            found = await self._look(id, lambda c: c.inspect_container(id))
            record = engine_json.container_record(found)
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
        config = engine_json.container_config(spec)
        created = await self._call(
            lambda c: c.create_container_from_config(config, spec.name),  # type: ignore[no-untyped-call]
            rank=Rank.CONTINUE if spec.network_mode.startswith("container:") else Rank.BEGIN,
        )
        return ContainerId(created["Id"])

    async def update(self, id: ContainerId, limits: InForce) -> None:
        self._known.pop(id, None)
        await self._call(
            lambda c: c.update_container(
                id,
                cpu_shares=limits.cpu_shares or None,
                cpu_period=CPU_PERIOD if limits.cpu_quota else None,
                cpu_quota=limits.cpu_quota or None,
                mem_limit=limits.memory or None,
                memswap_limit=limits.memory or None,
            )
        )

    async def pin(self, id: ContainerId, cpus: str) -> None:
        self._known.pop(id, None)
        await self._call(lambda c: c.update_container(id, cpuset_cpus=cpus))

    async def start(self, id: ContainerId) -> None:
        try:
            await self._call(lambda c: c.start(id), translate=engine_json.start_failure)
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
            await self._call(lambda c: c.kill(id, signal))

    async def wait(self, id: ContainerId) -> ContainerRecord:
        query = {"condition": "not-running"}
        await self._socket.wait("POST", f"/containers/{id}/wait", query=query)
        return await self.inspect(id)

    async def remove(self, id: ContainerId) -> None:
        self._known.pop(id, None)
        try:
            await self._call(lambda c: c.remove_container(id, v=True, force=True))
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
            found = await self._call(
                lambda c: engine_json.archive_of(c.get_archive(id, path)[0], path)
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
        output = bytearray()
        stream: Stream | None = None
        try:
            async with asyncio.timeout(timeout):
                stream = await self.exec_stream(
                    id, argv, stdin=False, stdout=True, stderr=True, tty=False
                )
                while piece := await stream.read():
                    output += piece[1][: output_limit - len(output)]
                code = await stream.exit_code()
                return ExecResult(exit_code=-1 if code is None else code, output=bytes(output))
        except TimeoutError:
            return ExecResult(exit_code=-1, output=bytes(output), timed_out=True)
        finally:
            if stream is not None:
                await stream.close()

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
        created = await self._look(
            f"exec in {id}",
            lambda c: c.exec_create(
                id, list(argv), stdin=stdin, stdout=stdout, stderr=stderr, tty=tty
            ),
        )
        exec_id = created["Id"]

        async def resize(width: int, height: int) -> None:
            await self._call(lambda c: c.exec_resize(exec_id, height=height, width=width))

        connection = await self._socket.open(
            "POST",
            f"/exec/{exec_id}/start",
            body=json.dumps({"Detach": False, "Tty": tty}).encode(),
            headers={"Content-Type": "application/json"},
            upgrade=True,
        )
        return HijackedStream(
            connection, tty=tty, resize=resize, exit_code=lambda: self._exec_exit_code(exec_id)
        )

    async def attach_stream(
        self, id: ContainerId, *, stdin: bool, stdout: bool, stderr: bool
    ) -> Stream:
        record = await self.inspect(id)
        if not record.running:
            raise NotRunning(f"container {record.name} is not running")

        async def resize(width: int, height: int) -> None:
            await self._call(lambda c: c.resize(id, height=height, width=width))

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

    async def _exec_exit_code(self, exec_id: str) -> int | None:
        """A process may close its output before it ends, and the engine notices its end a bit later."""
        delay = EXIT_POLL_SECONDS
        while True:
            try:
                state = await self._look(exec_id, lambda c: c.exec_inspect(exec_id))
            except NotFound:
                return None
            if not state["Running"] and state["ExitCode"] is not None:
                return int(state["ExitCode"])
            await self._clock.sleep(delay)
            delay = min(delay * 2, EXIT_POLL_LIMIT)

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
        since = ""
        while True:
            query = {"filters": json.dumps(EVENT_FILTERS)} | ({"since": since} if since else {})
            try:
                async with self._socket.request("GET", "/events", query=query) as body:
                    yield self._mark(EventKind.ENGINE_BACK)
                    async with aclosing(engine_http.json_lines(body)) as messages:
                        async for message in messages:
                            since = engine_json.just_after(message["timeNano"])
                            event = engine_json.runtime_event(message)
                            if event is not None:
                                self._known.pop(event.id, None)
                                yield event
            except EngineUnavailable:
                pass
            yield self._mark(EventKind.ENGINE_LOST)
            while not await self._socket.answers():
                await self._clock.sleep(RECONNECT_SECONDS)
            self._counts["reconnects"] += 1

    def _mark(self, kind: EventKind) -> RuntimeEvent:
        self._known.clear()
        return RuntimeEvent(kind=kind, time=self._clock.now())

    # Images.

    async def disk_usage(self, id: ContainerId) -> int:
        path = f"/containers/{id}/json"
        async with self._socket.request(
            "GET", path, query={"size": "true"}, header_timeout=None
        ) as body:
            found = json.loads(await body.read())
        return int(found.get("SizeRw") or 0)

    async def list_images(self) -> list[ImageRecord]:
        return [engine_json.listed_image(item) for item in await self._call(lambda c: c.images())]

    async def image(self, reference: str) -> ImageRecord | None:
        try:
            found = await self._call(
                lambda c: c.inspect_image(reference),  # type: ignore[no-untyped-call]
                translate=_image_failure,
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
        async with self._socket.request("GET", f"/images/{reference}/get") as body:
            return await body.read()

    async def remove_image(self, reference: str) -> None:
        # A reference takes away one name; an id takes away the image, whatever names it has.
        force = reference.startswith("sha256:")
        with suppress(NotFound):
            await self._call(
                lambda c: c.remove_image(reference, force=force), translate=_image_failure
            )

    async def _present(self, reference: str) -> ImageRecord:
        image = await self.image(reference)
        if image is None:
            raise EngineError(f"the engine took the image {reference} and does not have it now")
        return image

    # The engine itself.

    def statistics(self) -> dict[str, float]:
        gauges = {
            "known": len(self._known),
            "workers": self._workers,
            "streams": self._socket.opened,
        }
        counts = {name: float(value) for name, value in (gauges | self._counts).items()}
        return counts | self._log_reader.statistics()

    async def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._lookers.shutdown(wait=False, cancel_futures=True)
        self._log_reader.close()
        if self._client is not None:
            self._client.close()

    async def _version_prefix(self) -> str:
        await self._connected()
        return f"/v{self._api}"

    async def _connected(self) -> docker.APIClient:
        if self._client is None:
            async with self._connecting:
                if self._client is None:
                    self._client = await self._in_pool(self._connect)
        return self._client

    def _connect(self) -> docker.APIClient:
        """In a thread: ask what the engine speaks, and make a client for the version we know best."""
        first = docker.APIClient(base_url=self._url, version="1.24", timeout=HEADER_SECONDS)
        try:
            version = first.version(api_version=False)
        finally:
            first.close()
        self._api = engine_json.choose_api_version(
            offered=version["ApiVersion"], minimum=version.get("MinAPIVersion", "")
        )
        return docker.APIClient(
            base_url=self._url,
            version=self._api,
            timeout=CALL_TIMEOUT,
            max_pool_size=self._workers + LOOKERS,
        )

    async def _call(
        self,
        work: Callable[[docker.APIClient], T],
        *,
        translate: Callable[[int, str], RuntimeFailure] = engine_json.failure,
        rank: Rank = Rank.FINISH,
    ) -> T:
        client = await self._connected()
        return await self._in_pool(lambda: work(client), translate=translate, rank=rank)

    async def _in_pool(
        self,
        work: Callable[[], T],
        *,
        translate: Callable[[int, str], RuntimeFailure] = engine_json.failure,
        rank: Rank = Rank.FINISH,
    ) -> T:
        return await self._in_thread(self._pool, lambda: self._turns.take(rank), work, translate)

    async def _look(self, what: str, work: Callable[[docker.APIClient], T]) -> T:
        """A question about one container, after any other of the same kind about it."""
        client = await self._connected()
        lock = self._looks.setdefault(what, asyncio.Lock())

        async def take() -> Callable[[], None]:
            await lock.acquire()
            return lock.release

        return await self._in_thread(self._lookers, take, lambda: work(client), engine_json.failure)

    async def _in_thread(
        self,
        pool: ThreadPoolExecutor,
        take: Callable[[], Awaitable[Callable[[], None]]],
        work: Callable[[], T],
        translate: Callable[[int, str], RuntimeFailure],
    ) -> T:
        self._counts["calls"] += 1
        self._counts["pending"] += 1
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                give_back = await take()
                call = asyncio.get_running_loop().run_in_executor(
                    pool, _translated, work, translate
                )
                # Whoever asked may give up, the thread cannot: only when it is free is its place.
                call.add_done_callback(lambda call: _ended(call, give_back))
                return await asyncio.shield(call)
        except TimeoutError as error:
            self._counts["failures"] += 1
            raise EngineUnavailable("the Docker Engine did not answer in time") from error
        except RuntimeFailure:
            self._counts["failures"] += 1
            raise
        finally:
            self._counts["pending"] -= 1


HEADER_SECONDS = int(engine_http.HEADER_TIMEOUT)


def _ended(call: asyncio.Future[T], give_back: Callable[[], None]) -> None:
    give_back()
    if not call.cancelled():
        call.exception()  # seen, also when nobody waits for it any more


def _translated(work: Callable[[], T], translate: Callable[[int, str], RuntimeFailure]) -> T:
    """Do `work`, with the SDK's errors as ours."""
    try:
        return work()
    except APIError as error:
        status = 0 if error.response is None else error.response.status_code
        raise translate(status, str(error.explanation or error)) from error
    except (DockerException, requests.RequestException) as error:
        raise EngineUnavailable(
            f"cannot reach the Docker Engine: {error}",
            hint="Is the Docker Engine running? See `systemctl status docker`.",
        ) from error


def _image_failure(status: int, message: str) -> RuntimeFailure:
    return NotFound(message) if status == 404 else engine_json.failure(status, message)
