"""A Docker Engine for integration tests: `start_engine(directory, name=...) -> Engine`.

It is the engine of a local cluster (`local.host.engines`), in a network namespace of its own because
dockerd switches on forwarding wherever it runs. The machine's own engine, if there is one, is never
touched. `stop()` removes every trace; the next start with the same name and directory removes what
a killed run left.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.containers.runtime import DockerRuntime
from base.clock import SystemClock
from local.host import engines, images, processes, traces
from local.host.waiting import wait_for
from netplugin import namespaces

BUSYBOX = images.BUSYBOX_IMAGE
"""The test image: a static busybox with all its applets, `sh` by default."""


@dataclass(frozen=True)
class Engine:
    """A running engine that holds the images of `local.host.images`."""

    name: str
    directory: Path
    daemons: engines.Engine

    @property
    def url(self) -> str:
        return self.daemons.url

    @property
    def socket(self) -> Path:
        return self.daemons.socket

    @property
    def netns(self) -> Path:
        return namespaces.namespace_path(self.name)

    @property
    def cgroup_parent(self) -> str:
        return self.daemons.cgroup_parent

    def docker(self, *arguments: str) -> str:
        """Run the docker command line against this engine."""
        command = ["docker", "-H", self.url, *arguments]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()

    @property
    def dockerd(self) -> processes.Process:
        """The daemon that agents talk to; containers are containerd's."""
        daemon = processes.daemon(f"{self.daemons.marker}/dockerd")
        assert daemon is not None, "dockerd does not run"
        return daemon

    def replace_dockerd(self, signal_number: int, *options: str) -> None:
        """End dockerd alone and start it anew with further options, as an upgrade of its package does."""
        argv = end_dockerd(self.daemons, signal_number)
        begin_dockerd(self.daemons, [*argv, *options])

    def stop(self) -> None:
        """Stop the engine with its containers and remove every trace. May be called twice."""
        self.daemons.kill()
        traces.remove_folder(self.directory)
        traces.remove_cgroups(self.cgroup_parent)
        if namespaces.namespace_exists(self.name):
            namespaces.delete_namespace(self.name)


def end_dockerd(engine: engines.Engine, signal_number: int) -> list[str]:
    """End dockerd, not its containerd; returns the command line to start it again with."""
    daemon = processes.daemon(f"{engine.marker}/dockerd")
    assert daemon is not None, "dockerd does not run"
    argv = Path(f"/proc/{daemon.pid}/cmdline").read_text().rstrip("\0").split("\0")
    daemon.signal(signal_number)
    assert wait_for(lambda: not daemon.alive(), timeout=60)
    (engine.run / "docker.pid").unlink(missing_ok=True)  # nobody may have reaped it yet
    return argv


def begin_dockerd(engine: engines.Engine, argv: Sequence[str]) -> None:
    """Start it over the containerd and the containers that are there."""
    log = engine.logs / "engine-dockerd-again.log"
    processes.spawn(argv, marker=f"{engine.marker}/dockerd", log=log, namespace=engine.namespace)
    assert wait_for(lambda: engines.answers(engine.socket), timeout=60), log.read_text()


def missing() -> str:
    """Why no engine can run here; empty when it can."""
    if os.geteuid() != 0:
        return "needs root"
    absent = [name for name in ("dockerd", "containerd", "nsenter") if shutil.which(name) is None]
    return f"needs {', '.join(absent)}" if absent else ""


def systemd_missing() -> str:
    """Why no engine can have the systemd driver here; empty when one can."""
    unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    return "" if unified and Path("/run/systemd/system").is_dir() else "needs systemd and cgroup v2"


def start_engine(directory: Path, *, name: str, driver: str = "cgroupfs") -> Engine:
    """Start an engine below `directory`; `name` is that of its network namespace and cgroup."""
    parent = f"podwright-test-{name}"
    if driver == "systemd":  # one slice: a dash would be a slice more
        parent = f"{parent.replace('-', '_')}.slice"
    engine = Engine(
        name=name,
        directory=directory,
        daemons=engines.Engine(
            marker=f"test-{name}/engine",
            data=directory / "data",
            run=directory / "run",
            logs=directory / "logs",
            cgroup_parent=parent,
            namespace=namespaces.namespace_path(name),
            driver=driver,
        ),
    )
    engine.stop()
    directory.mkdir(parents=True)
    namespaces.create_namespace(name)
    namespaces.set_up(name, "lo")
    try:
        engine.daemons.start()
        asyncio.run(_build_images(engine.url))
    except BaseException:
        engine.stop()
        raise
    return engine


@contextmanager
def running_engine(directory: Path, *, name: str, driver: str = "cgroupfs") -> Iterator[Engine]:
    """The body of a session-scoped fixture."""
    engine = start_engine(directory, name=name, driver=driver)
    try:
        yield engine
    finally:
        engine.stop()


async def _build_images(url: str) -> None:
    runtime = DockerRuntime(url, clock=SystemClock())
    try:
        await images.build(runtime)
    finally:
        await runtime.close()
