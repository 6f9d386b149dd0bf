"""Where each millisecond of a pod's start goes, from its creation to Ready as a watcher sees it.

    .venv/bin/python -m bench.steps [--pods 30] [--at-once 30 --rounds 3]

One pod at a time, or so many at once. What the API tells (answered, bound to the node, Ready) is timed
where it arrives; what the engine has done (created, started) bears the engine's own time. Beside it the
same four calls made by hand, one after the other: what an agent cannot be faster than, but for what it
does at once. Of many at once it tells when the first, the middle and the last of them had each step
behind it.
"""

from __future__ import annotations

import argparse
import asyncio
import threading
import time
from collections import defaultdict
from statistics import median

import docker
import uvloop

from api import pods
from api.client import HttpClient
from api.core import Pod
from base.tasks import TaskGuard
from bench.clusters import NODE, one_node
from bench.pod_start import NAMESPACE, ByHand, Watched, delete_pods, pod, start_pods
from local.cluster import Cluster

POD, CONTAINER = "io.kubernetes.pod.name", "io.kubernetes.container.name"
STEPS = (
    ("answered", "the API has answered: checked, admitted, stored"),
    ("bound", "a node is chosen, and a watcher knows"),
    ("create POD", "the agent knows, cgroup and files made, pause container created"),
    ("start POD", "pause container started, network namespace made"),
    ("create app", "container created; begun while the pause container starts"),
    ("start app", "address attached, container started"),
    ("ready", "looked at, told to the API, seen by a watcher"),
)
WARM_UP = 2


class Moments:
    """When each step of each pod was over, by pod and step, in seconds of the wall clock."""

    def __init__(self, url: str) -> None:
        self.at: dict[str, dict[str, float]] = defaultdict(dict)
        self._listener = docker.APIClient(base_url=url, timeout=86_400)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for event in self._listener.events(decode=True, filters={"type": "container"}):
            said = event["Actor"]["Attributes"]
            if event["Action"] in ("create", "start") and POD in said:
                step = f"{event['Action']} {said[CONTAINER]}"
                self.at[said[POD]].setdefault(step, event["timeNano"] / 1e9)

    async def watch(self, client: HttpClient) -> None:
        listed = await client.list(Pod, NAMESPACE)
        revision = listed.resource_version
        async for event in client.watch(Pod, NAMESPACE, resource_version=revision):
            now, found = time.time(), event.object
            if isinstance(found, Pod):
                moments = self.at[found.metadata.name]
                if found.spec.node_name:
                    moments.setdefault("bound", now)
                if pods.is_ready(found):
                    moments.setdefault("ready", now)


async def one_at_a_time(
    client: HttpClient, watched: Watched, moments: Moments, hand: ByHand, count: int
) -> None:
    ours: dict[str, list[float]] = defaultdict(list)
    whole: list[float] = []
    floor: dict[str, list[float]] = defaultdict(list)
    for number in range(-WARM_UP, count):
        name = f"step-{number + WARM_UP}"
        began = time.time()
        await client.create(pod(name))
        moments.at[name]["answered"] = time.time()
        await watched.until(lambda name=name: name in watched.ready)  # type: ignore[misc]
        await asyncio.sleep(0.3)  # the engine's news comes by another way
        await delete_pods(client, watched, [name])
        creating, starting = hand.creating, hand.starting
        both = await asyncio.to_thread(hand.pair)
        await asyncio.to_thread(hand.clean)
        if number < 0:
            continue
        floor["create"].append(hand.creating - creating)
        floor["start"].append(hand.starting - starting)
        floor["both"].append(both)
        before = began
        # What was done side by side takes nothing: it was over before what came before it.
        for step, _ in STEPS:
            reached = max(before, moments.at[name].get(step, before))
            ours[step].append(reached - before)
            before = reached
        whole.append(before - began)
    for step, told in STEPS:
        print(f"{median(ours[step]) * 1000:>8.1f} ms  {told}")
    print(f"{median(whole) * 1000:>8.1f} ms  altogether")
    print("by hand:")
    print(f"{median(floor['create']) * 1000:>8.1f} ms  two containers created")
    print(f"{median(floor['start']) * 1000:>8.1f} ms  two containers started")
    print(f"{median(floor['both']) * 1000:>8.1f} ms  altogether")


async def all_at_once(
    client: HttpClient, watched: Watched, moments: Moments, count: int, rounds: int
) -> None:
    """Of each step, when the first, the middle and the last of all pods had it behind them."""
    reached: dict[str, list[list[float]]] = defaultdict(list)
    for turn in range(rounds):
        names = [f"burst-{turn}-{number}" for number in range(count)]
        began = time.time()
        await start_pods(client, watched, names)
        await asyncio.sleep(0.3)
        for step, _ in STEPS[1:]:
            reached[step].append(sorted(moments.at[name][step] - began for name in names))
        await delete_pods(client, watched, names)
    print(f"{count} at once: {'first':>9}{'middle':>9}{'last':>9}   ms since the first was created")
    for step, told in STEPS[1:]:
        first, middle, last = (
            median(each[place] for each in reached[step]) * 1000 for place in (0, count // 2, -1)
        )
        print(f"{'':12}{first:>9.0f}{middle:>9.0f}{last:>9.0f}   {told}")


async def measure(cluster: Cluster, count: int, at_once: int, rounds: int) -> None:
    url = cluster.node(NODE).engine.url
    moments, hand = Moments(url), ByHand(url)
    async with (
        HttpClient.from_kubeconfig(cluster.kubeconfig) as client,
        TaskGuard("bench") as guard,
    ):
        watched = Watched(client)
        guard.start(watched.run(), name="watcher")
        guard.start(moments.watch(client), name="moments")
        await asyncio.sleep(1)
        if at_once:
            await start_pods(client, watched, ["warm-up"])
            await delete_pods(client, watched, ["warm-up"])
            await all_at_once(client, watched, moments, at_once, rounds)
        else:
            await one_at_a_time(client, watched, moments, hand, count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pods", type=int, default=30)
    parser.add_argument("--at-once", type=int, default=0, help="so many, instead of one at a time")
    parser.add_argument("--rounds", type=int, default=3, help="of all at once")
    given = parser.parse_args()
    with (
        one_node("steps") as cluster,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(measure(cluster, given.pods, given.at_once, given.rounds))


if __name__ == "__main__":
    main()
