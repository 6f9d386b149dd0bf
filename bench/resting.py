"""What the whole control plane costs while nothing happens in a large cluster: CPU, writes, memory.

    .venv/bin/python -m bench.resting [--nodes 5000] [--pods 10000] [--seconds 60]

Store, API, scheduler and every controller in this process, without HTTP. The pods are those of
Deployments of 250; nodes are objects that never report, which nobody minds here, and what makes the pods
run is a loop in this process. When all are available and nothing has been written for a while, it looks
at how much processor time passes, what is written, and what controllers take from their queues.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from ipaddress import IPv4Network
from typing import Any

import msgspec
import uvloop

from api import pods, timestamps
from api.apps import Deployment
from api.core import Pod
from api.interface import PatchType
from base.garbage import Garbage
from bench import placing
from bench.scheduler import node
from control.controllers.context import Context, Informers, NodeSettings
from control.controllers.manager import SCHEDULER, Manager

REPLICAS = 250
ADDRESSES = IPv4Network("10.0.0.0/8")
NEVER = 7 * 86_400.0
STILL = 5.0
"""Seconds without a write: it has settled."""


class Agents:
    """Makes every pod run that is on a node. `all_run`: so many as are wanted do."""

    def __init__(self, here: placing.World, context: Context, wanted: int) -> None:
        self._here = here
        self._wanted = wanted
        self.all_run = asyncio.Event()
        self._due: asyncio.Queue[Pod] = asyncio.Queue()
        self.running: set[str] = set()
        context.informers.of(Pod).subscribe(self._on_pod)
        for number in range(placing.WRITERS):
            here.guard.start(self._work(), name=f"agent {number}")

    def _on_pod(self, old: Pod | None, new: Pod | None) -> None:
        if new is None or not new.spec.node_name:
            return
        if pods.is_ready(new):
            self.running.add(new.metadata.uid)
            if len(self.running) >= self._wanted:
                self.all_run.set()
        elif old is None or not old.spec.node_name:
            self._due.put_nowait(new)

    async def _work(self) -> None:
        while True:
            pod = await self._due.get()
            now = timestamps.now_string(self._here.clock)
            ready = {"type": "Ready", "status": "True", "lastTransitionTime": now}
            status: dict[str, Any] = {"phase": "Running", "startTime": now, "conditions": [ready]}
            await self._here.client.patch(
                Pod,
                pod.metadata.name,
                pod.metadata.namespace,
                {"status": status},
                patch_type=PatchType.STRATEGIC,
                subresource="status",
            )


def deployment(number: int) -> Deployment:
    name, requests = f"web-{number}", {"cpu": "100m", "memory": "100Mi"}
    container = {"name": "c", "image": "i", "resources": {"requests": requests}}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {
        "replicas": REPLICAS,
        "selector": {"matchLabels": {"app": name}},
        "template": template,
    }
    tree = {"metadata": {"name": name, "namespace": "default"}, "spec": spec}
    return msgspec.convert(tree, type=Deployment)


def begin(here: placing.World, wanted: int) -> tuple[Manager, Agents]:
    """Start scheduler and controllers."""
    context = Context(
        client=here.client,
        informers=Informers(here.client, here.clock),
        clock=here.clock,
        ca=here.keys.ca,
        tokens=here.keys.tokens,
        guard=here.guard,
        nodes=NodeSettings(cluster_cidr=ADDRESSES, monitor_grace=NEVER),
    )
    manager, agents = Manager(context), Agents(here, context, wanted)
    here.guard.start(manager.run(), name="controllers")
    return manager, agents


def taken(manager: Manager) -> dict[str, float]:
    """How much each part has looked at."""
    return {
        name: told["attempts" if name == SCHEDULER else "adds"]
        for name, told in manager.statistics().items()
        if name != "informers"
    }


async def measure(nodes: int, count: int, seconds: float) -> None:
    count -= count % REPLICAS
    async with placing.world() as here:
        await here.make(node(number) for number in range(nodes))
        manager, agents = begin(here, count)
        began, used = time.perf_counter(), time.process_time()
        await here.make(deployment(number) for number in range(count // REPLICAS))
        await agents.all_run.wait()
        took, used = time.perf_counter() - began, time.process_time() - used
        print(f"{nodes} nodes, {count} pods of Deployments of {REPLICAS}")
        print(f"all running after {took:.0f} s and {used:.0f} s of CPU")
        revision = -1
        while revision != here.store.revision():
            revision = here.store.revision()
            await asyncio.sleep(STILL)
        looked, used, began = taken(manager), time.process_time(), time.perf_counter()
        await asyncio.sleep(seconds)
        took, used = time.perf_counter() - began, time.process_time() - used
        busy = {name: n - looked[name] for name, n in taken(manager).items() if n > looked[name]}
        print(
            f"at rest for {took:.0f} s: {100 * used / took:.2f} % of a processor,"
            f" {here.store.revision() - revision} writes, looked at: {busy or 'nothing'},"
            f" {placing.resident():.0f} MB"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--nodes", type=int, default=5000)
    parser.add_argument("--pods", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    Garbage().install()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(measure(given.nodes, given.pods, given.seconds))


if __name__ == "__main__":
    main()
