"""What pods use, read from their cgroups, and `/stats/summary` made of it.

Reading is one small file per number; rendering is pure. The rate of CPU use needs two readings:
`Rates` keeps the last one per pod.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from agent.server.interface import PodUsage, Usage
from api import timestamps

NANO = 10**9
SHORTEST_RATE = 1.0
"""Seconds between two readings from which a rate may be computed; a shorter span says too little."""


def read_unified(folder: Path) -> Usage:
    """From a cgroup of version 2. Zeros when it is gone."""
    memory = _number(folder / "memory.current")
    inactive = _fields(folder / "memory.stat").get("inactive_file", 0)
    return Usage(
        cpu_nanoseconds=_fields(folder / "cpu.stat").get("usage_usec", 0) * 1000,
        memory=memory,
        working_set=max(0, memory - inactive),
    )


def read_legacy(cpuacct: Path, memory: Path) -> Usage:
    """From the cgroups of version 1, one per controller. Zeros when they are gone."""
    charged = _number(memory / "memory.usage_in_bytes")
    inactive = _fields(memory / "memory.stat").get("total_inactive_file", 0)
    return Usage(
        cpu_nanoseconds=_number(cpuacct / "cpuacct.usage"),
        memory=charged,
        working_set=max(0, charged - inactive),
    )


@dataclass
class Rates:
    """CPU use per second, from the difference to an earlier reading of the same thing."""

    _last: dict[str, tuple[float, int, int]] = field(default_factory=dict)

    def update(self, key: str, nanoseconds: int, now: float) -> int:
        """Nanoseconds of CPU per second; 0 until there are two readings."""
        at, before, rate = self._last.get(key, (now, nanoseconds, 0))
        if nanoseconds < before:
            at, before, rate = now, nanoseconds, 0
        if now - at >= SHORTEST_RATE:
            rate = int((nanoseconds - before) / (now - at))
            at, before = now, nanoseconds
        self._last[key] = (at, before, rate)
        return rate

    def keep(self, keys: set[str]) -> None:
        """Forget all others."""
        self._last = {key: value for key, value in self._last.items() if key in keys}


def summary(
    node_name: str, node: Usage, pods: Sequence[PodUsage], *, rates: Rates, now: datetime, at: float
) -> dict[str, Any]:
    """The body of `/stats/summary`: its CPU and memory parts."""
    stamp = timestamps.format(now)

    def usage(key: str, used: Usage) -> dict[str, Any]:
        rate = rates.update(key, used.cpu_nanoseconds, at)
        return {
            "cpu": {
                "time": stamp,
                "usageNanoCores": rate,
                "usageCoreNanoSeconds": used.cpu_nanoseconds,
            },
            "memory": {
                "time": stamp,
                "usageBytes": used.memory,
                "workingSetBytes": used.working_set,
            },
        }

    def pod(each: PodUsage) -> dict[str, Any]:
        return {
            "podRef": {"name": each.name, "namespace": each.namespace, "uid": each.uid},
            "startTime": timestamps.format(each.started),
            "containers": [
                {"name": name, **usage(f"{each.uid}/{name}", used)}
                for name, used in each.containers.items()
            ],
            **usage(each.uid, each.usage),
        }

    keys = {f"{each.uid}/{name}" for each in pods for name in each.containers}
    rates.keep({"", *keys, *(each.uid for each in pods)})
    return {"node": {"nodeName": node_name, **usage("", node)}, "pods": [pod(p) for p in pods]}


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def _fields(path: Path) -> Mapping[str, int]:
    """A file of `name number` lines."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split() for line in lines)
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}
