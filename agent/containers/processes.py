"""As whom a process of the node runs (step 5 of the pod's walk): proc_pid_status(5)."""

from __future__ import annotations

from pathlib import Path

from agent.containers.records import ProcessUser

PROC = Path("/proc")


def user_of(pid: int, proc: Path = PROC) -> ProcessUser | None:
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
