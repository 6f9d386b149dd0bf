"""A node whose disk runs short, with a real engine on a small file system of its own.

First the images go that nobody uses, then pods; and what is in use stays whatever happens.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.node import eviction, imagegc, machine
from agent.node.eviction import Level, Signal
from agent.node.housekeeping import Housekeeper, Limits
from agent.node.machine import Disk
from agent.node.nodeevents import NodeEvents
from agent.server.interface import PodUsage, Usage
from agent.volumes.mounts import KernelMounter
from tests.engine import Engine, missing, running_engine
from tests.integration.agent.conftest import DIRECTORY, RealNode
from tests.integration.agent.test_pods import FOREVER, delete, shell
from tests.unit.agent.builders import make_pod

MIB = 2**20
SIZE, SPARE = 256 * MIB, 24 * MIB
THRESHOLD = "imagefs.available<30%"


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """An engine whose images and containers have 256 MiB."""
    if reason := missing():
        pytest.skip(reason)
    directory, mounter = DIRECTORY / "short", KernelMounter()
    mounter.unmount(directory)
    directory.mkdir(parents=True, exist_ok=True)
    mounter.tmpfs(directory, size=SIZE)
    try:
        with running_engine(directory / "engine", name="pwt-short") as engine:
            yield engine
    finally:
        mounter.unmount(directory)


class SmallDisk:
    """What the housekeeper looks at: the engine's file system as it is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pressures: frozenset[str] = frozenset()

    def image_disk(self) -> Disk:
        found = machine.disk(self.path)
        assert found is not None
        return found

    def levels(self) -> dict[Signal, Level]:
        disk = self.image_disk()
        return {Signal.IMAGE_DISK: Level(available=disk.available, capacity=disk.total)}

    def images_apart(self) -> bool:
        return True

    def unwritable(self) -> str:
        return self.image_disk().unwritable

    def node(self) -> Usage:
        return Usage(cpu_nanoseconds=0, memory=0, working_set=0)

    def pods(self, *, facts: bool = False) -> list[PodUsage]:
        return []


def layer(size: int) -> bytes:
    """An image's layer that no file system makes smaller."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        entry = tarfile.TarInfo("ballast")
        entry.size = size
        archive.addfile(entry, io.BytesIO(os.urandom(size)))
    return made.getvalue()


def fill(disk: SmallDisk, leave: float) -> Path:
    """Leave this part of the disk."""
    facts = disk.image_disk()
    ballast = disk.path / "ballast"
    ballast.write_bytes(b"x" * int(facts.available - leave * facts.total))
    return ballast


async def test_unused_images_go_before_pods(node: RealNode, engine: Engine) -> None:
    disk = SmallDisk(engine.directory)
    limits = Limits(
        thresholds=[eviction.threshold(THRESHOLD)],
        transition=0.0,
        images=imagegc.Policy(high=85, low=80, least_age=0.0),
    )
    told: list[frozenset[str]] = []
    keeper = Housekeeper(
        node.manager,
        disk,
        disk,
        node.runtime,
        limits,
        events=NodeEvents(node.recorder, "node"),
        clock=node.clock,
        changed=lambda: told.append(disk.pressures),
    )
    node.api.put(make_pod(shell(FOREVER)))
    await node.until(node.ready)
    for number in range(2):
        await node.runtime.import_image(layer(SPARE), f"podwright/spare:{number}")
    ballast = fill(disk, 0.2)
    await keeper.relieve()
    assert told[0] == {"DiskPressure"}
    assert keeper.statistics()["images_removed"] >= 2
    assert keeper.statistics()["pods_evicted"] == 0, "the images were enough"
    assert node.ready()
    assert {tag for image in await node.runtime.list_images() for tag in image.tags} >= {
        "podwright/busybox:1"
    }, "what runs is in use"
    keeper.look()
    assert told[-1] == frozenset()

    ballast.unlink()
    ballast = fill(disk, 0.1)
    await keeper.relieve()
    assert keeper.statistics()["pods_evicted"] == 1
    await node.until(lambda: node.phase() == "Failed")
    status = node.api.pod().status
    assert status.reason == "Evicted"
    assert "low on resource: ephemeral-storage" in status.message
    ballast.unlink()
    await delete(node)
    assert await node.containers() == []
