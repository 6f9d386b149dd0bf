"""A refused pod is tried again when, and only when, something changed that could help it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.core import ContainerStatus, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod
from api.events import EventRecorder
from api.storage import CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment
from base.clock import SystemClock
from base.tasks import TaskGuard
from control.scheduler.decide import decide
from control.scheduler.filters import feasible
from control.scheduler.hints import Changes, Hints
from control.scheduler.profile import Configuration
from control.scheduler.request import request_of
from control.scheduler.scheduler import Scheduler
from tests.thorough import examples
from tests.unit.controllers.test_volumes import claim
from tests.unit.scheduler import oracle
from tests.unit.scheduler.making import node, pod
from tests.unit.scheduler.test_oracle import KEYS, clusters, pods, snapshot_of

SIZES = st.sampled_from(["1", "3"])
CHANGES = st.sampled_from(["pod left", "pod came", "pod changed", "node came", "node", "node left"])


@given(
    cluster=clusters(), wanted=pods("new"), other=pods("other"), size=SIZES, what=CHANGES,
    where=st.integers(0, 4), labels=st.dictionaries(KEYS, st.sampled_from(["east", "west"])),
    seed=st.integers(0, 9),
)  # fmt: skip
@settings(max_examples=examples(120, long=2000), deadline=None)
def test_what_can_be_placed_now_is_tried_again(
    cluster: oracle.Cluster, wanted: Pod, other: Pod, size: str, what: str, where: int,
    labels: dict[str, str], seed: int,
) -> None:  # fmt: skip
    snapshot, changes = snapshot_of(cluster, seed), Changes()
    wanted.spec.containers[0].resources.requests = {"cpu": size}
    request = request_of(wanted)
    for number in range(where):  # some nodes are full
        full = request_of(pod(f"full-{number}", cpu="2"))
        snapshot.add_pod(full, cluster.nodes[number % len(cluster.nodes)].metadata.name)
    decision = decide(request, snapshot, min)
    if decision.node is not None:
        return
    target = cluster.nodes[where % len(cluster.nodes)]
    name = target.metadata.name
    placed = cluster.placed[where % len(cluster.placed)] if cluster.placed else None
    if what == "pod left" and placed is not None:
        gone = request_of(placed[0])
        snapshot.remove_pod(gone.uid)
        changes.pod(gone, left=placed[1])
    elif what == "pod came":
        snapshot.add_pod(request_of(other), name)
        changes.pod(request_of(other))
    elif what == "pod changed" and placed is not None:
        changes.pod(request_of(placed[0]))
        placed[0].metadata.labels = dict(other.metadata.labels)
        snapshot.add_pod(request_of(placed[0]), placed[1])
        changes.pod(request_of(placed[0]))
    elif what == "node came":
        snapshot.set_node(node("late", labels=labels))
        changes.node("late", labels)
    elif what == "node":
        snapshot.set_node(node(name, labels=labels))
        changes.node(name, {**labels, **target.metadata.labels})
    elif what == "node left":
        snapshot.remove_node(name)
        changes.node(name, target.metadata.labels)
    helps = Hints(changes, snapshot).help(request, decision.rejected_by)
    if feasible(request, snapshot).any():
        assert helps
    elif not (request.terms.near or request.terms.far or request.terms.spread):
        carried = any(request_of(one).terms.far for one, _ in [*cluster.placed, (other, "")])
        assert carried or not helps


class Feed:
    """An informer whose events are made by hand."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Any] = {}
        self.handlers: list[Callable[[Any, Any], None]] = []

    def subscribe(self, handler: Callable[[Any, Any], None]) -> None:
        self.handlers.append(handler)

    def get(self, name: str, namespace: str = "") -> Any:
        return self.objects.get((namespace, name))

    async def synced(self) -> None:
        """It always is."""

    def set(self, obj: Any) -> None:
        key = (obj.metadata.namespace, obj.metadata.name)
        old = self.objects.get(key)
        self.objects[key] = obj
        for handler in self.handlers:
            handler(old, obj)

    def remove(self, obj: Any) -> None:
        old = self.objects.pop((obj.metadata.namespace, obj.metadata.name))
        for handler in self.handlers:
            handler(old, None)


class World:
    """A scheduler over feeds; bindings succeed, and are told as events."""

    def __init__(self) -> None:
        kinds = (
            Pod, Node, Namespace, PersistentVolumeClaim, PersistentVolume, StorageClass, CSINode,
            CSIDriver, CSIStorageCapacity, VolumeAttachment,
        )  # fmt: skip
        self.of: dict[type, Feed] = {kind: Feed() for kind in kinds}
        clock, client, feeds = SystemClock(), self, list(self.of.values())
        self.scheduler = Scheduler(
            client, *feeds[:3], lambda name: EventRecorder(client, name, clock=clock),  # type: ignore[arg-type]
            clock=clock, choose=lambda rows: rows[0],
            configuration=Configuration(first_backoff=0.001, longest_backoff=0.001),
        )  # fmt: skip
        self.scheduler.follow_storage(*feeds[3:])  # type: ignore[arg-type]

    async def create_subresource(self, kind: type, name: str, *_: Any) -> None:
        bound = msgspec.convert(msgspec.to_builtins(self.of[Pod].get(name, "default")), type=Pod)
        bound.spec.node_name = _[-1].target.name
        self.of[Pod].set(bound)

    async def patch(self, *_: Any, **__: Any) -> None:
        """What is said of a pod is of no interest here."""

    async def delete(self, *_: Any, **__: Any) -> None:
        """Who has to leave, leaves when the test says so."""

    def put(self, *objects: Any) -> None:
        for one in objects:
            self.of[type(one)].set(one)

    async def tries(self) -> int:
        """How often it has tried, once it is quiet."""
        tried = -1.0
        while tried != (tried := self.scheduler.statistics()["attempts"]):
            await asyncio.sleep(0.25)
        return int(tried)


HERE = {"kubernetes.io/hostname": "n1"}
SHY = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
    {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"},
]}}  # fmt: skip


def full(name: str = "n1", **more: Any) -> Node:
    return node(name, cpu="2", labels={"kubernetes.io/hostname": name}, **more)


def there(name: str, **more: Any) -> Pod:
    return pod(name, nodeName="n1", **more)


UNRELATED: list[tuple[str, Pod, list[Any]]] = [
    ("a heartbeat", pod("p", cpu="1"), [full(conditions=[{"type": "Ready", "status": "True"}])]),
    ("a node that is too small", pod("p", cpu="1"), [node("n2", cpu="500m")]),
    (
        "a node that it does not tolerate",
        pod("p", cpu="1"),
        [full("n2", taints=[{"key": "k", "effect": "NoSchedule"}])],
    ),
    ("a label that it does not ask for", pod("p", nodeSelector={"a": "b"}), [
        node("n1", cpu="2", labels={**HERE, "c": "d"}),
    ]),
    ("another pod", pod("p", cpu="1"), [there("other")]),
    ("a pod that it does not shun", pod("p", affinity=SHY), [there("q", labels={"app": "db"})]),
    ("a claim that it does not name", pod("p", cpu="1"), [claim(metadata__name="other")]),
    ("a namespace", pod("p", cpu="1"), [
        msgspec.convert({"metadata": {"name": "n", "labels": {"a": "b"}}}, type=Namespace),
    ]),
    ("what another controller says of it", pod("p", cpu="1"), [
        msgspec.convert(
            {**msgspec.to_builtins(pod("p", cpu="1")), "status": {"message": "m"}}, type=Pod
        ),
    ]),
]  # fmt: skip
RELATED: list[tuple[str, Pod, list[Any]]] = [
    ("a node that is large enough", pod("p", cpu="1"), [full("n2")]),
    ("a node that grew", pod("p", cpu="1"), [node("n1", cpu="4", labels=HERE)]),
    ("its label", pod("p", nodeSelector={"a": "b"}), [
        node("n1", cpu="4", labels={**HERE, "a": "b"}),
    ]),
    ("a smaller request", pod("p", cpu="1"), [there("big", cpu="1")]),
    ("its own change", pod("p", cpu="1"), [pod("p")]),
    ("a claim that it names", pod("p", volumes=[
        {"name": "v", "persistentVolumeClaim": {"claimName": "data"}},
    ]), [claim()]),
    ("one that it shuns is another one now", pod("p", affinity=SHY), [
        there("big", cpu="2", labels={"app": "db"}),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("what", "wanted", "events"), UNRELATED, ids=[one[0] for one in UNRELATED])
async def test_nothing_else_wakes_it(what: str, wanted: Pod, events: list[Any]) -> None:
    world = World()
    world.put(full(), there("big", cpu="2", labels={"app": "web"}))
    async with TaskGuard("test") as guard:
        guard.start(world.scheduler.run(), name="scheduler")
        world.put(wanted)
        assert await world.tries() == 1
        world.put(*events)
        assert await world.tries() == 1


@pytest.mark.parametrize(("what", "wanted", "events"), RELATED, ids=[one[0] for one in RELATED])
async def test_what_could_help_wakes_it(what: str, wanted: Pod, events: list[Any]) -> None:
    world = World()
    world.put(full(), there("big", cpu="2", labels={"app": "web"}))
    async with TaskGuard("test") as guard:
        guard.start(world.scheduler.run(), name="scheduler")
        world.put(wanted)
        assert await world.tries() == 1
        world.put(*events)
        assert await world.tries() == 2


async def test_a_pod_that_left_wakes_those_who_fit_and_no_others() -> None:
    world = World()
    big = there("big", cpu="2")
    world.put(full(), big)
    async with TaskGuard("test") as guard:
        guard.start(world.scheduler.run(), name="scheduler")
        world.put(pod("too-big", cpu="3"), pod("fits", cpu="2"))
        assert await world.tries() == 2
        world.of[Pod].remove(big)
        assert await world.tries() == 3
        assert world.of[Pod].get("fits", "default").spec.node_name == "n1"
        world.put(full("n2"), full("n3"))
        assert await world.tries() == 3


def holding(name: str, *, asked: str, held: str) -> Pod:
    """A pod on the node that is being resized."""
    made = there(name, cpu=asked)
    status = {
        "name": "c", "image": "i", "imageID": "", "ready": True, "restartCount": 0, "state": {},
        "allocatedResources": {"cpu": held}, "resources": {"requests": {"cpu": held}},
    }  # fmt: skip
    made.status.container_statuses = [msgspec.convert(status, type=ContainerStatus)]
    return made


async def test_a_pod_that_shrinks_leaves_room_when_it_has_shrunk() -> None:
    world = World()
    world.put(full(), holding("big", asked="2", held="2"))
    async with TaskGuard("test") as guard:
        guard.start(world.scheduler.run(), name="scheduler")
        world.put(pod("p", cpu="1"))
        assert await world.tries() == 1
        world.put(holding("big", asked="1", held="2"))
        assert await world.tries() == 1
        world.put(holding("big", asked="1", held="1"))
        assert await world.tries() == 2
        assert world.of[Pod].get("p", "default").spec.node_name == "n1"


async def test_room_that_is_kept_for_one_wakes_nobody_else() -> None:
    world = World()
    low = [pod(f"low-{name}", cpu="2", nodeName=name, priority=1) for name in ("n1", "n2")]
    world.put(full("n1"), full("n2"), *low)
    async with TaskGuard("test") as guard:
        guard.start(world.scheduler.run(), name="scheduler")
        world.put(*(pod(f"high-{number}", cpu="2", priority=9) for number in range(2)))
        assert await world.tries() == 2
        assert world.scheduler.statistics()["nominated"] == 2
        world.of[Pod].remove(low[0])
        assert await world.tries() == 3
        world.of[Pod].remove(low[1])
        assert await world.tries() == 4
        assert world.scheduler.statistics()["placed"] == 2


async def test_without_nodes_any_node_is_news() -> None:
    world = World()
    async with TaskGuard("test") as guard:
        guard.start(world.scheduler.run(), name="scheduler")
        world.put(pod("p", cpu="1"))
        assert await world.tries() == 1
        world.put(claim(), there("other"))
        assert await world.tries() == 1
        world.put(node("n1", cpu="500m"))
        assert await world.tries() == 2


async def test_many_that_leave_at_once_are_one_look() -> None:
    world = World()
    leaving = [there(f"p-{number}", cpu="10m") for number in range(50)]
    world.put(full(), *leaving)
    async with TaskGuard("test") as guard:
        guard.start(world.scheduler.run(), name="scheduler")
        world.put(*(pod(f"waits-{number}", cpu="2") for number in range(20)))
        assert await world.tries() == 20
        before = world.scheduler.statistics()
        for one in leaving:
            world.of[Pod].remove(one)
        await world.tries()
        after = world.scheduler.statistics()
        assert after["hints_looks"] - before["hints_looks"] <= 3
        assert after["placed"] == 1


async def test_a_place_that_is_no_more_evens_the_rest() -> None:
    """Nobody could be put into the west, and the east must not get ahead of it: until there is none."""
    constraint = {
        "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }  # fmt: skip
    web = {"labels": {"app": "web"}, "topologySpreadConstraints": [constraint]}
    world, west = World(), node("n2", cpu="10m", labels={"zone": "west"})
    world.put(node("n1", labels={"zone": "east"}), west, there("first", **web))
    async with TaskGuard("test") as guard:
        guard.start(world.scheduler.run(), name="scheduler")
        world.put(pod("p", cpu="1", **web))
        assert await world.tries() == 1
        world.of[Node].remove(west)
        assert await world.tries() == 2
        assert world.of[Pod].get("p", "default").spec.node_name == "n1"


async def test_a_claim_for_one_pod_is_free_wherever_that_one_was() -> None:
    """Its node is drained: it takes nobody, but the next pod may go to another one."""
    alone = claim(spec__accessModes=["ReadWriteOncePod"], spec__volumeName="share")
    alone.metadata.annotations["pv.kubernetes.io/bind-completed"] = "yes"
    using = {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]}
    world, first = World(), there("first", **using)
    world.put(alone, full("n1", unschedulable=True), full("n2"), first)
    async with TaskGuard("test") as guard:
        guard.start(world.scheduler.run(), name="scheduler")
        world.put(pod("next", **using))
        assert await world.tries() == 1
        world.of[Pod].remove(first)
        assert await world.tries() == 2
        assert world.of[Pod].get("next", "default").spec.node_name == "n2"
