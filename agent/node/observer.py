"""Looking at the node itself: memory, disks, processes, engine, network, images.

Feeds `nodestatus.py`. What is cheap is read when asked; the image list, which is not, once a minute.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from agent.containers.errors import RuntimeFailure
from agent.containers.interface import Runtime
from agent.containers.records import EngineInfo, ImageRecord
from agent.node import machine
from agent.node.engine import EngineHealth
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
        runtime: Runtime,
        state_dir: Path,
        clock: Clock,
    ) -> None:
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
        self.range_error = ""
        """Why the network is no good although it is up."""

    def observe(self) -> NodeObserved:
        """The node now."""
        return NodeObserved(
            engine_away_for=self._health.away_for,
            engine_error=self._health.error,
            network_ready=self._network.ready and not self.range_error,
            network_error=self.range_error or ("" if self._network.ready else self.network_error),
            memory_available=self._available(),
            node_disk=machine.disk(self._state_dir),
            image_disk=machine.disk(Path(self._engine.root_dir)),
            pids=machine.processes(),
            images=self._images,
        )

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

    def _available(self) -> int:
        """On a machine that is shared with other nodes, what is left of the declared capacity."""
        if not self._declared:
            return machine.available_memory()
        return self._memory - self._usage.node().working_set
