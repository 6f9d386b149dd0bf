"""What cgroups have counted, read from their files when asked: one small file per few numbers.

What is not there (an older kernel, a cgroup that is gone) is zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from agent.server.interface import Counters, Interface, Usage

Directory = Callable[[str], Path]
"""Where a controller keeps the files of the cgroup in question."""

BLOCK = Path("/sys/dev/block")
_MICRO = 1000
_TICK = 10**9 // 100
"""Nanoseconds of a clock tick, in which version 1 counts user and system time (USER_HZ)."""
VIRTUAL = ("lo", "veth", "docker", "nerdctl", "pw")
"""Beginnings of the names of links that are not the machine's own, as cAdvisor has it; the last are ours."""
UNLIMITED = 1 << 60
"""From here on a limit is none: version 1 writes the largest number of pages."""


def usage(version: int, directory: Directory) -> Usage:
    """What everybody asks for: CPU and memory."""
    if version == 2:
        folder = directory("memory")
        stat = fields(folder / "memory.stat")
        # The root has no file of its own for it.
        memory = number(folder / "memory.current") or stat.get("anon", 0) + stat.get("file", 0)
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


def interfaces(pid: int, *, without: tuple[str, ...] = ("lo",)) -> list[Interface]:
    """What went over the links of the network namespace that a process is in, but for those whose names
    begin so."""
    try:
        lines = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
    except OSError:
        return []
    found = []
    for line in lines:
        name, _, rest = line.partition(":")
        counts = [int(word) for word in rest.split()]
        if not name.strip().startswith(without) and len(counts) >= 12:
            received, sent = counts[0:4], counts[8:12]
            found.append(Interface(name=name.strip(), received=received, sent=sent))
    return found


def has_own_network() -> bool:
    """Whether this process is not in the machine's network namespace: then nobody else counts there."""
    try:
        return Path("/proc/self/ns/net").readlink() != Path("/proc/1/ns/net").readlink()
    except OSError:
        return False


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
        processes=_processes(folder),
        threads=number(folder / "pids.current"),
        most_threads=number(folder / "pids.max"),
        kernel=stat.get("kernel", 0),
        active_file=stat.get("active_file", 0),
        inactive_file=stat.get("inactive_file", 0),
        disks=_io_stat(folder / "io.stat"),
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
        processes=_processes(directory("pids")),
        threads=number(directory("pids") / "pids.current"),
        most_threads=number(directory("pids") / "pids.max"),
        kernel=number(memory / "memory.kmem.usage_in_bytes"),
        active_file=stat.get("total_active_file", 0),
        inactive_file=stat.get("total_inactive_file", 0),
        disks=_throttled(directory("blkio")),
    )


def _processes(folder: Path) -> int:
    """How many processes are in a cgroup and right below it: a pod's are in those of its containers."""
    found = 0
    for path in (folder, *_below(folder)):
        with suppress(OSError):
            found += len((path / "cgroup.procs").read_text().splitlines())
    return found


def _below(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir()]
    except OSError:
        return []


def _io_stat(path: Path) -> dict[str, tuple[int, ...]]:
    """Lines like `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0`."""
    found = {}
    for line in _lines(path):
        device, *words = line.split()
        counts = dict(word.split("=", 1) for word in words if "=" in word)
        if counts:
            names = ("rbytes", "wbytes", "rios", "wios")
            found[_device(device)] = tuple(int(counts.get(name, "0")) for name in names)
    return found


def _throttled(folder: Path) -> dict[str, tuple[int, ...]]:
    """Lines like `8:0 Read 4096` in a file for bytes and one for operations."""
    counts: dict[str, list[int]] = {}
    names = ("blkio.throttle.io_service_bytes", "blkio.throttle.io_serviced")
    for place, name in enumerate(names):
        for line in _lines(folder / f"{name}_recursive") or _lines(folder / name):
            words = line.split()
            if len(words) == 3 and words[1] in ("Read", "Write") and words[2].isdecimal():
                at = 2 * place + (words[1] == "Write")
                counts.setdefault(_device(words[0]), [0, 0, 0, 0])[at] += int(words[2])
    return {device: tuple(found) for device, found in counts.items()}


@lru_cache(maxsize=256)
def _device(numbers: str) -> str:
    """`8:0` as `/dev/sda`; empty when the kernel does not say."""
    try:
        return f"/dev/{(BLOCK / numbers).resolve(strict=True).name}"
    except OSError:
        return ""


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def number(path: Path) -> int:
    """A file of one number; 0 for `max` and for what is not there."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def fields(path: Path) -> Mapping[str, int]:
    """A file of `name number` lines."""
    pairs = (line.split() for line in _lines(path))
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}
