"""What the housekeeper and the node's status look at: memory, processes, and whose file systems these are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agent.containers.fake import FakeRuntime
from agent.containers.script import FAKE_ENGINE
from agent.node import machine
from agent.node.engine import EngineHealth
from agent.node.eviction import Level, Signal
from agent.node.machine import Disk
from agent.node.network import LateNetwork
from agent.node.observer import NodeObserver
from agent.server.interface import Usage
from base.clock import FakeClock
from tests.unit.agent.test_housekeeping import MIB, Machine
from tests.unit.agent.test_node import IDENTITY


class Disks:
    """File systems as the test has them."""

    def __init__(self, **disks: Disk) -> None:
        self.disks = disks

    def __call__(self, path: Path, *, given_up: bool = False) -> Disk | None:
        return self.disks.get(path.name)


class Used(Machine):
    """What cgroups count of the node."""

    def __init__(self, working_set: int) -> None:
        super().__init__()
        self.working_set = working_set

    def node(self) -> Usage:
        return Usage(cpu_nanoseconds=0, memory=2 * self.working_set, working_set=self.working_set)


def observer(
    monkeypatch: pytest.MonkeyPatch,
    *,
    used: int = 0,
    alone: bool = True,
    memory: int = 4096 * MIB,
    **disks: Disk,
) -> NodeObserver:
    """Of a machine with so much memory, and a node of 4 GiB."""
    clock = FakeClock()
    runtime = FakeRuntime(clock)
    engine = replace(FAKE_ENGINE, root_dir="/var/lib/engine", memory=memory)
    monkeypatch.setattr(machine, "disk", Disks(**disks))
    monkeypatch.setattr(machine, "processes", lambda: (400, 1000))
    monkeypatch.setattr(machine, "available_memory", lambda: 5 * MIB)
    return NodeObserver(
        IDENTITY,
        engine,
        health=EngineHealth(runtime, "pause:1", clock=clock),
        network=LateNetwork(),
        usage=Used(used),
        alone=alone,
        runtime=runtime,
        state_dir=Path("/state"),
        clock=clock,
    )


def test_the_levels_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    small = Disk(total=1000, available=400, inodes=50, inodes_free=7)
    large = Disk(total=5000, available=600, inodes=0, inodes_free=0)
    found = observer(monkeypatch, state=small, engine=large)
    levels = found.levels()
    assert levels[Signal.PIDS] == Level(available=600, capacity=1000)
    assert levels[Signal.NODE_DISK] == Level(available=400, capacity=1000)
    assert levels[Signal.NODE_INODES] == Level(available=7, capacity=50)
    assert levels[Signal.IMAGE_DISK] == Level(available=600, capacity=5000)
    assert levels[Signal.IMAGE_INODES] == Level(available=0, capacity=0)
    assert found.images_apart() and found.unwritable() == ""
    assert found.observe().unwritable == ""


@pytest.mark.parametrize(
    ("used", "alone", "memory", "expected"),
    [
        (96 * MIB, True, 4096 * MIB, 4000 * MIB),
        (5000 * MIB, True, 4096 * MIB, 0),
        (0, True, 4096 * MIB, 5 * MIB),  # nobody counts
        (96 * MIB, False, 4096 * MIB, 5 * MIB),  # pods are not all that runs there
        (96 * MIB, False, 9999 * MIB, 4000 * MIB),  # its capacity was declared
        (0, False, 9999 * MIB, 4096 * MIB),
    ],
)
def test_memory_is_what_the_working_set_leaves_of_the_capacity(
    monkeypatch: pytest.MonkeyPatch, used: int, alone: bool, memory: int, expected: int
) -> None:
    found = observer(monkeypatch, used=used, alone=alone, memory=memory)
    assert found.available_memory() == expected
    assert found.levels()[Signal.MEMORY] == Level(available=expected, capacity=4096 * MIB)


def test_one_file_system_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(total=1000, available=400, inodes=50, inodes_free=7)
    assert not observer(monkeypatch, state=disk, engine=disk).images_apart()
    assert not observer(monkeypatch, state=disk).images_apart(), "the other cannot be asked"


@pytest.mark.parametrize(("state", "engine"), [("bad", "good"), ("good", "bad")])
@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (Disk(total=9, available=0, inodes=1, inodes_free=1), "has no room left"),
        (Disk(total=9, available=5, inodes=1, inodes_free=1, read_only=True), "mounted read-only"),
    ],
)
def test_either_file_system_that_takes_no_writes_is_told(
    monkeypatch: pytest.MonkeyPatch, state: str, engine: str, bad: Disk, words: str
) -> None:
    disks = {"bad": bad, "good": Disk(total=9, available=5, inodes=1, inodes_free=1)}
    found = observer(monkeypatch, state=disks[state], engine=disks[engine])
    path = "/state" if state == "bad" else "/var/lib/engine"
    assert found.unwritable().startswith(f"the file system of {path} ")
    assert words in found.unwritable()
    assert found.observe().unwritable == found.unwritable()


def test_the_mounts_are_read_for_whether_a_disk_takes_writes_and_for_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """There are hundreds of them on a node with many pods, and it looks every ten seconds."""
    clock = FakeClock()
    runtime, asked = FakeRuntime(clock), []

    def given_up(path: Path) -> bool:
        asked.append(path)
        return len(asked) > 1

    monkeypatch.setattr(machine, "_given_up", given_up)
    found = NodeObserver(
        IDENTITY,
        replace(FAKE_ENGINE, root_dir=str(tmp_path)),
        health=EngineHealth(runtime, "pause:1", clock=clock),
        network=LateNetwork(),
        usage=Machine(),
        alone=True,
        runtime=runtime,
        state_dir=tmp_path,
        clock=clock,
    )
    found.levels()
    found.image_disk()
    assert asked == []
    assert found.unwritable() == "" and asked == [tmp_path], "one file system is looked at once"
    assert found.unwritable() == f"the file system of {tmp_path} is mounted read-only"
