"""Which pages the agent's web server has besides its own, and what the node's summary tells of the machine.

Puts the parts of the agent and the pure pages of `agent/server/pages` together; everything is read when
it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent.containers.records import EngineInfo
from agent.node import machine
from agent.node.daemons import Daemons
from agent.node.diskfigures import DiskFigures
from agent.node.housekeeping import Housekeeper
from agent.node.nodestatus import NodeIdentity
from agent.node.observer import NodeObserver
from agent.node.shutdown import NodeShutdown
from agent.pod.lookup import Pods
from agent.pod.manager import PodManager
from agent.pod.mirrors import MirrorPods
from agent.pod.podusage import PodsUsage
from agent.server.interface import Machine, Page, Volume
from agent.server.pages import cadvisor, configz, kubelet, probes, resource
from agent.server.pages.cadvisor import Size
from agent.server.pages.exposition import CONTENT_TYPE
from agent.server.pages.kubelet import Kubelet
from agent.settings import AgentSettings
from api import quantity
from base.clock import Clock


@dataclass(frozen=True, kw_only=True)
class Pages:
    """The pages of one agent."""

    settings: AgentSettings
    identity: NodeIdentity
    engine: EngineInfo
    manager: PodManager
    usage: PodsUsage
    observer: NodeObserver
    housekeeper: Housekeeper
    mirrors: MirrorPods
    shutdown: NodeShutdown
    daemons: Daemons
    disks: DiskFigures
    clock: Clock

    def all(self) -> dict[str, Page]:
        """By path."""
        return {
            "/metrics": Page(render=self._kubelet, content_type=CONTENT_TYPE),
            "/metrics/cadvisor": Page(render=self._cadvisor, content_type=CONTENT_TYPE),
            "/metrics/resource": Page(render=self._resource, content_type=CONTENT_TYPE),
            "/metrics/probes": Page(render=self._probes, content_type=CONTENT_TYPE),
            "/configz": Page(render=self._configz, content_type=configz.CONTENT_TYPE),
        }

    def machine(self) -> Machine:
        """The node besides its pods."""
        running, most = machine.processes()
        swap, swap_free = machine.swap()
        return Machine(
            swap=swap,
            swap_free=swap_free,
            interfaces=self.usage.interfaces(),
            pods_since=self.usage.since(),
            started=machine.booted(),
            available_memory=self.observer.available_memory(),
            processes=running,
            most_processes=most,
            disk=_volume(machine.disk(Path(self.settings.state_dir))),
            image_disk=_volume(self.observer.image_disk()),
            daemons=self.daemons.usage(),
        )

    def _kubelet(self) -> bytes:
        workers = self.manager.workers.values()
        return kubelet.render(
            Kubelet(
                node=self.identity.name,
                version=machine.KUBELET_VERSION,
                pods=Pods(self.manager).pods(),
                sandboxes=sum(
                    any(one.running for one in worker.context.memory.sandboxes())
                    for worker in workers
                ),
                operations=self.manager.agent.runtime.operations(),
                claims=self._claims(),
                evictions=self.housekeeper.evictions,
                images_collected=self.housekeeper.collected,
                static_pods=sum(worker.static for worker in workers),
                mirror_pods=int(self.mirrors.statistics()["mirrors"]),
                shutdown_began=self.shutdown.began,
                shutdown_ended=self.shutdown.ended,
                preemptions=self.manager.room.preemptions,
                rejections=self.manager.room.rejections,
            )
        )

    def _cadvisor(self) -> bytes:
        capacity = self.identity.capacity
        info = self.identity.info
        size = Size(
            cpus=quantity.milli(capacity["cpu"]) / 1000,
            memory=quantity.value(capacity["memory"]),
            swap=machine.swap()[0],
            names={
                "boot_id": info.boot_id,
                "machine_id": info.machine_id,
                "system_uuid": info.system_uuid,
            },
        )
        pods, wholes = self.usage.pods(facts=True), self.usage.wholes()
        return cadvisor.render(pods, size, self.clock.now(), wholes, disks=self.disks.ask())

    def _resource(self) -> bytes:
        swap, swap_free = machine.swap()
        return resource.render(
            self.usage.node(),
            self.usage.pods(facts=True),
            self.clock.now(),
            swap=swap - swap_free,
        )

    def _claims(self) -> list[tuple[str, str, Volume]]:
        """Each claim once, whoever shares it; what was found last."""
        workers, found = self.manager.workers, dict[tuple[str, str], Volume]()
        for uid, use in self.disks.ask().items():
            if (worker := workers.get(uid)) is not None:
                for volume, claim in use.claims.items():
                    if (there := use.mounted.get(volume)) is not None:
                        found[worker.pod.metadata.namespace, claim] = there
        return [(*whose, there) for whose, there in sorted(found.items(), key=lambda one: one[0])]

    def _probes(self) -> bytes:
        return probes.render((worker.pod, worker.tally) for worker in self.manager.workers.values())

    def _configz(self) -> bytes:
        return configz.render(self.settings, cgroup_driver=self.engine.cgroup_driver)


def _volume(disk: machine.Disk | None) -> Volume | None:
    if disk is None:
        return None
    return Volume(
        available=disk.available,
        capacity=disk.total,
        inodes=disk.inodes,
        inodes_free=disk.inodes_free,
    )
