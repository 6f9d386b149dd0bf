"""The Docker Engine passes the suite that the fake passes."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from agent.containers.records import Channel, ContainerCreate
from agent.containers.runtime import DockerRuntime
from agent.containers.script import Script
from tests.engine import BUSYBOX, Engine
from tests.runtime_suite import RuntimeSuite


@dataclass
class DockerWorld:
    runtime: DockerRuntime
    engine: Engine
    image: str = BUSYBOX

    def spec(self, name: str, script: Script) -> ContainerCreate:
        return ContainerCreate(
            name=name,
            image=self.image,
            command=("/nosuch",) if script.start_error else ("sh", "-c", shell(script)),
            cgroup_parent=self.engine.cgroup_parent,
        )


class TestDockerRuntime(RuntimeSuite):
    @pytest.fixture
    def world(self, runtime: DockerRuntime, engine: Engine) -> DockerWorld:
        return DockerWorld(runtime, engine)


def shell(script: Script) -> str:
    """The script as a line of shell; the background sleep lets the trap run at once."""
    trap = "" if script.ignores_term else f"exit {script.term_exit_code}"
    lines = [f"trap '{trap}' TERM"]
    for channel, text in script.log:
        target = " >&2" if channel is Channel.STDERR else ""
        lines.append(f"printf '%s' '{text.decode()}'{target}")
    lines.append(f"sleep {script.run_for or 1000} & wait $!")
    lines.append(f"exit {script.exit_code}")
    return "\n".join(lines)
