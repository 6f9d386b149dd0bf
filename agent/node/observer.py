"""Looking at the node itself: memory, disks, processes, engine, network, images.

Feeds `nodestatus.py`. What is cheap is read when asked; the image list, which is not, once a minute.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from agent.containers.errors import RuntimeFailure
from agent.containers.interface import Runtime
from agent.containers.records import EngineInfo, ImageRecord
from agent.node import machine
from agent.node.engine import EngineHealth
from agent.node.eviction import Level, Signal
from agent.node.network import LateNetwork
from agent.node.nodestatus import NodeIdentity, NodeObserved
from agent.server.interface import UsageSource
from api import quantity
from base.clock import Clock

log = logging.getLogger(__name__)

IMAGES_EVERY = 60.0
NETWORK_PENDING = "network is not ready: the node has no pod range yet (spec.podCIDR of the Node)"


class NodeObserver:
    """Makes `NodeObserved`."""

    def __init__(
        self,
        identity: NodeIdentity,
        engine: EngineInfo,
        *,
        health: EngineHealth,
        network: LateNetwork,
        usage: UsageSource,
        alone: bool,
        runtime: Runtime,
        state_dir: Path,
        clock: Clock,
    ) -> None:
        """`alone`: the machine is this node, and `usage` tells of all of it."""
        self._alone = alone
        self._memory = quantity.value(identity.capacity["memory"])
        self._declared = self._memory < engine.memory // 1024 * 1024
        self._engine = engine
        self._health = health
        self._network = network
        self._usage = usage
        self._runtime = runtime
        self._state_dir = state_dir
        self._clock = clock
        self._images: Sequence[ImageRecord] = ()
        self.network_error = NETWORK_PENDING
        self.pressures: frozenset[str] = frozenset()
        """What the housekeeper found; reported as conditions."""
        self.shutting_down = False
        self.range_error = ""
        """Why the network is no good although it is up."""

    def observe(self) -> NodeObserved:
        """The node now."""
        return NodeObserved(
            engine_away_for=self._health.away_for,
            engine=self._health.state,
            unwritable=self.unwritable(),
            engine_error=self._health.error,
            network_ready=self._network.ready and not self.range_error,
            network_error=self.range_error or ("" if self._network.ready else self.network_error),
            shutting_down=self.shutting_down,
            pressures=self.pressures,
            images=self._images,
        )

    def levels(self) -> dict[Signal, Level]:
        """How much of everything is left; file systems that make inodes as they go have none to count."""
        running, most = machine.processes()
        found = {
            Signal.MEMORY: Level(available=self.available_memory(), capacity=self._memory),
            Signal.PIDS: Level(available=most - running, capacity=most),
        }
        for disk, room, inodes in (
            (machine.disk(self._state_dir), Signal.NODE_DISK, Signal.NODE_INODES),
            (self.image_disk(), Signal.IMAGE_DISK, Signal.IMAGE_INODES),
        ):
            if disk is not None:
                found[room] = Level(available=disk.available, capacity=disk.total)
                found[inodes] = Level(available=disk.inodes_free, capacity=disk.inodes)
        return found

    def available_memory(self) -> int:
        """Bytes that pods could get: the capacity without the working set, as the cgroups count it
        ("Node-pressure Eviction"), so without what the kernel could free only by swapping or writing.
        Without a memory controller the kernel's own guess; on a shared machine, too, unless the node's
        capacity was declared: then what is left of that.
        """
        used = self._usage.node().working_set if self._alone or self._declared else 0
        if not (used or self._declared):
            return machine.available_memory()
        return max(0, self._memory - used)

    def unwritable(self) -> str:
        """Which of the node's file systems takes no writes, and why."""
        seen = set()
        for path in (self._state_dir, Path(self._engine.root_dir)):
            with suppress(OSError):
                if (device := path.stat().st_dev) in seen:
                    continue
                seen.add(device)
            disk = machine.disk(path, given_up=True)
            if disk is not None and disk.unwritable:
                return f"the file system of {path} {disk.unwritable}"
        return ""

    def image_disk(self) -> machine.Disk | None:
        """The file system of the engine's images."""
        return machine.disk(Path(self._engine.root_dir))

    def images_apart(self) -> bool:
        """Whether the engine has a file system of its own: what it frees helps nobody else then. By size,
        because subvolumes of one file system call themselves different devices."""
        own, images = machine.disk(self._state_dir), self.image_disk()
        return own is not None and images is not None and own.total != images.total

    async def refresh(self) -> None:
        """Read the image list anew, if the engine answers."""
        try:
            self._images = await self._runtime.list_images()
        except RuntimeFailure as error:
            log.debug("images cannot be listed: %s", error)

    async def refresh_forever(self) -> None:
        while True:
            await self._clock.sleep(IMAGES_EVERY)
            await self.refresh()
