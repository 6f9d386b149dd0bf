"""A node that runs short: pods are evicted and images removed, over a fake engine and a fake clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.containers.errors import EngineError
from agent.containers.records import ContainerId, ImageRecord
from agent.containers.script import Script
from agent.node import eviction, imagegc
from agent.node.eviction import Level, Signal
from agent.node.housekeeping import Housekeeper, Limits
from agent.node.machine import Disk
from agent.node.nodeevents import NodeEvents
from agent.pod import names
from agent.server.interface import Counters, PodUsage, Usage
from api import conditions
from api.core import EmptyDirVolumeSource, Pod, ResourceRequirements, Toleration, Volume
from api.priorities import CRITICAL_PRIORITY
from tests.unit.agent.builders import asks, container, make_pod, named
from tests.unit.agent.node import Node

MIB = 2**20


class Machine:
    """What the housekeeper looks at, as the test sets it."""

    def __init__(self) -> None:
        self.pressures: frozenset[str] = frozenset()
        self.memory = 1000 * MIB
        self.pids = 1000
        self.used: dict[str, int] = {}
        self.processes: dict[str, int] = {}
        self.told = 0
        self.broken = ""
        self.apart = False

    def levels(self) -> dict[Signal, Level]:
        return {
            Signal.MEMORY: Level(available=self.memory, capacity=1000 * MIB),
            Signal.PIDS: Level(available=self.pids, capacity=1000),
            Signal.NODE_DISK: Level(
                available=self.image_disk().available, capacity=self.image_disk().total
            ),
        }

    def images_apart(self) -> bool:
        return self.apart

    def unwritable(self) -> str:
        return self.broken

    def image_disk(self) -> Disk:
        return Disk(total=1000, available=900, inodes=0, inodes_free=0)

    def node(self) -> Usage:
        return Usage(cpu_nanoseconds=0, memory=0, working_set=0)

    def pods(self, *, facts: bool = False) -> Sequence[PodUsage]:
        return [
            PodUsage(
                namespace="ns",
                name=uid,
                uid=uid,
                started=datetime(2026, 1, 1, tzinfo=UTC),
                usage=Usage(cpu_nanoseconds=0, memory=used, working_set=used),
                containers={"web": Usage(cpu_nanoseconds=0, memory=used, working_set=used)},
                counters=Counters(threads=self.processes.get(uid, 0) if facts else 0),
            )
            for uid, used in self.used.items()
        ]

    def changed(self) -> None:
        self.told += 1


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    node = Node(tmp_path, images=["app:1", "pause:1", "spare:1"])
    await node.boot()
    yield node
    await node.kill()


def keep(node: Node, machine: Machine, *thresholds: str, **more: float) -> Housekeeper:
    made = Housekeeper(
        node.manager,
        machine,
        machine,
        node.runtime,
        Limits(
            thresholds=[eviction.threshold(text) for text in thresholds],
            images=imagegc.Policy(high=85, low=80, least_age=0.0),
            **more,
        ),
        events=NodeEvents(node.recorder, "node"),
        clock=node.clock,
        changed=machine.changed,
    )
    node.guard.start(made.run(), name="housekeeping")
    return made


def asking(name: str, **spec: object) -> Pod:
    return named(name, asks(memory="100Mi"), **spec)


async def test_the_pod_that_uses_most_beyond_its_request_is_evicted(node: Node) -> None:
    machine = Machine()
    for name in ("modest", "glutton"):
        node.api.put(asking(name))
    await node.run(5)
    machine.used = {"modest": 90 * MIB, "glutton": 800 * MIB}
    machine.memory = 50 * MIB
    keeper = keep(node, machine, "memory.available<100Mi")

    await node.run(11)

    assert node.told("glutton") == ("Failed", "Evicted")
    assert node.told("modest") == ("Running", "")
    status = node.api.pod("glutton").status
    assert status.message == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "
        "Container web was using 800Mi, request is 100Mi, has larger consumption of memory. "
    )
    told = dict(zip(node.recorder.reasons(), node.recorder.annotations, strict=True))["Evicted"]
    assert (told["starved_resource"], told["offending_containers_usage"]) == ("memory", "800Mi")
    target = conditions.find(status.conditions, "DisruptionTarget")
    assert target is not None
    assert (target.status, target.reason) == ("True", "TerminationByKubelet")
    assert machine.pressures == {"MemoryPressure"}
    assert machine.told == 1
    assert set(node.recorder.messages("EvictionThresholdMet")) == {"Attempting to reclaim memory"}
    assert keeper.statistics()["pods_evicted"] == 1

    machine.memory = 500 * MIB
    await node.run(320)
    assert machine.pressures == frozenset()
    assert node.told("modest") == ("Running", "")


async def test_of_processes_the_pod_goes_that_has_most(node: Node) -> None:
    machine = Machine()
    for name in ("a", "b"):
        node.api.put(asking(name))
    await node.run(5)
    machine.used, machine.processes, machine.pids = {"a": 9, "b": 1}, {"a": 2, "b": 900}, 10
    keeper = keep(node, machine, "pid.available<5%")
    await node.run(11)
    assert node.told("b") == ("Failed", "Evicted")
    assert node.told("a") == ("Running", "")
    assert node.api.pod("b").status.message == (
        "The node was low on resource: pids. Threshold quantity: 50, available: 10. "
    )
    assert (machine.pressures, dict(keeper.evictions)) == ({"PIDPressure"}, {"pid.available": 1})


async def test_one_at_a_time_and_the_next_only_when_the_first_is_gone(node: Node) -> None:
    machine = Machine()
    node.runtime.scripts["web"] = Script(term_seconds=25.0)
    for name in ("first", "second"):
        node.api.put(asking(name))
    await node.run(5)
    machine.used = {"first": 800 * MIB, "second": 700 * MIB}
    machine.memory = 50 * MIB
    keep(node, machine, "memory.available<100Mi")

    await node.run(13)
    assert [node.told(name)[0] for name in ("first", "second")] == ["Failed", "Running"]
    await node.run(10)
    assert node.told("second") == ("Failed", "Evicted")


@pytest.mark.parametrize("preempted", [False, True])
async def test_a_pod_that_does_not_end_keeps_nobody_from_going(
    node: Node, monkeypatch: pytest.MonkeyPatch, preempted: bool
) -> None:
    machine = Machine()
    for name in ("hung", "second"):
        node.api.put(asking(name))
    await node.run(5)
    (hung,) = [r for r in node.containers("web") if r.labels[names.POD_UID] == "hung"]
    kill = node.runtime.kill

    async def unheard(id: ContainerId, *, signal: str = "SIGKILL") -> None:
        if id != hung.id:
            await kill(id, signal=signal)

    monkeypatch.setattr(node.runtime, "kill", unheard)
    machine.used = {"hung": 800 * MIB, "second": 700 * MIB}
    machine.memory = 50 * MIB
    keep(node, machine, "memory.available<100Mi")
    if preempted:
        node.manager.workers["hung"].preempt()
    await node.run(31)
    assert node.told("second") == ("Running", ""), "the first may still end"
    await node.run(60)
    assert node.told("second") == ("Failed", "Evicted")
    assert [r.id for r in node.containers("web") if r.running] == [hung.id]


async def test_critical_pods_stay_whatever_happens(node: Node) -> None:
    machine = Machine()
    node.api.put(asking("system", priority=CRITICAL_PRIORITY))
    node.manager.set_static({"static": asking("static")})
    claims = asking("claims")
    claims.metadata.annotations = {"kubernetes.io/config.source": "file"}
    node.api.put(claims)
    await node.run(5)
    machine.used = {"system": 900 * MIB, "static": 950 * MIB, "claims": 200 * MIB}
    machine.memory = 10 * MIB
    keep(node, machine, "memory.available<100Mi")
    await node.run(60)
    assert node.told("system") == ("Running", "")
    assert node.manager.workers["static"].reported.phase == "Running"
    assert node.told("claims") == ("Failed", "Evicted"), "anybody may write that"


@pytest.mark.parametrize(
    ("own", "longest", "expected"),
    [(None, 0, 0), (60, 0, 0), (None, 40, 30), (60, 20, 20), (5, 20, 5), (0, 20, 0)],
)
async def test_who_goes_for_a_soft_threshold_has_its_grace(
    node: Node, own: int | None, longest: float, expected: float
) -> None:
    machine = Machine()
    node.api.put(asking("web", termination_grace_period_seconds=own))
    await node.run(5)
    machine.used, machine.memory = {"web": 900 * MIB}, 150 * MIB
    keeper = keep(node, machine, longest_grace=longest)
    soft = eviction.Threshold(signal=Signal.MEMORY, least=eviction.Amount(200 * MIB), grace=25.0)
    keeper._limits = replace(keeper._limits, thresholds=[soft])
    await node.run(31)
    assert machine.pressures == {"MemoryPressure"}, "at once, as the scheduler should know"
    assert node.told("web") == ("Running", "")
    await node.run(10)
    evicted = node.manager.workers["web"].context.memory.eviction
    assert evicted is not None and evicted.grace == expected
    assert node.told("web") == ("Failed", "Evicted")


async def test_a_short_disk_loses_unused_images_before_pods(node: Node) -> None:
    machine = Machine()
    node.api.put(asking("web"))
    await node.run(5)
    keep(node, machine, "nodefs.available<10%")

    def disk() -> Disk:
        freed = any(call == "remove_image" for call, _ in node.runtime.calls)
        return Disk(total=1000, available=500 if freed else 50, inodes=0, inodes_free=0)

    machine.image_disk = disk  # type: ignore[method-assign]
    await node.run(12)

    left = {tag for image in await node.runtime.list_images() for tag in image.tags}
    assert left == {"app:1", "pause:1"}, "what is in use stays"
    assert node.told("web") == ("Running", "")
    assert machine.pressures == {"DiskPressure"}


async def test_a_short_disk_loses_what_finished_pods_left_before_pods(node: Node) -> None:
    """Their containers, and the images that only they used; those of pods that go on stay."""
    machine = Machine()
    node.runtime.scripts["job"] = Script(run_for=1)
    node.api.put(asking("web"))
    node.api.put(named("job", container("job", image="spare:1"), policy="Never"))
    await node.run(5)
    assert node.told("job")[0] == "Succeeded"
    assert len(node.containers("job")) == 1
    keeper = keep(node, machine)
    await keeper.remove_images(everything=True)
    assert await node.runtime.image("spare:1") is not None, "its container is still there"

    def disk() -> Disk:
        there = bool(node.containers("job"))
        return Disk(total=1000, available=50 if there else 500, inodes=0, inodes_free=0)

    machine.image_disk = disk  # type: ignore[method-assign]
    keep(node, machine, "nodefs.available<10%")
    await node.run(12)

    assert node.containers("job") == []
    assert await node.runtime.image("spare:1") is None
    assert node.told("web") == ("Running", "")
    assert node.recorder.messages("EvictionThresholdMet") == [
        "Attempting to reclaim ephemeral-storage"
    ]


@pytest.mark.parametrize(
    ("signal", "apart", "gone", "kept"),
    [
        (Signal.NODE_DISK, False, "layers", "volumes"),
        (Signal.NODE_DISK, True, "volumes", "layers"),
        (Signal.IMAGE_DISK, True, "layers", "volumes"),
    ],
)
async def test_an_engine_with_a_file_system_of_its_own(
    node: Node, signal: Signal, apart: bool, gone: str, kept: str
) -> None:
    """Whoever has most where the shortage is goes; images only go where that helps."""
    machine = Machine()
    machine.apart = apart
    scratch = Volume(name="scratch", empty_dir=EmptyDirVolumeSource())
    node.runtime.scripts["fat"] = Script(disk_usage=200_000)
    for name, program in (("layers", "fat"), ("volumes", "web")):
        node.api.put(named(name, container(program), volumes=[scratch]))
    await node.run(5)
    folder = node.directory / "pods" / "volumes" / "volumes" / "scratch"
    (folder / "dump").write_bytes(b"x" * 50_000)
    level = Level(available=10, capacity=1000)
    machine.levels = lambda: {signal: level}  # type: ignore[method-assign]
    keep(node, machine, f"{signal}<10%")
    await node.run(12)
    assert node.told(gone) == ("Failed", "Evicted")
    assert node.told(kept) == ("Running", "")
    spare = await node.runtime.image("spare:1")
    assert (spare is not None) == (apart and signal is Signal.NODE_DISK)


async def test_containers_that_cannot_be_removed_do_not_keep_pods_from_going(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine()
    node.runtime.scripts["job"] = Script(run_for=1)
    node.api.put(asking("web"))
    node.api.put(named("job", container("job"), policy="Never"))
    await node.run(5)

    async def refuse(id: str) -> None:
        raise EngineError("device or resource busy")

    monkeypatch.setattr(node.runtime, "remove", refuse)
    machine.image_disk = lambda: Disk(total=1000, available=50, inodes=0, inodes_free=0)  # type: ignore[method-assign]
    keep(node, machine, "nodefs.available<10%")
    await node.run(30)
    assert node.told("web") == ("Failed", "Evicted")


async def test_images_that_are_not_enough_are_told_of(node: Node) -> None:
    machine = Machine()
    keeper = keep(node, machine)
    machine.image_disk = lambda: Disk(  # type: ignore[method-assign]
        total=20 * 2**30, available=2**30, inodes=0, inodes_free=0
    )
    node.api.put(asking("web"))
    await node.run(5)
    await keeper.remove_images()
    (first,) = node.recorder.messages("FreeDiskSpaceFailed")
    assert first == (
        "Insufficient free disk space on the node's image filesystem (95% of 20.0 GiB used). Failed "
        f"to free sufficient space by deleting unused images (freed {keeper._freed} bytes). "
        "Investigate disk usage, as it could be used by active images, logs, volumes, or other data."
    )
    assert node.recorder.messages("ImageGCFailed") == [], "the next time may do"
    await keeper.remove_images()
    assert len(node.recorder.messages("ImageGCFailed")) == 1
    machine.image_disk = lambda: Disk(total=0, available=0, inodes=0, inodes_free=0)  # type: ignore[method-assign]
    await keeper.remove_images()
    assert node.recorder.messages("InvalidDiskCapacity") == [
        "invalid capacity 0 on image filesystem"
    ]


async def test_the_sandboxes_image_stays_though_no_pod_is_there(node: Node) -> None:
    housekeeper = keep(node, Machine())
    await housekeeper.remove_images()
    await node.run(1)
    await housekeeper.remove_images(everything=True)
    left = {tag for image in await node.runtime.list_images() for tag in image.tags}
    assert left == {"pause:1"}


async def test_an_image_that_is_asked_for_while_unused_ones_go(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `imagePullPolicy: Never` nothing would bring it back."""
    housekeeper = keep(node, Machine())
    await housekeeper.remove_images()  # it has seen them
    remove = node.runtime.remove_image

    async def slowly(reference: str) -> None:
        await node.clock.sleep(5)
        await remove(reference)

    monkeypatch.setattr(node.runtime, "remove_image", slowly)
    removing = node.guard.start(housekeeper.remove_images(everything=True), name="removing")
    await node.run(1)
    wanted = make_pod(container(image="spare:1", image_pull_policy="Never"))
    node.api.put(wanted)
    await node.run(30)
    assert removing.done()
    calls = [what for call, what in node.runtime.calls if call == "remove_image"]
    spare = await node.runtime.image("spare:1")
    if spare is None:  # its turn was over: it is gone before the pod sees it
        (status,) = node.api.pod().status.container_statuses
        assert status.state.waiting is not None
        assert status.state.waiting.reason == "ErrImageNeverPull"
        assert ("create", "web") not in node.runtime.calls
    else:
        assert node.names() == ["POD", "web"] and str(spare.id) not in calls


async def test_an_image_is_held_while_its_pod_looks_for_it(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    housekeeper = keep(node, Machine())
    await housekeeper.remove_images()
    look = node.runtime.image

    async def slowly(reference: str) -> ImageRecord | None:
        found = await look(reference)
        await node.clock.sleep(2)  # the answer is on its way
        return found

    monkeypatch.setattr(node.runtime, "image", slowly)
    node.api.put(make_pod(container(image="spare:1", image_pull_policy="Never")))
    await node.run(1)
    await housekeeper.remove_images(everything=True)
    await node.run(10)
    assert node.names() == ["POD", "web"]


async def test_who_fills_its_volume_goes_whatever_room_there_is(node: Node) -> None:
    machine = Machine()
    scratch = Volume(name="scratch", empty_dir=EmptyDirVolumeSource(size_limit="10Ki"))
    node.api.put(asking("writer", volumes=[scratch]))
    node.api.put(asking("critical", volumes=[scratch], priority=CRITICAL_PRIORITY))
    await node.run(5)
    keep(node, machine)
    await node.run(15)
    assert node.told("writer") == ("Running", "")

    for name in ("writer", "critical"):
        folder = node.directory / "pods" / name / "volumes" / "scratch"
        (folder / "dump").write_bytes(b"x" * 20_000)
    await node.run(15)

    assert node.told("critical") == ("Running", ""), "such a pod is never evicted"
    assert node.told("writer") == ("Failed", "Evicted")
    assert (
        'EmptyDir volume "scratch" exceeds the limit "10Ki"'
        in node.api.pod("writer").status.message
    )


async def test_a_node_under_pressure_takes_no_new_pods(node: Node) -> None:
    machine = Machine()
    node.api.put(asking("early"))
    await node.run(5)
    machine.broken = "the file system of /var is mounted read-only"
    keep(node, machine)
    await node.run(11)
    assert machine.pressures == {"DiskPressure"}

    node.api.put(asking("late"))
    node.api.put(asking("critical", priority=CRITICAL_PRIORITY))
    await node.run(5)
    assert node.told("late") == ("Failed", "Evicted")
    words = "The node had condition: [DiskPressure]. "
    assert node.api.pod("late").status.message == f"Pod was rejected: {words}"
    assert words in node.recorder.messages("Evicted")
    assert node.told("critical") == ("Running", "")
    assert node.told("early") == ("Running", ""), "an eviction would not help"
    await node.kill()
    await node.boot()
    node.manager.pressures = frozenset({"DiskPressure"})
    await node.run(5)
    assert node.told("early") == ("Running", ""), "what runs is not new to a new agent"
    assert node.told("late") == ("Failed", "Evicted")

    machine.broken = ""
    keep(node, machine)
    await node.run(11)
    node.api.put(asking("later"))
    await node.run(5)
    assert node.told("later") == ("Running", "")


TOLERANT = Toleration(key="node.kubernetes.io/memory-pressure", operator="Exists")
ASKS = ResourceRequirements(requests={"memory": "1Mi"})
ADMITTED = [
    (make_pod(container()), set(), True),
    (make_pod(container()), {"MemoryPressure"}, False),
    (make_pod(container(), tolerations=[TOLERANT]), {"MemoryPressure"}, True),
    (make_pod(container(resources=ASKS)), {"MemoryPressure"}, True),
    (make_pod(container(resources=ASKS)), {"DiskPressure"}, False),
    (make_pod(container(resources=ASKS)), {"PIDPressure", "MemoryPressure"}, False),
    (make_pod(container(), priority=CRITICAL_PRIORITY), {"PIDPressure"}, True),
]


@pytest.mark.parametrize(("pod", "pressures", "admitted"), ADMITTED)
def test_who_is_let_in(pod: Pod, pressures: set[str], admitted: bool) -> None:
    said = eviction.refusal(pod, pressures)
    assert (said == "") is admitted
    if said:
        assert said == f"The node had condition: [{' '.join(sorted(pressures))}]. "
