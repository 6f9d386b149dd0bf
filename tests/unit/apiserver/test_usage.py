"""Rates from the agents' counters."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from api import timestamps
from api.core import Container, Node, NodeStatus, Pod, PodSpec, PodStatus
from api.meta import ObjectMeta
from base.clock import FakeClock
from control.apiserver.agents.usage import NodeUsage, Used, reading, usage
from control.apiserver.http.metricsapi import NodeMetricsSource, PodMetricsSource
from tests.unit.auth.test_tokens import INFO


def counters(cpu: int, memory: int) -> dict[str, Any]:
    return {"cpu": {"usageCoreNanoSeconds": cpu}, "memory": {"workingSetBytes": memory}}


def summary(node: tuple[int, int], **pods: dict[str, tuple[int, int]]) -> dict[str, Any]:
    return {
        "node": counters(*node),
        "pods": [
            {
                "podRef": {"uid": uid, "name": uid, "namespace": "default"},
                "containers": [
                    {"name": name, **counters(*pair)} for name, pair in containers.items()
                ],
            }
            for uid, containers in pods.items()
        ],
    }


def test_cpu_is_the_mean_of_the_span_and_memory_that_of_its_end() -> None:
    before = reading(summary((1000, 5), web={"c": (100, 1)}), 10.0)
    now = reading(summary((5000, 7), web={"c": (700, 3)}), 12.0)
    found = usage(before, now)
    assert found.node == Used(cpu=2000, memory=7)
    assert found.pods == {"web": {"c": Used(cpu=300, memory=3)}}
    assert (found.window, found.at) == (2.0, 12.0)


@pytest.mark.parametrize(
    "earlier",
    [summary((0, 0)), summary((0, 0), web={"c": (900, 1)}), summary((0, 0), web={"d": (1, 1)})],
)
def test_what_has_just_begun_or_began_anew_is_left_out(earlier: dict[str, Any]) -> None:
    now = reading(summary((10, 1), web={"c": (700, 3)}), 12.0)
    assert usage(reading(earlier, 10.0), now).pods == {}


def test_a_pod_of_which_a_part_is_not_known_is_left_out() -> None:
    """A part would be taken for all that it uses, by autoscalers too."""
    before = reading(summary((0, 0), web={"c": (1, 1)}, db={"d": (1, 1)}), 10.0)
    now = reading(summary((0, 0), web={"c": (9, 1), "new": (5, 1)}, db={"d": (3, 2)}), 12.0)
    assert usage(before, now).pods == {"db": {"d": Used(cpu=1, memory=2)}}


class Collector:
    """What was measured a while ago."""

    def __init__(self, **nodes: NodeUsage) -> None:
        self.nodes = nodes

    async def by_node(self) -> Mapping[str, NodeUsage]:
        return self.nodes


class Objects:
    """What the cache has."""

    def __init__(self, *objects: Any) -> None:
        self.objects = objects

    def list(self, type_: type[Any], namespace: str = "") -> list[Any]:
        return [one for one in self.objects if isinstance(one, type_)]

    def get(self, type_: type[Any], name: str, namespace: str = "") -> Any:
        return next((o for o in self.list(type_) if o.metadata.name == name), None)


def pod(name: str, phase: str = "Running") -> Pod:
    meta = ObjectMeta(name=name, namespace="shop", uid=name, labels={"app": name})
    spec = PodSpec(containers=[Container(name="c", image="i")], node_name="n1")
    return Pod(metadata=meta, spec=spec, status=PodStatus(phase=phase))


async def test_the_objects_that_are_made_of_it() -> None:
    clock = FakeClock()
    await clock.run_for(100.0)
    used = {name: {"c": Used(cpu=5_000_000, memory=3 * 1024**2)} for name in ("web", "done")}
    measured = NodeUsage(
        node=Used(cpu=7, memory=2048), pods=used, window=10.0625, at=clock.monotonic() - 4
    )
    collector: Any = Collector(n1=measured)
    objects: Any = Objects(
        pod("web"),
        pod("done", "Succeeded"),
        pod("new"),
        Node(metadata=ObjectMeta(name="n1", labels={"a": "b"}), status=NodeStatus(node_info=INFO)),
        Node(metadata=ObjectMeta(name="silent"), status=NodeStatus(node_info=INFO)),
    )
    (node,) = await NodeMetricsSource(collector, objects, clock).every("")
    ended = timestamps.format(clock.now() - timedelta(seconds=4))
    assert (node.metadata.name, node.metadata.labels) == ("n1", {"a": "b"})
    assert (node.timestamp, node.window) == (ended, "10.062s")
    assert node.usage == {"cpu": "7n", "memory": "2Ki"}
    source = PodMetricsSource(collector, objects, clock)
    (web,) = await source.every("shop")
    assert (web.metadata.name, web.metadata.labels, web.timestamp) == ("web", {"app": "web"}, ended)
    (container,) = web.containers
    assert (container.name, container.usage) == ("c", {"cpu": "5000000n", "memory": "3072Ki"})
    for missing in ("done", "new", "nobody"):
        assert await source.get("shop", missing) is None
