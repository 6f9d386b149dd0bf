"""`/stats/summary` of what pods use (`cgroupfiles.py` reads it).

Rendering is pure. The rate of CPU use needs two readings: `Rates` keeps the last one per pod.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agent.server.interface import DiskUse, Interface, Machine, PodUsage, Usage, Volume
from api import timestamps

NANO = 10**9
SHORTEST_RATE = 1.0
"""Seconds between two readings from which a rate may be computed; a shorter span says too little."""


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

    def keep(self, keys: set[str], *, or_beginning: str) -> None:
        """Forget all others."""
        self._last = {
            key: value
            for key, value in self._last.items()
            if key in keys or key.startswith(or_beginning)
        }


def summary(
    node_name: str,
    node: Usage,
    pods: Sequence[PodUsage],
    *,
    rates: Rates,
    now: datetime,
    at: float,
    machine: Machine | None = None,
    disks: Mapping[str, DiskUse] | None = None,
) -> dict[str, Any]:
    """The body of `/stats/summary` (Kubernetes' stats/v1alpha1 Summary)."""
    stamp = timestamps.format(now)

    def usage(key: str, used: Usage) -> dict[str, Any]:
        rate = rates.update(key, used.cpu_nanoseconds, at)
        memory: dict[str, Any] = {
            "time": stamp,
            "usageBytes": used.memory,
            "workingSetBytes": used.working_set,
            "rssBytes": used.rss,
            "pageFaults": used.page_faults,
            "majorPageFaults": used.major_page_faults,
        }
        if used.limit:
            memory["availableBytes"] = max(0, used.limit - used.working_set)
        return {
            "cpu": {
                "time": stamp,
                "usageNanoCores": rate,
                "usageCoreNanoSeconds": used.cpu_nanoseconds,
            },
            "memory": memory,
        }

    def container(pod: PodUsage, name: str, used: Usage) -> dict[str, Any]:
        made: dict[str, Any] = {"name": name, **usage(f"{pod.uid}/{name}", used)}
        if (facts := pod.facts.get(name)) is not None:
            if facts.started is not None:
                made["startTime"] = timestamps.format(facts.started)
            made["swap"] = _swap(stamp, facts.counters.swap)
            made["logs"] = {"time": stamp, "usedBytes": facts.log_bytes}
        if (disk := (disks or {}).get(pod.uid)) is not None and machine is not None:
            made["rootfs"] = _share(stamp, machine.image_disk, disk.layers.get(name, 0))
            made["logs"] = _share(stamp, machine.disk, disk.logs.get(name, 0))
        return made

    def pod(each: PodUsage) -> dict[str, Any]:
        made = {
            "podRef": {"name": each.name, "namespace": each.namespace, "uid": each.uid},
            "startTime": timestamps.format(each.started),
            "containers": [container(each, name, used) for name, used in each.containers.items()],
            **usage(each.uid, each.usage),
        }
        if each.interfaces:
            made["network"] = _network(stamp, each.interfaces)
        if each.facts:
            made["process_stats"] = {"process_count": each.counters.processes}
            made["swap"] = _swap(stamp, each.counters.swap)
        if (disk := (disks or {}).get(each.uid)) is not None and machine is not None:
            made["volume"] = list(_volumes(stamp, each.namespace, disk, machine))
            made["ephemeral-storage"] = _share(stamp, machine.disk, disk.total, disk.inodes)
        return made

    keys = {f"{each.uid}/{name}" for each in pods for name in each.containers}
    daemons = {f"daemon/{name}": one for name, one in (machine.daemons if machine else {}).items()}
    rates.keep({"", *keys, *daemons, *(each.uid for each in pods)}, or_beginning="daemon/")
    told: dict[str, Any] = {"nodeName": node_name, **usage("", node)}
    if machine is not None:
        told |= _machine(stamp, machine)
        told["memory"]["availableBytes"] = machine.available_memory
        told["systemContainers"] = [
            *(
                _whole(key.partition("/")[2], one.since, usage(key, one))
                for key, one in daemons.items()
            ),
            _whole("pods", machine.pods_since, {key: told[key] for key in ("cpu", "memory")}),
        ]
    return {"node": told, "pods": [pod(p) for p in pods]}


def _whole(name: str, since: datetime | None, used: dict[str, Any]) -> dict[str, Any]:
    began = {} if since is None else {"startTime": timestamps.format(since)}
    return {"name": name, **began, **used}


def _machine(stamp: str, machine: Machine) -> dict[str, Any]:
    made: dict[str, Any] = {
        "rlimit": {
            "time": stamp,
            "maxpid": machine.most_processes,
            "curproc": machine.processes,
        }
    }
    if machine.started is not None:
        made["startTime"] = timestamps.format(machine.started)
    if machine.disk is not None:
        made["fs"] = _volume(stamp, machine.disk)
    if machine.image_disk is not None:
        # The engine keeps containers' layers beside its images.
        both = _volume(stamp, machine.image_disk)
        made["runtime"] = {"imageFs": both, "containerFs": both}
    made["swap"] = _swap(stamp, machine.swap - machine.swap_free, machine.swap_free)
    if machine.interfaces:
        made["network"] = _network(stamp, machine.interfaces)
    return made


def _swap(stamp: str, used: int, available: int = 0) -> dict[str, Any]:
    return {"time": stamp, "swapAvailableBytes": available, "swapUsageBytes": used}


def _volume(stamp: str, volume: Volume) -> dict[str, Any]:
    return {
        "time": stamp,
        "availableBytes": volume.available,
        "capacityBytes": volume.capacity,
        "usedBytes": volume.capacity - volume.available,
        "inodesFree": volume.inodes_free,
        "inodes": volume.inodes,
        "inodesUsed": volume.inodes - volume.inodes_free,
    }


def _volumes(
    stamp: str, namespace: str, disk: DiskUse, machine: Machine
) -> Iterator[dict[str, Any]]:
    figures = {name: _share(stamp, machine.disk, *used) for name, used in disk.folders.items()}
    figures |= {name: _volume(stamp, own) for name, own in disk.mounted.items()}
    for name, shown in sorted(figures.items()):
        made = {"name": name, **shown}
        if claim := disk.claims.get(name):
            made["pvcRef"] = {"name": claim, "namespace": namespace}
        yield made


def _share(stamp: str, disk: Volume | None, used: int, inodes: int | None = None) -> dict[str, Any]:
    """A part of a file system, with what is free for all of them."""
    made: dict[str, Any] = {"time": stamp} if disk is None else _volume(stamp, disk)
    made.pop("inodesUsed", None)
    made["usedBytes"] = used
    return made if inodes is None else made | {"inodesUsed": inodes}


def _network(stamp: str, interfaces: Sequence[Interface]) -> dict[str, Any]:
    shown = [
        {
            "name": one.name,
            "rxBytes": one.received[0],
            "rxErrors": one.received[2],
            "txBytes": one.sent[0],
            "txErrors": one.sent[2],
        }
        for one in interfaces
    ]
    first = next((one for one in shown if one["name"] == "eth0"), shown[0])
    return {"time": stamp, **first, "interfaces": shown}
