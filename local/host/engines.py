"""A Docker Engine of one's own: dockerd and a containerd, in any network namespace.

Serves the node of a local cluster: step 4 of a pod's walk needs an engine per node. A containerd of
its own is given to each dockerd, because dockerd adopts a running system one otherwise, and two
engines would then fight over the same containers. The engine makes no network of its own (no bridge,
no iptables rules): pods get theirs from netplugin, and the machine's stays as it was.

States: stopped, running, and whatever a crash or a killed command left. `start` may be called in any
of them and ends in running; `stop` and `kill` likewise and end in stopped.
- `stop` is an orderly shutdown: containers are asked to end.
- `kill` is a loss of power: processes vanish in an instant, and so does everything that lives in
  memory (sockets, mounts, the run folder); what was written to the data folder stays.
"""

from __future__ import annotations

import http.client
import socket
from dataclasses import dataclass
from pathlib import Path

from base.errors import PermanentError
from base.files import atomic_write
from local.host import processes, traces
from local.host.processes import Process
from local.host.waiting import wait_for

START_TIMEOUT = 60.0
STOP_GRACE = 30.0
"""Longer than the ten seconds dockerd itself gives containers that do not heed TERM."""

_CONTAINERD_CONFIG = """\
version = 2
root = "{data}/containerd"
state = "{run}/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]

[grpc]
  address = "{run}/containerd.sock"

[ttrpc]
  address = "{run}/containerd.sock.ttrpc"
"""


@dataclass(frozen=True, kw_only=True)
class Engine:
    marker: str
    """Cluster and member, see `processes`."""
    data: Path
    run: Path
    logs: Path
    cgroup_parent: str
    """Given to dockerd as an absolute path: runc would look for a relative one below the cgroup of
    whoever happened to start the engine."""
    namespace: Path | None = None
    """None is the machine's own network."""
    driver: str = "cgroupfs"
    """Of cgroups: with `systemd`, the parent is a slice."""

    @property
    def socket(self) -> Path:
        return self.run / "docker.sock"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def running(self) -> bool:
        return all(self._daemon(role) for role in ("containerd", "dockerd")) and answers(
            self.socket
        )

    def start(self, *, timeout: float = START_TIMEOUT) -> None:
        if self.running():
            return
        self.kill()  # what a crash left: a daemon or containers without the other half are in the way
        for folder in (self.data, self.run):
            folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        self._start_containerd(timeout)
        self._start_dockerd(timeout)

    def stop(self, *, grace: float = STOP_GRACE) -> None:
        for role in ("dockerd", "containerd"):
            if daemon := self._daemon(role):
                processes.stop(daemon, grace=grace)
        self.kill()

    def kill(self) -> None:
        processes.annihilate(self.processes, of=self.marker)
        self.clear_away()

    def processes(self) -> list[Process]:
        """Daemons, shims, and everything in containers: children of shims, members of the cgroup."""
        ours = [
            marked.process
            for role in ("containerd", "dockerd")
            for marked in processes.marked(f"{self.marker}/{role}")
        ]
        found = {each.pid: each for each in processes.descendants(ours)}
        found.update((each.pid, each) for each in traces.cgroup_processes(self.cgroup_parent))
        return [each for each in found.values() if each.alive()]

    def clear_away(self) -> None:
        traces.unmount_below(self.data)
        traces.remove_shim_sockets(self.run / "containerd")
        traces.remove_folder(self.run)

    def _start_containerd(self, timeout: float) -> None:
        config = self.run / "containerd.toml"
        text = _CONTAINERD_CONFIG.format(data=self.data, run=self.run)
        atomic_write(config, text.encode(), 0o600)
        daemon = self._spawn("containerd", ["containerd", "--config", str(config)])
        self._await("containerd", daemon, self.run / "containerd.sock", timeout)

    def _start_dockerd(self, timeout: float) -> None:
        config = self.run / "daemon.json"
        atomic_write(config, b"{}", 0o600)  # not the machine's own /etc/docker/daemon.json
        daemon = self._spawn(
            "dockerd",
            [
                "dockerd",
                f"--config-file={config}",
                f"--data-root={self.data / 'docker'}",
                f"--exec-root={self.run / 'docker'}",
                f"--pidfile={self.run / 'docker.pid'}",
                f"--host={self.url}",
                f"--containerd={self.run / 'containerd.sock'}",
                f"--cgroup-parent={'/' if self.driver == 'cgroupfs' else ''}{self.cgroup_parent}",
                f"--exec-opt=native.cgroupdriver={self.driver}",
                "--bridge=none",
                "--iptables=false",
                "--ip-masq=false",
                "--ip-forward=false",
            ],
        )
        self._await("dockerd", daemon, self.socket, timeout)

    def _daemon(self, role: str) -> Process | None:
        return processes.daemon(f"{self.marker}/{role}")

    def _log(self, role: str) -> Path:
        return self.logs / f"{self.marker.rpartition('/')[2]}-{role}.log"

    def _spawn(self, role: str, argv: list[str]) -> Process:
        return processes.spawn(
            argv, marker=f"{self.marker}/{role}", log=self._log(role), namespace=self.namespace
        )

    def _await(self, role: str, daemon: Process, path: Path, timeout: float) -> None:
        ready = answers if role == "dockerd" else accepts
        wait_for(lambda: ready(path) or not daemon.alive(), timeout=timeout)
        if ready(path):
            return
        what = f"did not answer within {timeout:g} s" if daemon.alive() else "ended"
        lines = processes.last_lines(self._log(role))
        self.kill()
        raise PermanentError(
            f"{role} of {self.marker} {what}; its last words:\n{lines}",
            hint=f"The whole log is {self._log(role)}.",
        )


def accepts(path: Path) -> bool:
    """Whether somebody listens on the Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(2)
        try:
            connection.connect(str(path))
        except OSError:
            return False
        return True


def answers(path: Path) -> bool:
    """Whether a Docker Engine answers on the Unix socket."""
    connection = http.client.HTTPConnection("localhost", timeout=5)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.sock.settimeout(5)
    try:
        connection.sock.connect(str(path))
        connection.request("GET", "/_ping")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
