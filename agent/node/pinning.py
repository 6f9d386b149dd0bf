"""Keeping containers that share CPUs off those that others have for themselves (step 4 of the pod's walk).

When a pod gets CPUs of its own, everybody else has to leave them, and may come back when it goes. The engine
is told at once, and everything is compared every ten seconds, as the kubelet's CPU manager does.

Concurrency: one task; one call to the engine at a time.
"""

from __future__ import annotations

import logging

from agent.containers.errors import NotFound, RuntimeFailure
from agent.containers.records import ContainerId, ContainerRecord
from agent.pod import names
from agent.pod.alarm import Alarm
from agent.pod.manager import PodManager
from agent.resources.cpumanager import CpuManager

log = logging.getLogger(__name__)

LOOK = 10.0


class Pinning:
    """Applies what the CPU manager decides."""

    def __init__(self, manager: PodManager, cpus: CpuManager) -> None:
        self._manager = manager
        self._cpus = cpus
        self._applied: dict[ContainerId, str] = {}
        agent = manager.agent
        self._alarm = Alarm("CPU sets", clock=agent.clock, guard=agent.guard)
        cpus.on_change = self._alarm.ring

    async def run(self) -> None:
        """Look when something changed, and from time to time, until cancelled."""
        while True:
            await self.apply()
            await self._alarm.wait(LOOK)

    async def apply(self) -> None:
        """Give every running container its set, if it has another one."""
        running: set[ContainerId] = set()
        for uid, worker in list(self._manager.workers.items()):
            for record in list(worker.context.memory.records.values()):
                if record.running and record.labels.get(names.CONTAINER_TYPE) == names.CONTAINER:
                    running.add(record.id)
                    await self._pin(uid, record)
        if self._manager.listed:
            self._cpus.keep(self._manager.workers.keys())
        self._applied = {id: cpus for id, cpus in self._applied.items() if id in running}

    async def _pin(self, uid: str, record: ContainerRecord) -> None:
        wanted = self._cpus.of(uid, record.labels.get(names.CONTAINER_NAME, ""))
        has = self._applied.get(record.id, record.cpus)
        if not wanted or wanted == has:
            return
        try:
            await self._manager.agent.runtime.pin(record.id, wanted)
        except NotFound:
            return
        except RuntimeFailure as error:
            log.warning("container %s keeps the CPUs %s: %s", record.name, has or "all", error)
            return
        self._applied[record.id] = wanted
