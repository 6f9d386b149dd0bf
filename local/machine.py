"""The node of `podwright up` without `--nodes`: this machine itself, with its own engine and network.

Serves steps 4 to 7 of a pod's walk as on an operator's VM. The engine is the machine's own when it
runs, or when systemd can start it; else one of ours. Whoever started it stops it: an engine that was
found running is left running, without our containers and images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import NoReturn, TypeVar

from agent.containers.interface import Runtime
from agent.pod.names import NODE
from base.clock import SystemClock
from base.errors import PermanentError
from base.process import Completed, run
from local.agents import Agent
from local.host import blocking, engines, images, processes, traces
from local.host.engines import Engine
from local.host.processes import Process
from local.host.waiting import wait_for
from local.state import EngineOrigin
from local.topology import Member
from netplugin.node import NodeNetwork
from netplugin.records import NetworkConfig

T = TypeVar("T")

SOCKET = Path("/var/run/docker.sock")
UNITS = ("docker.service", "docker.socket")
EXEC_TIMEOUT = 120.0
_SYSTEMD = Path("/run/systemd/system")


@dataclass(frozen=True, kw_only=True)
class MachineEngine:
    """The machine's own engine."""

    origin: EngineOrigin
    socket: Path = SOCKET

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def running(self) -> bool:
        return engines.answers(self.socket)

    def start(self) -> None:
        if self.running():
            return
        if not has_systemd():
            raise PermanentError(
                f"the Docker Engine on {self.socket}, which the cluster uses, does not answer",
                hint="Start it as it was started before, then run the command again.",
            )
        run(["systemctl", "start", UNITS[0]])
        if not wait_for(self.running, timeout=engines.START_TIMEOUT):
            raise PermanentError(
                f"{UNITS[0]} was started but does not answer on {self.socket}",
                hint=f"See `journalctl -u {UNITS[0]}`.",
            )

    def stop(self) -> None:
        if self.origin is EngineOrigin.SYSTEMD and has_systemd():
            run(["systemctl", "stop", *reversed(UNITS)], check=False)


@dataclass(frozen=True, kw_only=True)
class MachineNode:
    member: Member
    origin: EngineOrigin
    server: str
    agent_options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.member.name

    @property
    def engine(self) -> Engine | MachineEngine:
        if self.origin is not EngineOrigin.OWN:
            return MachineEngine(origin=self.origin)
        return Engine(
            marker=self.member.marker,
            data=self.member.data / "engine",
            run=self.member.run / "engine",
            logs=self.member.logs,
            cgroup_parent=self.member.cgroup_root,
        )

    @property
    def agent(self) -> Agent:
        return Agent(
            member=self.member,
            engine=self.engine.url,
            server=self.server,
            capacity=None,
            options=self.agent_options,
        )

    def start(self) -> None:
        self.engine.start()

    def erase(self) -> None:
        self.agent.stop()
        self._remove_containers()
        self._tear_down_network()
        if isinstance(self.engine, Engine):
            self.engine.kill()
        else:
            self.engine.stop()
        processes.annihilate(self.processes, of=self.member.marker)
        traces.remove_cgroups(self.member.cgroup_root)
        traces.remove_folder(self.member.run)
        traces.remove_if_empty(self.member.run.parent)
        traces.remove_folder(self.member.data)

    def processes(self) -> list[Process]:
        roots = [marked.process for marked in processes.marked(self.member.marker)]
        found = {each.pid: each for each in processes.descendants(roots)}
        for each in traces.cgroup_processes(self.member.cgroup_root):
            found[each.pid] = each
        return [each for each in found.values() if each.alive()]

    def exec(self, argv: Sequence[str], *, timeout: float = EXEC_TIMEOUT) -> Completed:
        return run(argv, timeout=timeout, check=False)

    def inside(self, work: Callable[[], T]) -> T:
        return work()

    def entrance(self) -> list[str]:
        return []

    def kill(self) -> None:
        self._refuse("killed")

    def cut(self) -> None:
        self._refuse("cut off")

    def heal(self) -> None:
        self._refuse("healed")

    def freeze(self) -> None:
        self._refuse("frozen")

    def thaw(self) -> None:
        self._refuse("thawed")

    def check_running(self) -> None:
        """This machine runs, or nobody would ask."""

    def plugged(self) -> bool:
        return True

    def connected(self) -> bool:
        return True

    def _refuse(self, what: str) -> NoReturn:
        raise PermanentError(
            f"node {self.name!r} is this machine itself and cannot be {what}",
            hint="`podwright up --nodes N` makes nodes that can.",
        )

    def _remove_containers(self) -> None:
        """What the agent started, and the images we made, in an engine that goes on running."""
        if isinstance(self.engine, Engine) or not self.engine.running():
            return

        async def remove(runtimes: list[Runtime]) -> None:
            for runtime in runtimes:
                for container in await runtime.list_containers(labels={NODE: self.name}):
                    await runtime.remove(container.id)
                for image in images.OURS:
                    await runtime.remove_image(image)

        images.with_engines([self.engine.url], remove)

    def _tear_down_network(self) -> None:
        """Links, routes and rules that the agent made on the machine. Its records say what was there
        before; of the ranges only their form matters here."""
        records = self.member.data / "agent" / "network"
        if not records.exists():
            return
        config = NetworkConfig(
            node_name=self.name,
            node_ip=IPv4Address("127.0.0.1"),
            pod_cidr=IPv4Network("10.244.0.0/24"),
            cluster_cidr=IPv4Network("10.244.0.0/16"),
            service_cidr=IPv4Network("10.96.0.0/12"),
            cluster_dns=IPv4Address("10.96.0.10"),
            state_dir=records,
        )

        async def tear_down() -> None:
            await NodeNetwork(config, SystemClock()).teardown()

        blocking.wait(tear_down)


def has_systemd() -> bool:
    return _SYSTEMD.is_dir()


def choose_engine() -> EngineOrigin:
    """Which engine a new cluster of this machine uses."""
    if engines.answers(SOCKET):
        return EngineOrigin.FOUND
    unit = run(["systemctl", "cat", UNITS[0]], check=False) if has_systemd() else None
    return EngineOrigin.SYSTEMD if unit and unit.returncode == 0 else EngineOrigin.OWN
