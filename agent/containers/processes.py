"""As whom a container's first process was started (step 5 of the pod's walk).

A container may name its user, or leave it to the image, and the image's files say which groups that is.
The engine looks this up when it starts the container, and tells nobody. What it found stands in the
configuration that it hands to the OCI runtime: `config.json` of the container's bundle ("Filesystem
Bundle" in the OCI runtime specification). containerd's shim, the parent of the container's first process,
works in that directory or in one beside it, wherever the engine keeps them.

Where there is no such shim the kernel is asked as whom the process runs now (proc_pid_status(5)). That is
second best: many a program starts as root to become somebody else within its first milliseconds.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from agent.containers.records import ContainerId, ProcessUser

PROC = Path("/proc")


class _User(msgspec.Struct):
    uid: int
    gid: int
    additional_gids: list[int] = msgspec.field(default_factory=list, name="additionalGids")


class _Process(msgspec.Struct):
    user: _User


class _Bundle(msgspec.Struct):
    process: _Process


_decoder = msgspec.json.Decoder(_Bundle)


def user_of(id: ContainerId, pid: int, proc: Path = PROC) -> ProcessUser | None:
    """`pid`: the container's first process. None where it cannot be seen."""
    return started_as(id, pid, proc) or runs_as(pid, proc)


def started_as(id: ContainerId, pid: int, proc: Path = PROC) -> ProcessUser | None:
    """What the engine told its OCI runtime; None where it keeps its bundles otherwise."""
    try:
        # After the name, which may hold anything, also a closing bracket (proc_pid_stat(5)).
        parent = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()[1]
        # By the container's id: whose number that is by now does not matter.
        bundle = proc / parent / "cwd" / ".." / id
        user = _decoder.decode((bundle / "config.json").read_bytes()).process.user
    except (OSError, ValueError, IndexError):
        return None
    return ProcessUser(uid=user.uid, gid=user.gid, groups=tuple(user.additional_gids))


def runs_as(pid: int, proc: Path = PROC) -> ProcessUser | None:
    """User and groups that count for what the process may do; None where that cannot be seen."""
    try:
        lines = (proc / str(pid) / "status").read_text().splitlines()
    except OSError:
        return None
    found = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    try:
        # Real, effective, saved, and that for the file system.
        uid, gid = (int(found[name].split()[1]) for name in ("Uid", "Gid"))
        groups = tuple(int(group) for group in found["Groups"].split())
    except (KeyError, IndexError, ValueError):
        return None
    return ProcessUser(uid=uid, gid=gid, groups=groups)
