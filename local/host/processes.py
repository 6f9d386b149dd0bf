"""Daemons of a local cluster: started detached, found again, signalled without ever hitting a stranger.

A process file is written after the process exists, so a command killed in between would lose a
daemon; and after a reboot its number may belong to somebody else. So there are no process files.
Every daemon is started with a marker in its environment, `PODWRIGHT_LOCAL=<cluster>/<member>/<role>`,
which its children inherit and the kernel shows in /proc; looking there finds everything a cluster
runs, and nothing else. What a daemon runs in sessions of their own (`base.process`) is marked below it.

Invariants:
- A signal is sent through a pidfd whose process was checked to be the one that was found (same start
  time), so a recycled number is never signalled.
- A zombie counts as gone, and is reaped when it is our own child.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from base.errors import PermanentError
from base.process import MARKER
from local.host.waiting import wait_for

LOG_LIMIT = 32 * 2**20
"""Bytes after which a daemon's log is set aside when the daemon is next started."""

_PROC = Path("/proc")
_FREEZER = Path("/sys/fs/cgroup/freezer")


@dataclass(frozen=True, slots=True)
class Process:
    pid: int
    started: int
    """Clock ticks since boot; with the number it names one process for as long as the machine is up."""

    def alive(self) -> bool:
        stat = _read_stat(self.pid)
        if stat is None or stat.started != self.started:
            return False
        if stat.state in "ZX":
            _reap(self.pid)
            return False
        return True

    def signal(self, number: int) -> bool:
        """Whether the process was there to be signalled."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            if not self.alive():
                return False
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)
        return True


@dataclass(frozen=True, slots=True)
class Marked:
    """A process that carries a marker. The leader is the daemon itself, the others are its children."""

    process: Process
    marker: str
    leader: bool


def process(pid: int) -> Process | None:
    stat = _read_stat(pid)
    return Process(pid, stat.started) if stat is not None else None


def spawn(
    argv: Sequence[str],
    *,
    marker: str,
    log: Path,
    namespace: Path | None = None,
    environment: Mapping[str, str] | None = None,
    descriptors: Mapping[int, int] | None = None,
) -> Process:
    """Start a daemon: a session of its own, output appended to `log`, in the network namespace given.
    `descriptors` maps our open files to the numbers the daemon finds them under.

    `nsenter` instead of `ip netns exec`, which would hide the cgroup mounts."""
    program = shutil.which(argv[0])
    if program is None:
        raise PermanentError(
            f"the program {argv[0]!r} is not installed",
            hint="`./podwright` installs what is missing on Debian; elsewhere install it yourself.",
        )
    command = ["env", "--chdir=/", program, *argv[1:]]
    if namespace is not None:
        command = ["nsenter", f"--net={namespace}", *command]
    log.parent.mkdir(parents=True, exist_ok=True)
    _set_aside(log)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        pid = os.posix_spawnp(
            command[0],
            command,
            {**os.environ, **(environment or {}), MARKER: marker},
            file_actions=_files(output, descriptors or {}),
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGPIPE, signal.SIGINT, signal.SIGTERM],
        )
    finally:
        os.close(output)
    started = process(pid)
    if started is None:
        raise PermanentError(f"{argv[0]} was gone at once", hint=f"See {log}.")
    # While a program replaces another, the kernel shows neither's environment: until the chain of
    # them is through, the daemon could not be found.
    wait_for(lambda: _settled(pid) or not started.alive(), timeout=10, interval=0.002)
    return started


def _files(output: int, descriptors: Mapping[int, int]) -> list[tuple[object, ...]]:
    """What the daemon finds open: nothing, its log, and what it is given. Not the rest of what we
    inherited ourselves, such as a lock of whoever called us, which it would hold for ever."""
    kept = {0, 1, 2, *descriptors.values()}
    names = os.listdir(_PROC / "self/fd")  # noqa: PTH208
    inherited = [int(name) for name in names if int(name) not in kept and _inheritable(int(name))]
    return [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, output, 1),
        (os.POSIX_SPAWN_DUP2, output, 2),
        *((os.POSIX_SPAWN_DUP2, ours, theirs) for ours, theirs in descriptors.items()),
        *((os.POSIX_SPAWN_CLOSE, descriptor) for descriptor in inherited),
    ]


def _inheritable(descriptor: int) -> bool:
    try:
        return os.get_inheritable(descriptor)
    except OSError:  # the listing's own
        return False


def marked(prefix: str) -> list[Marked]:
    """Every living process whose marker is `prefix` or lies below it."""
    wanted = f"{MARKER}={prefix}".encode()
    found: list[Marked] = []
    for pid in _pids():
        marker = _marker(pid, wanted)
        stat = _read_stat(pid) if marker is not None else None
        if marker is None or stat is None or stat.state in "ZX":
            continue
        found.append(Marked(Process(pid, stat.started), marker, leader=stat.session == pid))
    return found


def daemon(marker: str) -> Process | None:
    """The daemon with exactly this marker, if it runs."""
    for each in marked(marker):
        if each.leader and each.marker == marker:
            return each.process
    return None


def descendants(roots: Iterable[Process]) -> list[Process]:
    """The processes and everything they started that has not been handed over to init."""
    children: dict[int, list[int]] = {}
    for pid in _pids():
        stat = _read_stat(pid)
        if stat is not None:
            children.setdefault(stat.parent, []).append(pid)
    found: dict[int, Process] = {}
    waiting = [root.pid for root in roots if root.alive()]
    while waiting:
        pid = waiting.pop()
        each = process(pid)
        if each is not None and pid not in found:
            found[pid] = each
            waiting.extend(children.get(pid, ()))
    return list(found.values())


def in_network_namespace(path: Path) -> list[Process]:
    """Every process whose network namespace is the one mounted at `path`."""
    try:
        wanted = path.stat()
    except FileNotFoundError:
        return []
    found = []
    for pid in _pids():
        try:
            actual = (_PROC / str(pid) / "ns/net").stat()
        except OSError:
            continue
        if (actual.st_dev, actual.st_ino) == (wanted.st_dev, wanted.st_ino):
            each = process(pid)
            if each is not None:
                found.append(each)
    return [each for each in found if each.alive()]


def signal_all(processes: Iterable[Process], number: int) -> None:
    for each in processes:
        each.signal(number)


def gone(processes: Sequence[Process], *, timeout: float) -> bool:
    """Wait until none of them lives; whether that came true in time."""
    return (
        wait_for(lambda: not any(each.alive() for each in processes), timeout=timeout) is not None
    )


def stop(each: Process, *, grace: float) -> None:
    """Ask with TERM, insist with KILL."""
    each.signal(signal.SIGTERM)
    if not gone([each], timeout=grace):
        each.signal(signal.SIGKILL)
        gone([each], timeout=10)


def annihilate(find: Callable[[], list[Process]], *, of: str) -> None:
    """End everything `find` finds, as a loss of power does: all are frozen before the first dies, so
    that nobody restarts, reports or mourns anybody; again until nothing is found."""
    while victims := find():
        signal_all(victims, signal.SIGSTOP)
        signal_all(victims, signal.SIGKILL)
        for each in victims:
            _thaw(each.pid)
        if not gone(victims, timeout=20):
            left = ", ".join(str(each.pid) for each in victims if each.alive())
            raise PermanentError(
                f"processes of {of} survive SIGKILL: {left}",
                hint=f"They are stuck in the kernel; see `ps -o pid,stat,wchan,cmd -p {left}`.",
            )


def _thaw(pid: int) -> None:
    """Let the process of a paused container die: in a frozen cgroup of version 1 not even SIGKILL does
    anything (the kernel's cgroup-v1/freezer-subsystem)."""
    with suppress(OSError):
        for line in (_PROC / str(pid) / "cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "freezer":
                (_FREEZER / path.lstrip("/") / "freezer.state").write_text("THAWED")


def last_lines(log: Path, count: int = 15) -> str:
    """The end of a log, to be shown in an error."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 64 * 1024))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return "(it wrote no log)"
    return "\n".join(lines[-count:]) or "(its log is empty)"


@dataclass(frozen=True, slots=True)
class _Stat:
    state: str
    parent: int
    session: int
    started: int


def _read_stat(pid: int) -> _Stat | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    return parse_stat(text)


def parse_stat(text: str) -> _Stat:
    """Fields 3, 4, 6 and 22 of proc_pid_stat(5). The name before them may hold anything, brackets
    and newlines included, so the fields are counted from its last bracket."""
    fields = text.rpartition(")")[2].split()
    return _Stat(fields[0], int(fields[1]), int(fields[3]), int(fields[19]))


def _settled(pid: int) -> bool:
    try:
        program = (_PROC / str(pid) / "cmdline").read_bytes().partition(b"\0")[0]
    except OSError:
        return False
    return program not in (b"", b"nsenter", b"env")


def _marker(pid: int, wanted: bytes) -> str | None:
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return None
    if wanted not in environment:
        return None
    for variable in environment.split(b"\0"):
        if variable == wanted or variable.startswith(wanted + b"/"):
            return variable.partition(b"=")[2].decode(errors="replace")
    return None


def _pids() -> list[int]:
    return [int(name) for name in os.listdir(_PROC) if name.isdigit()]  # noqa: PTH208


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _set_aside(log: Path) -> None:
    with suppress(FileNotFoundError):
        if log.stat().st_size > LOG_LIMIT:
            log.replace(log.with_name(log.name + ".1"))
