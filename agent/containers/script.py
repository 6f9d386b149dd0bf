"""What the containers of a `FakeRuntime` do (tests of step 4 of the pod's walk)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from agent.containers.records import (
    Channel,
    ContainerCreate,
    ContainerRecord,
    EngineInfo,
    ExecResult,
    ProcessUser,
    RuntimeEvent,
)

ExecAnswer = Callable[[Sequence[str]], ExecResult]


def _succeed(argv: Sequence[str]) -> ExecResult:
    return ExecResult(exit_code=0, output=b"")


@dataclass(frozen=True, kw_only=True)
class Script:
    """What a container does; the default runs until it is told to end, and ends at once on TERM."""

    run_for: float | None = None
    """Seconds until it ends by itself; None runs until a signal."""
    exit_code: int = 0
    """Of an end by itself."""
    oom: bool = False
    """The end by itself is an OOM kill."""
    create_error: str = ""
    start_error: str = ""
    update_error: str = ""
    ignores_term: bool = False
    term_seconds: float = 0.0
    """From TERM to the end."""
    term_exit_code: int = 0
    exec: ExecAnswer = _succeed
    exec_seconds: float = 0.0
    log: tuple[tuple[Channel, bytes], ...] = ()
    disk_usage: int = 0
    """Bytes in its writable layer."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """What lies in its image, by path."""


@dataclass(kw_only=True)
class FakeContainer:
    record: ContainerRecord
    spec: ContainerCreate
    script: Script
    ends_at: float | None = None
    """On the monotonic clock."""
    ends_with: tuple[int, bool] = (0, False)
    """Exit code, and whether it was an OOM kill."""


@dataclass(eq=False)
class Listener:
    events: deque[RuntimeEvent] = field(default_factory=deque)


class FakeStream:
    """Output prepared by the script, then the end; what is written is kept in `received`."""

    def __init__(self, output: list[tuple[Channel, bytes]], exit_code: int | None) -> None:
        self.received = b""
        self.stdin_closed = False
        self.size: tuple[int, int] | None = None
        self._output = deque(output)
        self._exit_code = exit_code

    async def read(self) -> tuple[Channel, bytes] | None:
        return self._output.popleft() if self._output else None

    async def write(self, data: bytes) -> None:
        self.received += data

    async def close_stdin(self) -> None:
        self.stdin_closed = True

    async def resize(self, *, width: int, height: int) -> None:
        self.size = (width, height)

    async def exit_code(self) -> int | None:
        return self._exit_code

    async def close(self) -> None:
        self._output.clear()


FAKE_ENGINE = EngineInfo(
    version="20.10.24",
    api_version="1.41",
    os_type="linux",
    architecture="x86_64",
    operating_system="Fake Linux",
    kernel_version="6.1.0",
    cgroup_version=2,
    cgroup_driver="cgroupfs",
    storage_driver="overlay2",
    root_dir="/var/lib/docker",
    security_options=("name=seccomp,profile=default",),
    cpus=2,
    memory=4 * 1024**3,
)
"""What a FakeRuntime says of itself unless told otherwise."""


def short_name(name: str) -> str:
    """`web` of `k8s_web_pod_namespace_uid_0`; other names as they are."""
    return name.split("_")[1] if name.startswith("k8s_") and name.count("_") >= 2 else name


def tagged(reference: str) -> str:
    last = reference.rsplit("/", 1)[-1]
    return reference if ":" in last or "@" in reference else f"{reference}:latest"


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


def user_asked(spec: ContainerCreate) -> ProcessUser:
    """Without an image to look names up in, whoever has one is root."""
    user, _, group = (spec.user or "").partition(":")
    uid, gid = (int(word) if word.isdigit() else 0 for word in (user, group))
    return ProcessUser(uid=uid, gid=gid, groups=(gid, *map(int, spec.group_add)))
