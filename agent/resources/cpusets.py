"""Sets of CPUs, how they belong together, and which ones to choose (step 4 of the pod's walk). Pure, but for
the reading of the topology.

Chosen are first whole sockets, then whole cores, then single threads, each time where most is taken already:
what is left stays as large and as connected as it can ("Static policy" of "Control CPU Management Policies
on the Node").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

CpuSet = frozenset[int]
NONE: CpuSet = frozenset()
SYSTEM = Path("/sys/devices/system/cpu")


@dataclass(frozen=True, kw_only=True)
class Cpu:
    """A hardware thread."""

    id: int
    core: int
    socket: int


Topology = tuple[Cpu, ...]


def parse(text: str) -> CpuSet:
    """`0-2,7` → {0, 1, 2, 7} (cpuset(7), "List format"). Raises ValueError."""
    found: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, dash, last = part.partition("-")
        begin, end = int(first), int(last if dash else first)
        if begin < 0 or end < begin:
            raise ValueError(text)
        found.update(range(begin, end + 1))
    return frozenset(found)


def written(cpus: Iterable[int]) -> str:
    """{0, 1, 2, 7} → `0-2,7`."""
    runs: list[list[int]] = []
    for cpu in sorted(cpus):
        if runs and cpu == runs[-1][-1] + 1:
            runs[-1].append(cpu)
        else:
            runs.append([cpu])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def read(root: Path = SYSTEM) -> Topology:
    """The CPUs that are online. Where the kernel says no more each is a core of one socket."""
    made = []
    for id in sorted(parse((root / "online").read_text())):
        topology = root / f"cpu{id}" / "topology"
        socket = _number(topology / "physical_package_id", 0)
        # Core numbers repeat on every socket.
        core = _number(topology / "core_id", id) + (max(socket, 0) << 16)
        made.append(Cpu(id=id, core=core, socket=socket))
    return tuple(made)


def take(topology: Topology, free: Collection[int], count: int) -> CpuSet:
    """`count` of the free CPUs. Raises ValueError when there are not so many."""
    if count > len(free):
        raise ValueError(f"{count} of {len(free)}")
    taken: set[int] = set()
    for group_of in (lambda cpu: cpu.socket, lambda cpu: cpu.core):
        taken |= _whole(topology, free, count, taken, group_of)
    left = [cpu for cpu in topology if cpu.id in free and cpu.id not in taken]
    cores = Counter(cpu.core for cpu in left)
    sockets = Counter(cpu.socket for cpu in left)
    left.sort(key=lambda cpu: (sockets[cpu.socket], cores[cpu.core], cpu.id))
    return frozenset(taken | {cpu.id for cpu in left[: count - len(taken)]})


def _whole(
    topology: Topology,
    free: Collection[int],
    count: int,
    taken: Collection[int],
    group_of: Callable[[Cpu], int],
) -> set[int]:
    """Groups of which everything is free, as far as they are wanted in full."""
    found: set[int] = set()
    groups: dict[int, list[Cpu]] = {}
    for cpu in topology:
        groups.setdefault(group_of(cpu), []).append(cpu)
    usable = [
        group
        for group in groups.values()
        if all(cpu.id in free and cpu.id not in taken for cpu in group)
    ]
    sockets = Counter(cpu.socket for cpu in topology if cpu.id in free)
    for group in sorted(usable, key=lambda group: (sockets[group[0].socket], group[0].id)):
        if len(taken) + len(found) + len(group) <= count:
            found |= {cpu.id for cpu in group}
    return found


def _number(path: Path, otherwise: int) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return otherwise
