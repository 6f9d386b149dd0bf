"""When the node is short, who goes, and what is said: thresholds, ranking, words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.containers.records import ImageId, ImageRecord
from agent.node import eviction, imagegc
from agent.node.diskusage import PodDisk, over_limit, tree
from agent.node.eviction import Amount, Candidate, History, Level, Shortage, Signal, Threshold
from agent.node.machine import Disk
from api.core import EmptyDirVolumeSource, ResourceRequirements, Volume
from tests.unit.agent.builders import container, make_pod

MEMORY = eviction.threshold("memory.available<100")
SOFT = Threshold(signal=Signal.MEMORY, least=Amount(200), grace=30.0)
DISK = eviction.threshold("nodefs.available<10%")


def memory(available: int) -> dict[Signal, Level]:
    return {Signal.MEMORY: Level(available=available, capacity=1000)}


@pytest.mark.parametrize(
    ("text", "signal", "least"),
    [
        ("memory.available<100Mi", Signal.MEMORY, 100 * 2**20),
        ("nodefs.available<10%", Signal.NODE_DISK, 100),
        ("nodefs.inodesFree<5%", Signal.NODE_INODES, 50),
        ("pid.available<100", Signal.PIDS, 100),
    ],
)
def test_thresholds_are_read(text: str, signal: Signal, least: int) -> None:
    read = eviction.threshold(text)
    assert (read.signal, read.least.of(1000)) == (signal, least)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("memory<100Mi", "expected SIGNAL<AMOUNT with one of memory.available"),
        ("memory.available>100Mi", "expected SIGNAL<AMOUNT"),
        ("memory.available<101%", "expected a percentage from 0% to 100%"),
        ("memory.available<-1%", "expected a percentage from 0% to 100%"),
        ("memory.available<some%", "expected a percentage from 0% to 100%"),
        ("memory.available<much", "expected an amount such as 100Mi"),
        ("memory.available<-1Mi", "expected an amount above 0"),
        ("memory.available<0", "expected an amount above 0"),
    ],
)
def test_what_is_no_threshold(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why.replace("<", "<")):
        eviction.threshold(text)


@pytest.mark.parametrize("off", ["0%", "100%"])
def test_a_threshold_that_is_switched_off_is_never_met(off: str) -> None:
    """The documented way to be without one of the defaults."""
    switched_off = eviction.threshold(f"memory.available<{off}")
    history, short = eviction.look([switched_off], memory(0), History(), 0.0)
    assert short == [] and eviction.pressures(history, 0.0, transition=300) == frozenset()


def test_a_hard_threshold_acts_at_once_and_a_soft_one_after_its_grace() -> None:
    history, short = eviction.look([MEMORY, SOFT], memory(150), History(), 0.0)
    assert short == []
    history, short = eviction.look([MEMORY, SOFT], memory(150), history, 29.0)
    assert short == []
    history, short = eviction.look([MEMORY, SOFT], memory(150), history, 30.0)
    assert [one.threshold for one in short] == [SOFT]
    _, short = eviction.look([MEMORY, SOFT], memory(90), history, 31.0)
    assert [one.threshold for one in short] == [MEMORY, SOFT]


def test_a_soft_threshold_that_was_not_met_in_between_begins_anew() -> None:
    history, _ = eviction.look([SOFT], memory(150), History(), 0.0)
    history, _ = eviction.look([SOFT], memory(500), history, 20.0)
    _, short = eviction.look([SOFT], memory(150), history, 40.0)
    assert short == []


@pytest.mark.parametrize("reclaim", [Amount(50), Amount(fraction=0.05)])
def test_what_is_to_be_reclaimed_keeps_a_shortage_going(reclaim: Amount) -> None:
    wanting = Threshold(signal=Signal.MEMORY, least=Amount(100), reclaim=reclaim)
    _, short = eviction.look([wanting], memory(120), History(), 0.0)
    assert short == []
    history, short = eviction.look([wanting], memory(90), History(), 0.0)
    assert short
    history, short = eviction.look([wanting], memory(120), history, 1.0)
    assert short
    history, short = eviction.look([wanting], memory(160), history, 2.0)
    assert short == []
    _, short = eviction.look([wanting], memory(120), history, 3.0)
    assert short == []


def test_a_pressure_stays_for_a_while() -> None:
    history, _ = eviction.look([MEMORY], memory(50), History(), 0.0)
    assert eviction.pressures(history, 0.0, transition=300) == {"MemoryPressure"}
    history, _ = eviction.look([MEMORY], memory(500), history, 10.0)
    assert eviction.pressures(history, 299.0, transition=300) == {"MemoryPressure"}
    assert eviction.pressures(history, 300.0, transition=300) == frozenset()


def test_a_file_system_without_inodes_is_never_short_of_them() -> None:
    inodes = eviction.threshold("nodefs.inodesFree<5%")
    levels = {Signal.NODE_INODES: Level(available=0, capacity=0)}
    assert eviction.look([inodes], levels, History(), 0.0)[1] == []
    assert eviction.look([inodes], {}, History(), 0.0)[1] == []


def test_memory_is_looked_after_before_the_disk() -> None:
    levels = memory(10) | {Signal.NODE_DISK: Level(available=1, capacity=100)}
    _, short = eviction.look([DISK, MEMORY], levels, History(), 0.0)
    assert [one.threshold.signal for one in short] == [Signal.MEMORY, Signal.NODE_DISK]


def candidate(
    uid: str, used: int, requested: int = 0, *, priority: int = 0, critical: bool = False
) -> Candidate:
    return Candidate(
        uid=uid,
        priority=priority,
        critical=critical,
        used={"memory": used},
        requested={"memory": requested},
    )


def test_who_goes_first() -> None:
    ranked = eviction.rank(
        [
            candidate("modest", used=50, requested=100),
            candidate("important glutton", used=900, requested=100, priority=10),
            candidate("small glutton", used=200, requested=100),
            candidate("large glutton", used=500, requested=100),
            candidate("system", used=999, critical=True),
            candidate("modest and important", used=99, requested=100, priority=10),
        ],
        Signal.MEMORY,
    )
    assert [one.uid for one in ranked] == [
        "large glutton",
        "small glutton",
        "important glutton",
        "modest",
        "modest and important",
    ]


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 2), st.booleans()),
        max_size=8,
    )
)
def test_whoever_keeps_to_its_request_outlives_all_who_do_not(
    facts: list[tuple[int, int, int, bool]],
) -> None:
    made = [
        candidate(str(n), used, asked, priority=priority, critical=critical)
        for n, (used, asked, priority, critical) in enumerate(facts)
    ]
    ranked = eviction.rank(made, Signal.MEMORY)
    assert {one.uid for one in ranked} == {one.uid for one in made if not one.critical}
    over = [one.above_request("memory") > 0 for one in ranked]
    assert over == sorted(over, reverse=True)


def test_what_the_pod_is_told() -> None:
    shortage = Shortage(
        threshold=eviction.threshold("memory.available<100Mi"),
        level=Level(available=50 * 2**20, capacity=2**30),
    )
    usage = [("web", 300 * 2**20, 100 * 2**20), ("side", 1, 2)]
    assert eviction.told(shortage, usage) == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "
        "Container web was using 300Mi, request is 100Mi, has larger consumption of memory. "
    )
    assert eviction.noted(shortage, [*usage, ("more", 2**20, 0)]) == {
        "starved_resource": "memory",
        "offending_containers": "web,more",
        "offending_containers_usage": "300Mi,1Mi",
    }


# Images.


def image(name: str, size: int = 100) -> ImageRecord:
    return ImageRecord(id=ImageId(name), tags=(name,), digests=(), size=size)


HALF = Disk(total=1000, available=500, inodes=0, inodes_free=0)
FULL = Disk(total=1000, available=100, inodes=0, inodes_free=0)
POLICY = imagegc.Policy(high=85, low=80, least_age=120.0)


def remembered(*steps: tuple[float, list[str], list[str]]) -> dict[ImageId, imagegc.Known]:
    memory: dict[ImageId, imagegc.Known] = {}
    for now, there, used in steps:
        memory = imagegc.look(memory, [image(n) for n in there], {ImageId(n) for n in used}, now)
    return memory


def chosen(
    memory: imagegc.Memory, used: list[str], disk: Disk, now: float, **more: object
) -> list[str]:
    images = [image(str(id)) for id in memory]
    policy = more.pop("policy", POLICY)
    verdict = imagegc.choose(
        memory,
        images,
        {ImageId(n) for n in used},
        disk,
        policy,  # type: ignore[arg-type]
        now,
        **more,  # type: ignore[arg-type]
    )
    return [str(one.id) for one in verdict.remove]


def test_with_room_nothing_goes() -> None:
    assert chosen(remembered((0, ["a", "b"], [])), [], HALF, 1000.0) == []


def test_the_least_recently_used_goes_first_and_only_as_many_as_needed() -> None:
    memory = remembered((0, ["a", "b", "c"], ["a", "b"]), (50, ["a", "b", "c"], ["b"]))
    # 90 % are taken; 100 bytes bring it down to 80 %.
    assert chosen(memory, [], FULL, 1000.0) == ["a"]
    tighter = imagegc.Policy(high=85, low=60, least_age=120.0)
    assert chosen(memory, [], FULL, 1000.0, policy=tighter) == ["a", "c", "b"]


def test_what_is_in_use_or_new_stays_even_when_all_is_to_go() -> None:
    memory = remembered((0, ["old", "used"], []), (950, ["old", "used", "new"], []))
    assert chosen(memory, ["used"], FULL, 1000.0, everything=True) == ["old"]


def test_images_that_nobody_uses_for_long_go_with_room_left() -> None:
    aged = imagegc.Policy(least_age=120.0, unused_age=500.0)
    memory = remembered((0, ["a", "b"], []), (600, ["a", "b"], ["b"]))
    assert chosen(memory, [], HALF, 1000.0, policy=aged) == ["a"]


def test_at_100_percent_images_are_nobodys_business() -> None:
    never = imagegc.Policy(high=100, low=80)
    brim = Disk(total=1000, available=0, inodes=0, inodes_free=0)
    assert chosen(remembered((0, ["a"], [])), [], brim, 1000.0, policy=never) == []


# The disk.


def limited(limit: str) -> ResourceRequirements:
    return ResourceRequirements(limits={"ephemeral-storage": limit})


SCRATCH = Volume(name="scratch", empty_dir=EmptyDirVolumeSource(size_limit="1Ki"))


@pytest.mark.parametrize(
    ("pod", "disk", "why"),
    [
        (make_pod(volumes=[SCRATCH]), PodDisk(volumes={"scratch": 1024}), ""),
        (
            make_pod(volumes=[SCRATCH]),
            PodDisk(volumes={"scratch": 1025}),
            'Usage of EmptyDir volume "scratch" exceeds the limit "1Ki". ',
        ),
        (
            make_pod(container(resources=limited("1Ki"))),
            PodDisk(containers={"web": 2048}),
            'Container web exceeded its local ephemeral storage limit "1Ki". ',
        ),
        (
            make_pod(container(resources=limited("1Ki"))),
            PodDisk(containers={"web": 1000}, volumes={"scratch": 1000}),
            "Pod ephemeral local storage usage exceeds the total limit of containers 1Ki. ",
        ),
        (
            make_pod(container(resources=limited("1Ki")), container("free")),
            PodDisk(containers={"web": 10, "free": 2000}),
            "Pod ephemeral local storage usage exceeds the total limit of containers 1Ki. ",
        ),
        (make_pod(), PodDisk(containers={"web": 10**12}), ""),
    ],
)
def test_who_uses_more_of_the_disk_than_it_may(pod, disk: PodDisk, why: str) -> None:  # type: ignore[no-untyped-def]
    assert over_limit(pod, disk) == why


def test_a_tree_is_measured_without_following_links_or_counting_twice(tmp_path) -> None:  # type: ignore[no-untyped-def]
    outside = tmp_path / "outside"
    outside.write_bytes(b"x" * 100_000)
    root = tmp_path / "root"
    (root / "deep").mkdir(parents=True)
    (root / "deep" / "file").write_bytes(b"x" * 50_000)
    (root / "same").hardlink_to(root / "deep" / "file")
    (root / "link").symlink_to(outside)
    size, inodes = tree(root)
    assert 50_000 <= size < 80_000
    assert inodes == 3
    assert tree(tmp_path / "nowhere") == (0, 0)
