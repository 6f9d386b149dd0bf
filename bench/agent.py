"""What an agent does with many pods: started, deaths noticed, stopped, taken over after a restart.

    .venv/bin/python -m bench.agent [--pods 100] [--deaths 20] [--starts 1 10 30 100]

On a cluster of one namespace node, with pods of one container that never ends by itself:

- start: so many pods are created at once; until the median and the last of them are Ready, and the CPU
  that the agent has used for each. The floor is as many pairs of containers made with the Docker SDK.

- death: a container's process is killed; the time until a watcher of the API sees the pod Failed, and
  beside it the time until the engine itself reports the death to whoever listens to its events; and how
  long after that the agent has heard of it.
- stop: all pods are deleted at once; until the last is gone. The floor is the same number of pairs of
  containers removed by force with the Docker SDK, as many at a time as the agent does.
- recovery: the agent is killed, some containers die meanwhile, the agent starts; until those are
  restarted and every pod is looked after again.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import threading
import time
from collections.abc import Sequence
from statistics import median

import docker
import uvloop

from api.client import HttpClient
from api.core import Pod
from base.tasks import TaskGuard
from bench.clusters import NODE, one_node, percentile
from bench.idle import cpu_seconds
from bench.pod_start import (
    NAMESPACE,
    ByHand,
    Watched,
    all_at_once,
    delete_pods,
    show,
    start_pods,
)
from local.cluster import Cluster


class Engine:
    """Processes of containers, and the engine's own news of their deaths."""

    def __init__(self, url: str) -> None:
        self._client = docker.APIClient(base_url=url)
        self._listener = docker.APIClient(base_url=url, timeout=86_400)
        self.died: dict[str, float] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for event in self._listener.events(decode=True, filters={"event": "die"}):
            self.died.setdefault(event["id"], time.perf_counter())

    def kill(self, container_id: str) -> float:
        """Kill the container's first process behind everybody's back; when that was."""
        pid = self._client.inspect_container(container_id)["State"]["Pid"]
        os.kill(pid, signal.SIGKILL)
        return time.perf_counter()


def container_id(found: Pod) -> str:
    return found.status.container_statuses[0].container_id.rpartition("/")[2]


async def engine_events(client: HttpClient) -> tuple[float, float]:
    """How many of the engine's events the agent has heard, and how late they were, together (seconds)."""
    page = await client.raw("GET", f"/api/v1/nodes/{NODE}/proxy/metrics", accept="text/plain")
    numbers = dict(line.split() for line in page.decode().splitlines() if line[:1] not in ("", "#"))
    names = ("engine_events", "engine_events_late_seconds")
    count, late = (float(numbers[f"podwright_agent_pods_{name}"]) for name in names)
    return count, late


async def deaths(client: HttpClient, engine: Engine, names: Sequence[str]) -> None:
    """Kill one pod's container after the other."""
    seen: dict[str, float] = {}
    changed = asyncio.Event()

    async def watch(revision: str) -> None:
        async for event in client.watch(Pod, NAMESPACE, resource_version=revision):
            if isinstance(event.object, Pod) and event.object.status.phase == "Failed":
                seen.setdefault(event.object.metadata.name, time.perf_counter())
                changed.set()

    listed = await client.list(Pod, NAMESPACE)
    watching = asyncio.create_task(watch(listed.resource_version))
    ids = {each.metadata.name: container_id(each) for each in listed.items}
    ours, floor = [], []
    before = await engine_events(client)
    for name in names:
        at = await asyncio.to_thread(engine.kill, ids[name])
        while name not in seen or ids[name] not in engine.died:
            changed.clear()
            await asyncio.wait_for(asyncio.shield(changed.wait()), 10)
            await asyncio.sleep(0)
        ours.append(seen[name] - at)
        floor.append(engine.died[ids[name]] - at)
        await asyncio.sleep(0.2)
    watching.cancel()
    count, late = (
        now - then for now, then in zip(await engine_events(client), before, strict=True)
    )
    heard = f"{late / count * 1000:>9.1f} ms after the engine wrote them"
    print(f"{'events heard by the agent, mean':38}{heard}")
    for share, label in ((0.5, "p50"), (0.99, "p99")):
        told, known = percentile(ours, share), percentile(floor, share)
        print(
            f"{f'death of a container, {label}':38}{told * 1000:>9.1f} ms"
            f"{known * 1000:>10.1f} ms{(told - known) * 1000:>10.1f} ms more than the engine"
        )


async def starts(
    cluster: Cluster, client: HttpClient, watched: Watched, by_hand: ByHand, counts: Sequence[int]
) -> None:
    agent = cluster.node(NODE).agent.process()
    assert agent is not None
    await start_pods(client, watched, ["warm-up"])
    await delete_pods(client, watched, ["warm-up"])
    for place, count in enumerate(counts):
        before = cpu_seconds(agent.pid)
        ours, floor, whole, whole_floor = await all_at_once(
            client, watched, by_hand, count, 1, name=f"start-{place}"
        )
        spent = (cpu_seconds(agent.pid) - before) / count
        show(f"{count} at once, p50", median(ours), median(floor))
        show(f"{count} at once, until all are ready", whole[0], whole_floor[0])
        print(f"{'':34}{spent * 1000:>8.1f} ms of CPU in the agent for each, start and end")


async def stops(
    client: HttpClient, watched: Watched, by_hand: ByHand, names: Sequence[str]
) -> None:
    for _ in names:
        await asyncio.to_thread(by_hand.pair)
    began = time.perf_counter()
    await asyncio.to_thread(by_hand.clean)
    floor = len(names) / (time.perf_counter() - began)
    began = time.perf_counter()
    await delete_pods(client, watched, names)
    ours = len(names) / (time.perf_counter() - began)
    print(f"{'pods stopped a second':38}{ours:>9.1f}   {floor:>10.1f}   {ours / floor:>10.2f}")


async def recovery(
    cluster: Cluster, client: HttpClient, engine: Engine, count: int, victims: int
) -> None:
    listed = await client.list(Pod, NAMESPACE)
    before = {
        each.metadata.name: each.status.container_statuses[0].restart_count for each in listed.items
    }
    cluster.kill_agent(NODE)
    chosen = list(listed.items)[:: max(1, count // victims)][:victims]
    for each in chosen:
        await asyncio.to_thread(engine.kill, container_id(each))
    left = {each.metadata.name for each in chosen}
    began = time.perf_counter()
    start = asyncio.create_task(asyncio.to_thread(cluster.start_agent, NODE))
    async for event in client.watch(Pod, NAMESPACE, resource_version=listed.resource_version):
        found = event.object
        if isinstance(found, Pod) and found.metadata.name in left:
            status = found.status.container_statuses[0]
            if status.restart_count > before[found.metadata.name] and status.ready:
                left.discard(found.metadata.name)
        if not left:
            break
    took = time.perf_counter() - began
    await start
    after = await client.list(Pod, NAMESPACE)
    more = sum(
        each.status.container_statuses[0].restart_count - before[each.metadata.name]
        for each in after.items
    )
    print(f"{f'taken over after a restart, {count} pods':38}{took * 1000:>9.0f} ms")
    assert more == victims, f"{more} restarts for {victims} deaths"


async def measure(cluster: Cluster, count: int, victims: int, at_once: Sequence[int]) -> None:
    url = cluster.node(NODE).engine.url
    engine, by_hand = Engine(url), ByHand(url)
    async with (
        HttpClient.from_kubeconfig(cluster.kubeconfig) as client,
        TaskGuard("bench") as guard,
    ):
        watched = Watched(client)
        guard.start(watched.run(), name="watcher")
        print(f"{'':38}{'podwright':>12}{'engine':>13}")
        await starts(cluster, client, watched, by_hand, at_once)
        mortal = [f"mortal-{number}" for number in range(victims)]
        await start_pods(client, watched, mortal, restart_policy="Never")
        await deaths(client, engine, mortal)
        await delete_pods(client, watched, mortal)
        names = [f"pod-{number}" for number in range(count)]
        await start_pods(client, watched, names)
        await recovery(cluster, client, engine, count, min(5, count))
        await stops(client, watched, by_hand, names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pods", type=int, default=100)
    parser.add_argument("--deaths", type=int, default=20)
    parser.add_argument("--starts", type=int, nargs="*", default=[1, 10, 30, 100])
    given = parser.parse_args()
    with (
        one_node("agent") as cluster,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(measure(cluster, given.pods, given.deaths, given.starts))


if __name__ == "__main__":
    main()
