"""What control plane and agent cost while nothing happens: CPU and memory with 0, 50 and 100 pods.

    .venv/bin/python -m bench.idle [--pods 50 100] [--seconds 60]

A cluster of one namespace node. Memory is the resident set as `ps` shows it (RSS, shared pages counted
in full) and the proportional one (PSS, shared pages divided among those who share them). The floor is
a Python process that has imported the HTTP library and the event loop, and sleeps.

CPU is that of whole minutes: once in each everything is looked at, whether something has happened or not.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop

from api.client import HttpClient
from base.tasks import TaskGuard
from bench.clusters import NODE, one_node
from bench.pod_start import Watched, start_pods
from local.cluster import Cluster

SETTLE = 20.0
"""Seconds after the last change: caches are filled, deferred work is done."""
FLOOR = "import asyncio, aiohttp.web, uvloop, time; print(flush=True); time.sleep(10_000)"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Sample:
    rss: float
    """MB, shared pages counted in full."""
    pss: float
    """MB, shared pages divided among those who share them."""
    cpu: float = 0.0
    """Percent of one CPU."""


def memory(pid: int) -> Sample:
    sizes = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value, *_ = line.split()
        sizes[name] = int(value) * 1024 / 1e6
    return Sample(rss=sizes["Rss:"], pss=sizes["Pss:"])


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def observe(pids: dict[str, int], seconds: float) -> dict[str, Sample]:
    """Wait until the processes have settled, then watch them."""
    time.sleep(SETTLE)
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    began = time.perf_counter()
    time.sleep(seconds)
    elapsed = time.perf_counter() - began
    samples = {}
    for name, pid in pids.items():
        cpu = (cpu_seconds(pid) - before[name]) / elapsed * 100
        found = memory(pid)
        samples[name] = Sample(rss=found.rss, pss=found.pss, cpu=cpu)
    return samples


def show(label: str, samples: dict[str, Sample], floor: Sample) -> None:
    for name, sample in samples.items():
        print(
            f"{name + ', ' + label:22}{sample.cpu:>8.2f} %{sample.rss:>9.1f} MB"
            f"{sample.pss:>9.1f} MB{sample.rss / floor.rss:>12.2f}"
        )


def daemons(cluster: Cluster) -> dict[str, int]:
    control, agent = cluster.control.process(), cluster.node(NODE).agent.process()
    assert control is not None and agent is not None
    return {"control": control.pid, "agent": agent.pid}


async def fill(cluster: Cluster, count: int, *, first: int = 0) -> None:
    async with (
        HttpClient.from_kubeconfig(cluster.kubeconfig) as client,
        TaskGuard("bench") as guard,
    ):
        watched = Watched(client)
        guard.start(watched.run(), name="watcher")
        names = [f"idle-{number}" for number in range(first, count)]
        await start_pods(client, watched, names)


def measure(cluster: Cluster, counts: Sequence[int], seconds: float) -> None:
    bare = subprocess.Popen([sys.executable, "-c", FLOOR], stdout=subprocess.PIPE)
    try:
        assert bare.stdout is not None
        bare.stdout.readline()
        floor = memory(bare.pid)
    finally:
        bare.kill()
        bare.wait()
    pids = daemons(cluster)
    print(f"{'':22}{'CPU':>10}{'RSS':>12}{'PSS':>12}{'RSS/floor':>12}")
    show("0 pods", observe(pids, seconds), floor)
    running = 0
    for count in sorted(counts):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(fill(cluster, count, first=running))
        running = count
        show(f"{count} pods", observe(pids, seconds), floor)
    print(f"{'floor: bare Python':22}{'':>10}{floor.rss:>9.1f} MB{floor.pss:>9.1f} MB")
    assert daemons(cluster) == pids, "a daemon was restarted while it was measured"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pods", type=int, nargs="+", default=[50, 100])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to look at the CPU")
    given = parser.parse_args()
    with one_node("idle") as cluster:
        measure(cluster, given.pods, given.seconds)


if __name__ == "__main__":
    main()
