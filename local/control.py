"""The control plane of a local cluster, as a process: in a namespace on the switch, or on the machine.

Serves the beginning of a pod's walk. In a namespace it also serves a listener on the machine's
127.0.0.1, which is opened here and inherited, so that kubectl works from the machine while the
machine gains no link and no route. Every method may be called twice.
"""

from __future__ import annotations

import http.client
import signal
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from base import pki
from base.errors import PermanentError
from local import daemons, topology
from local.host import processes, wiring
from local.host.processes import Process
from local.host.waiting import wait_for
from local.topology import Member, Switch

START_TIMEOUT = 60.0
GRACE = 20.0
LET_GO = 10.0
"""Seconds until a port that is in use counts as somebody else's."""


@dataclass(frozen=True, kw_only=True)
class ControlPlane:
    member: Member
    switch: Switch | None
    port: int
    """Of the API on 127.0.0.1."""
    pki: Path
    kubeconfig: Path
    options: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """Where this machine finds the API."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def node_url(self) -> str:
        """Where the nodes find it."""
        if self.member.cable is None:
            return self.url
        return f"https://{self.member.cable.address.ip}:{daemons.CONTROL_PORT}"

    @property
    def log(self) -> Path:
        return self.member.logs / "control.log"

    def start(self, *, timeout: float = START_TIMEOUT) -> None:
        """Returns when the API answers."""
        process = self.process() or self._spawn()
        self._await_ready(process, timeout)

    def process(self) -> Process | None:
        return processes.daemon(self._marker)

    def stop(self) -> None:
        if control := self.process():
            processes.stop(control, grace=GRACE)

    def kill(self) -> None:
        if control := self.process():
            control.signal(signal.SIGKILL)
            processes.gone([control], timeout=10)

    def freeze(self) -> None:
        if control := self.process():
            control.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        if control := self.process():
            control.signal(signal.SIGCONT)

    def ready(self) -> bool:
        return not self.problem()

    def problem(self) -> str:
        """Why the API is not ready; empty when it is."""
        try:
            context = pki.client_context(ca_pem=(self.pki / "ca.crt").read_bytes())
        except FileNotFoundError:
            return "it has not made its certificates"
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=5, context=context)
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            text = answer.read(1000).decode(errors="replace").strip()
            return "" if answer.status == 200 else f"/readyz says {answer.status}: {text}"
        except (OSError, ssl.SSLError, http.client.HTTPException) as error:
            return f"no answer on {self.url}: {error}"
        finally:
            connection.close()

    def ca_hash(self) -> str:
        return pki.ca_hash((self.pki / "ca.crt").read_bytes())

    @property
    def _marker(self) -> str:
        return f"{self.member.marker}/control"

    def _spawn(self) -> Process:
        cable = self.member.cable
        if cable is not None and self.switch is not None:
            wiring.plug(cable, self.switch)
        command = daemons.control(
            self.member,
            pki=self.pki,
            kubeconfig=self.kubeconfig,
            server=self.url,
            inherited=cable is not None,
            options=self.options,
        )
        self.member.data.mkdir(parents=True, exist_ok=True)
        listener = listen_soon(self.port) if cable is not None else None
        try:
            return processes.spawn(
                command.argv,
                marker=self._marker,
                log=self.log,
                namespace=self.member.namespace_path,
                environment=command.environment,
                descriptors={listener.fileno(): daemons.LISTENER} if listener else {},
            )
        finally:
            if listener is not None:
                listener.close()

    def _await_ready(self, process: Process, timeout: float) -> None:
        wait_for(lambda: self.ready() or not process.alive(), timeout=timeout, interval=0.1)
        alive = process.alive()
        problem = self.problem() if alive else "it ended"
        if problem:
            raise PermanentError(
                f"the control plane is not ready ({problem}); its last words:\n"
                f"{processes.last_lines(self.log)}",
                hint=f"The whole log is {self.log}.",
            )


def listen_soon(port: int) -> socket.socket:
    """As `listen`, once a control plane that was killed has let go of the port: a thread of it that
    waits for the disk holds it for as long."""
    made: list[socket.socket] = []

    def try_it() -> bool:
        with suppress(PermanentError):
            made.append(listen(port))
        return bool(made)

    return made[0] if wait_for(try_it, timeout=LET_GO, interval=0.1) else listen(port)


def listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise PermanentError(
            f"cannot listen on 127.0.0.1:{port}: {error.strerror}",
            hint=f"`ss -ltnp sport = :{port}` shows who does; end it, or choose another cluster name.",
        ) from error
    return listener


def free_port(slug: str) -> int:
    """A port for a new cluster."""
    for port in topology.api_ports(slug):
        try:
            listen(port).close()
        except PermanentError:
            continue
        return port
    raise PermanentError(
        "no free port for the API on 127.0.0.1", hint="`ss -ltn` shows the ports in use."
    )
