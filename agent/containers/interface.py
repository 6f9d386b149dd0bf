"""What the agent asks of a container runtime (step 4 of the pod's walk).

Two implementations pass one test suite: `runtime.DockerRuntime` and `fake.FakeRuntime`. All methods
may be called concurrently from one event loop. Each docstring says whether the method may be called
twice; the pod's plan relies on that, because an agent that was killed does its last step again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Protocol

from agent.containers.operations import Tally
from agent.containers.records import (
    Channel,
    ContainerCreate,
    ContainerId,
    ContainerRecord,
    EngineInfo,
    ExecResult,
    ImageRecord,
    InForce,
    LogOptions,
    PullProgress,
    RegistryAuth,
    RuntimeEvent,
)

EXEC_OUTPUT_LIMIT = 64 * 1024
"""Bytes of output kept of an `exec`: a probe's or hook's answer, never a dump."""


class Stream(Protocol):
    """A duplex connection to a process in a container. One reader and one writer at a time."""

    async def read(self) -> tuple[Channel, bytes] | None:
        """The next piece of output; None once the process closed its output.

        With a tty all is STDOUT.
        """

    async def write(self, data: bytes) -> None:
        """Send to stdin; waits while the process does not read.

        Dropped once the process is gone.
        """

    async def close_stdin(self) -> None:
        """Half-close: the process reads end of file, its output still arrives.

        May be called twice.
        """

    async def resize(self, *, width: int, height: int) -> None:
        """Set the terminal's size; ignored when the process is gone. May be called twice."""

    async def exit_code(self) -> int | None:
        """How the process ended; None when that is not known (attached, and still running)."""

    async def close(self) -> None:
        """Let go of the connection. May be called twice."""


class Runtime(Protocol):
    """A container engine."""

    async def info(self) -> EngineInfo:
        """Facts about the engine and the machine. May be called twice."""

    async def list_containers(self, *, labels: Mapping[str, str]) -> list[ContainerRecord]:
        """All containers, running or not, that carry all of `labels`. May be called twice."""

    async def inspect(self, id: ContainerId) -> ContainerRecord:
        """One container. Raises NotFound. May be called twice."""

    async def create(self, spec: ContainerCreate) -> ContainerId:
        """Create without starting. The second call raises NameInUse. Raises ImageNotFound."""

    async def update(self, id: ContainerId, limits: InForce) -> None:
        """Change the limits of a container that runs; 0 leaves one as it is.

        May be called twice. Raises EngineError when the kernel refuses (less memory than is in use).
        """

    async def pin(self, id: ContainerId, cpus: str) -> None:
        """Let a container run on these CPUs only (`0-2,7`). May be called twice. Raises NotFound."""

    async def start(self, id: ContainerId) -> None:
        """Start; returns when the program runs.

        May be called twice: running is fine. Raises StartError.
        """

    async def stop(self, id: ContainerId, *, grace: float) -> None:
        """Send the stop signal, wait `grace` seconds, KILL; return when it has ended.

        May be called twice. A container that is gone or does not run is stopped. Cancelling it
        stops only the waiting.
        """

    async def kill(self, id: ContainerId, *, signal: str = "SIGKILL") -> None:
        """Send a signal.

        May be called twice: a container that is gone or does not run is no error.
        """

    async def wait(self, id: ContainerId) -> ContainerRecord:
        """Wait until the container does not run, and say how it ended.

        Raises NotFound. May be called twice.
        """

    async def remove(self, id: ContainerId) -> None:
        """Remove with its anonymous volumes, killing it if it runs. May be called twice."""

    async def exec(
        self,
        id: ContainerId,
        argv: Sequence[str],
        *,
        timeout: float | None,
        output_limit: int = EXEC_OUTPUT_LIMIT,
    ) -> ExecResult:
        """Run a command inside and wait for it. Raises NotRunning. Each call runs it again.

        A command that overruns `timeout` is ended, with what it has started in its process group.
        """

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
        """Run a command inside, connected to us. Raises NotRunning. Each call runs it again."""

    async def attach_stream(
        self, id: ContainerId, *, stdin: bool, stdout: bool, stderr: bool
    ) -> Stream:
        """Connect to process 1 of the container. Raises NotRunning. Several may be attached."""

    def logs(
        self, id: ContainerId, options: LogOptions
    ) -> AsyncGenerator[tuple[Channel, bytes], None]:
        """The container's log; `limit_bytes` is left to the caller.

        Raises NotFound. May be called twice. With `follow` it ends when the container does.
        """

    def events(self) -> AsyncGenerator[RuntimeEvent, None]:
        """Container events from now on, for ever; each caller has a stream of its own.

        The first is ENGINE_BACK, sent once the stream stands: who lists everything at each
        ENGINE_BACK misses nothing. Read promptly: an engine drops events for a reader that does not
        keep up, which is one reason for a slow relist beside them.
        """

    async def read_file(self, id: ContainerId, path: str) -> bytes | None:
        """A small file of the container, which need not run; None when there is none.

        Raises NotFound without the container. May be called twice.
        """

    async def disk_usage(self, id: ContainerId) -> int:
        """Bytes in the container's own writable layer. Slow: the engine walks it. Raises NotFound."""

    async def list_images(self) -> list[ImageRecord]:
        """All images on the node. May be called twice."""

    async def image(self, reference: str) -> ImageRecord | None:
        """One image by reference or id, None when the node does not have it.

        May be called twice.
        """

    async def pull(
        self,
        reference: str,
        *,
        auth: RegistryAuth | None = None,
        progress: Callable[[PullProgress], None] | None = None,
    ) -> ImageRecord:
        """Fetch from the registry. Raises ImageNotFound, PullError. May be called twice."""

    async def import_image(
        self, layer: bytes, reference: str, *, changes: Sequence[str] = ()
    ) -> ImageRecord:
        """Make an image of one layer (a tar); `changes` are Dockerfile instructions.

        May be called twice.
        """

    async def load_image(self, archive: bytes) -> None:
        """Load what `save_image` gave. May be called twice."""

    async def save_image(self, reference: str) -> bytes:
        """An image with its layers as one tar. Raises ImageNotFound. May be called twice."""

    async def remove_image(self, reference: str) -> None:
        """Remove a tag, or with an id all of an image.

        May be called twice. Raises EngineError when in use.
        """

    def statistics(self) -> dict[str, float]:
        """Counters and gauges, for metrics and for debugging."""

    def operations(self) -> Mapping[str, Tally]:
        """What was asked of an engine, by kind."""

    async def close(self) -> None:
        """Stop threads and connections; containers stay as they are. May be called twice."""
