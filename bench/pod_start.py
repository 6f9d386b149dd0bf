"""How long a pod takes from its creation to Ready, against the same two containers made by hand.

    .venv/bin/python -m bench.pod_start [--pods 30] [--rounds 3]

A pod of one container is created through the API, and timed until a watcher has seen it Ready. The
floor is what the engine itself takes for it: pause and app container, created and started with the
Docker SDK on the same engine. One at a time, pods and pairs of containers take turns, so that both
meet the same machine; then all at once, in rounds that take turns as well. Deletions are not timed,
but nothing begins before they are over.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import docker
import uvloop

from agent.containers.pause import DEFAULT_IMAGE as PAUSE_IMAGE
from api import pods
from api.client import HttpClient
from api.core import Container, Pod, PodSpec
from api.meta import ObjectMeta
from base.tasks import TaskGuard
from bench.clusters import NODE, one_node, percentile
from local.cluster import Cluster
from local.host.images import BUSYBOX_IMAGE

# Ends at once on TERM: what a pod takes to end is not the question here.
COMMAND = ["sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait"]
NAMESPACE = "default"
DEADLINE = 120.0
ENGINE_THREADS = 8


class Watched:
    """When each pod was first seen Ready, and which pods there are, as a watcher sees it."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client
        self.ready: dict[str, float] = {}
        self.present: set[str] = set()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        listed = await self._client.list(Pod, NAMESPACE)
        revision = listed.resource_version
        async for event in self._client.watch(Pod, NAMESPACE, resource_version=revision):
            now = time.perf_counter()
            if not isinstance(event.object, Pod) or event.type == "BOOKMARK":
                continue
            name = event.object.metadata.name
            if event.type == "DELETED":
                self.present.discard(name)
            else:
                self.present.add(name)
                if pods.is_ready(event.object):
                    self.ready.setdefault(name, now)
            self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


class ByHand:
    """The same two containers, made with the Docker SDK."""

    def __init__(self, url: str) -> None:
        self._client = docker.APIClient(base_url=url, max_pool_size=ENGINE_THREADS)
        self._made: list[str] = []
        self.creating, self.starting = 0.0, 0.0
        """Seconds that all calls of the kind took so far."""

    def pair(self) -> float:
        """Create and start pause and app; the seconds it took."""
        began = time.perf_counter()
        pause = self._start(PAUSE_IMAGE, None, network_mode="none", ipc_mode="shareable")
        shared = f"container:{pause}"
        self._start(BUSYBOX_IMAGE, COMMAND, network_mode=shared, ipc_mode=shared)
        return time.perf_counter() - began

    def clean(self) -> None:
        with ThreadPoolExecutor(ENGINE_THREADS) as pool:
            for name in reversed(self._made):
                pool.submit(self._client.remove_container, name, force=True, v=True)
        self._made.clear()

    def _start(self, image: str, command: list[str] | None, **host: Any) -> str:
        config = self._client.create_host_config(**host)
        began = time.perf_counter()
        made = self._client.create_container(image, command, host_config=config)
        created = time.perf_counter()
        identifier: str = made["Id"]
        self._made.append(identifier)
        self._client.start(identifier)
        self.creating += created - began
        self.starting += time.perf_counter() - created
        return identifier


def pod(name: str, restart_policy: str = "Always") -> Pod:
    return Pod(
        metadata=ObjectMeta(name=name, namespace=NAMESPACE),
        spec=PodSpec(
            termination_grace_period_seconds=5,
            restart_policy=restart_policy,
            containers=[
                Container(
                    name="app",
                    image=BUSYBOX_IMAGE,
                    image_pull_policy="IfNotPresent",
                    command=COMMAND,
                )
            ],
        ),
    )


async def start_pods(
    client: HttpClient, watched: Watched, names: Sequence[str], *, restart_policy: str = "Always"
) -> list[float]:
    """Create pods at once; the seconds until each was seen Ready."""
    began: dict[str, float] = {}

    async def create(name: str) -> None:
        began[name] = time.perf_counter()
        await client.create(pod(name, restart_policy))

    await asyncio.gather(*(create(name) for name in names))
    await watched.until(lambda: all(name in watched.ready for name in names))
    return [watched.ready[name] - began[name] for name in names]


async def delete_pods(client: HttpClient, watched: Watched, names: Sequence[str]) -> None:
    await asyncio.gather(*(client.delete(Pod, name, NAMESPACE) for name in names))
    await watched.until(lambda: not watched.present.intersection(names))


async def one_at_a_time(
    client: HttpClient, watched: Watched, by_hand: ByHand, count: int
) -> tuple[list[float], list[float]]:
    ours, floor = [], []
    for number in range(-2, count):  # two to warm up
        name = f"one-{number + 2}"
        took = await start_pods(client, watched, [name])
        await delete_pods(client, watched, [name])
        hand = await asyncio.to_thread(by_hand.pair)
        await asyncio.to_thread(by_hand.clean)
        if number >= 0:
            ours += took
            floor.append(hand)
    return ours, floor


async def all_at_once(
    client: HttpClient,
    watched: Watched,
    by_hand: ByHand,
    count: int,
    rounds: int,
    *,
    name: str = "all",
) -> tuple[list[float], list[float], list[float], list[float]]:
    """Seconds of each pod and pair, and of each whole round."""
    ours: list[float] = []
    floor: list[float] = []
    whole: list[float] = []
    whole_floor: list[float] = []

    def burst() -> tuple[list[float], float]:
        began = time.perf_counter()
        # Every pair is timed from the beginning, like every pod.
        with ThreadPoolExecutor(ENGINE_THREADS) as pool:

            def one(_: int) -> float:
                by_hand.pair()
                return time.perf_counter() - began

            each = list(pool.map(one, range(count)))
        return each, max(each)

    for turn in range(rounds):
        names = [f"{name}-{turn}-{number}" for number in range(count)]
        took = await start_pods(client, watched, names)
        ours += took
        whole.append(max(took))
        await delete_pods(client, watched, names)
        each, total = await asyncio.to_thread(burst)
        floor += each
        whole_floor.append(total)
        await asyncio.to_thread(by_hand.clean)
    return ours, floor, whole, whole_floor


def show(what: str, ours: float, floor: float) -> None:
    print(f"{what:34}{ours * 1000:>8.0f} ms{floor * 1000:>10.0f} ms{ours / floor:>9.2f}")


async def measure(cluster: Cluster, count: int, rounds: int) -> None:
    by_hand = ByHand(cluster.node(NODE).engine.url)
    async with (
        HttpClient.from_kubeconfig(cluster.kubeconfig) as client,
        TaskGuard("bench") as guard,
    ):
        watched = Watched(client)
        guard.start(watched.run(), name="watcher")
        try:
            ours, floor = await one_at_a_time(client, watched, by_hand, count)
            print(f"{'':34}{'pod':>11}{'by hand':>13}{'ratio':>9}")
            show(f"one at a time, p50 of {count}", median(ours), median(floor))
            show(f"one at a time, p99 of {count}", percentile(ours, 0.99), percentile(floor, 0.99))
            ours, floor, whole, whole_floor = await all_at_once(
                client, watched, by_hand, count, rounds
            )
            show(f"{count} at once, p50", median(ours), median(floor))
            show(f"{count} at once, p99", percentile(ours, 0.99), percentile(floor, 0.99))
            show(f"{count} at once, until all are ready", median(whole), median(whole_floor))
        finally:
            by_hand.clean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pods", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3, help="of all at once")
    given = parser.parse_args()
    with (
        one_node("start") as cluster,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(measure(cluster, given.pods, given.rounds))


if __name__ == "__main__":
    main()
