"""How many pods a second find their node, on clusters shaped like Kubernetes' own scheduler benchmark
(scheduler_perf).

    .venv/bin/python -m bench.scheduler [--whole] [--nodes 5000] [--pods 2000] [--only NAME]

Each case fills a cluster with pods, then decides about more of the same, one after the other, each
recorded before the next. The thresholds beside are those below which Kubernetes' project counts its own
scheduler as slow, store and bindings included. Without `--whole` only decisions are measured, so the ratio
is a bound from above; with it the pods go through store, API and events (`bench/placing.py`).
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import uvloop

from api.core import Node, Pod
from base.garbage import Garbage
from bench import placing
from control.scheduler.decide import decide
from control.scheduler.request import request_of
from control.scheduler.snapshot import Snapshot
from tests.unit.scheduler import making

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
ZONES = 3


@dataclass(frozen=True)
class Case:
    """Pods before, pods measured, and Kubernetes' threshold in pods a second."""

    name: str
    threshold: int
    before: Callable[[int], dict[str, Any]]
    measured: Callable[[int], dict[str, Any]]


def _term(color: str, key: str) -> dict[str, Any]:
    return {"topologyKey": key, "labelSelector": {"matchLabels": {"color": color}}}


def _required(sort: str, color: str, key: str) -> dict[str, Any]:
    rule = {"requiredDuringSchedulingIgnoredDuringExecution": [_term(color, key)]}
    return {"labels": {"color": color}, "affinity": {sort: rule}}


def _preferred(sort: str, color: str, key: str) -> dict[str, Any]:
    one = {"weight": 1, "podAffinityTerm": _term(color, key)}
    rule = {"preferredDuringSchedulingIgnoredDuringExecution": [one]}
    return {"labels": {"color": color}, "affinity": {sort: rule}}


def _spread(action: str) -> dict[str, Any]:
    constraint = {
        "maxSkew": 5,
        "topologyKey": ZONE,
        "whenUnsatisfiable": action,
        "labelSelector": {"matchLabels": {"color": "blue"}},
    }
    return {"labels": {"color": "blue"}, "topologySpreadConstraints": [constraint]}


def _node_affinity() -> dict[str, Any]:
    expression = {"key": ZONE, "operator": "In", "values": ["zone-0", "zone-1"]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}}


def _daemon(number: int) -> dict[str, Any]:
    field = {"key": "metadata.name", "operator": "In", "values": [f"node-{number}"]}
    terms = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}}


CASES = (
    Case("basic", 680, lambda n: {}, lambda n: {}),
    Case("owned by one ReplicaSet", 680, lambda n: {"owner": "a"}, lambda n: {"owner": "a"}),
    Case("node affinity", 540, lambda n: {}, lambda n: _node_affinity()),
    Case("daemon set", 390, lambda n: {}, _daemon),
    Case(
        "pod affinity",
        80,
        lambda n: _required("podAffinity", "blue", ZONE),
        lambda n: _required("podAffinity", "blue", ZONE),
    ),
    Case(
        "pod anti-affinity",
        110,
        lambda n: _required("podAntiAffinity", "green", HOST) if n < 1000 else {},
        lambda n: _required("podAntiAffinity", "green", HOST),
    ),
    Case(
        "preferred affinity",
        140,
        lambda n: _preferred("podAffinity", "red", HOST),
        lambda n: _preferred("podAffinity", "red", HOST),
    ),
    Case("spread, required", 140, lambda n: {}, lambda n: _spread("DoNotSchedule")),
    Case("spread, preferred", 140, lambda n: {}, lambda n: _spread("ScheduleAnyway")),
    Case("unschedulable", 270, lambda n: {}, lambda n: {"cpu": "9"}),
)


def node(number: int) -> Node:
    """A node of 4 CPUs and 32 GiB in one of three zones."""
    labels = {HOST: f"node-{number}", ZONE: f"zone-{number % ZONES}"}
    return making.node(f"node-{number}", memory="32Gi", labels=labels)


def pod(name: str, **more: Any) -> Pod:
    """A pod of 100m CPU and 500 MiB."""
    return making.pod(name, **{"cpu": "100m", "memory": "500Mi", **more})


def measure(case: Case, nodes: int, pods: int) -> float:
    """Decisions a second."""
    snapshot = Snapshot()
    for number in range(nodes):
        snapshot.set_node(node(number))
    for number in range(2 * nodes):
        made = request_of(pod(f"before-{number}", **case.before(number)))
        snapshot.add_pod(made, f"node-{number % nodes}")
    wanted = [pod(f"pod-{number}", **case.measured(number)) for number in range(pods)]
    begun = time.process_time()
    for each in wanted:
        request = request_of(each)
        decision = decide(request, snapshot, random.choice)
        if decision.node is not None:
            snapshot.add_pod(request, decision.node)
    return pods / (time.process_time() - begun)


def whole(nodes: int) -> Iterator[placing.Shape]:
    """The same cases through the whole path, and those in which something happens meanwhile."""
    for case in CASES:
        if case.name == "unschedulable":
            continue
        yield placing.Shape(
            name=case.name,
            threshold=case.threshold,
            measured=lambda number, case=case: pod(
                f"pod-{number}", **case.measured(number % nodes)
            ),
            nodes=nodes,
            node=node,
            before=nodes // 5,
            placed=lambda number, case=case: pod(f"before-{number}", **case.before(number)),
        )
    yield from placing.special(node, lambda number: pod(f"pod-{number}", **_daemon(number)), nodes)


def _measure_decisions(options: argparse.Namespace) -> None:
    print(f"{options.nodes} nodes, {2 * options.nodes} pods before, {options.pods} measured")
    for case in CASES:
        if options.only in case.name:
            rate = measure(case, options.nodes, options.pods)
            print(f"{case.name:<26} {rate:7.0f} decisions/s {_against(rate, case.threshold)}")


def _measure_whole(options: argparse.Namespace) -> None:
    print(f"{options.nodes} nodes, {options.pods} pods measured, store and API in this process")
    for shape in whole(options.nodes):
        if options.only in shape.name:
            # Each in a process of its own, whose memory is the shape's.
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(1, mp_context=context) as apart:
                rates = apart.submit(_placed, shape.name, options.nodes, options.pods).result()
            dropped = f" {rates.dropped} events dropped" if rates.dropped else ""
            print(
                f"{shape.name:<26} {rates.made:6.0f} made/s {rates.bound:6.0f} bound/s"
                f" {rates.cpu:5.2f} ms CPU each: {1000 / rates.cpu:6.0f}/s of one core"
                f" {_against(1000 / rates.cpu, shape.threshold):<24}"
                f" {rates.memory:5.0f} MB, loop late p99 {rates.late:3.0f} ms{dropped}",
                flush=True,
            )


def _placed(name: str, nodes: int, pods: int) -> placing.Rates:
    shape = next(one for one in whole(nodes) if one.name == name)
    garbage = Garbage()
    garbage.install()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(placing.measure(shape, pods))


def _against(rate: float, threshold: int | None) -> str:
    return "" if threshold is None else f"{rate / threshold:6.1f} x threshold of {threshold}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=5000)
    parser.add_argument("--pods", type=int, default=2000)
    parser.add_argument(
        "--whole", action="store_true", help="through store and API, bindings, events"
    )
    parser.add_argument("--only", default="", help="cases whose names contain this")
    options = parser.parse_args()
    (_measure_whole if options.whole else _measure_decisions)(options)


if __name__ == "__main__":
    main()
