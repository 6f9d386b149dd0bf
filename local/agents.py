"""The agent of a local cluster's node, as a process. Every method may be called twice."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local import daemons
from local.daemons import Join
from local.host import processes
from local.host.processes import Process
from local.topology import Capacity, Member

GRACE = 20.0


@dataclass(frozen=True, kw_only=True)
class Agent:
    member: Member
    engine: str
    """The URL of the Docker Engine."""
    server: str
    capacity: Capacity | None
    options: tuple[str, ...] = ()

    @property
    def log(self) -> Path:
        return self.member.logs / f"{self.member.data.name}-agent.log"

    def start(self, join: Callable[[], Join]) -> None:
        """`join` makes a token; it is asked only while the agent has not joined."""
        if self.process() is not None:
            return
        command = daemons.agent(
            self.member,
            engine=self.engine,
            server=self.server,
            capacity=self.capacity,
            join=None if daemons.joined(self.member, self.server) else join(),
            options=self.options,
        )
        processes.spawn(
            command.argv,
            marker=self._marker,
            log=self.log,
            namespace=self.member.namespace_path,
            environment=command.environment,
        )

    def process(self) -> Process | None:
        return processes.daemon(self._marker)

    def stop(self) -> None:
        """In good order; its containers go on running."""
        if agent := self.process():
            processes.stop(agent, grace=GRACE)

    def kill(self) -> None:
        if agent := self.process():
            agent.signal(signal.SIGKILL)
            processes.gone([agent], timeout=10)

    @property
    def _marker(self) -> str:
        return f"{self.member.marker}/agent"
