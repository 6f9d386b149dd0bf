"""A node of a local cluster: its network, its Docker Engine, its agent, and all that can befall them.

Serves steps 4 to 7 of a pod's walk by giving them a machine to happen on. Every method may be called
in any state and twice; `start` and `start_agent` repair, `kill` and `erase` also end what an earlier
attempt left half done.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from base.errors import PermanentError
from base.process import Completed, run
from local.agents import Agent
from local.host import processes, traces, wiring
from local.host.engines import Engine
from local.host.processes import Process
from local.topology import Cable, Capacity, Member, Switch
from netplugin import namespaces

T = TypeVar("T")

EXEC_TIMEOUT = 120.0


@dataclass(frozen=True, kw_only=True)
class Node:
    member: Member
    switch: Switch
    cable: Cable
    capacity: Capacity
    server: str
    agent_options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.member.name

    @property
    def engine(self) -> Engine:
        return Engine(
            marker=self.member.marker,
            data=self.member.data / "engine",
            run=self.member.run / "engine",
            logs=self.member.logs,
            cgroup_parent=self.member.cgroup_root,
            namespace=self.member.namespace_path,
        )

    @property
    def agent(self) -> Agent:
        return Agent(
            member=self.member,
            engine=self.engine.url,
            server=self.server,
            capacity=self.capacity,
            options=self.agent_options,
        )

    def start(self) -> None:
        """Power on: the network and the engine. The agent is started apart, once it can join."""
        wiring.plug(self.cable, self.switch)
        self.engine.start()

    def kill(self) -> None:
        """Loss of power: every process ends in the same instant, and what lives in memory is gone.
        The disk stays."""
        processes.annihilate(self.processes, of=self.member.marker)
        self.engine.clear_away()
        traces.unmount_below(self.member.data)
        wiring.unplug(self.cable)
        traces.remove_cgroups(self.member.cgroup_root)
        traces.remove_folder(self.member.run)
        traces.remove_if_empty(self.member.run.parent)

    def erase(self) -> None:
        self.kill()
        traces.remove_folder(self.member.data)

    def freeze(self) -> None:
        """Nothing on the node runs, and nothing is told so: a machine that swaps itself to death."""
        processes.signal_all(self.processes(), signal.SIGSTOP)

    def thaw(self) -> None:
        processes.signal_all(self.processes(), signal.SIGCONT)

    def cut(self) -> None:
        self.check_running()
        wiring.cut(self.cable)

    def heal(self) -> None:
        self.check_running()
        wiring.heal(self.cable)

    def check_running(self) -> None:
        if not self.plugged():
            raise PermanentError(
                f"node {self.name!r} is not running",
                hint=f"`podwright node start {self.name}` starts it.",
            )

    def exec(self, argv: Sequence[str], *, timeout: float = EXEC_TIMEOUT) -> Completed:
        """Run a command on the node, that is in its network."""
        return run([*self.entrance(), *argv], timeout=timeout, check=False)

    def inside(self, work: Callable[[], T]) -> T:
        """Call a function in the node's network, where the sockets it opens then are."""
        self.check_running()
        return namespaces.run_inside(self.member.namespace_path, work)

    def entrance(self) -> list[str]:
        """The command in front of a command that is to run on the node."""
        return ["nsenter", f"--net={self.member.namespace_path}", "--"]

    def processes(self) -> list[Process]:
        """Everything that runs on the node: what we started, what lives in its network, and what is
        in its containers, which have networks of their own."""
        path = self.member.namespace_path
        roots = [marked.process for marked in processes.marked(self.member.marker)]
        if path is not None:
            roots += processes.in_network_namespace(path)
        found = {each.pid: each for each in processes.descendants(roots)}
        found.update((each.pid, each) for each in self.engine.processes())
        return [each for each in found.values() if each.alive()]

    def plugged(self) -> bool:
        path = self.member.namespace_path
        return path is not None and path.exists()

    def connected(self) -> bool:
        with suppress(PermanentError):
            return wiring.connected(self.cable)
        return False
