"""What this agent and the container engine cost the node: `systemContainers` of its summary.

The engine is found by who listens on its socket; where systemd made that socket, by its name. Its
containerd is a child of it, or stands beside it. Read from /proc when asked; which process is the engine
is remembered as long as it lives.
"""

from __future__ import annotations

import os
import socket
import struct
from datetime import datetime, timedelta
from pathlib import Path

from agent.node.machine import booted
from agent.server.interface import Usage

PROC = Path("/proc")
ENGINE, BESIDE = "dockerd", "containerd"
_TICK = 10**9 // os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Daemons:
    """The agent's process and the engine's."""

    def __init__(self, docker_host: str, *, proc: Path = PROC) -> None:
        self._socket = docker_host.removeprefix("unix://")
        self._proc = proc
        self._engine: list[int] = []

    def usage(self) -> dict[str, Usage]:
        """By the names that Kubernetes gives them; without `runtime` when no engine is found."""
        found = {"kubelet": self._used([os.getpid()])}
        if not self._engine or any(self._name(pid) not in (ENGINE, BESIDE) for pid in self._engine):
            self._engine = self._find()
        if self._engine:
            found["runtime"] = self._used(self._engine)
        return found

    def _find(self) -> list[int]:
        named = {
            int(path.name): name
            for path in self._proc.iterdir()
            if path.name.isdecimal() and (name := self._name(int(path.name))) in (ENGINE, BESIDE)
        }
        engines = [pid for pid, name in named.items() if name == ENGINE]
        listener = listening(self._socket)
        if listener in engines:
            engines = [listener]
        if len(engines) != 1:
            return []
        beside = [pid for pid, name in named.items() if name == BESIDE]
        own = [pid for pid in beside if self._parent(pid) == engines[0]]
        return engines + (own or beside[:1])

    def _used(self, pids: list[int]) -> Usage:
        cpu = memory = faults = major = 0
        began = []
        for pid in pids:
            words = self._stat(pid)
            if len(words) > 21:
                faults, major = faults + int(words[7]), major + int(words[9])
                cpu += (int(words[11]) + int(words[12])) * _TICK
                memory += int(words[21]) * _PAGE
                began.append(int(words[19]))
        return Usage(
            cpu_nanoseconds=cpu,
            memory=memory,
            working_set=memory,
            rss=memory,
            page_faults=faults,
            major_page_faults=major,
            since=self._at(min(began)) if began else None,
        )

    def _at(self, ticks: int) -> datetime | None:
        """Processes tell in ticks since the boot when they began."""
        boot = booted(self._proc)
        return None if boot is None else boot + timedelta(seconds=ticks * _TICK / 10**9)

    def _stat(self, pid: int) -> list[str]:
        """The fields of /proc/PID/stat after the name, which may contain anything."""
        try:
            return (self._proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            return []

    def _name(self, pid: int) -> str:
        try:
            return (self._proc / str(pid) / "comm").read_text().strip()
        except OSError:
            return ""

    def _parent(self, pid: int) -> int:
        words = self._stat(pid)
        return int(words[1]) if len(words) > 1 else 0


def listening(path: str) -> int:
    """The process that listens on a UNIX socket; 0 when nobody can be asked."""
    with socket.socket(socket.AF_UNIX) as asked:
        try:
            asked.settimeout(1.0)
            asked.connect(path)
            credentials = asked.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        except OSError:
            return 0
    pid: int = struct.unpack("iII", credentials)[0]
    return pid
