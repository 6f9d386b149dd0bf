"""What cgroups have counted, read from their files when asked: one small file per few numbers.

What is not there (an older kernel, a cgroup that is gone) is zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from agent.server.interface import Counters, Interface, Usage

Directory = Callable[[str], Path]
"""Where a controller keeps the files of the cgroup in question."""

_MICRO = 1000
_TICK = 10**9 // 100
"""Nanoseconds of a clock tick, in which version 1 counts user and system time (USER_HZ)."""
UNLIMITED = 1 << 60
"""From here on a limit is none: version 1 writes the largest number of pages."""


def usage(version: int, directory: Directory) -> Usage:
    """What everybody asks for: CPU and memory."""
    if version == 2:
        folder = directory("memory")
        memory, stat = number(folder / "memory.current"), fields(folder / "memory.stat")
        cpu = fields(folder / "cpu.stat").get("usage_usec", 0) * _MICRO
        inactive, rss = stat.get("inactive_file", 0), stat.get("anon", 0)
        limit = number(folder / "memory.max")
    else:
        folder = directory("memory")
        memory, stat = number(folder / "memory.usage_in_bytes"), fields(folder / "memory.stat")
        cpu = number(directory("cpuacct") / "cpuacct.usage")
        inactive, rss = stat.get("total_inactive_file", 0), stat.get("total_rss", 0)
        limit = number(folder / "memory.limit_in_bytes")
    prefix = "" if version == 2 else "total_"
    return Usage(
        cpu_nanoseconds=cpu,
        memory=memory,
        working_set=max(0, memory - inactive),
        rss=rss,
        page_faults=stat.get(f"{prefix}pgfault", 0),
        major_page_faults=stat.get(f"{prefix}pgmajfault", 0),
        limit=limit if limit < UNLIMITED else 0,
    )


def counters(version: int, directory: Directory) -> Counters:
    """The rest of what cAdvisor tells."""
    return _unified(directory("memory")) if version == 2 else _legacy(directory)


def peak(version: int, directory: Directory) -> int:
    """The most memory that was ever charged, in bytes."""
    folder = directory("memory")
    return number(folder / ("memory.peak" if version == 2 else "memory.max_usage_in_bytes"))


def interfaces(pid: int) -> list[Interface]:
    """What went over the links of the network namespace that a process is in, loopback left out."""
    try:
        lines = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
    except OSError:
        return []
    found = []
    for line in lines:
        name, _, rest = line.partition(":")
        counts = [int(word) for word in rest.split()]
        if name.strip() != "lo" and len(counts) >= 12:
            received, sent = counts[0:4], counts[8:12]
            found.append(Interface(name=name.strip(), received=received, sent=sent))
    return found


def _unified(folder: Path) -> Counters:
    cpu, stat = fields(folder / "cpu.stat"), fields(folder / "memory.stat")
    events = fields(folder / "memory.events")
    return Counters(
        user=cpu.get("user_usec", 0) * _MICRO,
        system=cpu.get("system_usec", 0) * _MICRO,
        periods=cpu.get("nr_periods", 0),
        throttled_periods=cpu.get("nr_throttled", 0),
        throttled=cpu.get("throttled_usec", 0) * _MICRO,
        cache=stat.get("file", 0),
        mapped=stat.get("file_mapped", 0),
        swap=number(folder / "memory.swap.current"),
        peak=number(folder / "memory.peak"),
        failures=events.get("max", 0),
        oom_kills=events.get("oom_kill", 0),
        processes=number(folder / "pids.current"),
    )


def _legacy(directory: Directory) -> Counters:
    cpu, memory = directory("cpu"), directory("memory")
    throttling, stat = fields(cpu / "cpu.stat"), fields(memory / "memory.stat")
    times = fields(directory("cpuacct") / "cpuacct.stat")
    return Counters(
        user=times.get("user", 0) * _TICK,
        system=times.get("system", 0) * _TICK,
        periods=throttling.get("nr_periods", 0),
        throttled_periods=throttling.get("nr_throttled", 0),
        throttled=throttling.get("throttled_time", 0),
        cache=stat.get("total_cache", 0),
        mapped=stat.get("total_mapped_file", 0),
        swap=stat.get("total_swap", 0),
        peak=number(memory / "memory.max_usage_in_bytes"),
        failures=number(memory / "memory.failcnt"),
        oom_kills=fields(memory / "memory.oom_control").get("oom_kill", 0),
        processes=number(directory("pids") / "pids.current"),
    )


def number(path: Path) -> int:
    """A file of one number; 0 for `max` and for what is not there."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def fields(path: Path) -> Mapping[str, int]:
    """A file of `name number` lines."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split() for line in lines)
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}
